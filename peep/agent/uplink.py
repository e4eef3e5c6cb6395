"""An agent's way to its servers: protocol, sockets, and who proposes addresses.

What happens there is told to people here.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import msgspec

from peep.net.backends import Backends, backends
from peep.net.class_control import ClassControl
from peep.net.refusals import Refusals
from peep.net.sockets import agent_endpoint, plain_endpoint
from peep.net.udp import UdpDriver
from peep.protocol import packets
from peep.protocol.agent import AgentProtocol
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
    from collections.abc import Callable, Sequence
    from random import Random

    from peep.agent.plan import AgentPlan
    from peep.clock import Clock
    from peep.protocol.addresses import Address
    from peep.signals import SignalId

MAX_TOLD = 256  # refusing servers that are named; hints cost nothing to forge
ALONE_S = 5.0  # a search takes less
LINKS_S = 5.0  # between looks at this host's interfaces

_WHY = {
    packets.ExceptionCode.NOT_ADMITTED: "refuses: it takes signals without a lease "
    "only from its `dumb_networks` and into class public",
    packets.ExceptionCode.KEY_NEEDED: "serves these classes only with their key: "
    "peep join",
    packets.ExceptionCode.UNKNOWN_KEY: "does not hold the key that was tried",
    packets.ExceptionCode.VERSION: "does not speak protocol 3",
}


class Uplink:
    """Finds servers and speaks to them, from `start` to `close`.

    `joined` is set once a server was found; `on_joined` is called for each, and
    `on_confirmed` with the ids of alerts that are on record. `news` and `say` tell the
    operator, the first what matters for long.
    """

    def __init__(
        self,
        plan: AgentPlan,
        *,
        clock: Clock,
        rng: Random,
        say: Callable[[str], None],
        news: Callable[[str], None],
        on_joined: Callable[[], None],
        on_confirmed: Callable[[Sequence[SignalId]], None],
    ) -> None:
        """Open the sockets."""
        self._clock = clock
        self._say = say
        self._news = news
        self._on_joined = on_joined
        self._on_confirmed = on_confirmed
        self._told: set[tuple[str, packets.ExceptionCode]] = set()
        self._refusals = Refusals(say)
        self.joined = asyncio.Event()
        self.machine: AgentProtocol | DumbProtocol
        if plan.server is None:
            endpoint, note = agent_endpoint(
                plan.interfaces, hops=plan.hops, mtu_bytes=plan.config.mtu_bytes
            )
            config = msgspec.structs.replace(plan.config, near=endpoint.networks())
            self.machine = AgentProtocol(config, rng, os.urandom)
            if note is not None:
                say(note)
        else:
            endpoint, address = plain_endpoint(*plan.server)
            self.machine = DumbProtocol(plan.config.agent_id, address, rng)
        self._endpoint = endpoint
        self._driver: UdpDriver[AgentEvent] = UdpDriver(
            self.machine, endpoint, clock, self._tell
        )
        members = (
            []
            if self.is_dumb
            else backends(
                plan.wanted,
                plan.config.classes,
                clock=clock,
                chance=rng.random,
                say=say,
            )
        )
        self._backends = Backends(members, self._propose, say)
        holder = self.machine if isinstance(self.machine, AgentProtocol) else None
        self.classes = ClassControl(
            holder, clock=clock, kick=self._reclassed, say=say, patterns=False
        )

    @property
    def is_dumb(self) -> bool:
        """Say whether it looks for nobody, and holds no lease."""
        return isinstance(self.machine, DumbProtocol)

    def start(self) -> None:
        """Begin, on the running loop."""
        self._driver.start()
        self._backends.start()

    async def close(self) -> None:
        """Say good-bye, and let go of the sockets."""
        await self._backends.close()
        self._driver.close()

    def kick(self) -> None:
        """Send what the machine was given."""
        self._driver.kick()

    def heard(self) -> bool:
        """Say whether a server took what was sent, as far as can be known."""
        return not self._told if self.is_dumb else self.joined.is_set()

    async def say_if_alone(self) -> None:
        """Say once, after a while, that nobody hears this agent yet."""
        if isinstance(self.machine, AgentProtocol):
            await asyncio.sleep(ALONE_S)
            if not self.joined.is_set():
                classes = ", ".join(self.machine.classes)
                self._say(f"no server of class {classes} yet: waiting for one")

    async def watch_links(self) -> None:
        """Notice a network that comes late, or changes: DHCP, a cable, a laptop."""
        near = self._endpoint.networks()
        while isinstance(self.machine, AgentProtocol):
            await asyncio.sleep(LINKS_S)
            self._endpoint.look()
            if self._endpoint.networks() != near:
                near = self._endpoint.networks()
                self.machine.set_near(near, self._clock.now())
                self._driver.kick()

    def _propose(self, address: Address) -> None:
        assert isinstance(self.machine, AgentProtocol), "dumb clients look for nobody"
        self.machine.propose(address, self._clock.now())
        self._driver.kick()

    def _reclassed(self) -> None:
        assert isinstance(self.machine, AgentProtocol), "dumb clients have no classes"
        self._backends.set_classes(self.machine.classes)
        self._driver.kick()

    def _tell(self, event: AgentEvent, _now: float) -> None:
        match event:
            case Joined(address=(host, port), sealed=sealed):
                self.joined.set()
                self._backends.leased((host, port))
                how = f"sealed with the key of {sealed}" if sealed else "open"
                self._news(f"heard by {host} port {port}, {how}")
                self._on_joined()
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
                self._on_confirmed(ids)
            case Dropped(reason=reason, address=address):
                self._refusals.name(reason, address)
