"""Lines become events; the first rule that matches wins."""

import pytest

from peep.errors import ConfigError
from peep.loglines import LogLine
from peep.rules import (
    DEFAULT_RATE,
    MAX_INSTANCE_LENGTH,
    MAX_SEEN_BYTES,
    Rate,
    Redactor,
    Rule,
    RuleSet,
    pattern_problem,
    portions,
    select,
)
from peep.rules.ruleset import (
    PORTION_BYTES,
    PORTION_LINES,
    QUICK_BYTES,
    QUICK_LINES,
)
from peep.signals import MAX_TEXT_LENGTH, Event, Tier


def rule(name: str, match: str, **more) -> Rule:
    return Rule(name=name, match=match, event=f"test.{name}", **more)


def test_the_first_rule_in_the_list_wins():
    rules = RuleSet([rule("no", "x"), rule("b", "ab"), rule("a", "a"), rule("c", "a")])
    assert rules.match(b"zab").rule.name == "b"
    assert rules.match(b"za").rule.name == "a"
    assert rules.match(b"z") is None
    assert RuleSet([]).match(b"a") is None


def test_an_event_has_what_its_rule_says():
    rules = RuleSet(
        [
            rule(
                "a",
                "from (?P<instance>[0-9.]+)",
                family="access",
                tier=Tier.NOTABLE,
                pan=-0.5,
                gain_db=-3.0,
            )
        ]
    )
    line = LogLine("f", 0, b"login from 192.0.2.7\x1b", 12.5)
    assert rules.event(line) == Event(
        name="test.a",
        tier=Tier.NOTABLE,
        family="access",
        pan=-0.5,
        gain_db=-3.0,
        instance="192.0.2.7",
        text="login from 192.0.2.7\\x1b",
        when=12.5,
    )
    assert rules.event(LogLine("f", 0, b"nothing")) is None


def test_the_group_text_replaces_the_line():
    rules = RuleSet([rule("a", "error: (?P<text>.*)")])
    assert rules.event(LogLine("f", 0, b"error: disk")).text == "disk"


def test_a_group_that_took_no_part_leaves_the_default():
    rules = RuleSet([rule("a", "a(?P<instance>x)?(?P<text>y)?")])
    event = rules.event(LogLine("f", 0, b"ab"))
    assert (event.instance, event.text) == ("", "ab")


def test_bytes_that_are_not_utf_8_match():
    rules = RuleSet([rule("a", r"user (?P<instance>.+) from")])
    assert rules.event(LogLine("f", 0, b"user \xff\x00 from")).instance == "\\xff\\x00"


def test_text_and_instance_are_bounded():
    rules = RuleSet([rule("a", "(?P<instance>x+)")])
    event = rules.event(LogLine("f", 0, b"x" * 60_000))
    assert len(event.text) == MAX_TEXT_LENGTH
    assert len(event.instance) == MAX_INSTANCE_LENGTH
    assert event.text.endswith("x…")


def test_the_end_of_a_line_is_its_very_end():
    rules = RuleSet([rule("a", "a$")])
    assert rules.match(b"a\n") is None
    assert rules.match(b"ba") is not None


def test_a_pattern_that_would_hang_re_is_answered():
    rules = RuleSet([rule("a", "(?P<instance>(a*)*b)")])
    assert rules.match(b"a" * 20_000) is None


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(?=a)b", "look-ahead is not supported"),
        ("(?!a)b", "look-ahead is not supported"),
        ("(?<=a)b", "look-behind is not supported"),
        (r"(a)\1", "back-references and \\Z are not supported"),
        ("(?>a)", "atomic groups are not supported"),
        ("a++", "possessive repetition is not supported"),
        ("a{2000}", "a thing repeats more than 1000 times"),
        ("a(", "missing )"),
        ("é", "patterns are ASCII; other characters are bytes, here \\xc3\\xa9"),
        ("a*", "matches an empty line, and so every line"),
        ("(?P<user>a)", "the group 'user' is neither text nor instance"),
    ],
)
def test_a_pattern_that_cannot_be_used_says_why_and_stays_off_stderr(
    pattern, problem, capfd
):
    assert pattern_problem(pattern).startswith(problem)
    with pytest.raises(ConfigError) as caught:
        RuleSet([rule("good", "x"), rule("bad", pattern)])
    assert caught.value.problems[0].startswith(f"rule bad: {problem}")
    assert capfd.readouterr().err == ""


def test_rules_that_need_too_much_memory_are_refused_and_never_silently_deaf():
    pattern = "(?:a.{500}b|c.{500}d|[a-z]{900})x{900}"
    with pytest.raises(ConfigError, match="need more than 32 MiB"):
        RuleSet(rule(f"r{number}", f"{number}{pattern}") for number in range(300))


def test_rules_are_selected_by_group_and_excluded_by_group():
    a, b, c = (
        rule(n, n, groups=g) for n, g in (("a", ("x",)), ("b", ("x", "y")), ("c", ()))
    )
    assert select([a, b, c]) == (a, b, c)
    assert select([a, b, c], ["x"]) == (a, b)
    assert select([a, b, c], ["all"], ["y"]) == (a, c)
    assert select([a, b, c], ["x"], ["all"]) == ()


def test_a_group_that_no_rule_is_in_is_a_mistake():
    with pytest.raises(ConfigError) as caught:
        select([rule("a", "a", groups=("ssh",))], ["shh"], ["y"])
    assert caught.value.problems == [
        "no rule is in group 'shh' (all, ssh)",
        "no rule is in group 'y' (all, ssh)",
    ]


def lines_of(*texts: bytes) -> list[LogLine]:
    return [LogLine("f", at, text, 1.5, 7) for at, text in enumerate(texts)]


def test_many_lines_become_events_in_order_each_with_its_rule():
    rules = RuleSet([rule("a", "a(?P<instance>.)"), rule("b", "b"), rule("c", "c")])
    lines = lines_of(b"c", b"", b"ax", b"nothing", b"b\xff", b"ab")
    winners, events = rules.take(lines)
    assert winners == [2, 0, 1, 0]
    assert [(e.serial, e.origin, e.when, e.text, e.instance) for e in events] == [
        (0, 7, 1.5, "c", ""),
        (2, 7, 1.5, "ax", "x"),
        (4, 7, 1.5, "b\\xff", ""),
        (5, 7, 1.5, "ab", "b"),
    ]
    assert rules.events(lines) == events == [e for x in lines if (e := rules.event(x))]
    assert rules.take([]) == ([], [])


def test_a_rule_applies_on_the_hosts_that_it_names():
    rules = [
        rule("all", "a"),
        rule("web", "a", hosts=("web*", "DB?.example.org")),
        rule("short", "a", hosts=("db1",)),
    ]

    def names(host):
        return [r.name for r in rules if r.applies_on(host)]

    assert names("web7.example.org") == ["all", "web"]
    assert names("Web") == ["all", "web"]
    assert names("db1.example.org.") == ["all", "web", "short"]
    assert names("db1") == ["all", "short"]
    assert names("mail") == ["all"]


def test_the_rate_is_the_rules_own_or_the_default_and_of_alerts_none():
    assert rule("a", "a").most() == rule("a", "a", tier=Tier.NOTABLE).most()
    assert rule("a", "a").most() == DEFAULT_RATE
    assert rule("a", "a", tier=Tier.ALERT).most() is None
    assert rule("a", "a", tier=Tier.ALERT, rate=Rate(1, 60)).most() == Rate(1, 60)


def test_of_a_long_line_rules_see_the_beginning():
    rules = RuleSet([rule("a", "(?P<text>needle)"), rule("b", "x$")])
    room = b"x" * (MAX_SEEN_BYTES - 6)
    assert rules.match(room + b"needle").rule.name == "a"
    assert rules.match(room + b"xneedle") is None
    assert rules.match(room + b"xxxxxxneedle").rule.name == "b"
    assert rules.event(LogLine("f", 0, room + b"needle")).text == "needle"


def test_lines_are_cut_into_portions_that_are_soon_done():
    short = lines_of(*[b"x"] * (2 * PORTION_LINES + 5))
    assert [line for part in portions(short) for line in part] == short
    assert [len(part) for part in portions(short)] == [PORTION_LINES, PORTION_LINES, 5]
    big = lines_of(*[b"x" * 50_000] * 20)
    assert [line for part in portions(big) for line in part] == big
    assert all(
        sum(len(x.text) for x in part) <= PORTION_BYTES + 50_000
        for part in portions(big)
    )
    assert list(portions([])) == []


def test_a_few_lines_are_quick_and_many_or_long_ones_are_not():
    rules = RuleSet([rule("a", "a")])
    assert rules.quick(lines_of(b"x" * QUICK_BYTES))
    assert not rules.quick(lines_of(b"x" * QUICK_BYTES, b"x"))
    assert rules.quick(lines_of(*[b""] * QUICK_LINES))
    assert not rules.quick(lines_of(*[b""] * (QUICK_LINES + 1)))


def test_how_groups_are_found_is_made_out_when_a_rule_first_wins():
    rules = RuleSet([rule("a", "for (?P<instance>\\w+)"), rule("b", "b")])
    before = list(rules._extractors)
    events = rules.events(lines_of(b"for ann", b"for bob", b"b"))
    assert [event.instance for event in events] == ["ann", "bob", ""]
    again = rules.events(lines_of(b"for eve", b"b"))
    assert [event.instance for event in again] == ["eve", ""]
    assert rules.match(b"for joe").instance == b"joe"
    assert not set(before) & set(rules._extractors)


HOSTILE = [
    b"\0" * 100_000,
    b"a" * 1_000_000,
    b"\xff\xfe" * 40_000,
    b"\x1b]0;owned\x07\x1b[2J" * 5_000,
    b"(a+)+$" * 10_000,
    b"password=" * 10_000,
    b"invalid user " * 8_000,
    b'{"password":"' * 8_000,
    "\u202e\u2028é".encode() * 9_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_lines_become_events_of_bounded_size_that_obey_nothing(text):
    match = "(?P<instance>(?:[^x]*)*)(?P<text>(?:.|a)*)"
    rules = RuleSet([rule("a", f"^.{match}", tier=Tier.ALERT)], redactor=Redactor())
    (event,) = rules.events(lines_of(text))
    assert len(event.text) <= MAX_TEXT_LENGTH
    assert len(event.instance) <= MAX_INSTANCE_LENGTH
    shown = event.text + event.instance
    assert shown.isprintable()
    assert "\u202e" not in shown
