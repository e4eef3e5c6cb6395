"""For any signals, times and acts: each signal is told once, by the rules.

The model is the rules in their plainest form, beside an engine that does what it is
told: voices with whose they are, layers, beats and buses. Whatever the mixer keeps in
clever tables is worked out anew here, from lists.
"""

import math
import random

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from peep.errors import PeepError
from peep.mixer.commands import (
    BEATS,
    PULSE_VOICE,
    VOICES,
    Beat,
    Bus,
    Fade,
    Level,
    Play,
    Stop,
)
from peep.mixer.controls import (
    ALL,
    Clear,
    Gain,
    Mute,
    Scope,
    Snooze,
    Solo,
    Unmute,
    Unsolo,
)
from peep.mixer.crowds import FOLD_S, MAX_WINDOW_S
from peep.mixer.groups import GROUP_S
from peep.mixer.layers import HYSTERESIS, STEPS
from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Cue
from peep.mixer.place import Places
from peep.mixer.room import HEADPHONES
from peep.mixer.voices import ALERT_VOICES, BACKLOG_AGE_S, YOUNG_S
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

TOLD_S = 3.0  # by then all alerts of a group are named
WAITED_S = 1.3 * MAX_WINDOW_S + BACKLOG_AGE_S  # then whatever waited is told
GALE = 0.6
OVERDUE_S = 5.0
BANK = SoundBank(
    {
        "a": (Variant(0.3, -20.0), Variant(9.0, -20.0)),
        "b": (Variant(0.5, -20.0),),
        "miss": (Variant(0.5, -20.0),),
        "p": (Variant(1, 0),),
    }
)
THEME = Theme(
    name="t",
    sounds={name: SoundSpec(name=name) for name in BANK.variants},
    layers={n: LayerSpec(name=n, recipe=n) for n in ("wind", "gale", "stream", "hum")},
    events={"y": Voicing(sound="b")},
    families={"f": Voicing(sound="a")},
    states={
        "s": Voicing(sound="wind", above=((GALE, "gale"),)),
        "d": Voicing(sound="stream", overdue_s=OVERDUE_S),
    },
    heartbeats={"h": Voicing(sound="b", overdue_s=OVERDUE_S, miss="miss")},
    pulse=PulseSpec(sound="p"),
    unknown=Voicing(sound="hum"),
)
PLACES = Places(THEME, HEADPHONES)
hosts = st.sampled_from(["", "one", "two", "three"])
classes = st.sampled_from(["net", "net", "ops"])
events = st.builds(
    Event,
    name=st.sampled_from(["x", "x.sub", "y", "peep.agent-lost"]),
    tier=st.sampled_from(Tier),
    family=st.sampled_from(["f", "f", "f", "none"]),
    count=st.sampled_from([1, 1, 1, 40]),
    priority=st.sampled_from([0, 0, 7, 999]),
    host=hosts,
)
alerts = st.builds(
    Event,
    name=st.sampled_from(["x", "peep.agent-lost", "peep.agent-missing"]),
    tier=st.just(Tier.ALERT),
    family=st.just("f"),
    host=hosts,
)
states = st.builds(
    State,
    name=st.sampled_from(["s", "s.x", "d", "q"]),
    value=st.sampled_from([0.0, 0.3, 0.31, 0.33, 0.57, 0.6, 0.7, 1.0, math.nan]),
    pan=st.sampled_from([0.0, 0.0, 0.5]),
    host=hosts,
)
beats = st.builds(
    Heartbeat,
    name=st.sampled_from([f"h.{n}" for n in range(12)]),
    rate_hz=st.sampled_from([0.0, 0.5, 0.5, 3.0]),
    host=hosts,
)
origins = st.sampled_from(["A", "B", "C"])
pauses = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.4, 2.5, 7.0, 40.0])
many = st.sampled_from([1, 2, 30, 100])
scopes = st.sampled_from(
    [
        ALL,
        Scope("class", "net"),
        Scope("host", "one"),
        Scope("host", ""),
        Scope("name", "x"),
        Scope("name", "s"),
        Scope("name", "h.1"),
        Scope("tier", "alert"),
        Scope("tier", "routine"),
    ]
)
acts = st.one_of(
    st.builds(Mute, scopes, st.sampled_from([None, 3.0])),
    st.builds(Snooze, scopes, st.just(5.0)),
    st.builds(Solo, scopes),
    st.builds(Gain, scopes, st.sampled_from([-6.0, 0.0, 3.0])),
    st.builds(Unmute, scopes),
    st.builds(Unsolo, scopes),
    st.just(Clear()),
)


class Row(msgspec.Struct):
    """What the model knows of a voice: until when, since when, for whom."""

    until: float
    since: float
    rank: int
    whose: list


class Engine:
    """Does what it is told."""

    def __init__(self):
        self.voices = {}
        self.layers = {}
        self.beats = {}
        self.buses = dict.fromkeys(Bus, 0.0)

    def obey(self, command):
        match command:
            case Level(value=None):
                self.layers.pop(command.layer, None)
            case Level():
                assert 0 <= command.value <= 1
                self.layers[command.layer] = (
                    command.value,
                    command.gain_db,
                    command.pan,
                )
            case Beat():
                assert 0 <= command.beat < BEATS
                self.beats[command.beat] = command
                if not command.rate_hz:
                    del self.beats[command.beat]
            case Stop():
                self.voices.pop(command.voice, None)
            case Fade():
                assert command.fade_s >= 0
                self.buses[command.bus] = command.gain_db


class Came(msgspec.Struct):
    """A signal that was fed and not told yet; `group` is of alerts with a cause."""

    signal: object
    class_name: str
    at: float
    late: bool = False
    group: int = 0


class Told(msgspec.Struct):
    """A state as the model holds it."""

    value: float
    layer: str
    at: float
    whose: tuple
    due: float = math.inf


class Mixing(RuleBasedStateMachine):
    """Feeds, acts, lets time pass; every outcome is compared with the model."""

    def __init__(self):
        super().__init__()
        self.mixer = Mixer(THEME, BANK, random.Random(1))
        self.engine = Engine()
        self.now = 0.0
        self.fed = 0
        self.untold = {}  # number -> Came
        self.fed_at = {}  # kind -> when the last of it came
        self.cues = []  # when, sound, rate, whose: of those a moment ago
        self.held = {}
        self.late = set()
        self.controls = {}  # (what, scope) -> until, gain
        self.is_quiet = False
        self.opened = 0  # groups
        self.groups = {}  # late or not -> the model's number, when the last came
        self.numbers = {}  # the model's number -> the mixer's

    # -- what may happen ----------------------------------------------------------

    @rule(
        event=st.one_of(events, alerts),
        class_name=classes,
        times=many,
        age_s=st.sampled_from([0.0, 0.0, 9.0]),
        pause_s=pauses,
    )
    def an_event_comes(self, event, class_name, times, age_s, pause_s):
        self.pass_time(pause_s)
        alert = event.tier is Tier.ALERT
        mapped = event.name == "y" or event.family == "f"
        whose = class_name, event.host, event.name, event.tier
        for _ in range(times):
            number = self.number(event, class_name)
            lone = self.is_lone(event)
            if mapped and alert and self.reason(whose) is None:
                self.join(self.untold[number], age_s > BACKLOG_AGE_S)
            commands = self.mixer.feed(event, self.now, "", age_s, number, class_name)
            told = {o.number: o for o in self.told(commands)}
            mine = told.get(number)
            if (reason := self.reason(whose)) is not None:
                assert mine.reason is reason
            elif not mapped:
                assert mine.reason is Reason.UNMAPPED
            elif alert:
                assert mine is None or isinstance(mine, Cue)
            elif age_s > BACKLOG_AGE_S:
                assert mine.reason is Reason.STALE
            else:
                assert not lone or isinstance(mine, Cue), "it sounds at once"
                self.fed_at[self.kind(event)] = self.now

    @rule(pause_s=pauses, tiers=st.lists(st.sampled_from(Tier), max_size=3))
    def a_storm_of_many_kinds_comes(self, pause_s, tiers):
        for tier in tiers:
            for number in range(40):
                event = Event(name=f"x.{tier}-{number}", family="f", tier=tier)
                self.an_event_comes(event, "net", 1, 0.0, 0.0)
        self.pass_time(pause_s)

    @rule(state=states, origin=origins, class_name=classes, times=st.integers(1, 3))
    def a_state_is_told(self, state, origin, class_name, times):
        for _ in range(times):
            whose = class_name, state.host, state.name, None
            if state.name != "q":
                self.late.discard(origin)
                self.hold(state, origin, whose)
            number = self.number(state, class_name)
            (told,) = self.told(
                self.mixer.feed(state, self.now, origin, 0.0, number, class_name)
            )
            expected = Reason.UNMAPPED if state.name == "q" else self.reason(whose)
            if expected is not None:
                assert told.reason is expected
            elif not isinstance(told, Cue):
                assert told.reason in {Reason.UNCHANGED, Reason.MASKED}

    @rule(beat=beats, origin=origins, class_name=classes)
    def a_heartbeat_is_told(self, beat, origin, class_name):
        number = self.number(beat, class_name)
        (told,) = self.told(
            self.mixer.feed(beat, self.now, origin, 0.0, number, class_name)
        )
        reason = self.reason((class_name, beat.host, beat.name, None))
        assert reason is None or told.reason is reason
        if isinstance(told, Cue):
            assert (told.place in self.engine.beats) == (beat.rate_hz > 0)

    @rule(origin=origins)
    def an_origin_is_forgotten(self, origin):
        self.held = {k: v for k, v in self.held.items() if k[0] != origin}
        self.late.discard(origin)
        self.told(self.mixer.forget(origin))

    @rule(origin=origins, back=st.booleans())
    def an_origin_is_late_or_back(self, origin, back):
        if back:
            self.late.discard(origin)
            self.told(self.mixer.returned(origin))
        else:
            if any(key[0] == origin for key in self.held):
                self.late.add(origin)
            self.told(self.mixer.late(origin, self.now))

    @rule(act=acts)
    def the_operator_acts(self, act):
        scope = getattr(act, "scope", None)
        if scope == Scope("host", ""):
            with pytest.raises(PeepError):
                self.mixer.control(act, self.now)
            return
        match act:
            case Mute(for_s=for_s):
                until = math.inf if for_s is None else self.now + for_s
                self.controls["mute", scope] = until, 0.0
            case Snooze(for_s=for_s):
                self.controls["snooze", scope] = self.now + for_s, 0.0
            case Solo():
                self.controls["solo", scope] = math.inf, 0.0
            case Gain(gain_db=gain_db):
                self.controls["gain", scope] = math.inf, gain_db
            case Unmute():
                self.ended({"mute", "snooze"}, scope)
            case Unsolo():
                self.ended({"solo"}, scope)
            case Clear():
                self.controls.clear()
        self.told(self.mixer.control(act, self.now))

    def ended(self, what, scope):
        """End what holds for a scope: the scope "all" ends every one."""
        for key in list(self.controls):
            if key[0] in what and scope in {ALL, key[1]}:
                del self.controls[key]

    @rule(on=st.booleans())
    def quiet_hours_begin_or_end(self, on):
        self.is_quiet = on
        self.told(self.mixer.quiet(on, self.now))

    @rule()
    def a_new_engine_takes_over(self):
        new = Engine()
        for command in self.mixer.restore(self.now):
            assert not isinstance(command, Play)
            new.obey(command)
        old = self.engine
        assert (new.buses, new.layers) == (old.buses, old.layers)
        assert new.beats == old.beats
        self.engine = new
        assert self.mixer.sounding(self.now).voices == ()

    @precondition(lambda self: self.untold)
    @rule()
    def the_end_comes_and_all_begins_anew(self):
        waiting = dict(self.untold)
        self.mixer.drain()
        while (outcome := self.mixer.next_event()) is not None:
            assert outcome.reason is Reason.BACKLOG_AGE
            del waiting[outcome.number]
        assert not waiting, "whatever waits is accounted for"
        self.untold.clear()
        self.groups.clear()

    @rule(pause_s=pauses)
    def time_passes(self, pause_s):
        self.pass_time(pause_s)

    def teardown(self):
        self.the_end_comes_and_all_begins_anew()

    # -- what always holds --------------------------------------------------------

    @invariant()
    def layers_follow_the_highest_that_is_known_and_wanted(self):
        expected, unknown = {}, set()
        for (origin, _), told in self.held.items():
            if self.reason(told.whose) is not None:
                continue
            if origin in self.late or told.due <= self.now:
                unknown.add(origin)
            else:
                least = expected.get(told.layer, 0.0)
                expected[told.layer] = max(least, told.value)
        if unknown:
            fullness = 0.4 + 0.3 * math.log10(len(unknown))
            expected["hum"] = round(fullness * STEPS) / STEPS
        assert {k: v[0] for k, v in self.engine.layers.items()} == expected

    @invariant()
    def nothing_sounds_that_is_muted(self):
        for voice, row in self.engine.voices.items():
            if row.until > self.now and voice != PULSE_VOICE:
                reasons = {self.reason(whose) for whose in row.whose}
                assert reasons <= {None, Reason.QUIET}, "what began may end by itself"
        for beat in self.mixer.sounding(self.now).beats:
            assert beat.beat in self.engine.beats
        assert len(self.engine.beats) == len(self.mixer.sounding(self.now).beats)

    @invariant()
    def the_master_is_as_the_controls_say(self):
        self.expire()
        muted = any((what, ALL) in self.controls for what in ("mute", "snooze"))
        gain = self.controls.get(("gain", ALL), (0.0, 0.0))[1]
        assert self.engine.buses[Bus.MASTER] == (None if muted else gain)
        if muted:
            assert not [v for v, r in self.engine.voices.items() if r.until > self.now]
            assert not self.engine.layers
            assert not self.engine.beats

    @invariant()
    def the_bed_is_down_only_while_alerts_sound(self):
        for bus in (Bus.BED, Bus.EVENTS):
            assert self.engine.buses[bus] in {0.0, -6.0}
        assert self.engine.buses[Bus.ALERTS] == 0.0

    @invariant()
    def what_is_listed_is_what_was_said(self):
        self.expire()
        listed = {(c.what, c.scope): c.gain_db for c in self.mixer.controls(self.now)}
        said = {
            key: gain
            for key, (_, gain) in self.controls.items()
            if key[0] != "gain" or gain
        }
        assert listed == said

    @invariant()
    def nothing_waits_for_ever(self):
        for came in self.untold.values():
            alert = came.signal.tier is Tier.ALERT
            assert self.now - came.at <= (TOLD_S if alert else WAITED_S)

    @invariant()
    def what_sounds_is_what_the_engine_sounds(self):
        mine = {v for v, r in self.engine.voices.items() if r.until > self.now}
        theirs = {voice.voice for voice in self.mixer.sounding(self.now).voices}
        assert theirs == mine - {PULSE_VOICE}

    # -- the model ----------------------------------------------------------------

    def number(self, signal, class_name):
        self.fed += 1
        self.untold[self.fed] = Came(signal, class_name, self.now)
        return self.fed

    def pass_time(self, seconds):
        end = self.now + seconds
        while (due := self.mixer.next_timer()) <= end:
            self.now = max(self.now, due)
            self.told(self.mixer.handle_timer(self.now))
            assert self.mixer.next_timer() > self.now, "what was due is done"
        self.now = end

    def expire(self):
        self.controls = {k: v for k, v in self.controls.items() if v[0] > self.now}

    def reason(self, whose):
        """Return why a signal is not to be heard, in the plainest way."""
        self.expire()
        covering = {what for what, scope in self.controls if covers(scope, whose)}
        if "mute" in covering:
            return Reason.MUTED
        if "snooze" in covering:
            return Reason.SNOOZED
        if any(what == "solo" for what, _ in self.controls) and "solo" not in covering:
            return Reason.SOLOED
        if self.is_quiet and whose[3] in {None, Tier.ROUTINE}:
            return Reason.QUIET
        return None

    def hold(self, state, origin, whose):
        value = max(0.0, state.value)  # what is not a number is 0
        key = origin, state.name
        last = self.held.get(key)
        step = round(value * STEPS) / STEPS
        if last is not None and abs(value - last.value) * STEPS <= 0.75:
            step = last.value
        layer, due = "stream", math.inf
        if state.name != "d":
            back = last is not None and last.layer == "gale"
            layer = "gale" if value >= GALE - HYSTERESIS * back else "wind"
        elif last is not None:
            gap_s = min(self.now - last.at, 10 * OVERDUE_S)
            due = self.now + max(OVERDUE_S, 3 * gap_s)
        self.held[key] = Told(step, layer, self.now, whose, due)

    def kind(self, event):
        zone = PLACES.zone(event.host, "").name
        return event.name, event.tier, event.family, zone

    def is_lone(self, event):
        """Say whether a voice is idle, and nothing like it came for long."""
        busy = [v for v, r in self.engine.voices.items() if r.until > self.now]
        common = [voice for voice in busy if voice < VOICES - ALERT_VOICES]
        last = self.fed_at.get(self.kind(event), -math.inf)
        waited = max(FOLD_S, 1.3 * MAX_WINDOW_S)
        return len(common) < VOICES - ALERT_VOICES and self.now - last > waited

    def join(self, alert, late):
        """Let an alert join the group of its cause, or open it, if it has one."""
        if not late and not alert.signal.name.startswith("peep."):
            return
        alert.late = late
        alert.group, last = self.groups.get(late, (0, 0.0))
        if not alert.group or self.now >= last + GROUP_S:
            self.opened += 1
            alert.group = self.opened
        self.groups[late] = alert.group, self.now

    def told(self, commands):
        """Take all outcomes; each signal is told once, and each cue has its command."""
        out = []
        while (outcome := self.mixer.next_event()) is not None:
            out.append(outcome)
            if isinstance(outcome, Cue):
                self.heard(outcome)
            else:
                came = self.untold.pop(outcome.number)
                assert came.signal == outcome.signal
                self.unheard(outcome, came.class_name)
        waiting = [o for o in out if isinstance(o, Cue) and isinstance(o.place, int)]
        for command in commands:
            if isinstance(command, Play):
                self.played(command, waiting)
            self.engine.obey(command)
        self.cues = [cue for cue in self.cues if cue[0] > self.now - 1.0]
        return out

    def heard(self, cue):
        numbers = [cue.number, *(carried.number for carried in cue.carried)]
        assert numbers == sorted(numbers), "in the order in which they came"
        assert self.untold[cue.number].signal == cue.signal
        whose = []
        for number in numbers:
            came = self.untold.pop(number)
            tier = getattr(came.signal, "tier", None)
            host, name = came.signal.host, came.signal.name
            whose.append((came.class_name, host, name, tier))
            if tier is Tier.ALERT:
                assert self.now - came.at <= TOLD_S, "all are named in time"
            assert self.reason(whose[-1]) is None
            assert cue.late == came.late
            if came.group:
                known = self.numbers.setdefault(came.group, cue.group)
                assert cue.group == known > 0
        for carried in cue.carried:
            assert carried.signal.tier is cue.signal.tier
        if isinstance(cue.signal, Event):
            self.cues.append((self.now, cue, whose))

    def unheard(self, suppression, class_name):
        signal = suppression.signal
        if isinstance(signal, Event) and signal.tier is Tier.ALERT:
            whose = class_name, signal.host, signal.name, signal.tier
            reason = self.reason(whose)
            assert suppression.reason in {Reason.UNMAPPED, reason}, "it is always heard"

    def played(self, play, cues):
        """Check who had to make room, and let the engine sound it."""
        assert play.variant < len(BANK.variants[play.sound])
        duration_s = BANK.variants[play.sound][play.variant].duration_s / play.rate
        until = self.now + duration_s
        if play.voice == PULSE_VOICE:
            row = Row(until, self.now, 0, [])
        elif play.sound == "miss":
            row = Row(until, self.now, rank_of(Event(name="m", tier=Tier.NOTABLE)), [])
        else:
            mine = [c for c in cues if (c.place, c.sound) == (play.voice, play.sound)]
            if mine:
                cues.remove(mine[0])
                whose = next(w for _, cue, w in self.cues if cue is mine[0])
                event = mine[0].signal
            else:  # a call of a flurry: of a cue of many that sounded a moment ago
                event, whose = self.flurry(play)
            alert = event.tier is Tier.ALERT
            assert play.bus is (Bus.ALERTS if alert else Bus.EVENTS)
            row = Row(until, self.now, rank_of(event), whose)
        self.make_room(play.voice, row)
        self.engine.voices[play.voice] = row

    def flurry(self, play):
        for _, cue, whose in reversed(self.cues):
            count = cue.signal.count + len(cue.carried)
            zone = PLACES.zone(cue.signal.host, "")
            if (
                (cue.sound, zone.rate) == (play.sound, play.rate)
                and count > 1
                and cue.signal.tier is not Tier.ALERT
                and not any(self.reason(it) for it in whose)
            ):
                return cue.signal, whose
        raise AssertionError("nobody's call")

    def make_room(self, voice, row):
        before = self.engine.voices.get(voice)
        common = VOICES - ALERT_VOICES
        alert = row.rank >= rank_of(Event(name="a", tier=Tier.ALERT))
        assert voice == PULSE_VOICE or voice < common or alert
        if before is None or before.until <= self.now or voice == PULSE_VOICE:
            return
        reach = range(VOICES if alert else common)
        rows = [self.engine.voices.get(one) for one in reach]
        assert all(one and one.until > self.now for one in rows), "none is idle"
        assert before.rank <= row.rank, "nobody is cut off by less"
        assert before.rank == min(one.rank for one in rows), "the least goes"
        alike = [one.since for one in rows if one.rank == before.rank]
        assert before.since == min(alike), "of those the oldest"
        if before.rank == row.rank and not alert:
            assert self.now >= before.since + YOUNG_S


def rank_of(event):
    if event.tier is Tier.ALERT:
        return 512
    return 256 * event.tier + min(event.priority, 255)


def covers(scope, whose):
    class_name, host, name, tier = whose
    word = None if tier is None else tier.name.lower()
    return {
        "all": True,
        "class": class_name == scope.value,
        "host": host == scope.value,
        "name": f"{name}.".startswith(f"{scope.value}."),
        "tier": word == scope.value,
    }[scope.kind]


TestMixing = pytest.mark.slow(Mixing.TestCase)
TestMixing.settings = settings(stateful_step_count=25)
