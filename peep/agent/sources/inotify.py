"""The kernel's word that something in a directory was changed (Linux).

By ctypes, since neither Python nor any of our libraries knows inotify, and three calls
of the C library are no reason for another dependency. Directories are watched and not
files: that tells of writing to the files in them as well, and of those that come and
go, so one watch does for a thousand logs. A file that is written to by another of its
names, or on another machine, is not told of; so whoever waits here also looks from time
to time.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CLOEXEC = 0o2000000
_NONBLOCK = 0o4000
_MODIFY = 0x2
_ATTRIB = 0x4
_MOVED_FROM = 0x40
_MOVED_TO = 0x80
_CREATE = 0x100
_DELETE = 0x200
_DELETE_SELF = 0x400
_MOVE_SELF = 0x800
_ONLYDIR = 0x01000000
_OVERFLOW = 0x4000
_IGNORED = 0x8000
_MASK = (
    _MODIFY
    | _ATTRIB  # truncation, and permissions that were mended
    | _MOVED_FROM
    | _MOVED_TO
    | _CREATE
    | _DELETE
    | _DELETE_SELF
    | _MOVE_SELF
    | _ONLYDIR
)
_NAMES = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_EVENT = struct.Struct("iIII")
_READ_BYTES = 64 * 1024


class Inotify:
    """Watched directories. OSError where there is no inotify, or none is left."""

    def __init__(self) -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            self._add = libc.inotify_add_watch
            self._remove = libc.inotify_rm_watch
            self.fd: int = libc.inotify_init1(_CLOEXEC | _NONBLOCK)
        except AttributeError:
            raise OSError(0, "no inotify here") from None
        if self.fd < 0:
            raise _failed()
        self._directories: dict[int, str] = {}
        self._watches: dict[str, int] = {}

    def watch(self, directory: str) -> None:
        """Hear of a directory; OSError if that cannot be. Again is no harm."""
        if directory in self._watches:
            return
        number = self._add(self.fd, os.fsencode(directory), _MASK)
        if number < 0:
            raise _failed()
        self._directories[number] = directory
        self._watches[directory] = number

    def changes(self) -> Changes:
        """Return what happened since; never waits."""
        found = Changes()
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
                at += length
                self._take(found, number, mask, name)

    def close(self) -> None:
        """Hear no more."""
        os.close(self.fd)

    def _take(self, found: Changes, number: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            found.anything = True
            return
        directory = self._directories.get(number)
        if directory is None:  # told of before it was taken off
            return
        if mask & (_IGNORED | _DELETE_SELF | _MOVE_SELF):
            # Another directory may have its path by now.
            found.anything = True
            del self._directories[number]
            del self._watches[directory]
            if not mask & _IGNORED:
                self._remove(self.fd, number)
            return
        found.paths.add(f"{directory}/{name}")
        found.names = found.names or bool(mask & _NAMES)


class Changes:
    """Paths that were changed, whether names were given or taken, or who knows what."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.names = False
        self.anything = False


def _failed() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
