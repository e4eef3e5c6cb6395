"""Where datagrams come from and go to, without a socket."""

from typing import NamedTuple

import msgspec

# (host, port) as the socket gives it, an IPv6 scope kept in the host: "fe80::1%eth0".
Address = tuple[str, int]


class Broadcast(msgspec.Struct, frozen=True):
    """Everyone on the driver's interfaces who listens on a port.

    `within` names interfaces or networks ("lo", "10.1.0.0/16") and nobody outside them
    is told; empty, it is whoever the driver reaches.
    """

    port: int
    within: tuple[str, ...] = ()


Destination = Address | Broadcast


class Datagram(NamedTuple):
    """Bytes, and where they go."""

    data: bytes
    to: Destination
