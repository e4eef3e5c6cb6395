"""Which files a pattern takes."""

from __future__ import annotations

import glob
import os
from pathlib import PurePath
from stat import S_ISREG
from typing import TYPE_CHECKING

from peep.agent.sources.name import shown
from peep.agent.sources.origins import new_origin
from peep.agent.sources.siblings import bases, is_rotated
from peep.loglines import Mark

if TYPE_CHECKING:
    from collections.abc import Container

PACKED = (".gz", ".bz2", ".xz", ".zst")


def is_pattern(path: str) -> bool:
    """Say whether it has wildcards, and is not simply the odd name of a file."""
    return glob.has_magic(path) and not os.path.lexists(path)


def expand(pattern: str, known: Container[str] = ()) -> set[str]:
    """Return the paths that a pattern takes; those known are not looked at again.

    Left out are compressed files, and older generations of others that it takes.
    """
    found = set(glob.glob(pattern))  # noqa: PTH207 - thousands
    return {
        path
        for path in found
        if path in known
        or (
            not path.endswith(PACKED)
            and not _is_generation(path, found)
            and _is_regular(path)
        )
    }


def takes(pattern: str, mark: Mark) -> bool:
    """Say whether a mark is of a file that a pattern takes."""
    name = shown(pattern)
    return mark.path != name and PurePath(mark.path).match(name)


def mark_of(pattern: str) -> Mark:
    """Return the mark that says that what a pattern takes is followed already."""
    return Mark(
        path=shown(pattern),
        origin=new_origin(),
        device=0,
        inode=0,
        head=b"",
        offset=0,
        tail=b"",
    )


def _is_regular(path: str) -> bool:
    try:
        return S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - thousands
    except OSError:
        return False


def _is_generation(path: str, logs: Container[str]) -> bool:
    directory, name = os.path.split(path)
    return any(
        f"{directory}/{base}" in logs and is_rotated(name, base) for base in bases(name)
    )
