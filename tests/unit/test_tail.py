"""A log file followed by its name, with real files and time by hand."""

import asyncio
import contextlib
import gzip
import os
from pathlib import Path

import pytest

from peep.agent.sources.contents import BLOCK_BYTES as READ_BYTES
from peep.agent.sources.contents import open_contents
from peep.agent.sources.follow import MAX_OUTGOING, OUTGOING_S, Follower
from peep.agent.sources.held import Held
from peep.agent.sources.tail import TailSource, TailSpec
from peep.clock import ManualClock, SystemClock
from peep.errors import SourceError
from peep.loglines import CUT_MARK, MAX_LINE_BYTES, MAX_LINES


class Tail:
    """A follower with a clock of its own."""

    def __init__(self, path: Path, **how: bool) -> None:
        self.follower = Follower(str(path), **how)
        self.now = 1000.0

    def new(self) -> list[bytes]:
        """Everything that can be read now, look after look."""
        return [line.text for line in self.lines()]

    def lines(self):
        found = []
        while batch := self.follower.read(self.now, self.now + 7):
            found += batch.lines
        return found

    def close(self) -> list[bytes]:
        return [line.text for line in self.follower.close(0.0)]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"old\n")
    return path


@pytest.fixture
def tail(log):
    """A follower that has looked once, so that what comes is new."""
    made = Tail(log)
    assert made.new() == []
    yield made
    made.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def texts(batch) -> list[bytes]:
    return [line.text for line in batch.lines]


def open_files() -> set[str]:
    """What this process holds open, by name; a deleted file's ends so."""
    held = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(str(entry.readlink()))
    return held


# ---- one file ----------------------------------------------------------------


def test_what_stood_there_before_is_old_and_what_is_appended_is_new(log, tail):
    append(log, b"one\ntwo\n")
    assert tail.new() == [b"one", b"two"]
    assert tail.new() == []


def test_from_the_start_everything_is_new(log):
    tail = Tail(log, from_start=True)
    assert tail.new() == [b"old"]
    append(log, b"one\n")
    assert tail.new() == [b"one"]
    tail.close()


def test_a_line_knows_its_file_its_offset_and_when_it_was_read(log, tail):
    append(log, b"one\ntwo\n")
    first, second = tail.lines()
    assert (first.source, first.offset, first.when) == (str(log), 4, 1007.0)
    assert second.offset == 8


def test_a_partial_last_line_waits_for_its_end(log, tail):
    append(log, b"on")
    assert tail.new() == []
    append(log, b"e\ntw")
    assert tail.new() == [b"one"]
    append(log, b"o\n")
    assert tail.new() == [b"two"]


def test_a_partial_last_line_is_told_when_the_file_is_let_go(log, tail):
    append(log, b"one\ntwo")
    assert tail.new() == [b"one"]
    assert tail.close() == [b"two"]


def test_nul_and_invalid_utf_8_come_as_they_are(log, tail):
    append(log, b"a\0b\n\xff\xfe\xc3\n\0\0\n")
    assert tail.new() == [b"a\0b", b"\xff\xfe\xc3", b"\0\0"]


def test_a_line_without_end_is_cut_once_and_the_next_one_is_whole(log, tail):
    append(log, b"x" * (3 * READ_BYTES) + b"\nnext\n")
    assert tail.new() == [b"x" * MAX_LINE_BYTES + CUT_MARK, b"next"]


def test_one_look_reads_no_more_than_a_block(log, tail):
    append(log, (b"x" * 255 + b"\n") * (READ_BYTES // 128))
    sizes = []
    while batch := tail.follower.read(0.0, 0.0):
        sizes.append(sum(len(line.text) + 1 for line in batch.lines))
    assert sizes == [READ_BYTES, READ_BYTES]


@pytest.mark.parametrize("name", ["app.log", "app.log.1.gz"])
def test_one_look_tells_no_more_lines_than_are_told_at_a_time(tmp_path, name):
    path, many = tmp_path / name, b"%d\n\n" * MAX_LINES
    data = many % tuple(range(MAX_LINES)) + b"\n" * MAX_LINES + b"last"
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    held = Held(open_contents(str(path)), "app.log", 1)
    lines, most = [], 0
    while found := held.read(0.0, 0.0):
        most = max(most, len(found))
        lines += found
    lines += held.finish(0.0)
    held.contents.close()
    assert most == MAX_LINES
    assert [line.text for line in lines] == data.split(b"\n")
    assert all(data[line.offset :].startswith(line.text) for line in lines)
    assert lines[-1].offset == len(data) - len(b"last")


def test_a_log_that_appears_later_is_read_from_its_beginning(tmp_path):
    tail = Tail(tmp_path / "late.log")
    assert tail.new() == []
    append(tmp_path / "late.log", b"first\n")
    assert tail.new() == [b"first"]
    tail.close()


def test_a_log_whose_directory_appears_later_is_read_from_its_beginning(tmp_path):
    log = tmp_path / "app" / "late.log"
    tail = Tail(log)
    with pytest.raises(SourceError, match="its directory does not exist"):
        tail.new()
    log.parent.mkdir()
    log.write_bytes(b"first\n")
    assert tail.new() == [b"first"]
    tail.close()


# ---- rotation by renaming ----------------------------------------------------


def test_a_new_file_of_the_same_name_is_read_from_its_beginning(log, tail):
    append(log, b"one\n")
    log.rename(f"{log}.1")
    log.write_bytes(b"two\n")
    assert tail.new() == [b"one", b"two"]


def test_a_writer_that_goes_on_in_the_renamed_file_is_heard(log, tail):
    old = log.open("ab", buffering=0)
    log.rename(f"{log}.1")
    assert tail.new() == []
    log.write_bytes(b"new 1\n")
    old.write(b"old 1\n")
    assert tail.new() == [b"old 1", b"new 1"]
    tail.now += OUTGOING_S - 1
    old.write(b"old 2\n")
    append(log, b"new 2\n")
    assert tail.new() == [b"old 2", b"new 2"]
    old.close()


def test_a_log_that_was_quiet_for_hours_is_still_heard_after_its_rotation(log, tail):
    old = log.open("ab", buffering=0)
    tail.now += 86_400
    assert tail.new() == []
    log.rename(f"{log}.1")
    log.touch()
    assert tail.new() == []
    tail.now += 1
    old.write(b"last words\n")
    assert tail.new() == [b"last words"]
    old.close()


def test_the_last_line_of_a_renamed_file_is_told_when_it_stays_quiet(log, tail):
    append(log, b"no newline")
    assert tail.new() == []
    log.rename(f"{log}.1")
    log.write_bytes(b"new\n")
    assert tail.new() == [b"new"]
    tail.now += OUTGOING_S
    assert tail.new() == [b"no newline"]
    assert f"{log}.1" not in open_files()


def test_what_came_while_nobody_looked_is_read_before_a_file_is_let_go(log, tail):
    old = log.open("ab", buffering=0)
    log.rename(f"{log}.1")
    log.touch()
    assert tail.new() == []
    old.write(b"while we were stopped\n")
    tail.now += 10 * OUTGOING_S
    assert tail.new() == [b"while we were stopped"]
    old.close()


def test_several_rotations_lose_nothing_and_repeat_nothing(log, tail):
    wanted, got = [], []
    for number in range(5):
        wanted.append(b"line %d" % number)
        append(log, wanted[-1] + b"\n")
        got += tail.new()
        log.rename(f"{log}.{number}")
        got += tail.new()
        log.touch()
    assert got + tail.new() == wanted


def test_a_rotation_while_there_is_much_to_read_is_noticed_before_the_next(log, tail):
    append(log, b"first\n" * READ_BYTES)
    assert tail.follower.read(0.0, 0.0)
    log.rename(f"{log}.1")
    log.write_bytes(b"second\n")
    assert tail.follower.read(0.0, 0.0)
    log.rename(f"{log}.2")
    log.write_bytes(b"third\n")
    rest = tail.new()
    assert rest[-2:] == [b"second", b"third"]
    assert rest.count(b"second") == rest.count(b"third") == 1


def test_files_held_after_rotations_are_bounded_and_let_go_with_their_last_line(
    log, tail
):
    got = []
    for number in range(MAX_OUTGOING + 3):
        append(log, b"line %d\npart %d" % (number, number))
        got += tail.new()
        log.rename(f"{log}.{number}")
        got += tail.new()
        log.touch()
        got += tail.new()
        held = {name for name in open_files() if name.startswith(f"{log}.")}
        assert len(held) <= MAX_OUTGOING
    lines = [b"line %d" % n for n in range(MAX_OUTGOING + 3)]
    parts = [b"part %d" % n for n in range(MAX_OUTGOING + 3)]
    assert [text for text in got if text in lines] == lines
    assert [text for text in got if text in parts] == parts[:3]
    assert tail.close() == parts[3:]


def test_a_held_file_that_is_not_read_out_is_never_let_go_for_another(log, tail):
    writers = []
    for number in range(MAX_OUTGOING):
        writers.append(log.open("ab", buffering=0))
        log.rename(f"{log}.{number}")
        log.touch()
        assert tail.new() == []
    writers[0].write(b"still here\n")
    log.rename(f"{log}.last")
    log.write_bytes(b"new\n")
    assert tail.new() == [b"still here", b"new"]
    for writer in writers:
        writer.close()


# ---- deletion, links, truncation -------------------------------------------------


def test_a_deleted_log_is_read_to_its_end_and_the_next_from_its_beginning(log, tail):
    append(log, b"one\n")
    log.unlink()
    assert tail.new() == [b"one"]
    log.write_bytes(b"two\n")
    assert tail.new() == [b"two"]


def test_a_deleted_log_frees_its_room_on_the_disk_after_a_while(log, tail):
    log.unlink()
    assert tail.new() == []
    assert f"{log} (deleted)" in open_files()
    tail.now += OUTGOING_S
    assert tail.new() == []
    assert f"{log} (deleted)" not in open_files()


def test_the_same_holds_when_its_directory_goes_with_it(tmp_path):
    log = tmp_path / "app" / "x.log"
    log.parent.mkdir()
    log.write_bytes(b"")
    tail = Tail(log)
    assert tail.new() == []
    append(log, b"one\n")
    log.unlink()
    log.parent.rmdir()
    assert tail.new() == [b"one"]
    tail.now += OUTGOING_S
    assert texts(tail.follower.read(tail.now, 0.0)) == []
    assert f"{log} (deleted)" not in open_files()
    with pytest.raises(SourceError, match="its directory does not exist"):
        tail.new()


def test_a_log_that_is_moved_away_and_back_is_not_read_again(log, tail):
    append(log, b"one\n")
    assert tail.new() == [b"one"]
    log.rename(f"{log}.away")
    assert tail.new() == []
    Path(f"{log}.away").rename(log)
    append(log, b"two\n")
    assert tail.new() == [b"two"]


def test_a_link_that_is_switched_leads_to_the_other_file_and_back(tmp_path):
    link = tmp_path / "current.log"
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() + b" 1\n")
    link.symlink_to("a")
    tail = Tail(link)
    assert tail.new() == []
    point(link, "b")
    append(tmp_path / "a", b"a 2\n")
    assert tail.new() == [b"a 2", b"b 1"]
    point(link, "a")
    append(tmp_path / "b", b"b 2\n")
    assert tail.new() == [b"b 2"]
    append(tmp_path / "a", b"a 3\n")
    assert tail.new() == [b"a 3"]
    tail.close()


def point(link: Path, target: str) -> None:
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.rename(link)


def test_a_truncated_log_is_read_from_its_beginning(log, tail):
    append(log, b"before\n")
    assert tail.new() == [b"before"]
    os.truncate(log, 0)
    assert tail.new() == []
    append(log, b"after\n")
    assert tail.new() == [b"after"]


def test_a_log_that_grew_again_past_what_was_read_was_truncated_too(log, tail):
    append(log, b"10:00 before\n")
    assert tail.new() == [b"10:00 before"]
    log.write_bytes(b"11:00 after, and longer than it was\n")
    assert tail.new() == [b"11:00 after, and longer than it was"]


def test_a_truncated_log_that_was_only_skipped_is_noticed_as_well(log, tail):
    log.write_bytes(b"new 1\nnew 2\n")
    assert tail.new() == [b"new 1", b"new 2"]


def test_half_a_line_before_a_truncation_is_told(log, tail):
    append(log, b"half a li")
    assert tail.new() == []
    log.write_bytes(b"ne\n")
    assert tail.new() == [b"half a li", b"ne"]


def test_half_a_line_is_told_even_if_the_truncated_log_stays_empty(log, tail):
    append(log, b"half a li")
    assert tail.new() == []
    os.truncate(log, 0)
    assert tail.new() == [b"half a li"]


# ---- what cannot be read -----------------------------------------------------------


def a_directory(path: Path) -> None:
    path.mkdir()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [a_directory, a_fifo, a_device])
def test_what_is_no_regular_file_is_an_error_with_its_name(tmp_path, make):
    path = tmp_path / "odd"
    make(path)
    with pytest.raises(SourceError) as refused:
        Tail(path).new()
    assert str(refused.value) == f"{path}: not a regular file"


def test_a_fifo_that_took_a_log_s_place_between_look_and_opening_holds_up_nobody(
    tmp_path,
):
    path = tmp_path / "odd"
    os.mkfifo(path)
    before = open_files()
    with pytest.raises(SourceError, match="not a regular file"):
        open_contents(str(path))
    assert open_files() == before


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/dev/null/x.log", "Not a directory"),
        ("/" + "x" * 300, "File name too long"),
    ],
)
def test_a_name_that_cannot_be_looked_at_is_an_error_that_says_why(path, why):
    with pytest.raises(SourceError) as refused:
        Follower(path).read(0.0, 0.0)
    assert str(refused.value) == f"{path}: {why}"


@contextlib.contextmanager
def as_nobody():
    """Without root's rights, which know no permissions."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_log_that_may_not_be_read_is_an_error_and_its_lines_are_not_lost(log):
    for parent in (log.parent, log.parent.parent, log.parent.parent.parent):
        with contextlib.suppress(PermissionError):
            parent.chmod(parent.stat().st_mode | 0o011)
    log.chmod(0o644)
    tail = Tail(log)
    with as_nobody():
        assert tail.new() == []
    append(log, b"one\n")
    log.rename(f"{log}.1")
    log.write_bytes(b"two\n")
    log.chmod(0)
    with as_nobody():
        assert texts(tail.follower.read(0.0, 0.0)) == [b"one"]
        for _ in range(2):
            with pytest.raises(SourceError) as refused:
                tail.new()
            assert str(refused.value) == f"{log}: Permission denied"
    log.chmod(0o644)
    with as_nobody():
        assert tail.new() == [b"two"]
    tail.close()


def test_what_was_read_of_a_renamed_file_is_told_before_any_trouble(log, tail):
    old = log.open("ab", buffering=0)
    log.rename(f"{log}.1")
    log.mkdir()
    old.write(b"last words\n")
    assert texts(tail.follower.read(0.0, 0.0)) == [b"last words"]
    with pytest.raises(SourceError):
        tail.new()
    old.close()


def test_a_log_that_is_gone_between_look_and_opening_is_waited_for(log):
    tail = Tail(log)
    status = log.stat()
    log.unlink()
    assert tail.follower._name.open(status) is None
    log.write_bytes(b"one\n")
    tail.new()
    tail.close()


# ---- as a source -----------------------------------------------------------------


def test_the_source_yields_lines_as_they_come_and_closes_when_it_is_cancelled(log):
    source = TailSource(TailSpec(str(log), from_start=True), SystemClock())
    assert source.describe() == str(log)

    async def work():
        got = asyncio.Queue()

        async def follow():
            async for batch in source.batches():
                for line in batch.lines:
                    got.put_nowait(line.text)

        task = asyncio.create_task(follow())
        assert await asyncio.wait_for(got.get(), 10) == b"old"
        append(log, b"one\n")
        assert await asyncio.wait_for(got.get(), 10) == b"one"
        append(log, b"two\n")
        assert await asyncio.wait_for(got.get(), 10) == b"two"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert str(log) not in open_files()


def test_a_source_that_failed_goes_on_where_it_stopped(log):
    source = TailSource(TailSpec(str(log)), ManualClock())

    async def first(count):
        got = []
        async for batch in source.batches():
            got += [line.text for line in batch.lines]
            if len(got) == count:
                break
        return got

    async def work():
        source._followers[str(log)].read(0.0, 0.0)
        log.rename(f"{log}.1")
        log.mkdir()
        with pytest.raises(SourceError):
            await first(1)
        log.rmdir()
        append(Path(f"{log}.1"), b"one\n")
        log.write_bytes(b"two\n")
        assert await asyncio.wait_for(first(2), 10) == [b"one", b"two"]

    asyncio.run(work())
    source._followers[str(log)].close(0.0)


def test_what_is_written_before_the_first_look_is_new(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("old\n")
    follower = Follower(str(path))
    with path.open("a") as file:
        file.write("new\n")
    assert [line.text for line in all_read(follower)] == [b"new"]
    follower.close(1_000_000.0)


def test_a_log_that_was_not_there_when_we_came_is_new_from_its_beginning(tmp_path):
    follower = Follower(str(tmp_path / "a.log"))
    (tmp_path / "a.log").write_text("first\n")
    assert [line.text for line in all_read(follower)] == [b"first"]
    follower.close(1_000_000.0)


def test_where_a_log_begins_is_told_before_any_line_of_it(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("old\n")
    follower = Follower(str(path))
    with path.open("a") as file:
        file.write("new\n")
    batch = follower.read(1.0, 1_000_000.0)
    assert batch.lines == ()
    (mark,) = batch.marks
    follower.close(1_000_000.0)  # and the lines were never taken
    again = Follower(str(path), marks=[mark])
    assert [line.text for line in all_read(again)] == [b"new"]
    again.close(1_000_000.0)


def all_read(follower):
    lines = []
    while (batch := follower.read(1.0, 1_000_000.0)) is not None:
        lines += batch.lines
    return lines
