"""The gain law of classic Peep (0.5), as it meant to mix events.

There are 12 voices for events. An event takes an idle one, else that of the least
important, of those the oldest, if it is more important itself; else it waits in a queue
of 64, the most important first, for five seconds at most.

The n-th of N voices that sound at once gets a gain of

    (0.5 + 0.5 x) (1 - 0.5 x) (1 - T),   x = (n - 1) / (N - 1)

where T is the sum of the gains of those that sound. So the sum never passes 1; and who
comes last to a crowd is hardly heard, whatever he says.

What it did worse than it meant to is left out: chunks of a second, a queue that was
upside down, sounds that were never cut off.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, NamedTuple

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

VOICES = 12
QUEUE = 64
EXPIRY_S = 5.0
LONE_GAIN = 0.5  # of a voice that sounds alone


class Wanted(NamedTuple):
    """An event that is to sound; the least is the most important, then the oldest."""

    order: int
    at_s: float
    array: Floats
    pan: float


class Take(NamedTuple):
    """What sounded on a voice, from when until when, and how loud."""

    order: int
    at_s: float
    until_s: float
    gain: float
    array: Floats
    pan: float


class Voices:
    """The voices of classic, and the events that wait for one."""

    def __init__(self) -> None:
        self._sounding: list[Take] = []
        self._waiting: list[tuple[int, float, int, Wanted]] = []
        self._numbers = itertools.count()
        self._over: list[Take] = []

    def take(self, now: float, wanted: Wanted) -> None:
        """Take an event in."""
        self._let_end(now)
        if len(self._sounding) >= VOICES:
            least = max(self._sounding, key=lambda take: (take.order, -take.at_s))
            if least.order <= wanted.order:
                self._wait(wanted)
                return
            self._sounding.remove(least)
            self._over.append(least._replace(until_s=now))
        self._play(now, wanted)

    def end(self, now: float) -> list[Take]:
        """Return all that sounded."""
        self._let_end(now)
        return self._over + self._sounding

    def _wait(self, wanted: Wanted) -> None:
        if len(self._waiting) < QUEUE:
            entry = (wanted.order, wanted.at_s, next(self._numbers), wanted)
            heapq.heappush(self._waiting, entry)

    def _let_end(self, now: float) -> None:
        """Let sounds end until now, and those that wait take their voices."""
        while self._sounding:
            first = min(self._sounding, key=lambda take: take.until_s)
            if first.until_s > now:
                return
            self._sounding.remove(first)
            self._over.append(first)
            while self._waiting:
                wanted = heapq.heappop(self._waiting)[3]
                if first.until_s <= wanted.at_s + EXPIRY_S:
                    self._play(first.until_s, wanted)
                    break

    def _play(self, now: float, wanted: Wanted) -> None:
        share = len(self._sounding) / (VOICES - 1)
        used = sum(take.gain for take in self._sounding)
        gain = (0.5 + 0.5 * share) * (1 - 0.5 * share) * (1 - used)
        until_s = now + len(wanted.array) / RATE_HZ
        self._sounding.append(
            Take(wanted.order, now, until_s, gain, wanted.array, wanted.pan)
        )
