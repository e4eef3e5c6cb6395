"""Follow a log by its name, through whatever rotation does to it.

Terms. The *current* file is the one that the name leads to; an *outgoing* one was
current until the name led elsewhere, or nowhere. A writer goes on writing into the
outgoing file until it is told to reopen, so that is held and read until nothing has
come for OUTGOING_S. It is not held for longer, since a deleted file takes its room on
the disk until then; what it was and how far it was read is remembered for a while.

What happens, and what is done:

- The name leads to another file: the old one is outgoing, the new one is read from its
  beginning; or from where it was left, if it was read before (a link switched back).
- A file lost what was read of it: it was truncated or written anew, and is another file
  from now on, with a new origin. With copytruncate the rest stands in the copy: that is
  looked for by its contents and read on from the offset, under the old origin.
- Rotated more than once since the last look, or while nobody looked: every generation
  beside the log that is unknown, and was changed after all that was known, is read from
  its beginning. The *fence* is when the last known one was changed.
- After a restart each mark's file is looked for by inode and contents, under whatever
  name, packed or copied, and read on from there.

Not handled: what was written between a copy and its truncation is in neither file, and
what was truncated or deleted before anybody looked is nowhere; that is the physical
floor. A log cut in its middle and written on before the next look may repeat or lose
what lies around the cut. Files that rotation moves to another directory are read to
their end if they were open, and are not found again after a restart. Of packed files
only gzip's are read.

What was read is never thrown away for an error: a follower that raised goes on where it
stopped when it is asked again. Where too much is unread (lag.py) it is passed over and
counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.contents import Packed, Plain
from peep.agent.sources.held import Held, end_of_lines
from peep.agent.sources.lag import bound
from peep.agent.sources.memory import Memory
from peep.agent.sources.missed import Search
from peep.agent.sources.name import Name
from peep.agent.sources.origins import new_origin
from peep.agent.sources.restart import begin_anew, resume
from peep.agent.sources.siblings import Sibling, look_around
from peep.errors import SourceError
from peep.loglines import Batch, LogLine, Mark, Skipped

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

OUTGOING_S = 60.0  # logrotate's scripts reopen within seconds; be patient
MAX_OUTGOING = 8  # descriptors held per name, however often it is rotated
MAX_BEHIND = 64  # held as well, while they are not read out
ROUNDS = 5  # looks around, while files are moved on before they can be opened


class Follower:
    """Reads one name; `read` never waits.

    Of more than `lag_max_bytes` unread all but the last is passed over; 0 is no bound.
    It does not hold before the first time that all was read, where `patient`.
    """

    def __init__(
        self,
        path: str,
        *,
        from_start: bool = False,
        marks: Sequence[Mark] = (),
        lag_max_bytes: int = 0,
        patient: bool = False,
        draw: Callable[[], int] = new_origin,
    ) -> None:
        self.path = path
        self._lag_max_bytes = lag_max_bytes
        self._patient = patient
        self._behind = False  # there was something to read the last time
        self._skipped = Skipped(0, 0)  # to be told with the next batch
        self._name = Name(path)
        # What stands there when we come is old; the first read may be a moment later.
        self._skip = not from_start
        self._came: os.stat_result | None = None
        if self._skip:
            try:
                self._came = self._name.status()
            except SourceError:
                pass  # said when it is read
            else:
                self._skip = self._came is not None
        self._marks = tuple(marks)  # to begin with
        self._draw = draw
        self._began = False
        self._found_nothing = False  # of what the marks say
        self._current: Held | None = None
        self._outgoing: list[Held] = []
        self._memory = Memory()
        self._search = Search(path, self._name.shown, self._memory, draw)
        self._fence = 0.0
        self._seen = 0.0  # the fence's next place, when the current file was read
        self._rounds = 0  # to look around for what was missed
        self._moved: dict[int, Mark] = {}  # by origin; to be told with the next batch

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the current file."""
        return None if self._current is None else self._current.identity

    def is_over(self) -> bool:
        """Say whether nothing is left; the next read then says so of the marks."""
        looked = self._began or self._found_nothing
        if not looked or self._held() or not self._name.has_company():
            return False
        if not self._began:
            self._began = True
            self._memory.done += [mark.origin for mark in self._marks]
        self._memory.forget_all()
        return not self._memory.done

    def read(self, now: float, wall: float) -> Batch | None:
        """Return a block of what was appended, oldest file first; None if nothing.

        SourceError if the name leads to what cannot be read, and all else has been.
        """
        trouble = None
        begins = not self._began and not self._marks
        try:
            self._look(wall)
        except SourceError as problem:
            trouble = problem
        if begins and self._began:
            # Where it begins is to be kept before lines wait for anything: whoever is
            # stopped meanwhile goes on from there.
            batch = self._packed([], progress=False)
            if batch is not None:
                return batch
        return self._read_on(now, wall, trouble)

    def _read_on(
        self, now: float, wall: float, trouble: SourceError | None
    ) -> Batch | None:
        """Return the next block; else raise the trouble that there was, if any."""
        lines: list[LogLine] = []
        progress = False
        is_bound = self._behind and not self._patient
        bound(self._held(), self._lag_max_bytes if is_bound else 0)
        for held in self._held():
            unread = held.offset == 0
            try:
                got = held.read(now, wall)
            except OSError as problem:
                trouble = SourceError(f"{self._name.shown}: {problem.strerror}")
                if held is not self._current:
                    lines += self._let_go(held, wall)
                continue
            if held.rewritten:
                lines += self._replace(held, wall)
                progress = True
                break
            if held is self._current:
                self._move_fence(held, is_begun=unread and held.offset > 0)
            if got is not None:
                lines += got
                progress = True
                # Of one file at a time, so that others need not wait for us.
                break
            if held is not self._current and self._has_had_its_time(held, now):
                lines += self._let_go(held, wall)
        batch = self._packed(lines, progress=progress)
        self._behind = progress
        self._patient = self._patient and progress
        if batch is None and trouble is not None:
            raise trouble
        return batch

    def close(self, wall: float) -> list[LogLine]:
        """Let go of everything; return last lines that had no newline.

        Who goes on later needs them not: they lie behind the marks.
        """
        lines = []
        for held in self._held():
            lines += held.finish(wall)
            held.contents.close()
        self._current = None
        self._outgoing = []
        return lines

    def _held(self) -> list[Held]:
        return [*self._outgoing, *([] if self._current is None else [self._current])]

    def _has_had_its_time(self, held: Held, now: float) -> bool:
        return held.quiet_s(now) >= OUTGOING_S or len(self._outgoing) > MAX_OUTGOING

    def _packed(self, lines: list[LogLine], *, progress: bool) -> Batch | None:
        for held in self._held():
            if held.moved():
                self._moved[held.origin] = held.mark()
            if not held.is_passing:
                self._count(held)
        passed, self._skipped = self._skipped, Skipped(0, 0)
        skipped = passed if passed.size_bytes else None
        done, self._memory.done = self._memory.done, []
        moved, self._moved = self._moved, {}
        if not (progress or lines or moved or done or skipped):
            return None
        for origin in done:
            moved.pop(origin, None)
        return Batch(
            self._name.shown,
            tuple(lines),
            tuple(moved.values()),
            tuple(done),
            skipped,
        )

    def _count(self, held: Held) -> None:
        """Tell of what a file has passed over."""
        skipped = held.take_skipped()
        if skipped is not None:
            self._skipped += skipped

    # ---- where the name leads ------------------------------------------------

    def _look(self, wall: float) -> None:
        """Follow the name to another file, and look for those that were missed."""
        if len(self._outgoing) >= MAX_BEHIND:
            return  # the name can wait
        status = self._name.status()
        if status is None and not self._held() and not self._name.has_directory():
            self._skip = False  # whatever comes is new
            raise SourceError(f"{self._name.shown}: its directory does not exist")
        if not self._began:
            self._begin(status, wall)
        identity = None if status is None else (status.st_dev, status.st_ino)
        current = self._current
        if identity != self.identity:
            self._switch(status)
        elif (
            current is not None
            and status is not None
            and current.offset == 0
            and current.changed != status.st_mtime
        ):
            # What was written since may stand in a copy by now, and here no more.
            self._rounds = ROUNDS
        changed = status.st_mtime if status else 0.0
        if self._rounds:
            self._catch_up(wall, changed)
        self._seen = 0.0 if self._rounds else changed

    def _catch_up(self, wall: float, changed: float) -> None:
        """Take up every generation that is newer than all that was known.

        `changed` is when the log was changed before we looked.
        """
        room = MAX_BEHIND - len(self._outgoing)
        found = self._search.missed(self._held(), self._fence, wall, room)
        self._outgoing += found.files
        if not found.undecided:
            self._rounds = self._rounds - 1 if found.moving else 0
        until = min(found.until, changed) if self._rounds else changed
        self._fence = max(self._fence, until)

    def _move_fence(self, held: Held, *, is_begun: bool) -> None:
        """Let the log's last change be the fence, now that it was read after that."""
        if is_begun:
            # It may have been truncated since we looked around, and been copied.
            self._rounds = ROUNDS
        elif self._seen:
            held.changed = self._seen
            self._fence = max(self._fence, self._seen)

    def _begin(self, status: os.stat_result | None, wall: float) -> None:
        """Take up the marks; or see what is old."""
        inodes = [mark.inode for mark in self._marks]
        around = look_around(self.path, wall, inodes).files
        if not self._marks:
            begun = begin_anew(self._name.shown, around, self._memory)
        elif status is None and not around:
            self._found_nothing = True
            return  # its file system may not be there yet
        else:
            log = None
            if status is not None:
                contents = self._name.open(status)  # if that cannot be, all has to wait
                if contents is not None:
                    contents.close()
                identity = (status.st_dev, status.st_ino)
                log = Sibling(self.path, identity, status.st_mtime, rotated=False)
            begun = resume(self._marks, log, around, self._memory, wall)
            self._skip = False
            self._rounds = ROUNDS
        self._current, self._outgoing, self._fence = begun
        self._began = True
        if status is None:
            self._skip = False  # whatever comes is new

    def _switch(self, status: os.stat_result | None) -> None:
        """Turn out the current file, and take up the one that the name leads to."""
        contents = None if status is None else self._name.open(status)
        if self._current is not None:
            # Its writer may have been quiet for hours, and still have last words.
            self._current.stir()
            self._outgoing.append(self._current)
            self._current = None
        self._rounds = ROUNDS
        if contents is None:
            return
        for old in self._outgoing:
            if old.identity == contents.identity:
                # A link or a name was put back, and what was read stays read.
                contents.close()
                self._outgoing.remove(old)
                self._current = old
                return
        self._current = self._taken(contents)

    def _taken(self, contents: Plain) -> Held:
        """Return the file as one to be read from where it was left, if ever."""
        known = self._memory.find(contents)
        if known is not None and contents.size() >= known.mark.offset:
            self._memory.forget(known)
            mark = known.mark
            if not mark.origin:
                mark = msgspec.structs.replace(mark, origin=self._draw())
            return Held.resumed(contents, mark)
        offset = end_of_lines(contents, self._old_bytes(contents)) if self._skip else 0
        for old in self._outgoing:  # an editor writes a copy, and gives it the name
            if old.is_copied_in(contents):
                offset = old.mark().offset
        self._skip = False
        return Held(contents, self._name.shown, self._draw(), offset)

    def _old_bytes(self, contents: Plain) -> int:
        """Return how much of a file stood there when we came."""
        came, size_bytes = self._came, contents.size()
        # Another by now, or cut: what there is of it is taken for old, all the same.
        if came is None or (came.st_dev, came.st_ino) != contents.identity:
            return size_bytes
        return min(came.st_size, size_bytes)

    # ---- files that end -----------------------------------------------------------

    def _replace(self, held: Held, wall: float) -> list[LogLine]:
        """Go on with a file that lost what was read of it; find that in a copy."""
        if isinstance(held.contents, Packed):  # it was another one, after all
            self._outgoing = [one for one in self._outgoing if one is not held]
            self._current = None if held is self._current else self._current
            self._memory.remember(held)
            self._count(held)
            held.contents.close()
            return []
        fresh = held.renewed(self._draw())
        copy = None if fresh.offset else self._search.copy(held, self._held(), wall)
        if held is self._current:
            self._current = fresh
        else:
            self._outgoing[self._outgoing.index(held)] = fresh
        self._rounds = ROUNDS
        if copy is None:
            # It may still turn up, or a copy that has no more than was read.
            self._memory.remember(held)
            self._count(held)
            return [] if fresh.offset else held.finish(wall)
        held.move_to(copy)
        self._outgoing.append(held)
        return []

    def _let_go(self, held: Held, wall: float) -> list[LogLine]:
        self._outgoing.remove(held)
        self._count(held)
        lines = held.finish(wall)
        if held.contents.is_gone():
            self._memory.done.append(held.origin)
        elif not held.offset:
            # Its mark would bring all that was changed since up again after a restart.
            self._memory.remember(held)
        else:
            self._moved[held.origin] = held.mark()
            self._memory.keep(held.mark(), held.head)
        held.contents.close()
        return lines
