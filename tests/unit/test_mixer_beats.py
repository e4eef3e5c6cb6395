"""Heartbeats: where they beat, and how a miss is heard."""

import random

from test_mixer import BANK, mixer, outcomes

from peep.mixer.commands import Beat, Play
from peep.mixer.controls import ALL, Mute, Scope, Unmute
from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Cue
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, Tier
from peep.theme import SoundSpec, Theme, Voicing

PULSING = Theme(
    name="pulsing",
    sounds={name: SoundSpec(name=name) for name in BANK.variants},
    heartbeats={
        "default": Voicing(sound="tick", gain_db=-6.0, overdue_s=4.0, miss="frog"),
        "soft": Voicing(sound="tick", overdue_s=4.0),
    },
    families={"access": Voicing(sound="frog")},
)


def pulsing():
    return Mixer(PULSING, BANK, random.Random(1))


def beat(machine, now, name="h", rate_hz=2.0, origin="a"):
    return machine.feed(Heartbeat(name=name, rate_hz=rate_hz), now, origin)


def steady(machine, name="h"):
    for now in (0.0, 1.0, 2.0):
        beat(machine, now, name)
    outcomes(machine)


def pass_time(machine, until):
    """Return (when, command) of all that timers do."""
    heard = []
    while (due := machine.next_timer()) is not None and due <= until:
        heard += [(due, command) for command in machine.handle_timer(due)]
    return heard


def test_an_overdue_beat_stumbles_with_a_sound_of_its_own_and_then_ends():
    machine = pulsing()
    steady(machine)
    (at, slower), (_, miss), (later, end), (_, again) = pass_time(machine, 60.0)
    assert (at, slower) == (6.0, Beat(0, "tick", 1.0, -6.0, 0.0))
    assert isinstance(miss, Play)
    assert miss.sound == again.sound == "frog"
    assert later > at
    assert end.rate_hz == 0.0
    assert outcomes(machine) == [], "what is missing is no signal"


def test_a_beat_that_is_heard_again_goes_on_and_one_that_ended_begins_anew():
    machine = pulsing()
    steady(machine)
    machine.handle_timer(6.0)
    assert machine.sounding(6.0).beats[0].overdue
    assert beat(machine, 7.0)[0].rate_hz == 2.0
    assert isinstance(outcomes(machine)[0], Cue)
    assert not machine.sounding(7.0).beats[0].overdue
    assert len(pass_time(machine, 200.0)) == 4
    assert machine.sounding(200.0).beats == ()
    assert beat(machine, 200.0)[0].rate_hz == 2.0


def test_a_miss_without_a_sound_is_heard_by_the_rhythm_alone():
    machine = pulsing()
    steady(machine, "soft")
    commands = [command for _, command in pass_time(machine, 60.0)]
    assert [command.rate_hz for command in commands] == [1.0, 0.0]


def test_a_heartbeat_that_was_told_once_is_expected_by_nobody():
    machine = pulsing()
    beat(machine, 0.0)
    assert machine.next_timer() is None


def test_the_beats_of_a_late_origin_stumble_until_it_is_back():
    machine = mixer()
    beat(machine, 0.0)
    beat(machine, 0.0, origin="b")
    (slower,) = machine.late("a", 1.0)
    assert slower.rate_hz == 1.0
    assert machine.late("a", 1.0) == []
    assert machine.returned("a")[0].rate_hz == 2.0
    machine.late("a", 2.0)
    assert machine.forget("a")[0].rate_hz == 0.0


def test_a_miss_finds_no_voice_when_all_are_dearer():
    machine = pulsing()
    steady(machine)
    for number in range(40):
        event = Event(name=f"n{number}", family="access", tier=Tier.NOTABLE)
        machine.feed(event, 5.95)
    heard = [command for at, command in pass_time(machine, 6.0)]
    assert Beat(0, "tick", 1.0, -6.0, 0.0) in heard
    assert [c.sound for c in heard if isinstance(c, Play)] == []


def test_a_muted_beat_is_silent_and_back_as_it_is_by_then():
    machine = pulsing()
    steady(machine)
    scope = Scope("name", "h")
    assert machine.control(Mute(scope), 2.0)[0].rate_hz == 0.0
    assert beat(machine, 3.0, rate_hz=3.0) == []
    assert [o.reason for o in outcomes(machine)] == [Reason.MUTED]
    assert machine.control(Unmute(scope), 3.5)[0].rate_hz == 3.0
    machine.control(Mute(scope), 4.0)
    assert pass_time(machine, 60.0) == [], "nor is its miss heard"
    assert machine.control(Unmute(scope), 60.0) == []


def test_muted_heartbeats_are_muted_whatever_else_they_are():
    machine = pulsing()
    machine.control(Mute(ALL), 0.0)
    beat(machine, 0.0, rate_hz=0.0)
    for number in range(9):
        beat(machine, 0.0, f"h{number}")
    beat(machine, 1.0, "h1", 0.0)
    assert {o.reason for o in outcomes(machine)} == {Reason.MUTED}


def test_a_rate_that_is_no_number_is_none():
    machine = mixer()
    assert beat(machine, 0.0, rate_hz=float("nan")) == []
    assert [o.reason for o in outcomes(machine)] == [Reason.UNCHANGED]
