"""States: steps, thresholds, and what is not known."""

import random

import pytest
from test_mixer import BANK, mixer, outcomes

from peep.mixer.commands import Level
from peep.mixer.layers import HYSTERESIS, STEPS
from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Cue
from peep.reasons import Reason
from peep.signals import State
from peep.theme import LayerSpec, Theme, Voicing

LAYERS = ("wind", "gale", "stream", "hum")
STORMY = Theme(
    name="stormy",
    layers={name: LayerSpec(name=name, recipe=name) for name in LAYERS},
    states={
        "load": Voicing(sound="wind", above=((0.7, "gale"),)),
        "disk": Voicing(sound="stream", overdue_s=10.0),
    },
    unknown=Voicing(sound="hum", gain_db=-2.0, fade_s=1.0),
)


def stormy():
    return Mixer(STORMY, BANK, random.Random(1))


def load(machine, value, origin="a", now=0.0):
    return machine.feed(State(name="load", value=value), now, origin)


def levels(commands):
    return {command.layer: command.value for command in commands}


def test_a_reading_that_trembles_is_no_news():
    machine = mixer()
    load(machine, 0.5)
    for value in (0.51, 0.49, 0.53, 0.47, 0.5):
        assert load(machine, value) == []
    assert {o.reason for o in outcomes(machine)[1:]} == {Reason.UNCHANGED}


def test_every_step_is_as_large_and_the_ends_are_reached():
    machine = mixer()
    heard = [c.value for n in range(101) for c in load(machine, n / 100)]
    heard += [c.value for n in range(100, -1, -1) for c in load(machine, n / 100)]
    assert set(heard) == {n / STEPS for n in range(STEPS + 1)}
    assert len(heard) == 2 * STEPS + 1, "each once on the way up and down"


def test_a_step_of_a_fifth_is_always_heard():
    for start in range(0, 80, 3):
        machine = mixer()
        load(machine, start / 100)
        assert load(machine, start / 100 + 0.2)


def test_above_a_threshold_another_layer_takes_over():
    machine = stormy()
    assert levels(load(machine, 0.6)) == {"wind": 0.6}
    assert levels(load(machine, 0.7)) == {"wind": None, "gale": 0.7}
    assert levels(load(machine, 0.9)) == {"gale": 0.9}
    assert levels(load(machine, 0.2)) == {"gale": None, "wind": 0.2}
    assert all(isinstance(outcome, Cue) for outcome in outcomes(machine))


def test_a_threshold_is_not_crossed_back_by_a_tremble():
    machine = stormy()
    load(machine, 0.7)
    for value in (0.68, 0.7, 0.66):
        assert "wind" not in levels(load(machine, value))
    assert "wind" in levels(load(machine, 0.7 - HYSTERESIS - 0.01))


def test_of_two_hosts_each_leads_the_layer_that_it_is_on():
    machine = stormy()
    load(machine, 0.6, "a")
    assert levels(load(machine, 0.8, "b")) == {"gale": 0.8}
    assert levels(load(machine, 0.9, "a")) == {"wind": None, "gale": 0.9}
    assert levels(machine.forget("a")) == {"gale": 0.8}


def test_states_of_a_late_origin_are_unknown_and_that_is_heard():
    machine = stormy()
    load(machine, 0.6)
    late = machine.late("a", 5.0)
    assert levels(late) == {"wind": None, "hum": 0.4}
    assert Level("hum", 0.4, -2.0, 0.0, 1.0) in late
    assert machine.late("a", 6.0) == []
    assert levels(machine.returned("a")) == {"wind": 0.6, "hum": None}
    assert machine.returned("a") == []


def test_a_late_origin_that_is_heard_is_late_no_more():
    machine = stormy()
    load(machine, 0.6)
    machine.feed(State(name="disk", value=0.3), 0.0, "a")
    machine.late("a", 5.0)
    outcomes(machine)
    assert levels(load(machine, 0.8)) == {
        "wind": 0.6,
        "stream": 0.3,
        "hum": None,
    } | {"wind": None, "gale": 0.8}
    (cue,) = outcomes(machine)
    assert isinstance(cue, Cue)


def test_of_an_origin_without_states_nothing_is_unknown():
    machine = stormy()
    assert machine.late("a", 0.0) == []
    assert levels(load(machine, 0.6)) == {"wind": 0.6}


def test_a_lost_origins_states_are_not_unknown_any_more():
    machine = stormy()
    load(machine, 0.6)
    machine.late("a", 5.0)
    assert levels(machine.forget("a")) == {"hum": None}
    assert levels(load(machine, 0.6)) == {"wind": 0.6}


def test_the_more_is_unknown_the_fuller_it_sounds():
    machine = stormy()
    for number in range(100):
        load(machine, 0.5, f"h{number}")
    heard = [levels(machine.late(f"h{n}", 1.0)).get("hum") for n in range(100)]
    known = [value for value in heard if value is not None]
    assert known == sorted(known)
    assert (known[0], known[-1]) == (0.4, 1.0)
    assert max(value for value in heard[:10] if value is not None) == 0.7


def test_what_is_told_again_and_again_and_then_no_more_is_unknown():
    machine = stormy()
    for now in (0.0, 2.0, 4.0):
        machine.feed(State(name="disk", value=0.3), now, "a")
    assert machine.next_timer() <= 14.0
    while (due := machine.next_timer()) < 14.0:
        assert machine.handle_timer(due) == []
    assert levels(machine.handle_timer(14.0)) == {"stream": None, "hum": 0.4}
    assert machine.next_timer() is None
    assert levels(machine.feed(State(name="disk", value=0.3), 20.0, "a")) == {
        "stream": 0.3,
        "hum": None,
    }


def test_what_is_told_every_minute_is_not_overdue_after_ten_seconds():
    machine = stormy()
    for now in (0.0, 60.0):
        machine.feed(State(name="disk", value=0.3), now, "a")
    assert machine.next_timer() == 60.0 + 3 * 60.0


def test_a_deadline_may_come_nearer():
    machine = stormy()
    for now in (0.0, 30.0, 31.0):
        machine.feed(State(name="disk", value=0.3), now, "a")
    assert machine.handle_timer(40.9) == []
    assert levels(machine.handle_timer(41.0)) == {"stream": None, "hum": 0.4}
    assert machine.handle_timer(500.0) == []
    assert machine.next_timer() is None


def test_of_whom_nothing_is_held_nothing_is_overdue():
    machine = stormy()
    for now in (0.0, 1.0):
        machine.feed(State(name="disk", value=0.3), now, "a")
    machine.forget("a")
    assert machine.handle_timer(500.0) == []
    assert machine.next_timer() is None


def test_what_was_told_once_holds_for_as_long_as_its_origin():
    machine = stormy()
    machine.feed(State(name="disk", value=0.3), 0.0, "a")
    load(machine, 0.3)
    load(machine, 0.9)
    assert machine.next_timer() is None


def test_a_theme_without_a_layer_for_the_unknown_lets_it_be_silent():
    machine = mixer()
    load(machine, 0.6)
    (level,) = machine.late("a", 1.0)
    assert (level.layer, level.value) == ("wind", None)


@pytest.mark.parametrize("value", [0.0, 0.31, 1.0])
def test_what_is_unknown_leads_nothing(value):
    machine = stormy()
    load(machine, 0.65, "a")
    load(machine, value * 0.6, "b")
    machine.late("a", 1.0)
    assert machine.sounding(1.0).layers[0].host == ""
    (wind,) = (it for it in machine.sounding(1.0).layers if it.layer == "wind")
    assert wind.value == round(value * 0.6 * STEPS) / STEPS
