"""Follow a log file by its name, through rotation.

Terms. The *current* file is the one that the name leads to; an *outgoing* one was
current until the name led elsewhere, or nowhere. A writer goes on writing into the
outgoing file until it is told to reopen, so its descriptor is kept and read until
nothing has come for OUTGOING_S; the new one is read from its beginning. A descriptor
is not kept for longer, since a deleted file takes its room on the disk until then.

Which file it is: device and inode, which cannot be given to another file while this one
is held open. Whether it still holds what was read of it: the last TAIL_BYTES before the
offset are read again with whatever follows them. Where they differ, the file was
truncated or written anew, and is read from its beginning.

What was read is never thrown away for an error: a follower that raised goes on where it
stopped when it is asked again.

Not handled here: several rotations between two looks, what was written between the
last look and copytruncate's truncation, and where to resume after a restart.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

import msgspec

from peep.errors import SourceError
from peep.loglines import Batch, LineSplitter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peep.clock import Clock
    from peep.config.document import Node

READ_BYTES = 256 * 1024  # at a time; matching so much takes a few milliseconds
TAIL_BYTES = 64  # read twice; a log's lines differ in their time, at the least
LOOK_S = 0.1  # between looks at a quiet file
OUTGOING_S = 60.0  # logrotate's scripts reopen within seconds; be patient
MAX_OUTGOING = 8  # descriptors held per name, however often it is rotated


class TailSpec(msgspec.Struct, frozen=True):
    """Which file to follow; from its end, or from its beginning."""

    path: str
    from_start: bool = False


def check(options: Node) -> TailSpec:
    """Read `tail: PATH`, or `{kind: tail, path: PATH, from_start: true}`."""
    section = options.section("path", "from_start", short="path")
    path = section["path"].text()
    if path and not path.startswith("/"):
        section["path"].problem("needs an absolute path, such as /var/log/auth.log")
    return TailSpec(path, section["from_start"].flag(default=False))


class _Open:
    """One file, held open and read up to an offset."""

    def __init__(self, path: str, *, at_end: bool) -> None:
        """Open it; OSError or SourceError if that cannot be."""
        # Not to wait, should the name have become a FIFO's since it was looked at.
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(self.fd)
        if not S_ISREG(status.st_mode):
            os.close(self.fd)
            raise _not_regular(path)
        self.identity = (status.st_dev, status.st_ino)
        self._quiet_since: float | None = None
        offset = status.st_size if at_end else 0
        self._lines = LineSplitter(path, offset)
        start = max(0, offset - TAIL_BYTES)
        self._tail = os.pread(self.fd, offset - start, start)

    def read(self, now: float, wall: float) -> Batch | None:
        """Return what came since, or None."""
        offset = self._lines.offset
        seen = len(self._tail)
        block = os.pread(self.fd, seen + READ_BYTES, offset - seen)
        lines = []
        if not block.startswith(self._tail):
            lines = self._lines.finish(wall)
            self._lines = LineSplitter(self._lines.source, 0)
            seen = 0
            block = os.pread(self.fd, READ_BYTES, 0)
        self._tail = block[-TAIL_BYTES:]
        if len(block) > seen:
            lines += self._lines.feed(block[seen:], wall)
            self.stir()
        elif self._quiet_since is None:
            self._quiet_since = now
        if not lines and len(block) <= seen:
            return None
        return Batch(self._lines.source, tuple(lines))

    def stir(self) -> None:
        """Forget for how long nothing has come."""
        self._quiet_since = None

    def quiet_s(self, now: float) -> float:
        """Return for how long nothing has come, as far as was looked."""
        return 0.0 if self._quiet_since is None else now - self._quiet_since

    def close(self, wall: float) -> Batch:
        """Let go of the file; return its last line if that had no newline."""
        os.close(self.fd)
        return Batch(self._lines.source, tuple(self._lines.finish(wall)))


class Follower:
    """Reads one name; `read` never waits."""

    def __init__(self, path: str, *, from_start: bool = False) -> None:
        self._path = path
        self._skip = not from_start  # what stands there when we come is old
        self._current: _Open | None = None
        self._outgoing: list[_Open] = []

    def read(self, now: float, wall: float) -> list[Batch]:
        """Return a block of what was appended since, oldest file first; [] if nothing.

        SourceError if the name leads to what cannot be read, and all else has been.
        """
        batches: list[Batch] = []
        trouble = None
        try:
            batches += self._look(now, wall)
        except SourceError as problem:
            trouble = problem
        for held in self._held():
            batch = held.read(now, wall)
            if batch is not None:
                # Of one file at a time, so that others need not wait for us.
                return [*batches, batch]
            if held is not self._current and held.quiet_s(now) >= OUTGOING_S:
                batches += self._let_go([held], wall)
        if trouble is not None and not batches:
            raise trouble
        return batches

    def close(self, wall: float) -> list[Batch]:
        """Let go of everything; return last lines that had no newline."""
        self._turn_out()
        return self._let_go(list(self._outgoing), wall)

    def _held(self) -> list[_Open]:
        return [*self._outgoing, *([] if self._current is None else [self._current])]

    def _look(self, now: float, wall: float) -> list[Batch]:
        """Follow the name to another file; return last lines of what is let go."""
        status = self._status()
        identity = None if status is None else (status.st_dev, status.st_ino)
        current = self._current
        if identity == (None if current is None else current.identity):
            return []
        batches = []
        back = [old for old in self._outgoing if old.identity == identity]
        if current is not None and not back and len(self._outgoing) == MAX_OUTGOING:
            oldest = self._outgoing[0]
            batch = oldest.read(now, wall)
            if batch is not None:
                return [batch]  # not read out; the name can wait
            batches = self._let_go([oldest], wall)
        self._turn_out()
        if back:  # a link or a name was put back, and what was read stays read
            self._outgoing.remove(back[0])
            self._current = back[0]
        elif status is not None:
            self._current = self._open(status)
        return batches

    def _status(self) -> os.stat_result | None:
        """Return what the name leads to, or None if that is nothing."""
        try:
            return os.stat(self._path)  # noqa: PTH116 - ten times a second and file
        except FileNotFoundError:
            self._skip = False  # whatever comes is new
        except OSError as problem:
            raise SourceError(f"{self._path}: {problem.strerror}") from None
        if not self._held() and not Path(self._path).parent.is_dir():
            raise SourceError(f"{self._path}: its directory does not exist")
        return None

    def _open(self, status: os.stat_result) -> _Open | None:
        if not S_ISREG(status.st_mode):
            raise _not_regular(self._path)
        try:
            opened = _Open(self._path, at_end=self._skip)
        except FileNotFoundError:
            return None  # gone again since we looked
        except OSError as problem:
            raise SourceError(f"{self._path}: {problem.strerror}") from None
        self._skip = False
        return opened

    def _turn_out(self) -> None:
        if self._current is not None:
            # Its writer may have been quiet for hours, and still have last words.
            self._current.stir()
            self._outgoing.append(self._current)
            self._current = None

    def _let_go(self, files: list[_Open], wall: float) -> list[Batch]:
        for held in files:
            self._outgoing.remove(held)
        batches = [held.close(wall) for held in files]
        return [batch for batch in batches if batch.lines]


def _not_regular(path: str) -> SourceError:
    return SourceError(f"{path}: not a regular file")


class TailSource:
    """The stream of one file's lines."""

    def __init__(self, spec: TailSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._follower = Follower(spec.path, from_start=spec.from_start)

    def describe(self) -> str:
        """Return what an operator reads."""
        return self._spec.path

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield lines as they come, for ever; after an error, from where it stopped."""
        try:
            while True:
                batches = self._follower.read(self._clock.now(), self._clock.wall())
                for batch in batches:
                    yield batch
                # After work, only let others have a turn; more may wait.
                await asyncio.sleep(0 if batches else LOOK_S)
        except asyncio.CancelledError:
            self._follower.close(self._clock.wall())
            raise
