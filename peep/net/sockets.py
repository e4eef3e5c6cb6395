"""Opening the sockets of one daemon.

For IPv4 and IPv6 one socket each, on the same port; a host may lack either. They are
bound to 0.0.0.0 and ::, since one bound to an address hears no broadcast; where
interfaces are named there is one for each, tied to its device. Port 2000 is shared by
all the agents of a host (SO_REUSEADDR): a broadcast reaches every sharer, a unicast
only the last that bound it, so answers go to each agent's own port.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any

from peep.errors import PeepError
from peep.net.endpoint import Endpoint, Own, peer_of
from peep.net.interfaces import links
from peep.protocol.packets import ANNOUNCE_PORT, MAX_DISCOVERY_BYTES, SERVER_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.protocol.addresses import Address

# Some 10,000 datagrams of a burst; the default holds 256. The kernel gives less
# where net.core.rmem_max says so.
RECEIVE_BUFFER_BYTES = 4 << 20
MAX_HOPS = 32  # site scope; what crosses more routers wants a locator
# A port that is free in one family may be taken in the other.
_PORT_TRIES = 16
# How a kernel says that it has no IPv6, or none just now.
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def server_endpoint(
    port: int | None,
    interfaces: Sequence[str] = (),
    *,
    hops: int = 1,
    mtu_bytes: int = MAX_DISCOVERY_BYTES,
) -> tuple[Endpoint, str | None]:
    """Open a server's sockets; with the endpoint comes a note for the operator.

    A port that was asked for and is busy is a PeepError; when none was asked for and
    2001 is busy, a free one is taken. On any port but 2001, questions are heard on port
    2000, where agents ask as well. `hops` is how many routers a multicast may cross
    plus one; no datagram above `mtu_bytes` is sent to a group or broadcast.
    """
    names = _names(interfaces)
    note = None
    try:
        own = _own(port or SERVER_PORT, names, hops)
    except OSError as problem:
        if port is not None or problem.errno != errno.EADDRINUSE:
            raise PeepError(_cannot_bind(port or SERVER_PORT, problem)) from None
        own = _any_port(names, hops)
        note = f"port {SERVER_PORT} is busy, so port {_port_of(own)} is used"
    shared: list[socket.socket] = []
    if _port_of(own) != SERVER_PORT:
        try:
            shared = _shared(names)
        except OSError as problem:
            why = _cannot_bind(ANNOUNCE_PORT, problem)
            note = f"{why}: agents that start later may not ask"
    endpoint = Endpoint(
        own,
        shared,
        interfaces=names,
        hears_groups=[sock for _, _, sock in own] + shared,
        mtu_bytes=min(mtu_bytes, MAX_DISCOVERY_BYTES),
    )
    return endpoint, note


def agent_endpoint(
    interfaces: Sequence[str] = (),
    *,
    hops: int = 1,
    mtu_bytes: int = MAX_DISCOVERY_BYTES,
) -> tuple[Endpoint, str | None]:
    """Open an agent's sockets, and say in a note if announcements cannot be heard."""
    names = _names(interfaces)
    own = _any_port(names, hops)
    shared: list[socket.socket] = []
    note = None
    try:
        shared = _shared(names)
    except OSError as problem:
        note = (
            f"{_cannot_bind(ANNOUNCE_PORT, problem)}: servers that start later "
            "will not be noticed"
        )
    endpoint = Endpoint(
        own,
        shared,
        interfaces=names,
        hears_groups=shared,
        mtu_bytes=min(mtu_bytes, MAX_DISCOVERY_BYTES),
    )
    return endpoint, note


def plain_endpoint(host: str, port: int) -> tuple[Endpoint, Address]:
    """Open a socket for one server, and say which address its name has."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as problem:
        why = getattr(problem, "strerror", None) or "not a host name"
        raise PeepError(f"cannot find server {host!r}: {why}") from None
    # Classic servers listen on IPv4 only, and `localhost` is often ::1 first.
    found.sort(key=lambda row: row[0] != socket.AF_INET)
    family, _, _, _, sockaddr = next((row for row in found if _leads_to(row)), found[0])
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return Endpoint([Own(family, "", sock)]), peer_of(sockaddr)


def _names(interfaces: Sequence[str]) -> list[str]:
    """Return the names, each once; PeepError if one of them cannot be used."""
    names = list(dict.fromkeys(interfaces))
    links(names)
    return names


def _any_port(names: Sequence[str], hops: int) -> list[Own]:
    said = ""
    for _ in range(_PORT_TRIES):
        try:
            return _own(0, names, hops)
        except OSError as problem:
            said = problem.strerror or ""
            if problem.errno != errno.EADDRINUSE:
                break
    raise PeepError(f"cannot open a UDP socket: {said}")


def _own(port: int, names: Sequence[str], hops: int) -> list[Own]:
    own: list[Own] = []
    with contextlib.ExitStack() as undo:
        for family in _families():
            for device in names or [""]:
                sock = undo.enter_context(_socket(family, port, device))
                _say_how_far(sock, hops)
                own.append(Own(family, device, sock))
                port = sock.getsockname()[1]
        undo.pop_all()
    return own


def _shared(names: Sequence[str]) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        shared = [
            undo.enter_context(_socket(family, ANNOUNCE_PORT, device, shared=True))
            for family in _families()
            for device in names or [""]
        ]
        undo.pop_all()
    return shared


def _families() -> list[socket.AddressFamily]:
    """Return which of IPv4 and IPv6 this host has."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            _socket(family, 0).close()
        except OSError as problem:
            if problem.errno not in _NO_FAMILY:
                raise
        else:
            found.append(family)
    return found


def _socket(
    family: socket.AddressFamily, port: int, device: str = "", *, shared: bool = False
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        else:  # IPv4 has a socket of its own on the same port
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
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


def _say_how_far(sock: socket.socket, hops: int) -> None:
    hops = max(1, min(hops, MAX_HOPS))
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
        # To this host as well: agent and server may share it.
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)


def _leads_to(row: tuple[Any, ...]) -> bool:
    """Say whether there is a route to an address that getaddrinfo found."""
    with (
        contextlib.suppress(OSError),
        socket.socket(row[0], socket.SOCK_DGRAM) as asking,
    ):
        asking.connect(row[4])
        return True
    return False


def _port_of(own: Sequence[Own]) -> int:
    port: int = own[0].sock.getsockname()[1]
    return port


def _cannot_bind(port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"UDP port {port} is busy"
    return f"cannot bind UDP port {port}: {problem.strerror}"
