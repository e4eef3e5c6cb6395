"""agent.redact: what is cut out of lines."""

import pytest

from peep.config.document import parse
from peep.config.redacting import MAX_PATTERNS, RedactSettings, redact_settings
from peep.errors import ConfigError


def read(text):
    top = parse(text, "peep.yaml")
    found = redact_settings(top.section("redact")["redact"])
    top.problems.raise_if_any()
    return found


def test_redaction_is_on_unless_it_is_off():
    assert read("{}") == read("redact:") == read("redact: on") == RedactSettings()
    assert read("redact: off") is None


def test_patterns_and_kinds_are_read():
    found = read("redact: {patterns: ['EMP-\\d+', x], keep: [user, url]}")
    assert found == RedactSettings(patterns=(r"EMP-\d+", "x"), keep=("user", "url"))
    assert found.redactor().secrets(b"EMP-12") != []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("redact: {patterns: ['(?=x)']}", "look-ahead is not supported"),
        ("redact: {patterns: ['\\A']}", "write ^ and $"),
        ("redact: {keep: [users]}", "unknown 'users'"),
        ("redact: [x]", "expected a mapping"),
        ("redact: {off: true}", "off"),
        (f"redact: {{patterns: [{'a,' * (MAX_PATTERNS + 1)}]}}", "more than 100"),
    ],
)
def test_what_is_wrong_is_said(text, problem):
    with pytest.raises(
        ConfigError, match=problem.replace("$", r"\$").replace("^", r"\^")
    ):
        read(text)
