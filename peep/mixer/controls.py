"""What the operator said: mute, solo, snooze, gain. And quiet hours.

An *act* changes the table of *controls*. Each control has a *scope*: all signals, or
those of a class, a host, a tier, or a name and all that begin with it, by dots.

Rules. What any mute or snooze covers is not heard, alerts neither; a snooze ends by
itself, a mute only if it was told to. Where anything is soloed, only what some solo
covers is heard. Gains of all scopes that cover a signal add up; that of the scope "all"
is the master's, so that it turns what sounds already. In quiet hours states, heartbeats
and routine events are not heard, notable ones are softer, alerts are as ever.

States and heartbeats have no tier: no control of a tier covers them. Not handled here:
what becomes of that which sounds already (mixer.py), and when it is quiet (the server,
who knows the time of day).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec

from peep.errors import PeepError
from peep.reasons import Reason
from peep.signals import GAIN_RANGE_DB, Tier

if TYPE_CHECKING:
    from collections.abc import Container

MAX_CONTROLS = 256  # more than anyone keeps in mind; bounds what verdicts cost
MAX_FOR_S = 366 * 86_400.0  # whoever wants longer means "until I say"
MAX_VALUE_LENGTH = 255  # of a host's name, the longest there is
MAX_VERDICTS = 4096  # remembered, to be found once
QUIET_GAIN_DB = -6.0  # of notable events in quiet hours

# Whose signal: class, host, name, and tier if it is an event.
Whose = tuple[str, str, str, Tier | None]


class Scope(msgspec.Struct, frozen=True):
    """Which signals a control is about. `value` is empty for "all".

    A host or class is named exactly, a name by a dotted beginning, a tier by its word.
    """

    kind: Literal["all", "class", "host", "name", "tier"] = "all"
    value: str = ""

    def covers(self, whose: Whose) -> bool:
        """Say whether it is about this signal."""
        class_name, host, name, tier = whose
        match self.kind:
            case "all":
                return True
            case "class":
                return class_name == self.value
            case "host":
                return host == self.value
            case "name":
                return name == self.value or name.startswith(f"{self.value}.")
            case "tier":
                return tier is not None and tier.name.lower() == self.value


ALL = Scope()


class Mute(msgspec.Struct, frozen=True, tag_field="act", tag="mute"):
    """Do not sound a scope, until told otherwise or for a time."""

    scope: Scope
    for_s: float | None = None


class Unmute(msgspec.Struct, frozen=True, tag_field="act", tag="unmute"):
    """End a scope's mute, and its snooze; "all" ends every one."""

    scope: Scope


class Solo(msgspec.Struct, frozen=True, tag_field="act", tag="solo"):
    """Sound nothing but what is soloed."""

    scope: Scope


class Unsolo(msgspec.Struct, frozen=True, tag_field="act", tag="unsolo"):
    """End a scope's solo; "all" ends every one."""

    scope: Scope


class Snooze(msgspec.Struct, frozen=True, tag_field="act", tag="snooze"):
    """Do not sound a scope for a time."""

    scope: Scope
    for_s: float


class Gain(msgspec.Struct, frozen=True, tag_field="act", tag="gain"):
    """Make a scope louder or softer; 0 dB ends it."""

    scope: Scope
    gain_db: float


class Clear(msgspec.Struct, frozen=True, tag_field="act", tag="clear"):
    """End all controls."""


Act = Mute | Unmute | Solo | Unsolo | Snooze | Gain | Clear


class Control(msgspec.Struct, frozen=True):
    """A control that holds, and for how much longer if it ends by itself."""

    what: Literal["mute", "solo", "snooze", "gain"]
    scope: Scope
    left_s: float | None = None
    gain_db: float = 0.0

    def act(self) -> Act:
        """Return the act that brings it about again."""
        match self.what:
            case "mute":
                return Mute(self.scope, self.left_s)
            case "solo":
                return Solo(self.scope)
            case "snooze":
                return Snooze(self.scope, self.left_s or 0.0)
            case "gain":
                return Gain(self.scope, self.gain_db)


class Verdict(msgspec.Struct, frozen=True):
    """Why a signal is not to be heard, or how much louder or softer it is."""

    reason: Reason | None = None
    gain_db: float = 0.0


HEARD = Verdict()


class _Held(msgspec.Struct, frozen=True):
    until: float = math.inf
    gain_db: float = 0.0


_What = Literal["mute", "solo", "snooze", "gain"]


class Controls:
    """The table of controls. `now` is seconds of the mixer's clock."""

    def __init__(self) -> None:
        self._held: dict[tuple[_What, Scope], _Held] = {}
        self._verdicts: dict[Whose, Verdict] = {}
        self.quiet = False
        self.active = False  # whether any verdict differs from HEARD
        self.ends_at = math.inf  # when the first of them ends by itself

    def act(self, act: Act, now: float) -> None:
        """Change the table. Raises PeepError for an act that makes no sense."""
        if isinstance(act, Clear):
            self._held.clear()
        else:
            _check(act.scope)
            self._change(act, act.scope, now)
        self._changed()

    def be_quiet(self, on: bool) -> None:  # noqa: FBT001 - on or off is all there is
        """Let quiet hours begin or end."""
        self.quiet = on
        self._changed()

    def expire(self, now: float) -> bool:
        """End what ends by itself; say whether anything did."""
        if now < self.ends_at:
            return False
        self._held = {key: it for key, it in self._held.items() if it.until > now}
        self._changed()
        return True

    def verdict(self, whose: Whose) -> Verdict:
        """Return what the controls mean for a signal."""
        if not self.active:
            return HEARD
        found = self._verdicts.get(whose)
        if found is None:
            if len(self._verdicts) >= MAX_VERDICTS:
                self._verdicts.clear()
            found = self._verdicts[whose] = self._judge(whose)
        return found

    def master_db(self) -> float | None:
        """Return the master's gain; None where all is muted."""
        if ("mute", ALL) in self._held or ("snooze", ALL) in self._held:
            return None
        gain = self._held.get(("gain", ALL))
        return 0.0 if gain is None else gain.gain_db

    def listed(self, now: float) -> tuple[Control, ...]:
        """Return what holds, the oldest first."""
        return tuple(
            Control(
                what,
                scope,
                None if held.until == math.inf else max(0.0, held.until - now),
                held.gain_db,
            )
            for (what, scope), held in self._held.items()
        )

    def _change(self, act: Act, scope: Scope, now: float) -> None:
        match act:
            case Mute(for_s=for_s):
                until = math.inf if for_s is None else _until(for_s, now)
                self._hold("mute", scope, _Held(until))
            case Snooze(for_s=for_s):
                self._hold("snooze", scope, _Held(_until(for_s, now)))
            case Unmute():
                self._end({"mute", "snooze"}, scope)
            case Solo():
                self._hold("solo", scope, _Held())
            case Unsolo():
                self._end({"solo"}, scope)
            case Gain(gain_db=gain_db):
                self._turn(scope, gain_db)

    def _turn(self, scope: Scope, gain_db: float) -> None:
        lowest, highest = GAIN_RANGE_DB
        if not lowest <= gain_db <= highest:
            msg = f"a gain is {lowest:g} to {highest:g} dB, not {gain_db:g}"
            raise PeepError(msg)
        if gain_db:
            self._hold("gain", scope, _Held(gain_db=gain_db))
        else:
            self._held.pop(("gain", scope), None)

    def _hold(self, what: _What, scope: Scope, held: _Held) -> None:
        if (what, scope) not in self._held and len(self._held) >= MAX_CONTROLS:
            raise PeepError(f"there are {MAX_CONTROLS} controls: end some of them")
        self._held[what, scope] = held

    def _end(self, what: Container[str], scope: Scope) -> None:
        """End what holds for a scope; for "all", whatever it holds for."""
        self._held = {
            key: held
            for key, held in self._held.items()
            if key[0] not in what or scope not in {ALL, key[1]}
        }

    def _changed(self) -> None:
        self._verdicts.clear()
        self.active = bool(self._held) or self.quiet
        self.ends_at = min((it.until for it in self._held.values()), default=math.inf)

    def _judge(self, whose: Whose) -> Verdict:
        covering = [key[0] for key in self._held if key[1].covers(whose)]
        tier = whose[3]
        if "mute" in covering:
            return Verdict(Reason.MUTED)
        if "snooze" in covering:
            return Verdict(Reason.SNOOZED)
        if "solo" not in covering and any(what == "solo" for what, _ in self._held):
            return Verdict(Reason.SOLOED)
        if self.quiet and (tier is None or tier is Tier.ROUTINE):
            return Verdict(Reason.QUIET)
        gain_db = QUIET_GAIN_DB if self.quiet and tier is Tier.NOTABLE else 0.0
        for (what, scope), held in self._held.items():
            if what == "gain" and scope != ALL and scope.covers(whose):
                gain_db += held.gain_db
        return Verdict(None, gain_db)


def _until(for_s: float, now: float) -> float:
    if not 0 < for_s <= MAX_FOR_S:
        raise PeepError(f"a time is more than 0 s and at most a year, not {for_s:g} s")
    return now + for_s


def _check(scope: Scope) -> None:
    """Raise PeepError for a scope that can cover nothing."""
    words = [tier.name.lower() for tier in Tier]
    if scope.kind == "all" and scope.value:
        raise PeepError('the scope "all" takes no value')
    if scope.kind == "tier" and scope.value not in words:
        raise PeepError(f"a tier is one of {', '.join(words)}")
    if scope.kind != "all" and not 0 < len(scope.value) <= MAX_VALUE_LENGTH:
        raise PeepError(
            f"a {scope.kind} has a name of 1 to {MAX_VALUE_LENGTH} characters"
        )
