"""Who was recognised: cues and findings of one sound, matched one to one.

A cue is recognised if its sound was found within COLLAR_S of it. Of all ways to match,
that with the most pairs counts, and of those the nearest. What was found and is no cue
is wrong, unless it is one of the calls that come with cues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from listening.search import Found

COLLAR_S = 0.2
SAME_S = 0.03  # a cue and its own call: a block, and what rounding adds


class Onset(NamedTuple):
    """A sound begins."""

    at_s: float
    sound: str
    alert: bool = False


class Score(NamedTuple):
    """How many of how many cues were recognised; what was found is right or wrong."""

    cues: int = 0
    right: tuple[Found, ...] = ()
    wrong: tuple[Found, ...] = ()

    @property
    def recall(self) -> float:
        """Return the share of cues that were recognised; NaN of none."""
        return len(self.right) / self.cues if self.cues else float("nan")


def scores(
    cues: Collection[Onset],
    calls: Collection[Onset],
    found: Collection[Found],
    sounds: Collection[str],
) -> dict[str, Score]:
    """Return the score of each of some sounds."""
    return {sound: _score(sound, cues, calls, found) for sound in sounds}


def total(each: dict[str, Score]) -> Score:
    """Return the score of all sounds together."""
    return Score(
        sum(score.cues for score in each.values()),
        tuple(one for score in each.values() for one in score.right),
        tuple(one for score in each.values() for one in score.wrong),
    )


def f1(score: Score) -> float:
    """Return the harmonic mean of recall and precision."""
    right = len(score.right)
    return 2 * right / max(1, score.cues + right + len(score.wrong))


def pairs(one_s: Sequence[float], other_s: Sequence[float]) -> list[tuple[int, int]]:
    """Return which of some times is which of others, as indices."""
    if not one_s or not other_s:
        return []
    away = np.abs(np.subtract.outer(np.array(one_s), np.array(other_s)))
    # One pair more always outweighs all the distances.
    near = away / COLLAR_S / (1 + min(away.shape))
    cost = np.where(away <= COLLAR_S, near - 1.0, 0.0)
    rows, columns = linear_sum_assignment(cost)
    both = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in both if away[row, column] <= COLLAR_S]


def _score(
    sound: str,
    cues: Collection[Onset],
    calls: Collection[Onset],
    found: Collection[Found],
) -> Score:
    cues_s = [cue.at_s for cue in cues if cue.sound == sound]
    mine = [one for one in found if one.sound == sound]
    hits = {column for _, column in pairs(cues_s, [one.at_s for one in mine])}
    rest = [one for number, one in enumerate(mine) if number not in hits]
    others_s = [
        call.at_s
        for call in calls
        if call.sound == sound
        and not any(abs(call.at_s - at) <= SAME_S for at in cues_s)
    ]
    heard = {row for row, _ in pairs([one.at_s for one in rest], others_s)}
    return Score(
        len(cues_s),
        tuple(mine[number] for number in sorted(hits)),
        tuple(one for number, one in enumerate(rest) if number not in heard),
    )
