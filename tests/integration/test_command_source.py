"""Programs of the user's: what they write, how they end, and that they do end."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from peep.agent.sources import Prober, Stream, open_source
from peep.agent.sources.children import MAX_COMPLAINT_BYTES, Child
from peep.agent.sources.command import (
    MAX_OUTPUT_BYTES,
    CommandLines,
    CommandSpec,
    CommandStatus,
    check,
)
from peep.clock import SystemClock
from peep.config.document import parse
from peep.errors import ConfigError, SourceError
from peep.loglines import MAX_LINES
from peep.signals import MAX_TEXT_LENGTH, Tier

CLOCK = SystemClock()
PATIENCE_S = 15
VARIABLES = {f"A{number}": "x" for number in range(65)}


def shell(script: str, **more) -> CommandSpec:
    return CommandSpec(("/bin/sh", "-c", script), "it", **more)


def lines_of(source: CommandLines, batches: int = 1):
    """The lines of the first batches."""

    async def scene():
        found = []
        stream = source.batches()
        async with asyncio.timeout(PATIENCE_S):
            async for batch in stream:
                found.append(batch.lines)
                if len(found) == batches:
                    break
        await stream.aclose()
        return found

    return asyncio.run(scene())


def statuses(*specs: CommandSpec) -> list[tuple[str, Tier, str]]:
    """What one source says as its program becomes another each time."""
    source = CommandStatus(specs[0], SystemClock())

    async def scene():
        found = []
        for spec in specs:
            source._spec = spec
            found += await source.probe(0.0)
        return found

    events = asyncio.run(scene())
    assert all(event.instance == "it" and event.family == "system" for event in events)
    return [(event.name, event.tier, event.text) for event in events]


def test_what_a_program_writes_is_lines():
    source = open_source(shell("printf 'a\\n\\nb\\r\\nc\\377'"), SystemClock())
    assert isinstance(source, CommandLines)
    ((first, second, third),) = lines_of(source)
    assert [line.text for line in (first, second, third)] == [b"a", b"b", b"c\xff"]
    assert first.source == "command it"
    assert abs(first.when - time.time()) < 60


def test_many_lines_are_told_some_at_a_time():
    source = CommandLines(shell(f"yes | head -n {2 * MAX_LINES}; printf end"), CLOCK)
    batches = lines_of(source, 2)
    assert [len(lines) for lines in batches] == [MAX_LINES, MAX_LINES + 1]
    assert [line.offset for lines in batches for line in lines] == list(
        range(0, 4 * MAX_LINES + 1, 2)
    )


def test_lines_of_later_runs_have_ids_of_their_own():
    source = CommandLines(shell("echo same", interval_s=0.01), SystemClock())
    runs = lines_of(source, batches=3)
    ids = {(line.origin, line.offset) for lines in runs for line in lines}
    assert len(ids) == 3


def test_without_a_shell_arguments_are_what_they_are():
    spec = CommandSpec(("/bin/echo", "$HOME; `id` *"), "it")
    ((line,),) = lines_of(CommandLines(spec, SystemClock()))
    assert line.text == b"$HOME; `id` *"


def test_a_program_knows_little_of_ours(monkeypatch):
    monkeypatch.setenv("PEEP_SECRET", "x")
    spec = CommandSpec(("env",), "it", environment=(("MINE", "1"),))
    (lines,) = lines_of(CommandLines(spec, SystemClock()))
    names = {line.text.partition(b"=")[0] for line in lines}
    assert names == {b"PATH", b"LC_ALL", b"MINE"}


def test_a_program_reads_nothing():
    ((line,),) = lines_of(CommandLines(shell("cat; echo end"), SystemClock()))
    assert line.text == b"end"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo a; echo 'it \x1b[31m broke' >&2; exit 3", r"it \\x1b\[31m broke"),
        ("echo a; exit 3", "exit code 3"),
        ("echo a; kill -9 $$", "exit code -9"),
    ],
)
def test_a_program_that_fails_is_told_after_what_it_wrote(script, why):
    async def scene():
        batches = CommandLines(shell(script), SystemClock()).batches()
        batch = await anext(batches)
        assert [line.text for line in batch.lines] == [b"a"]
        with pytest.raises(SourceError, match=f"^command it: {why}$"):
            await anext(batches)

    asyncio.run(scene())


async def until(happened) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110 - others tell by files
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return stat.rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def test_what_takes_too_long_is_killed_with_all_that_it_started(tmp_path):
    path = tmp_path / "pids"
    script = f"sleep 1000 & echo $! $$ > {path}; echo a; wait"
    spec = shell(script, timeout_s=1.0)

    async def scene():
        batches = CommandLines(spec, SystemClock()).batches()
        batch = await anext(batches)
        assert [line.text for line in batch.lines] == [b"a"]
        with pytest.raises(SourceError, match="command it: no end after 1 s"):
            await anext(batches)

    asyncio.run(scene())
    until = time.monotonic() + PATIENCE_S
    while any(alive(int(pid)) for pid in path.read_text().split()):
        assert time.monotonic() < until


def test_a_program_that_leaves_others_behind_holds_nobody_up(tmp_path):
    path = tmp_path / "pid"
    script = f"setsid sleep 1000 & echo $! > {path}; sleep 1000"

    async def scene():
        async with Child("it", ("/bin/sh", "-c", script), {}):
            await until(lambda: path.exists() and path.read_text().endswith("\n"))

    asyncio.run(scene())
    os.kill(int(path.read_text()), 9)


def test_a_program_that_ends_before_what_it_started_has_ended(tmp_path):
    script = "sleep 1000 >/dev/null & exit 4"

    async def scene():
        async with Child("it", ("/bin/sh", "-c", script), {}) as child:
            assert [block async for block in child.blocks()] == []
            assert await child.ended() == 4

    asyncio.run(scene())


def test_too_much_is_cut_and_told():
    lines = []

    async def scene():
        async for batch in CommandLines(shell("yes abcdefgh"), CLOCK).batches():
            lines.extend(batch.lines)

    with pytest.raises(SourceError, match="more than 1 MiB of output"):
        asyncio.run(scene())
    assert sum(len(line.text) + 1 for line in lines) == MAX_OUTPUT_BYTES + 1


def test_complaints_are_read_however_many_there_are():
    script = (
        "i=0; while [ $i -lt 9000 ]; do echo no no no no no $i; i=$((i+1)); done >&2"
    )

    async def scene():
        async with Child("it", ("/bin/sh", "-c", script), {}) as child:
            assert [block async for block in child.blocks()] == []
            assert await child.ended() == 0
            assert child.complaint() == "no no no no no 8999"
            assert len(child._complaint) <= MAX_COMPLAINT_BYTES

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (("/none/such",), "no program /none/such here"),
        (("/etc/passwd",), "Permission denied"),
        (("/bin/echo", "a\0b"), "embedded null byte"),
    ],
)
def test_what_cannot_be_run_is_told(run, why):
    async def scene():
        batches = CommandLines(CommandSpec(run, "it"), SystemClock()).batches()
        assert (await anext(batches)).lines == ()
        with pytest.raises(SourceError, match=f"^command it: {why}$"):
            await anext(batches)

    asyncio.run(scene())


def plugin(code: int, said: str = "", **more) -> CommandSpec:
    return shell(f"printf '%s' '{said}'; exit {code}", **more)


def test_an_exit_code_is_told_when_it_changes():
    assert statuses(
        plugin(0, "OK"),
        plugin(1, "\n DISK WARNING - 9 % free \x1b[31m\nmore"),
        plugin(1, "DISK WARNING - 8 % free"),
        plugin(2),
        plugin(3, "?"),
        plugin(99, "?"),
        plugin(0, "OK"),
    ) == [
        ("command.warning", Tier.NOTABLE, r"DISK WARNING - 9 % free \x1b[31m"),
        ("command.critical", Tier.ALERT, "exit code 2"),
        ("command.unknown", Tier.NOTABLE, "?"),
        ("command.ok", Tier.ROUTINE, "OK"),
    ]


def test_a_check_that_does_not_end_is_critical():
    assert statuses(shell("echo OK; sleep 1000", timeout_s=0.3)) == [
        ("command.critical", Tier.ALERT, "no end after 0.3 s")
    ]


def test_without_a_word_the_complaint_is_told():
    assert statuses(shell("echo broken >&2; exit 2"))[0][2] == "broken"


def test_a_long_answer_is_cut():
    assert len(statuses(plugin(2, "x" * 5000))[0][2]) == MAX_TEXT_LENGTH


def test_a_check_that_cannot_be_run_is_no_status():
    source = CommandStatus(CommandSpec(("/none/such",), "it"), SystemClock())
    with pytest.raises(SourceError):
        asyncio.run(source.probe(0.0))


def spec_of(text: str) -> CommandSpec:
    node = parse(text, "peep.yaml")
    _, options = node.kind(["command"])
    spec = check(options)
    node.problems.raise_if_any()
    return spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("command: /bin/date", CommandSpec(("/bin/date",), "date")),
        ("command: [/bin/date, -u]", CommandSpec(("/bin/date", "-u"), "date")),
        (
            "{kind: command, run: 'a | b', shell: yes, name: ab, interval_s: 5}",
            CommandSpec(("/bin/sh", "-c", "a | b"), "ab", interval_s=5.0),
        ),
        (
            "{command: [x], means: status, timeout_s: 1, environment: {A: b}}",
            CommandSpec(("x",), "x", "status", timeout_s=1, environment=(("A", "b"),)),
        ),
    ],
)
def test_options_say_what_to_run_and_what_it_means(text, spec):
    assert spec_of(text) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("command", "run: missing"),
        ("{kind: command, run: [a, b], shell: yes}", "a shell takes one text"),
        ("{kind: command, run: [a], means: x}", "unknown 'x'"),
        ("{kind: command, run: [a], environment: {'A=B': c}}", "'A=B' is no name"),
        ('{kind: command, run: ["a\\0"]}', "holds a NUL"),
        (f"{{kind: command, run: {['a'] * 257}}}", "more than 256 words"),
        (
            f"{{kind: command, run: a, environment: {VARIABLES}}}",
            "more than 64 variables",
        ),
    ],
)
def test_what_cannot_be_a_command_is_refused(text, why):
    with pytest.raises(ConfigError, match=why):
        spec_of(text)


def test_what_it_means_makes_it_a_stream_or_a_prober():
    lines = open_source(spec_of("command: [a, b]"), SystemClock())
    status = open_source(spec_of("{command: a, means: status}"), SystemClock())
    assert hasattr(lines, "batches")
    assert not isinstance(lines, Prober)
    assert isinstance(status, Prober)
    assert lines.describe() == status.describe() == "command a, every 60 s"
    _: Stream = lines


def test_a_real_program_with_a_real_error_is_told_by_its_last_line():
    spec = CommandSpec((sys.executable, "-c", "raise ValueError('odd')"), "it")

    async def scene():
        batches = CommandLines(spec, SystemClock()).batches()
        await anext(batches)
        with pytest.raises(SourceError, match="ValueError: odd"):
            await anext(batches)

    asyncio.run(scene())
