"""A listener, and how sure he must be of what he hears.

How sure he is of a sound that was found is its fit times its evidence (search.py). For
each sound there is a least, set on mixes of which he was told the cues: that with which
he makes the fewest mistakes.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening import spectra
from listening.matching import Score, scores, total
from listening.search import LEAST_EVIDENCE, LEAST_FIT, Found, search

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from listening.matching import Onset
    from listening.performance import Performance
    from listening.repertoire import Repertoire
    from numpy.typing import NDArray

SHUFFLES = 20


class Care(NamedTuple):
    """How careful a listener is: what a false one costs in true ones that are missed.

    `caution`: where to stand between what is surely false and surely true, 0…1.
    """

    price: float
    caution: float


CHIRPS = Care(1.0, 0.5)
ALERTS = Care(100.0, 0.85)  # one false alert a day is too many already


class Ear(NamedTuple):
    """A listener: the forms he knows, and how sure he must be of each sound."""

    repertoire: Repertoire
    least: Mapping[str, float]

    def hears(self, sound: NDArray[np.floating]) -> list[Found]:
        """Return the sounds that he is sure of in a mix, in order."""
        found = search(self.repertoire, spectra.powers(sound))
        return [one for one in found if sureness(one) >= self.least.get(one.sound, 0.0)]


def sureness(found: Found) -> float:
    """Return how sure one may be of a sound that was found."""
    return found.fit * found.evidence


def threshold(told: Collection[Score], care: Care) -> float:
    """Return how sure to be of a sound: so that mistakes cost least.

    Within the range that costs as little it lies at `caution`, in decibels.
    """
    true = np.sort([sureness(one) for score in told for one in score.right])
    false = np.array([sureness(one) for score in told for one in score.wrong])
    floor = LEAST_FIT * LEAST_EVIDENCE
    steps = np.unique([floor, *true, *false])
    steps = np.append(steps, 2 * steps[-1])  # surer than of anything
    # To be as sure as a step: what lies below it is let go.
    costs = [(true < step).sum() + care.price * (false >= step).sum() for step in steps]
    first = last = int(np.argmin(costs))
    while last + 1 < len(steps) and costs[last + 1] == costs[first]:
        last += 1
    low = float(steps[first - 1]) if first else floor
    return math.exp(
        (1 - care.caution) * math.log(low) + care.caution * math.log(steps[last])
    )


def passing(nearly: Collection[float]) -> float:
    """Return how many would pass 1 besides, by the tail of those that nearly do.

    Their law is taken for Pareto's, its exponent estimated as Hill did.
    """
    below = [near for near in nearly if near < 1.0]
    if not below:
        return 0.0
    least = min(below)
    # Of few that are alike the exponent would be anything: e is steep enough.
    spread = max(sum(math.log(near / least) for near in below), 1.0)
    return float(len(below) * least ** (len(below) / spread))


def judged(ear: Ear, mix: Performance, sounds: Collection[str]) -> dict[str, Score]:
    """Return how a listener does, asked about some sounds of a mix."""
    return scores(mix.cues, mix.calls, ear.hears(mix.sound), sounds)


def shuffled(
    cues: Collection[Onset],
    calls: Collection[Onset],
    found: Collection[Found],
    sounds: Collection[str],
) -> float:
    """Return the mean recall where the names of the cues are shuffled."""
    rng = random.Random(0)
    names = [cue.sound for cue in cues]
    recalls = []
    for _ in range(SHUFFLES):
        rng.shuffle(names)
        lies = [cue._replace(sound=name) for cue, name in zip(cues, names, strict=True)]
        recalls.append(total(scores(lies, calls, found, sounds)).recall)
    return float(np.mean(recalls))
