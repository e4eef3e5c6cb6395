"""Buses: what sums where, how loud each is, and how that changes without a click.

The graph gives one stereo pair for each bus; here they become one. A gain moves in a
straight line over its fade, so that neither muting nor ducking makes a step, and where
it is 0 the sum is exactly silent.
"""

import math

import numpy as np
from numpy.typing import NDArray

from peep.mixer.commands import Bus, Fade
from peep.signals import GAIN_RANGE_DB
from peep.sound.engine import BLOCK_FRAMES, CHANNELS, SAMPLE_RATE_HZ

SUMMED = len(Bus) - 1  # all but the master
_SHORTEST_S = 0.005
_LONGEST_S = 600.0


class Buses:
    """Sums blocks of shape (256, 2 * SUMMED) to (256, 2)."""

    def __init__(self) -> None:
        self._gain = [1.0] * len(Bus)
        self._goal = [1.0] * len(Bus)
        self._left = [0] * len(Bus)  # frames until the goal

    def fade(self, command: Fade) -> bool:
        """Take a fade from the next block on; False if it makes no sense."""
        gain_db, fade_s = command.gain_db, command.fade_s
        if not math.isfinite(fade_s + (gain_db or 0.0)):
            return False
        lowest, highest = GAIN_RANGE_DB
        goal = (
            0.0 if gain_db is None else 10 ** (min(max(gain_db, lowest), highest) / 20)
        )
        fade_s = min(max(fade_s, _SHORTEST_S), _LONGEST_S)
        self._goal[command.bus] = goal
        self._left[command.bus] = math.ceil(fade_s * SAMPLE_RATE_HZ)
        return True

    def mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sum: a new array."""
        pairs = block.reshape(BLOCK_FRAMES, SUMMED, CHANNELS)
        gains = [self._next(bus) for bus in range(SUMMED)]
        mixed = pairs[:, 0] * gains[0]
        for bus in range(1, SUMMED):
            mixed += pairs[:, bus] * gains[bus]
        mixed *= self._next(Bus.MASTER)
        return mixed

    def _next(self, bus: int) -> NDArray[np.float32] | np.float32:
        """Return a bus's gain over the next block: one, or a column of 256."""
        left = self._left[bus]
        if not left:
            return np.float32(self._gain[bus])
        start, goal = self._gain[bus], self._goal[bus]
        steps = np.arange(1, BLOCK_FRAMES + 1)
        line = start + (goal - start) * np.minimum(steps / left, 1.0)
        self._left[bus] = max(0, left - BLOCK_FRAMES)
        self._gain[bus] = goal if not self._left[bus] else float(line[-1])
        return line.astype(np.float32)[:, np.newaxis]
