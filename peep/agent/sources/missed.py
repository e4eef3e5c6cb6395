"""Files of a log that came and were rotated away between two looks; and copies.

A generation that is neither held nor remembered, and was changed after the fence, was
missed, and is to be read from its beginning. What looks like one may be a copy of a
file that is held: one that is yet to be truncated, one of no more than was read, or one
with the rest that was truncated before we could read it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from peep.agent.sources.contents import HEAD_BYTES, Packed, Plain
from peep.agent.sources.held import Held
from peep.agent.sources.siblings import Sibling, look_around, open_sibling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from peep.agent.sources.memory import Known, Memory


COPY_ROUNDS = 5  # a few milliseconds each at most; names rest after less


class Missed(NamedTuple):
    """What was found. Names that moved on meanwhile, or undecided: look again.

    All that is older than `until` was found.
    """

    files: list[Held]
    moving: bool
    undecided: bool
    until: float


class Search:
    """Looks for missed files of one log."""

    def __init__(
        self, path: str, name: str, memory: Memory, draw: Callable[[], int]
    ) -> None:
        self._path = path
        self._name = name
        self._memory = memory
        self._draw = draw

    def missed(
        self, held: Sequence[Held], fence: float, wall: float, room: int
    ) -> Missed:
        """Return files to be read, those changed first first, and at most `room`."""
        files: list[Held] = []
        moving: list[float] = []
        undecided: list[float] = []
        around = look_around(self._path, wall)
        if not around.settled:  # and anything may have been passed over
            moving.append(fence)
        for sibling in _newer(around.files, held, fence):
            if len(files) == room:
                undecided.append(sibling.changed)
                break
            contents = open_sibling(sibling)
            if contents is None:
                moving.append(sibling.changed)
                continue
            known = self._memory.find(contents)
            if isinstance(contents, Packed) and not contents.is_begun():
                moving.append(sibling.changed)
                contents.close()
            elif self._was_read(contents, held, known):
                contents.close()
            elif known is None and _may_be_either(contents, held):
                undecided.append(sibling.changed)
                contents.close()
            else:
                files.append(self._taken(contents, known))
        until = min((*moving, *undecided), default=math.inf)
        return Missed(files, bool(moving), bool(undecided), until)

    def copy(self, of: Held, held: Iterable[Held], wall: float) -> Plain | None:
        """Open the newest file that has what was read of a file that lost it.

        No fence tells it when it is missed here: so look until the names rest.
        """
        taken = {one.identity for one in held}
        for _ in range(COPY_ROUNDS):
            files, settled = look_around(self._path, wall)
            for sibling in files:
                if sibling.identity in taken:
                    continue
                contents = open_sibling(sibling)
                if contents is None:
                    settled = False
                elif of.is_copied_in(contents):
                    return contents
                else:
                    contents.close()
            if settled:
                break
        return None

    def _was_read(
        self, contents: Plain, held: Iterable[Held], known: Known | None
    ) -> bool:
        """Say whether all of the file was read, or of what it is a copy of."""
        if not contents.pread(1, 0) or any(one.has_read(contents) for one in held):
            return True
        if known is None:
            return False
        mark = known.mark
        if isinstance(contents, Packed):
            read = contents.identity == (mark.device, mark.inode)
        else:
            read = contents.size() <= mark.offset
        return read or not mark.origin

    def _taken(self, contents: Plain, known: Known | None) -> Held:
        if known is None:
            return Held(contents, self._name, self._draw())
        self._memory.forget(known)
        return Held.resumed(contents, known.mark)


def _newer(
    files: Iterable[Sibling], held: Iterable[Held], fence: float
) -> list[Sibling]:
    taken = {one.identity for one in held}
    found = [
        one
        for one in files
        if one.rotated and one.changed >= fence and one.identity not in taken
    ]
    return found[::-1]


def _may_be_either(contents: Plain, held: Iterable[Held]) -> bool:
    """Say whether a file looks like a copy of what is yet to be read of another.

    The other may be truncated before that; then this is all there is.
    """
    head = contents.pread(HEAD_BYTES, 0)
    size = 0 if isinstance(contents, Packed) else contents.size()
    for one in held:
        theirs = one.contents.pread(len(head), 0)
        if theirs and head.startswith(theirs):
            return size <= one.contents.size()
    return False
