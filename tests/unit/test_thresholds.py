"""Alarms: raised once, cleared once, and not by what only goes to and fro."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.sources.thresholds import (
    Alarm,
    Scale,
    Settled,
    Watch,
    read_alarm,
    read_scale,
)
from peep.config.document import parse
from peep.errors import ConfigError
from peep.signals import Tier

KEYS = ("low", "high", "alarm", "clear", "for_s", "tier")


def told(alarm: Alarm, *readings: float) -> list[str]:
    """What a watch says to readings a second apart."""
    watch = Watch(alarm, "disk", "disk-full", "/srv")
    events = [watch.feed(reading, now, "said") for now, reading in enumerate(readings)]
    assert all(event.instance == "/srv" for event in events if event)
    return [event.name if event else "" for event in events]


def test_a_reading_runs_from_low_to_high():
    scale = Scale(50.0, 100.0)
    assert [scale.value(v) for v in (0, 50, 75, 100, 200)] == [0, 0, 0.5, 1, 1]
    assert scale.value(math.nan) == 0


def test_an_alarm_is_raised_once_and_cleared_once():
    names = told(Alarm(95, 90), 50, 96, 97, 89, 80, 95)
    assert names == [
        "",
        "system.disk-full",
        "",
        "system.disk-ok",
        "",
        "system.disk-full",
    ]


def test_between_clear_and_alarm_nothing_changes():
    assert told(Alarm(95, 90), 94, 95, 91, 95, 90.5) == [
        "",
        "system.disk-full",
        "",
        "",
        "",
    ]


def test_an_alarm_waits_until_the_reading_has_lasted_and_begins_anew_after_a_dip():
    names = told(Alarm(95, 90, for_s=2), 96, 96, 80, 96, 96, 96)
    assert names == ["", "", "", "", "", "system.disk-full"]


def test_what_is_no_number_changes_nothing():
    assert told(Alarm(95, 90), math.nan, 96, math.nan, math.inf) == [
        "",
        "system.disk-full",
        "",
        "",
    ]


def test_only_the_raised_alarm_has_its_tier():
    watch = Watch(Alarm(95, 90, tier=Tier.ALERT), "disk", "disk-full")
    raised, cleared = watch.feed(99, 0, "a"), watch.feed(1, 1, "b")
    assert (raised.tier, raised.text, raised.family) == (Tier.ALERT, "a", "system")
    assert (cleared.tier, cleared.text) == (Tier.ROUTINE, "b")


@given(st.lists(st.floats(0, 100), max_size=60), st.floats(0, 5))
def test_raised_and_cleared_alternate_whatever_the_readings(readings, for_s):
    names = [name for name in told(Alarm(60, 40, for_s), *readings) if name]
    assert names[::2] == ["system.disk-full"] * len(names[::2])
    assert names[1::2] == ["system.disk-ok"] * len(names[1::2])


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 5))
def test_what_is_believed_lasted_that_long(values, for_s):
    settled = Settled(for_s)
    for now, value in enumerate(values):
        if settled.feed(value, now):
            assert settled.value == value
            assert values[now - for_s : now + 1] == [value] * (for_s + 1)


def alarm(text: str, default: Alarm | None = None) -> Alarm | None:
    node = parse(text, "peep.yaml")
    found = read_alarm(node.section(*KEYS), default, 1e6)
    node.problems.raise_if_any()
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", None),
        ("{alarm: 80}", Alarm(80, 76)),
        ("{alarm: -10}", Alarm(-10, -10.5)),
        ("{alarm: 80, clear: 70, for_s: 5, tier: alert}", Alarm(80, 70, 5, Tier.ALERT)),
    ],
)
def test_without_clear_it_is_a_twentieth_below_the_alarm(text, found):
    assert alarm(text) == found


def test_a_default_holds_where_nothing_is_said():
    usual = Alarm(95, 90, 30)
    assert alarm("{}", usual) == usual
    assert alarm("{alarm: 80}", usual) == Alarm(80, 76, 30)
    assert alarm("{clear: 50}", usual) == Alarm(95, 50, 30)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{alarm: 80, clear: 81}", "clear: must not be above `alarm`, which is 80"),
        ("{clear: 80}", "clear: there is no `alarm` that it could belong to"),
        ("{alarm: much}", "alarm: expected a decimal number, found text: 'much'"),
        (
            "{alarm: 1, tier: loud}",
            "tier: unknown 'loud' (known: alert, notable, routine)",
        ),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(text, why):
    with pytest.raises(ConfigError) as refused:
        alarm(text)
    assert refused.value.problems == [f"peep.yaml:1: {why}"]


@pytest.mark.parametrize("text", ["{low: 60}", "{high: 10}", "{low: 20, high: 20}"])
def test_a_scale_upside_down_is_refused(text):
    node = parse(text, "peep.yaml")
    keys = node.section(*KEYS)
    assert read_scale(keys["low"], keys["high"], Scale(20, 50), 100) == Scale(20, 50)
    assert len(node.problems) == 1
