"""Rows of short natural noises that the layers scatter: bubbles, drops, leaves, calls.

A layer never plays a recording. It throws single grains, each picked at random from a
row of many, at a random moment, place and pitch, and so never repeats.

Theory of a bubble (Minnaert's resonance and its damping, as van den Doel uses them for
liquid sounds): one of radius r metres rings at about 3/r Hz and decays at
0.13/r + 0.0072 r^-1.5 a second; it rises in pitch as it nears the surface.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.synthesis.frogs import frog
from peep.sound.synthesis.glass import goblet
from peep.sound.synthesis.insects import cricket
from peep.sound.synthesis.tools import Floats

_LARGEST_M = 4.0e-3
_RMS = 0.1

# What rain falls on: share of the drops, lowest pitch in Hz, octaves, decay in s.
_SURFACES = (
    (0.3, 700.0, 1.6, 0.004),  # wet ground
    (0.6, 2200.0, 1.5, 0.0018),  # leaves
    (0.1, 900.0, 1.2, 0.008),  # a puddle, which rings and rises
)


class Grains(NamedTuple):
    """Grains of `frames` samples each, one after another in one array."""

    array: NDArray[np.float32]
    frames: int

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.array) // self.frames


def bubbles(rng: np.random.Generator) -> Grains:
    """Return ringing bubbles of a brook."""
    return _row(_bubble, 192, 2048, rng)


def rustles(rng: np.random.Generator) -> Grains:
    """Return touches of leaves."""
    return _row(_rustle, 128, 2048, rng)


def drops(rng: np.random.Generator) -> Grains:
    """Return drops of rain that fall on ground, leaves and puddles."""
    return _row(_drop, 256, 1024, rng)


def chirps(rng: np.random.Generator, count: int, params: Mapping[str, float]) -> Grains:
    """Return chirps of one cricket, or of several where it is given no pitch."""

    def chirp(t_s: Floats, rng: np.random.Generator) -> Floats:
        own = {
            "pitch_hz": 2900 * rng.uniform(0.9, 1.12),
            "pulses": float(rng.integers(4, 8)),
        }
        return _fitted(cricket(rng, {**own, **params}), len(t_s), rng)

    return _row(chirp, count, 14_400, rng)


def croaks(rng: np.random.Generator, count: int, params: Mapping[str, float]) -> Grains:
    """Return croaks of one frog, or of several where it is given no pitch."""

    def croak(t_s: Floats, rng: np.random.Generator) -> Floats:
        own = {
            "pitch_hz": 740 * 2 ** rng.uniform(-0.4, 0.4),
            "pulse_hz": rng.uniform(38, 60),
            "call_s": rng.uniform(0.22, 0.42),
        }
        return _fitted(frog(rng, {**own, **params}), len(t_s), rng)

    return _row(croak, count, 24_000, rng)


def shards(rng: np.random.Generator, notes: Sequence[int]) -> Grains:
    """Return touches of thin glass, each at one of some notes of the glass chord."""

    def shard(t_s: Floats, rng: np.random.Generator) -> Floats:
        # The higher, the sooner it is still: some 200 periods, whatever its size.
        number = float(rng.choice(notes))
        ring_s = {"ring_s": min(0.3, 1.5 / number)}
        return _fitted(goblet(rng, {"note": number, **ring_s}), len(t_s), rng)

    return _row(shard, 64, 24_000, rng)


def waves(rng: np.random.Generator) -> Grains:
    """Return how waves on a beach rise and fall: curves from 0 to some 1, and back."""
    return Grains(
        np.concatenate([_wave(1024, rng) for _ in range(24)]).astype(np.float32), 1024
    )


def _row(
    grain: Callable[[Floats, np.random.Generator], Floats],
    count: int,
    frames: int,
    rng: np.random.Generator,
) -> Grains:
    t_s = np.arange(frames) / SAMPLE_RATE_HZ
    fade = np.ones(frames)
    fade[-frames // 8 :] = np.linspace(1, 0, len(fade[-frames // 8 :]))
    row = np.concatenate([grain(t_s, rng) * fade for _ in range(count)])
    # Each seed has grains of its own, but no seed is louder than another.
    row *= _RMS / math.sqrt(float(np.mean(row**2)))
    return Grains(row.astype(np.float32), frames)


def _fitted(call: Floats, frames: int, rng: np.random.Generator) -> Floats:
    """Return a call cut or filled to a length, at a level near its fellows'."""
    fitted = np.zeros(frames)
    length = min(frames, len(call))
    fitted[:length] = call[:length]
    power = float(np.sum(fitted**2))
    return fitted * (10 ** (rng.uniform(-2.5, 2.5) / 20) / math.sqrt(power))


def _bubble(t_s: Floats, rng: np.random.Generator) -> Floats:
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


def _rustle(t_s: Floats, rng: np.random.Generator) -> Floats:
    centre_hz = 1800 * 2 ** (1.4 * rng.random())
    decay = rng.uniform(120, 420)
    attack = np.minimum(t_s / rng.uniform(0.001, 0.006), 1.0)
    band = _puff(len(t_s), centre_hz, 0.55, rng)
    strength = min(rng.pareto(2.0) + 0.2, 2.0)
    return np.asarray(strength * attack * np.exp(-decay * t_s) * band)


def _drop(t_s: Floats, rng: np.random.Generator) -> Floats:
    shares = [surface[0] for surface in _SURFACES]
    kind = rng.choice(len(_SURFACES), p=shares)
    _, lowest_hz, octaves, decay_s = _SURFACES[kind]
    pitch_hz = lowest_hz * 2 ** (octaves * rng.random())
    decay_s *= rng.uniform(0.6, 1.3)
    splash = _puff(len(t_s), 1.6 * pitch_hz, 0.5, rng) * np.exp(-t_s / (0.5 * decay_s))
    # Only a puddle rings on, and its bubble rises; ground and leaves are mostly splash.
    rises, rings = (14.0, 1.0) if kind == len(_SURFACES) - 1 else (0.0, 0.35)
    phase = 2 * np.pi * pitch_hz * (t_s + rises * t_s**2 / 2)
    ring = rings * np.exp(-t_s / decay_s) * np.sin(phase)
    attack = np.minimum(t_s / 0.0006, 1.0)
    strength = min(rng.pareto(2.0) + 0.25, 2.5)
    return np.asarray(strength * attack * (splash + ring))


def _wave(frames: int, rng: np.random.Generator) -> Floats:
    """One wave: it swells, topples, and runs out up the beach, never quite evenly."""
    share = np.linspace(0.0, 1.0, frames)
    breaks = rng.uniform(0.24, 0.34)
    before = np.clip(share / breaks, 0.0, 1.0)
    after = np.maximum(share - breaks, 0.0)
    curve = (0.2 * before**2 + 0.8 * before**7) * np.exp(
        -after / rng.uniform(0.1, 0.17)
    )
    # It does not break along its whole length at once.
    knots = rng.uniform(0.55, 1.0, 18)
    unevenness = np.interp(share, np.linspace(0, 1, len(knots)), knots)
    curve *= unevenness * (1 - share**4)
    return np.asarray(rng.uniform(0.65, 1.0) * curve / curve.max())


def _puff(
    frames: int, centre_hz: float, octaves_wide: float, rng: np.random.Generator
) -> Floats:
    """Return noise in a band of a Gaussian shape over pitch; its peak is 1."""
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    freqs_hz = np.fft.rfftfreq(frames, 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(freqs_hz, 1.0) / centre_hz)
    spectrum *= np.exp(-((octaves / octaves_wide) ** 2))
    band = np.fft.irfft(spectrum, frames)
    return np.asarray(band / np.abs(band).max())
