"""An agent at work: sources → rules → keep → protocol → network.

What a source read is kept (keep.py) before it is sent and before more is read. Each
source is a task of its own (worker.py). Lines wait for their turn (pace.py), and for
nothing else: leases are renewed and alerts repeated meanwhile (uplink.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from peep.agent.keep import Keep
from peep.agent.matching import Matching
from peep.agent.meters import agent_metrics
from peep.agent.pace import Turns
from peep.agent.plan import AgentPlan
from peep.agent.renewal import renew
from peep.agent.skips import Skips
from peep.agent.sources import followed, open_source
from peep.agent.uplink import Uplink
from peep.agent.waiting import done, either, meanwhile, together
from peep.agent.weight import Weight, trim
from peep.agent.worker import Worker
from peep.clock import cpu_s
from peep.net.notify import SILENT, Notifier
from peep.net.steering import Steering, agent_answers
from peep.protocol.batch import Born

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from random import Random

    from peep.agent.guarded import Guardian
    from peep.agent.renewal import Renewed
    from peep.agent.sources import Source
    from peep.clock import Clock
    from peep.journal.store import Store
    from peep.loglines import Batch
    from peep.rules import RuleSet
    from peep.signals import Signal, SignalId

__all__ = ["AgentApp", "AgentPlan"]

HINT_S = 0.3  # a dumb client has nothing to wait for but a refusal
SEEK_S = 2.0  # for servers to be found before a single reading: each should hear it
COMPANY_S = 0.3  # for the others, once the first was found: they answer the same call
RECEIPTS_S = 10.0  # for a server, and its receipts, after a single reading
FLUSH_S = 1.0  # how long the last signals may wait for a server at the end
KEEP_S = 1.0  # between looks whether something is to be kept that hurries not
PART = 200  # signals that are kept or sent at a time: some milliseconds' work


class AgentApp:
    """Runs a plan until stopped, or until every source has ended."""

    def __init__(
        self,
        plan: AgentPlan,
        rules: RuleSet,
        *,
        clock: Clock,
        rng: Random,
        say: Callable[[str], None],
        guard: Guardian | None = None,
        load: Callable[[], Renewed] | None = None,
        store: Store | None = None,
        notifier: Notifier = SILENT,
    ) -> None:
        """Open the sockets. `guard` is what the rules ask; it is closed with them.

        `load` reads the configuration anew, for SIGHUP. Without a `store`, alerts and
        how far files were read are kept in memory only.
        """
        self.matching = Matching(rules, clock, guard)
        self.turns = Turns(clock, lambda: cpu_s() + self.matching.spent_s)
        self.turns.limit(plan.cpu_max)
        self._weight = Weight(say, self._shed)
        self._weight.limit(plan.memory_max_bytes)
        self._clock = clock
        self._say = say
        self._notifier = notifier
        self._keep = Keep(store, clock)
        self._keep.follow(followed(plan.sources))
        marks = self._keep.marks()
        self._skips = Skips(clock, say, self._keep.identified)
        self._workers: list[Worker] = []
        for spec in plan.sources:
            opened = partial(
                open_source, spec, clock, marks, lag_max_bytes=plan.lag_max_bytes
            )
            self.attend(type(spec).__module__.rpartition(".")[2], opened)
        self.uplink = Uplink(
            plan,
            clock=clock,
            rng=rng,
            say=say,
            news=self._news,
            on_joined=self._tell_overflow,
            on_confirmed=self._confirm,
        )
        self._machine = self.uplink.machine
        counts = agent_metrics(self, self.matching, self._skips, self._machine)
        self._steering = Steering(
            self.uplink.classes,
            plan.control,
            None,
            say,
            agent_answers(counts),
            reload=None if load is None else partial(renew, load, self._take_up, say),
            notifier=notifier,
        )
        self._confirmed = asyncio.Event()
        self._overflow_told = 0
        self.signals = 0
        self.confirmed = 0

    def attend(self, name: str, opened: Callable[[], Source]) -> None:
        """Take on a source before the start; `name` is for when it cannot be opened."""
        worker = Worker(
            name,
            opened,
            clock=self._clock,
            say=self._say,
            take=self._take,
            send=self.send,
        )
        self._workers.append(worker)

    def following(self) -> list[str]:
        """Return what this agent follows, for people."""
        return [what for worker in self._workers if (what := worker.describe())]

    @property
    def too_heavy(self) -> bool:
        """Say whether it ended for want of memory, and wants to be started again."""
        return self._weight.exceeded.is_set()

    def heard(self) -> bool:
        """Say whether a server took what was sent, as far as can be known."""
        return self.uplink.heard()

    # ---- from start to end -------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> bool:
        """Work until `stop` is set, every source has ended, or memory is short.

        Says whether `stop` was set.
        """
        async with self._open(), meanwhile(stop.wait()) as stopping:
            self._notifier.ready(f"sources: {len(self._workers)}")
            working = together([worker.run() for worker in self._workers])
            alone = self.uplink.say_if_alone()
            async with meanwhile(working) as ended, meanwhile(alone):
                heavy = self._weight.exceeded.wait()
                await either([done(stopping), done(ended), heavy])
            self._notifier.stopping()
            self._pass([*self.matching.drain(), *self._skips.drain()])
            await self._last_chance(stopping)
        return stop.is_set()

    async def run_once(self, stop: asyncio.Event) -> bool:
        """Take what is there, send it, and wait for receipts, all unless `stop` is set.

        Says whether every source was read and all of it arrived; of a dumb client's
        signals one knows no more than that nobody refused them.
        """
        async with self._open(), meanwhile(stop.wait()) as stopping:
            self._notifier.ready("reads once")
            if not self.uplink.is_dumb:
                await either([self.uplink.joined.wait(), done(stopping)], SEEK_S)
                await either([done(stopping)], COMPANY_S)
            working = together([worker.run_once() for worker in self._workers])
            async with meanwhile(working) as read:
                heavy = self._weight.exceeded.wait()
                await either([done(stopping), done(read), heavy])
                was_read = read.done() and all(read.result())
            self._notifier.stopping()
            self._pass([*self.matching.drain(), *self._skips.drain()])
            return await self._arrived(stopping) and was_read

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        """Speak to servers, and keep house, for as long as the block lasts."""
        self._say_again()
        self.uplink.start()
        await self._steering.start()
        try:
            async with contextlib.AsyncExitStack() as house:
                for work in (
                    self.uplink.watch_links(),
                    self._keep_now_and_then(),
                    self._pass_storms(),
                    self._weight.watch(),
                    self._notifier.keep_alive(),
                ):
                    await house.enter_async_context(meanwhile(work))
                yield
        finally:
            await self._steering.close()
            await self.uplink.close()
            self._tell_overflow()
            self._keep.close()
            waiting = self._machine.unconfirmed()
            if waiting and self._keep.durable:
                self._say(f"{waiting} alerts are kept for the next start")

    async def _last_chance(self, stopping: asyncio.Task[bool]) -> None:
        """Wait a moment for a server to take, and confirm, what is left."""
        joined = self.uplink.joined
        if stopping.done() or self.too_heavy:
            if joined.is_set():
                await either([self._all_confirmed()], FLUSH_S)
            return
        if self.uplink.is_dumb:
            await either([done(stopping)], HINT_S)
        else:
            await either([joined.wait(), done(stopping)], FLUSH_S)
        await either([self._all_confirmed(), done(stopping)], FLUSH_S)

    async def _arrived(self, stopping: asyncio.Task[bool]) -> bool:
        """Wait for a server and its receipts; say whether all arrived."""
        if not self.signals and not self._machine.unconfirmed():
            return True
        until = self._clock.now() + RECEIPTS_S
        if self.uplink.is_dumb:
            await either([done(stopping)], HINT_S)
        else:
            await either([self.uplink.joined.wait(), done(stopping)], RECEIPTS_S)
        if self.heard():
            left_s = max(0.0, until - self._clock.now())
            await either([self._all_confirmed(), done(stopping)], left_s)
        confirmed = self.uplink.is_dumb or not self._machine.unconfirmed()
        return self.heard() and confirmed

    async def _all_confirmed(self) -> None:
        while self._machine.unconfirmed():
            self._confirmed.clear()
            await self._confirmed.wait()

    # ---- what is read, and sent -----------------------------------------------------

    async def _take(self, batch: Batch) -> None:
        """Judge lines when it is their turn, and send what they mean."""
        # Marks alone cost nothing, and must not wait.
        turn = self.turns.turn() if batch.lines else contextlib.nullcontext()
        async with turn:
            signals: list[Signal] = [*await self.matching.take(batch.lines)]
            signals += self._skips.take(batch)
            await self._send_in_turn(signals, batch)

    def send(self, signal: Signal) -> None:
        """Send a signal of one's own."""
        self._pass([self._keep.identified(signal)])

    def _pass(self, events: Sequence[Signal]) -> None:
        """Send what was folded: its lines' marks have been kept already."""
        for _ in self._sending(events):
            pass

    async def _send_in_turn(
        self, signals: Sequence[Signal], batch: Batch | None = None
    ) -> None:
        """Send what may be much: others have a turn after each part of it."""
        parts = self._sending(signals, batch)
        try:
            for _ in parts:
                await asyncio.sleep(0)
        finally:  # if it is the end, all that is left goes at once
            for _ in parts:
                pass

    def _sending(
        self, signals: Sequence[Signal], batch: Batch | None = None
    ) -> Iterator[None]:
        """Keep what must arrive, then how far was read; then send: a part at a time.

        Whoever is killed in between reads the lines again, and they are the same
        alerts; of what has no mark yet nothing was sent.
        """
        parts = [signals[at : at + PART] for at in range(0, len(signals), PART)]
        self.signals += len(signals)
        for part in parts[:-1]:
            self._machine.forget(self._keep.commit(part))
            yield
        self._machine.forget(self._keep.commit(parts[-1] if parts else (), batch))
        # Where one goes on after a stop, lines may be old; others came just now,
        # whatever time they bear: a sender's clock or zone may be wrong.
        resumed = batch is not None and bool(batch.marks)
        for number, part in enumerate(parts):
            if number:
                yield
            now, wall = self._clock.now(), self._clock.wall()
            ahead_s = now - wall
            self._machine.send_all(
                [
                    Born(signal, signal.when + ahead_s)
                    if resumed and 0 < signal.when < wall
                    else Born(signal, now)
                    for signal in part
                ],
                now,
            )
            self.uplink.kick()

    def _say_again(self) -> None:
        """Send what an earlier process kept and nobody confirmed."""
        now, wall = self._clock.now(), self._clock.wall()
        for kept in self._keep.alerts():
            age_s = max(0.0, wall - kept.born)
            self._machine.send(kept.event, now, age_s, again=True)

    def _confirm(self, ids: Sequence[SignalId]) -> None:
        self._keep.confirm(ids)
        self.confirmed += len(ids)
        if not self._machine.unconfirmed():
            self._confirmed.set()

    def _tell_overflow(self) -> None:
        """Say what was lost for want of a server: silence would be a lie."""
        lost = self._machine.overflowed - self._overflow_told
        self._overflow_told += lost
        if lost:
            self._say(f"{lost} events were dropped while no server was there")
        alerts = self._keep.dropped()
        if alerts:
            self._say(f"{alerts} alerts were dropped: more than are kept (agent.spool)")
        if self.uplink.joined.is_set():
            for signal in self._keep.report(lost):
                self.send(signal)

    # ---- in the course of time ------------------------------------------------------

    async def _keep_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            self._machine.forget(self._keep.flush())
            if told := self._skips.due():
                self._pass(told)

    async def _pass_storms(self) -> None:
        while True:
            await self._send_in_turn(await self.matching.later())

    def _take_up(self, renewed: Renewed) -> None:
        """Go on by what was read again."""
        self._pass(self.matching.swap(renewed.rules, renewed.guard))
        self.turns.limit(renewed.cpu_max)
        self._weight.limit(renewed.memory_max_bytes)
        if renewed.classes is not None:
            self.uplink.classes.hold(renewed.classes)

    def _shed(self) -> None:
        """Give up what memory can be: what was folded is sent before its time."""
        self._pass(self.matching.drain())
        trim()

    def _news(self, line: str) -> None:
        self._say(line)
        self._notifier.status(line)
