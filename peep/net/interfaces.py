"""Which interfaces Peep speaks on, and how to reach everyone there.

Without names: loopback, and interfaces with a private address; an interface with a
public one is used only when it is named. Loopback's broadcast is 127.255.255.255:
127.0.0.255 is unicast there, on Linux.
"""

import ipaddress
import socket
from collections.abc import Sequence

import msgspec
import psutil

from peep.errors import PeepError

LOOPBACK_BROADCAST = "127.255.255.255"


class Link(msgspec.Struct, frozen=True):
    """One IPv4 address of an interface that is up, and its broadcast address."""

    interface: str
    address: str
    broadcast: str


def links(names: Sequence[str] = ()) -> list[Link]:
    """Return where to broadcast: on the named interfaces, or on all that are fit.

    PeepError names an interface that does not exist, is down or has no IPv4 address.
    """
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    known = psutil.net_if_addrs()
    for name in names:
        if name not in known:
            raise PeepError(
                f"no interface {name!r} on this host (there are: "
                f"{', '.join(sorted(known))})"
            )
        if name not in up:
            raise PeepError(f"interface {name!r} is down")
    found = [
        link
        for name in names or sorted(known)
        if name in up
        for link in _ipv4(name, known[name])
        if names or _fit(link.address)
    ]
    for name in names:
        if not any(link.interface == name for link in found):
            raise PeepError(f"interface {name!r} has no IPv4 address to broadcast on")
    return found


def _ipv4(name: str, addresses: Sequence[psutil._ntuples.snicaddr]) -> list[Link]:
    out = []
    for entry in addresses:
        if entry.family != socket.AF_INET:
            continue
        if ipaddress.ip_address(entry.address).is_loopback:
            out.append(Link(name, entry.address, LOOPBACK_BROADCAST))
        elif entry.broadcast:
            out.append(Link(name, entry.address, entry.broadcast))
    return out


def _fit(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return ip.is_loopback or (ip.is_private and not ip.is_link_local)
