"""A cue of many sounds as a flurry: a few softer calls follow the first.

How many grows with the logarithm of the count: three tell of ten, five of hundreds.
They come at uneven times, from around the place of the first, and sound only where
there are voices idle; whatever is news goes before them. They belong to the cue.
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

    from peep.mixer.heard import Heard

CALLS = 1.5  # that follow, per factor of ten in the count
MAX_CALLS = 5
CALL_GAIN_DB = -6.0  # under the first: each has its own place in the depth
WITHIN_S = (0.08, 0.9)
PAN = 0.2  # how far to either side of the first
MAX_WAITING = 64  # of all flurries; more would find no voice


class Call(msgspec.Struct, frozen=True):
    """A call that follows: what, how loud, from where, and for whom it is heard."""

    heard: Heard
    gain_db: float
    pan: float
    rate: float


class Flurries:
    """The calls that are still to come."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._waiting: list[tuple[float, int, Call]] = []  # a heap
        self._numbers = itertools.count()

    def add(self, call: Call, now: float) -> None:
        """Let a flurry follow a cue that sounds now as `call` says."""
        for _ in range(min(MAX_CALLS, round(CALLS * math.log10(call.heard.count)))):
            if len(self._waiting) >= MAX_WAITING:
                return
            random = self._rng.random
            at = now + WITHIN_S[0] + (WITHIN_S[1] - WITHIN_S[0]) * random()
            one = msgspec.structs.replace(
                call,
                gain_db=call.gain_db + CALL_GAIN_DB * (0.5 + random()),
                pan=call.pan + PAN * (2 * random() - 1),
            )
            heapq.heappush(self._waiting, (at, next(self._numbers), one))

    def due(self, now: float) -> list[Call]:
        """Remove and return the calls whose time has come."""
        calls = []
        while self._waiting and self._waiting[0][0] <= now:
            calls.append(heapq.heappop(self._waiting)[2])
        return calls

    def next_due(self) -> float:
        """Return when the next call comes, or inf."""
        return self._waiting[0][0] if self._waiting else math.inf

    def remove(self, unwanted: Callable[[Heard], bool]) -> None:
        """Drop the calls that are unwanted."""
        self._waiting = [one for one in self._waiting if not unwanted(one[2].heard)]
        heapq.heapify(self._waiting)
