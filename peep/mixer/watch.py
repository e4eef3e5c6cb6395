"""Who is to be heard again by when.

Who tells something again and again is *overdue* when three of its intervals have passed
without it, and no less than the theme says. Of whom no interval is known, as it was
heard but once, nothing is expected: a level that is set for an hour is told once.

A deadline moves with every signal. So it is looked at only when its key's entry of the
heap comes up: a later one makes no entry.
"""

import heapq
import math

INTERVALS = 3  # one may be lost on the way, and one late
MAX_FACTOR = 10  # of what the theme says: a long silence is not a long interval

Key = tuple[str, str]  # origin, name


def deadline(now: float, last: float, overdue_s: float) -> float:
    """Return by when to expect again what was heard now and `last` before."""
    interval_s = min(now - last, MAX_FACTOR * overdue_s)
    return now + max(overdue_s, INTERVALS * interval_s)


class Watch:
    """Deadlines by key."""

    def __init__(self) -> None:
        self._by: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._queued: dict[Key, float] = {}  # its entry; earlier ones are void

    def expect(self, key: Key, by: float) -> None:
        """Expect it by then, and no more by any other time."""
        self._by[key] = by
        if by < self._queued.get(key, math.inf):
            self._queued[key] = by
            heapq.heappush(self._heap, (by, key))

    def forget(self, key: Key) -> None:
        """Expect it no more."""
        self._by.pop(key, None)

    def due(self, now: float) -> list[Key]:
        """Return those whose deadline has passed; they are expected no more."""
        overdue = []
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._queued.get(key) != at:
                continue
            del self._queued[key]
            by = self._by.get(key, math.inf)
            if by <= now:
                del self._by[key]
                overdue.append(key)
            elif by < math.inf:
                self.expect(key, by)
        return overdue

    def next_due(self) -> float:
        """Return when `due` is to be asked, or inf."""
        return self._heap[0][0] if self._heap else math.inf
