"""An agent at work: sources → rules → keep → protocol → network.

What a source read is kept (keep.py) before it is sent and before more is read.

Each source is a task of its own. One that fails is said once, and tried again with
growing pauses; the others go on.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import msgspec

from peep.agent.keep import Keep
from peep.agent.matching import Matching
from peep.agent.meters import agent_metrics
from peep.agent.sources import Poller, Prober, Source, Stream, open_source
from peep.errors import SourceError
from peep.net.backends import Backends, Wanted, backends
from peep.net.class_control import ClassControl
from peep.net.notify import SILENT, Notifier
from peep.net.refusals import Refusals
from peep.net.sockets import agent_endpoint, plain_endpoint
from peep.net.steering import Steering, agent_answers
from peep.net.udp import UdpDriver
from peep.protocol import packets
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.dumb import DumbProtocol
from peep.protocol.events import (
    AgentEvent,
    Confirmed,
    Dropped,
    Gone,
    Joined,
    Lapsed,
    Refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path
    from random import Random

    from peep.clock import Clock
    from peep.journal.store import Store
    from peep.loglines import Batch
    from peep.protocol.addresses import Address
    from peep.rules import RuleSet
    from peep.signals import Signal

RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # pauses before a failed source is tried again
MAX_TOLD = 256  # refusing servers that are named; hints cost nothing to forge
ALONE_S = 5.0  # a search takes less
LINKS_S = 5.0  # between looks at this host's interfaces
HINT_S = 0.3  # a dumb client has nothing to wait for but a refusal
FLUSH_S = 1.0  # how long the last signals may wait for a server at the end
KEEP_S = 1.0  # between looks whether something is to be kept that hurries not


_WHY = {
    packets.ExceptionCode.NOT_ADMITTED: "refuses: it takes signals without a lease "
    "only from its `dumb_networks` and into class public",
    packets.ExceptionCode.KEY_NEEDED: "serves these classes only with their key: "
    "peep join",
    packets.ExceptionCode.UNKNOWN_KEY: "does not hold the key that was tried",
    packets.ExceptionCode.VERSION: "does not speak protocol 3",
}


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is to do. `server` makes it a dumb client."""

    config: AgentConfig
    interfaces: tuple[str, ...] = ()
    hops: int = 1
    server: tuple[str, int] | None = None
    sources: tuple[object, ...] = ()
    wanted: Wanted = Wanted()
    control: Path | None = None


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
        reread: Callable[[], Sequence[str]] | None = None,
        store: Store | None = None,
        notifier: Notifier = SILENT,
    ) -> None:
        """Open the sockets. `reread` loads the classes anew, for SIGHUP.

        Without a `store`, alerts and how far files were read are kept in memory only.
        """
        self.matching = Matching(rules, clock)
        self._clock = clock
        self._say = say
        self._notifier = notifier
        self._keep = Keep(store, clock)
        marks = self._keep.marks()
        self._sources = [open_source(spec, clock, marks) for spec in plan.sources]
        self._machine: AgentProtocol | DumbProtocol
        if plan.server is None:
            endpoint, note = agent_endpoint(
                plan.interfaces, hops=plan.hops, mtu_bytes=plan.config.mtu_bytes
            )
            config = msgspec.structs.replace(plan.config, near=endpoint.networks())
            self._machine = AgentProtocol(config, rng, os.urandom)
            if note is not None:
                say(note)
        else:
            endpoint, address = plain_endpoint(*plan.server)
            self._machine = DumbProtocol(plan.config.agent_id, address, rng)
        self._endpoint = endpoint
        self._driver: UdpDriver[AgentEvent] = UdpDriver(
            self._machine, endpoint, clock, self._tell
        )
        holder = self._machine if isinstance(self._machine, AgentProtocol) else None
        control = ClassControl(
            holder, clock=clock, kick=self._reclassed, say=say, patterns=False
        )
        counts = agent_metrics(self, self.matching, self._machine)
        self._steering = Steering(
            control, plan.control, reread, say, agent_answers(counts), notifier=notifier
        )
        members = (
            backends(
                plan.wanted,
                plan.config.classes,
                clock=clock,
                chance=rng.random,
                say=say,
            )
            if holder is not None
            else []
        )
        self._backends = Backends(members, self._propose, say)
        self._joined = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._told: set[tuple[str, packets.ExceptionCode]] = set()
        self._refusals = Refusals(say)
        self._overflow_told = 0
        self.signals = 0

    def following(self) -> list[str]:
        """Return what this agent follows, for people."""
        return [source.describe() for source in self._sources]

    async def run(self, stop: asyncio.Event) -> bool:
        """Work until `stop` is set or every source has ended; say whether it was."""
        self._say_again()
        self._driver.start()
        self._backends.start()
        await self._steering.start()
        minding = [
            asyncio.create_task(self._watch_links()),
            asyncio.create_task(self._say_if_alone()),
            asyncio.create_task(self._keep_now_and_then()),
            asyncio.create_task(self._pass_storms()),
            asyncio.create_task(self._notifier.keep_alive()),
        ]
        tasks = [asyncio.create_task(self._run(source)) for source in self._sources]
        self._notifier.ready(f"sources: {len(tasks)}")
        stopping = asyncio.create_task(stop.wait())
        ended = asyncio.create_task(_all(tasks))
        try:
            await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
            self._notifier.stopping()
            self._pass(self.matching.drain())
            await self._last_chance(stopping)
        finally:
            for task in (*tasks, ended, stopping, *minding):
                task.cancel()
            await asyncio.gather(
                *tasks, ended, stopping, *minding, return_exceptions=True
            )
            await self._steering.close()
            await self._backends.close()
            self._driver.close()
            self._tell_overflow()
            self._keep.close()
            waiting = self._machine.unconfirmed()
            if waiting and self._keep.durable:
                self._say(f"{waiting} alerts are kept for the next start")
        return stop.is_set()

    def heard(self) -> bool:
        """Say whether a server took what was sent, as far as can be known."""
        if isinstance(self._machine, DumbProtocol):
            return not self._told
        return self._joined.is_set()

    def send(self, signal: Signal) -> None:
        """Send a signal of one's own."""
        self.signals += 1
        self._send([self._keep.identified(signal)])
        self._driver.kick()

    def _send(self, signals: Sequence[Signal], batch: Batch | None = None) -> None:
        """Keep what must arrive, and how far was read; then send."""
        self._machine.forget(self._keep.commit(signals, batch))
        now, wall = self._clock.now(), self._clock.wall()
        # Where one goes on after a stop, lines may be old; others came just now,
        # whatever time they bear: a sender's clock or zone may be wrong.
        resumed = batch is not None and bool(batch.marks)
        for signal in signals:
            old = resumed and signal.when
            self._machine.send(
                signal, now, max(0.0, wall - signal.when) if old else 0.0
            )

    def _say_again(self) -> None:
        """Send what an earlier process kept and nobody confirmed."""
        now, wall = self._clock.now(), self._clock.wall()
        for kept in self._keep.alerts():
            age_s = max(0.0, wall - kept.born)
            self._machine.send(kept.event, now, age_s, again=True)

    def _tell_overflow(self) -> None:
        """Say what was lost for want of a server: silence would be a lie."""
        lost = self._machine.overflowed - self._overflow_told
        self._overflow_told += lost
        if lost:
            self._say(f"{lost} events were dropped while no server was there")
        alerts = self._keep.dropped()
        if alerts:
            self._say(f"{alerts} alerts were dropped: more than are kept (agent.spool)")
        if self._joined.is_set():
            for signal in self._keep.report(lost):
                self.send(signal)

    async def _keep_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            self._machine.forget(self._keep.flush())

    async def _say_if_alone(self) -> None:
        """Say once, after a while, that nobody hears this agent yet."""
        if isinstance(self._machine, AgentProtocol):
            await asyncio.sleep(ALONE_S)
            if not self._joined.is_set():
                classes = ", ".join(self._machine.classes)
                self._say(f"no server of class {classes} yet: waiting for one")

    async def _watch_links(self) -> None:
        """Notice a network that comes late, or changes: DHCP, a cable, a laptop."""
        near = self._endpoint.networks()
        while isinstance(self._machine, AgentProtocol):
            await asyncio.sleep(LINKS_S)
            self._endpoint.look()
            if self._endpoint.networks() != near:
                near = self._endpoint.networks()
                self._machine.set_near(near, self._clock.now())
                self._driver.kick()

    def _propose(self, address: Address) -> None:
        assert isinstance(self._machine, AgentProtocol), "dumb clients look for nobody"
        self._machine.propose(address, self._clock.now())
        self._driver.kick()

    def _reclassed(self) -> None:
        assert isinstance(self._machine, AgentProtocol), "dumb clients have no classes"
        self._backends.set_classes(self._machine.classes)
        self._driver.kick()

    async def _last_chance(self, stopping: asyncio.Task[bool]) -> None:
        """Wait a moment for a server to take, and confirm, what is left."""
        if stopping.done():
            if self._machine.unconfirmed() and self._joined.is_set():
                await _either([self._confirmed.wait()], FLUSH_S)
            return
        if isinstance(self._machine, DumbProtocol):
            await _either([_stopped(stopping)], HINT_S)
        else:
            await _either([self._joined.wait(), _stopped(stopping)], FLUSH_S)
        if self._machine.unconfirmed():
            await _either([self._confirmed.wait(), _stopped(stopping)], FLUSH_S)

    async def _run(self, source: Source) -> None:
        failures = 0
        while True:
            began = self._clock.now()
            try:
                if isinstance(source, Poller | Prober):
                    await self._poll(source)
                else:
                    await self._follow(source)
            except SourceError as problem:
                said = str(problem)
            except OSError as problem:
                said = f"{source.describe()}: {problem.strerror}"
            except Exception as problem:  # noqa: BLE001 - one source must not end all
                said = f"{source.describe()}: {type(problem).__name__}: {problem}"
            else:
                return
            if self._clock.now() - began > RETRY_S[-1]:
                failures = 0  # it worked for long: this is another trouble
            pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
            if not failures:
                self._say(f"cannot follow {said}; trying again")
            failures += 1
            await asyncio.sleep(pause_s)

    async def _poll(self, source: Poller | Prober) -> None:
        while True:
            now = self._clock.now()
            if isinstance(source, Prober):
                found = await source.probe(now)
            else:
                found = source.poll(now)
            for signal in found:
                self.send(signal)
            await asyncio.sleep(source.interval_s)

    async def _follow(self, source: Stream) -> None:
        async for batch in source.batches():
            events = await self.matching.take(batch.lines)
            self.signals += len(events)
            self._send(events, batch)
            self._driver.kick()

    async def _pass_storms(self) -> None:
        while True:
            self._pass(await self.matching.later())

    def _pass(self, events: Sequence[Signal]) -> None:
        """Send what was folded: its lines' marks have been kept already."""
        self.signals += len(events)
        self._send(events)
        self._driver.kick()

    def _news(self, line: str) -> None:
        self._say(line)
        self._notifier.status(line)

    def _tell(self, event: AgentEvent, _now: float) -> None:
        match event:
            case Joined(address=(host, port), sealed=sealed):
                self._joined.set()
                self._backends.leased((host, port))
                how = f"sealed with the key of {sealed}" if sealed else "open"
                self._news(f"heard by {host} port {port}, {how}")
                self._tell_overflow()
            case Lapsed(address=(host, port)):
                self._backends.lost((host, port))
                self._news(f"no word from {host} port {port}: looking for servers")
            case Gone(address=(host, port)):
                self._backends.lost((host, port))
                self._news(f"{host} port {port} is gone")
            case Refused(address=(host, port), code=code):
                if (host, code) not in self._told and len(self._told) < MAX_TOLD:
                    self._told.add((host, code))
                    self._say(f"{host} port {port} {_WHY.get(code, 'refuses')}")
            case Confirmed(ids=ids):
                self._keep.confirm(ids)
                if not self._machine.unconfirmed():
                    self._confirmed.set()
            case Dropped(reason=reason, address=address):
                self._refusals.name(reason, address)


async def _stopped(stopping: asyncio.Task[bool]) -> None:
    """Wait for a task that must not be cancelled with the wait."""
    await asyncio.wait({stopping})


async def _either(
    waits: Sequence[Coroutine[None, None, object]], most_s: float
) -> None:
    """Wait for the first of these, or so long."""
    tasks = {asyncio.create_task(wait) for wait in waits}
    await asyncio.wait(tasks, timeout=most_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        await task
