"""Sources by name: from the command line to a spec, from a spec to a source."""

import pytest

from peep.agent.sources import KINDS, Poller, from_text, open_source
from peep.agent.sources.stdin import StdinSource, StdinSpec
from peep.agent.sources.system import SystemSource, SystemSpec
from peep.agent.sources.tail import TailSource, TailSpec
from peep.clock import ManualClock
from peep.config.document import parse
from peep.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("tail:/var/log/auth.log", TailSpec("/var/log/auth.log")),
        ("tail:/odd: path # with, [all] 'sorts' ü", None),
        ("tail:/" + "long " * 100 + "path", None),
        ("system", SystemSpec(2.0)),
        ("system:5", SystemSpec(5.0)),
        ("system:0.5", SystemSpec(0.5)),
        ("stdin", StdinSpec()),
        ("-", StdinSpec()),
    ],
)
def test_a_source_is_a_kind_and_perhaps_a_value(text, spec):
    assert from_text(text) == (spec or TailSpec(text.removeprefix("tail:")))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tial:/x", "unknown kind 'tial' (did you mean 'tail'?)"),
        ("sistem", "unknown kind 'sistem' (did you mean 'system'?)"),
        ("zzz", "unknown kind 'zzz' (known: stdin, system, tail)"),
        ("tail:app.log", "tail: needs an absolute path, such as /var/log/auth.log"),
        ("tail", "path: missing (expected text)"),
        ("tail:", "tail: expected text, found none"),
        ("system:0", "system: 0 is not in 0.5 … 300"),
        ("system:often", "system: expected a decimal number, found text: 'often'"),
        ("stdin:x", "stdin: no value is expected here, only options by name"),
        ("", "expected text, found none"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_what_was_written(text, why):
    with pytest.raises(ConfigError) as refused:
        from_text(text)
    assert refused.value.problems == [f"--source {text}: {why}"]


@pytest.mark.parametrize("text", ["tail:/a\nb", "tail:/\x1b[31m", "\udcff", "tail:/\0"])
def test_what_a_terminal_might_obey_is_not_repeated_to_it(text):
    with pytest.raises(ConfigError) as refused:
        from_text(text)
    assert all(line.isprintable() for line in refused.value.problems)


@pytest.mark.parametrize(
    ("yaml", "spec"),
    [
        ("tail: /x", TailSpec("/x")),
        ("{kind: tail, path: /x, from_start: true}", TailSpec("/x", from_start=True)),
        ("{tail: /x, from_start: yes}", TailSpec("/x", from_start=True)),
        ("system: 10", SystemSpec(10.0)),
        ("{kind: system, interval_s: 5}", SystemSpec(5.0)),
        ("stdin", StdinSpec()),
    ],
)
def test_yaml_has_every_form(yaml, spec):
    node = parse(yaml, "peep.yaml")
    kind, options = node.kind(KINDS)
    assert KINDS[kind].check(options) == spec
    node.problems.raise_if_any()


@pytest.mark.parametrize(
    ("spec", "source", "described", "polled"),
    [
        (TailSpec("/x"), TailSource, "/x", False),
        (SystemSpec(3.0), SystemSource, "the system, every 3 s", True),
        (StdinSpec(), StdinSource, "standard input", False),
    ],
)
def test_a_spec_opens_the_source_that_it_describes(spec, source, described, polled):
    opened = open_source(spec, ManualClock())
    assert isinstance(opened, source)
    assert opened.describe() == described
    assert isinstance(opened, Poller) is polled
