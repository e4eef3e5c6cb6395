"""Tables of short natural noises that the layers scatter: bubbles and rustling leaves.

A layer never plays a recording. It throws single grains, each picked at random from a
table of some hundred, at a random moment, place and pitch, and so never repeats.

Theory of a bubble (Minnaert's resonance and its damping, as van den Doel uses them for
liquid sounds): one of radius r metres rings at about 3/r Hz and decays at
0.13/r + 0.0072 r^-1.5 a second; it rises in pitch as it nears the surface.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from peep.sound.engine import SAMPLE_RATE_HZ

BUBBLES = 192
BUBBLE_FRAMES = 3072
RUSTLES = 128
RUSTLE_FRAMES = 2048
_FADE_FRAMES = 64
_LARGEST_M = 4.0e-3
_RMS = 0.1


def bubbles(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return BUBBLES ringing bubbles of BUBBLE_FRAMES each, one after another."""
    return _row(_bubble, BUBBLES, BUBBLE_FRAMES, rng)


def rustles(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return RUSTLES touches of a leaf, of RUSTLE_FRAMES each, one after another."""
    return _row(_rustle, RUSTLES, RUSTLE_FRAMES, rng)


def _row(
    grain: Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]],
    count: int,
    frames: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    t_s = np.arange(frames) / SAMPLE_RATE_HZ
    fade = np.ones(frames)
    fade[-_FADE_FRAMES:] = np.linspace(1, 0, _FADE_FRAMES)
    row = np.concatenate([grain(t_s, rng) * fade for _ in range(count)])
    # Each seed has grains of its own, but no seed is louder than another.
    row *= _RMS / math.sqrt(float(np.mean(row**2)))
    return row.astype(np.float32)


def _bubble(t_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    # Larger ones than some 4 mm sound like a plumber's, not a brook's; folded back
    # rather than cut, or many would ring at one and the same pitch.
    radius_m = 0.8e-3 + 2.2e-3 * rng.gamma(1.5, 0.6)
    if radius_m > _LARGEST_M:
        radius_m = rng.uniform(1.5e-3, _LARGEST_M)
    damping = 0.13 / radius_m + 0.0072 * radius_m**-1.5
    # Few rise far: those are the ones that are heard as single drops.
    rise = damping * 0.1 * rng.random() ** 3
    phase = 2 * np.pi * (3 / radius_m) * (t_s + rise * t_s**2 / 2)
    attack = np.minimum(t_s / 0.0012, 1.0)
    # Loudness: many faint, few strong, capped so that no single one stands out.
    strength = min(rng.pareto(2.2) + 0.25, 2.5) * (radius_m / 2.5e-3) ** 0.3
    return np.asarray(strength * attack * np.exp(-damping * t_s) * np.sin(phase))


def _rustle(t_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    centre_hz = 1800 * 2 ** (1.4 * rng.random())
    decay = rng.uniform(120, 420)
    attack = np.minimum(t_s / rng.uniform(0.001, 0.006), 1.0)
    noise = rng.standard_normal(len(t_s))
    spectrum = np.fft.rfft(noise)
    freqs_hz = np.fft.rfftfreq(len(t_s), 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(freqs_hz, 1.0) / centre_hz)
    spectrum *= np.exp(-((octaves / 0.55) ** 2))
    band = np.fft.irfft(spectrum, len(t_s))
    band /= np.abs(band).max()
    strength = min(rng.pareto(2.0) + 0.2, 2.0)
    return strength * attack * np.exp(-decay * t_s) * band
