"""Sources by name: from the command line to a spec, from a spec to a source."""

import subprocess
import sys

import pytest

from peep.agent.sources import KINDS, Poller, from_text, open_source
from peep.agent.sources.command import CommandLines, CommandSpec
from peep.agent.sources.journald import JournaldSource, JournaldSpec
from peep.agent.sources.stdin import StdinSource, StdinSpec
from peep.agent.sources.syslog import SyslogSource, SyslogSpec
from peep.agent.sources.system import SystemSource, SystemSpec
from peep.agent.sources.tail import TailSource, TailSpec
from peep.clock import ManualClock
from peep.config.document import parse
from peep.errors import ConfigError

ALL = "command, journald, ping, stdin, syslog, system, tail"
KNOWN = f"unknown kind 'zzz' (known: {ALL})"


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
        ("journald", JournaldSpec()),
        ("journald:sshd", JournaldSpec(("sshd",))),
        ("syslog:514", SyslogSpec(514)),
        ("command:/bin/date", CommandSpec(("/bin/date",), "date")),
    ],
)
def test_a_source_is_a_kind_and_perhaps_a_value(text, spec):
    assert from_text(text) == (spec or TailSpec(text.removeprefix("tail:")))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tial:/x", "unknown kind 'tial' (did you mean 'tail'?)"),
        ("sistem", "unknown kind 'sistem' (did you mean 'system'?)"),
        ("zzz", KNOWN),
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
        (JournaldSpec(), JournaldSource, "the journal", False),
        (
            SyslogSpec(),
            SyslogSource,
            "syslog on 127.0.0.1 port 5514, UDP and TCP",
            False,
        ),
        (CommandSpec(("x",), "x"), CommandLines, "command x, every 60 s", False),
    ],
)
def test_a_spec_opens_the_source_that_it_describes(spec, source, described, polled):
    opened = open_source(spec, ManualClock())
    assert isinstance(opened, source)
    assert opened.describe() == described
    assert isinstance(opened, Poller) is polled


LOADED = """
import sys
from peep.agent.sources import KINDS, from_text, open_source
from peep.clock import ManualClock
list(KINDS)
open_source(from_text({source!r}), ManualClock())
print(*(name for name in sys.modules if name.startswith("peep.agent.sources.")))
print("importlib.metadata" in sys.modules)
"""


@pytest.mark.parametrize(
    ("source", "loaded"),
    [
        ("stdin", {"stdin", "origins"}),
        ("system", {"system", "readings", "processes", "thresholds"}),
    ],
)
def test_only_what_is_used_is_loaded(source, loaded):
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(source=source)],
        capture_output=True,
        text=True,
        check=True,
        timeout=15,
    )
    modules, metadata = done.stdout.splitlines()
    names = {name.removeprefix("peep.agent.sources.") for name in modules.split()}
    assert names == {*loaded, "plugins"}
    assert metadata == "False", "it costs megabytes"
