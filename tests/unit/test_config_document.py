"""The door for YAML: values, or every problem at once."""

import os

import pytest

from peep.config.document import Node, load, parse
from peep.config.problems import MAX_PROBLEMS, Problems, hint, safe, shown
from peep.errors import ConfigError


def problems_of(node: Node) -> list[str]:
    try:
        node.problems.raise_if_any()
    except ConfigError as error:
        return error.problems
    return []


def test_values_of_every_type_are_read():
    node = parse("t: x\nn: 1.5\ni: -3\nf: on\nc: red\nl: [a, b]\ns: one\n", "f.yaml")
    keys = node.section("t", "n", "i", "f", "c", "l", "s")
    assert keys["t"].text() == "x"
    assert keys["n"].number() == 1.5
    assert keys["i"].integer() == -3
    assert keys["f"].flag() is True
    assert keys["c"].choice(["red", "green"]) == "red"
    assert keys["l"].texts() == ("a", "b")
    assert keys["s"].texts() == ("one",)
    assert problems_of(node) == []


@pytest.mark.parametrize("text", ["", "# only comments\n", "a:\nb: ~\n", "{}"])
def test_what_is_missing_or_empty_takes_the_default(text):
    node = parse(text, "f.yaml")
    keys = node.section("a", "b")
    assert not keys["a"].given
    assert keys["a"].text("d") == "d"
    assert keys["a"].number(2.5) == 2.5
    assert keys["a"].integer(2) == 2
    assert keys["a"].flag(default=True) is True
    assert keys["a"].choice(["x"], "y") == "y"
    assert keys["a"].texts(("p",)) == ("p",)
    assert keys["b"].nodes() == ()
    assert keys["b"].items() == ()
    assert problems_of(node) == []


def test_a_key_without_default_is_compulsory_and_named_with_its_place():
    node = parse("agent:\n  x: 1\n", "f.yaml")
    agent = node.section("agent")["agent"].section("x", "host", "on", "n", "l", "i")
    agent["host"].text()
    agent["on"].flag()
    agent["n"].number()
    agent["i"].integer()
    agent["l"].texts()
    assert problems_of(node) == [
        "f.yaml:2: agent.host: missing (expected text)",
        "f.yaml:2: agent.on: missing (expected yes or no)",
        "f.yaml:2: agent.n: missing (expected a decimal number)",
        "f.yaml:2: agent.i: missing (expected a whole decimal number)",
        "f.yaml:2: agent.l: missing (expected a list)",
    ]


def test_all_problems_are_told_at_once_with_line_path_and_hint():
    node = parse("server:\n  port: much\n  clases: [a]\n  out: nul\n", "f.yaml")
    server = node.section("server")["server"].section("port", "classes", "out")
    assert server["port"].integer(2001) == 2001
    assert server["classes"].texts(("public",)) == ("public",)
    assert server["out"].choice(["auto", "null"], "auto") == "auto"
    assert problems_of(node) == [
        "f.yaml:2: server.port: expected a whole decimal number, found text: 'much'",
        "f.yaml:3: server.clases: unknown key 'clases' (did you mean 'classes'?)",
        "f.yaml:4: server.out: unknown 'nul' (did you mean 'null'?)",
    ]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("no", "yes or no: 'no'"),
        ("2001", "a number: '2001'"),
        ("22:22", "a number: '22:22'"),
        ("1.5", "a number: '1.5'"),
        ("2024-01-02", "a date: '2024-01-02'"),
        ("!x y", "a tag: 'y'"),
    ],
)
def test_what_yaml_takes_for_something_else_than_text_must_be_quoted(written, found):
    node = parse(f"a: {written}\n", "f.yaml")
    assert node.section("a")["a"].text("d") == "d"
    assert problems_of(node) == [f"f.yaml:1: a: expected text, found {found}: quote it"]


@pytest.mark.parametrize("written", ["022", "0x10", "22:22", "1_000", "'5'", ".nan"])
def test_a_number_is_a_plain_decimal(written):
    node = parse(f"a: {written}\n", "f.yaml")
    assert node.section("a")["a"].integer(7) == 7
    assert node.section("a")["a"].number(7.0) == 7.0
    assert len(problems_of(node)) == 2


def test_scientific_notation_is_a_number_though_yaml_1_1_says_text():
    assert parse("1e3", "f").number() == 1000.0


def test_a_number_out_of_range_is_told_the_range():
    node = parse("a: 0\n", "f.yaml")
    assert node.section("a")["a"].integer(7, low=1, high=10) == 7
    assert problems_of(node) == ["f.yaml:1: a: 0 is not in 1 … 10"]


@pytest.mark.parametrize(
    ("text", "read", "problem"),
    [
        ("[1]", lambda n: n.text(), "f:1: expected text, found a list"),
        ("{a: 1}", lambda n: n.texts(), "f:1: expected a list, found a mapping"),
        ("x", lambda n: n.section("a"), "f:1: expected a mapping, found text: 'x'"),
        ("x", lambda n: n.nodes(), "f:1: expected a list, found text: 'x'"),
        ("x", lambda n: n.flag(), "f:1: expected yes or no, found text: 'x'"),
        ("''", lambda n: n.text(), "f:1: expected text, found none"),
        ("xx", lambda n: n.text(max_length=1), "f:1: longer than 1 characters"),
        ("[]", lambda n: n.texts(), "f:1: expected at least one text, found an empty"),
        ('"\\e[0m"', lambda n: n.text(), "f:1: control characters in '\\x1b[0m'"),
    ],
)
def test_what_was_expected_and_what_was_found_are_named(text, read, problem):
    node = parse(text, "f")
    read(node)
    (found,) = problems_of(node)
    assert found.startswith(problem)


def test_below_something_refused_nothing_more_is_said():
    node = parse("a: [1]\n", "f.yaml")
    below = node.section("a")["a"].section("b", "c")
    assert below["b"].text() == ""
    assert below["c"].section("d")["d"].flag() is False
    assert problems_of(node) == ["f.yaml:1: a: expected a mapping, found a list"]


def test_control_characters_may_be_allowed_but_never_lone_surrogates():
    assert parse('"a\\tb"', "f").text(control=True) == "a\tb"


def test_a_list_may_be_empty_where_that_means_something():
    node = parse("[]", "f")
    assert node.texts(("a",), empty=True) == ()
    assert node.texts(()) == ()
    assert problems_of(node) == []


def test_keys_may_be_free_but_not_twice():
    node = parse("a: 1\nb c: 2\na: 3\n", "f.yaml")
    assert [(k, n.path) for k, n in node.items()] == [("a", "a"), ("b c", "['b c']")]
    assert problems_of(node) == ["f.yaml:3: 'a' stands here twice (see line 1)"]


def test_keys_are_text():
    node = parse("on: 1\n[x]: 2\n", "f.yaml")
    assert node.items() == ()
    assert problems_of(node) == [
        "f.yaml:1: expected text, found yes or no: 'on': quote it",
        "f.yaml:2: expected text, found a list",
    ]


@pytest.mark.parametrize(
    ("text", "kind", "path", "given"),
    [
        ("{kind: tail, path: /x}", "tail", "/x", True),
        ("{tail: /x}", "tail", "/x", True),
        ("{tail: {path: /x}}", "tail", "/x", True),
        ("{path: /x, tail: }", "tail", "/x", True),
        ("tail", "tail", "", False),
        ("{tail: }", "tail", "", False),
    ],
)
def test_a_kind_of_thing_is_written_in_four_ways(text, kind, path, given):
    node = parse(text, "f")
    found, options = node.kind(["tail", "system"])
    keys = options.section("path", short="path")
    assert (found, keys["path"].text(""), keys["path"].given) == (kind, path, given)
    assert problems_of(node) == []


def test_a_short_form_may_have_further_options():
    _, options = parse("{tail: /x, from_start: yes}", "f").kind(["tail"])
    keys = options.section("path", "from_start", short="path")
    assert keys["path"].text() == "/x"
    assert keys["from_start"].flag() is True


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{tial: /x}", "f:1: unknown kind 'tial' (did you mean 'tail'?)"),
        ("{kind: tial}", "f:1: kind: unknown 'tial' (did you mean 'tail'?)"),
        ("tial", "f:1: unknown kind 'tial' (did you mean 'tail'?)"),
        ("{}", "f:1: no kind (known: system, tail)"),
        ("[tail]", "f:1: expected a mapping, found a list"),
    ],
)
def test_an_unknown_kind_is_a_problem(text, problem):
    node = parse(text, "f")
    kind, options = node.kind(["tail", "system"])
    assert kind == ""
    assert options.section("a")["a"].text("d") == "d"
    assert problems_of(node) == [problem]


def test_a_kind_without_a_short_form_refuses_a_value():
    node = parse("{system: 5}", "f")
    _, options = node.kind(["system"])
    options.section("interval_s")
    assert problems_of(node) == [
        "f:1: system: no value is expected here, only options by name"
    ]


def test_a_compulsory_section_that_is_missing_is_one_problem():
    node = parse("", "f")
    assert node.section("a", required=True)["a"].text() == ""
    assert problems_of(node) == ["f: missing (expected a mapping)"]


def test_mapping_and_list_are_told_apart():
    assert parse("{a: 1}", "f").is_mapping
    assert parse("[a]", "f").is_list
    assert not parse("a", "f").is_mapping


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c", "f:1: not YAML: mapping values are not allowed"),
        ("a: [", "f:2: not YAML: "),
        ("--- 1\n--- 2\n", "f:2: not YAML: but found another document"),
        ("*x", "f:1: not YAML: found undefined alias"),
        ("a\n\x01", "f:2: not YAML: it contains the character U+0001"),
        ("\ud800", "f: not UTF-8 text"),
        ("[" * 50, "f:1: nested too deeply"),
        ("&a [*a]", "f:1: aliases nest too deeply, or in a circle"),
        ("x" * 1024**2 + "x", "f: larger than 1048576 bytes"),
    ],
)
def test_what_is_not_yaml_is_one_clear_line(text, problem):
    node = parse(text, "f")
    assert node.section("a")["a"].text() == ""
    (found,) = problems_of(node)
    assert found.startswith(problem)


def test_a_bomb_of_aliases_is_refused_before_anybody_walks_it():
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    node = parse(text, "f")
    assert problems_of(node) == [
        "f:6: more than 200000 values, aliases expanded",
    ]


def test_aliases_are_read_like_what_they_stand_for():
    node = parse("a: &x [p, q]\nb: *x\n", "f")
    assert node.section("a", "b")["b"].texts() == ("p", "q")


def test_a_file_is_read_with_or_without_byte_order_mark(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: x\n")
    assert load(path).section("a")["a"].text() == "x"


def test_files_that_cannot_be_read_are_one_clear_line(tmp_path):
    missing, pipe, binary = (tmp_path / name for name in "mpb")
    os.mkfifo(pipe)
    binary.write_bytes(b"a\nb\xff\xfe")
    problems = Problems()
    for path in (missing, tmp_path, pipe, binary):
        load(path, problems).section("a")["a"].text()
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    assert caught.value.problems == [
        f"{missing}: cannot be read: No such file or directory",
        f"{tmp_path}: cannot be read: Is a directory",
        f"{pipe}: not a regular file",
        f"{binary}:2: not UTF-8 text",
    ]
    assert "cannot be read" in problems_of(load(tmp_path / "a\0b"))[0]


def test_a_huge_file_is_refused(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"#" * (1024**2 + 10))
    assert problems_of(load(path)) == [f"{path}: larger than 1048576 bytes"]


def test_problems_are_bounded_and_the_rest_is_counted():
    problems = Problems()
    for number in range(MAX_PROBLEMS + 3):
        problems.add("f", number + 1, "", "wrong")
    assert len(problems) == MAX_PROBLEMS + 3
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[-1] == "… and 3 more"


def test_messages_are_cut_and_safe_to_print():
    assert shown("x" * 100) == "'" + "x" * 59 + "…'"
    assert shown("\x1b[31m\u202e\ud800") == "'\\x1b[31m\\u202e\\ud800'"
    assert safe("a\nb") == "a\\nb"


def test_hints_offer_the_nearest_name_or_the_list():
    assert hint("clases", ["classes", "port"]) == " (did you mean 'classes'?)"
    assert hint("zzz", ["b", "a"]) == " (known: a, b)"
    assert hint("zzz", []) == ""
    assert hint("zzz", [f"n{i:02}" for i in range(20)]).endswith("n11, …)")
