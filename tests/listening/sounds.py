"""Each sound of a theme by itself, measured.

The sounds are given as the engine would play them, so that a theme of any make can be
judged: from recipes, from files, or with a fault that a test planted.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pyloudnorm
from listening import apart, standing
from listening.rendering import made
from listening.table import Line, at_least, at_most, yes
from scipy import signal

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.samples import LEVELS_LUFS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from listening.rendering import Made
    from numpy.typing import NDArray

    Mono = NDArray[np.floating]

EDGE = RATE_HZ * 5 // 1000
WINDOW = RATE_HZ * 2 // 5  # of momentary loudness
ONSET_STEP = RATE_HZ // 50
FLAT_RUN = 4  # samples: at 40 Hz, the lowest there is, a crest has but two alike
FLAT = 1e-5  # of the peak
LICENCES = ("MIT", "CC0", "public domain", "CC BY", "CC-BY", "BSD", "Apache")


def report(name: str) -> list[Line]:
    """Return the lines about the sounds of a theme, by its name or path."""
    it = made(name)
    return [*alone(it), *apart.lines(it), *standing.lines(it, standing.under(it))]


def alone(it: Made) -> list[Line]:
    """Return the lines for which each sound is looked at by itself."""
    routine = [n for n, spec in it.theme.sounds.items() if spec.level == "routine"]
    every = list(it.theme.sounds)

    def off_class(name: str, array: Mono) -> float:
        wanted = LEVELS_LUFS[it.theme.sounds[name].level]
        return abs(loudest_lufs(array) - wanted)

    def worst(
        measure: Callable[[str, Mono], float], names: Iterable[str]
    ) -> tuple[float, str]:
        found = [
            (measure(name, array), f"{name}, variant {number}")
            for name in names
            for number, array in enumerate(variants(it, name))
        ]
        return max(found, default=(0.0, "there is none"))

    return [
        at_most("loudness off its class, LU", *_with(worst(off_class, every), 1.0)),
        at_most(
            "true peak, dBTP",
            *_with(worst(lambda _, array: true_peak_dbtp(array), every), -3.0),
        ),
        at_most(
            "samples in a row alike at the top",
            *_with(worst(lambda _, array: flat_run(array), every), FLAT_RUN - 1),
        ),
        at_most(
            "first and last 5 ms under the peak, dB",
            *_with(worst(lambda _, array: edge_db(array), every), -60.0),
        ),
        at_most(
            "DC beside the peak",
            *_with(
                worst(lambda _, array: abs(array.mean()) / np.abs(array).max(), every),
                1e-5,
            ),
        ),
        at_most(
            "routine: last onset, s",
            *_with(worst(lambda _, array: last_onset_s(array), routine), 0.5),
        ),
        at_most(
            "routine: length, s",
            *_with(worst(lambda _, array: len(array) / RATE_HZ, routine), 1.2),
        ),
        at_most(
            "energy above 4 kHz, share",
            *_with(worst(lambda _, array: above(array, 4000.0), every), 0.05),
        ),
        *_forms(it),
        _credits(it.directory, [*it.theme.sounds, *it.theme.layers]),
    ]


def variants(it: Made, name: str) -> list[Mono]:
    """Return all forms of a sound."""
    count = len(it.samples.bank.variants[name])
    return [it.samples.arrays[name, number] for number in range(count)]


# ---- measures of one array, mono at 48 kHz -----------------------------------------


def loudest_lufs(array: Mono) -> float:
    """Return the loudness of the loudest 400 ms (BS.1770), as one channel."""
    weighted = np.pad(array, WINDOW).astype(float)
    for part in pyloudnorm.Meter(RATE_HZ, filter_class="DeMan")._filters.values():
        weighted = part.apply_filter(weighted)
    so_far = np.concatenate(([0.0], np.cumsum(weighted**2)))
    power = np.max(so_far[WINDOW:] - so_far[:-WINDOW]) / WINDOW
    return float(-0.691 + 10 * np.log10(max(power, 1e-20)))


def true_peak_dbtp(array: Mono) -> float:
    """Return the highest level between samples, 4 times oversampled."""
    fine = signal.resample_poly(np.asarray(array, float), 4, 1, axis=0)
    return float(20 * np.log10(max(np.abs(fine).max(initial=0.0), 1e-10)))


def flat_run(array: Mono) -> int:
    """Return how many samples in a row are alike, at half the peak or more.

    More than three are a crest that was cut off. Shape (n,).
    """
    peak = np.abs(array).max(initial=1e-10)
    alike = np.abs(np.diff(np.asarray(array, float))) <= FLAT * peak
    alike &= np.abs(array[1:]) >= 0.5 * peak
    if not alike.any():
        return 1
    edges = np.flatnonzero(np.diff(np.concatenate(([0], alike.astype(int), [0]))))
    return 1 + int((edges[1::2] - edges[::2]).max())


def edge_db(array: Mono) -> float:
    """Return how loud the louder end is (5 ms), under the peak."""
    level = np.abs(array)
    edge = max(level[:EDGE].max(), level[-EDGE:].max())
    return float(20 * np.log10(max(edge / level.max(), 1e-10)))


def last_onset_s(array: Mono) -> float:
    """Return when the sound last became twice as loud within 20 ms.

    What is 20 dB under the loudest is no onset to an ear.
    """
    whole = array[: len(array) // ONSET_STEP * ONSET_STEP]
    level = np.sqrt(np.mean(whole.reshape(-1, ONSET_STEP) ** 2, axis=1))
    onsets = (level[1:] > 2 * level[:-1]) & (level[1:] > 0.1 * level.max())
    return float(np.flatnonzero(onsets).max(initial=0) * ONSET_STEP / RATE_HZ)


def above(array: Mono, hz: float) -> float:
    """Return the share of a sound's power that lies above a frequency."""
    power = np.abs(np.fft.rfft(array)) ** 2
    frequency = np.fft.rfftfreq(len(array), 1 / RATE_HZ)
    return float(power[frequency > hz].sum() / power.sum())


def centroid_hz(array: Mono) -> float:
    """Return the middle of a sound's power over frequency."""
    power = np.abs(np.fft.rfft(array)) ** 2
    frequency = np.fft.rfftfreq(len(array), 1 / RATE_HZ)
    return float((frequency * power).sum() / power.sum())


def likeness(one: Mono, two: Mono) -> float:
    """Return how like two forms are when they begin together, 0 … 1."""
    length = min(len(one), len(two))
    return float(abs(np.corrcoef(one[:length], two[:length])[0, 1]))


# ---- measures of several -----------------------------------------------------------


def _forms(it: Made) -> list[Line]:
    fewest = min(
        ((len(variants(it, name)), name) for name in it.theme.sounds),
        default=(0, "there is none"),
    )
    likest, widest = (0.0, ""), (1.0, "")
    for name in it.theme.sounds:
        arrays = variants(it, name)
        centroids = [centroid_hz(array) for array in arrays]
        widest = max(widest, (max(centroids) / min(centroids), name))
        for one, two in combinations(arrays, 2):
            likest = max(likest, (likeness(one, two), name))
    return [
        at_least("variants of each sound", *_with(fewest, 3)),
        at_most("variants alike, r", *_with(likest, 0.9)),
        at_most("variants apart in pitch, ratio", *_with(widest, 1.25)),
    ]


def _credits(directory: Path, names: Iterable[str]) -> Line:
    path = directory / "CREDITS.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    missing = [name for name in names if name not in text]
    if not any(licence in text for licence in LICENCES):
        missing.append("a licence")
    note = f"missing: {', '.join(missing)}" if missing else ""
    return yes("credits name all, and a licence", met=not missing, note=note)


def _with(found: tuple[float, str], limit: float) -> tuple[float, float, str]:
    return found[0], limit, found[1]
