"""Servers that are named: `peep://host[:port]`, and whatever else has a name.

A name is looked up again at every try, and every address that it has then is proposed.
It is tried for ever, with growing pauses, as long as no address of it is leased, and
from the first pause on again when the lease is lost.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import threading
from typing import TYPE_CHECKING, Protocol

import msgspec

from peep.errors import PeepError
from peep.net.endpoint import peer_of
from peep.protocol.packets import SERVER_PORT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from peep.clock import Clock
    from peep.protocol.addresses import Address
    from peep.protocol.lease import Chance

SCHEME = "peep://"
GAPS_S = (1.0, 5.0, 10.0, 60.0, 60.0, 300.0)  # the last one is repeated
MAX_ADDRESSES = 16  # of one name; a resolver that lies must not make us a flood

_MAX_PORT = 65_535
_MAX_HOST_LENGTH = 253  # as DNS has it
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


class Locator(msgspec.Struct, frozen=True):
    """Where a server is said to be. `host` is a name or an address."""

    host: str
    port: int = SERVER_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{host}:{self.port}"


def parse_locator(text: str) -> Locator:
    """Read `peep://host[:port]`; PeepError is one line that says what is wrong."""
    try:
        host, port = _parts(text)
        return Locator(host, SERVER_PORT if port is None else _port(port))
    except ValueError as problem:
        raise PeepError(f"locator {text!r}: {problem}") from None


def _parts(text: str) -> tuple[str, str | None]:
    """Split host and port; ValueError says what is wrong with the host."""
    if not text.startswith(SCHEME):
        raise ValueError(f"begins with {SCHEME}, as in {SCHEME}noc.example.org:2001")
    rest = text[len(SCHEME) :].removesuffix("/")
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        host = host.replace("%25", "%")  # as URIs have it (RFC 6874)
        if not bracket:
            raise ValueError("the bracket after an IPv6 address is missing")
        if not _is_ipv6(host):
            raise ValueError(f"{host!r} is no IPv6 address")
        if after and not after.startswith(":"):
            raise ValueError(f"after the address comes :PORT, not {after!r}")
        return host, after[1:] if after else None
    host, colon, port = rest.partition(":")
    if ":" in port:
        raise ValueError("an IPv6 address stands in brackets, as in peep://[fd00::1]")
    if len(host) > _MAX_HOST_LENGTH or not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no host name" if host else "names no host")
    return host, port if colon else None


def _port(text: str) -> int:
    plain = text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_PORT))
    if not plain or not 1 <= int(text) <= _MAX_PORT:
        raise ValueError(f"{text!r} is no port (1 to {_MAX_PORT})")
    return int(text)


class Pursuit:
    """When one name is to be tried, without a clock.

    `leased` and `lost` tell of any address; only those that were proposed count.
    """

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._addresses: set[Address] = set()
        self._leased: set[Address] = set()
        self._at: float | None = None
        self._step = 0

    def start(self, now: float) -> None:
        """Try at once."""
        self._at = now
        self._step = 0

    def propose(self, addresses: list[Address]) -> None:
        """Remember what the name stands for now."""
        # A leased address stays ours, even if the name has moved on.
        self._addresses = set(addresses) | self._leased

    def leased(self, address: Address) -> None:
        """Rest, if this is one of ours."""
        if address in self._addresses:
            self._leased.add(address)
            self._at = None

    def lost(self, address: Address, now: float) -> None:
        """Begin anew, if this was the last lease of ours."""
        if address in self._leased:
            self._leased.discard(address)
            if not self._leased:
                self._step = 0
                self._rest(now)

    def again(self, now: float) -> None:
        """Try at once, unless a lease says that there is no need."""
        if not self._leased:
            self.start(now)

    def next_timer(self) -> float | None:
        """Return when the next try is due, or None."""
        return self._at

    def handle_timer(self, now: float) -> bool:
        """Say whether to try now, and plan the next try."""
        if self._at is None or now < self._at:
            return False
        self._rest(now)
        return True

    def _rest(self, now: float) -> None:
        gap_s = GAPS_S[min(self._step, len(GAPS_S) - 1)]
        self._step += 1
        # A thousand agents that lost one server must not return together.
        self._at = now + gap_s * (0.75 + self._chance() / 2)


class Backend(Protocol):
    """A way to find servers: it proposes addresses; the handshake decides."""

    async def run(self, propose: Callable[[Address], None]) -> None:
        """Propose addresses until cancelled."""

    def leased(self, address: Address) -> None:
        """Hear that a server there granted a lease."""

    def lost(self, address: Address) -> None:
        """Hear that the lease there has ended."""

    def set_classes(self, classes: Sequence[str]) -> None:
        """Hear that other classes are looked for from now on."""


class Finder:
    """Runs the pursuit of one name: `look_up` says which addresses it has now.

    A `look_up` that fails raises PeepError; it is said once, and tried again.
    """

    def __init__(
        self,
        look_up: Callable[[], Awaitable[list[Address]]],
        *,
        clock: Clock,
        chance: Chance,
        say: Callable[[str], None],
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._say = say
        self._pursuit = Pursuit(chance)
        self._changed = asyncio.Event()
        self._said = False

    async def run(self, propose: Callable[[Address], None]) -> None:
        """Propose the name's addresses until cancelled."""
        self._pursuit.start(self._clock.now())
        while True:
            self._changed.clear()
            if self._pursuit.handle_timer(self._clock.now()):
                await self._try(propose)
            due = self._pursuit.next_timer()
            left_s = None if due is None else max(0.0, due - self._clock.now())
            waiting = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({waiting}, timeout=left_s)
            finally:
                waiting.cancel()

    def leased(self, address: Address) -> None:
        """Rest, if the address is one of ours."""
        self._pursuit.leased(address)
        self._changed.set()

    def lost(self, address: Address) -> None:
        """Begin anew, if the address was ours."""
        self._pursuit.lost(address, self._clock.now())
        self._changed.set()

    def set_classes(self, classes: Sequence[str]) -> None:  # noqa: ARG002 - a verb
        """Try anew: whoever had nothing for us may have something now."""
        self._pursuit.again(self._clock.now())
        self._changed.set()

    async def _try(self, propose: Callable[[Address], None]) -> None:
        try:
            found = await self._look_up()
        except PeepError as problem:
            if not self._said:
                self._said = True
                self._say(f"{problem}; trying again")
            return
        self._said = False
        addresses = list(dict.fromkeys(found))[:MAX_ADDRESSES]
        self._pursuit.propose(addresses)
        for address in addresses:
            propose(address)


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a name; PeepError if it has none.

    The look-up has a thread that is left behind on cancellation: the resolver may take
    half a minute, and nobody's Ctrl-C waits for that.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Address]] = loop.create_future()

    def give(found: list[Address], problem: PeepError | None) -> None:
        if future.done():
            return
        if problem is None:
            future.set_result(found)
        else:
            future.set_exception(problem)

    def work() -> None:
        found: list[Address] = []
        problem = None
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            found = [peer_of(sockaddr) for *_, sockaddr in rows]
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "not a host name"
            problem = PeepError(f"cannot find {host!r}: {why}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(give, found, problem)

    threading.Thread(target=work, name=f"resolve {host}", daemon=True).start()
    return await future


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
