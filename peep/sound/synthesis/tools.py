"""What all recipes are made of: time, tones, bands of noise, swells, a place.

Everything is mono at 48 kHz. Tones are in float64 (a phase is a long sum) and leave
as they are; `samples` makes float32 of them, takes off DC and edges, and sets the
level, so a recipe may be as loud as it likes.

*Place.* Outdoors a sound comes with a few reflections within 60 ms (ground, water,
trunks), each duller than the sound, and a thin tail of scattering from leaves and
reeds. It is the same place for every sound, which is what makes them sound as one
scene: one impulse response, convolved by FFT.
"""

import functools
import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from peep.sound.engine import SAMPLE_RATE_HZ

Floats = npt.NDArray[np.float64]

_PLACE_SEED = 1976  # any number: it only fixes which place it is
_PLACE_S = 0.3
_PLACE_DECAY_S = 0.32  # to -60 dB; longer blurs the pauses that tell calls apart
_REFLECTIONS = 7
_MODE_DECAYS = 9.0  # e to the -9 is -78 dB: nothing is cut that could be heard
_REFLECTIONS_S = (0.008, 0.06)


class Param(msgspec.Struct, frozen=True):
    """What a theme may set of a recipe, and within which bounds."""

    default: float
    low: float
    high: float


Params = Mapping[str, Param]


def filled(params: Mapping[str, float], known: Params) -> dict[str, float]:
    """Return every known parameter, by its default where the theme says nothing."""
    return {name: params.get(name, param.default) for name, param in known.items()}


def frames(duration_s: float) -> int:
    """Return how many samples that is."""
    return round(duration_s * SAMPLE_RATE_HZ)


def times(duration_s: float) -> Floats:
    """Return the time of each sample, in seconds."""
    return np.arange(frames(duration_s)) / SAMPLE_RATE_HZ


def tone(pitch_hz: Floats, phase: float = 0.0) -> Floats:
    """Return a sine that follows a pitch given for each sample."""
    return np.sin(2.0 * math.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ + phase)


def glide(duration_s: float, points: Sequence[tuple[float, float]]) -> Floats:
    """Return a curve through (share of the duration, value), bent smoothly."""
    where, values = zip(*points, strict=True)
    share = np.linspace(0.0, 1.0, frames(duration_s))
    index = np.clip(np.searchsorted(where, share, side="right") - 1, 0, len(where) - 2)
    start, end = np.take(where, index), np.take(where, index + 1)
    within = (share - start) / (end - start)
    bend = 0.5 - 0.5 * np.cos(math.pi * within)
    low, high = np.take(values, index), np.take(values, index + 1)
    return np.asarray(low + (high - low) * bend, np.float64)


def drift(rng: np.random.Generator, length: int, rate_hz: float) -> Floats:
    """Return a smooth random curve of about unit spread that turns at a rate."""
    knots = max(2, math.ceil(length / SAMPLE_RATE_HZ * rate_hz) + 2)
    here = np.linspace(0.0, knots - 1.0, length)
    return np.interp(here, np.arange(knots), rng.standard_normal(knots))


def swell(length: int, rise_s: float, fall_s: float) -> Floats:
    """Return an envelope: up by a raised cosine, flat, down by another."""
    envelope = np.ones(length)
    rise, fall = min(frames(rise_s), length), min(frames(fall_s), length)
    envelope[:rise] *= _ramp(rise)
    envelope[length - fall :] *= _ramp(fall)[::-1]
    return envelope


def strike(length: int, rise_s: float, decay_s: float) -> Floats:
    """Return an envelope: a quick raised cosine, then e to the -t/decay."""
    time = np.arange(length) / SAMPLE_RATE_HZ
    envelope = np.exp(-time / decay_s)
    rise = min(frames(rise_s), length)
    envelope[:rise] *= _ramp(rise)
    return envelope


def modes(
    time: Floats,
    partials: Sequence[tuple[float, float, float]],
    rng: np.random.Generator,
) -> Floats:
    """Return a struck body: the sum of (frequency_hz, level, decay_s), from time 0."""
    sounding = np.zeros_like(time)
    for frequency_hz, level, decay_s in partials:
        # A blow gives speed, not displacement: each mode starts near zero.
        phase = rng.uniform(-0.4, 0.4)
        heard = time[: frames(_MODE_DECAYS * decay_s)]
        sounding[: len(heard)] += (
            level
            * np.exp(-heard / decay_s)
            * np.sin(2.0 * math.pi * frequency_hz * heard + phase)
        )
    return sounding


def noise(
    rng: np.random.Generator, length: int, low_hz: float, high_hz: float
) -> Floats:
    """Return noise of unit power in a band whose edges fall off over half an octave."""
    size = fast_size(length)
    frequency = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE_HZ)
    with np.errstate(divide="ignore"):
        octaves = np.log2(frequency)
    below = np.clip((math.log2(low_hz) - octaves) / 0.5, 0.0, 1.0)
    above = np.clip((octaves - math.log2(high_hz)) / 0.5, 0.0, 1.0)
    shape = np.cos(0.5 * math.pi * below) * np.cos(0.5 * math.pi * above)
    spectrum = np.fft.rfft(rng.standard_normal(size)) * shape
    sounding = np.fft.irfft(spectrum, size)[:length]
    return np.asarray(sounding / math.sqrt(float(np.mean(sounding**2))), np.float64)


def hiss(
    rng: np.random.Generator,
    length: int,
    centre_hz: float,
    *,
    below_db: float,
    above_db: float,
) -> Floats:
    """Return noise of unit power that falls off from a centre, by so much an octave.

    Nothing outdoors has edges: what is far is dull, not cut off.
    """
    size = fast_size(length)
    frequency = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(frequency, 1.0) / centre_hz)
    away = np.sqrt(octaves**2 + 0.25) - 0.5  # round at the top
    fallen_db = away * np.where(octaves < 0.0, below_db, above_db)
    spectrum = np.fft.rfft(rng.standard_normal(size)) * 10.0 ** (-fallen_db / 20.0)
    sounding = np.fft.irfft(spectrum, size)[:length]
    return np.asarray(sounding / math.sqrt(float(np.mean(sounding**2))), np.float64)


def together(parts: Sequence[tuple[float, Floats]]) -> Floats:
    """Return the sum of sounds, each begun at its own second."""
    starts = [frames(onset_s) for onset_s, _ in parts]
    length = max(
        start + len(part) for start, (_, part) in zip(starts, parts, strict=True)
    )
    summed = np.zeros(length)
    for start, (_, part) in zip(starts, parts, strict=True):
        summed[start : start + len(part)] += part
    return summed


def outdoors(dry: Floats, wet_db: float) -> Floats:
    """Return a sound in its place: see *Place*. The reflections lie at `wet_db`."""
    length = len(dry) + frames(_PLACE_S)
    size = fast_size(length)
    spectrum = np.fft.rfft(dry, size)
    wet = np.fft.irfft(spectrum * _place(size), size)[:length]
    wet *= 10.0 ** (wet_db / 20.0)
    wet[: len(dry)] += dry
    return np.asarray(wet, np.float64)


def fast_size(length: int) -> int:
    """Return a length at or above this one that the FFT takes quickly."""
    power = 1 << max(0, length - 1).bit_length()
    return min(
        size for size in (power, power * 5 // 8, power * 3 // 4) if size >= length
    )


@functools.lru_cache(maxsize=8)  # a handful of sizes serves a whole theme
def _place(size: int) -> npt.NDArray[np.complex128]:
    """Return the spectrum of the place's reflections, of unit power in all."""
    rng = np.random.default_rng(_PLACE_SEED)
    time = times(_PLACE_S)
    tail = rng.standard_normal(len(time)) * 10.0 ** (-3.0 * time / _PLACE_DECAY_S)
    tail[: frames(_REFLECTIONS_S[0])] = 0.0
    tail *= math.sqrt(0.4 / float(np.sum(tail**2)))
    delays_s = np.geomspace(*_REFLECTIONS_S, _REFLECTIONS)
    levels = 0.007 / delays_s * rng.choice((-1.0, 1.0), _REFLECTIONS)
    early = np.zeros_like(time)
    early[(delays_s * SAMPLE_RATE_HZ).astype(int)] = levels
    early *= math.sqrt(0.6 / float(np.sum(early**2)))
    # Leaves and ground swallow the highs: -3 dB at 2.5 kHz.
    dull = 1.0 / (1.0 + (np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE_HZ) / 2500.0) ** 2)
    # The ends fade, since a cut tail would be heard as one.
    faded = (tail + early) * swell(len(time), 0.0, 0.05)
    return np.asarray(np.fft.rfft(faded, size) * np.sqrt(dull), np.complex128)


def _ramp(length: int) -> Floats:
    return 0.5 - 0.5 * np.cos(math.pi * (np.arange(length) + 0.5) / max(length, 1))
