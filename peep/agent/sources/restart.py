"""Where a follower begins: at the marks of its last life, or at what it finds.

Each mark's file is looked for by inode and contents, under whatever name, packed or
copied. One that is read out, and whose writer has gone on, need not be held again.
Without marks, what stands beside the log is old, and so is what is still written into
the last of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from peep.agent.sources.contents import Packed
from peep.agent.sources.held import Held, end_of_lines
from peep.agent.sources.siblings import find, open_sibling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.agent.sources.memory import Memory
    from peep.agent.sources.siblings import Sibling
    from peep.loglines import Mark

OLD_NEIGHBOURS = 2  # rotated last; others are told by the fence
WRITER_GONE_S = 120.0  # since a file was changed; then it is not held to hear more


class Begun(NamedTuple):
    """The files to go on with; the fence is when the last known one was changed."""

    current: Held | None
    outgoing: list[Held]
    fence: float


def begin_anew(name: str, around: Sequence[Sibling], memory: Memory) -> Begun:
    """Remember what is old."""
    old = [one for one in around if one.rotated][:OLD_NEIGHBOURS]
    for contents in map(open_sibling, old):
        if contents is not None:
            memory.remember(
                Held(contents, name, 0, end_of_lines(contents, contents.size()))
            )
            contents.close()
    return Begun(None, [], max((one.changed for one in old), default=0.0))


def resume(
    marks: Sequence[Mark],
    log: Sibling | None,
    around: Sequence[Sibling],
    memory: Memory,
    wall: float,
) -> Begun:
    """Find the files that marks stand in; `log` is what has the name now, if any."""
    current = None
    outgoing: list[Held] = []
    everything = around if log is None else [log, *around]
    taken: set[tuple[int, int]] = set()
    for mark in sorted(marks, key=lambda mark: (mark.offset == 0, mark.changed)):
        contents = find(mark, [one for one in everything if one.identity not in taken])
        if contents is None:
            memory.keep(mark)
            continue
        taken.add(contents.identity)
        if log is not None and contents.identity == log.identity:
            current = Held.resumed(contents, mark)
        elif (
            isinstance(contents, Packed)
            or contents.size() > mark.offset
            or wall - contents.changed < WRITER_GONE_S
        ):
            outgoing.append(Held.resumed(contents, mark))
        else:
            contents.close()
            memory.keep(mark)
    outgoing.sort(key=lambda held: held.changed)
    # What was not begun may be packed by now, and then nothing tells it but its time.
    unread = [mark.changed for mark in marks if not mark.offset]
    fence = min(unread) if unread else max(mark.changed for mark in marks)
    return Begun(current, outgoing, fence)
