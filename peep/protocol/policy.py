"""Whom to deal with at all: allow-lists, the same on both sides; empty allows all."""

import ipaddress
from collections.abc import Iterable

import msgspec

from peep.errors import RemoteProtocolError
from peep.protocol.classes import matches
from peep.reasons import Reason

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed. `classes` may hold wildcards; `keys` are key ids."""

    networks: tuple[Network, ...] = ()
    classes: tuple[str, ...] = ()
    keys: tuple[int, ...] = ()

    def check_address(self, host: str) -> None:
        """RemoteProtocolError if nothing is to be had from this address."""
        if self.networks and not within(host, self.networks):
            raise RemoteProtocolError(Reason.REFUSED)

    def check_key(self, key_id: int) -> None:
        """RemoteProtocolError if this key is not to be used, or one is demanded."""
        if self.keys and key_id not in self.keys:
            raise RemoteProtocolError(Reason.REFUSED)

    def allowed(self, class_names: Iterable[str]) -> list[str]:
        """Return those of the classes that may be spoken of."""
        return [
            name
            for name in class_names
            if not self.classes or any(matches(p, name) for p in self.classes)
        ]


def within(host: str, networks: Iterable[Network]) -> bool:
    """Say whether an address, an IPv6 scope aside, lies in one of the networks."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)
