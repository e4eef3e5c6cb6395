"""The agent's half of a handshake: REGISTER out, GRANT in, CLASSES out."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.classes import NONE
from peep.protocol.discovery import split
from peep.protocol.sealing import initiate
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peep.protocol.links import Link

# Of 1,200, what is left beside header, seal and the longest host name.
MAX_INTRODUCTION_BYTES = 1200 - 28 - 16 - 256 - 20


def register(link: Link, agent_id: bytes, nonce: bytes, lease_s: int) -> None:
    """Make the REGISTER for a link's first key, or the open one."""
    link.nonce = nonce
    header = wire.Header(agent_id, nonce, key_id=link.key_id)
    hello = wire.write_inner(packets.Wish(lease_s))
    if link.keys:
        head = wire.encode_head(header, packets.PacketType.REGISTER)
        link.handshake = initiate(link.keys[0], head, link.cookie)
        hello = link.handshake.write(hello)
    link.register = wire.encode(header, packets.Register(link.cookie, hello))
    link.tries = 0


def accept(link: Link, header: wire.Header, body: packets.Grant, asked_s: int) -> None:
    """Take what a server granted; RemoteProtocolError if it is not for us."""
    # A copy: a true GRANT must still be read after one whose header was changed.
    hello, handshake = body.hello, copy.copy(link.handshake)
    if handshake is not None:
        hello = handshake.read(hello)
    terms = wire.read_inner(hello, packets.Terms)
    if terms.session != header.session or terms.server_id != header.sender:
        raise RemoteProtocolError(Reason.MALFORMED, "swapped ids")
    link.lease_s = acceptable(terms.lease_s, asked_s)
    if handshake is not None:
        link.transport, link.handshake = handshake.transport(), None
    link.session = header.session


def acceptable(lease_s: int, asked_s: int) -> float:
    """Return a lease that a server grants; RemoteProtocolError if it may not."""
    longest = max(packets.MIN_LEASE_S, asked_s)
    if asked_s == packets.ANY_LEASE:
        longest = packets.MAX_LEASE_S
    if not packets.MIN_LEASE_S <= lease_s <= longest:
        raise RemoteProtocolError(Reason.MALFORMED, "lease out of bounds")
    return float(lease_s)


def introduction(
    host: str, classes: Sequence[str], labels: Mapping[str, str]
) -> packets.Classes:
    """Say who this is; of very many or long classes and labels, what fits."""
    room = MAX_INTRODUCTION_BYTES
    told: dict[str, str] = {}
    for name, value in labels.items():
        room -= len(name) + len(value) + 4
        if room > MAX_INTRODUCTION_BYTES // 2 and len(told) < packets.MAX_LABELS:
            told[name] = value
    parts = split(tuple(classes), MAX_INTRODUCTION_BYTES // 2)
    return packets.Classes(host, parts[0] if parts else [NONE], told)
