"""DNS-SD: servers register as `_peep._udp.local.`, agents browse.

For finding only: a server that was killed stays listed for up to 75 minutes (its
records' lifetime), so what is found is proposed, and the lease decides.

The classes stand in TXT, as `c0=public web`, `c1=…`. They are cut where the record
would no longer fit one frame; `more=1` then says that asking may be worth it anyway.

python-zeroconf is an extra (`mdns`), loaded only where mDNS is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import TYPE_CHECKING, Any

from peep.errors import PeepError
from peep.net.interfaces import Link, links
from peep.net.locators import Finder
from peep.protocol.classes import class_problem, shared
from peep.protocol.packets import MAX_CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    from peep.clock import Clock
    from peep.protocol.addresses import Address
    from peep.protocol.lease import Chance

TYPE = "_peep._udp.local."
MAX_TXT_BYTES = 900  # with names and addresses beside it, one Ethernet frame
MAX_STRING_BYTES = 255  # of one string in TXT (RFC 6763)
_KEY_BYTES = len("c0=") + 1  # before a line; there are less than ten
_LINE_LENGTH = MAX_STRING_BYTES - len("c0=")
MAX_SERVERS = 256  # followed at once; whoever registers a million gets no further
ASK_MS = 3000

_LABEL_LENGTH = 40  # of the host in a server's name, which may have 63
_NO_LABEL = re.compile(r"[^A-Za-z0-9-]+")


def load() -> Any:  # noqa: ANN401 - a module, or nothing
    """Return python-zeroconf; PeepError says what to install."""
    try:
        import zeroconf  # noqa: PLC0415 - an extra
        import zeroconf.asyncio  # noqa: PLC0415
    except ModuleNotFoundError:
        raise PeepError(
            "mDNS needs python-zeroconf: pip install 'peep-auralizer[mdns]'"
        ) from None
    return zeroconf


def text_of(classes: Sequence[str], *, more: bool = False) -> dict[str, str]:
    """Return the TXT properties that tell these classes, as far as they fit."""
    lines: list[str] = []
    size = len("more=1") + 1
    for name in classes[:MAX_CLASSES]:
        full = not lines or len(lines[-1]) + 1 + len(name) > _LINE_LENGTH
        size += len(name) + (_KEY_BYTES if full else 1)
        if size > MAX_TXT_BYTES:
            break
        if full:
            lines.append(name)
        else:
            lines[-1] += f" {name}"
    told = sum(line.count(" ") + 1 for line in lines)
    out = {f"c{number}": line for number, line in enumerate(lines)}
    if more or told < len(classes):
        out["more"] = "1"
    return out


def may_match(properties: Mapping[bytes, bytes | None], classes: Sequence[str]) -> bool:
    """Say whether a server with these properties is worth a question."""
    if properties.get(b"more") == b"1":
        return True
    said: list[str] = []
    for number in range(MAX_CLASSES):
        line = properties.get(b"c%d" % number)
        if not line:
            break
        said += line.decode("ascii", "replace").split(" ")
    named = [name for name in said[:MAX_CLASSES] if class_problem(name) is None]
    return bool(shared(named, classes))


class Advert:
    """Registers one server for as long as `run` runs."""

    def __init__(
        self,
        host: str,
        server_id: bytes,
        port: int,
        classes: Sequence[str],
        *,
        interfaces: Sequence[str] = (),
        more: bool = False,
    ) -> None:
        self._zeroconf = load()
        label = _NO_LABEL.sub("-", host)[:_LABEL_LENGTH].strip("-") or "peep"
        self._label = f"{label}-{server_id.hex()}"
        self._port = port
        self._classes = tuple(classes)
        self._interfaces = interfaces
        self._more = more  # there are classes whose names are not to be told here
        self._changed = asyncio.Event()

    def set_classes(self, classes: Sequence[str], *, more: bool = False) -> None:
        """Tell other classes from now on."""
        self._classes = tuple(classes)
        self._more = more
        self._changed.set()

    async def run(self) -> None:
        """Be registered until cancelled; PeepError if mDNS cannot be spoken here."""
        where = _where(self._interfaces)
        async with _opened(self._zeroconf, where) as zeroconf:
            info = self._info(where)
            # A name that is taken is another server with our id: never, in practice.
            await (await zeroconf.async_register_service(info, allow_name_change=True))
            while True:
                await self._changed.wait()
                self._changed.clear()
                await (await zeroconf.async_update_service(self._info(where)))

    def _info(self, where: Sequence[Link]) -> AsyncServiceInfo:
        outside = [link.address for link in where if not link.loopback]
        info: AsyncServiceInfo = self._zeroconf.asyncio.AsyncServiceInfo(
            TYPE,
            f"{self._label}.{TYPE}",
            port=self._port,
            properties=text_of(self._classes, more=self._more),
            server=f"{self._label}.local.",
            parsed_addresses=outside or [link.address for link in where],
        )
        return info


class Browser:
    """Proposes the addresses of registered servers that may share a class."""

    def __init__(
        self,
        classes: Sequence[str],
        *,
        interfaces: Sequence[str] = (),
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._zeroconf = load()
        self._classes = tuple(classes)
        self._interfaces = interfaces
        self._clock = clock
        self._chance = chance
        self._finders: dict[str, tuple[Finder, asyncio.Task[None]]] = {}

    async def run(self, propose: Callable[[Address], None]) -> None:
        """Browse until cancelled; PeepError if mDNS cannot be spoken here."""
        async with _opened(self._zeroconf, _where(self._interfaces)) as opened:

            def told(
                zeroconf: Zeroconf,
                service_type: str,  # noqa: ARG001 - there is one
                name: str,
                state_change: ServiceStateChange,
            ) -> None:
                if state_change.name == "Removed":
                    self._forget(name)
                else:
                    self._follow(zeroconf, name, propose)

            browser = self._zeroconf.asyncio.AsyncServiceBrowser(
                opened.zeroconf, TYPE, handlers=[told]
            )
            try:
                await asyncio.Event().wait()
            finally:
                tasks = [task for _, task in self._finders.values()]
                for name in list(self._finders):
                    self._forget(name)
                await asyncio.gather(*tasks, return_exceptions=True)
                await browser.async_cancel()

    def leased(self, address: Address) -> None:
        """Let the server there be."""
        for finder, _ in self._finders.values():
            finder.leased(address)

    def lost(self, address: Address) -> None:
        """Propose the server there again, if it is still registered."""
        for finder, _ in self._finders.values():
            finder.lost(address)

    def set_classes(self, classes: Sequence[str]) -> None:
        """Look at every registered server with other eyes."""
        self._classes = tuple(classes)
        for finder, _ in self._finders.values():
            finder.set_classes(classes)

    def _follow(
        self, zeroconf: Zeroconf, name: str, propose: Callable[[Address], None]
    ) -> None:
        known = self._finders.get(name)
        if known is not None:  # it says something new: perhaps its classes
            known[0].set_classes(self._classes)
            return
        if len(self._finders) >= MAX_SERVERS:
            return

        async def look_up() -> list[Address]:
            return await self._look_up(zeroconf, name)

        finder = Finder(
            look_up, clock=self._clock, chance=self._chance, say=lambda _: None
        )
        task = asyncio.get_running_loop().create_task(finder.run(propose))
        self._finders[name] = finder, task

    def _forget(self, name: str) -> None:
        known = self._finders.pop(name, None)
        if known is not None:
            known[1].cancel()

    async def _look_up(self, zeroconf: Zeroconf, name: str) -> list[Address]:
        info = self._zeroconf.asyncio.AsyncServiceInfo(TYPE, name)
        if not await info.async_request(zeroconf, ASK_MS):
            raise PeepError(f"{name} does not answer")
        if not info.port or not may_match(info.properties, self._classes):
            return []
        return [(_scoped(text), info.port) for text in info.parsed_scoped_addresses()]


def _where(interfaces: Sequence[str]) -> list[Link]:
    """Return the links to speak mDNS on; PeepError if there are none."""
    reach = [link for link in links(interfaces) if link.multicast]
    if not reach:  # zeroconf manages on IPv4's loopback, if it is alone
        loopback = [k for k in links(interfaces) if k.loopback]
        reach = [k for k in loopback if k.family == socket.AF_INET]
    if not reach:
        raise PeepError("no interface for mDNS: none here does multicast")
    return reach


@contextlib.asynccontextmanager
async def _opened(zeroconf: Any, where: Sequence[Link]) -> Any:  # noqa: ANN401 - an extra
    # IPv4 goes by address, IPv6 by the interface's number.
    chosen = list(
        dict.fromkeys(
            link.address if link.family == socket.AF_INET else link.index
            for link in where
        )
    )
    try:
        opened: AsyncZeroconf = zeroconf.asyncio.AsyncZeroconf(interfaces=chosen)
    except (OSError, RuntimeError) as problem:
        raise PeepError(f"mDNS cannot be spoken here: {problem}") from None
    try:
        yield opened
    finally:
        await opened.async_close()


def _scoped(text: str) -> str:
    """Return an address with its scope's name, where it has its number."""
    host, _, scope = text.partition("%")
    if scope.isdecimal():
        with contextlib.suppress(OSError):
            return f"{host}%{socket.if_indextoname(int(scope))}"
    return text
