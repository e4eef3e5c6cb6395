"""Bytes to packets and back; total: any bytes give a packet or a reason.

A datagram is a header of 28 bytes, big-endian, and a msgpack body:

    version u8, type u8, flags u16, key id u32, sender id 8, session id 8, sequence u32

The key id is 0 in open classes. Flags say what a receiver must understand: an unknown
flag refuses the datagram, so that a later "compressed" cannot be misread.
"""

import struct

import msgspec

from peep.errors import LocalProtocolError, RemoteProtocolError
from peep.protocol import packets
from peep.protocol.packets import Packet, PacketType
from peep.reasons import Reason

_HEADER = struct.Struct(">BBHI8s8sI")
HEADER_BYTES = _HEADER.size
NO_SESSION = bytes(packets.ID_BYTES)

_DISCOVERY = packets.MAX_DISCOVERY_BYTES
_ANY = packets.MAX_DATAGRAM_BYTES

# One row per packet: its body, and the most bytes it may take.
TABLE: dict[PacketType, tuple[type[Packet], int]] = {
    PacketType.REQUEST: (packets.Request, _DISCOVERY),
    PacketType.ANNOUNCE: (packets.Announce, _DISCOVERY),
    PacketType.OFFER: (packets.Offer, _DISCOVERY),
    PacketType.REGISTER: (packets.Register, _DISCOVERY),
    PacketType.GRANT: (packets.Grant, _DISCOVERY),
    PacketType.CLASSES: (packets.Classes, _ANY),
    PacketType.RENEW: (packets.Renew, _ANY),
    PacketType.ACK: (packets.Ack, _ANY),
    PacketType.SIGNALS: (packets.Signals, _ANY),
    PacketType.BYE: (packets.Bye, _ANY),
    PacketType.EXCEPTION: (packets.ExceptionHint, _DISCOVERY),
}
_TYPES = {row[0]: kind for kind, row in TABLE.items()}
_DECODERS = {kind: msgspec.msgpack.Decoder(row[0]) for kind, row in TABLE.items()}
_ENCODER = msgspec.msgpack.Encoder()


class Header(msgspec.Struct, frozen=True, gc=False):
    """Who says it, in which session, as which word."""

    sender: bytes
    session: bytes = NO_SESSION
    sequence: int = 0
    key_id: int = 0
    flags: int = 0


def encode(header: Header, body: Packet) -> bytes:
    """Return the datagram; LocalProtocolError if it would be too large."""
    kind = _TYPES[type(body)]
    data = _HEADER.pack(
        packets.VERSION,
        kind,
        header.flags,
        header.key_id,
        header.sender,
        header.session,
        header.sequence,
    ) + _ENCODER.encode(body)
    limit = TABLE[kind][1]
    if len(data) > limit:
        raise LocalProtocolError(f"{kind.name} of {len(data)} bytes, limit {limit}")
    return data


def decode(data: bytes) -> tuple[Header, Packet]:
    """Return header and body; RemoteProtocolError(reason) for anything else."""
    if len(data) < HEADER_BYTES:
        raise RemoteProtocolError(Reason.MALFORMED, f"{len(data)} bytes")
    version, kind, flags, key_id, sender, session, sequence = _HEADER.unpack_from(data)
    if version != packets.VERSION:
        raise RemoteProtocolError(Reason.UNKNOWN_VERSION, str(version))
    if kind not in TABLE:
        raise RemoteProtocolError(Reason.UNKNOWN_TYPE, str(kind))
    if len(data) > TABLE[kind][1]:
        raise RemoteProtocolError(Reason.TOO_LARGE, f"{len(data)} bytes")
    if flags or key_id:
        raise RemoteProtocolError(Reason.SEALED)
    try:
        body = _DECODERS[kind].decode(memoryview(data)[HEADER_BYTES:])
    # A msgspec decoder lets UnicodeDecodeError through (found by fuzzing).
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise RemoteProtocolError(Reason.MALFORMED, str(problem)) from None
    return Header(sender, session, sequence, key_id, flags), body
