"""A server at work: network → protocol → pipeline → engine, until told to stop.

What the server itself has to say (an agent lost, or back) goes the way of every other
signal, so that it is heard, counted and journalled alike.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from peep.errors import EngineError
from peep.loglines import printable
from peep.mixer.mixer import Cue, Outcome, Suppression
from peep.net import mdns
from peep.net.class_control import ClassControl
from peep.net.refusals import Refusals
from peep.net.sockets import server_endpoint
from peep.net.steering import Steering
from peep.net.udp import UdpDriver
from peep.protocol.classes import matches
from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Dropped,
    ServerEvent,
    SignalReceived,
)
from peep.protocol.server import ServerProtocol
from peep.reasons import Reason
from peep.server.pipeline import Pipeline, Tally
from peep.signals import Event, Tier
from peep.sound.engine import SAMPLE_RATE_HZ, Engine, Meters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

    from peep.clock import Clock
    from peep.protocol.door import ServerConfig
    from peep.theme import SoundBank, Theme

LOOK_S = 0.05  # between looks at the engine


class ServerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is to do. `port` None: 2001, or a free one if that is busy."""

    config: ServerConfig
    port: int | None = None
    interfaces: tuple[str, ...] = ()
    hops: int = 1
    seconds: float | None = None
    host: str = ""
    mdns: bool = False
    control: Path | None = None
    verbose: bool = False


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a session, for people and for --json."""

    signals: int
    cues: int
    suppressions: dict[str, int]
    dropped: dict[str, int]
    seconds: float
    integrated_lufs: float | None
    true_peak_dbtp: float | None
    failure: str | None


def summarise(
    tally: Tally, dropped: Counter[Reason], meters: Meters, failure: str | None
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
    ) -> None:
        """Open the sockets. `reread` loads the classes anew, for SIGHUP."""
        self._plan = plan
        self._reread = reread
        self._theme = theme
        self._engine = engine
        self._clock = clock
        self._rng = rng
        self._say = say
        self._dropped: Counter[Reason] = Counter()
        self._refusals = Refusals(say)
        self._pipeline: Pipeline | None = None
        self._timer: asyncio.TimerHandle | None = None
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
            return summarise(Tally(), self._dropped, Meters(), None)
        for note in (self._note, self._engine.note):
            if note is not None:
                self._say(note)
        pipeline = Pipeline(self._theme, self._engine, bank, self._rng, self._outcome)
        self._pipeline = pipeline
        machine = ServerProtocol(self._plan.config, self._rng, os.urandom)
        driver: UdpDriver[ServerEvent] = UdpDriver(
            machine, self._endpoint, self._clock, self._on_event
        )
        advert = self._advert(machine)

        def reclassed() -> None:
            if advert is not None:
                advert.set_classes(self._told_anywhere(machine), more=self._more())
            driver.kick()

        control = ClassControl(
            machine, clock=self._clock, kick=reclassed, say=self._say, patterns=True
        )
        steering = Steering(control, self._plan.control, self._reread, self._say)
        driver.start()
        await steering.start()
        advertising = None if advert is None else asyncio.create_task(advert.run())
        config = self._plan.config
        self._say(
            f"listening on UDP port {self.port}, classes {', '.join(config.classes)}, "
            f"theme {self._theme.name}"
        )
        for key in config.keys:
            if not any(matches(key.class_name, name) for name in machine.classes):
                self._say(
                    f"the key of class {key.class_name} is not used: serve the class "
                    f"with --classes {key.class_name}, or in peep.yaml"
                )
        self._tick()
        self.ready.set()
        failure = None
        try:
            failure = await self._watch(stop)
        finally:
            await steering.close()
            if advertising is not None:
                advertising.cancel()
                await asyncio.gather(advertising, return_exceptions=True)
            self._dropped[Reason.OVERRUN] += self._endpoint.overrun()
            driver.close()
            if self._timer is not None:
                self._timer.cancel()
            pipeline.finish()
            meters = self._engine.stop()
        return summarise(
            pipeline.tally, self._dropped, meters, failure or self._engine.failure()
        )

    def _advert(self, machine: ServerProtocol) -> mdns.Advert | None:
        """Return what tells of this server by mDNS; PeepError if it cannot."""
        plan = self._plan
        if not plan.mdns:
            return None
        return mdns.Advert(
            plan.host,
            plan.config.server_id,
            self.port,
            self._told_anywhere(machine),
            interfaces=plan.interfaces,
            more=self._more(),
        )

    def _told_anywhere(self, machine: ServerProtocol) -> list[str]:
        """Return the classes whose names are not kept within subnets."""
        return [n for n in machine.classes if n not in self._plan.config.subnets]

    def _more(self) -> bool:
        return bool(self._plan.config.subnets)

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

    async def _watch(self, stop: asyncio.Event) -> str | None:
        """Look after the engine until the end; return what went wrong with it."""
        said = None
        while not stop.is_set():
            failure = self._engine.failure()
            if failure is not None and failure != said:
                said = failure
                self._say(failure)
            sounded_s = self._engine.meters().frames / SAMPLE_RATE_HZ
            if self._plan.seconds is not None and sounded_s >= self._plan.seconds:
                break
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping}, timeout=LOOK_S)
            stopping.cancel()
        return said

    def _tick(self) -> None:
        """Let the pipeline do what is due, and come back when more is."""
        pipeline = self._pipeline
        assert pipeline is not None, "there is a pipeline once the engine runs"
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.now()
        due = pipeline.next_timer()
        if due is not None and due <= now:
            pipeline.handle_timer(now)
            due = pipeline.next_timer()
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - now), self._tick)

    def _on_event(self, event: ServerEvent, now: float) -> None:
        pipeline = self._pipeline
        assert pipeline is not None, "the driver starts after the engine"
        match event:
            case SignalReceived(peer=peer, signal=signal, age_s=age_s):
                pipeline.feed(signal, now, _origin(peer.agent_id), age_s)
            case AgentJoined(peer=peer, classes=classes, back=back, sealed=sealed):
                again = "is back" if back else "joined"
                how = "sealed" if sealed else "open"
                said = f"agent {peer.host} ({peer.address[0]}) {again}"
                self._say(f"{said}: {', '.join(classes)}, {how}")
                if back:
                    self._tell("peep.agent-back", Tier.NOTABLE, peer.host, now)
            case AgentLate(peer=peer):
                self._say(f"agent {peer.host} is late: nothing heard for a lease")
            case AgentReturned(peer=peer):
                self._say(f"agent {peer.host} is heard again")
            case AgentLost(peer=peer):
                self._say(f"agent {peer.host} is lost")
                pipeline.forget(_origin(peer.agent_id))
                self._tell("peep.agent-lost", Tier.ALERT, peer.host, now)
            case AgentLeft(peer=peer, dumb=dumb):
                if not dumb:
                    self._say(f"agent {peer.host} left")
                pipeline.forget(_origin(peer.agent_id))
            case Dropped(reason=reason, address=address, count=count):
                self._dropped[reason] += count
                self._refusals.name(reason, address)
        self._tick()

    def _tell(self, name: str, tier: Tier, host: str, now: float) -> None:
        assert self._pipeline is not None, "only the running server tells"
        event = Event(name=name, tier=tier, family="network", host=host)
        self._pipeline.feed(event, now)

    def _outcome(self, outcome: Outcome) -> None:
        signal = outcome.signal
        alert = isinstance(signal, Event) and signal.tier is Tier.ALERT
        if not alert and not self._plan.verbose:
            return
        what = f"{'alert ' if alert else ''}{signal.name} from {signal.host}"
        match outcome:
            case Cue(sound=sound):
                # The text came over the network: a terminal must not obey it.
                text = signal.text if isinstance(signal, Event) else ""
                shown = printable(text.encode("utf-8", "replace"))
                self._say(f"{what}: {sound}{': ' if shown else ''}{shown}")
            case Suppression(reason=reason):
                self._say(f"{what}: unheard, {reason}")


def _origin(agent_id: bytes) -> str:
    return agent_id.hex()


def _plain(counts: Counter[Reason]) -> dict[str, int]:
    return {str(reason): count for reason, count in sorted(counts.items()) if count}


def _finite(value: float) -> float | None:
    return round(value, 1) if value > float("-inf") else None
