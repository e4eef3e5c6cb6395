"""The last thing before the ear: a look-ahead limiter on the true peak.

Theory. The signal is delayed by one block. Time is cut into steps of 32 frames; for
each step the *wanted* gain is what brings its true peak, estimated by fourfold
oversampling, to the ceiling. The lowest wanted gain of a neighbourhood is held, then
released exponentially, then averaged over the six steps ahead; the averages are nodes,
and the gain runs in straight lines between nodes. A mean of values none of which
exceeds what a step wants does not exceed it either, so every step gets at most the
gain that it wants, and the gain bends over 4 ms instead of jumping.

The estimate looks sixteen frames to either side, across the edges of steps, where the
gain differs a little: hence the neighbourhood is a step wider than it need be, and the
ceiling aimed at is a little under the one promised. Both channels get one gain, so
that nothing moves in the image.

A signal below the ceiling passes bit for bit. What is not a number becomes silence,
and what is absurdly large is cut to a bound first.
"""

import math

import numpy as np
from numpy.typing import NDArray

from peep.sound.engine import BLOCK_FRAMES, CHANNELS, SAMPLE_RATE_HZ

CEILING_DBTP = -1.0
DELAY_FRAMES = BLOCK_FRAMES

_AIM = 10 ** ((CEILING_DBTP - 0.4) / 20)  # hostile signals fool the estimate by 0.35
_STEP_FRAMES = 32
_STEPS = BLOCK_FRAMES // _STEP_FRAMES
_AHEAD = 6  # steps averaged: an attack of 4 ms, and all that a block's delay allows
_HOLD = _AHEAD + 3  # steps a gain is the lowest of: see "a step wider" above
_RELEASE_S = 0.15  # slow enough not to pump, quick enough not to duck what follows
_RELEASE = 1 - math.exp(-_STEP_FRAMES / SAMPLE_RATE_HZ / _RELEASE_S)
_OPEN = 0.9999  # a gain this near to 1 is 1: nobody hears a step of 0.001 dB
_LOUDEST = 8.0  # +18 dBFS: beyond that it is a defect, not a sound
_REACH = 16  # frames the estimate looks to either side
_OVERSAMPLING = 4


class Limiter:
    """Turns block after block, shape (256, 2), into the one before it, limited."""

    def __init__(self, gain_db: float = 0.0) -> None:
        """Apply a master gain before limiting; 0 dB leaves the bits as they are."""
        self._gain = np.float32(10 ** (gain_db / 20))
        self._held = np.zeros((BLOCK_FRAMES, CHANNELS), np.float32)
        # The end of what came before: a step not yet measured, and the reach.
        self._recent = np.zeros((_STEP_FRAMES + _REACH, CHANNELS), np.float32)
        self._wanted = np.ones(_HOLD - 1)
        self._released = np.ones(_AHEAD - 1)
        self._node = 1.0

    def process(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take a block and return the one before it, limited: a new array."""
        incoming = _harmless(block) * self._gain
        known = np.concatenate((self._recent, incoming))
        self._recent = known[-(_STEP_FRAMES + _REACH) :]
        wanted = np.concatenate((self._wanted, _wanted_gains(known)))
        self._wanted = wanted[_STEPS:]
        outgoing, self._held = self._held, incoming
        if self._node == self._released[-1] == 1.0 == wanted.min():
            self._released[:] = 1.0
            return outgoing
        return outgoing * self._ramp(wanted)[:, np.newaxis]

    def _ramp(self, wanted: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the gain of every frame that goes out now."""
        lowest = np.lib.stride_tricks.sliding_window_view(wanted, _HOLD).min(axis=1)
        released = np.empty(_AHEAD - 1 + _STEPS)
        released[: _AHEAD - 1] = self._released
        gain = float(self._released[-1])
        for step, low in enumerate(lowest.tolist(), _AHEAD - 1):
            gain = min(low, gain + (1 - gain) * _RELEASE)
            if gain > _OPEN and low == 1.0:
                gain = 1.0
            released[step] = gain
        self._released = released[_STEPS:]
        means = np.lib.stride_tricks.sliding_window_view(released, _AHEAD).mean(axis=1)
        nodes = np.concatenate(([self._node], means))
        self._node = float(nodes[-1])
        return np.interp(_FRAMES, _NODE_FRAMES, nodes).astype(np.float32)


def _harmless(block: NDArray[np.float32]) -> NDArray[np.float32]:
    if np.abs(block).max() <= _LOUDEST:  # which a NaN is not
        return block
    numbers = np.nan_to_num(block, nan=0.0, posinf=_LOUDEST, neginf=-_LOUDEST)
    return np.clip(numbers, -_LOUDEST, _LOUDEST)


def _wanted_gains(known: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the gain that each of the next eight steps wants for itself."""
    # What is this small cannot be too large between the samples either.
    if np.abs(known).max() * _HIGHEST_OVERSHOOT <= _AIM:
        return np.ones(_STEPS)
    windows = np.lib.stride_tricks.sliding_window_view(known[1:], 2 * _REACH, axis=0)
    points = windows[:BLOCK_FRAMES].reshape(-1, 2 * _REACH) @ _TAPS
    peaks = np.abs(points).reshape(_STEPS, -1).max(axis=1).astype(np.float64)
    return np.asarray(_AIM / np.maximum(peaks, _AIM), np.float64)


def _taps() -> NDArray[np.float32]:
    """Return, (taps, 4), the windowed sinc that gives a sample and three after it."""
    whole = np.arange(2 * _REACH)[:, np.newaxis] - (_REACH - 1)
    offset = whole - np.arange(_OVERSAMPLING) / _OVERSAMPLING
    window = np.cos(np.pi * offset / (2 * _REACH)) ** 2
    return np.asarray(np.sinc(offset) * window, np.float32)


_TAPS = _taps()
_HIGHEST_OVERSHOOT = float(np.abs(_TAPS).sum(axis=0).max())
_FRAMES = np.arange(BLOCK_FRAMES)
_NODE_FRAMES = np.arange(_STEPS + 1) * _STEP_FRAMES
