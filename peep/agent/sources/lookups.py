"""Addresses of hosts, looked up beside the event loop.

The system's look-up blocks, for half a minute where a name server is down. It runs in
threads that hold up no end (those of an executor would be waited for), one a name. What
was found once is used until there is something newer, so that a name server that is
down does not take everything else with it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.clock import Clock

KNOWN_S = 300.0  # for which an address is taken to hold


class Lookups:
    """Addresses of hosts; one that was found once is used until there is a newer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}
        self._asking: dict[str, asyncio.Future[str]] = {}

    async def address(self, host: str) -> str:
        """Return a numeric address; OSError if there is none."""
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            pass
        address, until = self._known.get(host, ("", 0.0))
        if host not in self._asking and self._clock.now() >= until:
            self._ask(host)
        if address:
            return address
        return await asyncio.shield(self._asking[host])

    def _ask(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        future = self._asking[host] = loop.create_future()

        def finish(address: str, problem: OSError | None) -> None:
            del self._asking[host]
            if problem is None:
                self._known[host] = address, self._clock.now() + KNOWN_S
            if not future.done():
                _settle(future, address, problem)

        thread = threading.Thread(
            target=_look_up, args=(host, loop, finish), daemon=True, name="peep-name"
        )
        thread.start()


def _settle(future: asyncio.Future[str], address: str, problem: OSError | None) -> None:
    if problem is None:
        future.set_result(address)
    else:
        future.set_exception(problem)
        future.exception()  # perhaps nobody waits for it any more


def _look_up(
    host: str,
    loop: asyncio.AbstractEventLoop,
    finish: Callable[[str, OSError | None], None],
) -> None:
    address, problem = "", None
    try:
        address = str(socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as said:
        problem = said
    except UnicodeError:
        problem = OSError("no such name")
    try:
        loop.call_soon_threadsafe(finish, address, problem)
    except RuntimeError:  # the agent has ended meanwhile
        return
