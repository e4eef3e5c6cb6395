"""The name of a log: what it leads to, and what to say where that cannot be read."""

from __future__ import annotations

import os
from stat import S_ISREG
from typing import TYPE_CHECKING

from peep.agent.sources.contents import not_regular, open_contents
from peep.errors import SourceError

if TYPE_CHECKING:
    from peep.agent.sources.contents import Plain


def shown(path: str) -> str:
    """Return a path as text that can be stored: a name may be any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Name:
    """A path, and as it is shown."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.shown = shown(path)

    def status(self) -> os.stat_result | None:
        """Return what the name leads to, None if that is nothing; else SourceError."""
        try:
            return os.stat(self.path)  # noqa: PTH116 - ten times a second and file
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise SourceError(f"{self.shown}: {problem.strerror}") from None

    def open(self, status: os.stat_result) -> Plain | None:
        """Open what it led to; None if that is gone since; else SourceError."""
        if not S_ISREG(status.st_mode):
            raise not_regular(self.shown)
        try:
            return open_contents(self.path)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise SourceError(f"{self.shown}: {problem.strerror}") from None

    def has_directory(self) -> bool:
        """Say whether a file of this name could be made."""
        return os.path.isdir(self._directory())  # noqa: PTH112 - often

    def has_company(self) -> bool:
        """Say whether there is anything beside it: else its file system may be gone."""
        try:
            with os.scandir(self._directory()) as entries:
                return next(entries, None) is not None
        except OSError:
            return False

    def _directory(self) -> str:
        return os.path.dirname(self.path)  # noqa: PTH120 - often
