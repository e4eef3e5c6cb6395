"""A follower that was stopped, or not quick enough: it goes on where it was."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from peep.agent.sources.contents import BLOCK_BYTES, HEAD_BYTES
from peep.agent.sources.follow import MAX_BEHIND, MAX_OUTGOING, OUTGOING_S, Follower
from peep.agent.sources.memory import KEPT_KNOWN
from peep.errors import SourceError
from peep.loglines import CUT_MARK, MAX_LINE_BYTES


class Life:
    """A follower whose marks are kept, and which can be killed and start again."""

    def __init__(self, path: Path, *, from_start: bool = True) -> None:
        self.path = path
        self.from_start = from_start
        self.kept = {}
        self.now = 1000.0
        self.lines = []
        self.start()

    def start(self) -> None:
        self.follower = Follower(
            str(self.path), from_start=self.from_start, marks=tuple(self.kept.values())
        )

    def kill(self) -> None:
        self.follower.close(0.0)

    def restart(self) -> None:
        self.kill()
        self.start()

    def step(self):
        batch = self.follower.read(self.now, 0.0)
        if batch is not None:
            self.kept |= {mark.origin: mark for mark in batch.marks}
            for origin in batch.done:
                self.kept.pop(origin, None)
            self.lines += batch.lines
        return batch

    def new(self) -> list[bytes]:
        found = []
        while (batch := self.step()) is not None:
            found += [line.text for line in batch.lines]
        return found


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.touch()
    return path


@pytest.fixture
def life(log):
    made = Life(log)
    assert made.new() == []
    yield made
    made.kill()


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.writelines(line + b"\n" for line in lines)


def numbered(first: int, end: int) -> list[bytes]:
    return [b"%06d %s" % (n, b"x" * (n * 31 % 70)) for n in range(first, end)]


def rotate(log: Path, name: str = "app.log.1") -> Path:
    old = log.rename(log.with_name(name))
    log.touch()
    return old


def copytruncate(log: Path, name: str = "app.log.1") -> None:
    shutil.copyfile(log, log.with_name(name))
    os.truncate(log, 0)


def pack(path: Path) -> None:
    status = path.stat()
    packed = Path(f"{path}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()


# ---- ids and marks -----------------------------------------------------------------


def test_a_line_has_the_id_of_its_file_and_its_place_there(log, life):
    append(log, b"one", b"two")
    life.new()
    first, second = life.lines
    assert first.origin == second.origin > 0
    assert (first.offset, second.offset) == (0, 4)


def test_the_id_stays_across_a_restart_and_a_rotation(log, life):
    append(log, b"one")
    life.new()
    life.restart()
    append(log, b"two")
    rotate(log)
    life.new()
    assert life.lines[0].origin == life.lines[1].origin
    assert life.lines[1].offset == 4


@pytest.mark.parametrize("rewrite", [rotate, lambda log: os.truncate(log, 0)])
def test_another_file_and_a_truncated_one_have_another_origin(log, life, rewrite):
    append(log, b"one")
    life.new()
    rewrite(log)
    append(log, b"two")
    assert life.new() == [b"two"]
    assert life.lines[0].origin != life.lines[1].origin


def test_origins_are_drawn_by_whoever_is_given(log):
    follower = Follower(str(log), draw=lambda: 7)
    assert follower.read(0.0, 0.0).marks[0].origin == 7
    follower.close(0.0)


def test_a_mark_stands_where_the_first_line_begins_that_was_not_told(log, life):
    log.write_bytes(b"one\nhalf a li")
    assert life.new() == [b"one"]
    assert [mark.offset for mark in life.kept.values()] == [4]
    life.restart()
    with log.open("ab") as file:
        file.write(b"ne\n")
    assert life.new() == [b"half a line"]


def test_a_file_that_was_only_opened_has_a_mark(tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"old\n")
    life = Life(log, from_start=False)
    assert life.new() == []
    life.kill()
    append(log, b"while stopped")
    life.start()
    assert life.new() == [b"while stopped"]
    life.kill()


def test_nothing_of_a_log_s_words_is_in_a_mark(log, life):
    append(log, b"password hunter2")
    life.new()
    (mark,) = life.kept.values()
    assert b"hunter2" not in mark.head + mark.tail


def test_starting_at_the_end_takes_the_whole_of_a_line_that_is_being_written(tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"old\nbeing wri")
    life = Life(log, from_start=False)
    assert life.new() == []
    with log.open("ab") as file:
        file.write(b"tten\n")
    assert life.new() == [b"being written"]
    life.kill()


def test_the_rest_of_a_line_that_was_cut_goes_by_after_a_restart_too(log, life):
    with log.open("ab") as file:
        file.write(b"x" * (BLOCK_BYTES + 10))
        file.flush()
        assert life.new() == [b"x" * MAX_LINE_BYTES + CUT_MARK]
        life.restart()
        file.write(b"rest\nnext\n")
    assert life.new() == [b"next"]


def test_marks_that_are_kept_stay_few_however_often_a_log_is_rotated(log, life):
    for number in range(40):
        append(log, b"line %d" % number)
        rotate(log, f"app.log.{number}")
        life.new()
    assert len(life.kept) <= MAX_OUTGOING + 1 + KEPT_KNOWN
    assert len(life.lines) == 40


# ---- while it was stopped ---------------------------------------------------------


def test_several_rotations_while_stopped_are_read_in_their_order(log, life):
    append(log, b"one")
    life.new()
    life.kill()
    append(log, b"two")
    rotate(log, "app.log.3")
    append(log, b"three")
    rotate(log, "app.log.2")
    append(log, b"four")
    rotate(log, "app.log.1")
    append(log, b"five")
    life.start()
    assert life.new() == [b"two", b"three", b"four", b"five"]


def test_generations_that_were_old_at_first_sight_are_never_read(tmp_path):
    log = tmp_path / "app.log"
    for number in (3, 2, 1):
        append(tmp_path / f"app.log.{number}", b"old %d" % number)
    pack(tmp_path / "app.log.3")
    append(log, b"now")
    life = Life(log)
    assert life.new() == [b"now"]
    append(tmp_path / "app.log.1", b"a late word")
    (tmp_path / "app.log.1").rename(tmp_path / "app.log.4")
    rotate(log)
    append(log, b"next")
    assert life.new() == [b"next"]
    life.restart()
    assert life.new() == []
    life.kill()


@pytest.mark.parametrize("lines", [1, 40, 20_000])
def test_the_rest_is_read_from_the_packed_file(log, life, lines):
    texts = numbered(0, 2 * lines)
    append(log, *texts[:lines])
    assert life.new() == texts[:lines]
    life.kill()
    append(log, *texts[lines:])
    pack(rotate(log))
    append(log, b"new")
    life.start()
    assert life.new() == [*texts[lines:], b"new"]
    life.restart()
    assert life.new() == []


def test_a_packed_file_is_unpacked_a_block_at_a_time(log, life):
    texts = numbered(0, 20_000)
    append(log, *texts)
    life.new()
    life.kill()
    pack(rotate(log))
    life.start()
    steps = 0
    while (batch := life.step()) is not None:
        assert batch.lines == ()
        steps += 1
    assert steps >= sum(map(len, texts)) // BLOCK_BYTES


def test_a_file_that_was_not_begun_is_found_though_it_is_packed(log, life):
    append(log, b"one")
    rotate(log, "app.log.2")
    append(log, b"two")
    assert life.step() is not None  # the second is open, and nothing of it is read
    life.kill()
    pack(log.with_name("app.log.2"))
    rotate(log)
    life.start()
    life.new()
    assert [line.text for line in life.lines] == [b"one", b"two"]


def test_a_packed_file_that_begins_alike_but_is_another_is_let_alone(log, life):
    banner = b"b" * HEAD_BYTES
    append(log, banner, b"mine")
    life.new()
    life.kill()
    os.truncate(log, 0)
    append(log.with_name("app.log.1"), banner, b"somebody else's")
    pack(log.with_name("app.log.1"))
    life.start()
    assert life.new() == []


def test_a_packed_file_that_is_damaged_ends_there(log, life):
    texts = numbered(0, 2000)
    append(log, *texts[:10])
    life.new()
    life.kill()
    append(log, *texts[10:])
    pack(rotate(log))
    packed = log.with_name("app.log.1.gz")
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2] + b"\xff" * 100)
    append(log, b"new")
    life.start()
    found = life.new()
    assert found[:800] == texts[10:810]
    assert found[-1] == b"new"


def test_packing_that_is_still_at_work_is_waited_for(log, life):
    texts = numbered(0, 3000)
    append(log, *texts[:2900])
    life.new()
    life.kill()
    append(log, *texts[2900:])
    pack(rotate(log))
    packed = log.with_name("app.log.1.gz")
    data = packed.read_bytes()
    packed.write_bytes(data[:5000])
    life.start()
    assert life.new() == []
    packed.write_bytes(data)
    assert life.new() == texts[2900:]


def test_copytruncate_while_stopped_is_read_on_in_the_copy(log, life):
    append(log, b"one")
    life.new()
    life.kill()
    append(log, b"two")
    copytruncate(log, "app.log.2")
    append(log, b"three")
    copytruncate(log, "app.log.1")
    append(log, b"four")
    life.start()
    assert life.new() == [b"two", b"three", b"four"]


def test_an_inode_that_was_given_to_another_file_proves_nothing(log, life):
    append(log, b"one")
    life.new()
    life.kill()
    log.write_bytes(b"uno\ndue\n")  # the same inode, and longer than what was read
    life.start()
    assert life.new() == [b"uno", b"due"]


def test_the_inode_of_an_empty_log_may_be_that_of_any_other_file(log, life):
    life.kill()
    log.rename(log.with_name("unrelated"))
    append(log.with_name("unrelated"), b"secret")
    append(log, b"one")
    life.start()
    assert life.new() == [b"one"]


def test_a_log_that_was_deleted_while_stopped_is_forgotten_in_the_end(log, life):
    append(log, b"one")
    life.new()
    life.kill()
    log.unlink()
    append(log, b"two")
    life.start()
    assert life.new() == [b"two"]


def test_a_log_whose_file_system_is_not_there_yet_is_not_read_again(tmp_path):
    place = tmp_path / "mounted"
    place.mkdir()
    log = place / "app.log"
    append(log, b"one")
    life = Life(log)
    assert life.new() == [b"one"]
    life.kill()
    place.rename(tmp_path / "elsewhere")
    life.start()
    with pytest.raises(SourceError):
        life.step()
    place.mkdir()
    assert life.new() == []
    place.rmdir()
    (tmp_path / "elsewhere").rename(place)
    append(log, b"two")
    assert life.new() == [b"two"]
    life.kill()


def test_a_restored_copy_of_a_log_is_read_on(log, life):
    append(log, b"one")
    life.new()
    life.kill()
    shutil.copyfile(log, log.with_name("backup"))
    log.with_name("backup").rename(log)
    append(log, b"two")
    life.start()
    assert life.new() == [b"two"]


# ---- while it was not looking -----------------------------------------------------


def test_several_rotations_between_two_looks_are_all_read(log, life):
    texts = numbered(0, 12)
    for number, text in enumerate(texts[:-1]):
        append(log, text)
        rotate(log, f"app.log-202401{number + 10}")
    append(log, texts[-1])
    assert life.new() == texts


def test_more_rotations_than_may_be_held_are_all_read(log, life):
    texts = numbered(0, MAX_BEHIND + 20)
    for number, text in enumerate(texts):
        append(log, text)
        rotate(log, f"app.log.{number}")
    assert sorted(life.new()) == texts


def test_names_that_are_not_of_rotation_are_let_alone(log, life):
    append(log, b"one")
    for name in ("app.log.offset", "app.log.swp", "app.logger.1", "other.log.1"):
        append(log.with_name(name), b"not a line of ours")
    log.with_name("app.log.9").mkdir()
    log.with_name("app.log.8").symlink_to("nowhere")
    rotate(log)
    append(log, b"two")
    assert life.new() == [b"one", b"two"]


def test_copytruncate_between_two_looks_loses_nothing(log, life):
    append(log, b"one")
    assert life.new() == [b"one"]
    append(log, b"two")
    copytruncate(log, "app.log.3")
    append(log, b"three")
    copytruncate(log, "app.log.2")
    append(log, b"four")
    copytruncate(log, "app.log.1")
    append(log, b"five")
    assert sorted(life.new()) == [b"five", b"four", b"three", b"two"]
    first, second, *_ = life.lines
    assert first.origin == next(x for x in life.lines if x.text == b"two").origin
    assert second.origin != 0


def test_a_log_truncated_again_before_it_was_begun_is_read_from_its_copy(log, life):
    append(log, b"one")
    copytruncate(log)
    assert life.new() == [b"one"]
    append(log, b"two")
    copytruncate(log, "app.log.0")
    assert life.new() == [b"two"]


def test_a_log_truncated_between_looking_around_and_reading_is_read_from_its_copy(
    log, life
):
    append(log, b"one")
    look = life.follower._search.missed

    def late(*place):
        found = look(*place)
        life.follower._search.missed = look
        copytruncate(log)
        append(log, b"two")
        return found

    life.follower._search.missed = late
    assert sorted(life.new()) == [b"one", b"two"]


def test_a_copy_of_less_than_was_read_is_no_news(log, life):
    append(log, b"one")
    shutil.copyfile(log, log.with_name("app.log.1"))
    append(log, b"two")
    assert life.new() == [b"one", b"two"]
    os.truncate(log, 0)
    append(log, b"three")
    assert life.new() == [b"three"]
    rotate(log, "app.log.2")
    append(log, b"four")
    assert life.new() == [b"four"]


def test_a_copy_that_is_not_yet_followed_by_truncation_is_read_once(log, life):
    append(log, b"one", b"two")
    shutil.copyfile(log, log.with_name("app.log.1"))
    assert life.new() == [b"one", b"two"]
    os.truncate(log, 0)
    append(log, b"three")
    assert life.new() == [b"three"]


def test_a_copy_that_was_packed_at_once_is_read_on(log, life):
    texts = numbered(0, 100)
    append(log, *texts[:50])
    life.new()
    with log.open("ab") as file:
        file.write(texts[50][:3])
    assert life.new() == []
    with log.open("ab") as file:
        file.write(texts[50][3:] + b"\n")
    append(log, *texts[51:])
    copytruncate(log)
    pack(log.with_name("app.log.1"))
    append(log, b"new")
    assert sorted(life.new()) == sorted([*texts[50:], b"new"])


def test_a_link_that_is_switched_often_between_two_looks_loses_nothing(tmp_path):
    link = tmp_path / "app.log"
    append(tmp_path / "app-1.log", b"one")
    link.symlink_to("app-1.log")
    life = Life(link)
    life.new()
    for number in (2, 3, 4):
        append(tmp_path / f"app-{number}.log", b"line %d" % number)
        fresh = tmp_path / "fresh"
        fresh.symlink_to(f"app-{number}.log")
        fresh.rename(link)
    assert sorted(life.new()) == [b"line 2", b"line 3", b"line 4"]
    life.kill()


def test_a_link_that_is_switched_back_after_long_is_read_on(tmp_path):
    link = tmp_path / "current"
    for name in ("a", "b"):
        append(tmp_path / name, name.encode() + b" 1")
    link.symlink_to("a")
    life = Life(link)
    assert life.new() == [b"a 1"]
    for target, text in (("b", b"b 1"), ("a", b"a 2")):
        append(tmp_path / "a", *([text] if target == "a" else []))
        link.unlink()
        link.symlink_to(target)
        assert life.new() == [text]
        life.now += OUTGOING_S
        life.new()
    life.kill()


def test_an_editor_that_puts_a_copy_in_the_place_of_a_log_repeats_nothing(log, life):
    append(log, b"one", b"two")
    life.new()
    shutil.copyfile(log, log.with_name("fresh"))
    append(log.with_name("fresh"), b"three")
    log.with_name("fresh").rename(log)
    assert life.new() == [b"three"]


class Ailing:
    """A file on a disk that fails."""

    def __init__(self, contents):
        self.contents = contents

    def __getattr__(self, name):
        return getattr(self.contents, name)

    def pread(self, _count, _offset):
        raise OSError(5, "Input/output error")


def test_an_old_file_that_cannot_be_read_any_more_is_let_go(log, life):
    append(log, b"one")
    life.new()
    rotate(log)
    append(log, b"two")
    assert life.new() == [b"two"]
    (old,) = life.follower._outgoing
    old.contents = Ailing(old.contents)
    append(log, b"three")
    assert life.new() == [b"three"]
    assert life.follower._outgoing == []


def test_the_log_itself_that_cannot_be_read_is_an_error_that_says_why(log, life):
    held = life.follower._current
    held.contents = Ailing(held.contents)
    with pytest.raises(SourceError, match=r"app\.log: Input/output error"):
        life.new()
    held.contents = held.contents.contents
    append(log, b"one")
    assert life.new() == [b"one"]


def test_a_file_that_was_read_out_long_ago_is_not_held_again(log, life):
    append(log, b"one")
    life.new()
    life.kill()
    old = rotate(log)
    os.utime(old, (1.0, 1.0))
    life.start()
    batch = life.follower.read(0.0, 1e9)
    assert batch is not None
    assert life.follower._outgoing == []
    append(old, b"late")
    assert life.new() == []


# ---- truncation ----------------------------------------------------------------------


def test_what_a_truncation_left_standing_is_not_told_again(log, life):
    texts = numbered(0, 1000)
    append(log, *texts)
    assert life.new() == texts
    os.truncate(log, sum(len(text) + 1 for text in texts[:500]))
    assert life.new() == []
    append(log, b"new")
    assert life.new() == [b"new"]


def test_what_is_written_at_a_cut_in_a_line_is_a_line_by_itself(log, life):
    texts = numbered(0, 1000)
    append(log, *texts)
    life.new()
    os.truncate(log, 20_003)
    assert life.new() == []
    append(log, b"new")
    assert life.new() == [b"new"]


def test_a_log_cut_and_grown_past_where_we_were_loses_nothing(log, life):
    texts = numbered(0, 2000)
    for text in texts:
        append(log, text)
        if len(text) > 60:
            life.new()
    life.new()
    os.truncate(log, 40_000)
    fresh = numbered(10_000, 13_000)
    append(log, *fresh)
    found = life.new()
    assert found[-2999:] == fresh[1:]
    assert texts[0] not in found


def test_a_log_that_always_begins_with_the_same_words_is_read_anew(log, life):
    banner = numbered(0, 20)
    append(log, *banner, *numbered(100, 400))
    life.new()
    log.write_bytes(b"")
    append(log, *banner, b"started")
    assert life.new() == [*banner, b"started"]


def test_a_log_written_anew_whose_lines_end_alike_is_read_anew(log, life):
    agent = (
        b" Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Safari/537.36 and more"
    )
    append(log, b"GET /one" + agent, b"GET /two" + agent)
    life.new()
    log.write_bytes(b"")
    texts = [b"PUT /%s" % name + agent for name in (b"six", b"ten", b"few")]
    append(log, *texts)
    assert life.new() == texts


def test_the_hole_that_a_writer_leaves_before_its_own_offset_is_passed_over(log, life):
    texts = numbered(0, 1000)
    with log.open("wb", buffering=0) as writer:  # it does not append
        writer.write(b"".join(text + b"\n" for text in texts))
        assert life.new() == texts
        copytruncate(log)
        assert life.new() == []
        writer.write(b"next\n")
    found = life.new()
    assert found == [b"next"]


def test_nothing_but_a_hole_is_nothing_to_tell(log, life):
    append(log, b"one")
    life.new()
    os.truncate(log, 0)
    os.truncate(log, 1 << 20)
    assert life.new() == []
    append(log, b"two")
    assert life.new() == [b"two"]


def later(*paths: Path) -> None:
    """Have files changed one after the other, however coarse the disk's clock is."""
    for path in paths:
        later.tick += 1
        os.utime(path, (later.tick, later.tick))


later.tick = 1


def packed(path: Path) -> None:
    """What gzip does: another file of the same time, and the old one gone."""
    status = path.stat()
    made = Path(f"{path}.gz")
    made.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()


@pytest.mark.parametrize("renamed", [False, True])
def test_a_log_that_was_never_seen_but_empty_repeats_no_packed_copy(log, renamed):
    later(log)
    life = Life(log)
    assert life.new() == []
    if renamed:
        log.rename(log.with_name("app.log.9"))
    append(log, b"one")
    later(log)
    shutil.copyfile(log, log.with_name("app.log.2"))
    os.truncate(log, 0)
    shutil.copyfile(log, log.with_name("app.log.1"))
    later(log.with_name("app.log.2"), log.with_name("app.log.1"), log)
    assert life.new() == [b"one"]
    packed(log.with_name("app.log.2"))
    life.new()
    life.now += OUTGOING_S * 2
    life.new()
    life.restart()
    assert life.new() == []
    life.kill()
