"""Heartbeats → beats that the engine keeps the time of, and what is heard of a miss.

A beat is held until its origin is forgotten or says 0 Hz. One that is overdue
(watch.py), or whose origin is late, *stumbles*: it goes on at half its rate, and its
theme's sound of a miss is heard. If it is overdue once more it ends, with that sound
again. So the loss of a rhythm is an event, not only the lack of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.mixer.commands import BEATS, Beat
from peep.mixer.heard import Heard
from peep.mixer.sounding import SoundingBeat
from peep.mixer.watch import Watch, deadline
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.mixer.controls import Controls, Verdict
    from peep.mixer.place import Places
    from peep.mixer.watch import Key
    from peep.theme import Theme, Voicing

STUMBLE = 0.5  # of its rate: plainly wrong, and still the same beat


class Miss(msgspec.Struct, frozen=True):
    """A heartbeat that was missed, to be heard."""

    heard: Heard
    gain_db: float
    pan: float


class _Held(msgspec.Struct, eq=False):
    """A heartbeat as last told, and the beat that was sent for it."""

    sent: Beat
    heartbeat: Heartbeat
    class_name: str
    voicing: Voicing
    verdict: Verdict
    at: float
    overdue: bool = False


Changes = tuple[list[Beat], list[Miss]]


class Beats:
    """The beats that are held, BEATS at most."""

    def __init__(self, theme: Theme, places: Places) -> None:
        self._theme = theme
        self._places = places
        self._held: dict[Key, _Held] = {}  # by origin and name
        self._watch = Watch()

    def feed(
        self, it: Heartbeat, origin: str, class_name: str, now: float, verdict: Verdict
    ) -> tuple[list[Beat], Reason | None]:
        """Take a heartbeat; return what changes, or why it is not heard."""
        voicing = self._theme.for_heartbeat(it)
        if voicing is None:
            return [], Reason.UNMAPPED
        key = origin, it.name
        held = self._held.get(key)
        if not it.rate_hz > 0:
            return self._stop(key, verdict)
        if held is None:
            place = self._free_place()
            if place is None:
                return [], verdict.reason or Reason.TABLE_FULL
            silence = Beat(place, voicing.sound, 0.0, 0.0, 0.0)
            held = _Held(silence, it, class_name, voicing, verdict, now)
            self._held[key] = held
        else:
            if voicing.overdue_s:
                self._watch.expect(key, deadline(now, held.at, voicing.overdue_s))
            held.heartbeat, held.class_name, held.verdict = it, class_name, verdict
            held.at, held.overdue = now, False
        beats = self._beat(held)
        return beats, verdict.reason or (None if beats else Reason.UNCHANGED)

    def place_of(self, origin: str, name: str) -> int | None:
        """Return the beat of a heartbeat that is held."""
        held = self._held.get((origin, name))
        return None if held is None else held.sent.beat

    def forget(self, origin: str) -> list[Beat]:
        """Let an origin's beats fall silent."""
        mine = [key for key in self._held if key[0] == origin]
        return [beat for key in mine for beat in self._end(key)]

    def late(self, origin: str) -> Changes:
        """Let the beats of an origin that is late stumble."""
        mine = [key for key, held in self._held.items() if key[0] == origin]
        return self._miss(key for key in mine if not self._held[key].overdue)

    def returned(self, origin: str) -> list[Beat]:
        """Let the beats of an origin that is heard again go on."""
        mine = [held for key, held in self._held.items() if key[0] == origin]
        for held in mine:
            held.overdue = False
        return [beat for held in mine for beat in self._beat(held)]

    def handle_timer(self, now: float) -> Changes:
        """Let what is overdue stumble, or end."""
        due = self._watch.due(now)
        over = [key for key in due if self._held[key].overdue]
        misses = [miss for key in over for miss in self._missed(self._held[key])]
        ends = [beat for key in over for beat in self._end(key)]
        stumbling = [key for key in due if key in self._held]
        for key in stumbling:
            held = self._held[key]
            by = deadline(now, held.at, held.voicing.overdue_s)
            self._watch.expect(key, by)
        beats, more = self._miss(stumbling)
        return ends + beats, misses + more

    def next_due(self) -> float:
        """Return when handle_timer wants to be called; inf is never."""
        return self._watch.next_due()

    def regulate(self, controls: Controls) -> list[Beat]:
        """Let be heard what the controls allow, and nothing else."""
        beats = []
        for held in self._held.values():
            host, name = held.heartbeat.host, held.heartbeat.name
            held.verdict = controls.verdict((held.class_name, host, name, None))
            beats += self._beat(held)
        return beats

    def restore(self) -> list[Beat]:
        """Return what brings a new engine to where the old one was."""
        return [held.sent for held in self._held.values() if held.sent.rate_hz]

    def sounding(self) -> tuple[SoundingBeat, ...]:
        """Return the beats that sound."""
        return tuple(
            SoundingBeat(
                held.sent.beat,
                held.sent.sound,
                held.sent.rate_hz,
                held.heartbeat.name,
                held.heartbeat.host,
                held.overdue,
            )
            for held in self._held.values()
            if held.sent.rate_hz
        )

    def _stop(self, key: Key, verdict: Verdict) -> tuple[list[Beat], Reason | None]:
        if key not in self._held:
            return [], verdict.reason or Reason.UNCHANGED
        return self._end(key), verdict.reason

    def _end(self, key: Key) -> list[Beat]:
        self._watch.forget(key)
        sent = self._held.pop(key).sent
        return [msgspec.structs.replace(sent, rate_hz=0.0)] if sent.rate_hz else []

    def _miss(self, keys: Iterable[Key]) -> Changes:
        beats: list[Beat] = []
        misses: list[Miss] = []
        for key in keys:
            held = self._held[key]
            held.overdue = True
            beats += self._beat(held)
            misses += self._missed(held)
        return beats, misses

    def _missed(self, held: _Held) -> list[Miss]:
        """Return what is heard of a miss, if anything."""
        it, voicing = held.heartbeat, held.voicing
        if not voicing.miss or held.verdict.reason is not None:
            return []
        event = Event(name=it.name, tier=Tier.NOTABLE, host=it.host)
        whose = frozenset([(held.class_name, it.host, it.name, None)])
        heard = Heard(event, voicing.miss, 0, 1, whose)
        gain_db = it.gain_db + held.verdict.gain_db
        return [Miss(heard, gain_db, held.sent.pan)]

    def _beat(self, held: _Held) -> list[Beat]:
        """Return what brings a beat to what it should be, if anything does."""
        it, voicing = held.heartbeat, held.voicing
        rate_hz = it.rate_hz * (STUMBLE if held.overdue else 1.0)
        if held.verdict.reason is not None:
            rate_hz = 0.0
        zone = self._places.zone(it.host, held.class_name)
        beat = Beat(
            held.sent.beat,
            voicing.sound,
            rate_hz,
            voicing.gain_db + it.gain_db + held.verdict.gain_db,
            self._places.pan(voicing.pan + it.pan + zone.pan),
        )
        if beat == held.sent or not (beat.rate_hz or held.sent.rate_hz):
            return []
        held.sent = beat
        return [beat]

    def _free_place(self) -> int | None:
        taken = {held.sent.beat for held in self._held.values()}
        return next((place for place in range(BEATS) if place not in taken), None)
