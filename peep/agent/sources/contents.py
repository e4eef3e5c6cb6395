"""The bytes of a log, plain or packed by gzip, by their offset.

A plain file can be read anywhere, as often as wanted. A packed one is unpacked once,
forwards: what was read of it before has to be unpacked again to get to its rest, which
is done a block at a time (`advance`), so that nobody is held up for longer than that
takes. A packed file that is still being written simply has its end later; one that is
damaged ends there.
"""

from __future__ import annotations

import errno
import os
import zlib
from stat import S_ISREG

from peep.agent.sources.own import is_own
from peep.errors import SourceError

BLOCK_BYTES = 256 * 1024  # matching or unpacking so much takes a few milliseconds
HEAD_BYTES = 256  # of a file's beginning; a log's first line has its time in it
_RAW_BYTES = 64 * 1024
_KEPT_BYTES = HEAD_BYTES + BLOCK_BYTES  # one may take less of a block than there was
_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say that there is a gzip header


class Plain:
    """An open file; the caller's descriptor is ours from now on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)
        self.changed = status.st_mtime

    def pread(self, count: int, offset: int) -> bytes:
        """Return what there is, at most `count` bytes."""
        return os.pread(self._fd, count, offset)

    def advance(self, _offset: int) -> bool:
        """Do nothing: any offset is at hand."""
        return False

    def reaches(self, _offset: int) -> bool:
        """Say whether one can read there, or learn that it is beyond the end."""
        return True

    def size(self) -> int:
        """Return how many bytes there are now."""
        return os.fstat(self._fd).st_size

    def is_gone(self) -> bool:
        """Say whether no name leads to it any more."""
        try:
            return os.fstat(self._fd).st_nlink == 0
        except OSError:  # a network file system may say it so
            return True

    def hole(self) -> int:
        """Return where the first byte is that was ever written; 0 if no hole is there.

        A writer that was not told of a truncation goes on at its own offset, and before
        that there is nothing, which reads as NULs.
        """
        try:
            start = os.lseek(self._fd, 0, os.SEEK_DATA)
        except OSError as problem:  # nothing but a hole, or a system without holes
            return self.size() if problem.errno == errno.ENXIO else 0
        if start == 0:
            return 0
        # Holes end at a page; in it, too, there are NULs up to the first byte.
        block = self.pread(BLOCK_BYTES, start)
        return start + len(block) - len(block.lstrip(b"\0"))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


class Packed(Plain):
    """The same for a file that gzip wrote."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._unpack = zlib.decompressobj(_GZIP)
        self._raw = b""  # read, and not yet unpacked
        self._at = 0  # how much was unpacked
        self._kept = b""  # the end of that, which may be wanted again
        self._broken = False

    def pread(self, count: int, offset: int) -> bytes:
        """Return what there is; `offset` must not lie far behind what was unpacked."""
        begin = offset - (self._at - len(self._kept))
        if begin < 0 or offset > self._at:
            return b""
        found = self._kept[begin : begin + count]
        self._kept = self._kept[max(0, begin - HEAD_BYTES) :]
        if len(found) < count:
            found += self._more(count - len(found))
        return found

    def advance(self, offset: int) -> bool:
        """Unpack a block towards an offset; say whether there was any."""
        return bool(self._more(min(BLOCK_BYTES, max(0, offset - self._at))))

    def reaches(self, offset: int) -> bool:
        """Say whether so much was unpacked."""
        return self._at >= offset

    def is_begun(self) -> bool:
        """Say whether enough is there to know it: gzip may be at work."""
        return len(self.pread(HEAD_BYTES, 0)) == HEAD_BYTES or self._unpack.eof

    def size(self) -> int:
        """Return how much was unpacked; nobody knows what will follow."""
        return self._at

    def left(self) -> int:
        """Return how many bytes there are to be unpacked; nobody knows to how many."""
        read = os.lseek(self._fd, 0, os.SEEK_CUR) - len(self._raw)
        return max(0, os.fstat(self._fd).st_size - read)

    def hole(self) -> int:
        """Return 0: what is packed has no holes."""
        return 0

    def _more(self, count: int) -> bytes:
        parts = []
        while count and not self._broken:
            ended = self._unpack.eof
            raw = self._unpack.unused_data if ended else self._raw
            raw = raw or os.read(self._fd, _RAW_BYTES)
            if ended and raw:  # files may follow each other in one
                self._unpack = zlib.decompressobj(_GZIP)
            elif ended:
                break
            try:
                part = self._unpack.decompress(raw, count)
            except zlib.error:
                self._broken = True
                break
            self._raw = self._unpack.unconsumed_tail
            if not part and not raw:
                break
            count -= len(part)
            parts.append(part)
        found = b"".join(parts)
        self._at += len(found)
        self._kept = (self._kept + found)[-_KEPT_BYTES:]
        return found


def open_contents(path: str) -> Plain:
    """Open a log; OSError, or SourceError if it is no regular file, or our own output.

    It is the name that says whether it is packed: a log may begin as it likes.
    """
    # Not to wait, should the name have become a FIFO's since it was looked at.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(fd)
    if not S_ISREG(status.st_mode):
        os.close(fd)
        raise not_regular(path)
    if is_own((status.st_dev, status.st_ino)):
        os.close(fd)
        raise SourceError(f"{path}: this agent writes into it itself")
    return Packed(fd) if path.endswith(".gz") else Plain(fd)


def not_regular(path: str) -> SourceError:
    """Return the error that says so."""
    return SourceError(f"{path}: not a regular file")
