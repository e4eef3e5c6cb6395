"""Lint names rules that do not do their work."""

import pytest

from peep.agent.guarded import Guardian
from peep.clock import ManualClock
from peep.config.rulepacks import load_rules, shipped_packs
from peep.rules import Rule, RuleSet
from peep.rules.lint import Finding, dead, lint, repeats_in_repeats
from peep.rules.syntax import parse
from peep.signals import Tier


def rule(name, match, *takes, **more) -> Rule:
    return Rule(name=name, match=match, event="e", takes=takes or ("zz",), **more)


def said(*rules: Rule) -> list[tuple[str, str, str]]:
    found = lint(RuleSet(rules))
    return [(f.level, f.rule, f.message) for f in found]


def test_rules_that_do_their_work_are_not_named():
    assert (
        said(rule("a", "ab", "ab", "xab"), rule("b", "b", "b", refuses=("ab",))) == []
    )


def test_a_rule_whose_samples_all_go_to_earlier_ones_is_shadowed():
    assert said(
        rule("a", "a", "a"), rule("b", "b", "b"), rule("c", "a|b", "xa", "xb")
    ) == [("error", "c", "is shadowed: a, b takes all its samples")]


def test_a_rule_that_fails_one_sample_is_told_which():
    assert said(rule("a", "a", "a"), rule("b", "b", "ab", "b", "c")) == [
        ("error", "b", "does not take its sample 'ab': a does"),
        ("error", "b", "does not take its sample 'c': none does"),
    ]


def test_a_rule_that_takes_what_it_is_to_refuse_is_named():
    assert said(rule("a", "a", "a", refuses=("ba",))) == [
        ("error", "a", "takes what it is to refuse: 'ba'")
    ]


def test_the_same_pattern_twice_is_an_error_unless_one_is_for_some_hosts_or_logs():
    a, b = rule("a", "a", "a"), rule("b", "a", "a")
    message = "has the same pattern as a, which comes first"
    assert said(a, b) == [("error", "b", message)]
    assert said(rule("a", "a", "a", hosts=("x",)), b) == []
    assert said(rule("a", "a", "a", logs=("x",)), b) == []
    assert said(a, rule("b", "a", "a", logs=("x",)))


def test_a_rule_without_samples_is_a_warning():
    bare = Rule(name="a", match="a", event="e")
    assert said(bare) == [("warning", "a", "has no sample of a line that it takes")]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a^b", "something comes before ^"),
        (r"a\Ab", "something comes before ^"),
        ("a$b", "something comes after $"),
        ("(?:a|b)$(?:c|d+)", "something comes after $"),
        (r"a[\n]b"[:0] + "a(?:^b|x$y)", None),
        ("a(?:b^c|x$y)", "something comes before ^"),
    ],
)
def test_a_pattern_that_no_line_can_match_is_dead(pattern, why):
    parts = parse(pattern)
    if why is None:
        assert dead(parts) == "something comes before ^" or dead(parts) is None
    else:
        assert dead(parts) == why


@pytest.mark.parametrize(
    "pattern",
    ["a$", "^a", "a*^b", "x(?:$|y)", "a$b?", r"\bx\b", "(?:^|a)b$", "a$(?:b|)"],
)
def test_a_pattern_that_some_line_matches_is_not(pattern):
    assert dead(parse(pattern)) is None


def test_a_dead_rule_is_an_error():
    assert ("error", "a", "can never match: something comes after $") in said(
        rule("a", "a$b", "a")
    )


def test_a_rule_for_what_is_left_is_noted():
    others = [rule(f"r{n}", f"p: {n}", f"p: {n}") for n in range(3)]
    assert said(*others, rule("z", "p: ", "p: x")) == [
        ("note", "z", "is a fallback: it could take the lines of 3 other rules")
    ]


def test_rules_with_engine_re_are_named_and_those_that_may_hang_twice():
    rules = [
        rule("a", "a(?!b)", "ac", engine="re"),
        rule("b", "(x+)+y(?!z)", "xy", engine="re"),
    ]
    with Guardian(rules, ManualClock(), print) as guard:
        found = lint(RuleSet(rules, guard=guard))
    slow = "is slow: engine re asks another process about every line"
    hangs = "may take for ever: a repeat within a repeat, under engine re"
    assert found == [
        Finding("warning", "a", slow),
        Finding("warning", "b", slow),
        Finding("warning", "b", hangs),
    ]


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(?:a*b)*", "((a){2,})+x", "(?=(a+)*)", r"([\])]+)+"]
)
def test_a_repeat_in_a_repeat_is_seen(pattern):
    assert repeats_in_repeats(pattern)


@pytest.mark.parametrize(
    "pattern", ["(a+)b+", "(?:ab)+", r"(\(a+\)|[a+)]){3}", "a+b*", r"(a\+)+", "(a{2})+"]
)
def test_other_repeats_are_left_alone(pattern):
    assert not repeats_in_repeats(pattern)


def test_shipped_rules_have_no_errors():
    found = lint(RuleSet(load_rules(shipped_packs())))
    assert [f for f in found if f.level != "note"] == []


def test_an_alert_that_is_found_anywhere_in_a_line_can_be_forged():
    alert = {"tier": Tier.ALERT}
    message = "can be forged: an alert that is found anywhere in a line, without ^"
    for anchored in ("^a", r"\Aa", "(?:^a)", "(?i)^a", "(?i:^a)", "((?:^a))"):
        assert said(rule("a", anchored, "a", **alert)) == []
    for found_anywhere in ("a", "(?:a)", "[^b]a", r"\^?a"):
        assert said(rule("a", found_anywhere, "aa", **alert)) == [
            ("warning", "a", message)
        ]
    assert said(rule("a", "a", "a")) == []
