"""Folding: a storm of one rule about one instance becomes few events with counts.

Of each rule and instance so many events pass at once as its rate allows, and from then
on one at most each period ÷ count: a token bucket, kept as the time at which the bucket
will be full again (the "virtual scheduling" of ATM's GCRA, ITU-T I.371). What comes in
between waits as one event: the first that had to, with its id, its text and the count
of all. So a storm is heard as a steady rhythm, nothing waits for longer than one beat
of it, and the counts add up.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

import msgspec

from peep.signals import MAX_COUNT, Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peep.rules import Rule

# Attacks come from thousands of addresses at once; each takes about a kilobyte with its
# text, and memory is bounded.
MAX_STORMS = 4096
_SHARE_FREED = 4  # a quarter: looking for room costs a walk through all of them
_ROUNDING_S = 1e-6


class _Storm:
    """What is known of one rule and instance."""

    __slots__ = ("burst_s", "count", "first", "full_at", "step_s")

    def __init__(self, step_s: float, burst_s: float) -> None:
        self.step_s = step_s  # how long the bucket takes for one event
        self.burst_s = burst_s  # how far from full it may be and have one left
        self.full_at = float("-inf")
        self.first: Event | None = None  # of those that wait
        self.count = 0

    def passed(self) -> Event:
        """Return what waited, as one event."""
        assert self.first is not None, "it waits"
        event = msgspec.structs.replace(self.first, count=self.count)
        self.full_at += self.step_s
        self.first, self.count = None, 0
        return event


class Folding:
    """Lets events pass, or folds them. `now` is seconds of a clock that never steps."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rates = [rule.most() for rule in rules]
        self._storms: dict[tuple[int, str], _Storm] = {}
        self._waiting: list[tuple[float, int, _Storm]] = []  # a heap, by when it is due
        self._numbers = itertools.count()  # heaps compare what follows an equal time
        self.folded = 0  # events that became part of another one's count

    def fold(
        self, winners: Iterable[int], events: Iterable[Event], now: float
    ) -> list[Event]:
        """Return what passes now; `winners` are the events' rules, by place.

        What has waited long enough passes first.
        """
        passing = self.due(now)
        for rule, event in zip(winners, events, strict=True):
            rate = self._rates[rule]
            if rate is None:
                passing.append(event)
                continue
            key = (rule, event.instance)
            storm = self._storms.get(key)
            if storm is None:
                if len(self._storms) >= MAX_STORMS:
                    passing += self._make_room(now)
                step_s = rate.period_s / rate.count
                storm = self._storms[key] = _Storm(step_s, rate.period_s - step_s)
            if storm.first is not None:
                storm.count = min(MAX_COUNT, storm.count + event.count)
                self.folded += 1
            elif storm.full_at - now > storm.burst_s + _ROUNDING_S:
                storm.first, storm.count = event, event.count
                entry = (storm.full_at - storm.burst_s, next(self._numbers), storm)
                heapq.heappush(self._waiting, entry)
            else:
                storm.full_at = max(storm.full_at, now) + storm.step_s
                passing.append(event)
        return passing

    def next_due(self) -> float | None:
        """Return when something that waits must pass, if anything waits."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, now: float) -> list[Event]:
        """Return what has waited long enough."""
        passing = []
        while self._waiting and self._waiting[0][0] <= now:
            passing.append(heapq.heappop(self._waiting)[2].passed())
        return passing

    def drain(self) -> list[Event]:
        """Return all that waits: this is the end, or the rules are to change."""
        return self.due(float("inf"))

    def _make_room(self, now: float) -> list[Event]:
        """Forget storms that are over; where they are few, the oldest, too."""
        for key in [
            k for k, s in self._storms.items() if s.full_at <= now and not s.first
        ]:
            del self._storms[key]
        passing = []
        most = MAX_STORMS - MAX_STORMS // _SHARE_FREED
        for key in list(self._storms)[: max(0, len(self._storms) - most)]:
            storm = self._storms.pop(key)
            if storm.first is not None:
                passing.append(storm.passed())
        # What made room waits no longer, and must not pile up here.
        self._waiting = [entry for entry in self._waiting if entry[2].first is not None]
        heapq.heapify(self._waiting)
        return passing
