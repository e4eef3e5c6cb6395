"""Groups are found by the literals around them exactly where RE2 finds them."""

import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peep.rules.extraction import NOWHERE, extractor
from peep.rules.patterns import pattern_problem, searcher
from peep.rules.syntax import Part, bytes_within, parse


def how(pattern: str) -> str | None:
    found = extractor(pattern)
    return found and found.__name__


@pytest.mark.parametrize(
    "pattern",
    [
        r"^a .* for (?P<instance>\S+) port \d+",
        r"user=(?P<instance>\w+)",
        r"user=(?P<instance>[^,]*),",
        r"^(?:a|b) (?:x(?: for (?P<instance>.+)$))",
        r"rhost=(?P<instance>[\d.]+|unknown) ",
        r"error: (?P<text>.*)",
        r"from \[(?P<instance>[^\]]+?)\]: (?P<text>.*)$",
        r"key: (?P<instance>\d+)\s",
        r"told(?: of user (?P<instance>\S+)| of the system):",
        r"told (?:to|from) (?:host )?[^\s\[]*\[(?P<instance>[\d.]+)\]",
        r"told(?:: (?P<text>.*)| without a word)$",
        r"told (?:\)|$|by (?P<instance>\w+))",
        r"told (?P<instance>a|b) (?:\d+ )? *in (?:x{2,4}|y) (?P<text>.+?),",
        r"told by (?P<instance>.+) from",
        r"told: (?P<text>.*?)",
    ],
)
def test_a_group_to_which_there_is_one_way_needs_no_search(pattern):
    assert how(pattern) == "by_walk"


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<instance>\S+) port",  # nothing before
        r"a (?P<instance>\S+)",  # too short to be alone
        r"for (?P<instance>\S+?)(?: port)?: ",  # what follows need not be there
        r"for (?P<instance>.+) from \d+",  # may hold what follows
        r"for (?:a(?P<instance>\d+)|a\d? )",  # both begin alike
        r"for (?:a+|a?b)(?P<instance>\d+)",
        r"for (?:|(?P<instance>\d+))",
        r"for (?:x, )*(?P<instance>\d+)",
        r"for x?(?:x, )+(?P<instance>\d+)",
        r"for (?P<instance>\w+ )?",
        r"for a{0,300}(?P<instance>a{300}|b)",  # too much to look at
        r"for [^\s\S](?P<instance>\d+)",
        r"all: (?P<instance>(?:.|a)+)$",
        r"x|for (?P<instance>\S+) port",
        r"(?:for (?P<instance>\S+) port)?x",
        r"(?i)for (?P<instance>\S+) port",
        r"for? (?P<instance>\S+) port|y",
        r"error: (?P<text>.*)x(?P<instance>\d)",
    ],
)
def test_other_groups_are_searched_for(pattern):
    assert how(pattern) == "by_search"


def test_without_groups_there_is_nothing_to_find():
    assert extractor("a(b)c") is None


def test_a_literal_that_stands_there_twice_is_left_to_the_search():
    find = extractor(r"^u .* for (?P<instance>\S+) port \d+$")
    line = b"u x for y port z for root port 22"
    begin = line.rindex(b"root")
    assert find(line) == (NOWHERE, (begin, begin + 4))


ATOMS = st.sampled_from(
    [
        *("for ", "ab: ", "x=", " port", ",", r"\[", r"\]", "]", "q"),
        *(r"\d", r"\S+", r"\w*", ".", ".*", ".+?", "[^,]+", "[a-f,]", "(?:a|b)", "^"),
        *("$", r"\b", "(?:for |ab: )", "(?:ab: x)?", "a{2}", "(b+)", "(?:c(?:d))"),
        *("(?:ab: |x=|)", "(?:,|$)", "(?:1, ?)?", r"b{1,2}", r"(?:a+|b\d?)", "(?:x)??"),
    ]
)
CONTENTS = st.sampled_from(
    [
        r"\S+",
        r"\w+",
        r"[^,]*",
        ".*",
        r"\d+?",
        ".+",
        "[a-f]+|x",
        r"(?:a|\d)+",
        "ab",
        "b*c",
    ]
)


@st.composite
def patterns(draw) -> str:
    def some():
        return "".join(draw(st.lists(ATOMS, max_size=3)))

    told = draw(st.sampled_from(["", "told ", "told ", "told (?:at \\d+ )?"]))
    pattern = f"{some()}{told}(?P<instance>{draw(CONTENTS)}){some()}"
    if draw(st.booleans()):
        pattern += f"{some()}(?P<text>{draw(CONTENTS)}){some()}"
    return draw(st.sampled_from(["{}", "^(?:{})", "(?:{})$", "z|{}"])).format(pattern)


WORDS = st.sampled_from(
    [b"for ", b"ab: ", b"x=", b" port", b",", b"[", b"]", b"a", b"bc", b"1", b"\xff"]
)
BEGINNINGS = st.sampled_from([b"", b"told ", b"q told ", b"told at 1 ", b"x=told "])
LINES = st.builds(lambda b, w: b + b"".join(w), BEGINNINGS, st.lists(WORDS, max_size=9))


@given(
    patterns().filter(lambda pattern: pattern_problem(pattern) is None),
    st.lists(LINES, min_size=1, max_size=30),
)
@example(
    r"for (?P<instance>\S+) port", [b"for a port", b"for for a port", b"for  port"]
)
def test_both_ways_agree_on_every_line_that_matches(pattern, lines):
    search, find = searcher(pattern), extractor(pattern)
    names = {name.decode(): n for name, n in _numbers(pattern).items()}
    for line in lines:
        spans = search(line, 0, len(line))
        if spans[0][0] >= 0:
            expected = tuple(
                spans[names[name]] if name in names else NOWHERE
                for name in ("text", "instance")
            )
            assert find(line) == expected


# A piece of a pattern, and what it takes.
PIECES = {
    "a": ["a"],
    "ab": ["ab"],
    ",": [","],
    " ": [" "],
    r"\]": ["]"],
    "$": [""],
    r"\d+": ["0", "101"],
    r"\S+": ["a", "1,]", "b]b"],
    r"\w*": ["", "a", "b1"],
    "[^,]*?": ["", "a ", " 1"],
    "[ab]?": ["", "b"],
    ".+?": ["a", ", "],
    r"\d{1,2}": ["1", "01"],
}


def sequence(rng: random.Random, names: list[str], depth: int = 3) -> tuple[str, str]:
    """Return a pattern and what it probably takes; names of groups are used up."""
    pattern = text = ""
    for _ in range(rng.randrange(1, 4)):
        if depth and rng.random() < 0.5:
            named = names and rng.random() < 0.7
            opening = f"(?P<{names.pop()}>" if named else "(?:"
            ways = [sequence(rng, names, depth - 1) for _ in range(rng.choice((1, 2)))]
            end = rng.choice((")", ")", ")?"))
            pattern += opening + "|".join(way for way, _ in ways) + end
            if end == ")" or rng.random() < 0.5:
                text += rng.choice(ways)[1]
        else:
            piece = rng.choice([*PIECES])
            pattern += piece
            text += rng.choice(PIECES[piece])
    return pattern, text


@pytest.mark.parametrize("seed", range(8))
def test_the_one_way_leads_where_the_search_does(seed):
    rng, walked = random.Random(seed), 0
    for _ in range(1000):
        names = rng.sample(["text", "instance"], rng.choice((1, 2)))
        pattern, text = sequence(rng, names)
        pattern = rng.choice(("told ", r"^\w+ told ")) + pattern
        if "(?P<" not in pattern or pattern_problem(pattern) is not None:
            continue
        find, search = extractor(pattern), searcher(pattern)
        if find.__name__ != "by_walk":
            continue
        groups = {n: at for at, n in enumerate(re.compile(pattern).groupindex, 1)}
        for _ in range(10):
            cut = rng.randrange(len(text) + 1)
            line = (
                f"x told {text[:cut]}{rng.choice(('', 'a', '1', ',', ' '))}{text[cut:]}"
            )
            line = (line + rng.choice(("", ",", " a1", "]"))).encode()
            spans = search(line, 0, len(line))
            if spans[0][0] >= 0:
                expected = [
                    spans[groups[name]] if name in groups else NOWHERE
                    for name in ("text", "instance")
                ]
                assert [*find(line)] == expected, (pattern, line)
                walked += 1
    assert walked > 100


def _numbers(pattern: str) -> dict[bytes, int]:
    return {
        name.encode(): number
        for name, number in re.compile(pattern.encode()).groupindex.items()
    }


@given(st.text(st.characters(codec="ascii"), max_size=30))
@example("a" * 10 + "[^]a]{2,3}?(?P<text>(b|c)+)")
def test_any_pattern_is_read_or_not_understood(pattern):
    if pattern_problem(pattern) is None:
        parts = parse(pattern)
        assert parts is None or all(isinstance(part, Part) for part in parts)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)a",
        "(?s:.)a",
        r"\x41",
        r"\pL",
        r"a\Qb",
        "[[:alpha:]]",
        "a{,3}",
        r"[\x00]",
        "a++",
    ],
)
def test_what_is_not_known_makes_the_pattern_unknown(pattern):
    assert parse(pattern) is None


def test_parts_know_what_they_may_be():
    group, after = parse("(?P<text>[a-c]|x+),")
    assert bytes_within((group,)) == frozenset(b"abcx")
    assert after.literal() == ord(",")
    assert parse("a?")[0].literal() is None
    (repeated,) = parse("a{2,}?")
    assert (repeated.least, repeated.most, repeated.lazy) == (2, float("inf"), True)
    assert parse("a{2}")[0].most == 2
    assert parse("ab|c")[0].inner is not None
    assert [part.sign for part in parse(r"^a\b$")] == ["^", "", "\\b", "$"]
