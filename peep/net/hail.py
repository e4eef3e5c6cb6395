"""Ask one address whether a server is there, without discovery."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from peep.errors import PeepError, RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.packets import ID_BYTES, MAX_DATAGRAM_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIES = 3  # a datagram may be lost


def hail(
    host: str, port: int, classes: Sequence[str], wait_s: float
) -> tuple[str, ...] | None:
    """Return which of the classes are served there; None if nobody answers in time.

    PeepError if there is no such host, no way to it, or nobody at that port.
    """
    where = f"{host} port {port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind) as sock:
            sock.connect(address)
            sock.settimeout(wait_s / TRIES)
            for sequence in range(TRIES):
                header = wire.Header(os.urandom(ID_BYTES), sequence=sequence + 1)
                sock.send(wire.encode(header, packets.Request(list(classes))))
                try:
                    offered = _offered(sock.recv(MAX_DATAGRAM_BYTES + 1))
                except TimeoutError:
                    continue
                if offered is not None:
                    return tuple(name for name in classes if name in offered)
    except ConnectionRefusedError:
        raise PeepError(f"{where}: nobody listens there") from None
    except (OSError, UnicodeError) as problem:
        why = getattr(problem, "strerror", None) or "not a host name"
        raise PeepError(f"{where}: {why}") from None
    return None


def _offered(data: bytes) -> list[str] | None:
    try:
        _, body = wire.decode(data)
    except RemoteProtocolError:
        return None
    return body.classes if isinstance(body, packets.Offer) else None
