"""The other files of a log: the generations that rotation leaves beside it, and copies.

They stand in the log's own directory (and in that of the file that a symbolic link
leads to), and are called by its name and something more: app.log.1, app.log.2.gz,
app.log-20240131, app-2024-01-31.log, app.log.old. A file that was read before is known
by its inode and its contents, and may be called anything; so may a copy that begins
like this here. One that was never seen can only be known by its name, and by having
been changed after everything that was read: names that look like nothing of rotation
(app.log.offset) are let alone.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from peep.agent.sources.contents import Plain, open_contents
from peep.agent.sources.held import proves
from peep.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peep.loglines import Mark

MAX_SIBLINGS = 512  # of one log; a directory can hold anything
LINK = 0  # instead of an inode: where it leads to is not listed
ROUNDS = 5  # looks at a directory whose names are moved on while we look
SETTLED_S = 1.0  # a directory that was not changed for so long has no race in it
_ROTATED = re.compile(r"[.\-_]?(\d[\d.\-_:T+Z]*|old|prev|last)")
_BETWEEN = (".", "-", "_", "~")


class Sibling(NamedTuple):
    """A file beside a log."""

    path: str
    identity: tuple[int, int]
    changed: float
    rotated: bool  # by its name


def is_rotated(name: str, base: str) -> bool:
    """Say whether a file name looks like an older generation of `base`."""
    rest = _rest(name, base).removesuffix(".gz")
    return _ROTATED.fullmatch(rest) is not None


def bases(name: str) -> Iterable[str]:
    """Yield the names of which this one may be an older generation."""
    plain = name.removesuffix(".gz")
    stem, extension = _split(plain)
    for cut in {at for at, sign in enumerate(plain) if at and sign in _BETWEEN}:
        yield plain[:cut]
        if cut < len(stem):
            yield plain[:cut] + extension


class Around(NamedTuple):
    """Files beside a log; settled unless names were given on all the while."""

    files: list[Sibling]
    settled: bool


def look_around(path: str, wall: float, inodes: Iterable[int] = ()) -> Around:
    """Return the files beside a log, those changed last first.

    They have its name and something more, or one of these inodes. What cannot be seen
    is left out. `wall` is now, in Unix seconds.
    """
    found: dict[tuple[int, int], Sibling] = {}
    settled = True
    for place in {path, os.path.realpath(path)}:
        directory, base = os.path.split(place)
        for _ in range(ROUNDS):
            names = _names_beside(directory, base, wall, inodes)
            stayed = [
                _see(directory, base, name, inode, found)
                for name, inode in names.items()
                # Gzip is at work on it, or has kept the old one: that tells all.
                if not (name.endswith(".gz") and name.removesuffix(".gz") in names)
            ]
            if all(stayed):
                break
        else:
            settled = False
    latest = sorted(found.values(), key=lambda one: one.changed, reverse=True)
    return Around(latest[:MAX_SIBLINGS], settled)


def _see(
    directory: str,
    base: str,
    name: str,
    inode: int,
    found: dict[tuple[int, int], Sibling],
) -> bool:
    """Note the file that has a name; say whether it is the one that was listed."""
    path = f"{directory}/{name}"
    try:
        status = os.stat(path)  # noqa: PTH116 - many, and quick
    except OSError:
        return inode == LINK
    identity = (status.st_dev, status.st_ino)
    found[identity] = Sibling(path, identity, status.st_mtime, is_rotated(name, base))
    return inode in (status.st_ino, LINK)


def open_sibling(sibling: Sibling) -> Plain | None:
    """Open the very file; None if its name leads elsewhere by now, or it cannot be."""
    try:
        contents = open_contents(sibling.path)
    except (OSError, SourceError):
        return None
    if contents.identity == sibling.identity:
        return contents
    contents.close()
    return None


def find(mark: Mark, around: Sequence[Sibling]) -> Plain | None:
    """Open the file that a mark stands in: the same one, else a copy of it.

    Where nothing was read there is nothing to prove it, and the name must do.
    """
    same = [one for one in around if one.identity == (mark.device, mark.inode)]
    copies = around if mark.offset else ()
    if not mark.offset:
        same = [one for one in same if one.rotated or one.path == mark.path]
    for sibling in (*same, *copies):
        contents = open_sibling(sibling)
        if contents is None:
            continue
        if proves(mark, contents):
            return contents
        contents.close()
    return None


class _Listing:
    """The names in a directory, and their inodes; few of thousands are of one log."""

    def __init__(self, directory: str) -> None:
        with os.scandir(directory) as entries:
            self._inodes = {
                entry.name: LINK if entry.is_symlink() else entry.inode()
                for entry in entries
            }
        self._sorted = sorted(self._inodes)
        self._names = {inode: name for name, inode in self._inodes.items()}

    def beside(self, base: str, inodes: Iterable[int]) -> dict[str, int]:
        """Return the names of a log's other files, and of those with these inodes."""
        stem = _split(base)[0]
        start = end = bisect_left(self._sorted, stem)
        while end < len(self._sorted) and self._sorted[end].startswith(stem):
            end += 1
        near = {name for name in self._sorted[start:end] if _rest(name, base)}
        known = {self._names.get(inode, "") for inode in inodes} - {"", base}
        return {name: self._inodes[name] for name in near | known}


def _names_beside(
    directory: str, base: str, wall: float, inodes: Iterable[int]
) -> dict[str, int]:
    try:
        status = os.stat(directory)  # noqa: PTH116 - see above
        if wall - status.st_mtime > SETTLED_S:
            # Thousands of logs may share it, and all have to be found at a start.
            listing = _settled(directory, status.st_ino, status.st_mtime_ns)
        else:
            listing = _Listing(directory)
    except OSError:
        return {}
    return listing.beside(base, inodes)


@lru_cache(maxsize=8)
def _settled(directory: str, _inode: int, _changed_ns: int) -> _Listing:
    return _Listing(directory)


def _rest(name: str, base: str) -> str:
    """Return what a name has beside that of the log; "" if it is of another log."""
    if name.startswith(base) and name[len(base) :].startswith(_BETWEEN):
        return name[len(base) :]
    stem, extension = _split(base)
    plain = name.removesuffix(".gz")
    if extension and plain.startswith(stem) and plain.endswith(extension):
        rest = plain[len(stem) : len(plain) - len(extension)]
        return rest if rest.startswith(_BETWEEN) else ""
    return ""


def _split(name: str) -> tuple[str, str]:
    return os.path.splitext(name)  # noqa: PTH122 - of a name; there is no path
