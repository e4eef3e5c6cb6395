"""What came of a demo, read from its own journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.journal.filters import parse_query
from peep.journal.history import find
from peep.lab.demo_script import Line, scenes
from peep.signals import Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from peep.journal.history import Entry
    from peep.lab.demo_script import Plan, Step
    from peep.server.app import Summary

MOST_ROWS = 1_000_000  # half an hour of storm has a tenth


class SceneAccount(msgspec.Struct, frozen=True):
    """What came in a scene, and what of it was heard; seconds of the demo."""

    name: str
    from_s: float
    to_s: float
    signals: int
    cues: int
    alerts: int


class AlertAccount(msgspec.Struct, frozen=True):
    """An alert: when it came, and its sound; without one, why it was not heard.

    `heard_s` is where in the sound it begins.
    """

    at_s: float
    host: str
    name: str
    sound: str
    heard_s: float | None = None
    unheard: str = ""


class AgentAccount(msgspec.Struct, frozen=True):
    """What befell an agent."""

    at_s: float
    host: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A whole demo. `missing` are alerts of the course that never came.

    `died` are hosts whose agents ended unasked, `interrupted` says that it was stopped
    before its end; `sound` is the server's own summary.
    """

    agents: int
    minutes: float
    seed: int
    interrupted: bool
    scenes: tuple[SceneAccount, ...]
    alerts: tuple[AlertAccount, ...]
    missing: tuple[str, ...]
    lost: tuple[AgentAccount, ...]
    back: tuple[AgentAccount, ...]
    died: tuple[str, ...]
    sound: Summary

    @property
    def good(self) -> bool:
        """Say whether all that was to be heard was heard."""
        if self.sound.failure or self.died:
            return False
        unheard = any(alert.unheard for alert in self.alerts)
        return self.interrupted or not (unheard or self.missing)


def noted(journal: Path, what: str) -> list[Entry]:
    """Return what the journal notes of agents: joined, lost, back."""
    return _entries(journal, "kind=note", f"name={what}")


def account(
    plan: Plan,
    course: Sequence[Step],
    journal: Path,
    began: float,
    summary: Summary,
    *,
    died: Iterable[str],
    interrupted: bool,
) -> Account:
    """Read the journal of a demo that began at Unix second `began`, and is over."""
    signals = _entries(journal)
    alerts = [one for one in signals if one.tier == Tier.ALERT.name.lower()]
    came = {(one.host, one.name) for one in alerts}
    wanted = {
        (step.host, step.event): None
        for step in course
        if isinstance(step, Line) and step.tier is Tier.ALERT
    }
    wanted[plan.killed, "peep.agent-lost"] = None

    def during(entries: Iterable[Entry], from_s: float, to_s: float) -> list[Entry]:
        return [one for one in entries if from_s <= one.received - began < to_s]

    told = []
    for scene in scenes(plan):
        last = scene.to_s >= plan.seconds
        to_s = float("inf") if last else scene.to_s
        inside = during(signals, scene.from_s, to_s)
        told.append(
            SceneAccount(
                scene.name,
                scene.from_s,
                scene.to_s,
                len(inside),
                sum(one.outcome == "cue" for one in inside),
                len(during(alerts, scene.from_s, to_s)),
            )
        )
    return Account(
        agents=plan.agents,
        minutes=plan.minutes,
        seed=plan.seed,
        interrupted=interrupted,
        scenes=tuple(told),
        alerts=tuple(_alert(one, began) for one in alerts),
        missing=tuple(f"{name} from {host}" for host, name in wanted.keys() - came),
        lost=_agents(noted(journal, "lost"), began),
        back=_agents(noted(journal, "back"), began),
        died=tuple(died),
        sound=summary,
    )


def _entries(journal: Path, *filters: str) -> list[Entry]:
    if not journal.exists():  # stopped before it began
        return []
    return find(journal, parse_query(filters, 0.0), MOST_ROWS).entries


def _alert(one: Entry, began: float) -> AlertAccount:
    heard = one.outcome == "cue"
    return AlertAccount(
        round(one.received - began, 2),
        one.host,
        one.name,
        one.sound if heard else "",
        one.heard_s,
        "" if heard else one.outcome or "not known",
    )


def _agents(notes: Iterable[Entry], began: float) -> tuple[AgentAccount, ...]:
    return tuple(AgentAccount(round(n.received - began, 2), n.host) for n in notes)
