"""The matching engine against a plain loop over `re`, and lines against anything."""

import itertools
import re

from hypothesis import example, given
from hypothesis import strategies as st

from peep.loglines import (
    CUT_MARK,
    LineSplitter,
    LogLine,
    Timestamps,
    printable,
    split_lines,
)
from peep.rules import Rule, RuleSet, pattern_problem
from peep.signals import Event

# What both engines know and mean alike. (`\s` differs in the vertical tab.)
ATOMS = st.sampled_from(
    [
        *("a", "b", " ", "1", ".", r"\d", r"\w", r"\W", r"\b", "[ab]", "[^a]", r"\xff"),
        *("(?:ab|b)", "(?P<instance>a+)", "(?P<text>.+?)b", "(?i:A)", "^", "$", r"\."),
    ]
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "*?"])


@st.composite
def patterns(draw) -> str:
    parts = []
    for atom in draw(st.lists(ATOMS, min_size=1, max_size=6)):
        repeat = "" if atom in ("^", "$", r"\b") else draw(REPEATS)
        parts.append(atom + repeat)
    return draw(st.sampled_from(["", "b|"])) + "".join(parts)


def usable(pattern: str) -> bool:
    try:
        re.compile(pattern.encode())
    except re.error:  # a group twice
        return False
    return pattern_problem(pattern) is None


LINES = st.one_of(
    st.binary(max_size=40).filter(lambda line: b"\n" not in line),
    st.lists(st.sampled_from([b"a", b"b", b" ", b"1", b"\xff", b"A", b"."])).map(
        b"".join
    ),
)


@given(st.lists(patterns().filter(usable), max_size=8), st.lists(LINES, max_size=5))
@example([r"\xff", "."], [b"\xff", b"\xc3\xa9", b""])
def test_the_engine_agrees_with_a_plain_loop_over_re(written, lines):
    rules = [
        Rule(name=f"r{index}", match=match, event="e")
        for index, match in enumerate(written)
    ]
    compiled = RuleSet(rules)
    numbered = [LogLine("f", at, line) for at, line in enumerate(lines)]
    taken = {event.serial: event for event in compiled.events(numbered)}
    for at, line in enumerate(lines):
        expected = next(
            (
                (rule, found.groupdict())
                for rule in rules
                if (found := re.search(rule.match.encode(), line))
            ),
            None,
        )
        match = compiled.match(line)
        if expected is None:
            assert match is None
            assert at not in taken
        else:
            rule, groups = expected
            assert match is not None
            assert match.rule is rule
            assert taken[at].instance == printable(match.instance or b"")
            whole = line if match.text is None else match.text
            assert taken[at].text == printable(whole)
            # Where a group in a repetition took nothing the last time round, the
            # engines differ; ours stand outside of repetitions in practice.
            if not re.search(r"\)[*+?{]", rule.match):
                assert (match.text, match.instance) == (
                    groups.get("text"),
                    groups.get("instance"),
                )


@given(st.text(max_size=30))
def test_any_pattern_is_compiled_or_refused_with_a_reason(pattern):
    problem = pattern_problem(pattern)
    if problem is None:
        RuleSet([Rule(name="r", match=pattern, event="e")])
    else:
        assert problem


@given(st.binary(max_size=3000))
def test_any_line_becomes_an_event_that_is_safe_to_show(text):
    rules = RuleSet([Rule(name="r", match="(?s:.)(?P<instance>.*)", event="e")])
    event = rules.event(LogLine("f", 0, text))
    assert (event is None) == (text == b"")
    if isinstance(event, Event):
        assert len(event.text) <= 1024
        assert not any(c < " " or "\x7f" <= c < "\xa0" for c in event.text)


@given(st.binary(max_size=200))
def test_anything_is_printable_on_one_line(text):
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert not any(c < " " or "\x7f" <= c < "\xa0" for c in shown)


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\r", b"bcd", b"\xff\x00"])).map(b"".join),
    st.lists(st.integers(0, 30)),
    st.integers(1, 6),
)
def test_however_a_stream_is_cut_into_blocks_its_lines_are_the_same(data, cuts, limit):
    whole = split_lines(data, "s", limit)
    splitter = LineSplitter("s", max_bytes=limit)
    lines = []
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    for begin, end in itertools.pairwise(edges):
        lines += splitter.feed(data[begin:end])
    lines += splitter.finish()
    assert lines == whole
    assert splitter.offset == len(data)
    for line in lines:
        text = line.text.removesuffix(CUT_MARK)
        assert data[line.offset :].startswith(text)
        assert len(text) <= limit


TIMES = [
    b"Dec 31 23:59:60",
    b"Feb 29 00:00:00",
    b"9999-99-99T99:99:99+99:99",
    b"[Sun Feb 30 04:47:44 2005]",
    b"[99/Oct/2000:13:55:36 -9999]",
    b"4999999999.9",
]


@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(TIMES)), max_size=6),
    st.floats(0, 4e9),
)
def test_reading_times_never_raises(lines, hint):
    times = Timestamps(hint)
    for line in lines:
        assert 0.0 <= times.read(line) < 2**33
