"""Signals in, commands for the engine out; and for each signal, what became of it.

Rules. Every signal becomes exactly one Cue, or is carried by one, or becomes one
Suppression with a reason; a cue that is cut off was heard. An alert sounds at once, or
within seconds with its group, unless the operator muted it. States and heartbeats
belong to an *origin* (whoever sent them), are unknown while it is late, and fall silent
when it is forgotten. Peep's own pulse is not a signal: the mixer beats it itself, so
that its absence tells of a dead pipeline too.

The parts, each with its rules at its top: controls.py says what is to be heard; then
events.py, layers.py and beats.py make commands of the three kinds of signal, placed by
place.py; buses.py makes way for alerts. What each part knows, it knows alone.

Not handled here: what anything sounds like (the theme), and how it is made (the
engine). No clock, no dice: `now` and the generator are given.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from peep.mixer.beats import Beats, Changes
from peep.mixer.buses import Buses
from peep.mixer.commands import PULSE_VOICE, Bus, Command, Play, Stop
from peep.mixer.controls import HEARD, QUIET_GAIN_DB, Control, Controls
from peep.mixer.events import Events
from peep.mixer.layers import Layers
from peep.mixer.outcomes import Cue, Outcome, Suppression
from peep.mixer.place import Places
from peep.mixer.room import HEADPHONES
from peep.mixer.sounding import Sounding
from peep.signals import Heartbeat, Signal, State

if TYPE_CHECKING:
    from random import Random

    from peep.mixer.controls import Act
    from peep.mixer.room import Room
    from peep.reasons import Reason
    from peep.theme import SoundBank, Theme

MUTE_FADE_S = 0.03  # silence within 50 ms, and the shortest fade that does not click
QUIET_FADE_S = 2.0  # nobody asked for it just now


class Mixer:
    """The mixer. Whatever happens to it returns commands."""

    def __init__(
        self, theme: Theme, bank: SoundBank, rng: Random, room: Room = HEADPHONES
    ) -> None:
        self._pulse = theme.pulse
        self._rng = rng
        self._outcomes: deque[Outcome] = deque()
        self._controls = Controls()
        self._buses = Buses(room)
        places = Places(theme, room)
        self._layers = Layers(theme, places)
        self._beats = Beats(theme, places)
        self._events = Events(
            theme,
            bank,
            rng,
            places=places,
            controls=self._controls,
            buses=self._buses,
            told=self._outcomes,
        )
        self._pulse_at = float("-inf")

    def feed(  # noqa: PLR0917 - a signal, and all that its receiver knows of it
        self,
        signal: Signal,
        now: float,
        origin: str = "",
        age_s: float = 0.0,
        number: int = 0,
        class_name: str = "",
    ) -> list[Command]:
        """Take one signal that was born `age_s` ago; return what to do at once.

        `number` comes back in its outcome.
        """
        controls = self._controls
        ended = self._end_controls(now) if now >= controls.ends_at else []
        if isinstance(signal, State):
            commands = self._feed_state(signal, origin, class_name, now, number)
        elif isinstance(signal, Heartbeat):
            commands = self._feed_beat(signal, origin, class_name, now, number)
        else:
            whose = (class_name, signal.host, signal.name, signal.tier)
            reason = controls.verdict(whose).reason if controls.active else None
            if reason is None:
                commands = self._events.feed(signal, now, age_s, number, class_name)
            else:
                commands = []
                self._outcomes.append(Suppression(signal, reason, number))
        return ended + commands if ended else commands

    def forget(self, origin: str) -> list[Command]:
        """Let an origin's states and heartbeats fall silent."""
        return [*self._layers.forget(origin), *self._beats.forget(origin)]

    def late(self, origin: str, now: float) -> list[Command]:
        """Take an origin's states for unknown, its heartbeats for missed."""
        missed = self._heard(self._beats.late(origin), now)
        return [*self._layers.late(origin), *missed]

    def returned(self, origin: str) -> list[Command]:
        """Take an origin that was late for heard again."""
        return [*self._layers.returned(origin), *self._beats.returned(origin)]

    def handle_timer(self, now: float) -> list[Command]:
        """Do what has come due."""
        commands = self._end_controls(now) if now >= self._controls.ends_at else []
        commands += self._beat_pulse(now)
        commands += self._events.handle_timer(now)
        commands += self._layers.handle_timer(now)
        commands += self._heard(self._beats.handle_timer(now), now)
        commands += self._buses.handle_timer(now)
        return commands

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        next_at = min(
            self._events.next_due(),
            self._layers.next_due(),
            self._beats.next_due(),
            self._buses.next_due(),
            self._controls.ends_at,
        )
        if self._pulse is not None:
            next_at = min(next_at, self._pulse_at)
        return next_at if next_at < float("inf") else None

    def next_event(self) -> Outcome | None:
        """Return the oldest untold outcome, or None."""
        return self._outcomes.popleft() if self._outcomes else None

    def drain(self) -> None:
        """Suppress what still waits: the end has come."""
        self._events.drain()

    # -- operators ----------------------------------------------------------------

    def control(self, act: Act, now: float) -> list[Command]:
        """Do what the operator wants. Raises PeepError for what makes no sense."""
        self._controls.act(act, now)
        return self._regulate(now, MUTE_FADE_S)

    def controls(self, now: float) -> tuple[Control, ...]:
        """Return the controls that hold, the oldest first."""
        return self._controls.listed(now)

    def quiet(self, on: bool, now: float) -> list[Command]:  # noqa: FBT001 - a switch
        """Let quiet hours begin or end."""
        if on == self._controls.quiet:
            return []
        self._controls.be_quiet(on)
        return self._regulate(now, QUIET_FADE_S)

    def restore(self, now: float) -> list[Command]:
        """Return what brings a new engine to where the old one was.

        What sounded once is gone, and was heard; what waits will sound.
        """
        self._controls.expire(now)
        self._regulate(now, MUTE_FADE_S)  # the old engine does not hear it any more
        self._events.restore()
        fades, levels = self._buses.restore(), self._layers.restore()
        return [*fades, *levels, *self._beats.restore()]

    def sounding(self, now: float) -> Sounding:
        """Return what sounds now."""
        return Sounding(
            self._events.sounding(now), self._layers.sounding(), self._beats.sounding()
        )

    def _end_controls(self, now: float) -> list[Command]:
        self._controls.expire(now)
        return self._regulate(now, MUTE_FADE_S)

    def _regulate(self, now: float, fade_s: float) -> list[Command]:
        """Let all that sounds or waits be as the controls say."""
        master_db = self._controls.master_db()
        commands: list[Command] = [*self._buses.set_master(master_db)]
        if master_db is None:
            commands.append(Stop(PULSE_VOICE))
        commands += self._events.regulate(now)
        commands += self._layers.regulate(self._controls, fade_s)
        commands += self._beats.regulate(self._controls)
        return commands

    # -- parts --------------------------------------------------------------------

    def _feed_state(
        self, state: State, origin: str, class_name: str, now: float, number: int
    ) -> list[Command]:
        verdict = HEARD
        if self._controls.active:
            verdict = self._controls.verdict((class_name, state.host, state.name, None))
        levels, reason = self._layers.feed(state, origin, class_name, now, verdict)
        place = levels[0].layer if levels else ""
        self._outcome(state, reason, place, place, number)
        return [*levels]

    def _feed_beat(
        self, it: Heartbeat, origin: str, class_name: str, now: float, number: int
    ) -> list[Command]:
        verdict = HEARD
        if self._controls.active:
            verdict = self._controls.verdict((class_name, it.host, it.name, None))
        beats, reason = self._beats.feed(it, origin, class_name, now, verdict)
        sound, place = (beats[0].sound, beats[0].beat) if beats else ("", 0)
        self._outcome(it, reason, sound, place, number)
        return [*beats]

    def _outcome(
        self,
        signal: Signal,
        reason: Reason | None,
        sound: str,
        place: int | str,
        number: int,
    ) -> None:
        self._outcomes.append(
            Cue(signal, sound, place, number)
            if reason is None
            else Suppression(signal, reason, number)
        )

    def _heard(self, changes: Changes, now: float) -> list[Command]:
        """Return what makes missed heartbeats heard."""
        commands: list[Command] = [*changes[0]]
        for miss in changes[1]:
            commands += self._events.miss(miss.heard, miss.gain_db, miss.pan, now)
        return commands

    def _beat_pulse(self, now: float) -> list[Command]:
        pulse = self._pulse
        if pulse is None or now < self._pulse_at:
            return []
        # Not exactly even: a metronome is what one cannot stop hearing.
        self._pulse_at = now + pulse.every_s * (0.9 + 0.2 * self._rng.random())
        if self._controls.master_db() is None:
            return []
        variant = self._events.casting.variant(pulse.sound)
        gain_db = pulse.gain_db + (QUIET_GAIN_DB if self._controls.quiet else 0.0)
        return [Play(PULSE_VOICE, pulse.sound, variant, gain_db, 0.0, Bus.EVENTS)]
