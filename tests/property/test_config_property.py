"""Any text is a node or a ConfigError, and any checker gets what it asks for."""

import json

from hypothesis import given
from hypothesis import strategies as st

from peep.config.document import Node, parse
from peep.errors import ConfigError

YAMLISH = st.lists(
    st.sampled_from(
        [
            *"ab:-[]{}&*!|>'\"#?,~%@`\n\t ",
            *("a: ", "- ", "\n  ", "on", "022", "1:2", "<<", "&a ", "*a", "kind: "),
            *("!!null ", "!!int ", "---\n", "\x00", "é", "\\e"),
        ]
    ),
    max_size=40,
).map("".join)


def problems_of(node: Node) -> list[str]:
    try:
        node.problems.raise_if_any()
    except ConfigError as error:
        return error.problems
    return []


def walk(node: Node, depth: int = 0) -> None:
    """Ask everything of a node, as checkers do, and of what is below it."""
    assert isinstance(node.text(""), str)
    assert isinstance(node.flag(default=False), bool)
    assert 1 <= node.integer(5, low=1, high=9) <= 9
    assert 0 <= node.number(0.5, low=0, high=1) <= 1
    assert node.choice(["a", "b"], "a") in ("a", "b")
    assert all(text for text in node.texts(()))
    kind, options = node.kind(["a", "b"])
    assert kind in ("a", "b", "")
    assert set(options.section("a", "c", short="c")) == {"a", "c"}
    if depth < 3:
        for child in (*node.nodes(), *dict(node.items()).values()):
            walk(child, depth + 1)


@given(st.one_of(st.text(), YAMLISH))
def test_any_text_is_a_node_or_a_config_error_and_nothing_else(text):
    node = parse(text, "f.yaml")
    walk(node)
    for line in problems_of(node):
        assert line.startswith(("f.yaml", "…"))
        assert not any(c < " " or "\x7f" <= c < "\xa0" for c in line)


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.integers())
)
def test_every_key_that_json_can_write_is_read_or_refused(table):
    node = parse(json.dumps(table), "f")
    keys = {key for key, _ in node.items()}
    assert keys <= set(table)
    assert keys == set(table) or len(node.problems)
