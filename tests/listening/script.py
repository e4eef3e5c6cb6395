"""What happens in the minutes that are measured. One seed, one course.

Calm: routine events of all families, so many a minute, at uneven distances; states
that wander low; one heartbeat. A storm: a hundred times as many events, a tenth of them
notable, of few names much more often than of the others, as storms are; and states
that wander high. Names, families and tiers are those of the shipped rules.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from listening.rendering import At

from peep.config.rulepacks import load_rules
from peep.signals import Event, Heartbeat, State, Tier

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTS = ("web1", "db1", "mail1", "gate", "build")
STATES = tuple(  # what an agent says that nobody told more
    f"system.{name}" for name in ("load", "cpu", "memory", "disk", "network")
)
STEP_S = 2.0
BEAT_HZ, BEAT_EVERY_S = 0.5, 4.0


class Course(NamedTuple):
    """Events a second, the share of notable ones, and where states wander.

    `stray` is how far an event may be from its even place: 1 is all the way to its
    neighbours, beyond that they come as they like.
    """

    events_hz: float
    notable: float
    stray: float
    states: tuple[float, float]


CALM = Course(0.1, 0.0, 0.8, (0.05, 0.6))
STORM = Course(10.0, 0.1, 20.0, (0.3, 0.95))


@cache
def events() -> tuple[Event, ...]:
    """Return one event for each rule that is shipped: its name, tier and family."""
    return tuple(
        Event(name=rule.event, tier=rule.tier, family=rule.family)
        for rule in load_rules(("all",))
        if rule.event
    )


def minutes(course: Course, seconds: float, seed: int = 1) -> list[At]:
    """Return a script of a course, in order."""
    rng = random.Random(seed)
    steps = [*_events(course, seconds, rng), *_levels(course, seconds, rng)]
    for n in range(int(seconds / BEAT_EVERY_S) + 1):
        beat = Heartbeat(name="backup.alive", rate_hz=BEAT_HZ, host="build")
        steps.append(At(n * BEAT_EVERY_S, beat))
    return sorted(steps, key=lambda step: step.at_s)


def bed(course: Course, seconds: float, seed: int = 1) -> list[At]:
    """Return a script of a course's states alone, in order."""
    steps = _levels(course, seconds, random.Random(seed))
    return sorted(steps, key=lambda step: step.at_s)


def _levels(course: Course, seconds: float, rng: random.Random) -> Iterator[At]:
    """Yield states of two hosts that wander, each by itself."""
    low, high = course.states
    for host in HOSTS[:2]:
        for name in STATES:
            value = rng.uniform(low, high)
            for n in range(int(seconds / STEP_S) + 1):
                yield At(n * STEP_S, State(name=name, value=value, host=host))
                value += 0.05 * (high - low) * rng.gauss(0.0, 1.0)
                # What would leave turns back.
                value = min(max(value, 2 * low - value), 2 * high - value)


def _events(course: Course, seconds: float, rng: random.Random) -> Iterator[At]:
    """Yield events: as many as the rate says."""
    every_s = 1.0 / course.events_hz
    for n in range(round(course.events_hz * seconds)):
        strayed = course.stray * (rng.random() - 0.5)
        at_s = min(max(0.0, (n + 0.5 + strayed) * every_s), seconds)
        tier = Tier.NOTABLE if rng.random() < course.notable else Tier.ROUTINE
        kinds = [event for event in events() if event.tier is tier]
        family = rng.choice(sorted({event.family for event in kinds}))
        names = [event.name for event in kinds if event.family == family]
        # The n-th name is n times as rare as the first.
        chosen = rng.choices(names, [1 / (n + 1) for n in range(len(names))])[0]
        host = rng.choice(HOSTS)
        yield At(at_s, Event(name=chosen, tier=tier, family=family, host=host))
