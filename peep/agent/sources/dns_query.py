"""One question to a name server, and whether it was answered (RFC 1035, 4.1)."""

import re
import struct

TYPES = {"A": 1, "NS": 2, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}

_HEAD = struct.Struct(">HHHHHH")
_INTERNET = 1
_ASK_ON = 0x0100  # the server may ask others
_IS_REPLY = 0x8000
_CODE = 0x000F
_CODES = {
    1: "does not understand",
    2: "fails",
    3: "knows no such name",
    5: "refuses",
}
_LABEL = re.compile(rb"[A-Za-z0-9_-]{1,63}")
_MAX_NAME_BYTES = 253


def is_name(name: str) -> bool:
    """Say whether a name can be asked for."""
    labels = name.encode("utf-8").rstrip(b".").split(b".")
    return len(name) <= _MAX_NAME_BYTES and all(map(_LABEL.fullmatch, labels))


def question(name: str, kind: str, number: int) -> bytes:
    """Return the packet that asks; `number` (0…65535) must come back."""
    labels = name.encode("ascii").rstrip(b".").split(b".")
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    asked = struct.pack(">HH", TYPES[kind], _INTERNET)
    return _HEAD.pack(number, _ASK_ON, 1, 0, 0, 0) + packed + asked


def trouble(asked: bytes, reply: bytes) -> str | None:
    """Say what is wrong with a reply; "" if nothing, None if it is to another question.

    Whoever answers must repeat number and question; of the answer nothing is read but
    how many records it has.
    """
    if len(reply) < len(asked):
        return None
    number, flags, questions, answers, _, _ = _HEAD.unpack_from(reply)
    is_same = reply[_HEAD.size : len(asked)].lower() == asked[_HEAD.size :].lower()
    if number != int.from_bytes(asked[:2], "big") or not flags & _IS_REPLY:
        return None
    if questions != 1 or not is_same:
        return None
    code = flags & _CODE
    if code:
        return f"the name server {_CODES.get(code, f'has error {code}')}"
    return "" if answers else "the name has no such record"
