"""False alerts in a day of routine traffic: how many would a listener hear?

The cues of 24 hours are made by the pure mixer, which takes seconds; what it told the
engine is kept. Spans of that day are rendered from it and listened to. A day is no
alike throughout, so it is cut into spans of three kinds, by how many cues they have:
quiet ones, busy ones, and storms; of each kind some are drawn, and what is heard there
is multiplied by how many of them the day has.

None found in minutes says little about a day: the note says how little. So the tail is
asked, too: how sure the listener was of what he nearly took for alerts. The sureness of
the surest follows a Pareto law (Hill's estimate of its exponent); how often it would
pass what he must be sure of, is added to what was counted.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening import traffic
from listening.judging import passing
from listening.performance import day_of
from listening.rendering import HeldEngine, Told
from listening.table import Line, at_most

from peep.mixer.commands import Beat, Fade, Level, Play

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.judging import Ear
    from listening.rendering import Made
    from listening.traffic import Script
    from numpy.typing import NDArray

DAY_S = 24 * 3600.0
# Events a second, by the hour from midnight on.
HOURS_HZ = (0.02,) * 6 + (0.1, 0.3) + (0.6,) * 10 + (0.3, 0.2, 0.1, 0.05, 0.02, 0.02)
STORMS = 6
STORM_S = 120.0
STORM_HZ = 20.0
SPAN_S = 15.0
LEAD_S = 4.0  # before a span: until the bed stands
STORMY = 3.0  # cues a second
BUSY = 0.3
SPANS, QUICK_SPANS, LONG_SPANS = 2, 1, 60  # listened to, of each kind
SEED = 7
RULE_OF_THREE = 3.0


class Kind(NamedTuple):
    """What was heard of one kind of span: alerts, and how sure of each near one."""

    spans: int  # of the day
    listened: int
    alerts: int
    nearly: tuple[float, ...]  # sureness, divided by what it must be


def line(it: Made, ear: Ear, *, quick: bool = False, long: bool = False) -> Line:
    """Return how many false alerts a listener hears in a day."""
    wanted = QUICK_SPANS if quick else LONG_SPANS if long else SPANS
    heard = listened(it, ear, wanted)
    counted = sum(one.alerts * one.spans / max(1, one.listened) for one in heard)
    tail = sum(passing(one.nearly) * one.spans / max(1, one.listened) for one in heard)
    spans = sum(one.listened for one in heard)
    # Of what was not met in n trials there may be 3 in n, with 95 % of confidence.
    bound = RULE_OF_THREE * sum(one.spans for one in heard) / max(1, spans)
    surest = max((near for one in heard for near in one.nearly), default=0.0)
    minutes = spans * SPAN_S / 60
    note = (
        f"{sum(one.alerts for one in heard)} in {minutes:.1f} minutes of it (by that "
        f"alone: below {bound:.0f}); the surest at {surest:.2f} of what it must be, so "
        f"by the tail {tail:.2g}"
    )
    return at_most("false alerts in 24 h", counted + tail, 1.0, note)


def listened(it: Made, ear: Ear, wanted: int) -> list[Kind]:
    """Return what was heard in some spans of each kind."""
    told = day_of(it.theme, it.samples.bank, day(it, SEED), seed=SEED)
    alerts = set(traffic.alerts(traffic.meanings(it.theme)))
    starts = np.arange(LEAD_S, DAY_S - SPAN_S, SPAN_S)
    plays = [one.at_s for one in told if isinstance(one.command, Play)]
    counts = np.histogram(plays, [*starts, starts[-1] + SPAN_S])[0] / SPAN_S
    rng = random.Random(SEED)
    found = []
    for low, high in ((0.0, BUSY), (BUSY, STORMY), (STORMY, np.inf)):
        kind = starts[(counts >= low) & (counts < high)].tolist()
        chosen = rng.sample(kind, min(wanted, len(kind)))
        near = [
            one
            for start in chosen
            for one in _nearly(ear, span(it, told, start), alerts)
        ]
        passed = sum(one >= 1.0 for one in near)
        found.append(Kind(len(kind), len(chosen), passed, tuple(near)))
    return found


def day(it: Made, seed: int) -> Script:
    """Return a day of routine and notable events, without any alert."""
    rng = random.Random(seed)
    known = traffic.others(traffic.meanings(it.theme))
    hours = [
        traffic.dealt(known, rng, rate_hz=rate_hz, seconds=3600.0, start_s=3600.0 * n)
        for n, rate_hz in enumerate(HOURS_HZ)
    ]
    storms = [
        traffic.dealt(
            known,
            rng,
            rate_hz=STORM_HZ,
            seconds=STORM_S,
            start_s=rng.uniform(0.0, DAY_S - STORM_S),
        )
        for _ in range(STORMS)
    ]
    leaders = traffic.leaders(it.theme)
    return traffic.together(
        *hours,
        *storms,
        traffic.wandering(leaders, rng, seconds=DAY_S, every_s=60.0),
        traffic.heartbeat(0.5, DAY_S),
    )


def span(it: Made, told: Sequence[Told], start_s: float) -> NDArray[np.float32]:
    """Render a span of what an engine was told, and a little before it."""
    begin_s, end_s = start_s - LEAD_S, start_s + SPAN_S
    blocks: list[NDArray[np.float32]] = []
    engine = HeldEngine(it, SEED, blocks.append)
    standing: dict[tuple[type, int | str], Told] = {}
    for one in told:
        if one.at_s >= begin_s:
            break
        if isinstance(one.command, Level | Beat | Fade):
            standing[type(one.command), _whose(one.command)] = one
    engine.send([one.command for one in standing.values()])
    for at_s, command in told:
        if begin_s <= at_s < end_s:
            engine.advance(at_s - begin_s)
            engine.send([command])
    engine.advance(end_s - begin_s)
    return np.concatenate(blocks)


def _nearly(ear: Ear, sound: NDArray[np.float32], alerts: set[str]) -> list[float]:
    """Return how sure a listener is of each alert, divided by what he must be."""
    all_of_it = ear._replace(least={})
    return [
        found.fit * found.evidence / ear.least[found.sound]
        for found in all_of_it.hears(sound)
        if found.sound in alerts
    ]


def _whose(command: Level | Beat | Fade) -> int | str:
    match command:
        case Level():
            return command.layer
        case Beat():
            return command.beat
        case Fade():
            return int(command.bus)
