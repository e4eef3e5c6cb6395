"""An agent at work: sources → rules → protocol → network.

Each source is a task of its own. One that fails is said once, and tried again with
growing pauses; the others go on.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources import Poller, Stream, open_source
from peep.errors import SourceError
from peep.net.backends import Backends, Wanted, backends
from peep.net.class_control import ClassControl
from peep.net.refusals import Refusals
from peep.net.sockets import agent_endpoint, plain_endpoint
from peep.net.steering import Steering
from peep.net.udp import UdpDriver
from peep.protocol import packets
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.dumb import DumbProtocol
from peep.protocol.events import (
    AgentEvent,
    Dropped,
    Gone,
    Joined,
    Lapsed,
    Refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

    from peep.clock import Clock
    from peep.protocol.addresses import Address
    from peep.rules import RuleSet
    from peep.signals import Signal

RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # pauses before a failed source is tried again
MAX_TOLD = 256  # refusing servers that are named; hints cost nothing to forge
ALONE_S = 5.0  # a search takes less
LINKS_S = 5.0  # between looks at this host's interfaces
HINT_S = 0.3  # a dumb client has nothing to wait for but a refusal
FLUSH_S = 1.0  # how long the last signals may wait for a server at the end


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
    ) -> None:
        """Open the sockets. `reread` loads the classes anew, for SIGHUP."""
        self._rules = rules
        self._clock = clock
        self._say = say
        self._sources = [open_source(spec, clock) for spec in plan.sources]
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
            self._machine = DumbProtocol(plan.config.agent_id, address)
        self._endpoint = endpoint
        self._driver: UdpDriver[AgentEvent | Refused] = UdpDriver(
            self._machine, endpoint, clock, self._tell
        )
        holder = self._machine if isinstance(self._machine, AgentProtocol) else None
        control = ClassControl(
            holder, clock=clock, kick=self._reclassed, say=say, patterns=False
        )
        self._steering = Steering(control, plan.control, reread, say)
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
        self._told: set[tuple[str, packets.ExceptionCode]] = set()
        self._refusals = Refusals(say)
        self._overflow_told = 0
        self.lines = 0
        self.matched = 0
        self.signals = 0

    def following(self) -> list[str]:
        """Return what this agent follows, for people."""
        return [source.describe() for source in self._sources]

    async def run(self, stop: asyncio.Event) -> bool:
        """Work until `stop` is set or every source has ended; say whether it was."""
        self._driver.start()
        self._backends.start()
        await self._steering.start()
        minding = [
            asyncio.create_task(self._watch_links()),
            asyncio.create_task(self._say_if_alone()),
        ]
        tasks = [asyncio.create_task(self._keep(source)) for source in self._sources]
        stopping = asyncio.create_task(stop.wait())
        ended = asyncio.create_task(_all(tasks))
        try:
            await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
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
        return stop.is_set()

    def heard(self) -> bool:
        """Say whether a server took what was sent, as far as can be known."""
        if isinstance(self._machine, DumbProtocol):
            return not self._told
        return self._joined.is_set()

    def send(self, signal: Signal) -> None:
        """Send a signal of one's own."""
        self.signals += 1
        self._machine.send(signal, self._clock.now())
        self._driver.kick()

    def _tell_overflow(self) -> None:
        """Say what was lost for want of a server: silence would be a lie."""
        if not isinstance(self._machine, AgentProtocol):
            return
        lost = self._machine.overflowed - self._overflow_told
        if lost:
            self._overflow_told += lost
            self._say(f"{lost} events were dropped while no server was there")

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
        """Wait a moment for a server to take what the sources left."""
        dumb = isinstance(self._machine, DumbProtocol)
        waiting = asyncio.create_task(self._joined.wait())
        await asyncio.wait(
            {waiting, stopping},
            timeout=HINT_S if dumb else FLUSH_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        waiting.cancel()

    async def _keep(self, source: Stream | Poller) -> None:
        failures = 0
        while True:
            began = self._clock.now()
            try:
                if isinstance(source, Poller):
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

    async def _poll(self, source: Poller) -> None:
        while True:
            for signal in source.poll(self._clock.now()):
                self.send(signal)
            await asyncio.sleep(source.interval_s)

    async def _follow(self, source: Stream) -> None:
        async for batch in source.batches():
            now = self._clock.now()
            for line in batch.lines:
                self.lines += 1
                event = self._rules.event(line)
                if event is not None:
                    self.matched += 1
                    self.signals += 1
                    self._machine.send(event, now)
            self._driver.kick()

    def _tell(self, event: AgentEvent | Refused, _now: float) -> None:
        match event:
            case Joined(address=(host, port), sealed=sealed):
                self._joined.set()
                self._backends.leased((host, port))
                how = f"sealed with the key of {sealed}" if sealed else "open"
                self._say(f"heard by {host} port {port}, {how}")
                self._tell_overflow()
            case Lapsed(address=(host, port)):
                self._backends.lost((host, port))
                self._say(f"no word from {host} port {port}: looking for servers")
            case Gone(address=(host, port)):
                self._backends.lost((host, port))
                self._say(f"{host} port {port} is gone")
            case Refused(address=(host, port), code=code):
                if (host, code) not in self._told and len(self._told) < MAX_TOLD:
                    self._told.add((host, code))
                    self._say(f"{host} port {port} {_WHY.get(code, 'refuses')}")
            case Dropped(reason=reason, address=address):
                self._refusals.name(reason, address)


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        await task
