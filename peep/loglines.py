"""Lines of logs: cutting them out of bytes, showing them, and reading their times.

A line is bytes and stays bytes until it is shown: what programs log is mostly UTF-8,
sometimes not, and rules must match it all the same. A line's `when` is Unix seconds;
0.0 means that nobody knows.

Times in logs come in a few dialects, told apart by the first bytes:

    Dec 10 06:55:46                  RFC 3164: no year, no zone
    2024-01-02T03:04:05.678+01:00    ISO 8601 / RFC 3339; also with a space, a comma
    2024/01/02 03:04:05              nginx errors
    [Sun Dec 04 04:47:44 2005]       Apache errors, also with microseconds
    … [10/Oct/2000:13:55:36 -0700]   access logs, behind address and user
    1700000000.123                   seconds since 1970
    <34>1 2003-10-11T22:14:15.003Z   the first two also behind a syslog priority

Where no zone is written the reader's is assumed (UTC unless told). Where no year is
written, it is the year that brings the time closest to the line before: so December is
followed by January of the next year, and a line that is a little late jumps no year.
The first line is taken to be the latest that is not after a hint: the log's last
change, or now.
"""

from __future__ import annotations

import datetime as dt
import re

import msgspec

MAX_LINE_BYTES = 64 * 1024  # longer than any sane line, small enough to buffer many
CUT_MARK = b" [cut]"
MAX_LINES = 2000  # to be told at a time, however short: some milliseconds' work

_MAX_HEAD_BYTES = 512  # a time stands near the front, if behind a long IPv6 and a user
_HINT_SLACK_S = 86_400.0  # zones and clocks may differ by a day
_YEARS = (1971, 2199)  # outside of it a number is something else than a year
_MONTHS = {
    name: number + 1
    for number, name in enumerate(
        b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    )
}

# Every dialect has the groups whole (all but fraction and zone), fraction and zone.
_PRIORITY = rb"(?:<\d{1,3}>(?:1 )?)?"
_CLOCK = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FRACTION = rb"(?:[.,](?P<fraction>\d{1,9})\d*)?"
_NO_FRACTION = rb"(?P<fraction>(?!))?"
_ZONE = rb"(?P<zone>Z|[+-]\d\d(?::?\d\d)?| ?[+-]\d{4}| UTC| GMT| Z)?(?![\w:.+-])"
_NO_ZONE = rb"(?P<zone>(?!))?"
_NAMED = b"(?P<month>" + b"|".join(_MONTHS) + b")"
_DIALECTS = tuple(
    re.compile(b"".join(parts))
    for parts in (
        # RFC 3164
        (
            _PRIORITY,
            rb"(?P<whole>" + _NAMED + rb" +(?P<day>\d\d?) " + _CLOCK + rb")",
            _FRACTION,
            _NO_ZONE,
            rb"(?![\d:])",
        ),
        # ISO 8601, RFC 3339, RFC 5424, nginx errors, and the kind in brackets
        (
            _PRIORITY,
            rb"\[?(?P<whole>(?P<year>\d{4})([-/])(?P<month>\d\d)\3(?P<day>\d\d)[T ]",
            _CLOCK + rb")",
            _FRACTION,
            _ZONE,
        ),
        # Apache errors
        (
            rb"\[(?P<whole>\w{3} " + _NAMED + rb" +(?P<day>\d\d?) " + _CLOCK,
            _FRACTION + rb" (?P<year>\d{4}))\]",
            _NO_ZONE,
        ),
        # seconds since 1970
        (rb"(?P<whole>\d{9,10})" + _FRACTION + _NO_ZONE + rb"(?=\s|$)",),
        # access logs
        (
            rb"[^\[]*\[(?P<whole>(?P<day>\d\d)/" + _NAMED + rb"/(?P<year>\d{4}):",
            _CLOCK + rb")" + _NO_FRACTION + rb"(?P<zone> [+-]\d{4})\]",
        ),
    )
)

_SAFE_ASCII = re.compile(rb"[ -~]*")
# Control characters, line separators, bidirectional marks and overrides, lone
# surrogates: what could move a cursor, recolour a terminal or disguise a line.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """One line, without its newline. `offset` is where it began in its source.

    `origin` is a number that stands for the very file or stream, whatever its name:
    origin and offset are the line's id. 0 is none.
    """

    source: str
    offset: int
    text: bytes
    when: float = 0.0
    origin: int = 0


class Mark(msgspec.Struct, frozen=True, gc=False):
    """How far a file was read: every line before `offset` was told, none after it.

    `path` is the name that is followed, whatever the file is called by now. `head` is
    a digest of the file's beginning (as much as lies before `offset`, within a bound)
    and `tail` one of the bytes just before `offset`: they prove that it is that file.
    `changed` is when it was last written to, as far as is known, in Unix seconds of its
    file system: what was last changed before is older. `followed` is when somebody
    followed it last, more or less, in Unix seconds; whoever keeps marks writes it. 0.0
    is unknown.
    """

    path: str
    origin: int
    device: int
    inode: int
    head: bytes
    offset: int
    tail: bytes
    changed: float = 0.0
    followed: float = 0.0


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """What was passed over, because too much was unread; `lines` at least."""

    lines: int
    size_bytes: int
    all_counted: bool = True

    def __add__(self, other: Skipped) -> Skipped:
        """Return both together."""
        return Skipped(
            self.lines + other.lines,
            self.size_bytes + other.size_bytes,
            self.all_counted and other.all_counted,
        )


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Lines of one source that were read together, in order; perhaps none.

    Whoever has made sure of these lines keeps `marks`, one an origin, and forgets those
    of the origins in `done`: then it is told each line once, however often it starts.
    The marks stand behind what was `skipped`, too.
    """

    source: str
    lines: tuple[LogLine, ...]
    marks: tuple[Mark, ...] = ()
    done: tuple[int, ...] = ()
    skipped: Skipped | None = None


class LineSplitter:
    """Cuts a stream of bytes into lines of at most `max_bytes`, cut ones marked.

    Feed it blocks as they come; a last line without newline waits for the rest.
    `offset` is where the next block begins in the stream, `begin` where the first line
    begins that was not told. `told` says that the stream goes on within a line that was
    told already: what is left of it goes by.
    """

    def __init__(
        self,
        source: str,
        offset: int = 0,
        max_bytes: int = MAX_LINE_BYTES,
        *,
        origin: int = 0,
        told: bool = False,
    ) -> None:
        self.source = source
        self.offset = offset
        self.origin = origin
        self.begin = offset
        self._max_bytes = max_bytes
        self._pending = b""  # a line without its end, from `begin` on
        self._skipping = told  # it was too long, and was told of already

    def feed(self, block: bytes, when: float = 0.0) -> list[LogLine]:
        """Return the lines that this block completes."""
        self.offset += len(block)
        head, newline, rest = block.rpartition(b"\n")
        lines: list[LogLine] = []
        if newline:
            whole = self._pending + head
            texts = whole.split(b"\n")
            if self._skipping:
                self._skipping = False
                self.begin += len(texts.pop(0)) + 1
            source, begin, origin = self.source, self.begin, self.origin
            # Most blocks need no change, and all their lines are asked at once.
            if b"\r" in whole or max(map(len, texts), default=0) > self._max_bytes:
                shown = [self._shown(text) for text in texts]
            else:
                shown = texts
            for text, told in zip(texts, shown, strict=True):
                lines.append(LogLine(source, begin, told, when, origin))
                begin += len(text) + 1
            self.begin = begin
            self._pending = rest
        else:
            self._pending += block
        if self._skipping or len(self._pending) > self._max_bytes:
            # It may never end: tell of it now, and let the rest go by.
            if not self._skipping:
                lines.append(self._line(self._pending, when))
            self.begin += len(self._pending)
            self._pending = b""
            self._skipping = True
        return lines

    def pass_over(self, block: bytes) -> int:
        """Return how many lines begin here, or had; none of them will be told.

        What is left of the last one goes by with the next block.
        """
        self.offset += len(block)
        self.begin = self.offset
        self._pending = b""
        unended = not block.endswith(b"\n")
        count = block.count(b"\n") + unended - self._skipping
        self._skipping = unended
        return count

    def finish(self, when: float = 0.0) -> list[LogLine]:
        """Return the last line where it lacks a newline; nothing more will come."""
        lines = [self._line(self._pending, when)] if self._pending else []
        self.begin = self.offset
        self._pending = b""
        self._skipping = False
        return lines

    def _line(self, text: bytes, when: float) -> LogLine:
        return LogLine(self.source, self.begin, self._shown(text), when, self.origin)

    def _shown(self, text: bytes) -> bytes:
        if len(text) > self._max_bytes:
            return text[: self._max_bytes] + CUT_MARK
        return text.removesuffix(b"\r")


def some_lines(block: bytes, begin: int = 0) -> bytes:
    """Return a block to the end of its first MAX_LINES lines from `begin` on."""
    excess = block.count(b"\n", begin) - MAX_LINES
    if excess <= 0:
        return block
    if excess < MAX_LINES:  # they are fewer, and so sooner found from the end
        return block[: len(block.rsplit(b"\n", excess + 1)[0]) + 1]
    return block[: len(block) - len(block[begin:].split(b"\n", MAX_LINES)[-1])]


def split_lines(
    data: bytes, source: str = "", max_bytes: int = MAX_LINE_BYTES
) -> list[LogLine]:
    """Return all the lines of a whole text, its last one with or without newline."""
    splitter = LineSplitter(source, max_bytes=max_bytes)
    return splitter.feed(data) + splitter.finish()


def printable(text: bytes) -> str:
    r"""Return text that is harmless on a terminal: one line, nothing it obeys.

    Bytes that are not UTF-8 and control characters appear as `\xff` and `\x1b`, a
    tab as a space.
    """
    if _SAFE_ASCII.fullmatch(text):
        return text.decode("ascii")
    decoded = text.decode("utf-8", "backslashreplace").replace("\t", " ")
    return _HARMFUL.sub(_visible, decoded)


def _visible(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class Timestamps:
    """Reads the times of one log, line after line.

    `hint` is a time (Unix seconds) that the log is not later than, for dialects that
    do not write the year; `zone` is what holds where none is written.
    """

    def __init__(self, hint: float = 0.0, zone: dt.tzinfo = dt.UTC) -> None:
        self._hint = hint
        self._zone = zone
        self._last = 0.0  # the line before, whole seconds
        self._last_written: tuple[bytes, bytes | None] = (b"", None)

    def read(self, text: bytes) -> float:
        """Return the time that a line bears, in Unix seconds, or 0.0. Never raises."""
        head = text[:_MAX_HEAD_BYTES]
        for dialect in _DIALECTS:
            found = dialect.match(head)
            if found:
                return self._read(found.groupdict())
        return 0.0

    def _read(self, fields: dict[str, bytes | None]) -> float:
        written = (fields["whole"] or b"", fields["zone"])
        # Neighbouring lines mostly share their second.
        if written != self._last_written:
            seconds = self._whole_seconds(fields)
            if not seconds:
                return 0.0
            self._last, self._last_written = seconds, written
        return self._last + float(b"0." + (fields["fraction"] or b"0"))

    def _whole_seconds(self, fields: dict[str, bytes | None]) -> float:
        if "year" in fields:
            return self._in_year(int(fields["year"] or 0), fields)
        if "month" in fields:
            return self._nearest_year(fields)
        return float(fields["whole"] or 0)

    def _nearest_year(self, fields: dict[str, bytes | None]) -> float:
        reference = self._last or self._hint
        year = dt.datetime.fromtimestamp(reference, self._zone).year
        near = [self._in_year(y, fields) for y in (year - 1, year, year + 1)]
        near = [seconds for seconds in near if seconds]
        if self._last:
            return min(near, key=lambda s: abs(s - self._last), default=0.0)
        latest = self._hint + _HINT_SLACK_S
        return max((s for s in near if s <= latest), default=0.0)

    def _in_year(self, year: int, fields: dict[str, bytes | None]) -> float:
        """Return 0.0 for a date that does not exist."""
        if not _YEARS[0] <= year <= _YEARS[1]:
            return 0.0
        month = fields["month"] or b""
        second = int(fields["second"] or 0)
        try:
            moment = dt.datetime(
                year,
                int(_MONTHS.get(month, month)),
                int(fields["day"] or 0),
                int(fields["hour"] or 0),
                int(fields["minute"] or 0),
                min(second, 59),  # a leap second
                tzinfo=_zone(fields["zone"]) or self._zone,
            )
        except ValueError:
            return 0.0
        return moment.timestamp() + max(0, second - 59)


def _zone(written: bytes | None) -> dt.tzinfo | None:
    """Return the zone of "Z", "UTC", "+01", "+0100" or "+01:00"; raises ValueError."""
    if not written:
        return None
    written = written.strip()
    digits = written[1:].replace(b":", b"")
    if not digits.isdigit():
        return dt.UTC
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    sign = -1 if written.startswith(b"-") else 1
    return dt.timezone(dt.timedelta(minutes=sign * minutes))
