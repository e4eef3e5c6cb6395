"""All ways to find servers beside broadcast and multicast, run side by side."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from peep.errors import PeepError
from peep.net import mdns, srv
from peep.net.locators import Backend, Finder, Locator, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peep.clock import Clock
    from peep.protocol.addresses import Address
    from peep.protocol.lease import Chance

RESTART_S = 60.0  # after a backend failed: an interface may be up by then


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look beside the links themselves.

    `interfaces` are mDNS's; without, it is those that broadcasts go to.
    """

    locators: tuple[Locator, ...] = ()
    domains: tuple[str, ...] = ()
    mdns: bool = False
    interfaces: tuple[str, ...] = ()


def backends(
    wanted: Wanted,
    classes: Sequence[str],
    *,
    clock: Clock,
    chance: Chance,
    say: Callable[[str], None],
) -> list[Backend]:
    """Return what was wanted; PeepError if a part for it is not installed."""
    found: list[Backend] = [
        Finder(
            partial(resolve, locator.host, locator.port),
            clock=clock,
            chance=chance,
            say=say,
        )
        for locator in wanted.locators
    ]
    if wanted.domains:
        asking = srv.resolver()
        found += [
            Finder(
                partial(srv.addresses_of, domain, asking),
                clock=clock,
                chance=chance,
                say=say,
            )
            for domain in wanted.domains
        ]
    if wanted.mdns:
        found.append(
            mdns.Browser(
                classes, interfaces=wanted.interfaces, clock=clock, chance=chance
            )
        )
    return found


class Backends:
    """Runs backends from `start` to `close`; one that fails is said and tried again."""

    def __init__(
        self,
        members: Sequence[Backend],
        propose: Callable[[Address], None],
        say: Callable[[str], None],
    ) -> None:
        self._members = members
        self._propose = propose
        self._say = say
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, on the running loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(one)) for one in self._members]

    def leased(self, address: Address) -> None:
        """Say that a server granted a lease."""
        for one in self._members:
            one.leased(address)

    def lost(self, address: Address) -> None:
        """Say that a lease has ended."""
        for one in self._members:
            one.lost(address)

    def set_classes(self, classes: Sequence[str]) -> None:
        """Say that other classes are looked for from now on."""
        for one in self._members:
            one.set_classes(classes)

    async def close(self) -> None:
        """Stop all of them and wait until they have."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, one: Backend) -> None:
        said = ""
        while True:
            try:
                await one.run(self._propose)
            except PeepError as problem:
                if str(problem) != said:
                    said = str(problem)
                    self._say(f"{said}; trying again")
            await asyncio.sleep(RESTART_S)
