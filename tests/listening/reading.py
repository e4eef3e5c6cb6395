"""Reading the levels of layers from a mix, and judging what was read.

*Features.* Of a window of WINDOW_S: quantiles of the level of each band; how much the
level changes from frame to frame; and how much it moves in each of a few ranges of
rate, by which rain is told from a stream and gusts from a hum. What is read is a smooth
function of them: kernel ridge regression, the kernel a Gaussian of the distance.

*Partial rank correlation.* Between a layer's true level and the one read, both ranked,
with what the ranks of all others explain taken off both: a reader that only heard the
others would come to 0.

*Detection.* A change is noticed where what is read over the last RECENT_S differs from
what was read some seconds before by half of STEP. A step is noticed if that happens
within WITHIN_S of it, in its own direction, and not before nor the other way: so chance
comes to half at best.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening.spectra import HOP_S
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEP = 0.2
WINDOW_S = 4.0
READ_EVERY_S = 0.5
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # low ones above all: events pass over them
RATES_HZ = (0.4, 1.5, 4.0, 9.0, 25.0)  # edges of the ranges in which levels move
PENALTY = 0.1  # of the ridge
CLOSENESS = 0.05  # of the kernel: features that lie far apart have something in common
RECENT_S = 3.0
BEFORE_S = (7.0, 16.0)  # how long ago that is which is compared
WITHIN_S = 10.0

Turns = list[tuple[float, float]]  # when, and to or by how much


class Heard(NamedTuple):
    """A mix as it is read: features by moment, true levels by layer, steps."""

    at_s: Floats
    features: Floats
    levels: dict[str, Floats]
    changes: dict[str, Turns]  # when, and by how much


def features(power: NDArray[np.float32], at_s: Floats) -> Floats:
    """Return what is heard in the windows that end at these times."""
    levels_db = 10 * np.log10(power)
    restless = np.abs(np.diff(levels_db, axis=0, prepend=levels_db[:1]))
    frames = round(WINDOW_S / HOP_S)
    taper = np.hanning(frames)[:, np.newaxis]
    rates_hz = np.fft.rfftfreq(frames, HOP_S)
    ranges = [
        (rates_hz >= low) & (rates_hz < high)
        for low, high in itertools.pairwise(RATES_HZ)
    ]
    rows = []
    for end in np.round(at_s / HOP_S).astype(int):
        window = slice(end - frames, end)
        spread = np.quantile(levels_db[window], QUANTILES, axis=0)
        swings = levels_db[window] - levels_db[window].mean(axis=0)
        moves = np.abs(np.fft.rfft(swings * taper, axis=0))
        moved = [np.log(moves[inside].mean(axis=0) + 1e-3) for inside in ranges]
        rows.append(np.concatenate((*spread, restless[window].mean(axis=0), *moved)))
    return np.array(rows)


def fitted(taught: Heard, asked: Heard) -> dict[str, Floats]:
    """Return each layer's level as read in one mix by who was taught another."""
    middle, spread = taught.features.mean(axis=0), taught.features.std(axis=0) + 0.1
    known = (taught.features - middle) / spread
    kernel = _alike(known, known) + PENALTY * np.eye(len(known))
    to_asked = _alike((asked.features - middle) / spread, known)
    return {
        layer: levels.mean()
        + to_asked @ np.linalg.solve(kernel, levels - levels.mean())
        for layer, levels in taught.levels.items()
    }


def _alike(one: Floats, other: Floats) -> Floats:
    """Return how alike each row of one is to each of the other, 0…1."""
    squares = np.sum(one**2, axis=1)[:, np.newaxis] + np.sum(other**2, axis=1)
    apart = (squares - 2 * one @ other.T) / one.shape[1]
    return np.asarray(np.exp(-CLOSENESS * apart))


def partial_rank(levels: Mapping[str, Floats], layer: str, read: Floats) -> float:
    """Return the rank correlation of true and read, what the others explain off."""
    others = [rankdata(them) for name, them in levels.items() if name != layer]
    design = np.column_stack((np.ones(len(read)), *others))

    def rest(ranks: Floats) -> Floats:
        weights, *_ = np.linalg.lstsq(design, ranks, rcond=None)
        return np.asarray(ranks - design @ weights)

    true, other = rest(rankdata(levels[layer])), rest(rankdata(read))
    return float(true @ other / np.sqrt((true @ true) * (other @ other)))


def noticed(mix: Heard, layer: str, read: Floats) -> tuple[int, int]:
    """Return how many steps of a layer are noticed, and of how many."""
    recent, late, early = (round(s / READ_EVERY_S) for s in (RECENT_S, *BEFORE_S))
    so_far = np.concatenate(([0.0], np.cumsum(read)))
    ends = np.arange(early, len(read)) + 1
    change = (so_far[ends] - so_far[ends - recent]) / recent
    change -= (so_far[ends - late] - so_far[ends - early]) / (early - late)
    at_s = mix.at_s[ends - 1]
    right = asked = 0
    steps = mix.changes[layer]
    for step_s, by in steps:
        if not at_s[0] <= step_s <= at_s[-1] - WITHIN_S:
            continue
        if sum(-BEFORE_S[1] <= one - step_s <= WITHIN_S for one, _ in steps) > 1:
            continue  # which of them would be noticed?
        after = (at_s >= step_s) & (at_s <= step_s + WITHIN_S)
        passed = change[after][np.abs(change[after]) >= STEP / 2]
        begun = abs(change[after][0]) >= STEP / 2
        right += int(len(passed) and passed[0] * by > 0 and not begun)
        asked += 1
    return right, asked
