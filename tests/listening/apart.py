"""Telling sounds apart: who hears one of a theme's sounds, does he know which?

The listener is a crude one: he was taught by the shipped variants and takes the
nearest of them. He is asked about forms that he has not heard: those of other seeds;
of recordings, of which there are no others, each form with the others for teachers.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening.hearing import Hearing, heard
from listening.table import Line, at_least, at_most
from msgspec.structs import replace

from peep.sound.samples import make_samples
from peep.theme import RATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listening.rendering import Made
    from numpy.typing import NDArray

STRANGER_SEEDS = 21  # times three or four variants: one is a hundredth or two
CONDITIONS: Mapping[str, Hearing] = {
    "clean": Hearing(),
    "below 4 kHz": Hearing(high_hz=4000.0),
    "mono": Hearing(rates=(RATES[0], 0.97, 1.0, 1.03, RATES[1])),
    "small speaker": Hearing(low_hz=250.0, high_hz=7000.0),
    "room of 55 dBA": Hearing(room=True),
}


class Form(NamedTuple):
    """A form of a sound; `known` is its variant's number if it was taught, else -1."""

    sound: str
    known: int
    array: NDArray[np.floating]


def lines(it: Made) -> list[Line]:
    """Return, for each condition, how many are known, and the worst pair."""
    asked = strangers(it)
    found = []
    for name, how in CONDITIONS.items():
        pairs = confusions(it, asked, how)
        right, wrong, pair = judged(pairs)
        found += [
            at_least(f"told apart, {name}: right", right, 0.95),
            at_most(f"told apart, {name}: worst pair", wrong, 0.05, pair),
        ]
    return found


def strangers(it: Made) -> list[Form]:
    """Return forms to ask about: recipes' of other seeds, and all recordings."""
    recipes = {name: it for name, it in it.theme.sounds.items() if it.recipe}
    found = [
        Form(name, number, array)
        for (name, number), array in it.samples.arrays.items()
        if name not in recipes
    ]
    for seed in range(1, STRANGER_SEEDS + 1):
        other = replace(it.theme, seed=(it.theme.seed + seed) % 2**32, sounds=recipes)
        arrays = make_samples(other, it.directory).arrays
        found += [Form(name, -1, array) for (name, _), array in arrays.items()]
    return found


def confusions(it: Made, asked: list[Form], how: Hearing) -> Counter[tuple[str, str]]:
    """Return how often which sound was taken for which."""
    rng = np.random.default_rng(1)
    keys = list(it.samples.arrays)
    # In each place that there is, so that a shade of pitch is none of another sound.
    taught = np.array(
        [
            [heard(played(array, rate), how, rng) for rate in how.rates]
            for array in it.samples.arrays.values()
        ]
    )
    pairs: Counter[tuple[str, str]] = Counter()
    for n, form in enumerate(asked):
        rate = how.rates[n % len(how.rates)]
        this = heard(played(form.array, rate), how, rng)
        far = np.sum((taught - this) ** 2, axis=2).min(axis=1)
        if form.known >= 0:
            far[keys.index((form.sound, form.known))] = np.inf
        pairs[form.sound, keys[int(far.argmin())][0]] += 1
    return pairs


def judged(pairs: Counter[tuple[str, str]]) -> tuple[float, float, str]:
    """Return the share that was right, the share of the worst pair, and which."""
    asked: Counter[str] = Counter()
    for (said, _), count in pairs.items():
        asked[said] += count
    right = sum(count for (said, was), count in pairs.items() if said == was)
    wrong = [
        (count / asked[said], f"{said} taken for {was}")
        for (said, was), count in pairs.items()
        if said != was
    ]
    share, pair = max(wrong, default=(0.0, ""))
    return right / max(1, asked.total()), share, pair


def played(array: NDArray[np.floating], rate: float) -> NDArray[np.floating]:
    """Return a sound played faster or slower, as a voice would."""
    if rate == 1.0:
        return array
    at = np.arange(0.0, len(array) - 1, rate)
    return np.interp(at, np.arange(len(array)), array)
