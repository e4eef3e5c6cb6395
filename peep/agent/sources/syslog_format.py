"""What arrives as syslog becomes a line as a log file has it: RFC 3164 and RFC 5424.

    3164    <34>Oct 11 22:14:15 web1 su[7]: failed      (any part may be missing)
    5424    <34>1 2003-10-11T22:14:15.003Z web1 su 7 - [x y="z"] failed
    both    Oct 11 22:14:15 web1 su[7]: failed

so that rules need not know how a line came. Senders do as they like: any bytes give a
line. What cannot be told apart stays where it is, in the message. Where a message has
no host it is the sender's address, where it has no time, or none that can be, it is the
time of arrival. A newline within becomes #012, as rsyslog writes it: one message is one
line. Structured data is left out, unless there is nothing else.
"""

import datetime as dt
import re
import time
from functools import lru_cache

import msgspec

from peep.loglines import CUT_MARK, MAX_LINE_BYTES, Timestamps

# A relay may have waited for a day; a clock is rarely further ahead.
OLDEST_S = 86_400.0
NEWEST_S = 300.0
MAX_WORD_BYTES = 255  # a host name by RFC 5424; its other fields are shorter

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_BOM = b"\xef\xbb\xbf"
_WORD = rb"[!-~]{1,%d}" % MAX_WORD_BYTES
_PRIORITY = re.compile(rb"<\d{1,3}>")
_NEW = re.compile(
    rb"\d{1,2} (?P<time>[!-~]{1,64}) (?P<host>%(word)s) (?P<app>%(word)s)"
    rb" (?P<pid>%(word)s) %(word)s (?P<rest>-|\[)" % {b"word": _WORD}
)
# Also as Cisco has it: "*Mar  1 2024 18:46:11.123 CET: ".
_OLD_TIME = re.compile(
    rb"[*.]?(?P<time>(?:[A-Z][a-z]{2} [ \d]\d (?P<year>\d{4} )?\d\d:\d\d:\d\d"
    rb"(?:[.,]\d{1,9})?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.,:Z+-]{0,20}))"
    rb"(?: [A-Z]{3,4})?:? +"
)
_HOST = re.compile(rb"(?P<host>[\w.:%%-]{1,%d}) +" % MAX_WORD_BYTES)
# The parentheses are of old PAM: sshd(pam_unix)[7]: …
_TAG = re.compile(rb"[\w./@()%-]{1,128}(?:\[[^\]\s]{0,64}\])?:(?: |\Z)")
_ELEMENT = re.compile(
    rb'\[[^\s="\]]{1,64}(?: [^\s="\]]{1,64}="(?:[^"\\\]]|\\.){0,8192}+")*+\]',
    re.DOTALL,
)
_NIL = b"-"


class Parsed(msgspec.Struct, frozen=True):
    """A line, and when it was written, Unix seconds."""

    text: bytes
    when: float


def parse(data: bytes, sender: bytes, arrived: float) -> Parsed:
    """Return the line of one message. Never raises."""
    data = data.removeprefix(_BOM).rstrip(b"\r\n\0")
    priority = _PRIORITY.match(data)
    if priority:
        data = data[priority.end() :]
        new = _NEW.match(data)
        if new:
            return _parse_new(new, data[new.start("rest") :], sender, arrived)
    return _parse_old(data, sender, arrived)


def line(host: bytes, tag: bytes, pid: bytes, message: bytes, when: float) -> bytes:
    """Return a line in the form of log files; no `tag` leaves it out."""
    who = b"%b[%b]: " % (tag, pid) if tag and pid else tag + b": " if tag else b""
    head = b"%b %b %b" % (_stamp(int(when)), host, who)
    message = message[:MAX_LINE_BYTES].replace(b"\n", b"#012")
    room = MAX_LINE_BYTES - len(head)
    return head + (message if len(message) <= room else message[:room] + CUT_MARK)


@lru_cache(maxsize=4)
def _stamp(second: int) -> bytes:
    """Return a time as log files have it; most lines share it with others."""
    at = time.localtime(second)
    month = _MONTHS[3 * at.tm_mon - 3 : 3 * at.tm_mon]
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{month} {at.tm_mday:2} {clock}".encode()


def _parse_new(
    found: re.Match[bytes], rest: bytes, sender: bytes, arrived: float
) -> Parsed:
    data, message = _split_data(rest)
    # The second space is rsyslog's: it takes the one behind a tag for the message's.
    message = message.removeprefix(b" ").removeprefix(_BOM).removeprefix(b" ")
    host, app, pid = (_or_nothing(found[key]) for key in ("host", "app", "pid"))
    when = _sane(found["time"], arrived)
    return Parsed(line(host or sender, app, pid, message or data, when), when)


def _or_nothing(word: bytes) -> bytes:
    return b"" if word == _NIL else word


def _split_data(rest: bytes) -> tuple[bytes, bytes]:
    """Split structured data from what follows; what is malformed is message."""
    if rest.startswith(_NIL):
        return b"", rest[1:]
    end = 0
    while element := _ELEMENT.match(rest, end):
        end = element.end()
    return rest[:end], rest[end:]


def _parse_old(data: bytes, sender: bytes, arrived: float) -> Parsed:
    when, host = arrived, sender
    stamp = _OLD_TIME.match(data)
    if stamp:
        written = stamp["time"]
        if stamp["year"]:  # it is the one nearest to now, or the time is none
            written = written.replace(stamp["year"], b"", 1)
        when = _sane(written, arrived)
        data = data[stamp.end() :]
    named = _HOST.match(data)
    # A host stands before a tag; a word alone is the beginning of the message.
    if named and _TAG.match(data, named.end()):
        host = named["host"]
        data = data[named.end() :]
    return Parsed(line(host, b"", b"", data, when), when)


def _sane(written: bytes, arrived: float) -> float:
    """Return a time if it can be that of a message which came now, else its arrival."""
    when = Timestamps(hint=arrived, zone=_local_zone(arrived)).read(written)
    return when if -OLDEST_S <= when - arrived <= NEWEST_S else arrived


def _local_zone(at: float) -> dt.tzinfo:
    return dt.timezone(dt.timedelta(seconds=time.localtime(at).tm_gmtoff))


class Framer:
    """Cuts a TCP stream into messages, however it is cut into blocks.

    By RFC 6587 a message is counted ("12 <34>message…") or ends with a newline; each is
    told from its first bytes. A message is cut at `max_bytes`, the rest of it goes by.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending = b""
        self._counted = 0  # bytes of a counted message that are still to come
        self._skipping = False  # until the next newline

    def feed(self, block: bytes) -> list[bytes]:
        """Return the messages that this block completes."""
        data = self._pending + block
        found: list[bytes] = []
        at = 0
        while at < len(data):
            if self._counted:
                end = at + self._counted
                self._counted = max(0, end - len(data))
                at = min(end, len(data))
                continue
            begin = at
            at = self._next(data, at, found)
            if at == begin:
                break
        self._pending = data[at:]
        return found

    def finish(self) -> list[bytes]:
        """Return the last message, where it lacks its newline."""
        rest, self._pending = self._pending, b""
        return [rest[: self._max_bytes]] if rest and not self._skipping else []

    def _next(self, data: bytes, at: int, found: list[bytes]) -> int:
        """Return where the next message begins; `at` if this one is not complete."""
        if not self._skipping:
            counted = _COUNT.match(data, at)
            if counted:
                return self._take_counted(data, counted, found)
            if _MAY_COUNT.fullmatch(data, at):
                return at
        end = data.find(b"\n", at)
        if end < 0:
            if len(data) - at <= self._max_bytes and not self._skipping:
                return at
            if not self._skipping:
                found.append(data[at : at + self._max_bytes])
            self._skipping = True
            return len(data)
        if self._skipping:
            self._skipping = False
        elif end > at:
            found.append(data[at : min(end, at + self._max_bytes)])
        return end + 1

    def _take_counted(
        self, data: bytes, counted: re.Match[bytes], found: list[bytes]
    ) -> int:
        size, begin = int(counted[1]), counted.end() - 1
        wanted = min(size, self._max_bytes)
        if len(data) - begin < wanted:
            return counted.start()
        found.append(data[begin : begin + wanted])
        self._counted = size - wanted
        return begin + wanted


# A count stands before a "<"; a line that begins with a number does not.
_COUNT = re.compile(rb"([1-9]\d{0,6}) <")
_MAY_COUNT = re.compile(rb"[1-9]\d{0,6} ?")
