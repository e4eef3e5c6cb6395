"""The course of the demo: calm, a fault, a storm, relief. Pure; one seed, one course.

A demo of any length has the same scenes and the same troubles in them, at the same
shares of its time. What goes on meanwhile, requests and mails and guesses, comes at
the rates of its scene, however long that lasts. Only the loss of an agent takes its
time: so long after it fell silent nobody may believe in it any more (a lease and a
half).
"""

from __future__ import annotations

import datetime as dt
import math
import random
from typing import TYPE_CHECKING

import msgspec

from peep.lab.demo_lines import KINDS, LEVELS, written
from peep.protocol.lease import LOST_AT
from peep.signals import Event, State, Tier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peep.theme import Theme

MAX_AGENTS = 12  # processes; more tell a listener nothing new
MINUTES = (0.5, 30.0)  # shorter than that, no lease ends; longer, nobody listens
LEASE_S = 10  # the shortest there is, so that a loss is soon heard

_ROLES = ("web", "db", "mail")
_SCENES = (("calm", 0.0), ("fault", 0.3), ("storm", 0.62), ("relief", 0.82))
_KILLED_SHARE, _KILLED_MOST_S = 0.04, 6.0  # after the fault began
_AWAY_SHARE = 0.16
_AFTER_LOSS_S = 2.0  # so that it has rung before it rings again
_AGAIN_S = 2.0  # from an agent's start to its next line
# A storm swells and goes by, and guesses come in volleys: an even wall of sound would
# say less, and tire.
_STORM_LEAST = 0.15  # of its rates, at its edges
_VOLLEYS = ("guess", "guess-root")
_VOLLEY_EVERY_S, _VOLLEY_S = 4.0, 1.8
_STILL_S = 2.0  # at the beginning: time to read what was announced
_LEVELS_EVERY_S = 2.0
_LEVEL_STEP = 0.5  # of the way to where a level wants to be
_LEVEL_STRAY = 0.02

# Who writes what, and how often each second in each scene, all hosts together.
_TRAFFIC = (
    ("request", "web", (0.25, 0.2, 5.0, 0.4)),
    ("order", "web", (0.0, 0.0, 0.5, 0.05)),
    ("not-found", "web", (0.0, 0.05, 0.4, 0.0)),
    ("gateway-timeout", "web", (0.0, 0.12, 0.3, 0.0)),
    ("upstream-timeout", "web", (0.0, 0.08, 0.1, 0.0)),
    ("probe", "web", (0.0, 0.0, 0.5, 0.0)),
    ("login", "", (0.03, 0.05, 0.0, 0.06)),
    ("guess", "", (0.0, 0.0, 3.0, 0.0)),
    ("guess-root", "", (0.0, 0.0, 0.3, 0.0)),
    ("mail-received", "mail", (0.06, 0.04, 0.6, 0.1)),
    ("mail-sent", "mail", (0.04, 0.0, 0.4, 0.1)),
    ("mail-rejected", "mail", (0.0, 0.0, 0.6, 0.0)),
    ("checkpoint", "db", (0.03, 0.0, 0.0, 0.05)),
    ("slow", "db", (0.0, 0.2, 0.5, 0.0)),
    ("cancelled", "db", (0.0, 0.15, 0.0, 0.0)),
    ("too-many-clients", "db", (0.0, 0.0, 0.25, 0.0)),
    ("job", "", (0.03, 0.0, 0.0, 0.04)),
)
# How much there is of a state, by role and scene: 0…1.
_STATES = {
    ("web", "system.load"): (0.12, 0.2, 0.8, 0.15),
    ("web", "system.network"): (0.25, 0.2, 0.85, 0.25),
    ("db", "system.load"): (0.1, 0.5, 0.6, 0.12),
    ("db", "system.network"): (0.2, 0.1, 0.5, 0.2),
    ("mail", "system.load"): (0.08, 0.1, 0.4, 0.1),
    ("mail", "system.network"): (0.15, 0.15, 0.6, 0.15),
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How many agents, for how long, and which of all courses."""

    agents: int = 3
    minutes: float = 2.0
    seed: int = 1

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return 60.0 * self.minutes

    @property
    def hosts(self) -> tuple[str, ...]:
        """The made-up hosts: web1, db1, mail1, web2, …."""
        return tuple(
            f"{_ROLES[n % len(_ROLES)]}{n // len(_ROLES) + 1}"
            for n in range(self.agents)
        )

    @property
    def broken(self) -> str:
        """The host whose disk fails."""
        return self.hosts[min(1, self.agents - 1)]

    @property
    def killed(self) -> str:
        """The host whose agent is killed."""
        return self.hosts[min(2, self.agents - 1)]


class Scene(msgspec.Struct, frozen=True):
    """A part of the course; the last ends with it."""

    name: str
    from_s: float
    to_s: float


class Line(msgspec.Struct, frozen=True):
    """A line that is written to a host's file, and what it is to mean."""

    at_s: float
    host: str
    file: str
    line: str
    event: str = ""
    tier: Tier = Tier.ROUTINE


class Kill(msgspec.Struct, frozen=True):
    """The host's agent is killed."""

    at_s: float
    host: str


class Back(msgspec.Struct, frozen=True):
    """The host's agent is started again, once its loss was told."""

    at_s: float
    host: str


class Say(msgspec.Struct, frozen=True):
    """What is announced."""

    at_s: float
    line: str


Step = Line | Kill | Back | Say


def scenes(plan: Plan) -> tuple[Scene, ...]:
    """Return the scenes, one after the other."""
    starts = [share * plan.seconds for _, share in _SCENES]
    ends = [*starts[1:], plan.seconds]
    names = [name for name, _ in _SCENES]
    return tuple(map(Scene, names, starts, ends))


def course(plan: Plan, start: dt.datetime, theme: Theme) -> list[Step]:
    """Return all that happens, in its order; lines bear the time that it is then.

    `start` is aware of its zone. The theme only lends its names for sounds.
    """
    rng = random.Random(plan.seed)  # noqa: S311 - a story, no secret
    steps: list[Step] = [
        *_troubles(plan, start, rng),
        *_traffic(plan, start, rng),
        *_levels(plan, rng),
        *_spoken(plan, theme),
    ]
    # What is announced comes before what it announces.
    return sorted(steps, key=lambda step: (step.at_s, not isinstance(step, Say)))


def opening(plan: Plan) -> list[Line]:
    """Return what stands in the hosts' files before their agents start.

    So that there is a bed to begin with, which grows with each agent that comes.
    """
    return [
        Line(0.0, host, LEVELS, f"{name} {targets[0]:.3f}")
        for host in plan.hosts
        for (role, name), targets in _STATES.items()
        if host.startswith(role)
    ]


def _times(plan: Plan) -> dict[str, float]:
    """Return when each trouble comes."""
    _, fault, storm, relief = scenes(plan)
    killed = fault.from_s + min(_KILLED_MOST_S, _KILLED_SHARE * plan.seconds)
    away = max(LOST_AT * LEASE_S + _AFTER_LOSS_S, _AWAY_SHARE * plan.seconds)
    times = {
        "disk": (fault.from_s + killed) / 2,
        "array": fault.from_s + 0.4 * (fault.to_s - fault.from_s),
        "memory": storm.from_s + 0.5 * (storm.to_s - storm.from_s),
        "recovered": relief.from_s + 0.2 * (relief.to_s - relief.from_s),
        "admin": relief.from_s + 0.5 * (relief.to_s - relief.from_s),
    }
    back = killed + away
    # Who is away writes nothing: what was to come is told before, or after.
    if plan.broken == plan.killed:
        times["array"] = min(times["array"], (times["disk"] + killed) / 2)
    for what, host in (("memory", plan.hosts[0]), ("recovered", plan.broken)):
        if host == plan.killed and killed <= times[what] < back:
            times[what] = back + _AGAIN_S
    times["admin"] = max(times["admin"], times["recovered"])
    return {**times, "killed": killed, "back": back}


def _troubles(plan: Plan, start: dt.datetime, rng: random.Random) -> Iterator[Step]:
    at = _times(plan)
    yield Kill(at["killed"], plan.killed)
    yield Back(at["back"], plan.killed)
    for kind, host, when in (
        ("disk-command-failed", plan.broken, scenes(plan)[1].from_s),
        ("disk-error", plan.broken, at["disk"]),
        ("array-degraded", plan.broken, at["array"]),
        ("table-full", plan.hosts[0], at["memory"]),
        ("out-of-memory", plan.hosts[0], at["memory"]),
        ("array-recovered", plan.broken, at["recovered"]),
        ("login", plan.broken, at["admin"]),
    ):
        yield _line(kind, host, when, start, rng)


def _traffic(plan: Plan, start: dt.datetime, rng: random.Random) -> Iterator[Line]:
    at = _times(plan)
    for kind, role, rates in _TRAFFIC:
        hosts = [host for host in plan.hosts if host.startswith(role)]
        for scene, rate in zip(scenes(plan), rates, strict=True):
            if not hosts or not rate:
                continue
            # Uneven, but never two on top of each other.
            when = max(_STILL_S, scene.from_s) + rng.random() / rate
            while when < scene.to_s:
                host = rng.choice(hosts)
                away = host == plan.killed and at["killed"] <= when < at["back"]
                if not away and _now(kind, when - scene.from_s):
                    yield _line(kind, host, when, start, rng)
                when += (0.5 + rng.random()) / (rate * _share(scene, when))


def _share(scene: Scene, at_s: float) -> float:
    """Return how much of a scene's rates there is at a time, 0…1."""
    if scene.name != "storm":
        return 1.0
    passed = (at_s - scene.from_s) / (scene.to_s - scene.from_s)
    return max(_STORM_LEAST, math.sin(math.pi * passed))


def _now(kind: str, passed_s: float) -> bool:
    return kind not in _VOLLEYS or passed_s % _VOLLEY_EVERY_S < _VOLLEY_S


def _levels(plan: Plan, rng: random.Random) -> Iterator[Line]:
    """Let states wander to where their scene wants them."""
    for host in plan.hosts:
        for (role, name), targets in _STATES.items():
            if not host.startswith(role):
                continue
            level = targets[0]
            for scene, target in zip(scenes(plan), targets, strict=True):
                at_s = scene.from_s
                while at_s < scene.to_s:
                    level += _LEVEL_STEP * (target - level)
                    level += rng.uniform(-_LEVEL_STRAY, _LEVEL_STRAY)
                    level = min(1.0, max(0.0, level))
                    yield Line(at_s, host, LEVELS, f"{name} {level:.3f}")
                    at_s += _LEVELS_EVERY_S


def _line(
    kind: str, host: str, at_s: float, start: dt.datetime, rng: random.Random
) -> Line:
    it = KINDS[kind]
    text = written(it, host, start + dt.timedelta(seconds=at_s), rng)
    return Line(at_s, host, it.file, text, it.event, it.tier)


# ---- what is said -----------------------------------------------------------------


def _spoken(plan: Plan, theme: Theme) -> Iterator[Say]:
    at = _times(plan)
    calm, fault, storm, relief = scenes(plan)

    def sound(kind: str) -> str:
        it = KINDS[kind]
        return _sound(theme, it.event, it.tier, it.family)

    lost = _sound(theme, "peep.agent-lost", Tier.ALERT, "network")
    back = _sound(theme, "peep.agent-back", Tier.NOTABLE, "network")
    load, network = (_layer(theme, f"system.{it}") for it in ("load", "network"))
    mails = f", a {sound('mail-sent')} for a mail" if plan.agents > 2 else ""  # noqa: PLR2004 - the third has mail
    yield Say(
        calm.from_s,
        f"CALM: a little {network} and {load}, a soft {sound('request')} for a request"
        f"{mails}, now and then a {sound('login')}: somebody logged in",
    )
    yield Say(
        fault.from_s,
        f"FAULT: a disk fails on {plan.broken}: {sound('disk-command-failed')}, then "
        f"the {sound('disk-error')}; the {load} rises",
    )
    yield Say(
        at["killed"],
        f"the agent of {plan.killed} is killed (kill -9): nothing yet; within "
        f"{LOST_AT * LEASE_S:.0f} s it is given up: the {lost}",
    )
    yield Say(
        at["back"],
        f"the agent of {plan.killed} is started again: the {back}",
    )
    yield Say(
        storm.from_s,
        f"STORM: all want the shop, and somebody guesses passwords: a chorus of "
        f"{sound('request')}, volleys of {sound('guess')}; {load} and {network} swell",
    )
    yield Say(
        at["memory"],
        f"{plan.hosts[0]} runs out of memory: the {sound('out-of-memory')}, above it "
        "all",
    )
    yield Say(
        relief.from_s,
        f"RELIEF: it goes by; a last {sound('array-recovered')}: the array is whole "
        "again",
    )


def _sound(theme: Theme, name: str, tier: Tier, family: str) -> str:
    voicing = theme.for_event(Event(name=name, tier=tier, family=family))
    return "silence" if voicing is None else voicing.sound


def _layer(theme: Theme, name: str) -> str:
    voicing = theme.for_state(State(name=name, value=0.0))
    return "silence" if voicing is None else voicing.sound
