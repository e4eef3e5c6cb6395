"""How the listener hears: through what, in what noise, and what it makes of it.

Theory
------
*Features.* Power by mel band and 40 ms, in dB. What matters is the shape, so they are
taken under their loudest, down to -40 dB. 24 bands, even on the mel scale, from 80 to
8,000 Hz.

*Noise.* The room's noise is like that of rooms (Hoth: it falls by 5 dB an octave). It
hides what is weaker in its band: a listener who knows his room takes each band to be
at least as strong as the noise is there, in what he hears and in what he remembers.
How loud the room is beside Peep is a matter of the volume knob. Here speech at
-23 LUFS is as loud as speech is, 62 dBA, so that 0 dBFS (A-weighted, of a sine: -3 dB)
stands for 85 dBA; the calm mix of -30 LUFS is then as loud as the room of 55 dBA.

*Small speaker.* Below 250 Hz it loses 24 dB an octave, above 7 kHz all.

*Mono.* Without left and right a place is told by a shade of pitch only; a sound must
be itself in each.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import signal

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME = RATE_HZ // 25
BANDS = 24
LENGTH = RATE_HZ  # of what is compared: a second
DEPTH_DB = 40.0
ROOM_DBA = 55.0
FULL_SCALE_DBA = 85.0
HOTH_DB_OCTAVE = -5.0
# Above 4 kHz nothing shall be left; a small speaker is not as sharp.
ORDERS = {"low": 12, "high": 4}


class Hearing(NamedTuple):
    """Under which conditions: between which frequencies, and in a room or not."""

    low_hz: float = 0.0
    high_hz: float = 0.0  # 0: no limit
    room: bool = False
    rates: tuple[float, ...] = (1.0,)  # how fast sounds may be played


def heard(
    array: NDArray[np.floating], how: Hearing, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return what a mono sound at 48 kHz is to a listener: its features, flat."""
    padded = np.zeros(LENGTH)
    padded[: min(len(array), LENGTH)] = array[:LENGTH]
    if how.high_hz:
        padded = _filtered(padded, "low", how.high_hz)
    if how.low_hz:
        padded = _filtered(padded, "high", how.low_hz)
    if how.room:
        padded += room_noise(rng, LENGTH)
    powers = mel_powers(padded)
    if how.room:
        powers = np.maximum(powers, _room_powers()[:, np.newaxis])
    levels = 10 * np.log10(powers + 1e-12)
    return np.maximum(levels - levels.max(), -DEPTH_DB).ravel()


def room_noise(rng: np.random.Generator, length: int) -> NDArray[np.float64]:
    """Return so many frames of the noise of a room of 55 dBA, mono."""
    frequency = np.fft.rfftfreq(length, 1 / RATE_HZ)
    inside = np.maximum(frequency, 20.0)
    tilt = 10 ** (HOTH_DB_OCTAVE * np.log2(inside / 1000.0) / 20)
    tilt[frequency > 8000] = 0.0
    spectrum = np.fft.rfft(rng.standard_normal(length)) * tilt
    weighted = np.fft.irfft(spectrum * _a_weights(inside), length)
    # A sine of full scale has a power of one half.
    loud = 10 * np.log10(2 * np.mean(weighted**2))
    gain_db = ROOM_DBA - FULL_SCALE_DBA - loud
    return np.fft.irfft(spectrum, length) * 10 ** (gain_db / 20)


def mel_powers(mono: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the power of a sound by mel band and 40 ms: (BANDS, frames)."""
    frequency, _, spectra = signal.stft(mono, RATE_HZ, nperseg=FRAME, noverlap=0)
    power = np.abs(spectra) ** 2
    edges = mel_edges()
    return np.array(
        [
            power[(frequency >= low) & (frequency < high)].sum(axis=0)
            for low, high in pairwise(edges)
        ]
    )


@cache
def mel_edges() -> NDArray[np.float64]:
    """Return the edges of the bands in Hz."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (80, 8000))
    return 700 * (10 ** (np.linspace(low, high, BANDS + 1) / 2595) - 1)


@cache
def _room_powers() -> NDArray[np.float64]:
    long = room_noise(np.random.default_rng(0), 30 * RATE_HZ)
    return mel_powers(long).mean(axis=1)


def _filtered(mono: NDArray[np.float64], kind: str, hz: float) -> NDArray[np.float64]:
    sections = signal.butter(ORDERS[kind], hz, kind, fs=RATE_HZ, output="sos")
    return signal.sosfilt(sections, mono)


def _a_weights(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gain of A-weighting (IEC 61672-1), 1 at 1 kHz."""
    square = hz**2
    gain = 12194**2 * square**2 / ((square + 20.6**2) * (square + 12194**2))
    gain /= np.sqrt((square + 107.7**2) * (square + 737.9**2))
    return gain * 10**0.1  # 2.00 dB down at 1 kHz without
