"""Logs that somebody made to do harm are read, kept and shown, and do none.

How long they hold an agent's loop is measured, not tested: tests/bench/hostile.py.
"""

import json
import re
import signal

import pytest
from homes import FEW, Home
from hostile_logs import BOMB_PACK, ESCAPES, MIB, hostile, lines_in, names
from lives import Life, reading, wait_until
from test_commands import free_port

from peep.loglines import MAX_LINE_BYTES, LineSplitter
from peep.rules import MAX_INSTANCE_LENGTH
from peep.signals import MAX_TEXT_LENGTH

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.untraced,
    pytest.mark.timeout(120),
]

CLASS = "hostile-logs"
SIZES = {"megabyte lines": 2 * MIB, "a line without end": 2 * MIB, "NULs": MIB // 4}
SIZE_BYTES = 12 * 1024
SHOWN = ("escape sequences", "random bytes", "broken UTF-8", "forged words")
# What a terminal obeys, or what turns its text around.
OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
# Whatever the line, it is an event, with all of it as text and much as instance.
RULES = (
    BOMB_PACK
    + r"""
- {name: all, match: '^(?P<instance>.[^ ]*)', event: test.all, tier: notable}
"""
)
ROWS = "SELECT coalesce(text, ''), coalesce(instance, '') FROM signals"
PRICE = "touch {}"
PLANTS = (
    "Nov 21 12:00:00 web1 app: $({0}) `{0}` ${{jndi:ldap://x/{0}}} | {0}; {0} & {0}",
    "!!python/object/apply:os.system ['{0}']",
    "cos\nsystem\n(S'{0}'\ntR.",
    "{{{{ ''.__class__.__mro__[1].__subclasses__() }}}} %s%n {0}",
    "__import__('os').system('{0}')",
)


@pytest.fixture
def home():
    made = Home()
    yield made
    made.close()


def is_harmless(said):
    return not OBEYED.search(said) and "\ufffd" not in said


@pytest.mark.parametrize("name", names())
def test_a_hostile_log_is_cut_into_bounded_lines_of_which_none_is_lost(name):
    data = hostile(name, SIZES.get(name, 64 * 1024))
    splitter = LineSplitter("f")
    found = []
    for at in range(0, len(data), 4096):
        found += splitter.feed(data[at : at + 4096])
    found += splitter.finish()
    assert len(found) == lines_in(data)
    assert max(len(line.text) for line in found) <= MAX_LINE_BYTES + len(" [cut]")


def test_hostile_logs_are_read_recorded_and_shown_without_harm(home):
    evidence = home.directory / "evaluated"
    logs = {name: home.directory / f"{name}.log" for name in names()}
    for name, log in logs.items():
        log.write_bytes(hostile(name, SIZES.get(name, SIZE_BYTES)))
    planted = home.directory / "$(touch evaluated);.log"
    price = PRICE.format(evidence)
    planted.write_text("\n".join(plant.format(price) for plant in PLANTS) + "\n")
    rules = home.directory / "rules.yaml"
    rules.write_text(RULES)
    sources = [
        {"kind": "tail", "path": str(log), "from_start": True}
        for log in (*logs.values(), planted)
    ]
    assert home.peep("key", "new", CLASS).returncode == 0
    (home.config / "peep.yaml").write_text(
        json.dumps({"agent": {"sources": sources, "rules": [str(rules)], "cpu_max": 0}})
    )
    common = ("--interfaces=lo", f"--classes={CLASS}")
    words = ("server", *common, f"--port={free_port()}", "--output=null", FEW)
    server = Life(home.env, ["-m", "peep", *words])
    shown = {}
    try:
        wait_until(lambda: server.has_said("listening"), 30)
        agent = home.peep("agent", *common, "--once")
        shown["agent"] = agent.stdout + agent.stderr
        assert agent.returncode == 0, agent.stderr
        for command in (
            ("history", "--limit=20000"),
            ("history", "--limit=20000", "--json"),
            ("hosts",),
            ("metrics",),
            *(("rules", "test", logs[name], "--rules", rules) for name in SHOWN),
            ("rules", "test", logs["escape sequences"], "--json"),
            ("redact", logs["escape sequences"]),
            ("rules", "test", planted),
        ):
            done = home.peep(*command)
            assert done.returncode == 0, done.stderr
            shown[" ".join(map(str, command))] = done.stdout + done.stderr
    finally:
        server.end(signal.SIGTERM)
    shown["server"] = "\n".join(line for _, line in server.said)
    for command, said in shown.items():
        assert is_harmless(said), command
        assert "Traceback" not in said, command
    assert not evidence.exists()
    assert not list(home.directory.rglob("evaluated"))
    with reading(home.directory / "state" / "peep" / "journal.db") as journal:
        rows = journal.execute(ROWS).fetchall()
    assert len(rows) > 500
    assert 100 < max(len(text) for text, _ in rows) <= MAX_TEXT_LENGTH
    assert 100 < max(len(instance) for _, instance in rows) <= MAX_INSTANCE_LENGTH
    assert all(is_harmless(text) and is_harmless(instance) for text, instance in rows)
    everything = "".join(text for text, _ in rows)
    assert all(
        repr(escape[:1])[2:-1] in everything for escape in ESCAPES if escape[:1] < b" "
    )


def test_what_is_not_understood_of_a_command_is_said_without_harm(home):
    for words in (
        ("rules", "test", "\x1b[2Jnone"),
        ("rules", "test", "/dev/null", "--rules", "\x1b]0;x\x07"),
        ("history", "name=\x1b[2J*", "\x1b[31m=x"),
        ("hosts", "forget", "\x1b[2J"),
        ("agent", "--host=\x1b[2J", "--source=tail:\x1b[2J"),
        ("agent", "--source=\x1b[2J:x"),
        ("redact", "\x1b[2Jnone"),
    ):
        done = home.peep(*words)
        assert done.returncode, words
        assert is_harmless(done.stdout + done.stderr), words
