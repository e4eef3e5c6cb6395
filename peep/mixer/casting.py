"""Which sound an event makes, in which of its forms, and how loud for how many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from peep.signals import Event
    from peep.theme import SoundBank, Theme, Voicing

MAX_KINDS = 4096  # of events whose voicing is remembered, to look it up once
COUNT_GAIN_DB = 3.0  # per factor of ten in an event's count
MAX_COUNT_GAIN_DB = 6.0


class Casting:
    """Chooses sounds and their variants."""

    def __init__(self, theme: Theme, bank: SoundBank, rng: Random) -> None:
        self._theme = theme
        self._bank = bank
        self._rng = rng
        self._voicings: dict[tuple[str, int, str], Voicing | None] = {}
        self._last_variant: dict[str, int] = {}

    def voicing(self, event: Event) -> Voicing | None:
        """Return how an event sounds, or None if it does not."""
        kind = (event.name, event.tier, event.family)
        try:
            return self._voicings[kind]
        except KeyError:
            if len(self._voicings) >= MAX_KINDS:
                self._voicings.clear()
            voicing = self._theme.for_event(event)
            self._voicings[kind] = voicing
            return voicing

    def variant(self, sound: str) -> int:
        """Choose a variant, never the last one again if there are others."""
        count = len(self._bank.variants[sound])
        if count == 1:
            return 0
        last = self._last_variant.get(sound)
        if last is None:
            variant = int(count * self._rng.random())
        else:
            variant = (last + 1 + int((count - 1) * self._rng.random())) % count
        self._last_variant[sound] = variant
        return variant

    def duration_s(self, sound: str, variant: int, rate: float) -> float:
        """Return how long a variant sounds when it is played so fast."""
        return self._bank.variants[sound][variant].duration_s / rate


def count_gain_db(count: int) -> float:
    """Return how much louder the cue of so many is."""
    if count <= 1:
        return 0.0
    return min(MAX_COUNT_GAIN_DB, COUNT_GAIN_DB * math.log10(count))
