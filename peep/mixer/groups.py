"""Alerts with one cause, told as one group.

Three hundred agents that die with one switch are one misfortune, and a spool that
comes back after a night is one delivery; neither must sound three hundred times, and
none of them may go untold. The first of a *group* is told at once. Those that follow
within GROUP_S of the last one are gathered and told together, one telling every
GATHER_S at most; so everybody is told within GATHER_S. Groups are numbered from 1 on,
and all tellings of one bear its number.

Not handled here: what a telling sounds like, and on which voice.
"""

import enum

import msgspec

from peep.mixer.outcomes import Carried
from peep.mixer.voices import BACKLOG_AGE_S
from peep.signals import Event

GROUP_S = 30.0  # a lease: agents that die at once are missed within one
GATHER_S = 2.0  # time to tell a sound from the next, and soon enough to be news
MAX_GROUP = 4096  # told by one cue: bounds the memory, 2,000 a second are told in time
_GONE = frozenset({"peep.agent-lost", "peep.agent-missing"})


class Cause(enum.Enum):
    """What makes alerts one group."""

    GONE = "gone"  # agents that are heard no more
    LATE = "late"  # alerts told long after they happened


def cause_of(alert: Event, age_s: float) -> Cause | None:
    """Return what groups an alert that was born `age_s` ago, if anything does."""
    if age_s > BACKLOG_AGE_S:
        return Cause.LATE
    return Cause.GONE if alert.name in _GONE else None


class Telling(msgspec.Struct, frozen=True):
    """Alerts to be told now, by one cue of their group."""

    alerts: tuple[Carried, ...]
    cause: Cause
    group: int


class _Group(msgspec.Struct):
    """The group of a cause: who waits to be told, and when that began."""

    number: int
    last: float  # when the last one came
    told: float  # when one was last told
    gathered: list[Carried]

    def due(self) -> float:
        return self.told + GATHER_S if self.gathered else float("inf")


class Groups:
    """The groups that are open, one of each cause at most."""

    def __init__(self) -> None:
        self._open: dict[Cause, _Group] = {}
        self._numbered = 0

    def take(self, alert: Carried, cause: Cause, now: float) -> Telling | None:
        """Take an alert in; return what is to be told at once, if anything is."""
        group = self._open.get(cause)
        if group is None or (now - group.last >= GROUP_S and not group.gathered):
            self._numbered += 1
            group = _Group(self._numbered, now, float("-inf"), [])
            self._open[cause] = group
        group.last = now
        group.gathered.append(alert)
        if now >= group.due() or len(group.gathered) >= MAX_GROUP:
            return _tell(group, cause, now)
        return None

    def due(self, now: float) -> list[Telling]:
        """Return what has been gathered for long enough."""
        return [
            _tell(group, cause, now)
            for cause, group in self._open.items()
            if now >= group.due()
        ]

    def next_due(self) -> float:
        """Return when something will have been gathered for long enough, or inf."""
        return min((group.due() for group in self._open.values()), default=float("inf"))

    def drain(self) -> list[Carried]:
        """Remove and return all that was gathered."""
        rest = [alert for group in self._open.values() for alert in group.gathered]
        self._open.clear()
        return rest


def _tell(group: _Group, cause: Cause, now: float) -> Telling:
    alerts, group.gathered, group.told = tuple(group.gathered), [], now
    return Telling(alerts, cause, group.number)
