"""`peep.Discovery`: which servers are there, for other programs.

    class Printer(DiscoveryListener):
        def discovered(self, server):
            print(server.address, server.classes)

    async with Discovery(["public"], listeners=[Printer()]) as discovery:
        await asyncio.sleep(10)

What is found is what neighbours say of themselves, unproved: agree nothing upon it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from typing import TYPE_CHECKING, Literal, Self

from peep.clock import SystemClock
from peep.net.backends import Backends, Wanted, backends
from peep.net.locators import parse_locator
from peep.net.sockets import agent_endpoint
from peep.net.udp import UdpDriver
from peep.protocol.discovery import SeekConfig
from peep.protocol.packets import ID_BYTES
from peep.protocol.presence import (
    SILENCE_S,
    Changed,
    Discarded,
    Discovered,
    PresenceEvent,
    PresenceProtocol,
    Server,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from peep.protocol.addresses import Address

__all__ = ["Discovery", "DiscoveryListener", "Server"]


class DiscoveryListener:
    """What is told; override what matters.

    Calls come on the loop's thread, one at a time, also where one of them adds or
    removes listeners. An exception goes to the loop's handler.
    """

    def discovered(self, server: Server) -> None:
        """Hear of a server that is there; also of all that were, when joining."""

    def changed(self, server: Server) -> None:
        """Hear that a server serves other classes than before."""

    def discarded(self, server: Server) -> None:
        """Hear that a server is there no more."""


class Discovery:
    """Looks for servers of these classes while its `async with` lasts.

    A server is discarded when it is silent for `silence_s`, though it was asked.
    `locators` are `peep://host[:port]`, `domains` are asked for DNS SRV. PeepError
    tells what cannot be used: an interface, a locator, an extra that is missing.
    `say` takes lines for people, about what does not work just now.
    """

    def __init__(
        self,
        classes: Sequence[str] = ("public",),
        *,
        interfaces: Sequence[str] = (),
        locators: Iterable[str] = (),
        domains: Iterable[str] = (),
        mdns: bool = False,
        silence_s: float = SILENCE_S,
        listeners: Iterable[DiscoveryListener] = (),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._classes = tuple(classes)
        self._interfaces = tuple(interfaces)
        self._wanted = Wanted(
            locators=tuple(map(parse_locator, locators)),
            domains=tuple(domains),
            mdns=mdns,
            interfaces=self._interfaces,
        )
        self._silence_s = silence_s
        self._say = say
        self._clock = SystemClock()
        self._listeners = list(listeners)
        self._servers: dict[bytes, Server] = {}
        self._calls: deque[
            tuple[
                DiscoveryListener,
                Literal["discovered", "changed", "discarded"],
                Server,
            ]
        ] = deque()
        self._calling = False

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers that are there now."""
        return tuple(self._servers.values())

    def add_listener(self, listener: DiscoveryListener) -> None:
        """Tell `listener` from now on, and first of all that are there already."""
        self._listeners.append(listener)
        self._calls += [(listener, "discovered", s) for s in self._servers.values()]
        self._call()

    def remove_listener(self, listener: DiscoveryListener) -> None:
        """Tell `listener` no more; ValueError if it was never added."""
        self._listeners.remove(listener)

    async def __aenter__(self) -> Self:
        # Neither jitter nor the id is a secret.
        chance = random.Random().random  # noqa: S311
        members = backends(
            self._wanted,
            self._classes,
            clock=self._clock,
            chance=chance,
            say=self._say,
        )
        endpoint, note = agent_endpoint(self._interfaces)
        if note is not None:
            self._say(note)
        config = SeekConfig(
            agent_id=os.urandom(ID_BYTES),
            classes=self._classes,
            near=endpoint.networks(),
        )
        self._machine = PresenceProtocol(config, chance, self._silence_s)
        self._driver: UdpDriver[PresenceEvent] = UdpDriver(
            self._machine, endpoint, self._clock, self._on_event
        )
        self._backends = Backends(members, self._propose, self._say)
        self._driver.start()
        self._backends.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._driver.close()
        await self._backends.close()

    def _propose(self, address: Address) -> None:
        self._machine.propose(address, self._clock.now())
        self._driver.kick()

    def _on_event(self, event: PresenceEvent, _now: float) -> None:
        server = event.server
        match event:
            case Discovered():
                self._servers[server.server_id] = server
                self._backends.leased(server.address)
                self._tell("discovered", server)
            case Changed():
                self._servers[server.server_id] = server
                self._tell("changed", server)
            case Discarded():
                del self._servers[server.server_id]
                self._backends.lost(server.address)
                self._tell("discarded", server)

    def _tell(
        self, what: Literal["discovered", "changed", "discarded"], server: Server
    ) -> None:
        self._calls += [(listener, what, server) for listener in self._listeners]
        self._call()

    def _call(self) -> None:
        """Make the calls that wait, unless this is within one of them."""
        if self._calling:
            return
        self._calling = True
        try:
            while self._calls:
                listener, what, server = self._calls.popleft()
                if listener not in self._listeners:
                    continue
                try:
                    getattr(listener, what)(server)
                except Exception as problem:  # noqa: BLE001 - whose code is it?
                    asyncio.get_running_loop().call_exception_handler(
                        {"message": f"{listener!r} failed", "exception": problem}
                    )
        finally:
            self._calling = False
