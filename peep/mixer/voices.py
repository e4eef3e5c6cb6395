"""Who gets a voice, who waits, who is sent away.

A new event takes an idle voice; else it cuts off the least important sounding one, of
those the oldest, never a more important one; else it waits in a backlog, bounded in
number and age, most urgent first. A few voices are kept for alerts, so that no storm
of routine events delays one even by its fade.
"""

import heapq

import msgspec

from peep.mixer.commands import VOICES
from peep.signals import Event, Tier

ALERT_VOICES = 4  # kept for the alert tier
BACKLOG_EVENTS = 64  # more than are played within BACKLOG_AGE_S anyway
BACKLOG_AGE_S = 5.0  # older is no news


class _Voice(msgspec.Struct):
    """What sounds on a voice, and until when."""

    free_at: float = float("-inf")
    tier: Tier = Tier.ROUTINE
    started: float = float("-inf")


class Pool:
    """The fixed pool of voices."""

    def __init__(self, voices: int = VOICES) -> None:
        self._voices = [_Voice() for _ in range(voices)]
        self._common = voices - ALERT_VOICES

    def take(self, tier: Tier, now: float, duration_s: float) -> int | None:
        """Return the voice for an event of this tier, or None if all are dearer."""
        # Common voices first even for alerts: the kept ones are the reserve.
        reach = len(self._voices) if tier is Tier.ALERT else self._common
        chosen = next(
            (i for i in range(reach) if self._voices[i].free_at <= now),
            None,
        )
        if chosen is None:
            chosen = min(
                range(reach),
                key=lambda i: (self._voices[i].tier, self._voices[i].started),
            )
            if self._voices[chosen].tier > tier:
                return None
        voice = self._voices[chosen]
        voice.free_at, voice.tier, voice.started = now + duration_s, tier, now
        return chosen

    def sounding(self, now: float) -> int:
        """Return how many voices are busy."""
        return sum(voice.free_at > now for voice in self._voices)

    def next_free(self, tier: Tier) -> float:
        """Return when the first voice in this tier's reach falls idle."""
        reach = len(self._voices) if tier is Tier.ALERT else self._common
        return min(voice.free_at for voice in self._voices[:reach])


class Waiting(msgspec.Struct, frozen=True):
    """An event in the backlog."""

    event: Event
    since: float


class Backlog:
    """Events that wait for a voice."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Waiting]] = []
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, event: Event, now: float) -> Waiting | None:
        """Take an event in; return the one that had to make room, if any."""
        self._pushed += 1
        heapq.heappush(self._heap, (-event.tier, self._pushed, Waiting(event, now)))
        if len(self._heap) <= BACKLOG_EVENTS:
            return None
        least = max(self._heap)
        self._heap.remove(least)
        heapq.heapify(self._heap)
        return least[2]

    def first(self) -> Waiting:
        """Return the most urgent, which must exist."""
        return self._heap[0][2]

    def pop(self) -> Waiting:
        """Remove and return the most urgent, which must exist."""
        return heapq.heappop(self._heap)[2]

    def expire(self, now: float) -> list[Waiting]:
        """Remove and return what has waited too long."""
        old = [entry for entry in self._heap if now >= self.deadline(entry[2])]
        if old:
            self._heap = [entry for entry in self._heap if entry not in old]
            heapq.heapify(self._heap)
        return [entry[2] for entry in sorted(old)]

    def next_expiry(self) -> float:
        """Return when the oldest will have waited too long."""
        return min(self.deadline(entry[2]) for entry in self._heap)

    @staticmethod
    def deadline(waiting: Waiting) -> float:
        """Return when this one is no news any more."""
        return waiting.since + BACKLOG_AGE_S
