"""The sockets of one daemon: to one peer, or to everyone on its links.

An IPv6 link-local peer is known by its address and interface, "fe80::1%eth0", and so
it stands in every Address; here it becomes what the kernel wants, and back.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from peep.errors import PeepError
from peep.net.interfaces import (
    LINK_LOCAL,
    Cast,
    Link,
    Network,
    casts,
    default_interface,
    groups,
    links,
    within,
)
from peep.protocol.packets import MAX_DISCOVERY_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.protocol.addresses import Address, Broadcast

_SO_MEMINFO = 55  # Linux; the socket module does not name it
_MEMINFO = struct.Struct("9I")  # the last of its nine counters is drops


class Own(NamedTuple):
    """A socket that is spoken from; with a device, it is tied to that."""

    family: socket.AddressFamily
    device: str
    sock: socket.socket


def peer_of(sockaddr: tuple[Any, ...]) -> Address:
    """Return the Address of a peer whom the kernel names."""
    host, port, *scope = sockaddr
    if scope and scope[1]:
        with contextlib.suppress(OSError):  # the interface has gone meanwhile
            return f"{host}%{socket.if_indextoname(scope[1])}", port
    return host, port


class Endpoint:
    """Own sockets to speak from, shared ones to listen on too.

    `interfaces` ties everyone to be told to these; without, it is every fit link, as
    they come and go. `hears_groups` are the sockets that join the multicast groups.
    """

    def __init__(
        self,
        own: Sequence[Own],
        shared: Sequence[socket.socket] = (),
        *,
        interfaces: Sequence[str] = (),
        hears_groups: Sequence[socket.socket] = (),
        mtu_bytes: int = MAX_DISCOVERY_BYTES,
    ) -> None:
        self._own = list(own)
        families = {one.family for one in own}
        self._of_family = {f: [one for one in own if one.family == f] for f in families}
        self._interfaces = interfaces
        self._hears_groups = hears_groups
        self._mtu_bytes = mtu_bytes
        self._joined: set[tuple[int, int]] = set()
        self._links: list[Link] = []
        self.readers = [sock for _, _, sock in own] + list(shared)
        self.port: int = own[0].sock.getsockname()[1]
        self.look()

    def look(self) -> None:
        """Look which links there are now, and join the groups on them."""
        try:
            self._links = links(self._interfaces)
        except PeepError:  # a named interface is away for the moment
            self._links = []
        for sock in self._hears_groups:
            for link in self._links:
                key = (sock.fileno(), link.index)
                fits = link.multicast and sock.family == link.family
                if fits and key not in self._joined and _join(sock, link):
                    self._joined.add(key)

    def networks(self) -> tuple[Network, ...]:
        """Return the networks of this endpoint's links.

        Whoever has a link-local address is on one of them, also while it comes up.
        """
        mine = (link.network for link in self._links)
        return tuple(dict.fromkeys((*mine, LINK_LOCAL)))

    def send(self, data: bytes, to: Address) -> bool:
        """Send to one address; say whether the kernel took it."""
        host, port = to
        try:
            if ":" not in host:
                self._socket_for(socket.AF_INET, host).sendto(data, to)
            else:
                bare, _, device = host.partition("%")
                scope = socket.if_nametoindex(device) if device else 0
                sock = self._socket_for(socket.AF_INET6, bare, device)
                sock.sendto(data, (bare, port, 0, scope))
        except OSError:  # unreachable, or the buffer is full: UDP promises nothing
            return False
        return True

    def broadcast(self, data: bytes, to: Broadcast) -> int:
        """Tell everyone on the links meant; return on how many nobody could be told."""
        self.look()
        ways = casts(within(self._links, to.within), default_interface())
        meant = {way.link.interface for way in ways}
        if len(data) > self._mtu_bytes:
            return len(meant)
        # All are tried: a broadcast may be filtered where multicast is not.
        told = [way.link.interface for way in ways if self._cast(data, to.port, way)]
        return len(meant.difference(told))

    def overrun(self) -> int:
        """Return how many datagrams came faster than they were read, and are lost."""
        lost = 0
        for sock in self.readers:
            with contextlib.suppress(OSError):  # a kernel that does not count them
                raw = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
                lost += _MEMINFO.unpack(raw)[-1]
        return lost

    def close(self) -> None:
        """Close every socket."""
        for sock in self.readers:
            sock.close()

    def _cast(self, data: bytes, port: int, way: Cast) -> bool:
        for family, device, sock in self._own:
            if family == way.link.family and device in ("", way.link.interface):
                with contextlib.suppress(OSError):
                    if way.multicast:
                        _leave_by(sock, way.link)
                    sock.sendto(data, (way.host, port))
                    return True
        return False

    def _socket_for(
        self, family: socket.AddressFamily, host: str, device: str = ""
    ) -> socket.socket:
        """Return the socket that reaches a host; OSError if there is none."""
        mine = self._of_family.get(family)
        if not mine:
            raise OSError("no socket of that family")
        if len(mine) == 1:
            return mine[0].sock
        device = device or self._device_to(family, host)
        return next((o.sock for o in mine if o.device == device), mine[0].sock)

    def _device_to(self, family: socket.AddressFamily, host: str) -> str:
        ip = ipaddress.ip_address(host)
        for link in self._links:
            if ip in link.network:
                return link.interface
        # Behind a router: whichever the kernel would take.
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((host, self.port))
            source = asking.getsockname()[0]
        return next((k.interface for k in self._links if k.address == source), "")


def _join(sock: socket.socket, link: Link) -> bool:
    with contextlib.suppress(OSError):  # too many links: broadcast still reaches them
        for group in groups(link.family):
            raw = socket.inet_pton(link.family, group)
            if link.family == socket.AF_INET:
                # struct ip_mreqn: the group, no address, the interface's index
                request = struct.pack("=4s4si", raw, bytes(4), link.index)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            else:
                request = struct.pack("=16sI", raw, link.index)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        return True
    return False


def _leave_by(sock: socket.socket, link: Link) -> None:
    """Choose the interface that the next multicast leaves by."""
    if link.family == socket.AF_INET:
        request = struct.pack("=4s4si", bytes(4), bytes(4), link.index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
