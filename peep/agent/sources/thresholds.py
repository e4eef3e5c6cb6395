"""When a reading is worth a word: alarms in real units, raised once and cleared once.

A reading near a threshold goes to and fro. Two things keep that from being heard: an
alarm is cleared at a lower reading than it is raised at (hysteresis), and either way
only once the reading has stayed there for `for_s`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from peep.signals import Event, Tier, clamp_unit

if TYPE_CHECKING:
    from peep.config.document import Node

TIERS = {tier.name.lower(): tier for tier in Tier}
MAX_FOR_S = 86_400.0  # an alarm that waits longer than a day is none
# Without `clear`, an alarm is cleared this much below where it is raised.
CLEARANCE = 0.05


class Scale(msgspec.Struct, frozen=True):
    """Which readings are heard as nothing and as all; between, linearly."""

    low: float
    high: float

    def value(self, reading: float) -> float:
        """Return 0…1."""
        return clamp_unit((reading - self.low) / (self.high - self.low))


class Alarm(msgspec.Struct, frozen=True):
    """Raised at `above` or more, cleared at `clear` or less, each after `for_s`."""

    above: float
    clear: float
    for_s: float = 0.0
    tier: Tier = Tier.NOTABLE


def read_tier(node: Node, default: Tier = Tier.NOTABLE) -> Tier:
    """Read routine, notable or alert."""
    return TIERS[node.choice(TIERS, default.name.lower())]


def read_scale(low: Node, high: Node, default: Scale, most: float) -> Scale:
    """Read the readings that a state runs between; `high` must be the higher one."""
    scale = Scale(
        low.number(default.low, low=-most, high=most),
        high.number(default.high, low=-most, high=most),
    )
    if scale.low < scale.high:
        return scale
    (high if high.given else low).problem(
        f"{scale.low:g} … {scale.high:g} is no range: `high` must be above `low`"
    )
    return default


def read_alarm(
    keys: dict[str, Node], default: Alarm | None, most: float
) -> Alarm | None:
    """Read `alarm`, `clear`, `for_s` and `tier`; none without `alarm` or a default."""
    at = keys["alarm"]
    base = default or Alarm(0.0, 0.0)
    if default is None and not at.given:
        for key in ("clear", "for_s", "tier"):
            if keys[key].given:
                keys[key].problem("there is no `alarm` that it could belong to")
        return None
    above = at.number(base.above, low=-most, high=most)
    usual = above - CLEARANCE * abs(above) if at.given else base.clear
    alarm = Alarm(
        above,
        keys["clear"].number(usual, low=-most, high=most),
        keys["for_s"].number(base.for_s, low=0.0, high=MAX_FOR_S),
        read_tier(keys["tier"], base.tier),
    )
    if alarm.clear > alarm.above:
        keys["clear"].problem(f"must not be above `alarm`, which is {above:g}")
    return alarm


class Settled:
    """A yes or no that is believed once it lasted for `for_s`; at first it is no."""

    def __init__(self, for_s: float) -> None:
        self.value = False
        self._for_s = for_s
        self._since: float | None = None

    def feed(self, value: bool, now: float) -> bool:  # noqa: FBT001 - what it holds
        """Return whether what is believed has changed by this."""
        if value == self.value:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._since < self._for_s:
            return False
        self.value, self._since = value, None
        return True


class Watch:
    """Follows one reading, and says when its alarm is raised or cleared."""

    def __init__(self, alarm: Alarm, name: str, event: str, instance: str = "") -> None:
        """Tell of `event` (as disk-full), and of its end by `name`-ok."""
        self._alarm = alarm
        self._name = name
        self._event = event
        self._instance = instance
        self._raised = Settled(alarm.for_s)

    def feed(self, reading: float, now: float, said: str) -> Event | None:
        """Return the event of a crossing; `said` puts the reading into words."""
        if not math.isfinite(reading):
            return None
        alarm = self._alarm
        is_high = (
            reading > alarm.clear if self._raised.value else reading >= alarm.above
        )
        if not self._raised.feed(is_high, now):
            return None
        raised = self._raised.value
        return Event(
            name=f"system.{self._event}" if raised else f"system.{self._name}-ok",
            tier=alarm.tier if raised else Tier.ROUTINE,
            family="system",
            instance=self._instance,
            text=said,
        )
