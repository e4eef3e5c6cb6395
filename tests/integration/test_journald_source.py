"""The journal, as a real journald writes it and a real journalctl reads it."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import journals
import pytest

from peep.agent.sources import open_source
from peep.agent.sources.journald import JournaldSource, JournaldSpec, check
from peep.clock import SystemClock
from peep.config.document import parse
from peep.config.rulepacks import load_rules
from peep.errors import ConfigError, SourceError
from peep.loglines import Mark
from peep.rules import RuleSet

PATIENCE_S = 12
FAILED = "Failed password for root from 192.0.2.7 port 4711 ssh2"
CURSOR = "s=4bac;i=59a;b=1;m=2;t=3;x=4"


@pytest.fixture(scope="module")
def journal():
    if reason := journals.why_not():
        pytest.skip(reason)
    with journals.journal() as made:
        yield made


class Following:
    """A source at work; what it has told, and how far it is."""

    def __init__(self, spec: JournaldSpec, marks=()) -> None:
        self.source = open_source(spec, SystemClock(), marks)
        self.lines, self.marks = [], list(marks)
        self._batches = self.source.batches()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._batches.aclose()

    async def take(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            batch = await anext(self._batches)
        self.lines += batch.lines
        self.marks = list(batch.marks)

    async def until_told(self, end: bytes) -> list[bytes]:
        while not any(line.text.endswith(end) for line in self.lines):
            await self.take()
        return [line.text.partition(b" vm ")[2] or line.text for line in self.lines]


def ends(lines) -> list[bytes]:
    return [line.text.rpartition(b": ")[2] for line in lines]


def test_from_now_on_entries_are_lines_that_rules_take(journal):
    async def scene():
        journal.begin()
        async with Following(JournaldSpec(directory=str(journal.directory))) as at:
            await at.take()
            assert at.lines == [], "only where it stands"
            journal.write(FAILED)
            await at.until_told(FAILED.encode())
            (line,) = at.lines
            assert f" sshd[{journal.sender_pid}]: {FAILED}".encode() in line.text
            event = RuleSet(load_rules(["sshd"])).event(line)
            assert (event.name, event.instance) == ("ssh.login-failed", "192.0.2.7")
            assert (event.origin, event.serial) == (line.origin, line.offset)
            assert abs(line.when - SystemClock().wall()) < 60

    asyncio.run(scene())


def test_after_a_restart_it_goes_on_where_it_was(journal):
    spec = JournaldSpec(directory=str(journal.directory))

    async def scene():
        journal.begin()
        async with Following(spec) as first:
            await first.take()
            journal.write("one")
            await first.until_told(b"one")
            kept = first.marks
        for number in range(30):
            journal.write(f"meanwhile {number}")
        async with Following(spec, kept) as second:
            await second.until_told(b"meanwhile 29")
            assert ends(second.lines) == [b"meanwhile %d" % n for n in range(30)]
        async with Following(spec, kept) as third:
            await third.until_told(b"meanwhile 29")
            ids = [(line.origin, line.offset) for line in third.lines]
            assert ids == [(line.origin, line.offset) for line in second.lines]
            assert len(set(ids)) == 30
            assert {line.origin for line in first.lines} == {ids[0][0]}

    asyncio.run(scene())


def test_so_far_is_up_to_the_last_entry_that_is_there(journal):
    spec = JournaldSpec(directory=str(journal.directory))

    async def so_far(marks):
        lines = []
        async with asyncio.timeout(PATIENCE_S):
            async for batch in JournaldSource(spec, SystemClock(), marks).so_far():
                lines += batch.lines
                marks = list(batch.marks)
        return ends(lines), marks

    async def scene():
        journal.begin()
        journal.write("long ago")
        lines, marks = await so_far([])
        assert lines == [], "the first time it only notes the end"
        assert await so_far(marks) == ([], marks)
        journal.write("one")
        journal.write("two")
        lines, marks = await so_far(marks)
        assert lines == [b"one", b"two"]
        lines, _ = await so_far(marks)
        assert lines == []

    asyncio.run(scene())


def test_what_programs_log_comes_as_it_is(journal):
    async def scene():
        journal.begin()
        async with Following(JournaldSpec(directory=str(journal.directory))) as at:
            await at.take()
            journal.write(b"bytes \xff\x00\x1b[31m")
            journal.write("two\nlines", identifier="odd name")
            journal.write("said by peep", identifier="peep")
            journal.write("x" * 10_000)
            journal.write(b"\xff" * 99_000)  # "255," each
            journal.write("end")
            await at.until_told(b"end")
            texts = [line.text for line in at.lines]
            assert texts[0].endswith(b": bytes \xff\x00\x1b[31m")
            assert b" odd_name[" in texts[1]
            assert texts[1].endswith(b": two#012lines")
            assert texts[2].endswith(b": " + b"x" * 10_000)
            assert texts[3].endswith(b" 393216 bytes was passed over")
            assert len(texts) == 5

    asyncio.run(scene())


def test_only_what_was_asked_for_comes(journal):
    spec = JournaldSpec(
        identifiers=("sudo", "su"), priority="err", directory=str(journal.directory)
    )

    async def scene():
        journal.begin("sudo", PRIORITY="3")
        async with Following(spec) as at:
            await at.take()
            journal.write("not asked for", "sshd", PRIORITY="3")
            journal.write("not urgent", "su", PRIORITY="6")
            journal.write("urgent", "su", PRIORITY="2")
            assert len(await at.until_told(b"urgent")) == 1

    asyncio.run(scene())


def test_from_the_start_all_that_is_there_comes(journal):
    spec = JournaldSpec(
        identifiers=("oldest",), directory=str(journal.directory), from_start=True
    )

    async def scene():
        journal.write("first of all", "oldest")
        async with Following(spec) as at:
            await at.until_told(b"first of all")

    asyncio.run(scene())


def test_a_program_that_was_killed_is_told_and_its_place_kept(journal):
    async def scene():
        journal.begin()
        async with Following(JournaldSpec(directory=str(journal.directory))) as at:
            await at.take()
            journal.write("one")
            await at.until_told(b"one")
            for pid in children_of(os.getpid(), b"journalctl"):
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(
                SourceError, match="the journal: journalctl: exit code -9"
            ):
                await at.take()
            journal.write("two")
            again = at.source.batches()
            batch = await anext(again)
            assert ends(batch.lines) == [b"two"]
            await again.aclose()

    asyncio.run(scene())


def test_nothing_is_left_running_when_it_ends(journal):
    async def scene():
        async with Following(JournaldSpec(directory=str(journal.directory))) as at:
            task = asyncio.create_task(at.take())
            while not children_of(os.getpid(), b"journalctl"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert not children_of(os.getpid(), b"journalctl")

    asyncio.run(scene())


def children_of(parent: int, name: bytes) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (place / "stat").read_bytes().rpartition(b")")[2].split()
            command = (place / "comm").read_bytes().strip()
            if int(fields[1]) == parent and command == name and fields[0] != b"Z":
                found.append(int(place.name))
    return found


def fake(tmp_path, script: str) -> str:
    """A program in the place of journalctl."""
    path = tmp_path / "journalctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_host_without_journalctl_is_told_so(tmp_path):
    source = JournaldSource(JournaldSpec(program=str(tmp_path / "none")), SystemClock())

    async def scene():
        with pytest.raises(SourceError) as refused:
            await anext(source.batches())
        assert str(refused.value) == f"the journal: no program {tmp_path}/none here"

    asyncio.run(scene())


def test_what_journalctl_complains_of_is_told(tmp_path):
    program = fake(
        tmp_path, "echo 'Hint: no' >&2; echo 'not allowed \x1b[1m' >&2; exit 1"
    )
    source = JournaldSource(JournaldSpec(program=program), SystemClock())

    async def scene():
        with pytest.raises(SourceError, match=r"journalctl: not allowed \\x1b\[1m$"):
            await anext(source.batches())

    asyncio.run(scene())


def test_a_place_in_a_journal_that_is_gone_is_given_up(tmp_path):
    program = fake(
        tmp_path, "echo 'Failed to seek to cursor: Invalid argument' >&2; exit 1"
    )
    spec = JournaldSpec(program=program)
    path = JournaldSource(spec, SystemClock())._path
    source = JournaldSource(spec, SystemClock(), [mark(path)])
    assert f"--after-cursor={CURSOR}" in source.arguments()

    async def scene():
        with pytest.raises(SourceError, match="going on with what is new"):
            await anext(source.batches())
        assert "--lines=1" in source.arguments()

    asyncio.run(scene())


def mark(path: str, cursor: str = CURSOR) -> Mark:
    return Mark(path, 7, 0, 0, cursor.encode(), 0, b"")


def test_only_a_mark_of_its_own_counts():
    spec = JournaldSpec(units=("b", "a"))
    path = JournaldSource(JournaldSpec(units=("a", "b")), SystemClock())._path
    others = [mark("/var/log/syslog"), mark("journald:"), mark(path, "--file=/x")]
    assert "--lines=1" in JournaldSource(spec, SystemClock(), others).arguments()
    own = JournaldSource(spec, SystemClock(), [*others, mark(path)])
    assert own.arguments()[-4:] == [
        f"--after-cursor={CURSOR}",
        "--no-tail",
        "--unit=b",
        "--unit=a",
    ]


def spec_of(text: str) -> JournaldSpec:
    node = parse(text, "peep.yaml")
    _, options = node.kind(["journald"])
    spec = check(options)
    node.problems.raise_if_any()
    return spec


def test_options_choose_and_are_described():
    assert spec_of("journald") == JournaldSpec()
    assert spec_of("journald: sshd") == JournaldSpec(units=("sshd",))
    spec = spec_of(
        "{kind: journald, units: [a, b], identifiers: c, priority: err, directory: /x}"
    )
    described = JournaldSource(spec, SystemClock()).describe()
    assert described == "the journal of a, b, c (identifier), err and worse in /x"
    assert JournaldSource(JournaldSpec(), SystemClock()).describe() == "the journal"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{kind: journald, priority: loud}", "unknown 'loud'"),
        ("{kind: journald, directory: x}", "needs an absolute path"),
        (f"journald: {['u'] * 65}", "more than 64: follow all"),
    ],
)
def test_what_cannot_be_read_is_refused(text, why):
    with pytest.raises(ConfigError, match=why):
        spec_of(text)
