"""The sockets of one daemon.

A socket is bound to 0.0.0.0, since one bound to an address hears no broadcast; where
interfaces are named there is one for each, tied to its device. Port 2000 is shared by
all the agents of a host (SO_REUSEADDR): a broadcast reaches every sharer, a unicast
only the last that bound it, so answers go to each agent's own port.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from typing import TYPE_CHECKING

from peep.errors import PeepError
from peep.net.interfaces import Link, links
from peep.protocol.packets import ANNOUNCE_PORT, SERVER_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.protocol.addresses import Address

# Some 10,000 datagrams of a burst; the default holds 256. The kernel gives less
# where net.core.rmem_max says so.
RECEIVE_BUFFER_BYTES = 4 << 20


class Endpoint:
    """Own sockets to speak from, shared ones to listen on too."""

    def __init__(
        self,
        own: list[tuple[Link | None, socket.socket]],
        shared: Sequence[socket.socket] = (),
        reach: Sequence[Link] = (),
    ) -> None:
        self._own = own
        self._shared = list(shared)
        self._reach = reach
        self.readers = [sock for _, sock in own] + self._shared
        self.port = _port_of(own)

    def send(self, data: bytes, to: Address) -> bool:
        """Send to one address; say whether the kernel took it."""
        try:
            self._socket_for(to).sendto(data, to)
        except OSError:  # unreachable, or the buffer is full: UDP promises nothing
            return False
        return True

    def broadcast(self, data: bytes, port: int) -> int:
        """Send to everyone on every link; return how many links failed."""
        return sum(not self._send_on(link, data, port) for link in self._reach)

    def close(self) -> None:
        """Close every socket."""
        for sock in self.readers:
            sock.close()

    def _send_on(self, link: Link, data: bytes, port: int) -> bool:
        for own, sock in self._own:
            if own is None or own.interface == link.interface:
                with contextlib.suppress(OSError):
                    sock.sendto(data, (link.broadcast, port))
                    return True
        return False

    def _socket_for(self, to: Address) -> socket.socket:
        if len(self._own) > 1:
            ip = ipaddress.ip_address(to[0])
            for link, sock in self._own:
                if link is not None and ip in _network(link):
                    return sock
        return self._own[0][1]


def server_endpoint(
    port: int | None, interfaces: Sequence[str] = ()
) -> tuple[Endpoint, str | None]:
    """Open a server's sockets; with the endpoint comes a note for the operator.

    A port that was asked for and is busy is a PeepError; when none was asked for and
    2001 is busy, a free one is taken. On any port but 2001, questions are heard on port
    2000, where agents ask as well.
    """
    reach = links(interfaces)
    note = None
    try:
        own = _own(port or SERVER_PORT, reach, interfaces)
    except OSError as problem:
        if port is not None or problem.errno != errno.EADDRINUSE:
            raise PeepError(_cannot_bind(port or SERVER_PORT, problem)) from None
        own = _own(0, reach, interfaces)
        note = f"port {SERVER_PORT} is busy, so port {_port_of(own)} is used"
    if _port_of(own) == SERVER_PORT:
        return Endpoint(own, (), reach), note
    try:
        return Endpoint(own, _shared(interfaces), reach), note
    except OSError as problem:
        why = _cannot_bind(ANNOUNCE_PORT, problem)
        return Endpoint(own, (), reach), f"{why}: agents that start later may not ask"


def agent_endpoint(interfaces: Sequence[str] = ()) -> tuple[Endpoint, str | None]:
    """Open an agent's sockets, and say in a note if announcements cannot be heard."""
    reach = links(interfaces)
    try:
        own = _own(0, reach, interfaces)
    except OSError as problem:
        raise PeepError(f"cannot open a UDP socket: {problem.strerror}") from None
    try:
        return Endpoint(own, _shared(interfaces), reach), None
    except OSError as problem:
        note = (
            f"{_cannot_bind(ANNOUNCE_PORT, problem)}: servers that start later "
            "will not be noticed"
        )
        return Endpoint(own, (), reach), note


def plain_endpoint(host: str, port: int) -> tuple[Endpoint, Address]:
    """Open a socket for one server, and say which address its name has."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as problem:
        why = getattr(problem, "strerror", None) or "not a host name"
        raise PeepError(f"cannot find server {host!r}: {why}") from None
    family, _, _, _, address = found[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return Endpoint([(None, sock)]), (str(address[0]), int(address[1]))


def _own(
    port: int, reach: Sequence[Link], interfaces: Sequence[str]
) -> list[tuple[Link | None, socket.socket]]:
    if not interfaces:
        return [(None, _socket(port))]
    own: list[tuple[Link | None, socket.socket]] = []
    try:
        for name in interfaces:
            link = next(link for link in reach if link.interface == name)
            sock = _socket(port, name)
            own.append((link, sock))
            port = sock.getsockname()[1]
    except OSError:
        for _, sock in own:
            sock.close()
        raise
    return own


def _shared(interfaces: Sequence[str]) -> list[socket.socket]:
    return [_socket(ANNOUNCE_PORT, name, shared=True) for name in interfaces or [""]]


def _socket(port: int, device: str = "", *, shared: bool = False) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if device:
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0"
            )
        sock.bind(("", port))
    except OSError:
        sock.close()
        raise
    return sock


def _port_of(own: list[tuple[Link | None, socket.socket]]) -> int:
    port: int = own[0][1].getsockname()[1]
    return port


def _network(link: Link) -> ipaddress.IPv4Network:
    # The prefix that the address and its broadcast share.
    low = int(ipaddress.IPv4Address(link.address))
    high = int(ipaddress.IPv4Address(link.broadcast))
    prefix = 32 - (low ^ high).bit_length()
    return ipaddress.IPv4Network((link.address, prefix), strict=False)


def _cannot_bind(port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"UDP port {port} is busy"
    return f"cannot bind UDP port {port}: {problem.strerror}"
