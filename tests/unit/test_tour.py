"""What an audition plays, and what the keys of a keyboard do."""

from itertools import pairwise

import pytest

from peep.cli.keytest import LETTERS, Keyboard, keys_of
from peep.config.meanings import heard_sounds, meanings, named, pair_of, sounds_of
from peep.config.themes import load_theme, shipped_themes
from peep.mixer.commands import PULSE_VOICE, VOICES, Beat, Bus, Level, Play
from peep.signals import Event, Tier
from peep.sound.tour import PAIR_S, PAUSE_S, RISE_S, Audition
from peep.theme import (
    LayerSpec,
    PulseSpec,
    SoundBank,
    SoundSpec,
    Theme,
    Variant,
    Voicing,
)

SOUNDS = ("frog", "frog-off", "drop", "bell", "cricket", "stumble", "pulse")
SMALL = Theme(
    name="small",
    sounds={
        name: SoundSpec(
            name=name,
            recipe=name,
            variants=2,
            level="alert" if name == "bell" else "routine",
        )
        for name in SOUNDS
    },
    layers={
        name: LayerSpec(name=name, recipe=name) for name in ("wind", "gale", "hum")
    },
    families={
        "default": Voicing(sound="drop"),
        "web": Voicing(sound="drop", gain_db=-3, pan=0.5),
        "access": Voicing(sound="frog"),
    },
    alerts={"default": Voicing(sound="bell")},
    endings={
        "logout": Voicing(sound="frog-off"),
        "access.closed": Voicing(sound="frog-off"),
        "web.gone": Voicing(sound="cricket"),
        "alone": Voicing(sound="cricket"),
    },
    events={"peep.agent-lost": Voicing(sound="bell")},
    states={
        "system.load": Voicing(sound="wind", gain_db=-2, above=((0.8, "gale"),)),
        "system.cpu": Voicing(sound="wind"),
    },
    heartbeats={"default": Voicing(sound="cricket", gain_db=-12, miss="stumble")},
    unknown=Voicing(sound="hum"),
    pulse=PulseSpec(sound="pulse", every_s=9),
)
BANK = SoundBank({name: (Variant(1.0, -21.0), Variant(0.5, -21.0)) for name in SOUNDS})


def toured(theme=SMALL, bank=BANK):
    audition = Audition(theme, bank)
    audition.tour()
    return audition.steps


def auditioned(name, known=None):
    audition = Audition(SMALL, BANK)
    audition.play(named(SMALL, name, known or {}))
    return audition.steps


def played(steps):
    return [it for step in steps for it in step.commands if isinstance(it, Play)]


def levels(steps, layer):
    found = (it for step in steps for it in step.commands if isinstance(it, Level))
    return [it.value for it in found if it.layer == layer]


def test_meanings_stand_in_the_order_to_learn_them_with_what_they_are():
    found = meanings(SMALL)
    assert [(it.table, it.name) for it in found[:4]] == [
        ("families", "access"),
        ("families", "web"),
        ("families", "default"),
        ("alerts", "default"),
    ]
    web = found[1]
    assert (web.sound, web.gain_db, web.pan, web.variants) == ("drop", -3, 0.5, 2)
    assert web.says == "a request, one of many"
    assert [it.table for it in found[-3:]] == ["heartbeats", "unknown", "pulse"]
    assert found[-1].every_s == 9
    (load,) = [it for it in found if it.name == "system.load"]
    assert (load.layer, load.above) == ("wind", ((0.8, "gale"),))


def test_a_name_is_a_meaning_or_a_rules_event_or_a_sound_or_a_layer():
    known = {"x.y": Event(name="x.y", tier=Tier.ALERT)}
    assert [it.table for it in named(SMALL, "default", known)] == [
        "families",
        "alerts",
        "heartbeats",
    ]
    (event,) = named(SMALL, "x.y", known)
    assert (event.table, event.sound) == ("events", "bell")
    assert [it.table for it in named(SMALL, "pulse", known)] == ["pulse", "sounds"]
    assert [it.table for it in named(SMALL, "gale", known)] == ["layers"]
    assert named(SMALL, "gone", known) == []


def test_an_event_that_the_theme_does_not_sound_is_nothing():
    bare = Theme(name="bare")
    assert named(bare, "x.y", {"x.y": Event(name="x.y")}) == []
    assert meanings(bare) == []


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("logout", "frog"),
        ("access.closed", "frog"),
        ("web.gone", "drop"),
        ("alone", ""),
        ("access", ""),
    ],
)
def test_what_ends_has_a_sound_that_begins(name, begins):
    (it,) = named(SMALL, name, {})
    assert pair_of(SMALL, it) == begins


def test_the_sounds_of_meanings_are_all_that_they_need():
    assert set(heard_sounds(SMALL)) == set(SOUNDS)
    assert sounds_of(SMALL, named(SMALL, "logout", {})) == ("frog-off", "frog")


def test_a_tour_plays_every_sound_and_every_layer_and_names_every_meaning():
    steps = toured()
    beats = {it.sound for s in steps for it in s.commands if isinstance(it, Beat)}
    assert {it.sound for it in played(steps)} | beats == set(SOUNDS)
    for layer in SMALL.layers:
        assert levels(steps, layer)[-1] is None
    words = "\n".join(step.says for step in steps)
    for it in meanings(SMALL):
        assert it.name in words


@pytest.mark.parametrize("name", shipped_themes())
def test_a_tour_of_a_shipped_theme_names_every_meaning_within_three_minutes(name):
    theme, _ = load_theme(name)
    variants = (Variant(1.2, -21.0), Variant(1.2, -21.0))
    steps = toured(theme, SoundBank(dict.fromkeys(theme.sounds, variants)))
    assert steps[-1].at_s < 180
    words = "\n".join(step.says for step in steps)
    assert [it.name for it in meanings(theme) if it.name not in words] == []


def test_steps_go_forward_and_nothing_begins_before_the_last_sound_is_over():
    last = 0.0
    for step in toured():
        assert step.at_s >= last
        last = step.at_s
    one, two = played(auditioned("frog"))
    assert (one.variant, two.variant) == (0, 1)
    first, second = auditioned("frog")
    assert second.at_s - first.at_s == 1.0 + PAUSE_S


def test_of_a_pair_what_begins_comes_first():
    steps = auditioned("logout")
    assert [it.sound for it in played(steps)] == ["frog", "frog-off"]
    assert steps[1].at_s - steps[0].at_s == pytest.approx(1.0 + PAIR_S)
    assert "logout" in steps[1].says


def test_a_sound_of_several_names_is_played_once_with_all_of_them():
    (play,) = [it for it in played(toured()) if it.sound == "frog-off"]
    (step,) = [it for it in toured() if play in it.commands]
    assert step.says.endswith("logout, access.closed")


def test_a_layer_rises_from_nothing_to_full_and_falls_silent():
    steps = auditioned("system.load")
    wind = levels(steps, "wind")
    assert (wind[0], wind[-2], wind[-1]) == (0.0, 1.0, None)
    assert wind[:-1] == sorted(wind[:-1])
    assert levels(steps, "gale")[-2:] == [1.0, None]
    assert steps[-1].at_s > 2 * RISE_S
    assert steps[0].commands[0].gain_db == -2


def test_alerts_and_the_pulse_sound_where_the_mixer_has_them():
    buses = {it.sound: it.bus for it in played(toured())}
    assert buses["bell"] is Bus.ALERTS
    assert buses["frog"] is Bus.EVENTS
    assert {it.voice for it in played(toured()) if it.sound == "pulse"} == {PULSE_VOICE}


def test_a_heartbeat_beats_ends_and_is_missed():
    steps = auditioned("default")
    rates = [it.rate_hz for s in steps for it in s.commands if isinstance(it, Beat)]
    assert rates == [1.0, 0.0]
    assert played(steps)[-1].sound == "stumble"


def test_voices_are_never_more_than_there_are():
    audition = Audition(SMALL, BANK)
    audition.play(named(SMALL, "web", {}) * (VOICES + 3))
    for _ in range(VOICES + 3):
        audition.play(named(SMALL, "web", {}))
    assert max(it.voice for it in played(audition.steps)) == VOICES - 1


def test_each_sound_that_stands_for_something_has_a_letter_and_q_none():
    keys = keys_of(SMALL)
    assert [it.sound for it in keys.values()] == [
        "frog",
        "drop",
        "bell",
        "frog-off",
        "cricket",
        "stumble",
        "pulse",
    ]
    assert "q" not in LETTERS
    assert keys["b"].names == "web, default"
    assert keys["c"].names == "alert default, peep.agent-lost"
    assert "heartbeat default" in keys["e"].names


def test_a_letter_plays_its_sound_never_in_the_same_form_twice():
    keyboard = Keyboard(SMALL, BANK)
    plays = [keyboard.press("b")[1][0] for _ in range(6)]
    assert {it.sound for it in plays} == {"drop"}
    assert (plays[0].gain_db, plays[0].pan) == (-3, 0.5)
    forms = [it.variant for it in plays]
    assert all(a != b for a, b in pairwise(forms))
    assert len({it.voice for it in plays}) == 6
    assert keyboard.press("c")[1][0].bus is Bus.ALERTS


def test_digits_set_the_level_of_the_layer_that_tab_chose():
    keyboard = Keyboard(SMALL, BANK)
    assert keyboard.press("9") == (
        "wind 9",
        [Level("wind", 1.0, -2, 0, 0.5)],
    )
    assert keyboard.press("1")[1][0].value == 0.0
    assert keyboard.press("0")[1][0].value is None
    assert keyboard.press("\t") == ("gale", [])
    assert keyboard.press("5")[1][0] == Level("gale", 0.5, -2, 0, 0.5)
    says, commands = keyboard.press(" ")
    assert says == "silence"
    assert {(it.layer, it.value) for it in commands} == {
        ("wind", None),
        ("gale", None),
        ("hum", None),
    }


@pytest.mark.parametrize("key", ["Z", "é", "\x00", "!", "\n"])
def test_a_key_that_means_nothing_does_nothing(key):
    assert Keyboard(SMALL, BANK).press(key) == ("", [])


def test_a_theme_without_layers_has_no_digits():
    bare = Theme(name="bare", sounds=SMALL.sounds, families=SMALL.families)
    keyboard = Keyboard(bare, BANK)
    assert [keyboard.press(key) for key in "5\t"] == [("", []), ("", [])]
    assert keyboard.press(" ") == ("silence", [])


def test_the_legend_says_what_each_key_does():
    legend = Keyboard(SMALL, BANK).legend()
    assert "  a  frog             access\n" in legend
    assert "wind, gale, hum" in legend
    assert legend.endswith("q ends")
