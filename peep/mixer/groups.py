"""Alerts with one cause, told as one group.

Three hundred agents that die with one switch are one misfortune, a spool that comes
back after a night is one delivery, a host whose every service screams is one host in
trouble; none must sound three hundred times, and none of them may go untold. The first
of a *group* is told at once. Those that follow within GROUP_S of the last one are
gathered and told together, one telling every GATHER_S at most; so everybody is told
within GATHER_S. Groups are numbered from 1 on, and all tellings of one bear its number.

A host's alerts ring alone as long as they are few: HOST_BURST at once, and two a second
in the long run, beyond which nobody tells them apart. What passes that is the host's
group, and so is what follows it until the host has been quiet for FLOOD_QUIET_S. Alerts
of many hosts ring alone up to ALL_BURST at once and four a second; what passes that is
one group, too. So single alerts cannot cut each other off.

Not handled here: what a telling sounds like, and on which voice.
"""

import enum
import math
from collections.abc import Callable

import msgspec

from peep.mixer.outcomes import Carried
from peep.mixer.voices import BACKLOG_AGE_S
from peep.signals import Event

GROUP_S = 30.0  # a lease: agents that die at once are missed within one
GATHER_S = 2.0  # time to tell a sound from the next, and soon enough to be news
MAX_GROUP = 4096  # told by one cue: bounds the memory, 2,000 a second are told in time
HOST_BURST = 8
HOST_RATE_HZ = 2.0
ALL_BURST = 16
ALL_RATE_HZ = 4.0
FLOOD_QUIET_S = 5.0
MAX_FLOODS = 8  # hosts with a group of their own; together they tell four a second
MAX_HOSTS = 1024  # whose alerts are counted
_GONE = frozenset({"peep.agent-lost", "peep.agent-missing"})


class Cause(enum.Enum):
    """What makes alerts one group."""

    GONE = "gone"  # agents that are heard no more
    LATE = "late"  # alerts told long after they happened
    FLOOD = "flood"  # too many of one host
    MANY = "many"  # too many of many hosts


class Telling(msgspec.Struct, frozen=True):
    """Alerts to be told now, by one cue of their group; 0 is none."""

    alerts: tuple[Carried, ...]
    cause: Cause | None = None
    group: int = 0


class _Group(msgspec.Struct):
    """The group of a cause: who waits to be told, and when that began."""

    number: int
    cause: Cause
    last: float  # when the last one came
    told: float  # when one was last told
    gathered: list[Carried]

    def due(self) -> float:
        return self.told + GATHER_S if self.gathered else math.inf

    def is_over(self, now: float) -> bool:
        return now >= self.last + GROUP_S and not self.gathered


_Key = tuple[Cause, str]  # the host, of a FLOOD


class Groups:
    """The groups that are open: one of each cause, and of hosts in trouble."""

    def __init__(self) -> None:
        self._open: dict[_Key, _Group] = {}
        self._numbered = 0
        self._full_at: dict[str, float] = {}  # by host: when its bucket is full again
        self._all_full_at = -math.inf

    def take(self, alert: Carried, age_s: float, now: float) -> Telling | None:
        """Take in an alert that was born `age_s` ago; return what to tell at once."""
        key = self._key(alert.signal, age_s, now)
        if key is None:
            return Telling((alert,))
        group = self._open.get(key)
        if group is None or group.is_over(now):
            self._numbered += 1
            group = _Group(self._numbered, key[0], now, -math.inf, [])
            self._open[key] = group
        group.last = now
        group.gathered.append(alert)
        if now >= group.due() or len(group.gathered) >= MAX_GROUP:
            return _tell(group, now)
        return None

    def due(self, now: float) -> list[Telling]:
        """Return what has been gathered for long enough."""
        return [_tell(it, now) for it in self._open.values() if now >= it.due()]

    def next_due(self) -> float:
        """Return when something will have been gathered for long enough, or inf."""
        return min((group.due() for group in self._open.values()), default=math.inf)

    def remove(self, unwanted: Callable[[Carried], bool]) -> list[Carried]:
        """Remove and return those gathered that are unwanted."""
        removed: list[Carried] = []
        for group in self._open.values():
            removed += [alert for alert in group.gathered if unwanted(alert)]
            group.gathered = [it for it in group.gathered if not unwanted(it)]
        return removed

    def drain(self) -> list[Carried]:
        """Remove and return all that was gathered."""
        rest = [alert for group in self._open.values() for alert in group.gathered]
        self._open.clear()
        return rest

    def _key(self, alert: Event, age_s: float, now: float) -> _Key | None:
        """Return which group an alert belongs to, if any."""
        if age_s > BACKLOG_AGE_S:
            return Cause.LATE, ""
        if alert.name in _GONE:
            return Cause.GONE, ""
        host = alert.host
        for key in ((Cause.FLOOD, host), (Cause.MANY, "")):
            group = self._open.get(key)
            if group is not None and now < group.last + FLOOD_QUIET_S:
                return key
        if not self._host_passes(host, now):
            return self._flood(host, now)
        if not self._all_pass(now):
            return Cause.MANY, ""
        return None

    def _host_passes(self, host: str, now: float) -> bool:
        """Say whether a host's alerts are few enough to ring alone (GCRA, I.371)."""
        if host not in self._full_at and len(self._full_at) >= MAX_HOSTS:
            self._full_at = {h: at for h, at in self._full_at.items() if at > now}
            if len(self._full_at) >= MAX_HOSTS:
                return True  # so many hosts that the bucket of all is what counts
        full_at = max(self._full_at.get(host, -math.inf), now) + 1 / HOST_RATE_HZ
        passes = full_at <= now + HOST_BURST / HOST_RATE_HZ
        if passes:
            self._full_at[host] = full_at
        return passes

    def _all_pass(self, now: float) -> bool:
        full_at = max(self._all_full_at, now) + 1 / ALL_RATE_HZ
        passes = full_at <= now + ALL_BURST / ALL_RATE_HZ
        if passes:
            self._all_full_at = full_at
        return passes

    def _flood(self, host: str, now: float) -> _Key:
        """Return the group of a host's flood; that of all if too many have one."""
        key = (Cause.FLOOD, host)
        if key in self._open:
            return key
        self._open = {k: g for k, g in self._open.items() if not g.is_over(now)}
        floods = sum(cause is Cause.FLOOD for cause, _ in self._open)
        return key if floods < MAX_FLOODS else (Cause.MANY, "")


def _tell(group: _Group, now: float) -> Telling:
    alerts, group.gathered, group.told = tuple(group.gathered), [], now
    return Telling(alerts, group.cause, group.number)
