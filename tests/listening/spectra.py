"""Sound as the ear has it: power by mel band and moment, and the bed beneath it.

Bands are triangles, even on the mel scale, and as wide as those of the ear: 130 Hz at
1 kHz (Glasberg and Moore 1990). An ear of finer ones would tell sines apart that nobody
tells apart. A frame is 43 ms, every 20 ms. Both sides of a stereo sound are added as
powers, so that a place changes nothing.

The *bed* of a band is what it is like between events: a low quantile of its powers
within some seconds around, which events pass too quickly to raise.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ

Floats = NDArray[np.float32]

FRAME = 2048
HOP_S = 0.02
HOP = round(RATE_HZ * HOP_S)
BANDS = 30
RANGE_HZ = (100.0, 8000.0)
FLOOR = 1e-11  # of power: -110 dB, nothing
BED_S = 8.0  # how much is looked at for the bed
BED_STEP_S = 1.0
BED_QUANTILE = 0.4
AT_ONCE = 4096  # frames, to bound the memory


def powers(sound: NDArray[np.floating]) -> Floats:
    """Return powers, shape (frames, BANDS), of sound (n,) or (n, channels).

    Frame k is centred on k * HOP_S.
    """
    channels = sound.reshape(len(sound), -1).T
    total = np.zeros((len(sound) // HOP + 1, BANDS), np.float32)
    window = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    window /= np.sqrt(np.sum(window**2))
    for channel in channels:
        padded = np.pad(channel.astype(np.float32), (FRAME // 2, FRAME // 2 + HOP))
        frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
        for start in range(0, len(total), AT_ONCE):
            part = frames[start : start + AT_ONCE][: len(total) - start]
            spectra = np.fft.rfft(part * window)[:, : len(_triangles())]
            power = np.square(spectra.real) + np.square(spectra.imag)
            total[start : start + len(part)] += power.astype(np.float32) @ _triangles()
    return np.maximum(total, FLOOR)


def bed(power: Floats) -> Floats:
    """Return the bed under powers, of the same shape."""
    step, half = round(BED_STEP_S / HOP_S), round(BED_S / HOP_S / 2)
    last = len(power) - 1
    levels = np.array(
        [
            np.quantile(
                power[max(0, min(at, last) - half) : at + half][::3],
                BED_QUANTILE,
                axis=0,
            )
            for at in range(0, len(power) + step, step)
        ]
    )
    frames = np.arange(len(power))
    share = (frames % step / step)[:, np.newaxis]
    before = frames // step
    # In decibels: a bed that comes or goes does so evenly to the ear.
    logs = np.log(levels)
    between = (1 - share) * logs[before] + share * logs[before + 1]
    return np.asarray(np.exp(between), np.float32)


@cache
def _triangles() -> Floats:
    """Return the weights of the bands, shape (bins, BANDS)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in RANGE_HZ)
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.arange(int(RANGE_HZ[1] / RATE_HZ * FRAME) + 2) * RATE_HZ / FRAME
    rising = (bins[:, np.newaxis] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, np.newaxis]) / (edges[2:] - edges[1:-1])
    weights = np.clip(np.minimum(rising, falling), 0.0, None)
    return np.asarray(weights, np.float32)
