"""What the operator says is done, to what sounds already too, and can be seen."""

import random

import msgspec
import pytest
from test_mixer import ALERT, BANK, kinds, mixer, outcomes

from peep.errors import PeepError
from peep.mixer.commands import PULSE_VOICE, Bus, Fade, Level, Play, Stop
from peep.mixer.controls import (
    ALL,
    MAX_CONTROLS,
    MAX_FOR_S,
    QUIET_GAIN_DB,
    Act,
    Clear,
    Control,
    Controls,
    Gain,
    Mute,
    Scope,
    Snooze,
    Solo,
    Unmute,
    Unsolo,
)
from peep.mixer.crowds import FOLD_S
from peep.mixer.groups import GATHER_S
from peep.mixer.mixer import MUTE_FADE_S, Mixer
from peep.mixer.outcomes import Cue
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, State, Tier
from peep.theme import PulseSpec, SoundSpec, Theme

WEB1 = Scope("host", "web1")
LOGIN = Event(name="ssh.login", host="web1")


def reasons(machine):
    return [getattr(outcome, "reason", None) for outcome in outcomes(machine)]


def mute(machine, scope, now=0.0):
    return machine.control(Mute(scope), now)


@pytest.mark.parametrize(
    ("scope", "covered", "others"),
    [
        (ALL, ["ssh.login", "sshd"], []),
        (Scope("class", "net"), ["ssh.login", "sshd"], []),
        (Scope("class", "netX"), [], ["ssh.login", "sshd"]),
        (WEB1, ["ssh.login", "sshd"], []),
        (Scope("host", "web"), [], ["ssh.login", "sshd"]),
        (Scope("name", "ssh"), ["ssh", "ssh.login"], ["sshd"]),
        (Scope("name", "ssh.login"), ["ssh.login"], ["ssh"]),
        (Scope("tier", "routine"), ["ssh.login"], []),
        (Scope("tier", "alert"), [], ["ssh.login"]),
    ],
)
def test_a_scope_covers_whom_it_names(scope, covered, others):
    machine = mixer()
    mute(machine, scope)
    for name in covered + others:
        event = Event(name=name, host="web1", family="access")
        machine.feed(event, 0.0, class_name="net")
    muted = [Reason.MUTED] * len(covered)
    assert reasons(machine) == muted + [None] * len(others)


def test_states_and_heartbeats_are_of_no_tier():
    machine = mixer()
    for tier in Tier:
        mute(machine, Scope("tier", tier.name.lower()))
    assert machine.feed(State(name="load", value=0.5), 0.0)
    assert machine.feed(Heartbeat(name="h", rate_hz=1.0), 0.0)


def test_mute_ends_what_sounds_already_and_nothing_else():
    machine = mixer()
    mine = machine.feed(LOGIN, 0.0)[0].voice
    machine.feed(Event(name="ssh", host="db1"), 0.0)
    machine.feed(State(name="load", value=0.8, host="web1"), 0.0, "web1")
    machine.feed(State(name="load", value=0.5, host="db1"), 0.0, "db1")
    stop, level = mute(machine, WEB1, 0.1)
    assert stop == Stop(mine)
    assert (level.value, level.fade_s) == (0.5, MUTE_FADE_S)
    assert [voice.host for voice in machine.sounding(0.1).voices] == ["db1"]
    assert [layer.host for layer in machine.sounding(0.1).layers] == ["db1"]


def test_a_state_is_muted_by_the_class_that_it_last_came_by():
    machine = mixer()
    for class_name in ("net", "ops"):
        state = State(name="load", value=0.5)
        machine.feed(state, 0.0, "a", class_name=class_name)
    assert mute(machine, Scope("class", "net")) == []
    assert mute(machine, Scope("class", "ops"))[0].value is None


def test_a_cue_that_carries_somebody_who_is_muted_ends():
    machine = mixer()
    for host in "abcdef":
        machine.feed(Event(name="peep.agent-lost", tier=Tier.ALERT, host=host), 0.0)
    (play,) = machine.handle_timer(GATHER_S)
    assert Stop(play.voice) in mute(machine, Scope("host", "d"), GATHER_S + 0.1)


def test_what_waits_is_suppressed_when_it_is_muted():
    machine = mixer()
    lost = [Event(name="peep.agent-lost", tier=Tier.ALERT, host=h) for h in "abc"]
    for event in (*kinds(28, Tier.NOTABLE), LOGIN, LOGIN, LOGIN, *lost):
        machine.feed(event, 0.0)
    outcomes(machine)
    mute(machine, ALL)
    assert reasons(machine) == [Reason.MUTED] * 5
    assert machine.handle_timer(10.0) == [
        Fade(Bus.BED, 0.0, 1.5),
        Fade(Bus.EVENTS, 0.0, 1.5),
    ]


def test_others_go_on_waiting_when_one_is_muted():
    machine = mixer()
    for event in (*kinds(28, Tier.NOTABLE), LOGIN, Event(name="ssh", host="db1")):
        machine.feed(event, 0.0)
    for host in ("web1", "db1"):
        machine.feed(Event(name="ssh.k1-1", tier=Tier.NOTABLE, host=host), 0.0)
        machine.feed(Event(name="ssh.k1-1", tier=Tier.NOTABLE, host=host), 0.0)
    outcomes(machine)
    mute(machine, WEB1)
    assert set(reasons(machine)) == {Reason.MUTED}
    machine.handle_timer(0.5)
    machine.handle_timer(1.1)
    told = outcomes(machine)
    assert {outcome.signal.host for outcome in told} == {"db1"}
    assert all(isinstance(outcome, Cue) for outcome in told)


def test_a_flurry_ends_with_its_cue():
    machine = mixer()
    machine.feed(Event(name="ssh", host="web1", count=1000), 0.0)
    mute(machine, WEB1, 0.01)
    assert machine.next_timer() is None


def test_mute_all_is_silence_and_unmute_brings_back_what_is_by_then():
    machine = mixer()
    machine.feed(State(name="load", value=0.8), 0.0, "a")
    machine.feed(ALERT, 0.0)
    silenced = mute(machine, ALL, 0.1)
    assert silenced[0] == Fade(Bus.MASTER, None, MUTE_FADE_S)
    assert Stop(PULSE_VOICE) in silenced
    assert Level("wind", None, 0.0, 0.0, MUTE_FADE_S) in silenced
    outcomes(machine)
    assert machine.feed(ALERT, 0.2) == []
    assert machine.feed(State(name="load", value=0.3), 0.2, "a") == []
    assert reasons(machine) == [Reason.MUTED] * 2
    fade, level = machine.control(Unmute(ALL), 1.0)
    assert fade == Fade(Bus.MASTER, 0.0, MUTE_FADE_S)
    assert (level.value, level.fade_s) == (0.3, 0.3)
    assert machine.feed(ALERT, 1.0)


def test_the_pulse_is_silent_when_all_is_muted_and_goes_on_under_solo():
    sounds = {name: SoundSpec(name=name) for name in BANK.variants}
    theme = Theme(name="p", sounds=sounds, pulse=PulseSpec(sound="tick"))
    machine = Mixer(theme, BANK, random.Random(1))
    mute(machine, ALL)
    assert machine.handle_timer(0.0) == []
    assert machine.next_timer() > 0.0
    machine.control(Unmute(ALL), 1.0)
    machine.control(Solo(WEB1), 1.0)
    (pulse,) = machine.handle_timer(20.0)
    assert (pulse.voice, pulse.gain_db) == (PULSE_VOICE, 0.0)
    machine.control(Clear(), 21.0)
    machine.quiet(True, 21.0)
    assert machine.handle_timer(40.0)[0].gain_db == QUIET_GAIN_DB


def test_a_snooze_ends_by_itself_and_wakes_the_timer():
    machine = mixer()
    machine.feed(State(name="load", value=0.8, host="web1"), 0.0, "a")
    machine.control(Snooze(WEB1, 60.0), 0.0)
    machine.feed(LOGIN, 1.0)
    assert reasons(machine)[1:] == [Reason.SNOOZED]
    assert machine.next_timer() == 60.0
    (back,) = machine.handle_timer(60.0)
    assert (back.layer, back.value) == ("wind", 0.8)
    assert machine.next_timer() is None
    assert machine.feed(LOGIN, 60.0)
    assert machine.controls(60.0) == ()


def test_what_ends_by_itself_has_ended_when_a_signal_comes_first():
    machine = mixer()
    machine.feed(State(name="load", value=0.8, host="web1"), 0.0, "a")
    machine.control(Mute(WEB1, 60.0), 0.0)
    level, play = machine.feed(LOGIN, 61.0)
    assert isinstance(level, Level)
    assert isinstance(play, Play)


def test_solo_silences_all_else():
    machine = mixer()
    machine.feed(Event(name="ssh", host="db1"), 0.0)
    assert machine.control(Solo(WEB1), 0.1) == [Stop(0)]
    outcomes(machine)
    assert machine.feed(LOGIN, 0.1)
    assert machine.feed(Event(name="ssh", host="db1", tier=Tier.ALERT), 0.1) == []
    assert reasons(machine) == [None, Reason.SOLOED]
    machine.control(Solo(Scope("host", "db1")), 0.1)
    assert machine.feed(Event(name="ssh.b", host="db1"), 0.2)
    mute(machine, WEB1, 0.2)
    machine.feed(LOGIN, 0.2)
    assert reasons(machine)[-1] is Reason.MUTED, "a mute goes before"
    machine.control(Unsolo(WEB1), 0.3)
    machine.control(Unsolo(Scope("host", "db1")), 0.3)
    assert machine.feed(Event(name="ssh.c", host="other"), 0.3)


def test_gains_of_scopes_add_up_and_turn_layers_at_once():
    machine = mixer()
    machine.feed(State(name="load", value=0.5, host="web1"), 0.0, "a")
    (level,) = machine.control(Gain(WEB1, -4.0), 0.0)
    assert level.gain_db == -4.0
    machine.control(Gain(Scope("name", "ssh"), -2.0), 0.0)
    machine.control(Gain(Scope("tier", "alert"), 3.0), 0.0)
    assert machine.feed(LOGIN, 0.0)[0].gain_db == -3.0 - 6.0
    assert machine.feed(Event(name="fire", tier=Tier.ALERT), 0.0)[0].gain_db == 3.0
    (level,) = machine.control(Gain(WEB1, 0.0), 0.0)
    assert level.gain_db == 0.0
    (beat,) = machine.feed(Heartbeat(name="ssh", rate_hz=1.0), 0.0)
    assert beat.gain_db == -2.0


def test_the_gain_of_all_is_the_masters():
    machine = mixer()
    assert machine.control(Gain(ALL, -12.0), 0.0) == [
        Fade(Bus.MASTER, -12.0, MUTE_FADE_S)
    ]
    assert machine.feed(LOGIN, 0.0)[0].gain_db == -3.0
    mute(machine, ALL)
    assert machine.control(Unmute(ALL), 0.0)[0].gain_db == -12.0


def test_in_quiet_hours_alerts_are_as_ever_notable_softer_and_the_rest_silent():
    machine = mixer()
    machine.feed(State(name="load", value=0.5), 0.0, "a")
    machine.feed(Heartbeat(name="h", rate_hz=1.0), 0.0, "a")
    machine.feed(LOGIN, 0.0)
    level, beat = machine.quiet(True, 0.1)
    assert (level.value, beat.rate_hz) == (None, 0.0)
    assert level.fade_s > 1
    assert machine.quiet(True, 0.2) == []
    outcomes(machine)
    for signal in (
        Event(name="ssh"),
        State(name="load", value=0.9),
        Heartbeat(name="h", rate_hz=2.0),
    ):
        assert machine.feed(signal, 0.2, "a") == []
    assert reasons(machine) == [Reason.QUIET] * 3
    notable = Event(name="ssh.n", tier=Tier.NOTABLE)
    assert machine.feed(notable, 0.9)[0].gain_db == -3.0 + QUIET_GAIN_DB
    assert machine.feed(ALERT, 0.9)[0].gain_db == 0.0
    level, beat = machine.quiet(False, 1.0)
    assert (level.value, beat.rate_hz) == (0.9, 2.0)
    assert machine.controls(1.0) == ()


def test_what_holds_is_listed_and_can_be_brought_about_again():
    machine = mixer()
    acts = [
        Mute(Scope("tier", "alert")),
        Snooze(WEB1, 60.0),
        Solo(Scope("class", "net")),
        Gain(Scope("name", "ssh"), -3.0),
        Mute(ALL, 90.0),
    ]
    for act in acts:
        machine.control(act, 0.0)
    listed = machine.controls(10.0)
    assert listed[:2] == (
        Control("mute", Scope("tier", "alert")),
        Control("snooze", WEB1, left_s=50.0),
    )
    assert [control.act() for control in listed] == [
        acts[0],
        Snooze(WEB1, 50.0),
        acts[2],
        acts[3],
        Mute(ALL, 80.0),
    ]
    machine.control(Clear(), 10.0)
    assert machine.controls(10.0) == ()


def test_acts_and_controls_go_through_json():
    for act in (
        Mute(ALL, 5.0),
        Unmute(ALL),
        Solo(WEB1),
        Unsolo(WEB1),
        Snooze(WEB1, 5.0),
        Gain(WEB1, 1.0),
        Clear(),
    ):
        assert msgspec.json.decode(msgspec.json.encode(act), type=Act) == act
    control = Control("gain", WEB1, gain_db=2.0)
    text = msgspec.json.encode(control)
    assert msgspec.json.decode(text, type=Control) == control


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (Mute(Scope("tier", "loud")), "routine, notable, alert"),
        (Mute(Scope("all", "x")), "takes no value"),
        (Mute(Scope("host")), "1 to 255"),
        (Mute(Scope("host", "x" * 256)), "1 to 255"),
        (Mute(ALL, 0.0), "more than 0 s"),
        (Snooze(ALL, MAX_FOR_S * 2), "at most a year"),
        (Snooze(ALL, float("nan")), "nan"),
        (Gain(ALL, 99.0), "12 dB"),
        (Gain(ALL, float("nan")), "nan"),
    ],
)
def test_an_act_that_makes_no_sense_is_refused_and_changes_nothing(act, says):
    machine = mixer()
    with pytest.raises(PeepError, match=says):
        machine.control(act, 0.0)
    assert machine.controls(0.0) == ()
    assert machine.feed(LOGIN, 0.0)


def test_controls_and_verdicts_are_bounded(monkeypatch):
    monkeypatch.setattr("peep.mixer.controls.MAX_VERDICTS", 2)
    controls = Controls()
    for number in range(MAX_CONTROLS):
        controls.act(Mute(Scope("host", f"h{number}")), 0.0)
    with pytest.raises(PeepError, match=str(MAX_CONTROLS)):
        controls.act(Solo(ALL), 0.0)
    controls.act(Mute(Scope("host", "h1"), 9.0), 0.0)
    for number in range(9):
        whose = ("", f"h{number}", "x", None)
        assert controls.verdict(whose).reason is Reason.MUTED
    assert controls.expire(8.0) is False
    assert controls.expire(9.0) is True
    assert controls.verdict(("", "h1", "x", None)).reason is None


def test_what_sounds_can_be_asked():
    machine = mixer()
    machine.feed(Event(name="ssh", host="web1", tier=Tier.NOTABLE), 0.0, number=7)
    for _ in range(3):
        machine.feed(Event(name="ssh", host="web1", tier=Tier.NOTABLE), 0.1)
    machine.feed(State(name="load", value=0.5, host="web1"), 0.1, "a")
    machine.feed(Heartbeat(name="h", rate_hz=1.0, host="web1"), 0.1, "a")
    machine.handle_timer(FOLD_S)
    now = machine.sounding(0.6)
    (voice,) = now.voices
    assert (voice.name, voice.host, voice.count) == ("ssh", "web1", 3)
    assert (voice.since, voice.until > FOLD_S) == (FOLD_S, True)
    assert (now.layers[0].layer, now.layers[0].value) == ("wind", 0.5)
    assert (now.beats[0].name, now.beats[0].rate_hz) == ("h", 1.0)
    assert msgspec.json.encode(now)
    machine.forget("a")
    assert machine.sounding(99.0) == machine.sounding(99.0).__class__()


def test_a_new_engine_is_brought_to_where_the_old_one_was():
    machine = mixer()
    machine.feed(State(name="load", value=0.5), 0.0, "a")
    machine.feed(Heartbeat(name="h", rate_hz=1.0), 0.0, "a")
    machine.feed(Heartbeat(name="i", rate_hz=1.0), 0.0, "a")
    mute(machine, Scope("name", "i"))
    machine.control(Gain(ALL, -6.0), 0.0)
    machine.feed(ALERT, 0.0)
    duck, also, master, level, beat = machine.restore(0.5)
    assert (duck.bus, also.bus) == (Bus.BED, Bus.EVENTS)
    assert master == Fade(Bus.MASTER, -6.0, 0.0)
    assert (level.layer, level.value) == ("wind", 0.5)
    assert (beat.sound, beat.rate_hz) == ("tick", 1.0)
    assert machine.sounding(0.5).voices == (), "voices are gone"
    assert isinstance(outcomes(machine)[-1], Cue), "and were heard"


def test_what_waits_sounds_on_the_new_engine():
    machine = mixer()
    for event in (*kinds(28, Tier.NOTABLE), LOGIN):
        machine.feed(event, 0.0)
    assert machine.restore(0.1) == []
    (play,) = machine.handle_timer(machine.next_timer())
    assert play.sound == "frog"


def test_a_control_that_ended_meanwhile_has_ended_for_the_new_engine():
    machine = mixer()
    machine.feed(State(name="load", value=0.5), 0.0, "a")
    machine.control(Mute(ALL, 5.0), 0.0)
    assert [type(c) for c in machine.restore(4.0)] == [Fade]
    assert [type(c) for c in machine.restore(6.0)] == [Level]
