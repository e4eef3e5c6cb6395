"""Signals in, commands for the engine out; and for each signal, what became of it.

Rules. Every signal becomes exactly one Cue or one Suppression with a reason. A *layer*
follows the highest of all states that are mapped to it, of whatever host: the worst is
what one must hear. States and heartbeats belong to an *origin* (whoever sent them) and
fall silent when it is forgotten. Peep's own pulse is not a signal: the mixer beats it
itself, so that its absence tells of a dead pipeline too.

Not handled here: what anything sounds like (the theme), and how it is made (the
engine). No clock, no dice: `now` and the generator are given.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from peep.mixer.commands import BEATS, PULSE_VOICE, Beat, Command, Level, Play
from peep.mixer.voices import BACKLOG_AGE_S, Backlog, Pool
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, Signal, State, Tier, clamp_unit

if TYPE_CHECKING:
    from random import Random

    from peep.theme import SoundBank, Theme, Voicing

MAX_HELD = 65_536  # states held at once over all hosts; a flood of names
COUNT_GAIN_DB = 3.0  # per factor of ten in an event's count
MAX_COUNT_GAIN_DB = 6.0
# A crowd of voices is hardly louder than the few that one can tell apart: above that
# many, each is lowered so that their powers' sum stays. Alerts are not.
TELLABLE_VOICES = 3
MAX_CROWD_DB = 12.0
FORGET_FADE_S = 3.0  # how a lost agent's states go


class Cue(msgspec.Struct, frozen=True):
    """A signal that is heard: on a voice, a layer or a beat."""

    signal: Signal
    sound: str
    place: int | str


class Suppression(msgspec.Struct, frozen=True):
    """A signal that makes no sound of its own."""

    signal: Signal
    reason: Reason


Outcome = Cue | Suppression


class _Held(msgspec.Struct, frozen=True):
    """A state as last told."""

    value: float
    gain_db: float
    pan: float
    fade_s: float


_Key = tuple[str, str]  # origin and name
_Rank = tuple[float, _Key]


class Mixer:
    """The mixer. `feed`, `forget`, `handle_timer` return commands."""

    def __init__(self, theme: Theme, bank: SoundBank, rng: Random) -> None:
        self._theme = theme
        self._bank = bank
        self._rng = rng
        self._pool = Pool()
        self._backlog = Backlog()
        self._last_variant: dict[str, int] = {}
        self._layers: dict[str, dict[_Key, _Held]] = {n: {} for n in theme.layers}
        # The same by value, the leader last: thousands of hosts say it again and again.
        self._ranks: dict[str, list[_Rank]] = {n: [] for n in theme.layers}
        self._sent: dict[str, Level] = {}
        self._held = 0
        self._beats: dict[_Key, Beat] = {}
        self._outcomes: deque[Outcome] = deque()
        self._pulse_at = float("-inf")

    def feed(
        self, signal: Signal, now: float, origin: str = "", age_s: float = 0.0
    ) -> list[Command]:
        """Take one signal that was born `age_s` ago; return what to do at once."""
        match signal:
            case Event():
                return self._feed_event(signal, now, age_s)
            case State():
                return self._feed_state(signal, origin)
            case Heartbeat():
                return self._feed_heartbeat(signal, origin)

    def forget(self, origin: str) -> list[Command]:
        """Let an origin's states and heartbeats fall silent."""
        commands: list[Command] = []
        for layer, held in self._layers.items():
            mine = [key for key in held if key[0] == origin]
            for key in mine:
                _unrank(self._ranks[layer], (held.pop(key).value, key))
            self._held -= len(mine)
            if mine:
                commands += self._level(layer, FORGET_FADE_S)
        for key in [key for key in self._beats if key[0] == origin]:
            commands.append(msgspec.structs.replace(self._beats.pop(key), rate_hz=0.0))
        return commands

    def handle_timer(self, now: float) -> list[Command]:
        """Do what has come due: the pulse, and events that waited."""
        commands: list[Command] = []
        pulse = self._theme.pulse
        if pulse is not None and now >= self._pulse_at:
            variant = self._variant(pulse.sound)
            commands.append(Play(PULSE_VOICE, pulse.sound, variant, pulse.gain_db, 0.0))
            # Not exactly even: a metronome is what one cannot stop hearing.
            self._pulse_at = now + pulse.every_s * (0.9 + 0.2 * self._rng.random())
        for waiting in self._backlog.expire(now):
            self._suppress(waiting.event, Reason.BACKLOG_AGE)
        while self._backlog:
            first = self._backlog.first().event
            if self._pool.next_free(first.tier) > now:
                break
            voicing = self._theme.for_event(first)
            assert voicing is not None, "only what has a sound waits for a voice"
            played = self._play(first, voicing, now)
            assert played is not None, "a voice was free"
            self._backlog.pop()
            commands.append(played)
        return commands

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        times = [self._pulse_at] if self._theme.pulse is not None else []
        if self._backlog:
            times.append(self._backlog.next_expiry())
            times.append(self._pool.next_free(self._backlog.first().event.tier))
        return min(times, default=None)

    def next_event(self) -> Outcome | None:
        """Return the oldest untold outcome, or None."""
        return self._outcomes.popleft() if self._outcomes else None

    def drain(self) -> None:
        """Suppress what still waits: the end has come."""
        while self._backlog:
            self._suppress(self._backlog.pop().event, Reason.BACKLOG_AGE)

    # -- events ---------------------------------------------------------------

    def _feed_event(self, event: Event, now: float, age_s: float) -> list[Command]:
        voicing = self._theme.for_event(event)
        if voicing is None:
            self._suppress(event, Reason.UNMAPPED)
            return []
        # Old alerts are still heard: somebody has to know.
        if age_s > BACKLOG_AGE_S and event.tier is not Tier.ALERT:
            self._suppress(event, Reason.STALE)
            return []
        played = self._play(event, voicing, now)
        if played is not None:
            return [played]
        dropped = self._backlog.push(event, now)
        if dropped is not None:
            self._suppress(dropped.event, Reason.BACKLOG_FULL)
        return []

    def _play(self, event: Event, voicing: Voicing, now: float) -> Play | None:
        variant = self._variant(voicing.sound)
        duration_s = self._bank.variants[voicing.sound][variant].duration_s
        voice = self._pool.take(event.tier, now, duration_s)
        if voice is None:
            return None
        self._last_variant[voicing.sound] = variant
        gain_db = min(MAX_COUNT_GAIN_DB, COUNT_GAIN_DB * math.log10(event.count))
        if event.tier is not Tier.ALERT:
            crowd = max(1.0, self._pool.sounding(now) / TELLABLE_VOICES)
            gain_db -= min(MAX_CROWD_DB, 10 * math.log10(crowd))
        self._outcomes.append(Cue(event, voicing.sound, voice))
        return Play(
            voice,
            voicing.sound,
            variant,
            voicing.gain_db + event.gain_db + gain_db,
            _pan(voicing.pan + event.pan),
        )

    def _variant(self, sound: str) -> int:
        """Choose a variant, never the last one again if there are others."""
        count = len(self._bank.variants[sound])
        last = self._last_variant.get(sound)
        if count == 1:
            return 0
        if last is None:
            return self._rng.randrange(count)
        return (last + 1 + self._rng.randrange(count - 1)) % count

    def _suppress(self, signal: Signal, reason: Reason) -> None:
        self._outcomes.append(Suppression(signal, reason))

    # -- states -----------------------------------------------------------------

    def _feed_state(self, state: State, origin: str) -> list[Command]:
        voicing = self._theme.for_state(state)
        if voicing is None:
            self._suppress(state, Reason.UNMAPPED)
            return []
        layer = voicing.sound
        held = self._layers[layer]
        key = (origin, state.name)
        if key not in held:
            if self._held >= MAX_HELD:
                self._suppress(state, Reason.TABLE_FULL)
                return []
            self._held += 1
        else:
            _unrank(self._ranks[layer], (held[key].value, key))
        value = clamp_unit(state.value)
        held[key] = _Held(
            value,
            voicing.gain_db + state.gain_db,
            _pan(voicing.pan + state.pan),
            voicing.fade_s,
        )
        bisect.insort(self._ranks[layer], (value, key))
        commands = self._level(layer, voicing.fade_s)
        if commands:
            self._outcomes.append(Cue(state, layer, layer))
        elif self._ranks[layer][-1][1] == key:
            self._suppress(state, Reason.UNCHANGED)
        else:
            self._suppress(state, Reason.MASKED)
        return commands

    def _level(self, layer: str, fade_s: float) -> list[Command]:
        """Return what brings a layer to its leader's level, if anything does."""
        ranks = self._ranks[layer]
        if ranks:
            leader = self._layers[layer][ranks[-1][1]]
            level = Level(layer, leader.value, leader.gain_db, leader.pan, fade_s)
        else:
            level = Level(layer, None, 0.0, 0.0, fade_s)
        last = self._sent.get(layer)
        # How long the last change took is no reason for another.
        if last is not None and level == msgspec.structs.replace(
            last, fade_s=level.fade_s
        ):
            return []
        self._sent[layer] = level
        return [level]

    # -- heartbeats -------------------------------------------------------------

    def _feed_heartbeat(self, heartbeat: Heartbeat, origin: str) -> list[Command]:
        voicing = self._theme.for_heartbeat(heartbeat)
        if voicing is None:
            self._suppress(heartbeat, Reason.UNMAPPED)
            return []
        key = (origin, heartbeat.name)
        last = self._beats.get(key)
        number = self._free_beat() if last is None else last.beat
        if number is None:
            self._suppress(heartbeat, Reason.TABLE_FULL)
            return []
        beat = Beat(
            number,
            voicing.sound,
            max(0.0, heartbeat.rate_hz),
            voicing.gain_db + heartbeat.gain_db,
            _pan(voicing.pan + heartbeat.pan),
        )
        if beat == last or (last is None and not beat.rate_hz):
            self._suppress(heartbeat, Reason.UNCHANGED)
            return []
        if beat.rate_hz:
            self._beats[key] = beat
        else:
            del self._beats[key]
        self._outcomes.append(Cue(heartbeat, voicing.sound, number))
        return [beat]

    def _free_beat(self) -> int | None:
        taken = {beat.beat for beat in self._beats.values()}
        return next((n for n in range(BEATS) if n not in taken), None)


def _pan(pan: float) -> float:
    return max(-1.0, min(1.0, pan))


def _unrank(ranks: list[_Rank], rank: _Rank) -> None:
    del ranks[bisect.bisect_left(ranks, rank)]
