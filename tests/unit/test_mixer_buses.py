"""An alert makes the bed and the other events softer, and the bed comes back."""

import random

from msgspec.structs import replace
from test_mixer import ALERT, BANK, THEME, mixer

from peep.mixer.buses import DUCK_DB, DUCK_HOLD_S, DUCK_S, MAX_DUCK_S, RELEASE_S
from peep.mixer.commands import Bus, Fade, Play
from peep.mixer.mixer import Mixer
from peep.mixer.room import SMALL_SPEAKER
from peep.signals import Event, Tier
from peep.theme import SoundBank, Variant, Voicing

BELL_S = 2.0


def fades(commands):
    return [command for command in commands if isinstance(command, Fade)]


def test_an_alert_is_on_a_bus_of_its_own_and_ducks_the_others():
    machine = mixer()
    play, bed, events = machine.feed(ALERT, 0.0)
    assert play.bus is Bus.ALERTS
    assert bed == Fade(Bus.BED, -DUCK_DB, DUCK_S)
    assert events == Fade(Bus.EVENTS, -DUCK_DB, DUCK_S)
    assert machine.feed(Event(name="ssh"), 0.0)[0].bus is Bus.EVENTS


def test_when_the_alert_is_over_all_comes_back_slowly():
    machine = mixer()
    machine.feed(ALERT, 0.0)
    assert machine.next_timer() == BELL_S + DUCK_HOLD_S
    assert machine.handle_timer(BELL_S + DUCK_HOLD_S) == [
        Fade(Bus.BED, 0.0, RELEASE_S),
        Fade(Bus.EVENTS, 0.0, RELEASE_S),
    ]
    assert machine.next_timer() is None


def test_a_row_of_alerts_ducks_once():
    machine = mixer()
    heard = []
    for at in range(0, 20, 2):
        heard += machine.handle_timer(at) + machine.feed(ALERT, float(at))
    assert len(fades(heard)) == 2
    assert len([c for c in heard if isinstance(c, Play)]) == 10


def test_a_long_alert_does_not_keep_the_bed_down():
    long = SoundBank(BANK.variants | {"bell": (Variant(60.0, -16.0),)})
    machine = Mixer(THEME, long, random.Random(1))
    machine.feed(ALERT, 0.0)
    assert machine.next_timer() == MAX_DUCK_S


def test_a_short_alert_does_not_end_what_a_long_one_began():
    events = THEME.events | {"short": Voicing(sound="tick")}
    machine = Mixer(replace(THEME, events=events), BANK, random.Random(1))
    machine.feed(ALERT, 0.0)
    machine.feed(Event(name="short", tier=Tier.ALERT), 0.1)
    assert machine.next_timer() == BELL_S + DUCK_HOLD_S


def test_the_bed_of_a_room_is_ducked_by_as_much():
    machine = Mixer(THEME, BANK, random.Random(1), SMALL_SPEAKER)
    machine.handle_timer(0.0)
    bed = machine.feed(ALERT, 0.0)[1]
    assert bed.gain_db == SMALL_SPEAKER.bed_gain_db - DUCK_DB
    assert fades(machine.handle_timer(10.0))[0].gain_db == SMALL_SPEAKER.bed_gain_db
