"""Where datagrams come from and go to, without a socket."""

from typing import NamedTuple

import msgspec

# (host, port) as the socket gives it, an IPv6 scope kept in the host: "fe80::1%eth0".
Address = tuple[str, int]


class Broadcast(msgspec.Struct, frozen=True):
    """Everyone on the driver's interfaces who listens on a port."""

    port: int


Destination = Address | Broadcast


class Datagram(NamedTuple):
    """Bytes, and where they go."""

    data: bytes
    to: Destination
