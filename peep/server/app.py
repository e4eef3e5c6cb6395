"""A server at work: the engine started and watched, and all else (works.py) between.

Runs until told to stop, or for a number of seconds of sound.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from peep.errors import EngineError, PeepError
from peep.journal.writer import Limits
from peep.net.notify import SILENT, Notifier, Progress
from peep.net.sockets import server_endpoint
from peep.server.pipeline import Tally
from peep.server.works import Works
from peep.sound.engine import SAMPLE_RATE_HZ, Engine, Meters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from random import Random

    from peep.clock import Clock
    from peep.config.quiet import QuietSpan
    from peep.protocol.door import ServerConfig
    from peep.reasons import Reason
    from peep.theme import SoundBank, Theme

LOOK_S = 0.05  # between looks at the engine


class ServerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is to do.

    `port` None: 2001, or a free one if that is busy. `journal` None: nothing is
    recorded. `expect` are hosts that must be there, `ephemeral` patterns of those that
    come and go. `console` is host and port (None: 2080 or a free one) of the web page,
    None for none; `controls` the file that keeps what the operator turned. Without
    `remember` nobody is missed after a restart.
    """

    config: ServerConfig
    port: int | None = None
    interfaces: tuple[str, ...] = ()
    hops: int = 1
    seconds: float | None = None
    host: str = ""
    mdns: bool = False
    control: Path | None = None
    verbose: bool = False
    journal: Path | None = None
    limits: Limits = Limits()
    expect: tuple[str, ...] = ()
    ephemeral: tuple[str, ...] = ()
    output: str = "null"
    room: str = "room"
    quiet: tuple[QuietSpan, ...] = ()
    controls: Path | None = None
    console: tuple[str, int | None] | None = None
    token: str = ""
    remember: bool = True


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a session, for people and for --json.

    `missed` are datagrams that were sent and never came, by host; `repeated` alerts
    that came again and were known; `unrecorded` signals that the journal could not
    take.
    """

    signals: int
    cues: int
    suppressions: dict[str, int]
    dropped: dict[str, int]
    seconds: float
    integrated_lufs: float | None
    true_peak_dbtp: float | None
    failure: str | None
    missed: dict[str, int] = {}
    repeated: int = 0
    unrecorded: int = 0


def summarise(
    tally: Tally,
    meters: Meters,
    failure: str | None,
    *,
    dropped: Mapping[Reason, int] = {},
    missed: Mapping[str, int] = {},
    repeated: int = 0,
    unrecorded: int = 0,
) -> Summary:
    """Join what was counted on the way in and what the engine measured."""
    return Summary(
        signals=tally.signals,
        cues=tally.cues,
        suppressions=_plain(tally.suppressions),
        dropped=_plain(dropped),
        seconds=meters.frames / SAMPLE_RATE_HZ,
        integrated_lufs=_finite(meters.integrated_lufs),
        true_peak_dbtp=_finite(meters.true_peak_dbtp),
        failure=failure,
        missed=dict(missed),
        repeated=repeated,
        unrecorded=unrecorded,
    )


class ServerApp:
    """Runs a plan until stopped, or until so many seconds have sounded."""

    def __init__(
        self,
        plan: ServerPlan,
        theme: Theme,
        engine: Engine,
        *,
        clock: Clock,
        rng: Random,
        say: Callable[[str], None],
        reread: Callable[[], Sequence[str]] | None = None,
        notifier: Notifier = SILENT,
    ) -> None:
        """Open the sockets. `reread` loads the classes anew, for SIGHUP."""
        self._plan = plan
        self._reread = reread
        self._theme = theme
        self._engine = engine
        self._clock = clock
        self._rng = rng
        self._say = say
        self._notifier = notifier
        self._endpoint, self._note = server_endpoint(
            plan.port, plan.interfaces, hops=plan.hops, mtu_bytes=plan.config.mtu_bytes
        )
        self.port = self._endpoint.port
        self.ready = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> Summary:
        """Start the engine, serve, and say in the end what became of everything."""
        bank = await self._start_engine(stop)
        if bank is None:
            self._endpoint.close()
            self._engine.stop()
            return summarise(Tally(), Meters(), None)
        works = self._make_works(bank)
        for note in (self._note, self._engine.note):
            if note is not None:
                self._say(note)
        await works.start()
        self.ready.set()
        self._notifier.ready(f"listening on UDP port {self.port}")
        failure = None
        try:
            failure = await self._watch(works, stop)
        finally:
            self._notifier.stopping()
            await works.close()
            meters = self._engine.stop()
        return summarise(
            works.pipeline.tally,
            meters,
            failure or self._engine.failure(),
            dropped=works.desk.dropped,
            missed=works.missed,
            repeated=works.desk.alerts.repeated,
            unrecorded=0 if works.journal is None else works.journal.lost,
        )

    def _make_works(self, bank: SoundBank) -> Works:
        try:
            return Works(
                self._plan,
                self._theme,
                self._engine,
                bank,
                self._endpoint,
                clock=self._clock,
                rng=self._rng,
                say=self._say,
                reread=self._reread,
                notifier=self._notifier,
            )
        except PeepError:
            self._endpoint.close()
            self._engine.stop()
            raise

    async def _start_engine(self, stop: asyncio.Event) -> SoundBank | None:
        """Return what the engine made, or None if the end came first."""
        # In a thread: making the sounds takes a second, and Ctrl-C must not wait.
        starting = asyncio.create_task(asyncio.to_thread(self._engine.start))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        try:
            if stop.is_set():
                self._engine.stop()
            bank = await starting
        except EngineError:
            if not stop.is_set():
                self._endpoint.close()
                raise
        else:
            if not stop.is_set():
                return bank
        return None

    async def _watch(self, works: Works, stop: asyncio.Event) -> str | None:
        """Look after the engine until the end; return what went wrong with it."""
        last, failing = None, False
        progress = Progress(self._notifier, self._clock.now())
        while not stop.is_set():
            gap = self._engine.look()
            if gap is not None:
                works.sound_is_back(gap)
            failure = self._engine.failure()
            # Once until it heals: how long it lasts would be a new line every second.
            if failure is not None and not failing:
                self._say(failure)
            failing = failure is not None
            last = failure or last
            frames = self._engine.meters().frames
            progress.look(frames, self._clock.now())
            sounded_s = frames / SAMPLE_RATE_HZ
            if self._plan.seconds is not None and sounded_s >= self._plan.seconds:
                break
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping}, timeout=LOOK_S)
            stopping.cancel()
        return last


def _plain(counts: Mapping[Reason, int]) -> dict[str, int]:
    return {str(reason): count for reason, count in sorted(counts.items()) if count}


def _finite(value: float) -> float | None:
    return round(value, 1) if value > float("-inf") else None
