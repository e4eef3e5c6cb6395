"""Who gets a voice, who waits, who is sent away.

A new event takes an idle voice; else it cuts off the least important sounding one, of
those the oldest, never a more important one, and none of its own kind that is younger
than YOUNG_S; else it waits in a backlog, bounded in number and age, most urgent first
and of those the oldest. Who must make room there is the least urgent, of those the
newest. A few voices are kept for alerts, so that no storm of routine events delays one
even by its fade. Alerts are all alike, and the oldest makes room however young: so an
alert always finds a voice.

Importance is one number, a *rank*: the tier, and within it the priority. Both are asked
once per signal, mostly by a storm that finds everything taken: that answer must not
need a search.
"""

import bisect
from collections import deque

import msgspec

from peep.mixer.commands import VOICES
from peep.mixer.outcomes import Carried
from peep.signals import Event, Tier
from peep.theme import Voicing

ALERT = Tier.ALERT  # named once: to reach an enum's member takes 70 ns
ALERT_VOICES = 4  # kept for the alert tier
BACKLOG_EVENTS = 64  # more than are played within BACKLOG_AGE_S anyway
BACKLOG_AGE_S = 5.0  # older is no news
YOUNG_S = 0.1  # what is cut off sooner was not heard

_PRIORITIES = 256
ALERT_RANK = ALERT * _PRIORITIES


def rank_of(event: Event) -> int:
    """Return how important an event is."""
    priority = event.priority
    if event.tier is ALERT or not priority:
        return event.tier * _PRIORITIES
    return event.tier * _PRIORITIES + min(max(priority, 0), _PRIORITIES - 1)


class Pool:
    """The fixed pool of voices; the last few of them are kept for alerts."""

    def __init__(self, voices: int = VOICES) -> None:
        self._free_at = [float("-inf")] * voices
        self._since = [float("-inf")] * voices
        self._common = voices - ALERT_VOICES
        self._busy_until = float("-inf")  # until then no common voice is idle
        self._rank = [0] * voices  # that each last sounded for
        # Voices by that rank, of each the oldest start first; and the ranks in order.
        self._started: dict[int, dict[int, None]] = {}
        self._ranks: list[int] = []

    def find(self, rank: int, now: float) -> int | None:
        """Return the voice for an event of this rank, or None if all are dearer."""
        free_at = self._free_at
        # Common voices first even for alerts: the kept ones are the reserve.
        if now >= self._busy_until:
            for voice in range(self._common):
                if free_at[voice] <= now:
                    return voice
            self._busy_until = min(free_at[: self._common])
        if rank >= ALERT_RANK:
            for voice in range(self._common, len(free_at)):
                if free_at[voice] <= now:
                    return voice
        for other in self._ranks:
            if other > rank:
                break
            voice = next(iter(self._started[other]))
            if other < rank or rank >= ALERT_RANK or self._is_old(voice, now):
                return voice
        return None

    def take(self, voice: int, rank: int, now: float, until: float) -> None:
        """Let a voice that was found sound for an event."""
        self._free_at[voice] = until
        self._since[voice] = now
        if until < self._busy_until and voice < self._common:
            self._busy_until = until
        self._leave(voice)
        started = self._started.get(rank)
        if started is None:
            started = self._started[rank] = {}
            bisect.insort(self._ranks, rank)
        started[voice] = None
        self._rank[voice] = rank

    def free(self, voice: int) -> None:
        """Let a voice be idle from now on."""
        self._free_at[voice] = self._busy_until = float("-inf")

    def sounding(self, now: float) -> int:
        """Return how many common voices are busy."""
        if now < self._busy_until:
            return self._common
        return sum([free_at > now for free_at in self._free_at[: self._common]])

    def busy(self, now: float) -> list[int]:
        """Return the voices that sound."""
        return [voice for voice, at in enumerate(self._free_at) if at > now]

    def next_chance(self, rank: int) -> float:
        """Return when `find` may return a voice that it does not return now."""
        idle_at = min(self._free_at[: self._common])
        equals = self._started.get(rank)
        if equals:
            idle_at = min(idle_at, self._since[next(iter(equals))] + YOUNG_S)
        return idle_at

    def _is_old(self, voice: int, now: float) -> bool:
        return now >= self._since[voice] + YOUNG_S

    def _leave(self, voice: int) -> None:
        rank = self._rank[voice]
        started = self._started.get(rank)
        if started is not None and voice in started:
            del started[voice]
            if not started:
                del self._started[rank]
                self._ranks.remove(rank)


class Waiting(msgspec.Struct, frozen=True):
    """Events of one kind in the backlog, to be told by one cue; most often one."""

    events: tuple[Carried, ...]
    voicing: Voicing
    since: float
    rank: int = 0


class Backlog:
    """Events that wait for a voice."""

    def __init__(self) -> None:
        self._queues: dict[int, deque[Waiting]] = {}
        self._ranks: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, waiting: Waiting) -> Waiting | None:
        """Take one in; return the one that had to make room, if any."""
        if self._count >= BACKLOG_EVENTS and waiting.rank <= self._ranks[0]:
            return waiting
        queue = self._queues.get(waiting.rank)
        if queue is None:
            queue = self._queues[waiting.rank] = deque()
            bisect.insort(self._ranks, waiting.rank)
        queue.append(waiting)
        self._count += 1
        if self._count <= BACKLOG_EVENTS:
            return None
        least = self._ranks[0]
        dropped = self._queues[least].pop()
        self._shrink(least)
        return dropped

    def first(self) -> Waiting:
        """Return the most urgent, which must exist."""
        return self._queues[self._ranks[-1]][0]

    def pop(self) -> Waiting:
        """Remove and return the most urgent, which must exist."""
        rank = self._ranks[-1]
        first = self._queues[rank].popleft()
        self._shrink(rank)
        return first

    def expire(self, now: float) -> list[Waiting]:
        """Remove and return what has waited too long, most urgent first."""
        old = []
        for rank in reversed(self._ranks.copy()):
            queue = self._queues[rank]
            while queue and now >= queue[0].since + BACKLOG_AGE_S:
                old.append(queue.popleft())
                self._shrink(rank)
        return old

    def empty(self) -> list[Waiting]:
        """Remove and return all, most urgent first."""
        return [self.pop() for _ in range(self._count)]

    def next_expiry(self) -> float:
        """Return when the oldest will have waited too long; one must wait."""
        return min(queue[0].since for queue in self._queues.values()) + BACKLOG_AGE_S

    def _shrink(self, rank: int) -> None:
        """Count one less, and forget a queue that is empty."""
        self._count -= 1
        if not self._queues[rank]:
            del self._queues[rank]
            self._ranks.remove(rank)
