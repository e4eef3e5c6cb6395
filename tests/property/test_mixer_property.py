"""For any signals at any times: each is told once, by the rules, against a model.

The model is the rules in their plainest form: voices searched one by one, a list that
waits, states in one table.
"""

import random

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from peep.mixer.commands import BEATS, PULSE_VOICE, VOICES, Beat, Level, Play
from peep.mixer.groups import GROUP_S
from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Cue
from peep.mixer.voices import ALERT_VOICES, BACKLOG_AGE_S, BACKLOG_EVENTS
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, State, Tier
from peep.theme import (
    LayerSpec,
    PulseSpec,
    SoundBank,
    SoundSpec,
    Theme,
    Variant,
    Voicing,
)

TOLD_S = 3.0  # by then all of a group are named
BANK = SoundBank(
    {"a": (Variant(0.3, -20.0), Variant(9.0, -20.0)), "p": (Variant(1, 0),)}
)
THEME = Theme(
    name="t",
    sounds={name: SoundSpec(name=name) for name in BANK.variants},
    layers={"wind": LayerSpec(name="wind", recipe="wind")},
    families={"f": Voicing(sound="a")},
    states={"s": Voicing(sound="wind")},
    heartbeats={"h": Voicing(sound="a")},
    pulse=PulseSpec(sound="p"),
)
events = st.builds(
    Event,
    name=st.sampled_from(["x", "y"]),
    tier=st.sampled_from(Tier),
    family=st.sampled_from(["f", "f", "f", "none"]),
    count=st.integers(1, 1000),
)
states = st.builds(
    State,
    name=st.sampled_from(["s", "s.x", "q"]),
    value=st.sampled_from([0.0, 0.3, 0.3, 0.7, 1.0, float("nan")]),
    pan=st.sampled_from([0.0, 0.0, 0.5]),
)
beats = st.builds(
    Heartbeat,
    name=st.sampled_from([f"h.{n}" for n in range(12)]),
    rate_hz=st.floats(0, 9),
)
alerts = st.builds(
    Event,
    name=st.sampled_from(["x", "peep.agent-lost", "peep.agent-missing"]),
    tier=st.just(Tier.ALERT),
    family=st.just("f"),
)
origins = st.sampled_from(["one", "two", "three"])
pauses = st.sampled_from([0.0, 0.0, 0.01, 0.4, 2.5, 7.0, 40.0])
many = st.sampled_from([1, 2, 30, 100])


class Voices:
    """The model of the pool: what sounds where, until when, since which start."""

    def __init__(self):
        self.rows = [(0.0, Tier.ROUTINE, 0)] * VOICES
        self.starts = 0

    def expected(self, tier, now):
        reach = self.rows if tier is Tier.ALERT else self.rows[:-ALERT_VOICES]
        idle = [voice for voice, row in enumerate(reach) if row[0] <= now]
        if idle:
            return idle[0]
        voice = min(range(len(reach)), key=lambda voice: reach[voice][1:])
        return voice if reach[voice][1] <= tier else None

    def take(self, voice, tier, until):
        self.starts += 1
        self.rows[voice] = (until, tier, self.starts)


class Mixing(RuleBasedStateMachine):
    """Feeds, forgets, lets time pass; every outcome is compared with the model."""

    def __init__(self):
        super().__init__()
        self.mixer = Mixer(THEME, BANK, random.Random(1))
        self.now = 0.0
        self.fed = 0
        self.untold = {}  # number -> signal
        self.waits = {}  # of alerts with a cause: number -> when it came, group
        self.groups = 0
        self.causes = {True: (0, 0.0), False: (0, 0.0)}  # late or not -> group, last
        self.voices = Voices()
        self.held = {}
        self.wind = None

    @rule(
        event=st.one_of(events, alerts),
        times=many,
        age_s=st.sampled_from([0.0, 0.0, 9.0]),
        pause_s=pauses,
    )
    def an_event_comes(self, event, times, age_s, pause_s):
        grouped = (
            event.tier is Tier.ALERT
            and event.family == "f"
            and (age_s > BACKLOG_AGE_S or event.name.startswith("peep."))
        )
        self.pass_time(pause_s)
        for _ in range(times):
            full = len(self.untold) - len(self.waits) >= BACKLOG_EVENTS
            number = self.number(event)
            if grouped:
                self.waits[number] = self.now, self.group(age_s > BACKLOG_AGE_S)
            free = self.voices.expected(event.tier, self.now)
            commands = self.mixer.feed(event, self.now, "", age_s, number)
            stale = age_s > BACKLOG_AGE_S and event.tier is not Tier.ALERT
            mute = event.family == "none" or stale
            told = self.told(commands)
            if grouped:
                continue
            if mute:
                assert told[0].reason in {Reason.UNMAPPED, Reason.STALE}
            elif free is not None:
                assert told[0].place == free
            elif full:
                assert told[0].reason is Reason.BACKLOG_FULL
                gone = (told[0].signal.tier, -told[0].number)
                assert all(
                    gone < (signal.tier, -other)
                    for other, signal in self.untold.items()
                    if other not in self.waits
                ), "the least urgent goes, and of those the newest"
            else:
                assert not told

    @rule(state=states, origin=origins, times=st.integers(1, 3))
    def a_state_is_told(self, state, origin, times):
        for _ in range(times):
            if state.name != "q":
                self.held[origin, state.name] = max(0.0, state.value)
            number = self.number(state)
            self.told(self.mixer.feed(state, self.now, origin, number=number))

    @rule(first=st.sampled_from(Tier), then=st.sampled_from(Tier), pause_s=pauses)
    def a_storm_takes_all_voices_in_reach(self, first, then, pause_s):
        for tier in (first, then):
            self.an_event_comes(Event(name="x", family="f", tier=tier), 80, 0.0, 0.0)
        self.pass_time(pause_s)

    @rule(alert=alerts, late=st.booleans(), times=many, pause_s=pauses)
    def alerts_with_one_cause_come(self, alert, late, times, pause_s):
        if not late:
            alert = msgspec.structs.replace(alert, name="peep.agent-lost")
        self.an_event_comes(alert, times, 9.0 if late else 0.0, pause_s)

    @rule(beat=beats, origin=origins)
    def a_heartbeat_is_told(self, beat, origin):
        number = self.number(beat)
        self.told(self.mixer.feed(beat, self.now, origin, number=number))

    @rule(origin=origins)
    def an_origin_is_forgotten(self, origin):
        self.held = {k: v for k, v in self.held.items() if k[0] != origin}
        self.told(self.mixer.forget(origin))

    def pass_time(self, seconds):
        end = self.now + seconds
        while (due := self.mixer.next_timer()) <= end:
            self.now = max(self.now, due)
            self.told(self.mixer.handle_timer(self.now))
            assert self.mixer.next_timer() > self.now, "what was due is done"
        self.now = end

    @precondition(lambda self: self.untold)
    @rule()
    def the_end_comes_and_all_begins_anew(self):
        waiting = dict(self.untold)
        self.mixer.drain()
        while (outcome := self.mixer.next_event()) is not None:
            assert outcome.reason is Reason.BACKLOG_AGE
            del waiting[outcome.number]
        assert not waiting
        self.untold.clear()
        self.waits.clear()
        self.causes = dict.fromkeys(self.causes, (0, 0.0))

    @invariant()
    def the_layer_follows_the_highest_of_all_that_are_held(self):
        assert self.wind == max(self.held.values(), default=None)

    @invariant()
    def what_waits_is_bounded(self):
        assert len(self.untold) - len(self.waits) <= BACKLOG_EVENTS

    def teardown(self):
        self.the_end_comes_and_all_begins_anew()

    def number(self, signal):
        self.fed += 1
        self.untold[self.fed] = signal
        return self.fed

    def told(self, commands):
        """Take all outcomes; each signal is told once, and each cue has its command."""
        out = []
        while (outcome := self.mixer.next_event()) is not None:
            out.append(outcome)
            assert self.untold.pop(outcome.number) == outcome.signal
            if isinstance(outcome, Cue):
                self.heard(outcome)
            else:
                self.unheard(outcome)
        cues = [(o.sound, o.place) for o in out if isinstance(o, Cue)]
        for command in commands:
            match command:
                case Play(voice=voice, sound=sound, variant=variant):
                    assert variant < len(BANK.variants[sound])
                    assert voice == PULSE_VOICE or (sound, voice) in cues
                    if voice != PULSE_VOICE:
                        self.played(out, command)
                case Level(value=value):
                    assert value is None or 0 <= value <= 1
                    self.wind = value
                case Beat(beat=beat):
                    assert 0 <= beat < BEATS
        return out

    def heard(self, cue):
        for carried in cue.carried:
            assert self.untold.pop(carried.number) == carried.signal
        numbers = [cue.number, *(carried.number for carried in cue.carried)]
        assert numbers == sorted(numbers), "in the order in which they came"
        for number in numbers:
            came, group = self.waits.pop(number, (self.now, 0))
            assert cue.group == group
            assert self.now - came <= TOLD_S, "all are named in time"
        assert cue.late == (cue.group != 0 and cue.group == self.causes[True][0])

    def group(self, late):
        """Return the group that an alert joins now, or opens."""
        number, last = self.causes[late]
        if not number or self.now - last >= GROUP_S:
            self.groups += 1
            number = self.groups
        self.causes[late] = number, self.now
        return number

    def unheard(self, suppression):
        signal = suppression.signal
        if isinstance(signal, Event) and signal.tier is Tier.ALERT:
            assert suppression.reason is Reason.UNMAPPED, "an alert is always heard"

    def played(self, out, play):
        cue = next(o for o in out if isinstance(o, Cue) and o.place == play.voice)
        out_of = self.voices.expected(cue.signal.tier, self.now)
        assert play.voice == out_of, "idle, or the least and oldest; never dearer"
        duration_s = BANK.variants[play.sound][play.variant].duration_s
        self.voices.take(play.voice, cue.signal.tier, self.now + duration_s)


TestMixing = Mixing.TestCase
TestMixing.settings = settings(stateful_step_count=20)
