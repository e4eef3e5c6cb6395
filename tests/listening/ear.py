"""A listener who knows a theme's sounds, asked what he heard in its mixes.

He was taught forms of other seeds (repertoire.py), and how sure he must be of each
sound by one calm and one stormy training script, of which he was told the cues. He is
asked about other scripts: everything may sound at once there, as it does in the
product: beds that move, alerts that duck them, crowds that are folded.

Two tests are of the listener himself: with the names of the cues shuffled he must be
wrong, and what is taken out of the mix he must not find.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from listening import false_alerts, releases, traffic
from listening.judging import (
    ALERTS,
    CHIRPS,
    Ear,
    judged,
    shuffled,
    threshold,
)
from listening.matching import Score, f1, scores, total
from listening.performance import perform, without
from listening.rendering import made
from listening.repertoire import taught
from listening.table import Line, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from listening.performance import Performance
    from listening.rendering import Made
    from listening.traffic import Script

RATE_HZ = 0.6
STORM_HZ = 20.0
ALERT_EVERY_S = 2.0  # in a storm: often enough to be counted, as alerts seldom are
BEAT_HZ = 0.5
TRAINING_SEED, CALM_SEED, STORM_SEED, REMOVED_SEED = 901, 1, 2, 3


class Lengths(NamedTuple):
    """How many seconds of each script there are."""

    train_calm: float
    train_storm: float
    calm: float
    storm: float
    removed: float


LENGTHS = Lengths(200.0, 30.0, 400.0, 150.0, 40.0)
QUICK = Lengths(60.0, 20.0, 60.0, 40.0, 30.0)
LONG = LENGTHS._replace(calm=1200.0, storm=900.0, removed=300.0)


def calm(it: Made, seconds: float, seed: int) -> Script:
    """Return events of all meanings at the usual rate, over beds that move."""
    rng = random.Random(seed)
    known = traffic.meanings(it.theme)
    return traffic.together(
        traffic.dealt(known, rng, rate_hz=RATE_HZ, seconds=seconds),
        _bed(it, rng, seconds),
    )


def storm(it: Made, seconds: float, seed: int) -> Script:
    """Return a storm of routine events, with alerts now and then."""
    rng = random.Random(seed)
    known = traffic.meanings(it.theme)
    return traffic.together(
        traffic.dealt(traffic.others(known), rng, rate_hz=STORM_HZ, seconds=seconds),
        traffic.spaced(
            traffic.alerts(known), rng, every_s=ALERT_EVERY_S, seconds=seconds
        ),
        _bed(it, rng, seconds),
    )


@cache
def listener(name: str, lengths: Lengths = LENGTHS) -> Ear:
    """Return a listener who was taught a theme and trained on its mixes."""
    it = made(name)
    known = traffic.meanings(it.theme)
    repertoire = taught(it)
    quiet = _performed(calm, it, lengths.train_calm, TRAINING_SEED)
    loud = _performed(storm, it, lengths.train_storm, TRAINING_SEED + 1)
    in_calm = judged(Ear(repertoire, {}), quiet, known)
    in_storm = judged(Ear(repertoire, {}), loud, traffic.alerts(known))
    least = {name: threshold([score], CHIRPS) for name, score in in_calm.items()}
    for alert, score in in_storm.items():
        least[alert] = threshold([in_calm[alert], score], ALERTS)
    return Ear(repertoire, least)


def report(name: str, *, quick: bool = False, long: bool = False) -> list[Line]:
    """Return the lines on what is recognised of a theme."""
    lengths = QUICK if quick else LONG if long else LENGTHS
    it = made(name)
    ear = listener(name, QUICK if quick else LENGTHS)
    recall, harmonic, lies = _at_leisure(it, ear, lengths.calm)
    alerts = _in_storm(it, ear, lengths.storm)
    lines = [
        recall,
        harmonic,
        alerts,
        lies,
        _removed(it, ear, lengths.removed),
        false_alerts.line(it, ear, quick=quick, long=long),
    ]
    if not quick:
        lines.append(releases.line(name, (recall, harmonic, alerts)))
    return lines


def _at_leisure(it: Made, ear: Ear, seconds: float) -> list[Line]:
    known = traffic.meanings(it.theme)
    mix = _performed(calm, it, seconds, CALM_SEED)
    found = ear.hears(mix.sound)
    each = scores(mix.cues, mix.calls, found, known)
    worst = min(each, key=lambda sound: each[sound].recall)
    least = min(each, key=lambda sound: f1(each[sound]))
    return [
        at_least(
            "heard at 0.6/s: recall of the worst",
            each[worst].recall,
            0.8,
            f"{worst}: {_said(each[worst])}",
        ),
        at_least(
            "heard at 0.6/s: F1",
            f1(total(each)),
            0.85,
            f"worst {least}: {f1(each[least]):.2f}, {_said(each[least])}",
        ),
        at_most(
            "heard at 0.6/s: recall of shuffled truth",
            shuffled(mix.cues, mix.calls, found, known),
            0.1,
        ),
    ]


def _in_storm(it: Made, ear: Ear, seconds: float) -> Line:
    mix = _performed(storm, it, seconds, STORM_SEED)
    each = judged(ear, mix, traffic.alerts(traffic.meanings(it.theme)))
    routine = sum(not cue.alert for cue in mix.cues)
    said = "; ".join(f"{sound}: {_said(score)}" for sound, score in each.items())
    note = f"{said}; among {routine / seconds:.0f} other cues a second"
    return at_least("alerts at 20/s: recall", total(each).recall, 0.98, note)


def _removed(it: Made, ear: Ear, seconds: float) -> Line:
    """Return how many cues of sounds that do not sound are heard nevertheless."""
    known = sorted(traffic.meanings(it.theme))
    each: dict[str, Score] = {}
    for gone in (known[::2], known[1::2]):
        mix = _performed(calm, without(it, gone), seconds, REMOVED_SEED)
        each |= judged(ear, mix, gone)
    worst = max(each, key=lambda sound: each[sound].recall if each[sound].cues else 0)
    note = f"{worst}: {_said(each[worst])}" if total(each).right else ""
    return at_most("taken out of the mix: recall", total(each).recall, 0.0, note)


def _performed(
    kind: Callable[[Made, float, int], Script], it: Made, seconds: float, seed: int
) -> Performance:
    return perform(it, kind(it, seconds, seed), seconds, seed=seed)


def _bed(it: Made, rng: random.Random, seconds: float) -> Script:
    return traffic.together(
        traffic.wandering(traffic.leaders(it.theme), rng, seconds=seconds),
        traffic.heartbeat(BEAT_HZ, seconds),
    )


def _said(score: Score) -> str:
    return f"{len(score.right)} of {score.cues}, {len(score.wrong)} wrong"
