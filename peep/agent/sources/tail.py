"""Follow a log file by its name, through rotation.

Terms. The *current* file is the one that the name led to when it was opened; an
*outgoing* one was current until the name led elsewhere. A writer goes on writing into
the outgoing file until it is told to reopen, so its descriptor is kept and read until
nothing has come for OUTGOING_S; and the new one is read from its beginning.

Identity is device and inode: they cannot be given to another file while this one is
held open. A file that became shorter than what was read of it was truncated and is
read from its beginning.

Not handled here: several rotations between two looks, copytruncate's copy, and where
to resume after a restart.
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

    def __init__(self, path: str, fd: int, offset: int) -> None:
        self.fd = fd
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)
        self.lines = LineSplitter(path, offset)
        self.quiet_since: float | None = None

    def read(self, now: float, wall: float) -> Batch | None:
        """Return what came since, or None."""
        data = os.pread(self.fd, READ_BYTES, self.lines.offset)
        if not data:
            if self.quiet_since is None:
                self.quiet_since = now
            return None
        self.quiet_since = None
        return Batch(self.lines.source, tuple(self.lines.feed(data, wall)))


class Follower:
    """Reads one name; `read` never waits."""

    def __init__(self, path: str, *, from_start: bool = False) -> None:
        self._path = path
        self._skip = not from_start  # what stands there when we come is old
        self._current: _Open | None = None
        self._outgoing: list[_Open] = []

    def read(self, now: float, wall: float) -> list[Batch]:
        """Return what has been appended since the last call, oldest first.

        SourceError if the file is there but cannot be read.
        """
        batches = []
        for old in list(self._outgoing):
            while (batch := old.read(now, wall)) is not None:
                batches.append(batch)
            if old.quiet_since is not None and now - old.quiet_since >= OUTGOING_S:
                batches += self._close(old, wall)
                self._outgoing.remove(old)
        batch = self._read_current(now, wall)
        if batch is not None:
            batches.append(batch)
        elif self._moved():
            self._reopen(now)
            batch = self._read_current(now, wall)
            batches += [] if batch is None else [batch]
        return [batch for batch in batches if batch.lines]

    def close(self, wall: float) -> list[Batch]:
        """Let go of everything; return last lines that had no newline."""
        batches = []
        for held in [*self._outgoing, self._current]:
            batches += [] if held is None else self._close(held, wall)
        self._outgoing, self._current = [], None
        return [batch for batch in batches if batch.lines]

    def _read_current(self, now: float, wall: float) -> Batch | None:
        current = self._current
        if current is None:
            return None
        if os.fstat(current.fd).st_size < current.lines.offset:
            current.lines = LineSplitter(self._path, 0)
        return current.read(now, wall)

    def _moved(self) -> bool:
        """Say whether the name leads to another file than the current one."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - ten times a second and file
        except (FileNotFoundError, NotADirectoryError):
            # Rotated away and not yet there again; or we came before the log.
            self._skip = self._skip and self._current is not None
            return False
        except OSError as problem:
            raise SourceError(f"{self._path}: {problem.strerror}") from None
        if not S_ISREG(status.st_mode):
            raise SourceError(f"{self._path}: not a regular file")
        identity = (status.st_dev, status.st_ino)
        return self._current is None or self._current.identity != identity

    def _reopen(self, now: float) -> None:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # gone again since we looked
        except OSError as problem:
            raise SourceError(f"{self._path}: {problem.strerror}") from None
        if self._current is not None:
            self._current.quiet_since = now
            self._outgoing.append(self._current)
            if len(self._outgoing) > MAX_OUTGOING:
                self._close(self._outgoing.pop(0), 0.0)
        start = os.fstat(fd).st_size if self._skip else 0
        self._skip = False
        self._current = _Open(self._path, fd, start)

    @staticmethod
    def _close(held: _Open, wall: float) -> list[Batch]:
        os.close(held.fd)
        return [Batch(held.lines.source, tuple(held.lines.finish(wall)))]


class TailSource:
    """The stream of one file's lines."""

    def __init__(self, spec: TailSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock

    def describe(self) -> str:
        """Return what an operator reads."""
        return self._spec.path

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield lines as they come, for ever."""
        if not Path(self._spec.path).parent.is_dir():
            raise SourceError(f"{self._spec.path}: its directory does not exist")
        follower = Follower(self._spec.path, from_start=self._spec.from_start)
        try:
            while True:
                batches = follower.read(self._clock.now(), self._clock.wall())
                for batch in batches:
                    yield batch
                # After work, only let others have a turn; more may wait.
                await asyncio.sleep(0 if batches else LOOK_S)
        finally:
            follower.close(self._clock.wall())
