"""Which interfaces Peep speaks on, and how everyone there is reached.

Without names: loopback, and the private addresses of other interfaces; a public one is
used only where its interface is named. An IPv6 link-local address, which every
interface has, counts as private unless its interface's other addresses are all public.

Everyone on a link is told by IPv4 broadcast and by multicast, whichever gets through.
On loopback IPv4's broadcast is 127.255.255.255 (127.0.0.255 is unicast there, on
Linux); IPv6 knows no broadcast, and Linux routes no multicast there, so ::1 must do.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import psutil

from peep.errors import PeepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psutil._ntuples import snicaddr

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK_BROADCAST = "127.255.255.255"
LIMITED_BROADCAST = "255.255.255.255"
# Administratively scoped (RFC 2365), and for IPv6 link-local and site scope
# (RFC 4291), transient; "pe" stands in each of them.
GROUP_V4 = "239.255.112.101"
GROUPS_V6 = ("ff12::7065:6570", "ff15::7065:6570")

LINK_LOCAL = ipaddress.ip_network("fe80::/10")

_ROUTES = Path("/proc/net/route")
_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One address of an interface that is up, and what can be done there."""

    interface: str
    index: int
    address: str  # without an IPv6 scope
    network: Network
    broadcast: str | None = None
    multicast: bool = False

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AF_INET if self.network.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4

    @property
    def loopback(self) -> bool:
        """Whether this is the host itself."""
        return ipaddress.ip_address(self.address).is_loopback


class Cast(NamedTuple):
    """One way to tell everyone on a link."""

    link: Link
    host: str
    multicast: bool


def links(names: Sequence[str] = ()) -> list[Link]:
    """Return the links of the named interfaces, or all that are fit.

    PeepError names an interface that does not exist, is down or has no address.
    """
    stats = psutil.net_if_stats()
    known = psutil.net_if_addrs()
    for name in names:
        if name not in known:
            raise PeepError(
                f"no interface {name!r} on this host (there are: "
                f"{', '.join(sorted(known))})"
            )
        if name not in stats or not stats[name].isup:
            raise PeepError(f"interface {name!r} is down")
    found: list[Link] = []
    for name in dict.fromkeys(names) or sorted(known):
        if name in stats and stats[name].isup:
            multicast = "multicast" in stats[name].flags.split(",")
            here = _links(name, known[name], multicast=multicast)
            if names and not here:
                raise PeepError(f"interface {name!r} has no address")
            found += here if names else _fit(here)
    return found


def within(reach: Iterable[Link], places: Sequence[str]) -> list[Link]:
    """Return the links in these places (interfaces or networks); all if there are none.

    A link that is wider than the network named is outside: it would tell others too.
    """
    if not places:
        return list(reach)
    networks = []
    for place in places:
        with contextlib.suppress(ValueError):
            networks.append(ipaddress.ip_network(place, strict=False))
    return [
        link
        for link in reach
        if link.interface in places or any(_inside(link, n) for n in networks)
    ]


def casts(reach: Iterable[Link], default: str | None) -> list[Cast]:
    """Return every way to tell everyone on these links, each once.

    `default` is the interface that 255.255.255.255 leaves by.
    """
    found: dict[tuple[str, str], Cast] = {}

    def add(link: Link, host: str, *, multicast: bool = False) -> None:
        found.setdefault((link.interface, host), Cast(link, host, multicast))

    for link in reach:
        if link.loopback:
            add(link, link.broadcast or link.address)
            continue
        if link.broadcast is not None:
            add(link, link.broadcast)
            if link.interface == default:
                add(link, LIMITED_BROADCAST)
        if link.multicast:
            for group in groups(link.family):
                add(link, group, multicast=True)
    return list(found.values())


def groups(family: socket.AddressFamily) -> tuple[str, ...]:
    """Return Peep's multicast groups of one family."""
    return (GROUP_V4,) if family == socket.AF_INET else GROUPS_V6


def default_interface() -> str | None:
    """Return the interface of IPv4's default route, if there is one."""
    with contextlib.suppress(OSError):
        rows = [row.split() for row in _ROUTES.read_text("ascii").splitlines()[1:]]
        # Columns: interface, destination, …, metric, mask. The lowest metric wins.
        found = [(int(row[6]), row[0]) for row in rows if row[1] == row[7] == "0" * 8]
        if found:
            return min(found)[1]
    return None


def _links(name: str, entries: Sequence[snicaddr], *, multicast: bool) -> list[Link]:
    # An address with a label is listed as an interface "eth0:label".
    try:
        index = socket.if_nametoindex(name.partition(":")[0])
    except OSError:  # it has gone since
        return []
    return [
        _link(name, index, entry, multicast=multicast)
        for entry in entries
        if entry.family in _FAMILIES and entry.netmask
    ]


def _link(name: str, index: int, entry: snicaddr, *, multicast: bool) -> Link:
    address = entry.address.partition("%")[0]
    ip = ipaddress.ip_address(address)
    if ip.version == 4:  # noqa: PLR2004 - IPv4
        network: Network = ipaddress.IPv4Network(
            (address, entry.netmask or ""), strict=False
        )
        broadcast = LOOPBACK_BROADCAST if ip.is_loopback else entry.broadcast
    else:
        mask = int(ipaddress.IPv6Address(entry.netmask or "::"))
        network = ipaddress.IPv6Network((address, mask.bit_count()), strict=False)
        broadcast = None
    return Link(
        interface=name,
        index=index,
        address=address,
        network=network,
        broadcast=broadcast or None,
        multicast=multicast and not ip.is_loopback,
    )


def _fit(here: list[Link]) -> list[Link]:
    """Return the private links of one interface."""
    addresses = {link.address: ipaddress.ip_address(link.address) for link in here}
    private = {a for a, ip in addresses.items() if _is_private(ip)}
    public = [ip for a, ip in addresses.items() if a not in private]
    if private or all(ip.is_link_local for ip in public):
        private |= {
            a
            for a, ip in addresses.items()
            if ip.version == 6 and ip.is_link_local  # noqa: PLR2004 - IPv6
        }
    return [link for link in here if link.address in private]


def _is_private(ip: IPAddress) -> bool:
    if ip.is_loopback:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        return ip in _UNIQUE_LOCAL
    return ip.is_private and not ip.is_link_local


def _inside(link: Link, network: Network) -> bool:
    if isinstance(link.network, ipaddress.IPv4Network):
        return isinstance(network, ipaddress.IPv4Network) and (
            link.network.subnet_of(network)
        )
    return isinstance(network, ipaddress.IPv6Network) and (
        link.network.subnet_of(network)
    )
