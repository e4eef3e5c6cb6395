"""From a theme to arrays: render or load every one-shot, tidy it, set its level.

Theory
------
*Same seed, same bytes.* A variant's generator is seeded from the theme's seed, the
sound's name and the variant's number through BLAKE2, so that adding a sound to a
theme changes no other.

*Tidy.* DC and what lies below 20 Hz goes; the sound is cut where it rises above and
falls below -60 dB of its peak, plus 5 ms on either side, which fade in and out by a
raised cosine. So it starts 5 ms after it is triggered, whatever silence its file had.

*Level.* A sound's loudest 400 ms (BS.1770, as one channel: what a pan of equal power
gives in the room) are set to its class. The classes stand around a bed of -36 LUFS:
routine sounds 15 LU above it, alerts 20; the pulse is felt rather than heard. A sound
so peaky that its true peak would pass -3 dBTP stays below its class instead; the
SoundBank says what it came to.

Not handled: sounds in stereo (they are made mono, the pan is the mixer's), loops.
"""

import difflib
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from peep.errors import EngineError
from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.levels import momentary_max_lufs, true_peak_dbtp
from peep.sound.recordings import RecordingError, mono, read_recording
from peep.sound.synthesis import PARAMS, RECIPES
from peep.sound.synthesis.tools import Floats, fast_size, swell
from peep.theme import SoundBank, SoundSpec, Theme, Variant

Samples32 = npt.NDArray[np.float32]

LEVELS_LUFS = {"routine": -21.0, "notable": -18.5, "alert": -16.0, "pulse": -29.0}
TRUE_PEAK_DBTP = -3.0
MAX_VARIANTS = 16  # more are not told apart, and each takes memory and start-up time

_EDGE_S = 0.005
_EDGE_SHARE = 10.0 ** (-60.5 / 20.0)  # of the peak; half a decibel for rounding
_SILENCE_DBFS = -80.0  # a file whose peak is lower holds nothing but its own noise
_RUMBLE_HZ = (20.0, 40.0)  # out below, whole above


class Samples(msgspec.Struct, frozen=True):
    """All one-shots of a theme: (sound, variant) → mono at 48 kHz, and the table."""

    arrays: Mapping[tuple[str, int], Samples32]
    bank: SoundBank


def make_samples(theme: Theme, directory: Path) -> Samples:
    """Make every one-shot of a theme whose files lie in a directory.

    Raises EngineError, one line that names sound, file and mend.
    """
    arrays: dict[tuple[str, int], Samples32] = {}
    variants: dict[str, tuple[Variant, ...]] = {}
    for name, spec in theme.sounds.items():
        made = list(make_sound(spec, theme.seed, directory))
        arrays.update({(name, n): array for n, (array, _) in enumerate(made)})
        variants[name] = tuple(variant for _, variant in made)
    return Samples(arrays, SoundBank(variants))


def make_sound(
    spec: SoundSpec, seed: int, directory: Path
) -> Iterator[tuple[Samples32, Variant]]:
    """Give each variant of a sound, and what it came to; seed is the theme's.

    Raises EngineError, one line that names sound, file and mend.
    """
    for number, raw in enumerate(_raw(spec, seed, directory)):
        tidy = _tidied(raw)
        if tidy is None:
            origin = spec.files[number] if spec.files else f"variant {number}"
            raise EngineError(f"sound {spec.name}: {origin}: is silent; replace it")
        levelled, loudness_lufs = _levelled(spec, tidy)
        yield levelled, Variant(len(levelled) / SAMPLE_RATE_HZ, loudness_lufs)


def variant_seed(theme_seed: int, sound: str, variant: int) -> int:
    """Return the seed of one variant's generator: the same in every process."""
    text = f"{theme_seed}/{sound}/{variant}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _raw(spec: SoundSpec, seed: int, directory: Path) -> Iterator[Floats]:
    """Give the variants of a sound as they come, before tidying."""
    name = spec.name
    if bool(spec.recipe) == bool(spec.files):
        raise EngineError(f"sound {name}: needs either a recipe or files")
    if spec.level not in LEVELS_LUFS:
        raise EngineError(_unknown(name, "level", spec.level, LEVELS_LUFS))
    for file in spec.files:
        yield _load(name, directory / file)
    if not spec.recipe:
        return
    _check_recipe(name, spec)
    for number in range(spec.variants):
        rng = np.random.default_rng(variant_seed(seed, name, number))
        yield RECIPES[spec.recipe](rng, spec.params)


def _check_recipe(name: str, spec: SoundSpec) -> None:
    if spec.recipe not in RECIPES:
        raise EngineError(_unknown(name, "recipe", spec.recipe, RECIPES))
    if not 1 <= spec.variants <= MAX_VARIANTS:
        raise EngineError(
            f"sound {name}: variants: {spec.variants}, must be 1 … {MAX_VARIANTS}"
        )
    known = PARAMS[spec.recipe]
    for param, value in spec.params.items():
        if param not in known:
            raise EngineError(_unknown(name, "parameter", param, known))
        low, high = known[param].low, known[param].high
        if not low <= value <= high:
            raise EngineError(
                f"sound {name}: {param}: {value:g}, must be {low:g} … {high:g}"
            )


def _unknown(name: str, what: str, given: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, and which one was perhaps meant."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return f"sound {name}: no {what} is called {given!r}; {hint}"


def _load(name: str, path: Path) -> Floats:
    """Read a file as mono at 48 kHz, its ends softened."""
    try:
        sounding = mono(read_recording(path))
    except RecordingError as error:
        raise EngineError(f"sound {name}: {path}: {error}") from error
    # A recording may begin or end in the middle of a wave: a click.
    return sounding * swell(len(sounding), 0.002, 0.01)


def _levelled(spec: SoundSpec, tidy: Samples32) -> tuple[Samples32, float]:
    """Bring a sound to its class; return it and its loudness."""
    loudness_lufs = momentary_max_lufs(tidy)
    wanted_db = LEVELS_LUFS[spec.level] - loudness_lufs
    gain_db = min(wanted_db, TRUE_PEAK_DBTP - true_peak_dbtp(tidy))
    return tidy * np.float32(10.0 ** (gain_db / 20.0)), loudness_lufs + gain_db


def _tidied(raw: Floats) -> Samples32 | None:
    """Take off DC and silence, add soft edges (see *Tidy*); None if nothing is left."""
    edge = round(_EDGE_S * SAMPLE_RATE_HZ)
    clean = _without_rumble(raw)
    peak = float(np.abs(clean).max())
    if peak < 10.0 ** (_SILENCE_DBFS / 20.0):
        return None
    clean /= peak
    loud = np.flatnonzero(np.abs(clean) > _EDGE_SHARE)
    first, last = int(loud[0]), int(loud[-1])
    padded = np.pad(clean, edge)
    cut = padded[first : last + 1 + 2 * edge]
    cut *= swell(len(cut), _EDGE_S, _EDGE_S)
    # Cutting may leave a little DC; a hump too slow to hear takes it off.
    hump = np.pad(np.hanning(last - first + 3)[1:-1], edge)
    return np.asarray(cut - hump * (cut.sum() / hump.sum()), np.float32)


def _without_rumble(raw: Floats) -> Floats:
    # Padded, since what the FFT takes off at one end it would add at the other.
    size = fast_size(len(raw) + SAMPLE_RATE_HZ // 10)
    spectrum = np.fft.rfft(raw, size)
    low, high = _RUMBLE_HZ
    share = np.clip(
        (np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE_HZ) - low) / (high - low), 0, 1
    )
    spectrum *= 0.5 - 0.5 * np.cos(math.pi * share)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(raw)], np.float64)
