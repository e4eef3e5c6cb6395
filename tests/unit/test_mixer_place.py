"""Where hosts sound, and what the room makes of it."""

import random

import pytest
from test_mixer import BANK, THEME, mixer

from peep.mixer.commands import Beat, Bus, Fade
from peep.mixer.mixer import Mixer
from peep.mixer.place import FIVE, Places
from peep.mixer.room import HEADPHONES, ROOM, ROOMS, SMALL_SPEAKER
from peep.signals import Event, Heartbeat, State
from peep.theme import RATES, Theme, Voicing, Zone

ZONED = Theme(
    name="zoned",
    families={"access": Voicing(sound="frog")},
    heartbeats={"default": Voicing(sound="tick")},
    zones=(
        Zone(name="dmz", pan=-0.8, rate=0.95, hosts=("web1",), classes=("outside",)),
        Zone(name="inside", pan=0.6, rate=1.05, hosts=("db1",)),
    ),
)
HOSTS = [f"host{number}" for number in range(200)]


def login(machine, host="", class_name="", name="login"):
    event = Event(name=name, family="access", host=host)
    return machine.feed(event, 0.0, class_name=class_name)[0]


def test_hosts_are_spread_over_five_places_and_stay_there():
    places = Places(Theme(name="none"), HEADPHONES)
    zones = [places.zone(host, "any") for host in HOSTS]
    assert set(zones) == set(FIVE)
    assert min(zones.count(zone) for zone in FIVE) > len(HOSTS) / 10
    assert zones == [Places(THEME, ROOM).zone(host, "other") for host in HOSTS]


def test_each_place_has_a_shade_of_timbre_so_that_mono_keeps_it():
    machine = Mixer(THEME, BANK, random.Random(1), SMALL_SPEAKER)
    heard = [login(machine, host, name=host) for host in HOSTS[:20]]
    assert {play.pan for play in heard} == {0.0}
    assert len({play.rate for play in heard}) == 5
    assert all(RATES[0] <= play.rate <= RATES[1] for play in heard)


def test_hosts_are_spread_over_the_zones_of_a_theme_that_names_nobody():
    zones = (Zone(name="left", pan=-0.5), Zone(name="right", pan=0.5))
    places = Places(Theme(name="bare", zones=zones), HEADPHONES)
    assert {places.zone(host, "any") for host in HOSTS} == set(zones)
    assert places.zone("", "any").pan == 0.0


def test_what_is_of_no_host_sounds_in_the_middle():
    play = login(mixer())
    assert (play.pan, play.rate) == (0.0, 1.0)


def test_zones_of_the_theme_are_assigned_by_host_then_by_class():
    machine = Mixer(ZONED, BANK, random.Random(1))
    by_host = login(machine, "db1", "outside")
    assert (by_host.pan, by_host.rate) == (0.6, 1.05)
    assert login(machine, "web9", "outside").pan == -0.8
    assert login(machine, "web1", "other", "x").pan == -0.8
    assert login(machine, "else", "other").pan == 0.0


def test_a_heartbeat_beats_where_its_host_is():
    machine = Mixer(ZONED, BANK, random.Random(1))
    commands = machine.feed(Heartbeat(name="h", rate_hz=1.0, host="db1"), 0.0)
    assert commands == [Beat(0, "tick", 1.0, 0.0, 0.6)]


def test_a_voice_is_busy_for_as_long_as_its_shade_takes():
    machine = Mixer(ZONED, BANK, random.Random(1))
    login(machine, "web1")
    (voice,) = machine.sounding(0.1).voices
    assert voice.until == pytest.approx(0.5 / 0.95)


@pytest.mark.parametrize("room", ROOMS.values(), ids=list(ROOMS))
def test_a_room_narrows_every_pan(room):
    machine = Mixer(THEME, BANK, random.Random(1), room)
    play = machine.feed(Event(name="ssh", pan=-9.0), 0.0)[0]
    (level,) = machine.feed(State(name="load", value=0.5, pan=0.5), 0.0)
    assert (play.pan, level.pan) == (-room.width, 0.5 * room.width)


def test_a_small_speaker_has_a_softer_bed_from_the_start():
    machine = Mixer(THEME, BANK, random.Random(1), SMALL_SPEAKER)
    assert machine.next_timer() == float("-inf")
    assert machine.handle_timer(0.0) == [
        Fade(Bus.BED, SMALL_SPEAKER.bed_gain_db, 0.0),
    ]
    assert machine.next_timer() is None
