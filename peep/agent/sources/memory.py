"""What is remembered of the files of a log that are no longer held.

They may turn up again: under the log's name, when a link is switched back; packed; or
as a copy, when copytruncate was quicker than we. Their marks are kept in memory; on the
disk only those of the newest, since after a restart the fence tells older files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from peep.agent.sources.contents import HEAD_BYTES, Packed, Plain
from peep.agent.sources.held import digest, proves

if TYPE_CHECKING:
    from peep.agent.sources.held import Held
    from peep.loglines import Mark

MAX_KNOWN = 64  # rotated out between two looks, at the very most
KEPT_KNOWN = 2  # of which marks are kept on the disk


class Known(NamedTuple):
    """A file that was read up to a mark; its first bytes, if they are known yet."""

    mark: Mark
    head: bytes


class Memory:
    """The files of one log that were let go, the last one last."""

    def __init__(self) -> None:
        self._known: list[Known] = []
        self._kept: list[int] = []  # origins whose marks are on the disk
        self.done: list[int] = []  # origins whose marks are needed no more

    def keep(self, mark: Mark, head: bytes = b"") -> None:
        """Remember a file, across restarts too."""
        self._add(Known(mark, head))
        self._kept.append(mark.origin)
        while len(self._kept) > KEPT_KNOWN:
            self.done.append(self._kept.pop(0))

    def remember(self, held: Held) -> None:
        """Remember a file while we run; its mark is needed no more."""
        self._add(Known(held.mark(), held.head))
        if held.origin:
            self.done.append(held.origin)

    def forget(self, known: Known) -> None:
        """Forget a file that is held again."""
        self._known.remove(known)
        if known.mark.origin in self._kept:
            self._kept.remove(known.mark.origin)

    def forget_all(self) -> None:
        """Forget every file."""
        self._known = []
        self.done += self._kept
        self._kept = []

    def find(self, contents: Plain) -> Known | None:
        """Return what is known of a file, or of what it was copied from."""
        for known in reversed(self._known):
            if _is_of(known, contents):
                return known
        return None

    def _add(self, known: Known) -> None:
        self._known = [*self._known, known][-MAX_KNOWN:]


def _is_of(known: Known, contents: Plain) -> bool:
    mark = known.mark
    same = contents.identity == (mark.device, mark.inode)
    size = 0 if isinstance(contents, Packed) else contents.size()
    if 0 < size < mark.offset:
        # A copy that has no more than was read of the file.
        head = contents.pread(min(mark.offset, HEAD_BYTES), 0)
        return digest(head) == mark.head or known.head.startswith(head)
    # Of nothing read, nothing but the file itself can be known.
    return (same or mark.offset > 0) and proves(mark, contents)
