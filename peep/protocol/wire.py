"""Bytes to packets and back; total: any bytes give a packet or a reason.

A datagram is a header of 28 bytes, big-endian, and a msgpack body:

    version u8, type u8, flags u16, key id u32, sender id 8, session id 8, sequence u32

The key id is 0 in open classes. In sealed ones the body of whatever comes after the
handshake is ciphertext, with the header as associated data. Flags say what a receiver
must understand: an unknown one refuses the datagram, so that a later "compressed"
cannot be misread.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeVar

import msgspec

from peep.errors import LocalProtocolError, RemoteProtocolError
from peep.protocol import packets
from peep.protocol.packets import Packet, PacketType, Terms, Wish
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

InnerT = TypeVar("InnerT", Wish, Terms)

_HEADER = struct.Struct(">BBHI8s8sI")
SEQUENCE = struct.Struct(">I")
HEADER_BYTES = _HEADER.size
# Before it all that one sender says in one session, as one type, begins alike.
SEQUENCE_AT = HEADER_BYTES - SEQUENCE.size
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
    PacketType.RECEIPT: (packets.Receipt, _ANY),
}
_TYPES = {row[0]: kind for kind, row in TABLE.items()} | {
    packets.SealedSignals: PacketType.SIGNALS
}
_DECODE = {kind: msgspec.msgpack.Decoder(row[0]).decode for kind, row in TABLE.items()}
_DECODE_SEALED = _DECODE | {
    PacketType.SIGNALS: msgspec.msgpack.Decoder(packets.SealedSignals).decode
}
# The second byte, and what stands in its row: an enum's call takes half a microsecond.
_KINDS = {int(kind): (kind, row[1]) for kind, row in TABLE.items()}
# These carry a key id, and a message of the handshake inside, but no seal around.
_HANDSHAKE = {PacketType.REGISTER, PacketType.GRANT}
_ENCODER = msgspec.msgpack.Encoder()


class Header(msgspec.Struct, frozen=True, gc=False):
    """Who says it, in which session, as which word."""

    sender: bytes
    session: bytes = NO_SESSION
    sequence: int = 0
    key_id: int = 0
    flags: int = 0


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A datagram whose header is understood and whose body is not yet."""

    header: Header
    kind: PacketType
    head: bytes  # the header as it came: what a seal covers
    body: bytes

    @property
    def sealed(self) -> bool:
        """Say whether the body is under the seal of a session."""
        return self.header.key_id != 0 and self.kind not in _HANDSHAKE


def encode_head(header: Header, kind: PacketType) -> bytes:
    """Return the 28 bytes of a header."""
    return _HEADER.pack(
        packets.VERSION,
        kind,
        header.flags,
        header.key_id,
        header.sender,
        header.session,
        header.sequence,
    )


def encode(
    header: Header,
    body: Packet,
    seal: Callable[[int, bytes, bytes], bytes] | None = None,
) -> bytes:
    """Return the datagram, its body under a seal if one is given.

    `seal(sequence, head, plaintext)` returns the ciphertext. LocalProtocolError if the
    datagram would be too large.
    """
    kind = _TYPES[type(body)]
    head, content = encode_head(header, kind), _ENCODER.encode(body)
    if seal is not None:
        content = seal(header.sequence, head, content)
    data = head + content
    limit = TABLE[kind][1]
    if len(data) > limit:
        raise LocalProtocolError(f"{kind.name} of {len(data)} bytes, limit {limit}")
    return data


def parse(data: bytes) -> Parsed:
    """Take a datagram apart; RemoteProtocolError(reason) for what is none."""
    if not data:
        raise RemoteProtocolError(Reason.MALFORMED, "empty")
    if data[0] != packets.VERSION:
        raise RemoteProtocolError(Reason.UNKNOWN_VERSION, str(data[0]))
    if len(data) < HEADER_BYTES:
        raise RemoteProtocolError(Reason.MALFORMED, f"{len(data)} bytes")
    _, number, flags, key_id, sender, session, sequence = _HEADER.unpack_from(data)
    if number not in _KINDS:
        raise RemoteProtocolError(Reason.UNKNOWN_TYPE, str(number))
    kind, limit = _KINDS[number]
    if len(data) > limit:
        raise RemoteProtocolError(Reason.TOO_LARGE, f"{len(data)} bytes")
    if flags:
        raise RemoteProtocolError(Reason.MALFORMED, f"flags {flags:#x}")
    header = Header(sender, session, sequence, key_id)
    return Parsed(header, kind, data[:HEADER_BYTES], data[HEADER_BYTES:])


def read(kind: PacketType, body: bytes, *, sealed: bool = False) -> Packet:
    """Return a body that is in clear, or was opened; RemoteProtocolError if it is none.

    A sealed session's SIGNALS have fields that an open one's have not.
    """
    decode = (_DECODE_SEALED if sealed else _DECODE)[kind]
    try:
        return decode(body)
    # A decoder lets UnicodeDecodeError through, and deep nesting (found by fuzzing).
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise RemoteProtocolError(Reason.MALFORMED, str(problem)) from None


def write_inner(body: Wish | Terms) -> bytes:
    """Return what goes inside a handshake's message."""
    return _ENCODER.encode(body)


def read_inner(content: bytes, kind: type[InnerT]) -> InnerT:
    """Return what came inside a handshake's message; RemoteProtocolError otherwise."""
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise RemoteProtocolError(Reason.MALFORMED, str(problem)) from None


def decode(data: bytes) -> tuple[Header, Packet]:
    """Return header and body of a datagram in clear; RemoteProtocolError otherwise."""
    parsed = parse(data)
    if parsed.sealed:
        raise RemoteProtocolError(Reason.SEALED)
    return parsed.header, read(parsed.kind, parsed.body)
