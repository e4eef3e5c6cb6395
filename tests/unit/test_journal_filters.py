"""Filters of `peep history`: what they mean, and what is said of wrong ones."""

import datetime as dt

import pytest

from peep.errors import ConfigError
from peep.journal.filters import Condition, moment, parse_query

NOON = dt.datetime(2026, 1, 31, 12, 0, tzinfo=dt.UTC).timestamp()


def parsed(*words, **options):
    return parse_query(words, NOON, dt.UTC, **options)


def problems(*words):
    with pytest.raises(ConfigError) as refused:
        parsed(*words)
    return refused.value.problems


@pytest.mark.parametrize(
    ("text", "back_s"),
    [
        ("45s", 45),
        ("30m", 1800),
        ("1h", 3600),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("11:59", 60),
        ("11:59:30", 30),
        ("12:00", 0),
        ("12:01", 86_400 - 60),
        ("9:00", 3 * 3600),
        ("2026-01-31", 12 * 3600),
        ("2026-01-31T11:00", 3600),
        ("2026-01-31 11:00:30", 3570),
        ("2026-01-31T12:00+01:00", 3600),
        ("20260131T110000Z", 3600),
    ],
)
def test_a_time_may_be_written_in_many_ways(text, back_s):
    assert moment(text, NOON, dt.UTC) == NOON - back_s


def test_a_time_without_a_zone_is_local():
    local = dt.datetime(2026, 1, 31, 11, 0).astimezone().timestamp()
    assert moment("2026-01-31T11:00", NOON) == local
    assert moment("11:00", local + 60) == local


@pytest.mark.parametrize("text", ["", "x", "1", "1w", "-1h", "25:00", "0001-01-01"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"[Ii]so|month|hour|out of range|date"):
        moment(text, NOON)


def test_filters_may_stand_in_one_word_or_in_several():
    one = parsed("name=ssh.* host=web1 since=1h")
    assert one == parsed("name=ssh.*", "host=web1", "since=1h")
    assert one.since == NOON - 3600
    assert one.until is None
    assert one.signals == Condition(
        "((signals.name GLOB ?) AND (signals.host = ?))", ("ssh.*", "web1")
    )


def test_no_filter_matches_all_signals_and_no_notes():
    assert parsed() == parsed("")
    assert parsed().signals == Condition("1")
    assert parsed().notes is None


def test_a_key_that_is_given_twice_means_either():
    assert parsed("host=a", "host=b").signals == Condition(
        "((signals.host = ? OR signals.host = ?))", ("a", "b")
    )


def test_text_may_have_spaces_in_quotation_marks():
    expected = Condition("((instr(signals.text, ?) > 0))", ("out of memory",))
    assert parsed('text="out of memory"').signals == expected
    assert parsed("text='out of memory'").signals == expected


def test_only_the_star_is_special():
    assert parsed("instance=[a]?*").signals.values == ("[[]a][?]*",)
    assert parsed("instance=[a]?").signals == Condition(
        "((signals.instance = ?))", ("[a]?",)
    )


def test_notes_are_asked_for_by_kind_or_apart():
    assert parsed("kind=note").signals is None
    assert parsed("kind=note").notes == Condition("1")
    both = parsed("name=lost", "text=x", with_notes=True)
    assert both.signals is not None
    assert both.notes == Condition(
        "((what = ?) AND (instr(detail, ?) > 0))", ("lost", "x")
    )
    assert parsed("kind=note kind=state").signals is not None


@pytest.mark.parametrize("word", ["tier=alert", "class=a", "outcome=cue", "family=a"])
def test_what_a_note_does_not_have_excludes_notes_but_for_those_asked_for_apart(word):
    assert parsed("kind=note", word).notes is None
    assert parsed(word, with_notes=True).notes == Condition("1")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nmae=x", "no filter 'nmae' (did you mean 'name'?)"),
        ("tier=alarm", "tier='alarm': no such tier (did you mean 'alert'?)"),
        ("kind=evnt", "kind='evnt': no such kind (did you mean 'event'?)"),
        (
            "outcome=maskd",
            "outcome='maskd': no such outcome (did you mean 'masked'?)",
        ),
        ("host=", "host= wants a value"),
        ("text=a\0", "text='a\\x00': no log holds that"),
        ("ssh", "'ssh' is no filter: say KEY=VALUE, such as name=ssh.* or text="),
        ("text='a", "'text='a': a quotation mark is left open"),
        ("since=soon", "since='soon' is no time, such as 1h, 30m, 2d, 14:00, 2026-"),
        ("since=1h since=2h", "since is given twice"),
        ("since=1h until=2h", "since is after until: nothing lies between"),
        ("\x1b[2J=x", "no filter '\\x1b[2J'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(word, said):
    (problem,) = problems(word)
    assert problem.startswith(said)


def test_all_that_is_wrong_is_said_at_once():
    assert len(problems("nmae=x tier=loud", "x")) == 3
