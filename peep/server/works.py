"""The moving parts of a server, from its sockets to its mixer, wired and woken.

Datagrams, the journal's commits and time each wake something; whatever woke, `_tick`
then looks once at all that may be due.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

from peep.errors import PeepError
from peep.journal.journal import Journal
from peep.mixer.controls import Gain, Mute, Snooze, Solo
from peep.mixer.room import ROOMS
from peep.net import mdns
from peep.net.class_control import ClassControl
from peep.net.control import ChangeMix, ListControls
from peep.net.notify import SILENT
from peep.net.refusals import Refusals
from peep.net.steering import Steering
from peep.net.udp import UdpDriver
from peep.protocol.classes import matches
from peep.protocol.server import ServerProtocol
from peep.reasons import Reason
from peep.server import hosts
from peep.server.desk import Desk
from peep.server.knobs import Knobs
from peep.server.meters import server_metrics
from peep.server.pipeline import Pipeline
from peep.server.roster import Roster
from peep.server.view import View
from peep.sound.engine import SAMPLE_RATE_HZ, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from peep.clock import Clock
    from peep.console.serve import ConsoleServer
    from peep.mixer.controls import Act, Control
    from peep.mixer.outcomes import Outcome
    from peep.net.control import Request
    from peep.net.endpoint import Endpoint
    from peep.net.notify import Notifier
    from peep.protocol.events import ServerEvent
    from peep.server.app import ServerPlan
    from peep.sound.engine import Gap
    from peep.theme import SoundBank, Theme

ANYWHERE = ("127.0.0.1", None)  # a console that nobody asked for


class Works:
    """Runs from `start` to `close`, on the running loop.

    Making it opens the journal: PeepError if that cannot be.
    """

    def __init__(
        self,
        plan: ServerPlan,
        theme: Theme,
        engine: Engine,
        bank: SoundBank,
        endpoint: Endpoint,
        *,
        clock: Clock,
        rng: Random,
        say: Callable[[str], None],
        reread: Callable[[], Sequence[str]] | None,
        notifier: Notifier = SILENT,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._say = say
        self._endpoint = endpoint
        self._theme_name = theme.name
        self.missed: Mapping[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self.journal = self._open_journal()
        remembers = self.journal is not None and plan.remember
        kept = self.journal.roster() if self.journal and remembers else []
        self._roster = Roster(
            float(plan.config.lease_s), plan.expect, plan.ephemeral, kept, clock.now()
        )
        self.machine = ServerProtocol(plan.config, rng, os.urandom)
        self.desk = Desk(
            self.machine,
            self._roster,
            self.journal,
            clock=clock,
            say=say,
            refusals=Refusals(say),
            heard_s=lambda: engine.meters().frames / SAMPLE_RATE_HZ,
            verbose=plan.verbose,
            remembers=remembers,
        )
        self.pipeline = Pipeline(
            theme, engine, bank, rng, self._told, room=ROOMS[plan.room]
        )
        self.desk.attach(self.pipeline)
        self.knobs = Knobs(
            self.pipeline,
            plan.controls,
            plan.quiet,
            clock=clock,
            say=say,
            note=self.desk.tell,
        )
        self._view = self._make_view(engine)
        self._console = self._open_console()
        self._driver: UdpDriver[ServerEvent] = UdpDriver(
            self.machine, endpoint, clock, self._on_event
        )
        self._metrics = server_metrics(
            self.machine,
            self.pipeline.tally,
            self.desk,
            self.journal,
            endpoint=endpoint,
            engine=engine,
        )
        self._advert = self._make_advert()
        self._advertising: asyncio.Task[None] | None = None
        control = ClassControl(
            self.machine, clock=clock, kick=self._reclassed, say=say, patterns=True
        )
        self._steering = Steering(
            control, plan.control, reread, say, self._answer, notifier=notifier
        )

    async def start(self) -> None:
        """Begin to listen, and say so."""
        self.desk.tell("started")
        self.desk.tell_unheard(self._clock.now())
        self._driver.start()
        await self._steering.start()
        if self._advert is not None:
            self._advertising = asyncio.create_task(self._advert.run())
        config = self._plan.config
        self._say(
            f"listening on UDP port {self._endpoint.port}, "
            f"classes {', '.join(config.classes)}, theme {self._theme_name}"
        )
        for key in config.keys:
            if not any(matches(key.class_name, name) for name in self.machine.classes):
                self._say(
                    f"the key of class {key.class_name} is not used: serve the class "
                    f"with --classes {key.class_name}, or in peep.yaml"
                )
        self.knobs.start()
        if self._console is not None:
            self._console.start()
            self._say(f"hear it in a browser: {self._console.address}")
        self._tick()

    def sound_is_back(self, gap: Gap) -> None:
        """Tell a new engine all that the last had been told, and note the gap."""
        self.pipeline.restore(self._clock.now())
        detail = f"{gap.ended - gap.began:.1f} s of silence: {gap.why}"
        self.desk.tell("sound-back", detail)
        self._say(f"the sound is back after {detail}")

    async def close(self) -> None:
        """Say BYE, and record what is left."""
        await self._steering.close()
        if self._console is not None:
            await self._console.close()
        if self._advertising is not None:
            self._advertising.cancel()
            await asyncio.gather(self._advertising, return_exceptions=True)
        self.desk.dropped[Reason.OVERRUN] += self._endpoint.overrun()
        self.missed = self.machine.missed()
        self._driver.close()
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self.pipeline.finish()
        self.desk.tell("ended")
        if self.journal is not None:
            self.journal.close()

    # -- who wakes whom -----------------------------------------------------------

    def _on_event(self, event: ServerEvent, now: float) -> None:
        self.desk.on_event(event, now)
        if self._soon is None:
            self._come_soon()

    def _come_soon(self) -> None:
        """Look at what is due once all that came together was taken."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        """Let desk, roster and pipeline do what is due, and come back when more is."""
        self._soon = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now, wall = self._clock.now(), self._clock.wall()
        if _due(self._roster.next_timer(), now):
            self._roster.handle_timer(now, wall)
        self.desk.flush(now)
        if _due(self.pipeline.next_timer(), now):
            self.pipeline.handle_timer(now)
        if _due(self.knobs.next_timer(), now):
            self.knobs.handle_timer(now)
        self._driver.kick()
        times = (
            self.pipeline.next_timer(),
            self._roster.next_timer(),
            self.knobs.next_timer(),
        )
        at = min((t for t in times if t is not None), default=None)
        if at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, at - now), self._tick)

    def _told(self, outcome: Outcome) -> None:
        self.desk.outcome(outcome)
        if self._view is not None:
            self._view.outcome(outcome)

    def _make_view(self, engine: Engine) -> View | None:
        if self._plan.console is None or engine.ring is None:
            return None
        return View(
            self.pipeline,
            engine,
            self.knobs,
            clock=self._clock,
            agents=self.machine.agents,
            theme=self._theme_name,
            output=self._plan.output,
        )

    def _open_console(self) -> ConsoleServer | None:
        """Return the console that was asked for; without it, the sound goes on."""
        if self._view is None or self._plan.console is None:
            return None
        try:
            # Loaded only where it is used: a web server takes its time.
            from peep.console.serve import ConsoleServer  # noqa: PLC0415

            host, number = self._plan.console
            return ConsoleServer(self._view, host, number, self._plan.token)
        except PeepError as problem:
            if self._plan.console != ANYWHERE:
                raise
            self._say(f"{problem}; nobody can listen in a browser")
        except ModuleNotFoundError as missing:
            self._say(
                f"the console needs {missing.name}: "
                "pip install 'peep-auralizer[server]'"
            )
        return None

    def _settle(self) -> None:
        self.desk.settle()
        self._come_soon()

    def _open_journal(self) -> Journal | None:
        if self._plan.journal is None:
            return None
        loop = asyncio.get_running_loop()

        def wake() -> None:  # called from the journal's thread
            with contextlib.suppress(RuntimeError):  # the loop is closed: the end
                loop.call_soon_threadsafe(self._settle)

        journal = Journal(
            self._plan.journal,
            clock=self._clock,
            say=self._say,
            wake=wake,
            limits=self._plan.limits,
        )
        journal.start()
        return journal

    # -- classes, and questions -----------------------------------------------------

    def _answer(self, request: Request) -> dict[str, object]:
        match request:
            case ListControls():
                return self._mix(self.knobs.controls())
            case ChangeMix(act=act):
                controls = self.knobs.act(act)
                self._come_soon()
                return {**self._mix(controls), "hint": self._hint(act)}
        answer = hosts.answer(
            request,
            infos=self.machine.infos,
            roster=self._roster,
            metrics=self._metrics,
            clock=self._clock,
        )
        self._come_soon()
        return answer

    def _reclassed(self) -> None:
        if self._advert is not None:
            self._advert.set_classes(self._told_anywhere(), more=self._more())
        self._driver.kick()

    def _make_advert(self) -> mdns.Advert | None:
        """Return what tells of this server by mDNS; PeepError if it cannot."""
        plan = self._plan
        if not plan.mdns:
            return None
        return mdns.Advert(
            plan.host,
            plan.config.server_id,
            self._endpoint.port,
            self._told_anywhere(),
            interfaces=plan.interfaces,
            more=self._more(),
        )

    def _told_anywhere(self) -> list[str]:
        """Return the classes whose names are not kept within subnets."""
        return [n for n in self.machine.classes if n not in self._plan.config.subnets]

    def _mix(self, controls: tuple[Control, ...]) -> dict[str, object]:
        return {
            "controls": msgspec.to_builtins(controls),
            "words": self.knobs.in_words(),
        }

    def _hint(self, act: Act) -> str:
        if not isinstance(act, Mute | Solo | Snooze | Gain):
            return ""
        infos = self.machine.infos(self._clock.now())
        return hosts.unheard(act.scope, infos, self._roster, self.machine.classes)

    def _more(self) -> bool:
        return bool(self._plan.config.subnets)


def _due(at: float | None, now: float) -> bool:
    return at is not None and now >= at
