"""Lines of log files, as they are written: one name, or all that a pattern takes.

What follows a name is follow.py; here is when to look. Where there is inotify, a name
is looked at when something happened in its directory, and otherwise from time to time:
a file on a network file system, or one that is written to by another name, tells us
nothing. Without inotify that is all there is. Looks are spread, so that thousands of
quiet files cost little and hold up nobody.

A pattern (`/var/log/*.log`) also takes files that come later, and those are read from
their beginning. It does not take what rotation leaves beside a log that it takes, nor
what is compressed. One file that cannot be read is told of once; the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import resource
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.follow import Follower
from peep.agent.sources.inotify import Changes, Inotify
from peep.agent.sources.name import Name, shown
from peep.agent.sources.patterns import expand, is_pattern, mark_of, takes
from peep.agent.sources.siblings import bases
from peep.config.problems import safe
from peep.errors import SourceError
from peep.loglines import Batch, Mark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from peep.clock import Clock
    from peep.config.document import Node

GAP_S = 0.01  # between wakes; a writer of single lines would wake us for each
LOOK_S = 0.1  # between looks at all names, without inotify
SWEEP_S = 1.0  # between looks at all names, with inotify
SWEEP_SHARE = 0.004  # of the time may go into looks at quiet files
QUIET_LOOK_S = 10e-6  # what such a look takes
EXPAND_S = 5.0  # between looks for what a pattern takes, if nobody tells of new names
EXPAND_SHARE = 0.05  # of the time may go into that, whatever is told
SLICE_S = 0.005  # of work, until others have a turn
WANTED_FILES = 65_536  # descriptors, one a name, as far as the limit can be raised


class TailSpec(msgspec.Struct, frozen=True):
    """Which file or files to follow; from their end, or from their beginning."""

    path: str
    from_start: bool = False


def check(options: Node) -> TailSpec:
    """Read `tail: PATH`, or `{kind: tail, path: PATH, from_start: true}`."""
    section = options.section("path", "from_start", short="path")
    path = section["path"].text()
    if path and not path.startswith("/"):
        section["path"].problem("needs an absolute path, such as /var/log/auth.log")
    elif os.path.isdir(path):  # noqa: PTH112 - a name may be any bytes
        logs = path.rstrip("/") + "/*.log"
        section["path"].problem(f"is a directory: say which files, as in {safe(logs)}")
    return TailSpec(path, section["from_start"].flag(default=False))


def owned(specs: Iterable[TailSpec]) -> Callable[[Mark], bool]:
    """Return what says whether a mark is of a log that one of these takes."""
    paths = [spec.path for spec in specs]
    names = frozenset(map(shown, paths))
    patterns = [path for path in paths if is_pattern(path)]
    return lambda mark: mark.path in names or any(takes(p, mark) for p in patterns)


class TailSource:
    """The stream of the lines of one file, or of all that a pattern takes."""

    def __init__(
        self,
        spec: TailSpec,
        clock: Clock,
        marks: Sequence[Mark] = (),
        *,
        lag_max_bytes: int = 0,
    ) -> None:
        """Take up the marks that are of this log; `lag_max_bytes` is for each file."""
        self._spec = spec
        self._lag_max_bytes = lag_max_bytes
        self._clock = clock
        self._is_pattern = is_pattern(spec.path)
        self._followers: dict[str, Follower] = {}
        self._told: set[str] = set()  # names whose trouble was told of
        self._waiting: dict[str, list[Mark]] = {}
        self._due: dict[Follower, None] = {}
        self._ends = False  # when all that is there was read
        name = shown(spec.path)
        for mark in marks:
            if takes(spec.path, mark) if self._is_pattern else mark.path == name:
                self._waiting.setdefault(mark.path, []).append(mark)
        self._first: Batch | None = None
        if self._is_pattern:
            _make_room()
            was_here = any(mark.path == name for mark in marks)
            if not was_here:
                self._first = Batch(name, (), (mark_of(spec.path),))
            # What came while nobody was here is new.
            self._take(expand(spec.path), from_start=spec.from_start or was_here)
        else:
            self._add(spec.path, from_start=spec.from_start)
        self._paths: dict[str, Follower] = {}  # as inotify tells them
        self._watched: dict[Follower, object] = {}
        self._inotify: Inotify | None = None
        self._woke_at = -math.inf
        self._sweep_at = self._expand_at = clock.now()
        self._expand_from = self._sweep_at  # not before

    def describe(self) -> str:
        """Return what an operator reads."""
        if not self._is_pattern:
            return self._spec.path
        return f"{self._spec.path} ({len(self._followers)} files now)"

    def so_far(self) -> AsyncIterator[Batch]:
        """Yield lines up to the last one that is there, and end.

        SourceError where there is no such file: a misspelt name must not look calm.
        """
        name = Name(self._spec.path)
        if not self._is_pattern and name.has_directory() and name.status() is None:
            raise SourceError(f"{name.shown}: no such file")
        self._ends = True
        return self.batches()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield lines as they come, for ever; after an error, from where it stopped."""
        self._watched = {}
        self._inotify = _inotify()
        self._due = dict.fromkeys(self._followers.values())
        try:
            if self._first is not None:
                yield self._first
                self._first = None
            while True:
                self._collect()
                await self._look_for_names()
                began = self._clock.now()
                for follower in tuple(self._due):
                    batch = self._read(follower)
                    if batch is not None:
                        yield batch
                    if batch is not None or self._clock.now() - began > SLICE_S:
                        await asyncio.sleep(0)
                        began = self._clock.now()
                if not self._due:
                    if self._ends:
                        return
                    await self._wait()
        except asyncio.CancelledError:
            self._close()
            raise
        finally:
            if self._inotify is not None:
                self._inotify.close()

    def _close(self) -> None:
        for follower in self._followers.values():
            follower.close(self._clock.wall())

    # ---- names ---------------------------------------------------------------

    async def _look_for_names(self) -> None:
        """Find out what a pattern takes now, if it is time."""
        began = self._clock.now()
        if not self._is_pattern or began < max(self._expand_at, self._expand_from):
            return
        # In a thread: a directory of thousands takes longer than we may hold the loop.
        paths = await asyncio.to_thread(expand, self._spec.path, set(self._followers))
        now = self._clock.now()
        self._expand_at = now + EXPAND_S
        self._expand_from = now + (now - began) / EXPAND_SHARE
        self._take(paths, from_start=True)

    def _take(self, paths: set[str], *, from_start: bool) -> None:
        """Take up new names, and give up those where nothing is left."""
        for path in sorted(paths.union(self._waiting) - self._followers.keys()):
            self._add(path, from_start=from_start)
        for path in self._followers.keys() - paths:
            follower = self._followers[path]
            if follower.is_over():
                del self._followers[path]
                self._due.pop(follower, None)
                self._watched.pop(follower, None)
                heard = self._paths.items()
                self._paths = {path: one for path, one in heard if one is not follower}
            else:
                self._due[follower] = None

    def _add(self, path: str, *, from_start: bool) -> None:
        marks = self._waiting.pop(shown(path), [])
        follower = Follower(
            path,
            from_start=from_start,
            marks=marks,
            lag_max_bytes=self._lag_max_bytes,
            # What was asked for is read, however much it is.
            patient=self._spec.from_start and not marks,
        )
        self._followers[path] = follower
        self._due[follower] = None

    def _read(self, follower: Follower) -> Batch | None:
        """Look at one name; it stays due while there is more."""
        try:
            batch = follower.read(self._clock.now(), self._clock.wall())
        except SourceError:
            del self._due[follower]
            if not self._is_pattern:
                raise
            if follower.path not in self._told:
                self._told.add(follower.path)
                raise
            return None
        # Between the read and the watch something may have happened: then read again.
        if batch is None and not self._watches_anew(follower):
            self._due.pop(follower, None)
        return batch

    # ---- when to look ----------------------------------------------------------

    def _collect(self) -> None:
        """Find out what is to be looked at, by what has happened and by the clock."""
        now = self._clock.now()
        changes = Changes() if self._inotify is None else self._inotify.changes()
        for path in changes.paths:
            for name in (path, *bases(path)):  # an old one has its log's name in it
                if name in self._paths:
                    self._due[self._paths[name]] = None
        if changes.names:
            self._expand_at = now
        if changes.anything:
            self._watched = {}
            self._sweep_at = self._expand_at = now
        if now >= self._sweep_at:
            self._sweep_at = now + self._sweep_s()
            self._due.update(dict.fromkeys(self._followers.values()))

    def _sweep_s(self) -> float:
        pause_s = LOOK_S if self._inotify is None else SWEEP_S
        return max(pause_s, len(self._followers) * QUIET_LOOK_S / SWEEP_SHARE)

    async def _wait(self) -> None:
        """Until inotify rings, or it is time for a look."""
        until = self._sweep_at
        if self._is_pattern:
            until = min(until, max(self._expand_at, self._expand_from))
        pause_s = max(0.0, until - self._clock.now())
        loop = asyncio.get_running_loop()
        bell = asyncio.Event()
        if self._inotify is not None:
            # Only now: it rings for as long as it is not read.
            loop.add_reader(self._inotify.fd, bell.set)
        try:
            async with asyncio.timeout(pause_s):
                await bell.wait()
        except TimeoutError:
            return
        finally:
            if self._inotify is not None:
                loop.remove_reader(self._inotify.fd)
        # What comes after a pause is read at once; only what follows it close waits.
        now = self._clock.now()
        gap_s = min(GAP_S, max(0.0, self._woke_at + GAP_S - now))
        self._woke_at = now + gap_s
        await asyncio.sleep(gap_s)

    def _watches_anew(self, follower: Follower) -> bool:
        """Hear of a name, and of the file that it leads to by links, from now on."""
        identity = follower.identity
        if self._inotify is None or self._watched.get(follower, "") == identity:
            return False
        self._watched[follower] = identity
        for path in {follower.path, os.path.realpath(follower.path)}:
            self._paths[path] = follower
            # No such directory, or too many watches: then by the clock.
            with contextlib.suppress(OSError):
                self._inotify.watch(os.path.dirname(path))  # noqa: PTH120 - quick
        return True


def _inotify() -> Inotify | None:
    try:
        return Inotify()
    except OSError:  # not Linux, or other programs have used them up
        return None


def _make_room() -> None:
    """Be allowed as many open files as we may: nothing here waits with select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
