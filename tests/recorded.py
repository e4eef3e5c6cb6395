"""Recordings for tests: made here, at any rate, well or with something wrong."""

import numpy as np
import soundfile


def call(hz=900.0, seconds=0.4, rate_hz=48_000, level=0.4, beat_hz=0.0):
    """Return a soft call, as a recorder would bring it: quiet before and after."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    glide = hz * (1 + 0.1 * time / seconds)
    made = np.sin(2 * np.pi * np.cumsum(glide) / rate_hz) * np.hanning(len(time))
    if beat_hz:
        made *= 0.5 - 0.5 * np.cos(2 * np.pi * beat_hz * time)
    return np.pad(level * made, round(0.02 * rate_hz))


def write(path, samples, rate_hz=48_000, **how):
    """Write a recording, of the kind that its name says; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, **how)
    return path


def both(samples):
    """Return a recording in stereo, with a softer right side."""
    return np.stack((samples, 0.6 * samples), axis=1)
