"""Events → cues: which are folded, which get a voice, which wait.

Every event is told once: by a cue, in a cue of another, or by a suppression. Alerts
sound at once, or within seconds with their group (groups.py); others sound at once if
their kind was silent, else with their crowd (crowds.py), if there is a voice for them
(voices.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from peep.mixer.casting import Casting, count_gain_db
from peep.mixer.commands import VOICES, Bus, Command, Play, Stop
from peep.mixer.crowds import Crowds
from peep.mixer.flurries import Call, Flurries
from peep.mixer.groups import Cause, Groups, Telling
from peep.mixer.heard import Heard, heard, whose
from peep.mixer.outcomes import Carried, Cue, Outcome, Suppression
from peep.mixer.voices import (
    ALERT,
    ALERT_RANK,
    ALERT_VOICES,
    BACKLOG_AGE_S,
    Backlog,
    Pool,
    Waiting,
    rank_of,
)
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable
    from random import Random

    from peep.mixer.buses import Buses
    from peep.mixer.controls import Controls
    from peep.mixer.place import Places
    from peep.mixer.sounding import SoundingVoice
    from peep.signals import Event
    from peep.theme import SoundBank, Theme, Voicing

# A storm may be 10 LU louder than calm, and no more. So each voice is lowered by how
# many sound: a little more than keeps the sum of their powers (that would be 10 per
# factor of ten), since cues of many are louder themselves. Measured with the wetland
# theme: calm -32 LUFS, 10 events a second -23, a thousand of 40 kinds -21. Alerts are
# not lowered.
TELLABLE_VOICES = 1.5
CROWD_DB = 14.0
_CROWD_DB = [
    CROWD_DB * math.log10(max(1.0, voices / TELLABLE_VOICES))
    for voices in range(VOICES + 1)
]
# A chorus is behind what is rare: it has many voices, and tells nothing new.
CHORUS_GAIN_DB = -2.0
# Flurries sound only while so few voices do: news never waits for them.
FLURRY_VOICES = (VOICES - ALERT_VOICES) // 2

# Named once: to reach an enum's member takes 70 ns.
_EVENTS, _ALERTS = Bus.EVENTS, Bus.ALERTS
_BACKLOG_FULL = Reason.BACKLOG_FULL


class Events:
    """All that sounds once. Outcomes are appended to `told`."""

    def __init__(
        self,
        theme: Theme,
        bank: SoundBank,
        rng: Random,
        *,
        places: Places,
        controls: Controls,
        buses: Buses,
        told: deque[Outcome],
    ) -> None:
        self.casting = Casting(theme, bank, rng)
        self._places = places
        self._controls = controls
        self._buses = buses
        self._told = told
        self._pool = Pool()
        self._backlog = Backlog()
        self._groups = Groups()
        self._crowds = Crowds(rng)
        self._flurries = Flurries(rng)
        self._heard: list[tuple[Heard, float, float] | None] = [None] * VOICES

    def feed(
        self, event: Event, now: float, age_s: float, number: int, class_name: str
    ) -> list[Command]:
        """Take an event that is to be heard."""
        voicing = self.casting.voicing(event)
        if voicing is None:
            return self._suppress(event, Reason.UNMAPPED, number)
        one = Carried(event, number, class_name)
        if event.tier is ALERT:
            telling = self._groups.take(one, age_s, now)
            return [] if telling is None else self._tell(telling, now)
        if age_s > BACKLOG_AGE_S:
            return self._suppress(event, Reason.STALE, number)
        zone = self._places.zone(event.host, class_name).name
        kind = (event.name, event.tier, event.family, zone)
        events = self._crowds.take(kind, one, now)
        if events is None:
            return self._suppress(event, _BACKLOG_FULL, number)
        return self._sound_or_wait(tuple(events), voicing, now) if events else []

    def handle_timer(self, now: float) -> list[Command]:
        """Do what has come due: groups, crowds, flurries, and events that waited."""
        commands: list[Command] = []
        for telling in self._groups.due(now):
            commands += self._tell(telling, now)
        for old in self._backlog.expire(now):
            self._suppress_all(old.events, Reason.BACKLOG_AGE)
        while self._backlog:
            rank = self._backlog.first().rank
            voice = self._pool.find(rank, now)
            if voice is None:
                break
            it = self._backlog.pop()
            commands.append(self._play(it.events, it.voicing, voice, now))
        for events in self._crowds.due(now):
            voicing = self.casting.voicing(events[0].signal)
            assert voicing is not None, "only what has a sound is gathered"
            commands += self._sound_or_wait(tuple(events), voicing, now)
        for call in self._flurries.due(now):
            commands += self._call(call, now)
        return commands

    def next_due(self) -> float:
        """Return when handle_timer wants to be called; inf is never."""
        next_at = min(
            self._groups.next_due(), self._crowds.next_due(), self._flurries.next_due()
        )
        if self._backlog:
            chance = self._pool.next_chance(self._backlog.first().rank)
            next_at = min(next_at, chance, self._backlog.next_expiry())
        return next_at

    def drain(self) -> None:
        """Suppress what still waits: the end has come."""
        self._suppress_all(self._groups.drain(), Reason.BACKLOG_AGE)
        self._suppress_all(self._crowds.remove(lambda _: True), Reason.BACKLOG_AGE)
        for waiting in self._backlog.empty():
            self._suppress_all(waiting.events, Reason.BACKLOG_AGE)

    def regulate(self, now: float) -> list[Command]:
        """Let go of all that is not to be heard any more, sounding or waiting."""
        unwanted = self._is_unwanted
        gone = self._groups.remove(unwanted) + self._crowds.remove(unwanted)
        for waiting in self._backlog.empty():
            kept = tuple(one for one in waiting.events if not unwanted(one))
            gone += [one for one in waiting.events if unwanted(one)]
            if kept:
                self._backlog.push(Waiting(kept, *_rest(waiting)))
        for one in gone:
            reason = self._controls.verdict(whose(one)).reason
            assert reason is not None, "what is unwanted is so for a reason"
            self._suppress(one.signal, reason, one.number)
        self._flurries.remove(self._is_silenced)
        stopped = [
            voice for voice in self._pool.busy(now) if self._is_to_be_stopped(voice)
        ]
        for voice in stopped:
            self._pool.free(voice)
            self._heard[voice] = None
        return [Stop(voice) for voice in stopped]

    def restore(self) -> None:
        """Take all voices for idle: the engine is a new one."""
        for voice in range(VOICES):
            self._pool.free(voice)
            self._heard[voice] = None

    def sounding(self, now: float) -> tuple[SoundingVoice, ...]:
        """Return what sounds on the voices."""
        rows = [(voice, self._heard[voice]) for voice in self._pool.busy(now)]
        return tuple(it[0].sounding(voice, *it[1:]) for voice, it in rows if it)

    def miss(self, missed: Heard, gain_db: float, pan: float, now: float) -> list[Play]:
        """Sound that a heartbeat was missed, on a voice if there is one."""
        voice = self._pool.find(rank_of(missed.event), now)
        if voice is None:
            return []
        variant = self.casting.variant(missed.sound)
        until = now + self.casting.duration_s(missed.sound, variant, 1.0)
        self._take(voice, missed, now, until)
        return [Play(voice, missed.sound, variant, gain_db, pan, _EVENTS)]

    # -- sounding -----------------------------------------------------------------

    def _sound_or_wait(
        self, events: tuple[Carried, ...], voicing: Voicing, now: float
    ) -> list[Command]:
        rank = rank_of(events[0].signal)
        voice = self._pool.find(rank, now)
        if voice is not None:
            return [self._play(events, voicing, voice, now)]
        dropped = self._backlog.push(Waiting(events, voicing, now, rank))
        if dropped is not None:
            self._suppress_all(dropped.events, _BACKLOG_FULL)
        return []

    def _play(
        self, events: tuple[Carried, ...], voicing: Voicing, voice: int, now: float
    ) -> Play:
        """Sound events of one kind; a flurry follows if they are many."""
        cue = heard(events, voicing.sound)
        play = self._sound(events[0], cue, voicing, voice, now)
        one, *others = events
        self._told.append(
            Cue(one.signal, play.sound, voice, one.number, carried=tuple(others))
        )
        if cue.count > 1:
            pan = self._pan(one, voicing)
            self._flurries.add(Call(cue, play.gain_db, pan, play.rate), now)
        return play

    def _tell(self, telling: Telling, now: float) -> list[Command]:
        """Sound alerts: as the first of those told, and as loud as them all."""
        first, *others = telling.alerts
        voicing = self.casting.voicing(first.signal)
        assert voicing is not None, "only what has a sound is gathered"
        voice = self._pool.find(ALERT_RANK, now)
        assert voice is not None, "an alert always finds a voice"
        cue = heard(telling.alerts, voicing.sound)
        play = self._sound(first, cue, voicing, voice, now)
        self._told.append(
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
        duration_s = self.casting.duration_s(play.sound, play.variant, play.rate)
        return [play, *self._buses.duck(now, duration_s)]

    def _sound(
        self, one: Carried, cue: Heard, voicing: Voicing, voice: int, now: float
    ) -> Play:
        """Take a voice for a cue that `one` leads, and return how it sounds."""
        event = one.signal
        zone = self._places.zone(event.host, one.class_name)
        variant = self.casting.variant(voicing.sound)
        until = now + self.casting.duration_s(voicing.sound, variant, zone.rate)
        self._take(voice, cue, now, until)
        gain_db = voicing.gain_db + event.gain_db + count_gain_db(cue.count)
        gain_db += self._controls.verdict(whose(one)).gain_db
        alert = event.tier is ALERT
        if not alert:
            gain_db -= _CROWD_DB[self._pool.sounding(now)]
            gain_db += CHORUS_GAIN_DB if cue.folded else 0.0
        pan = self._places.pan(self._pan(one, voicing))
        bus = _ALERTS if alert else _EVENTS
        return Play(voice, voicing.sound, variant, gain_db, pan, bus, zone.rate)

    def _pan(self, one: Carried, voicing: Voicing) -> float:
        zone = self._places.zone(one.signal.host, one.class_name)
        return voicing.pan + one.signal.pan + zone.pan

    def _call(self, call: Call, now: float) -> list[Play]:
        """Sound a call of a flurry, if nobody else needs the voice."""
        if self._pool.sounding(now) >= FLURRY_VOICES:
            return []
        cue = call.heard
        voice = self._pool.find(rank_of(cue.event), now)
        assert voice is not None, "half of the voices are idle"
        variant = self.casting.variant(cue.sound)
        until = now + self.casting.duration_s(cue.sound, variant, call.rate)
        self._take(voice, cue, now, until)
        pan = self._places.pan(call.pan)
        gain_db, rate = call.gain_db, call.rate
        return [Play(voice, cue.sound, variant, gain_db, pan, _EVENTS, rate)]

    def _take(self, voice: int, cue: Heard, now: float, until: float) -> None:
        self._pool.take(voice, rank_of(cue.event), now, until)
        self._heard[voice] = cue, now, until

    # -- not sounding -------------------------------------------------------------

    def _suppress(self, event: Event, reason: Reason, number: int) -> list[Command]:
        """Say why an event is not heard; return what to do about it: nothing."""
        self._told.append(Suppression(event, reason, number))
        return []

    def _suppress_all(self, events: Iterable[Carried], reason: Reason) -> None:
        for one in events:
            self._suppress(one.signal, reason, one.number)

    def _is_unwanted(self, one: Carried) -> bool:
        return self._controls.verdict(whose(one)).reason is not None

    def _is_silenced(self, cue: Heard) -> bool:
        reasons = {self._controls.verdict(it).reason for it in cue.whose}
        return bool(reasons - {None})

    def _is_to_be_stopped(self, voice: int) -> bool:
        it = self._heard[voice]
        # Quiet hours begin softly: what sounds already may end by itself.
        return it is not None and any(
            self._controls.verdict(one).reason not in {None, Reason.QUIET}
            for one in it[0].whose
        )


def _rest(waiting: Waiting) -> tuple[Voicing, float, int]:
    return waiting.voicing, waiting.since, waiting.rank
