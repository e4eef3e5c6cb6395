"""Signals in, commands for the engine out; and for each signal, what became of it.

Rules. Every signal becomes exactly one Cue, or is carried by one, or becomes one
Suppression with a reason. An alert always sounds: at once, or within seconds with its
group. States and heartbeats belong to an *origin* (whoever sent them) and fall silent
when it is forgotten. Peep's own pulse is not a signal: the mixer beats it itself, so
that its absence tells of a dead pipeline too.

Not handled here: what anything sounds like (the theme), and how it is made (the
engine). No clock, no dice: `now` and the generator are given.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from peep.mixer.commands import (
    BEATS,
    PULSE_VOICE,
    VOICES,
    Beat,
    Command,
    Level,
    Play,
    clamp_pan,
)
from peep.mixer.groups import Cause, Groups, Telling, cause_of
from peep.mixer.layers import Layers
from peep.mixer.outcomes import Carried, Cue, Outcome, Suppression
from peep.mixer.voices import ALERT, BACKLOG_AGE_S, Backlog, Pool, Waiting
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, Signal, State

if TYPE_CHECKING:
    from random import Random

    from peep.theme import SoundBank, Theme, Voicing

MAX_KINDS = 4096  # of events whose voicing is remembered, to look it up once
COUNT_GAIN_DB = 3.0  # per factor of ten in an event's count
MAX_COUNT_GAIN_DB = 6.0
# A crowd of voices is hardly louder than the few that one can tell apart: above that
# many, each is lowered so that their powers' sum stays. Alerts are not.
TELLABLE_VOICES = 3
MAX_CROWD_DB = 12.0
_CROWD_DB = [
    min(MAX_CROWD_DB, 10 * math.log10(max(1.0, voices / TELLABLE_VOICES)))
    for voices in range(VOICES + 1)
]


class Mixer:
    """The mixer. `feed`, `forget`, `handle_timer` return commands."""

    def __init__(self, theme: Theme, bank: SoundBank, rng: Random) -> None:
        self._theme = theme
        self._bank = bank
        self._rng = rng
        self._pool = Pool()
        self._backlog = Backlog()
        self._groups = Groups()
        self._layers = Layers(theme)
        self._voicings: dict[tuple[str, int, str], Voicing | None] = {}
        self._last_variant: dict[str, int] = {}
        self._beats: dict[tuple[str, str], Beat] = {}  # by origin and name
        self._outcomes: deque[Outcome] = deque()
        self._pulse_at = float("-inf")

    def feed(
        self,
        signal: Signal,
        now: float,
        origin: str = "",
        age_s: float = 0.0,
        number: int = 0,
    ) -> list[Command]:
        """Take one signal that was born `age_s` ago; return what to do at once.

        `number` comes back in its outcome.
        """
        match signal:
            case Event():
                return self._feed_event(signal, now, age_s, number)
            case State():
                return self._feed_state(signal, origin, number)
            case Heartbeat():
                return self._feed_heartbeat(signal, origin, number)

    def forget(self, origin: str) -> list[Command]:
        """Let an origin's states and heartbeats fall silent."""
        commands: list[Command] = [*self._layers.forget(origin)]
        mine = [key for key in self._beats if key[0] == origin]
        beats = [self._beats.pop(key) for key in mine]
        commands += [msgspec.structs.replace(beat, rate_hz=0.0) for beat in beats]
        return commands

    def handle_timer(self, now: float) -> list[Command]:
        """Do what has come due: the pulse, groups, and events that waited."""
        commands: list[Command] = []
        pulse = self._theme.pulse
        if pulse is not None and now >= self._pulse_at:
            variant = self._variant(pulse.sound)
            commands.append(Play(PULSE_VOICE, pulse.sound, variant, pulse.gain_db, 0.0))
            # Not exactly even: a metronome is what one cannot stop hearing.
            self._pulse_at = now + pulse.every_s * (0.9 + 0.2 * self._rng.random())
        commands += [self._tell(telling, now) for telling in self._groups.due(now)]
        for old in self._backlog.expire(now):
            self._suppress(old.event, Reason.BACKLOG_AGE, old.number)
        while self._backlog:
            tier = self._backlog.first().event.tier
            if self._pool.next_free(tier) > now:
                break
            voice = self._pool.find(tier, now)
            assert voice is not None, "a voice was free"
            it = self._backlog.pop()
            commands.append(self._play(it.event, it.voicing, voice, now, it.number))
        return commands

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        next_at = self._groups.next_due()
        if self._theme.pulse is not None:
            next_at = min(next_at, self._pulse_at)
        if self._backlog:
            free_at = self._pool.next_free(self._backlog.first().event.tier)
            next_at = min(next_at, free_at, self._backlog.next_expiry())
        return next_at if next_at < float("inf") else None

    def next_event(self) -> Outcome | None:
        """Return the oldest untold outcome, or None."""
        return self._outcomes.popleft() if self._outcomes else None

    def drain(self) -> None:
        """Suppress what still waits: the end has come."""
        for alert in self._groups.drain():
            self._suppress(alert.signal, Reason.BACKLOG_AGE, alert.number)
        while self._backlog:
            waiting = self._backlog.pop()
            self._suppress(waiting.event, Reason.BACKLOG_AGE, waiting.number)

    # -- events ---------------------------------------------------------------

    def _feed_event(
        self, event: Event, now: float, age_s: float, number: int
    ) -> list[Command]:
        voicing = self._voicing(event)
        if voicing is None:
            return self._suppress(event, Reason.UNMAPPED, number)
        if event.tier is ALERT:
            cause = cause_of(event, age_s)
            if cause is not None:
                telling = self._groups.take(Carried(event, number), cause, now)
                return [] if telling is None else [self._tell(telling, now)]
        elif age_s > BACKLOG_AGE_S:
            return self._suppress(event, Reason.STALE, number)
        voice = self._pool.find(event.tier, now)
        if voice is not None:
            return [self._play(event, voicing, voice, now, number)]
        dropped = self._backlog.push(Waiting(event, voicing, now, number))
        if dropped is not None:
            self._suppress(dropped.event, Reason.BACKLOG_FULL, dropped.number)
        return []

    def _play(
        self, event: Event, voicing: Voicing, voice: int, now: float, number: int
    ) -> Play:
        play = self._sound(event, voicing, event.count, voice, now)
        self._outcomes.append(Cue(event, play.sound, voice, number))
        return play

    def _tell(self, telling: Telling, now: float) -> Play:
        """Sound a group: as the first of those told, and as loud as them all."""
        first, *others = telling.alerts
        voicing = self._voicing(first.signal)
        assert voicing is not None, "only what has a sound is gathered"
        voice = self._pool.find(ALERT, now)
        assert voice is not None, "an alert always finds a voice"
        count = sum(alert.signal.count for alert in telling.alerts)
        play = self._sound(first.signal, voicing, count, voice, now)
        self._outcomes.append(
            Cue(
                first.signal,
                play.sound,
                voice,
                first.number,
                carried=tuple(others),
                group=telling.group,
                late=telling.cause is Cause.LATE,
            )
        )
        return play

    def _sound(
        self, event: Event, voicing: Voicing, count: int, voice: int, now: float
    ) -> Play:
        """Take a voice for an event, and return how it sounds."""
        variant = self._variant(voicing.sound)
        duration_s = self._bank.variants[voicing.sound][variant].duration_s
        self._pool.take(voice, event.tier, now + duration_s)
        gain_db = voicing.gain_db + event.gain_db
        if count > 1:
            gain_db += min(MAX_COUNT_GAIN_DB, COUNT_GAIN_DB * math.log10(count))
        if event.tier is not ALERT:
            gain_db -= _CROWD_DB[self._pool.sounding(now)]
        pan = clamp_pan(voicing.pan + event.pan)
        return Play(voice, voicing.sound, variant, gain_db, pan)

    def _voicing(self, event: Event) -> Voicing | None:
        kind = (event.name, event.tier, event.family)
        try:
            return self._voicings[kind]
        except KeyError:
            if len(self._voicings) >= MAX_KINDS:
                self._voicings.clear()
            voicing = self._theme.for_event(event)
            self._voicings[kind] = voicing
            return voicing

    def _variant(self, sound: str) -> int:
        """Choose a variant, never the last one again if there are others."""
        count = len(self._bank.variants[sound])
        if count == 1:
            return 0
        last = self._last_variant.get(sound)
        if last is None:
            variant = int(count * self._rng.random())
        else:
            variant = (last + 1 + int((count - 1) * self._rng.random())) % count
        self._last_variant[sound] = variant
        return variant

    def _suppress(self, signal: Signal, reason: Reason, number: int) -> list[Command]:
        """Say why a signal is not heard; return what to do about it: nothing."""
        self._outcomes.append(Suppression(signal, reason, number))
        return []

    # -- states and heartbeats --------------------------------------------------

    def _feed_state(self, state: State, origin: str, number: int) -> list[Command]:
        level = self._layers.feed(state, origin)
        if not isinstance(level, Level):
            return self._suppress(state, level, number)
        self._outcomes.append(Cue(state, level.layer, level.layer, number))
        return [level]

    def _feed_heartbeat(
        self, heartbeat: Heartbeat, origin: str, number: int
    ) -> list[Command]:
        voicing = self._theme.for_heartbeat(heartbeat)
        if voicing is None:
            return self._suppress(heartbeat, Reason.UNMAPPED, number)
        key = (origin, heartbeat.name)
        last = self._beats.get(key)
        place = self._free_beat() if last is None else last.beat
        if place is None:
            return self._suppress(heartbeat, Reason.TABLE_FULL, number)
        beat = Beat(
            place,
            voicing.sound,
            max(0.0, heartbeat.rate_hz),
            voicing.gain_db + heartbeat.gain_db,
            clamp_pan(voicing.pan + heartbeat.pan),
        )
        if beat == last or (last is None and not beat.rate_hz):
            return self._suppress(heartbeat, Reason.UNCHANGED, number)
        if beat.rate_hz:
            self._beats[key] = beat
        else:
            del self._beats[key]
        self._outcomes.append(Cue(heartbeat, voicing.sound, place, number))
        return [beat]

    def _free_beat(self) -> int | None:
        taken = {beat.beat for beat in self._beats.values()}
        return next((n for n in range(BEATS) if n not in taken), None)
