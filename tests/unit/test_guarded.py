"""Rules with engine re run in a child that is killed when it takes too long."""

import io
import os
import re
import signal

import pytest

from peep.agent import guarded
from peep.agent.guarded import Guardian
from peep.agent.guarded_child import Batch, Taken, answers, frame, read_frame
from peep.clock import ManualClock
from peep.errors import ConfigError
from peep.loglines import LogLine
from peep.rules import MAX_GUARDED_BYTES, Guarded, Rule, RuleSet, pattern_problem

BOMB = b"a" * 60


def rule(name, match, engine="re", **more) -> Rule:
    return Rule(name=name, match=match, event=f"e.{name}", engine=engine, **more)


RULES = [
    rule("first", r"(?<=user )(?P<instance>\w+)(?! from)\b"),
    rule("swift", "user", "re2"),
    rule("slow", "(?P<text>(a|aa)+)$(?<!b)"),
]


@pytest.fixture
def guardian():
    said = []
    with Guardian(RULES, ManualClock(), said.append) as made:
        made.said = said
        yield made


def test_what_re2_does_not_know_is_found_with_its_groups(guardian):
    assert guardian([b"user bob", b"user bob from", b"xaaa", b""]) == [
        Guarded(0, (-1, -1), (5, 8)),
        None,
        Guarded(2, (1, 4), (-1, -1)),
        None,
    ]


def test_the_first_rule_in_the_list_wins_whatever_its_engine(guardian):
    rules = RuleSet(RULES, guard=guardian)
    assert not rules.quick([])
    lines = [
        LogLine("f", n, text)
        for n, text in enumerate((b"user bob", b"user bob from", b"caaa", b"no"))
    ]
    winners, events = rules.take(lines)
    assert winners == [0, 1, 2]
    assert [(e.name, e.instance, e.text) for e in events] == [
        ("e.first", "bob", "user bob"),
        ("e.swift", "", "user bob from"),
        ("e.slow", "", "aaa"),
    ]
    assert rules.match(b"user bob").instance == b"bob"
    assert rules.match(b"user bob from").rule.name == "swift"


def test_a_line_that_takes_too_long_is_passed_over_and_said_once(guardian, monkeypatch):
    monkeypatch.setattr(guarded, "LIMIT_S", 0.02)
    lines = [b"user bob", BOMB + b"b", b"user a", b"aa"]
    found = guardian(lines)
    assert [f and f.rule for f in found] == [0, None, 0, 2]
    assert guardian(lines)[3] == found[3]
    assert guardian.killed == 2
    assert len(guardian.said) == 1
    assert guardian.said[0].startswith("rule slow took more than 20 ms for a line")


def test_a_rule_that_goes_on_being_slow_rests_and_comes_back(guardian, monkeypatch):
    monkeypatch.setattr(guarded, "LIMIT_S", 0.02)
    found = guardian([BOMB + b"b"] * 50 + [b"user bob", b"aa"])
    assert guardian.killed == guarded.MAX_KILLS
    assert [f and f.rule for f in found[-2:]] == [0, None]
    guardian._clock.advance(guarded.REST_S + 1)
    assert guardian([b"aa"]) == [Guarded(2, (0, 2), (-1, -1))]


def test_where_every_rule_rests_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(guarded, "LIMIT_S", 0.02)
    with Guardian(RULES[2:], ManualClock(), lambda _: None) as guardian:
        assert guardian([BOMB + b"b"] * 9) == [None] * 9
        assert guardian([b"aa"]) == [None]
        assert guardian._child is None


def test_rules_see_so_much_of_a_line_and_no_more(guardian):
    rules = RuleSet(RULES, guard=guardian)
    room = b"x" * (MAX_GUARDED_BYTES - len(b"user b"))
    assert rules.match(room + b"user bob").instance == b"b"
    assert rules.match(room + b"xuser bob").rule.name == "swift"


def test_a_child_that_somebody_kills_is_replaced(guardian):
    assert guardian([b"aa"])
    guardian._child.kill()
    guardian._child.wait()
    assert guardian([b"aa"]) == [Guarded(2, (0, 2), (-1, -1))]
    assert guardian.said == []


def test_where_no_child_lives_the_rules_rest(guardian, monkeypatch):
    monkeypatch.setattr(guarded.sys, "executable", "/bin/false")
    assert guardian([b"aa"]) == [None]
    assert guardian([b"aa"]) == [None]
    assert guardian.said == ["rules with engine re rest: their process does not live"]
    monkeypatch.undo()
    guardian._clock.advance(guarded.REST_S + 1)
    assert guardian([b"aa"]) == [Guarded(2, (0, 2), (-1, -1))]


def test_a_child_that_does_not_answer_is_given_up(guardian, monkeypatch):
    assert guardian([b"aa"])
    monkeypatch.setattr(guarded, "PATIENCE_S", 0.01)
    monkeypatch.setattr(guarded, "MAX_KILLS", 1)
    os.kill(guardian._child.pid, signal.SIGSTOP)
    assert guardian([b"aa"]) == [None]


def test_more_than_a_pipe_holds_goes_through(guardian):
    texts = [b"x" * 4000 + b"a"] * 300
    assert guardian(texts) == [Guarded(2, (4000, 4001), (-1, -1))] * 300


def test_without_a_guard_such_a_rule_is_refused():
    with pytest.raises(ConfigError, match="rule slow: engine re cannot be used here"):
        RuleSet(RULES[1:])


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(?<=a)b(?!c)", None),
        ("a(", "missing )"),
        ("a*", "matches an empty line, and so every line"),
        ("(?P<user>a)", "the group 'user' is neither text nor instance"),
        ("é", "patterns are ASCII"),
    ],
)
def test_patterns_of_re_are_checked_as_others(pattern, problem):
    found = pattern_problem(pattern, "re")
    assert found is problem is None or found.startswith(problem)


def test_the_child_answers_line_by_line():
    tried = []
    rules = [(3, re.compile(b"(?P<instance>b)")), (5, re.compile(b"a"))]
    batch = Batch([b"ab", b"a", b"a"], skipped=[(1, 5)], resting=[])
    found = list(answers(rules, batch, lambda *place: tried.append(place)))
    nowhere = (-1, -1)
    assert found == [Taken(3, nowhere, (1, 2)), None, Taken(5, nowhere, nowhere)]
    assert tried == [(0, 3), (1, 3), (2, 3), (2, 5)]


def test_frames_end_with_the_stream():
    stream = io.BytesIO(frame([1]) + b"\x01")
    assert read_frame(stream) == b"\x91\x01"
    assert read_frame(stream) == b""
