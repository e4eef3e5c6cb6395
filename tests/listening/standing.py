"""How far each sound stands out of the bed of its own theme.

The bed is rendered, with states that wander as in calm minutes. An instance is a form
of a sound at a moment: its loudest 200 ms, in the octave in which it stands out most,
over what the bed has there at that moment. Powers are summed over both channels: a pan
of equal power leaves that as it is. The bed is not lowered, as it is for alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from listening.rendering import render
from listening.script import CALM, bed
from listening.table import Line, at_least
from scipy import signal

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ

if TYPE_CHECKING:
    from listening.rendering import Made
    from numpy.typing import NDArray

OCTAVES_HZ = ((200, 400), (400, 800), (800, 1600), (1600, 3200), (2500, 5000))
WINDOW = RATE_HZ // 5
BED_S = 60.0
SETTLED_S = 5  # states fade in
TARGETS_DB = {"routine": 15.0, "notable": 15.0, "alert": 20.0}  # the pulse is felt


def under(it: Made) -> NDArray[np.float64]:
    """Render a theme's bed; return its level by octave and moment."""
    return by_moment(render(it, bed(CALM, BED_S), BED_S, bed=True).bed)


def lines(it: Made, bed_db: NDArray[np.float64]) -> list[Line]:
    """Return, for each level of sounds, what 95 % of the instances stand out by."""
    over: dict[str, list[NDArray[np.float64]]] = {name: [] for name in it.theme.sounds}
    for (name, _), array in it.samples.arrays.items():
        over[name].append(np.max(octaves_db(array)[:, np.newaxis] - bed_db, axis=0))
    gains = _gains_db(it)
    found = []
    for level, target in TARGETS_DB.items():
        names = [n for n, spec in it.theme.sounds.items() if spec.level == level]
        if not names:
            continue
        least = min(
            (float(np.quantile(over[name], 0.05)) + gains.get(name, 0.0), name)
            for name in names
        )
        measure = f"{level} over the bed, best octave, 95 % of instances, dB"
        found.append(at_least(measure, least[0], target, least[1]))
    return found


def by_moment(sound: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the level of a bed, shape (n, 2), by octave and 200 ms."""
    settled = sound[SETTLED_S * RATE_HZ :]
    powers = np.array(
        [np.sum(_octave(settled, octave) ** 2, axis=1) for octave in OCTAVES_HZ]
    )
    whole = powers.shape[1] // WINDOW * WINDOW
    moments = powers[:, :whole].reshape(len(OCTAVES_HZ), -1, WINDOW).mean(axis=2)
    return 10 * np.log10(moments + 1e-12)


def octaves_db(array: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the level of a sound's loudest 200 ms in each octave."""
    padded = np.pad(array, WINDOW).astype(float)
    found = []
    for octave in OCTAVES_HZ:
        so_far = np.concatenate(([0.0], np.cumsum(_octave(padded, octave) ** 2)))
        found.append(np.max(so_far[WINDOW:] - so_far[:-WINDOW]) / WINDOW)
    return 10 * np.log10(np.array(found) + 1e-12)


def _gains_db(it: Made) -> dict[str, float]:
    """Return the lowest gain that the theme gives each sound as an event."""
    found: dict[str, float] = {}
    tables = (it.theme.events, it.theme.alerts, it.theme.endings, it.theme.families)
    for table in tables:
        for voicing in table.values():
            least = min(voicing.gain_db, found.get(voicing.sound, voicing.gain_db))
            found[voicing.sound] = least
    return found


def _octave(
    sound: NDArray[np.floating], octave: tuple[int, int]
) -> NDArray[np.float64]:
    sections = signal.butter(4, octave, "band", fs=RATE_HZ, output="sos")
    return signal.sosfilt(sections, sound, axis=0)
