"""States → the levels of layers.

A *layer* follows the highest of all states that are mapped to it, of whatever origin
(whoever sent them): the worst is what one must hear. That one is its *leader*. States
are held until their origin is forgotten.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from peep.mixer.commands import Level, clamp_pan
from peep.reasons import Reason
from peep.signals import State, clamp_unit

if TYPE_CHECKING:
    from peep.theme import Theme, Voicing

MAX_HELD = 65_536  # states held at once over all hosts; a flood of names
MAX_NAMES = 4096  # whose layer is remembered, to look it up once
FORGET_FADE_S = 3.0  # how a lost agent's states go

# Named once: to reach an enum's member takes 70 ns.
_UNCHANGED = Reason.UNCHANGED
_MASKED = Reason.MASKED

_Rank = tuple[float, str, str, State]  # value, origin, name; and the state itself


class Layers:
    """All layers of a theme. `feed` and `forget` return what changes."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._voicings: dict[str, Voicing | None] = {}
        self._held: dict[str, dict[str, _Rank]] = {}  # by origin and name
        self._count = 0
        # By value, the leader last: thousands of hosts say theirs again and again.
        self._ranks: dict[str, list[_Rank]] = {name: [] for name in theme.layers}
        self._sent: dict[str, Level] = {}

    def feed(self, state: State, origin: str) -> Level | Reason:
        """Take a state as last told; return its layer's new level, or why none."""
        voicing = self._voicing(state)
        if voicing is None:
            return Reason.UNMAPPED
        ranks = self._ranks[voicing.sound]
        held = self._held.get(origin, {})
        last = held.get(state.name)
        led = ranks[-1] if ranks else None
        if last is None:
            if self._count >= MAX_HELD:
                return Reason.TABLE_FULL
            self._count += 1
            self._held[origin] = held
        elif _same(last[3], state):
            return _UNCHANGED if led is last else _MASKED
        else:
            del ranks[bisect.bisect_left(ranks, last)]
        rank = (clamp_unit(state.value), origin, state.name, state)
        bisect.insort(ranks, rank)
        held[state.name] = rank
        leads = ranks[-1] is rank
        # Whoever neither leads nor led changes nothing; most never do.
        if leads or ranks[-1] is not led:
            level = self._level(voicing.sound, voicing.fade_s)
            if level is not None:
                return level
        return _UNCHANGED if leads else _MASKED

    def forget(self, origin: str) -> list[Level]:
        """Let an origin's states fall silent."""
        touched: dict[str, None] = {}
        for rank in self._held.pop(origin, {}).values():
            voicing = self._voicing(rank[3])
            assert voicing is not None, "only what has a layer is held"
            ranks = self._ranks[voicing.sound]
            del ranks[bisect.bisect_left(ranks, rank)]
            touched[voicing.sound] = None
            self._count -= 1
        levels = (self._level(layer, FORGET_FADE_S) for layer in touched)
        return [level for level in levels if level is not None]

    def _voicing(self, state: State) -> Voicing | None:
        try:
            return self._voicings[state.name]
        except KeyError:
            if len(self._voicings) >= MAX_NAMES:
                self._voicings.clear()
            voicing = self._theme.for_state(state)
            self._voicings[state.name] = voicing
            return voicing

    def _level(self, layer: str, fade_s: float) -> Level | None:
        """Return what brings a layer to its leader's level, if anything does."""
        ranks = self._ranks[layer]
        if ranks:
            value, _, _, leader = ranks[-1]
            voicing = self._voicing(leader)
            assert voicing is not None, "only what has a layer is held"
            gain_db = voicing.gain_db + leader.gain_db
            pan = clamp_pan(voicing.pan + leader.pan)
            level = Level(layer, value, gain_db, pan, fade_s)
        else:
            level = Level(layer, None, 0.0, 0.0, fade_s)
        last = self._sent.get(layer)
        # How long the last change took is no reason for another.
        if last is not None and (last.value, last.gain_db, last.pan) == (
            level.value,
            level.gain_db,
            level.pan,
        ):
            return None
        self._sent[layer] = level
        return level


def _same(one: State, other: State) -> bool:
    """Say whether a state says again what it said."""
    return (
        one.value == other.value
        and one.gain_db == other.gain_db
        and one.pan == other.pan
    )
