"""The gains of the buses: the room's, the master's, and ducking.

An alert *ducks* the bed and the other events: they go down by DUCK_DB, at once, stay
there while alerts follow each other, and come back slowly. So an alert stands out by a
known amount, and a row of alerts does not make the bed pump.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from peep.mixer.commands import Bus, Fade

if TYPE_CHECKING:
    from peep.mixer.room import Room

DUCK_DB = 6.0  # half as loud is plainly less, and still there
DUCK_S = 0.05  # soon enough to be out of the way of an alert's onset
DUCK_HOLD_S = 0.6  # after an alert ends: the next of a row comes by then
MAX_DUCK_S = 4.0  # a long alert is heard by then
RELEASE_S = 1.5  # slow enough not to be an event itself
MASTER_S = 0.03  # the shortest fade that does not click

# Named once: to reach an enum's member takes 70 ns.
_BED, _EVENTS, _ALERTS, _MASTER = Bus


class Buses:
    """What each bus's gain is, and was told to be."""

    def __init__(self, room: Room) -> None:
        self._room_db = room.bed_gain_db
        self._wanted: dict[Bus, float | None] = dict.fromkeys(Bus, 0.0)
        self._told = dict(self._wanted)  # as an engine is when it begins
        self._ducked_until = -math.inf
        self._wanted[_BED] = self._room_db

    def duck(self, now: float, duration_s: float) -> list[Fade]:
        """Make way for an alert that sounds now, for so long."""
        until = now + min(duration_s + DUCK_HOLD_S, MAX_DUCK_S)
        self._ducked_until = max(self._ducked_until, until)
        return self._lower(DUCK_DB, DUCK_S)

    def set_master(self, gain_db: float | None) -> list[Fade]:
        """Let the master be so loud, or silent."""
        self._wanted[_MASTER] = gain_db
        return self._changes(MASTER_S)

    def handle_timer(self, now: float) -> list[Fade]:
        """Do what is due."""
        if now >= self._ducked_until > -math.inf:
            self._ducked_until = -math.inf
            return self._lower(0.0, RELEASE_S)
        return self._changes(0.0)

    def next_due(self) -> float:
        """Return when something is due; -inf is at once, inf never."""
        if self._wanted != self._told:
            return -math.inf
        return self._ducked_until if self._ducked_until > -math.inf else math.inf

    def restore(self) -> list[Fade]:
        """Return what brings a new engine to where the old one was."""
        self._told = dict.fromkeys(Bus, 0.0)
        return self._changes(0.0)

    def _lower(self, by_db: float, fade_s: float) -> list[Fade]:
        self._wanted[_BED] = self._room_db - by_db
        self._wanted[_EVENTS] = -by_db
        return self._changes(fade_s)

    def _changes(self, fade_s: float) -> list[Fade]:
        changed = [bus for bus in Bus if self._wanted[bus] != self._told[bus]]
        for bus in changed:
            self._told[bus] = self._wanted[bus]
        return [Fade(bus, self._wanted[bus], fade_s) for bus in changed]
