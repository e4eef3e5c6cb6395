"""Scripts to be performed: what a network says, in so many events a second.

A *meaning* is a one-shot that some event sounds, with the shipped events that do. The
events of a script are drawn from all meanings alike, so that each is heard often enough
to be judged: a deck of them is shuffled, dealt out, and shuffled again. Times are those
of a Poisson process. Meanwhile states wander, each in its own way, so that the bed is
never the same; hosts are several, so that places and shades differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from listening.rendering import At
from listening.script import events

from peep.signals import Event, Heartbeat, State, Tier

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from peep.theme import Theme

HOSTS = ("web1", "web2", "db1", "mail1", "gate", "backup", "dns1", "build")
# What Peep says of itself and what sources say: all that is in no rule pack.
OWN = (
    ("peep.agent-lost", Tier.ALERT, "system"),
    ("peep.agent-missing", Tier.ALERT, "system"),
    ("peep.server-deaf", Tier.ALERT, "system"),
    ("peep.alerts-dropped", Tier.ALERT, "system"),
    ("peep.agent-back", Tier.NOTABLE, "system"),
    ("peep.agent-joined", Tier.NOTABLE, "system"),
    ("peep.server-hears", Tier.NOTABLE, "system"),
    ("peep.events-dropped", Tier.NOTABLE, "system"),
    ("peep.lines-skipped", Tier.NOTABLE, "system"),
    ("ping.down", Tier.ALERT, "network"),
    ("ping.up", Tier.NOTABLE, "network"),
    ("ping.certificate-expiring", Tier.NOTABLE, "network"),
    ("system.load-high", Tier.NOTABLE, "system"),
    ("system.load-ok", Tier.ROUTINE, "system"),
)
WANDER_S = 10.0  # between two changes of one state
WANDER = 0.15  # the standard deviation of such a change

Meanings = dict[str, list[Event]]
Script = list[At]


def meanings(theme: Theme) -> Meanings:
    """Return every one-shot that a shipped event sounds, with those events."""
    found: Meanings = {}
    own = (Event(name=name, tier=tier, family=family) for name, tier, family in OWN)
    for event in (*dict.fromkeys(events()), *own):
        voicing = theme.for_event(event)
        if voicing is not None:
            found.setdefault(voicing.sound, []).append(event)
    return found


def alerts(known: Meanings) -> Meanings:
    """Return the meanings of the alert tier, with their alerts only."""
    return _of(known, lambda event: event.tier is Tier.ALERT)


def others(known: Meanings) -> Meanings:
    """Return the meanings of the other tiers, without any alerts."""
    return _of(known, lambda event: event.tier is not Tier.ALERT)


def dealt(
    known: Meanings,
    rng: random.Random,
    *,
    rate_hz: float,
    seconds: float,
    start_s: float = 0.0,
) -> Script:
    """Return so many events a second, each meaning as often as another."""
    script: Script = []
    deck: list[str] = []
    at_s = start_s + rng.expovariate(rate_hz)
    while at_s < start_s + seconds:
        if not deck:
            deck = sorted(known)
            rng.shuffle(deck)
        event = rng.choice(known[deck.pop()])
        script.append(At(at_s, msgspec.structs.replace(event, host=rng.choice(HOSTS))))
        at_s += rng.expovariate(rate_hz)
    return script


def spaced(
    known: Meanings, rng: random.Random, *, every_s: float, seconds: float
) -> Script:
    """Return an event now and then, never two within half of `every_s`."""
    script: Script = []
    deck: list[str] = []
    at_s = every_s * (0.5 + rng.random())
    while at_s < seconds:
        if not deck:
            deck = sorted(known)
            rng.shuffle(deck)
        event = rng.choice(known[deck.pop()])
        script.append(At(at_s, msgspec.structs.replace(event, host=rng.choice(HOSTS))))
        at_s += every_s * (0.5 + rng.random())
    return script


def leaders(theme: Theme, hosts: Sequence[str] = HOSTS) -> dict[str, State]:
    """Return for each layer that follows states one state that it follows."""
    found: dict[str, State] = {}
    for number, (name, voicing) in enumerate(theme.states.items()):
        if voicing.sound not in found:
            host = hosts[number % len(hosts)]
            found[voicing.sound] = State(name=name, value=0.0, host=host)
    return found


def wandering(
    states: Mapping[str, State],
    rng: random.Random,
    *,
    seconds: float,
    every_s: float = WANDER_S,
) -> Script:
    """Return changes of states: each walks at random between 0 and 1."""
    script: Script = []
    for state in states.values():
        value, at_s = rng.random(), 0.0
        while at_s < seconds:
            script.append(At(at_s, msgspec.structs.replace(state, value=value)))
            at_s += every_s * (0.5 + rng.random())
            value = abs(value + rng.gauss(0.0, WANDER))
            value = min(value, 2.0 - value)
    return script


def heartbeat(rate_hz: float, seconds: float) -> Script:
    """Return one heartbeat that goes on for so long."""
    beat = Heartbeat(name="backup.alive", rate_hz=rate_hz, host="backup")
    return [At(at, beat) for at in range(0, int(seconds), 5)]


def together(*scripts: Iterable[At]) -> Script:
    """Return scripts as one, in order of time."""
    return sorted(
        (one for script in scripts for one in script), key=lambda one: one.at_s
    )


def _one(events: Sequence[Event], rng: random.Random) -> Event:
    """Return one of some events, the n-th n times as rarely as the first."""
    event = rng.choices(events, [1 / (n + 1) for n in range(len(events))])[0]
    return msgspec.structs.replace(event, host=rng.choice(HOSTS))


def _of(known: Meanings, wanted: Callable[[Event], bool]) -> Meanings:
    kept = {name: [it for it in events if wanted(it)] for name, events in known.items()}
    return {name: events for name, events in kept.items() if events}
