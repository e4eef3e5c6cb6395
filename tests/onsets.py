"""Finding known sounds in a recording, to the sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Mono = NDArray[np.float64]

RISEN = 0.1  # of its peak: there a sound has begun for an ear


def risen_at(sound: NDArray[np.floating]) -> int:
    """Return the frame at which a sound has risen to a tenth of its peak."""
    level = np.abs(sound)
    return int(np.argmax(level >= RISEN * level.max()))


def likeness(recording: NDArray[np.floating], sound: NDArray[np.floating]) -> Mono:
    """Return, for each place, how like the sound the recording is there, -1 … 1.

    It is the correlation, each divided by its power over the length of the sound.
    """
    recording, sound = recording.astype(float), sound.astype(float)
    across = signal.correlate(recording, sound, "valid", "fft")
    powers = np.concatenate(([0.0], np.cumsum(np.square(recording))))
    power = np.maximum(powers[len(sound) :] - powers[: -len(sound)], 1e-12)
    return across / np.sqrt(power * np.square(sound).sum())


def found_at(
    recording: NDArray[np.floating], sound: NDArray[np.floating], like: float = 0.7
) -> int | None:
    """Return the frame at which the sound begins for the first time; None if nowhere.

    That is where it is most like, within a length of it from where it is like at all.
    """
    if len(recording) < len(sound):
        return None
    values = likeness(recording, sound)
    there = np.flatnonzero(values >= like)
    if not len(there):
        return None
    return int(there[0] + np.argmax(values[there[0] : there[0] + len(sound)]))
