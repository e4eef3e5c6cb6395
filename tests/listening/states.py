"""States read back from the mix: does one hear how much, and when it changes?

From what is heard of some seconds (the levels of mel bands, how they are spread and how
restless they are) a *reader* is fitted for each layer that follows states, on one
rendering in which every state jumps to any value, and asked about another, in which
each makes steps of STEP at its own uneven times. Events sound in both.

What a layer's level is, is what the product says: a layer follows the highest of its
states, and a theme with fewer layers than states has some that follow two.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from listening import spectra, traffic
from listening.performance import perform
from listening.reading import (
    READ_EVERY_S,
    STEP,
    WINDOW_S,
    Heard,
    Turns,
    features,
    fitted,
    noticed,
    partial_rank,
)
from listening.rendering import At, made
from listening.table import Line, at_least

from peep.signals import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from listening.rendering import Made
    from listening.traffic import Script
    from numpy.typing import NDArray

    from peep.theme import Voicing

    Floats = NDArray[np.float64]

STATES = 4
JUMPS_S = (4.0, 9.0)  # between two jumps of one state: many values in a short time
STEPS_S = (24.0, 32.0)  # between two steps: each is forgotten before the next
TRAIN_S, TEST_S, QUICK_S = 160.0, 220.0, 80.0
EVENTS_HZ = 0.1
TRAINING_SEED, SEED = 801, 11
NOTICED = 0.9


class Course(NamedTuple):
    """A state's values in a time, and how it sounds."""

    state: State
    voicing: Voicing
    seconds: float
    turns: Turns

    def script(self) -> Script:
        """Return it as signals."""
        return [
            At(at_s, msgspec.structs.replace(self.state, value=value))
            for at_s, value in self.turns
        ]

    def level(self, at_s: Floats) -> Floats:
        """Return what its layer is brought to, over the windows that end then."""
        fine = np.arange(0.0, self.seconds, 0.1)
        times, values = [0.0], [self.turns[0][1]]
        for turn_s, value in self.turns[1:]:
            # A fade that is cut short goes on from where it is.
            reached = float(np.interp(turn_s, times, values))
            kept = [n for n, one in enumerate(times) if one < turn_s]
            times = [*(times[n] for n in kept), turn_s, turn_s + self.voicing.fade_s]
            values = [*(values[n] for n in kept), reached, value]
        so_far = np.concatenate(([0.0], np.cumsum(np.interp(fine, times, values))))
        ends, starts = (
            np.clip(np.round(10 * when).astype(int), 0, len(fine))
            for when in (at_s, at_s - WINDOW_S)
        )
        return np.asarray((so_far[ends] - so_far[starts]) / (ends - starts))


def report(name: str, *, quick: bool = False) -> list[Line]:
    """Return the lines on what is heard of states."""
    it = made(name)
    train_s, test_s = (QUICK_S, QUICK_S) if quick else (TRAIN_S, TEST_S)
    taught = heard(it, courses(it, train_s, TRAINING_SEED, jumps), TRAINING_SEED)
    asked = heard(it, courses(it, test_s, SEED, steps), SEED)
    read = fitted(taught, asked)
    ranks = {layer: partial_rank(asked.levels, layer, read[layer]) for layer in read}
    worst = min(ranks, key=lambda layer: ranks[layer])
    found = {layer: noticed(asked, layer, read[layer]) for layer in read}
    right, of = (sum(one[n] for one in found.values()) for n in (0, 1))
    return [
        at_least(
            "states read from the mix: partial rank correlation of the worst",
            ranks[worst],
            0.8,
            ", ".join(f"{layer} {rank:.2f}" for layer, rank in ranks.items()),
        ),
        at_least(
            "steps of 0.2 noticed within 10 s, share",
            right / max(1, of),
            NOTICED,
            ", ".join(f"{layer} {n} of {m}" for layer, (n, m) in found.items()),
        ),
    ]


def courses(
    it: Made, seconds: float, seed: int, kind: Callable[[float, random.Random], Turns]
) -> list[Course]:
    """Return courses of one kind of states, one a layer, and STATES at least."""
    rng = random.Random(seed)
    leaders = list(traffic.leaders(it.theme).values())
    for name in it.theme.states:
        if len(leaders) < STATES and name not in {one.name for one in leaders}:
            leaders.append(State(name=name, value=0.0, host=traffic.HOSTS[0]))
    found = []
    for state in leaders:
        voicing = it.theme.for_state(state)
        assert voicing is not None, "the theme names it"
        found.append(Course(state, voicing, seconds, kind(seconds, rng)))
    return found


def jumps(seconds: float, rng: random.Random) -> Turns:
    """Return values that have nothing to do with each other, and when they begin."""
    turns, at_s = [], 0.0
    while at_s < seconds:
        turns.append((at_s, rng.random()))
        at_s += rng.uniform(*JUMPS_S)
    return turns


def steps(seconds: float, rng: random.Random) -> Turns:
    """Return 0.1, 0.3 … 0.9, up or down by one of them, and when they begin."""
    turns, at_s, value = [], 0.0, rng.randrange(5)
    while at_s < seconds:
        turns.append((at_s, 0.1 + STEP * value))
        value += rng.choice([by for by in (-1, 1) if 0 <= value + by <= 4])
        at_s += rng.uniform(*STEPS_S)
    return turns


def heard(it: Made, chosen: Sequence[Course], seed: int) -> Heard:
    """Render states on their courses, and events now and then; return what is heard."""
    seconds = chosen[0].seconds
    rng = random.Random(seed)
    known = traffic.others(traffic.meanings(it.theme))
    events = traffic.dealt(known, rng, rate_hz=EVENTS_HZ, seconds=seconds)
    script = traffic.together(*(course.script() for course in chosen), events)
    power = spectra.powers(perform(it, script, seconds, seed=seed).sound)
    at_s = np.arange(2 * WINDOW_S, seconds, READ_EVERY_S)
    layers: dict[str, list[Course]] = {}
    for course in chosen:
        layers.setdefault(course.voicing.sound, []).append(course)
    levels = {
        layer: np.max([course.level(at_s) for course in its], axis=0)
        for layer, its in layers.items()
    }
    changes = {
        layer: [
            (at, value - before)
            for (_, before), (at, value) in itertools.pairwise(its[0].turns)
        ]
        for layer, its in layers.items()
        if len(its) == 1
    }
    return Heard(at_s, features(power, at_s), levels, changes)
