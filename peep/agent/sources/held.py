"""One log file, held open and read up to an offset, under an origin of its own.

Whether a file still holds what was read of it: the last TAIL_BYTES before the offset
are read again with whatever follows them, and if something does, so is its beginning
(lines may well end alike, but the first has its time in it). Where they differ, the
file was truncated or written anew; then `kept` says how much of what was read still
stands there, by samples that were taken on the way. Whoever holds a `Mark` proves the
file by it: digests of its first bytes and of those before the mark.

What stood in a file when it was opened was written at some time before: its lines bear
the time of its last change; or where it was resumed, and so may be long, their own if
these can be read. What comes later was written just now, whatever a line says: clocks
and zones may be wrong.

A line that was told, and whose rest is yet to come (because it was too long, or its
file seemed to have ended), is not told again: a mark that does not stand at the begin
of a line stands in such a one.

What has to be passed over (lag.py) is read like the rest, so that all of the above
holds, but its lines are only counted. The mark waits, and passes it in one step:
whoever is killed before that passes it over again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.contents import BLOCK_BYTES, HEAD_BYTES, Packed, Plain
from peep.loglines import (
    MAX_LINE_BYTES,
    LineSplitter,
    LogLine,
    Mark,
    Skipped,
    Timestamps,
    some_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TAIL_BYTES = 64  # read twice: enough to see that less, or something else, is there
SAMPLE_EVERY_BYTES = 4096  # programs begin a log with the same words, but fewer
MAX_SAMPLES = 16
_LAST_LINE_BYTES = 64 * 1024  # a line without end at the end of a file, at most
PASSED_BLOCK_BYTES = 1024 * 1024  # counting its lines takes half a millisecond
# More is not worth reading only to be counted: it would push what others need out of
# the system's memory.
MAX_COUNTED_BYTES = 1024 * 1024 * 1024
_DIGEST_BYTES = 16


def digest(data: bytes) -> bytes:
    """Return what stands for these bytes: a log's own words stay where they are."""
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def proves(mark: Mark, contents: Plain) -> bool:
    """Say whether this is the file that was read up to the mark, as far as one sees.

    Of a packed file one sees the beginning; of a mark at 0 nothing can be said.
    """
    if digest(contents.pread(min(mark.offset, HEAD_BYTES), 0)) != mark.head:
        return False
    if isinstance(contents, Packed):
        return True
    start = max(0, mark.offset - TAIL_BYTES)
    return digest(contents.pread(mark.offset - start, start)) == mark.tail


def end_of_lines(contents: Plain, size: int) -> int:
    """Return where, of so many bytes, the last line begins that has no newline yet."""
    start = max(0, size - _LAST_LINE_BYTES)
    found = contents.pread(size - start, start).rfind(b"\n")
    return start + found + 1 if found >= 0 or start == 0 else size


class Held:
    """One file; `rewritten` says that it no longer holds what was read of it."""

    def __init__(
        self, contents: Plain, name: str, origin: int, offset: int = 0
    ) -> None:
        self.contents = contents
        self.changed = contents.changed
        self.rewritten = False
        self.told_mark: tuple[object, ...] = ()  # what `moved` compares with
        self._name = name
        self._quiet_since: float | None = None
        self._samples: list[tuple[int, bytes]] = []
        self._wanted: bytes | None = None  # the tail's digest, of a packed file
        self._pass_until = 0  # an offset; what lies before it is only counted
        self._skipped = Skipped(0, 0)
        self.head = self._tail = self._before = b""
        self._lines = LineSplitter(name, origin=origin)
        packed = isinstance(contents, Packed)
        self._old_bytes = sys.maxsize if packed else contents.size()
        self._old_when = contents.changed
        self._dates = False
        zone = dt.datetime.now().astimezone().tzinfo or dt.UTC
        self._times = Timestamps(contents.changed, zone)
        self._place(offset)

    @classmethod
    def resumed(cls, contents: Plain, mark: Mark) -> Held:
        """Go on at a mark that was proved, as far as one sees."""
        packed = isinstance(contents, Packed)
        made = cls(contents, mark.path, mark.origin, 0 if packed else mark.offset)
        made._dates = True
        if not packed:
            return made
        made._lines = LineSplitter(mark.path, mark.offset, origin=mark.origin)
        made.head = contents.pread(min(mark.offset, HEAD_BYTES), 0)
        made._wanted = mark.tail
        return made

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self.contents.identity

    @property
    def origin(self) -> int:
        """The number that stands for what is read."""
        return self._lines.origin

    @property
    def offset(self) -> int:
        """How far it was read."""
        return self._lines.offset

    @property
    def is_passing(self) -> bool:
        """Say whether lines are passed over now."""
        return self._pass_until > 0

    def unread(self) -> int:
        """Return how many bytes are to be read; of a packed file, packed ones."""
        if isinstance(self.contents, Packed):
            return self.contents.left()
        size = self.contents.size()
        if size <= self.offset:
            return 0
        return size - (self.offset or self.contents.hole())

    def pass_over(self, but_bytes: int) -> None:
        """Pass over all that is unread but the lines in the last bytes.

        Where a packed file ends is not known before: it is passed over whole.
        """
        if isinstance(self.contents, Packed):
            self._pass_until = sys.maxsize
            return
        until = self.contents.size() - but_bytes
        found = self.contents.pread(MAX_LINE_BYTES, until - 1).find(b"\n")
        self._pass_until = until + max(0, found)

    def take_skipped(self) -> Skipped | None:
        """Return what was passed over since one last asked, if anything."""
        skipped, self._skipped = self._skipped, Skipped(0, 0)
        return skipped if skipped.size_bytes else None

    def read(self, now: float, wall: float) -> list[LogLine] | None:
        """Return the lines that a block completes; None if nothing came."""
        if self._wanted is not None:
            return self._unpacked(now)
        seen = len(self._tail)
        most = BLOCK_BYTES
        if self._pass_until:
            most = min(PASSED_BLOCK_BYTES, self._pass_until - self.offset)
        block = self.contents.pread(seen + most, self.offset - seen)
        if not block.startswith(self._tail):
            self.rewritten = True
            return None
        if len(block) > seen and not self._begins_as_before():
            self.rewritten = True
            return None
        if len(block) == seen:
            self._pass_until = 0
            self._quiet_since = now if self._quiet_since is None else self._quiet_since
            return None
        self.stir()
        if self.offset == 0 and block[:1] == b"\0" and (hole := self.contents.hole()):
            self._place(hole)
        elif self._pass_until:
            self._pass(block, seen)
        else:
            return self._feed(some_lines(block, seen), seen, wall)
        return []

    def finish(self, wall: float) -> list[LogLine]:
        """Return the last line if it has no newline; it counts as told."""
        lines = self._lines.finish(wall)
        self._before = self._tail
        return lines

    def mark(self) -> Mark:
        """Return how far the lines were told."""
        begin = self._lines.begin
        return Mark(
            path=self._name,
            origin=self.origin,
            device=self.identity[0],
            inode=self.identity[1],
            head=digest(self.head[:begin]),
            offset=begin,
            tail=digest(self._before) if self._wanted is None else self._wanted,
            changed=self.changed,
        )

    def moved(self) -> bool:
        """Say whether the mark is another since the last time that one asked."""
        begin = self._lines.begin
        # Of a file that was not begun its time is all that a restart knows.
        now = (self.identity, begin or self.changed)
        if now == self.told_mark or self.is_passing:
            return False
        self.told_mark = now
        return True

    def renewed(self, origin: int) -> Held:
        """Return this file as another one, to be read on from what was kept of it."""
        kept = self.kept()
        made = Held(self.contents, self._name, origin, kept)
        made._old_bytes = 0  # it was written since we looked last
        if kept < self.offset and kept not in [at for at, _ in self._samples]:
            # What is written now begins at the cut, and is a line by itself.
            made._lines = LineSplitter(self._name, kept, origin=origin)
        return made

    def kept(self) -> int:
        """Return how much of what was read a truncation has left; 0 if in doubt."""
        size = self.contents.size()
        standing = 0
        intact = True
        for at, tail in self._samples:
            intact = at > size or self._sampled(at) == tail
            if at > size or not intact:
                break
            standing = at
        if not standing or not self._begins_as_before():
            return 0
        if intact and size < self.offset:
            return min(size, self._lines.begin)
        # There is no telling where after this the new words begin.
        return standing

    def has_read(self, contents: Plain) -> bool:
        """Say whether a file is a copy of this one, or of less than was read of it."""
        head = contents.pread(HEAD_BYTES, 0)
        if not isinstance(contents, Packed) and contents.size() < self.offset:
            return self.head.startswith(head)
        return self.is_copied_in(contents)

    def is_copied_in(self, contents: Plain) -> bool:
        """Say whether a file holds all that was read of this one, and perhaps more."""
        if not self._tail or contents.pread(len(self.head), 0) != self.head:
            return False
        if isinstance(contents, Packed):
            return True
        start = self.offset - len(self._tail)
        return contents.pread(len(self._tail), start) == self._tail

    def move_to(self, contents: Plain) -> None:
        """Go on in a copy, at the same offset; its lines are the same lines."""
        self.contents = contents
        self.rewritten = False
        self.stir()
        if isinstance(contents, Packed):
            # What it begins with was proved; half a line is unpacked once more.
            begin = self._lines.begin
            self._lines = LineSplitter(self._name, begin, origin=self.origin)
            self._wanted = digest(self._before)

    def stir(self) -> None:
        """Forget for how long nothing has come."""
        self._quiet_since = None

    def quiet_s(self, now: float) -> float:
        """Return for how long nothing has come, as far as was looked."""
        return 0.0 if self._quiet_since is None else now - self._quiet_since

    def _begins_as_before(self) -> bool:
        if isinstance(self.contents, Packed) or self.offset == len(self._tail):
            return True  # nobody writes it; or it was just seen
        return self.contents.pread(len(self.head), 0) == self.head

    def _feed(self, block: bytes, seen: int, wall: float) -> list[LogLine]:
        base = self.offset - seen
        begin = self._lines.begin
        old = self.offset < self._old_bytes
        when = min(wall, self._old_when) if old else wall
        lines = self._lines.feed(block[seen:] if seen else block, when)
        if old and self._dates:
            lines = [self._dated(line) for line in lines]
        if self._lines.begin != begin:
            end = self._lines.begin - base
            self._before = block[max(0, end - TAIL_BYTES) : end]
        self._note(block, seen)
        return lines

    def _pass(self, block: bytes, seen: int) -> None:
        """Count the lines of a block; of very much, only the last are counted."""
        begin = self._lines.begin
        uncounted = self._pass_until - self.offset - MAX_COUNTED_BYTES
        if uncounted > 0 and not isinstance(self.contents, Packed):
            self._place(self.offset + uncounted)
            lines = 0
        else:
            lines = self._lines.pass_over(block[seen:])
            self._note(block, seen)
            self._before = self._tail
            uncounted = 0
        self._skipped += Skipped(lines, self._lines.begin - begin, uncounted <= 0)
        if self.offset >= self._pass_until:
            self._pass_until = 0

    def _note(self, block: bytes, seen: int) -> None:
        """Remember by what a block that was read can be known again."""
        base = self.offset - len(block)
        if len(self.head) < HEAD_BYTES:
            self.head = (self.head + block[seen:])[:HEAD_BYTES]
        self._tail = block[-TAIL_BYTES:]
        last = self._samples[-1][0] if self._samples else 0
        apart = max(SAMPLE_EVERY_BYTES, self.offset // MAX_SAMPLES)
        for at in range(max(last + apart, base + TAIL_BYTES), self.offset + 1, apart):
            self._sample(at, block[at - base - TAIL_BYTES : at - base])

    def _dated(self, line: LogLine) -> LogLine:
        """Give a line that stood there before its own time."""
        when = self._times.read(line.text)
        return (
            msgspec.structs.replace(line, when=when) if 0 < when < line.when else line
        )

    def _place(self, offset: int) -> None:
        """Begin to read here; take samples of what stands before."""
        self.head = self.contents.pread(min(offset, HEAD_BYTES), 0)
        self._tail = self._before = self._sampled(offset)
        inside = bool(self._tail) and self._tail[-1:] not in (b"\n", b"\0")
        self._lines = LineSplitter(self._name, offset, origin=self.origin, told=inside)
        self._samples = []
        for at in sorted(_halves(offset)):
            self._sample(at, self._sampled(at))

    def _sampled(self, offset: int) -> bytes:
        start = max(0, offset - TAIL_BYTES)
        return self.contents.pread(offset - start, start)

    def _sample(self, at: int, tail: bytes) -> None:
        self._samples.append((at, tail))
        if len(self._samples) > MAX_SAMPLES:
            # The one that leaves the smallest gap, for its place in the file.
            spots = [at for at, _ in self._samples]
            odd = range(1, len(spots) - 1)
            del self._samples[min(odd, key=lambda i: spots[i + 1] / spots[i - 1])]

    def _unpacked(self, now: float) -> list[LogLine] | None:
        """Come nearer to where a packed file was read up to; then prove it there."""
        offset = self.offset
        if not self.contents.reaches(offset):
            if self.contents.advance(offset):
                return []
            # Gzip may be at work on it yet; if it is damaged, its time runs out.
            self._quiet_since = now if self._quiet_since is None else self._quiet_since
            return None
        self._tail = self._before = self._sampled(offset)
        if digest(self._tail) != self._wanted:
            self.rewritten = True
            return None
        inside = bool(self._tail) and self._tail[-1:] != b"\n"
        self._lines = LineSplitter(self._name, offset, origin=self.origin, told=inside)
        self._wanted = None
        return []


def _halves(offset: int) -> Iterable[int]:
    """Yield an offset, half of it, and so on, as far as samples go."""
    while offset >= SAMPLE_EVERY_BYTES:
        yield offset
        offset //= 2
