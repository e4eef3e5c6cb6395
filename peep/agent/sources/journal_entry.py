"""An entry of the systemd journal, as JSON, becomes a line as a log file has it.

"Nov 21 13:00:00 host ident[pid]: message": so the same rules take it as take
/var/log/syslog. The pid is the one that the kernel vouches for, not the one that a
program says it has: only systemd itself is systemd[1].

A cursor begins with a number for the journal and the entry's number in it (s=…;i=…),
which no other entry has: an event's serial is a hash of these two, so that an entry
that is read again is known again. Lines of this agent and of other parts of Peep are
passed over: whoever listens to himself, howls.
"""

import hashlib
import re

import msgspec

from peep.agent.sources.syslog_format import line
from peep.signals import MAX_ID

FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_HOSTNAME,_SYSTEMD_UNIT"

_CURSOR = re.compile(r"[a-z]=[0-9a-f]{1,32}(;[a-z]=[0-9a-f]{1,32}){0,15}")
_INVARIANT = re.compile(r"s=[0-9a-f]+;i=[0-9a-f]+")
_UNSAFE_WORD = re.compile(rb"[^!-~]+")
_OWN_UNIT = re.compile(rb"peep(-[a-z]+)?(@.*)?\.service")
_OWN_IDENTIFIER = b"peep"
_MICROSECONDS = re.compile(r"[0-9]{1,20}")
_LATEST_S = 7_258_118_400.0  # the year 2200; else the journal's clock was wrong


class Entry(msgspec.Struct, gc=False):
    """What is read of an entry; text, or numbers of bytes, or a list of several."""

    cursor: str = msgspec.field(name="__CURSOR", default="")
    realtime: str = msgspec.field(name="__REALTIME_TIMESTAMP", default="0")
    message: object = msgspec.field(name="MESSAGE", default=None)
    identifier: object = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)
    command: object = msgspec.field(name="_COMM", default=None)
    said_pid: object = msgspec.field(name="SYSLOG_PID", default=None)
    pid: object = msgspec.field(name="_PID", default=None)
    host: object = msgspec.field(name="_HOSTNAME", default=None)
    unit: object = msgspec.field(name="_SYSTEMD_UNIT", default=None)


_decoder = msgspec.json.Decoder(Entry)


class Told(msgspec.Struct, frozen=True, gc=False):
    """An entry as a line; no `text` if it is nobody's business."""

    cursor: str
    serial: int
    when: float
    text: bytes = b""


def parse(data: bytes, own_pid: int = 0) -> Told | None:
    """Return what one line of JSON says; None if it is no entry. Never raises."""
    try:
        entry = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not is_cursor(entry.cursor):
        return None
    serial, when = _serial(entry.cursor), _when(entry.realtime)
    identifier = _word(entry.identifier) or _word(entry.command) or b"unknown"
    pid = _digits(entry.pid) or _digits(entry.said_pid)
    is_own = (
        (own_pid and pid == b"%d" % own_pid)
        or identifier == _OWN_IDENTIFIER
        or _OWN_UNIT.fullmatch(_bytes(entry.unit))
    )
    message = _bytes(entry.message).rstrip(b"\n")
    if is_own or not message:
        return Told(entry.cursor, serial, when)
    host = _word(entry.host) or b"localhost"
    text = line(host, identifier, pid, message, when)
    return Told(entry.cursor, serial, when, text)


def _bytes(value: object) -> bytes:
    """Return a field's bytes; of several of that name, the first."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, list) and value:
        if not all(type(item) is int and item in range(256) for item in value):
            return b"" if type(value[0]) is int else _bytes(value[0])
        return bytes(value)
    return b""


def _word(value: object) -> bytes:
    return _UNSAFE_WORD.sub(b"_", _bytes(value)[:128])


def _digits(value: object) -> bytes:
    digits = _bytes(value)
    return digits if digits.isdigit() and len(digits) <= len("4194304") else b""


def _when(realtime: str) -> float:
    if not _MICROSECONDS.fullmatch(realtime):
        return 0.0
    when = int(realtime) * 1e-6
    return when if when < _LATEST_S else 0.0


def is_cursor(text: str) -> bool:
    """Say whether this can be given to journalctl as a place in a journal."""
    return _CURSOR.fullmatch(text) is not None


def _serial(cursor: str) -> int:
    found = _INVARIANT.match(cursor)
    sure = (found[0] if found else cursor).encode()
    digest = hashlib.blake2b(sure, digest_size=8).digest()
    return int.from_bytes(digest, "big") & MAX_ID
