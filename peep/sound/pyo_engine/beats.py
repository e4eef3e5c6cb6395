"""When a heartbeat is due, counted in frames, with a little of a human hand.

Every stroke strays from its place in the grid by a few hundredths of the period and
from its loudness by a decibel or so; the grid itself does not, so that the rate stays
what was asked for. Two strokes never use the same variant while there is another.
"""

import random
from collections.abc import Sequence

from peep.mixer.commands import Bus
from peep.signals import MAX_RATE_HZ
from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.pyo_engine.voices import Gains, Recording, Take

_STRAY = 0.03  # of a period, either way: less than what is noticed as uneven
_STRAY_DB = 1.0


class Rhythm:
    """One beat's time."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._recordings: Sequence[Recording] = ()
        self._gains: Gains = (0.0, 0.0)
        self._period = 0.0
        self._place = 0.0
        self._due = 0.0
        self._last: Recording | None = None

    def set(
        self,
        recordings: Sequence[Recording],
        gains: Gains,
        rate_hz: float,
        frame: int,
    ) -> None:
        """Beat so from now on: at once if silent, else a new period after the last."""
        period = SAMPLE_RATE_HZ / min(rate_hz, MAX_RATE_HZ)
        if not self._recordings:
            self._place = self._due = float(frame)
        elif period != self._period:
            self._place += period - self._period
            self._due = self._place
        self._recordings, self._gains, self._period = recordings, gains, period

    def stop(self) -> None:
        """Beat no more."""
        self._recordings = ()

    def due(self, frame: int) -> Take | None:
        """Return what is to be struck in the block that begins here, if anything."""
        if not self._recordings or frame < self._due:
            return None
        # A place long past (the rate rose) is not made good by a burst.
        self._place = max(self._place, frame - self._period) + self._period
        stray = self._rng.uniform(-_STRAY, _STRAY) * self._period
        self._due = max(self._place + stray, frame + 1)
        others = [one for one in self._recordings if one is not self._last]
        self._last = self._rng.choice(others or self._recordings)
        left, right = self._gains
        gain = 10 ** (self._rng.uniform(-_STRAY_DB, _STRAY_DB) / 20)
        return Take(self._last, (left * gain, right * gain), Bus.BED)
