"""Folding: many events of one kind become few cues that carry them all.

A *kind* is a name (with tier and family) in a zone. An event whose kind was silent for
FOLD_S sounds at once: nobody waits to see whether others follow. Those that do follow
are *gathered* and told by one cue when the window that the last cue opened is over. So
no kind is cued more than about twice a second, beyond which nobody tells events apart.

Where a window brought several, it is a *crowd*, and the windows that follow are longer
and of uneven length; a cue of many sounds as a flurry (flurries.py). That is the
texture: a chorus that thickens with the rate instead of four hundred single calls. The
more crowds there are, the longer their windows, so that all of them together stay few.

A cue carries MAX_CARRIED at most. When that many are gathered they are told, unless
the last cue is younger than SOON_S; then what comes is too much.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from peep.mixer.outcomes import Carried

FOLD_S = 0.5  # two a second
CROWD_S = 1.0  # a crowd's window; together with its flurry that leaves no gaps
MAX_WINDOW_S = 2.5  # what is told later than this is hardly news
STRAY = 0.2  # of a crowd's window, either way: an even one would be a metronome
CROWDS = 6  # more than that many at once make room for each other
SOON_S = 0.2
MAX_CARRIED = 1024  # by one cue: the journal writes them in one go
MAX_GATHERED = 65_536  # over all kinds; a second or two of more than is ever played
MAX_KINDS = 4096  # whose windows are known; a flood of names

Kind = tuple[str, int, str, str]  # name, tier, family, zone


class _Crowd(msgspec.Struct):
    told: float  # when the last cue sounded
    until: float  # when the window that it opened is over
    gathered: list[Carried]
    queued: bool = False  # stands in the heap


class Crowds:
    """What was heard of each kind a moment ago, and who is gathered."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._crowds: dict[Kind, _Crowd] = {}
        self._due: list[tuple[float, int, _Crowd]] = []  # a heap
        self._numbers = itertools.count()  # heaps compare what follows an equal time
        self._count = 0

    def take(self, kind: Kind, event: Carried, now: float) -> list[Carried] | None:
        """Take an event in; return who is to be told at once: itself, all, or none.

        None is that there is no room for it.
        """
        crowd = self._crowds.get(kind)
        if crowd is None:
            if len(self._crowds) >= MAX_KINDS:
                self._forget_idle()
            if len(self._crowds) < MAX_KINDS:
                self._crowds[kind] = _Crowd(now, now + FOLD_S, [])
            return [event]
        gathered = crowd.gathered
        if not gathered and now >= crowd.until:
            crowd.told, crowd.until = now, now + FOLD_S
            return [event]
        if len(gathered) >= MAX_CARRIED - 1 and now >= crowd.told + SOON_S:
            gathered.append(event)
            self._count += 1
            return self._tell(crowd, now)
        if len(gathered) >= MAX_CARRIED or self._count >= MAX_GATHERED:
            return None
        gathered.append(event)
        self._count += 1
        if not crowd.queued:
            self._queue(crowd)
        return []

    def due(self, now: float) -> list[list[Carried]]:
        """Return those whose window is over, by kind."""
        told = []
        while self._due and self._due[0][0] <= now:
            crowd = heapq.heappop(self._due)[2]
            crowd.queued = False
            if crowd.gathered and crowd.until > now:
                self._queue(crowd)
            elif crowd.gathered:
                told.append(self._tell(crowd, now))
        return told

    def next_due(self) -> float:
        """Return when `due` is to be asked, or inf."""
        return self._due[0][0] if self._due else math.inf

    def remove(self, unwanted: Callable[[Carried], bool]) -> list[Carried]:
        """Remove and return those gathered that are unwanted."""
        removed: list[Carried] = []
        for crowd in self._crowds.values():
            gone = [event for event in crowd.gathered if unwanted(event)]
            if gone:
                removed += gone
                crowd.gathered = [one for one in crowd.gathered if not unwanted(one)]
        self._count -= len(removed)
        return removed

    def _queue(self, crowd: _Crowd) -> None:
        crowd.queued = True
        heapq.heappush(self._due, (crowd.until, next(self._numbers), crowd))

    def _tell(self, crowd: _Crowd, now: float) -> list[Carried]:
        gathered, crowd.gathered = crowd.gathered, []
        self._count -= len(gathered)
        crowd.told = now
        if len(gathered) == 1 and gathered[0].signal.count == 1:
            crowd.until = now + FOLD_S
        else:
            window_s = min(MAX_WINDOW_S, CROWD_S * max(1.0, len(self._due) / CROWDS))
            stray = 1 - STRAY + 2 * STRAY * self._rng.random()
            crowd.until = now + window_s * stray
        return gathered

    def _forget_idle(self) -> None:
        # Some that sounded a moment ago are among them: they may sound again at once.
        self._crowds = {kind: it for kind, it in self._crowds.items() if it.gathered}
