"""Who gets a voice, who waits, who is sent away.

A new event takes an idle voice; else it cuts off the least important sounding one, of
those the oldest, never a more important one; else it waits in a backlog, bounded in
number and age, most urgent first and of those the oldest. Who must make room there is
the least urgent, of those the newest. A few voices are kept for alerts, so that no
storm of routine events delays one even by its fade. So an alert always finds a voice.

Both are asked once per signal, mostly by a storm that finds everything taken: that
answer must not need a search.
"""

from collections import deque

import msgspec

from peep.mixer.commands import VOICES
from peep.signals import Event, Tier
from peep.theme import Voicing

ALERT = Tier.ALERT  # named once: to reach an enum's member takes 70 ns
ALERT_VOICES = 4  # kept for the alert tier
BACKLOG_EVENTS = 64  # more than are played within BACKLOG_AGE_S anyway
BACKLOG_AGE_S = 5.0  # older is no news


class Pool:
    """The fixed pool of voices; the last few of them are kept for alerts."""

    def __init__(self, voices: int = VOICES) -> None:
        self._free_at = [float("-inf")] * voices
        self._common = voices - ALERT_VOICES
        self._busy_until = float("-inf")  # until then no common voice is idle
        self._tier = [Tier.ROUTINE] * voices  # that each last sounded for
        # Voices by that tier, of each the oldest start first.
        self._started: list[dict[int, None]] = [{} for _ in Tier]
        self._cuttable = [self._started[: tier + 1] for tier in Tier]

    def find(self, tier: Tier, now: float) -> int | None:
        """Return the voice for an event of this tier, or None if all are dearer."""
        free_at = self._free_at
        # Common voices first even for alerts: the kept ones are the reserve.
        if now >= self._busy_until:
            for voice in range(self._common):
                if free_at[voice] <= now:
                    return voice
            self._busy_until = min(free_at[: self._common])
        if tier is ALERT:
            for voice in range(self._common, len(free_at)):
                if free_at[voice] <= now:
                    return voice
        for started in self._cuttable[tier]:
            if started:
                return next(iter(started))
        return None

    def take(self, voice: int, tier: Tier, until: float) -> None:
        """Let a voice that was found sound for an event."""
        self._free_at[voice] = until
        if until < self._busy_until and voice < self._common:
            self._busy_until = until
        self._started[self._tier[voice]].pop(voice, None)
        self._started[tier][voice] = None
        self._tier[voice] = tier

    def sounding(self, now: float) -> int:
        """Return how many common voices are busy."""
        if now < self._busy_until:
            return self._common
        return sum([free_at > now for free_at in self._free_at[: self._common]])

    def next_free(self, tier: Tier) -> float:
        """Return when the first voice in this tier's reach falls idle."""
        return min(self._free_at if tier is ALERT else self._free_at[: self._common])


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An event in the backlog; `number` as in its outcome."""

    event: Event
    voicing: Voicing
    since: float
    number: int = 0


class Backlog:
    """Events that wait for a voice."""

    def __init__(self) -> None:
        self._queues: list[deque[Waiting]] = [deque() for _ in Tier]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, waiting: Waiting) -> Waiting | None:
        """Take an event in; return the one that had to make room, if any."""
        self._queues[waiting.event.tier].append(waiting)
        if self._count < BACKLOG_EVENTS:
            self._count += 1
            return None
        for queue in self._queues:
            if queue:
                break
        return queue.pop()

    def first(self) -> Waiting:
        """Return the most urgent, which must exist."""
        return next(queue for queue in reversed(self._queues) if queue)[0]

    def pop(self) -> Waiting:
        """Remove and return the most urgent, which must exist."""
        self._count -= 1
        return next(queue for queue in reversed(self._queues) if queue).popleft()

    def expire(self, now: float) -> list[Waiting]:
        """Remove and return what has waited too long, most urgent first."""
        old = []
        for queue in reversed(self._queues):
            while queue and now >= queue[0].since + BACKLOG_AGE_S:
                old.append(queue.popleft())
        self._count -= len(old)
        return old

    def next_expiry(self) -> float:
        """Return when the oldest will have waited too long; one must wait."""
        return min(queue[0].since for queue in self._queues if queue) + BACKLOG_AGE_S
