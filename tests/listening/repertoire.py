"""What an ear was taught: forms of each sound, as it would have them in its memory.

The ear has not heard the forms that are in the mix: it is taught those of other seeds,
and must know a frog by what frogs have in common. Of recordings there are no others;
those it knows by heart. Each form is taught at the shades of all places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening import spectra
from listening.apart import played
from msgspec.structs import replace

from peep.mixer.place import FIVE
from peep.sound.samples import make_samples

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listening.rendering import Made
    from listening.spectra import Floats
    from numpy.typing import NDArray

SEEDS = (101, 102, 103)  # added to the theme's: far from those that others ask about
RATES = tuple(sorted(zone.rate for zone in FIVE))
DEPTH_DB = 35.0  # under its loudest moment; what is weaker is not remembered
SALIENT_DB = 18.0  # under its loudest cell: what a sound's gain is told by


class Form(NamedTuple):
    """A remembered form of a sound: its powers and levels, shape (frames, BANDS)."""

    sound: str
    power: Floats
    level_db: Floats
    salient: NDArray[np.bool_]


Repertoire = dict[str, list[Form]]


def taught(it: Made) -> Repertoire:
    """Return what an ear is to know of a theme."""
    recipes = {name: spec for name, spec in it.theme.sounds.items() if spec.recipe}
    arrays = [
        (name, array)
        for (name, _), array in it.samples.arrays.items()
        if name not in recipes
    ]
    for seed in SEEDS:
        other = replace(it.theme, seed=(it.theme.seed + seed) % 2**32, sounds=recipes)
        made = make_samples(other, it.directory).arrays
        arrays += [(name, array) for (name, _), array in made.items()]
    return learned(arrays)


def learned(
    arrays: Iterable[tuple[str, NDArray[np.floating]]],
    rates: Iterable[float] = RATES,
) -> Repertoire:
    """Return forms of sounds, each in all shades; arrays are mono at 48 kHz."""
    rates = tuple(rates)
    found: Repertoire = {}
    for sound, array in arrays:
        forms = found.setdefault(sound, [])
        forms += [_form(sound, played(array, rate)) for rate in rates]
    return found


def _form(sound: str, array: NDArray[np.floating]) -> Form:
    power = spectra.powers(np.pad(array, (0, spectra.FRAME)))
    level_db = 10 * np.log10(power)
    top = level_db.max()
    last = int(np.flatnonzero(level_db.max(axis=1) > top - DEPTH_DB)[-1]) + 1
    power, level_db = power[:last], level_db[:last]
    return Form(sound, power, level_db, level_db > top - SALIENT_DB)
