"""States read back from the mix: does one hear how much, and when it changes?

From what is heard of some seconds (reading.py) a *reader* is fitted for each layer that
follows states, on a rendering in which every state jumps to any value at its own times.
He is asked about two others: one of the same kind, for how much; and one in which the
states go up and down stairs, for when they change. Events sound in all. (To walk at
random will not do: in minutes a state sees but a few values of its range.)

What a layer's level is, is what the product says: a layer follows the highest of its
states, and a theme with fewer layers than states has some that follow two.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from listening import spectra, traffic
from listening.performance import perform
from listening.reading import (
    READ_EVERY_S,
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
STEPS_S = (20.0, 26.0)  # between two steps: each is forgotten before the next
STAIRS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.7, 0.5, 0.3)  # and again
LENGTHS_S, QUICK_S = (400.0, 120.0, 400.0), (80.0, 60.0, 60.0)
EVENTS_HZ = 0.1
SEEDS = (801, 11, 12)
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
    lengths_s = QUICK_S if quick else LENGTHS_S
    taught, asked, stairs = (
        heard(it, courses(it, seconds, seed, kind), seed)
        for seconds, seed, kind in zip(
            lengths_s, SEEDS, (jumps, jumps, steps), strict=True
        )
    )
    read = fitted(taught, asked)
    ranks = {layer: partial_rank(asked.levels, layer, read[layer]) for layer in read}
    worst = min(ranks, key=lambda layer: ranks[layer])
    found = {
        layer: noticed(stairs, layer, levels)
        for layer, levels in fitted(taught, stairs).items()
    }
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
    """Return values that go up and down stairs from anywhere, and when they begin."""
    turns, at_s, number = [], 0.0, rng.randrange(len(STAIRS))
    while at_s < seconds:
        turns.append((at_s, STAIRS[number % len(STAIRS)]))
        number += 1
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
    changes = {layer: _changes(its) for layer, its in layers.items()}
    return Heard(at_s, features(power, at_s), levels, changes)


def _changes(its: Sequence[Course]) -> Turns:
    """Return when, and by how much, the highest of a layer's states changes."""
    now = [course.turns[0][1] for course in its]
    turns = sorted(
        (at_s, number, value)
        for number, course in enumerate(its)
        for at_s, value in course.turns[1:]
    )
    changes = []
    for at_s, number, value in turns:
        before = max(now)
        now[number] = value
        if max(now) != before:
            changes.append((at_s, max(now) - before))
    return changes
