"""States → the levels of layers.

A *layer* follows the highest of all states that are mapped to it, of whatever origin
(whoever sent them): the worst is what one must hear. That one is its *leader*. States
are held until their origin is forgotten.

A value is heard in steps of half a LU, equal in loudness since layers are (0…1 spans
about 10 LU evenly), and leaves a step only when it is well out of it: a reading that
trembles is no news. Where the theme names layers `above` certain values, another layer
takes over there, and gives back only HYSTERESIS below.

A state is *unknown* when it is overdue (watch.py), or when its origin is late. Then it
sounds no more, since nobody knows it, and the theme's layer for the unknown does, the
fuller the more origins are so: calm must never be mistaken for missing.

Operators may let a state be unheard: it is held, but not heard, until they think
better of it.
"""

from __future__ import annotations

import bisect
import enum
import math
from typing import TYPE_CHECKING

import msgspec

from peep.mixer.commands import Level
from peep.mixer.sounding import SoundingLayer
from peep.mixer.watch import Watch, deadline
from peep.reasons import Reason
from peep.signals import State, clamp_unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.mixer.controls import Controls, Verdict
    from peep.mixer.place import Places
    from peep.theme import Theme, Voicing

MAX_HELD = 65_536  # states held at once over all hosts; a flood of names
MAX_NAMES = 4096  # whose layer is remembered, to look it up once
FORGET_FADE_S = 3.0  # how a lost agent's states go
RESTORE_FADE_S = 0.3  # how all layers come back on a new engine
STEPS = 20  # half a LU each: less than is noticed
_TREMBLE = 0.75  # of a step: how far from it a value may stray and stay in it
HYSTERESIS = 0.05  # under a threshold, until the lower layer is heard again
UNKNOWN_LEAST = 0.4  # plainly there for one origin, full for a hundred
UNKNOWN_DECADE = 0.3

# Named once: to reach an enum's member takes 70 ns.
_UNCHANGED = Reason.UNCHANGED
_MASKED = Reason.MASKED


class _As(enum.Enum):
    """How a held state stands."""

    NOTHING = 0  # nobody wants to hear it
    LEVEL = 1  # among the ranks of its layer
    UNKNOWN = 2


_LEVEL, _UNKNOWN = _As.LEVEL, _As.UNKNOWN


class _Held(msgspec.Struct, eq=False):
    """A state as last told, and what is heard of it."""

    origin: str
    state: State
    class_name: str
    voicing: Voicing
    verdict: Verdict
    layer: str
    value: float  # the step that it is in
    at: float  # when it was last told
    overdue: bool = False
    stands: _As = _As.NOTHING

    def rank(self) -> _Rank:
        return self.value, self.origin, self.state.name, self


_Rank = tuple[float, str, str, _Held]  # unique before it comes to the last


class Layers:
    """All layers of a theme. What is returned are the levels that change."""

    def __init__(self, theme: Theme, places: Places) -> None:
        self._theme = theme
        self._places = places
        self._voicings: dict[str, Voicing | None] = {}
        self._held: dict[str, dict[str, _Held]] = {}  # by origin and name
        self._count = 0
        # By value, the leader last: thousands of hosts say theirs again and again.
        self._ranks: dict[str, list[_Rank]] = {name: [] for name in theme.layers}
        self._sent: dict[str, Level] = {}
        self._late: set[str] = set()  # origins
        self._unknown: dict[str, int] = {}  # how many are heard as such, by origin
        self._watch = Watch()

    def feed(
        self, state: State, origin: str, class_name: str, now: float, verdict: Verdict
    ) -> tuple[list[Level], Reason | None]:
        """Take a state as last told; return what changes, or why it is not heard.

        What is not heard may change something, too: it may have been heard before.
        """
        voicing = self._voicing(state)
        if voicing is None:
            return [], Reason.UNMAPPED
        levels = self.returned(origin) if origin in self._late else []
        held = self._held.get(origin, {}).get(state.name)
        exact = clamp_unit(state.value)
        value = _step(exact, held)
        layer = _layer(voicing, exact, held) if voicing.above else voicing.sound
        if held is None:
            if self._count >= MAX_HELD:
                return levels, Reason.TABLE_FULL
            held = _Held(origin, state, class_name, voicing, verdict, layer, value, now)
            self._held.setdefault(origin, {})[state.name] = held
            self._count += 1
            before = None
        else:
            if voicing.overdue_s:
                by = deadline(now, held.at, voicing.overdue_s)
                self._watch.expect((origin, state.name), by)
            held.at = now
            if (
                value == held.value
                and layer == held.layer
                and verdict is held.verdict
                and _same(held.state, state)
                and not held.overdue
            ):
                held.state, held.class_name = state, class_name
                return levels, verdict.reason or self._why_not(held)
            before = self._leave(held)
            held.state, held.class_name, held.verdict = state, class_name, verdict
            held.layer, held.value, held.overdue = layer, value, False
        self._enter(held)
        # Whoever neither leads nor led changes nothing; most never do.
        if before is not None:
            levels += self._level(before, voicing.fade_s)
        if held.stands is _LEVEL and self._ranks[layer][-1][3] is held:
            levels += self._level(layer, voicing.fade_s)
        if self._theme.unknown is not None:
            levels += self._level_unknown()
        if verdict.reason is not None or levels:
            return levels, verdict.reason
        return levels, self._why_not(held)

    def forget(self, origin: str) -> list[Level]:
        """Let an origin's states fall silent."""
        self._late.discard(origin)
        gone = self._held.pop(origin, {}).values()
        self._count -= len(gone)
        for held in gone:
            self._watch.forget((origin, held.state.name))
        return self._again([], gone, FORGET_FADE_S)

    def late(self, origin: str) -> list[Level]:
        """Take an origin's states for unknown until it is heard again."""
        mine = self._held.get(origin)
        if mine is None or origin in self._late:
            return []
        self._late.add(origin)
        return self._again(mine.values(), mine.values())

    def returned(self, origin: str) -> list[Level]:
        """Take an origin's states for known again."""
        if origin not in self._late:
            return []
        self._late.discard(origin)
        mine = self._held[origin].values()
        return self._again(mine, mine)

    def handle_timer(self, now: float) -> list[Level]:
        """Take for unknown what is overdue."""
        overdue = [self._held[origin][name] for origin, name in self._watch.due(now)]
        for held in overdue:
            held.overdue = True
        return self._again(overdue, overdue)

    def next_due(self) -> float:
        """Return when handle_timer wants to be called; inf is never."""
        return self._watch.next_due()

    def regulate(self, controls: Controls, fade_s: float) -> list[Level]:
        """Let be heard what the controls allow, and nothing else."""
        everything = [held for mine in self._held.values() for held in mine.values()]
        for held in everything:
            host, name = held.state.host, held.state.name
            held.verdict = controls.verdict((held.class_name, host, name, None))
        silent = {name for name, it in self._sent.items() if it.value is None}
        levels = self._again(everything, everything, fade_s)
        # Silence may be sudden; what comes back out of it should not be.
        return [
            msgspec.structs.replace(it, fade_s=max(fade_s, RESTORE_FADE_S))
            if it.layer in silent
            else it
            for it in levels
        ]

    def restore(self) -> list[Level]:
        """Return what brings a new engine to where the old one was."""
        return [
            msgspec.structs.replace(level, fade_s=RESTORE_FADE_S)
            for level in self._sent.values()
            if level.value is not None
        ]

    def sounding(self) -> tuple[SoundingLayer, ...]:
        """Return the layers that sound, with their leaders."""
        found = []
        for layer, level in self._sent.items():
            ranks = self._ranks[layer]
            if level.value is not None and ranks:
                leader = ranks[-1][3].state
                name, host, count = leader.name, leader.host, len(ranks)
                found.append(SoundingLayer(layer, level.value, name, host, count))
            elif level.value is not None:
                count = len(self._unknown)
                found.append(SoundingLayer(layer, level.value, "", "", count))
        return tuple(found)

    # -- ranks --------------------------------------------------------------------

    def _enter(self, held: _Held) -> None:
        """Let a state stand where it belongs."""
        if held.verdict.reason is not None:
            held.stands = _As.NOTHING
        elif held.overdue or held.origin in self._late:
            held.stands = _UNKNOWN
            self._unknown[held.origin] = self._unknown.get(held.origin, 0) + 1
        else:
            held.stands = _LEVEL
            bisect.insort(self._ranks[held.layer], held.rank())

    def _leave(self, held: _Held) -> str | None:
        """Take a state from where it stands; return the layer that it led, if any."""
        if held.stands is _UNKNOWN:
            self._unknown[held.origin] -= 1
            if not self._unknown[held.origin]:
                del self._unknown[held.origin]
        if held.stands is not _LEVEL:
            return None
        ranks = self._ranks[held.layer]
        led = ranks[-1][3] is held
        del ranks[bisect.bisect_left(ranks, held.rank())]
        return held.layer if led else None

    def _again(
        self,
        entering: Iterable[_Held],
        leaving: Iterable[_Held],
        fade_s: float | None = None,
    ) -> list[Level]:
        """Let states stand anew; return what changes."""
        touched: dict[str, float] = {}
        for held in leaving:
            if held.stands is _LEVEL:
                touched[held.layer] = held.voicing.fade_s
            self._leave(held)
        for held in entering:
            self._enter(held)
            if held.stands is _LEVEL:
                touched[held.layer] = held.voicing.fade_s
        levels = []
        for layer, own_fade_s in touched.items():
            levels += self._level(layer, own_fade_s if fade_s is None else fade_s)
        return levels + self._level_unknown(fade_s)

    def _why_not(self, held: _Held) -> Reason:
        """Say why a state that is to be heard changes nothing."""
        leads = held.stands is _LEVEL and self._ranks[held.layer][-1][3] is held
        return _UNCHANGED if leads else _MASKED

    def _voicing(self, state: State) -> Voicing | None:
        try:
            return self._voicings[state.name]
        except KeyError:
            if len(self._voicings) >= MAX_NAMES:
                self._voicings.clear()
            voicing = self._theme.for_state(state)
            self._voicings[state.name] = voicing
            return voicing

    # -- levels -------------------------------------------------------------------

    def _level(self, layer: str, fade_s: float) -> list[Level]:
        """Return what brings a layer to its leader's level, if anything does."""
        ranks = self._ranks[layer]
        if not ranks:
            return self._send(Level(layer, None, 0.0, 0.0, fade_s))
        leader = ranks[-1][3]
        voicing, state = leader.voicing, leader.state
        gain_db = voicing.gain_db + state.gain_db + leader.verdict.gain_db
        pan = self._places.pan(voicing.pan + state.pan)
        return self._send(Level(layer, leader.value, gain_db, pan, fade_s))

    def _level_unknown(self, fade_s: float | None = None) -> list[Level]:
        """Return what brings the layer of the unknown to its level, if anything."""
        voicing = self._theme.unknown
        if voicing is None:
            return []
        value = None
        if self._unknown:
            decades = math.log10(len(self._unknown))
            fullness = min(1.0, UNKNOWN_LEAST + UNKNOWN_DECADE * decades)
            value = round(fullness * STEPS) / STEPS
        fade_s = voicing.fade_s if fade_s is None else fade_s
        pan = self._places.pan(voicing.pan)
        return self._send(Level(voicing.sound, value, voicing.gain_db, pan, fade_s))

    def _send(self, level: Level) -> list[Level]:
        last = self._sent.get(level.layer)
        # How long the last change took is no reason for another.
        if last is None:
            if level.value is None:
                return []
        elif (last.value, last.gain_db, last.pan) == (
            level.value,
            level.gain_db,
            level.pan,
        ):
            return []
        self._sent[level.layer] = level
        return [level]


def _same(one: State, other: State) -> bool:
    """Say whether a state says again what it said, its value aside."""
    return one.gain_db == other.gain_db and one.pan == other.pan


def _step(value: float, held: _Held | None) -> float:
    """Return the step that a value is heard as."""
    if held is not None and abs(value - held.value) * STEPS <= _TREMBLE:
        return held.value
    return round(value * STEPS) / STEPS


def _layer(voicing: Voicing, value: float, held: _Held | None) -> str:
    """Return the layer that a value is heard on."""
    layer = voicing.sound
    for least, other in voicing.above:
        given_back = held is not None and held.layer == other
        if value >= (least - HYSTERESIS if given_back else least):
            layer = other
    return layer
