"""Falling behind: what is passed over, what is kept, and what is said of it."""

import gzip
import os

import pytest

from peep.agent.skips import APART_S, EVENT, Skips, described
from peep.agent.sources import contents, held, lag
from peep.agent.sources.follow import Follower
from peep.clock import ManualClock
from peep.loglines import Batch, LineSplitter, Skipped
from peep.signals import MAX_COUNT, Tier

KEPT = 1000
LAG = 10_000


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks of a few lines, so that what is passed over takes several."""
    monkeypatch.setattr(lag, "KEPT_BYTES", KEPT)
    monkeypatch.setattr(held, "BLOCK_BYTES", 700)
    monkeypatch.setattr(held, "PASSED_BLOCK_BYTES", 1500)


class Reading:
    """A follower, what it told, and what it keeps."""

    def __init__(self, path, marks=(), lag_max_bytes=LAG, **how):
        self.follower = Follower(
            str(path), marks=marks, lag_max_bytes=lag_max_bytes, **how
        )
        self.told = []
        self.skipped = []
        self.kept = {mark.origin: mark for mark in marks}
        self.now = 0.0

    def step(self):
        batch = self.follower.read(self.now, 0.0)
        if batch is None:
            return None
        self.told += [line.text for line in batch.lines]
        self.skipped += [] if batch.skipped is None else [batch.skipped]
        self.kept |= {mark.origin: mark for mark in batch.marks}
        for origin in batch.done:
            self.kept.pop(origin, None)
        return batch

    def rest(self):
        while self.step():
            pass
        return self

    def again(self, path, **how):
        self.follower.close(0.0)
        return Reading(path, tuple(self.kept.values()), **how)


def lines(count, first=0):
    return [b"%06d %s" % (number, b"-" * 60) for number in range(first, first + count)]


def text(written):
    return b"".join(line + b"\n" for line in written)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.touch()
    return path


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_up_to_the_bound_nothing_is_passed_over(log):
    reading = Reading(log).rest()
    written = lines(LAG // 68)
    append(log, text(written))
    assert reading.rest().told == written
    assert reading.skipped == []


def test_beyond_the_bound_the_last_whole_lines_are_told_and_the_others_counted(log):
    reading = Reading(log).rest()
    written = lines(500)
    append(log, text(written))
    reading.rest()
    (skipped,) = reading.skipped
    assert written[: len(reading.told) and 10] == reading.told[:10], "until it is seen"
    kept = reading.told[10:]
    assert kept == written[-len(kept) :]
    assert KEPT - 68 <= len(text(kept)) <= KEPT
    assert skipped.lines == 500 - len(reading.told)
    assert skipped.size_bytes == skipped.lines * 68
    assert skipped.all_counted


def test_without_a_bound_everything_is_told(log):
    reading = Reading(log, lag_max_bytes=0).rest()
    written = lines(500)
    append(log, text(written))
    assert reading.rest().told == written


def test_what_was_asked_for_from_its_start_is_read_however_much_it_is(log):
    written = lines(500)
    append(log, text(written))
    reading = Reading(log, from_start=True, patient=True)
    assert reading.rest().told == written
    append(log, text(lines(500, 500)))
    reading.rest()
    assert reading.skipped, "but what comes later may be too much"


def test_what_came_while_nobody_was_here_may_be_too_much(log):
    reading = Reading(log).rest()
    append(log, text(lines(500)))
    later = reading.again(log).rest()
    assert len(later.told) + sum(s.lines for s in later.skipped) == 500
    assert later.skipped


def test_rotated_generations_count_and_the_last_lines_may_lie_in_one(log):
    reading = Reading(log).rest()
    written = lines(300)
    append(log, text(written[:290]))
    log.rename(f"{log}.1")
    append(log, text(written[290:]))
    reading.rest()
    assert len(reading.told) + sum(s.lines for s in reading.skipped) == 300
    assert reading.told[-14:] == written[-14:]
    assert reading.told[-15] != written[-15], "no more than is kept"


def test_whoever_is_killed_while_he_passes_over_does_it_again(log):
    reading = Reading(log).rest()
    before = dict(reading.kept)
    append(log, text(lines(500)))
    assert reading.step().lines  # the first block is told before it is seen
    told = dict(reading.kept)
    assert told != before
    assert reading.step().marks == ()
    assert reading.kept == told, "no mark stands in what is passed over"
    later = reading.again(log).rest()
    count = len(reading.told) + len(later.told) + sum(s.lines for s in later.skipped)
    assert count == 500
    assert later.again(log).rest().told == []


def test_a_line_that_was_half_told_is_not_counted(log):
    reading = Reading(log, lag_max_bytes=100_000).rest()
    append(log, b"x" * 70_000)
    reading.rest()
    assert len(reading.told) == 1, "cut"
    append(log, b"x" * 10_000 + b"\n" + text(lines(2000)))
    reading.rest()
    assert reading.skipped
    assert len(reading.told) + sum(s.lines for s in reading.skipped) == 2001


def test_where_no_line_ends_near_the_end_its_rest_goes_by(log):
    reading = Reading(log).rest()
    append(log, text(lines(10)) + b"y" * 100_000)
    reading.rest()
    append(log, b"end of it\n" + text(lines(3)))
    reading.rest()
    assert reading.told[-3:] == lines(3)
    assert len(reading.told) + sum(s.lines for s in reading.skipped) == 14


def test_of_very_much_only_the_last_lines_are_counted(log, monkeypatch):
    monkeypatch.setattr(held, "MAX_COUNTED_BYTES", 5000)
    reading = Reading(log).rest()
    append(log, text(lines(1000)))
    reading.rest()
    assert not all(skipped.all_counted for skipped in reading.skipped)
    size = sum(skipped.size_bytes for skipped in reading.skipped)
    assert size + len(text(reading.told)) == len(text(lines(1000)))
    assert 5000 // 68 <= sum(skipped.lines for skipped in reading.skipped) < 100
    assert reading.again(log).rest().told == [], "and the mark stands behind it"


def test_a_packed_generation_is_passed_over_whole(log):
    reading = Reading(log, from_start=True).rest()
    old = [os.urandom(30).hex().encode() for _ in range(1000)]
    append(log, text(old))
    reading.follower.close(0.0)
    packed = log.with_name("app.log.1.gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    status = log.stat()
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    log.unlink()
    append(log, text(lines(3)))
    later = reading.again(log).rest()
    assert later.told[-3:] == lines(3)
    assert len(later.told) + sum(s.lines for s in later.skipped) == 1003
    assert later.skipped


def test_a_hole_that_a_truncation_leaves_is_not_unread(log):
    reading = Reading(log).rest()
    with log.open("r+b") as writer:
        writer.write(text(lines(30)))
        writer.flush()
        reading.rest()
        os.truncate(log, 0)
        writer.seek(1 << 20)
        writer.write(text(lines(5)))
        writer.flush()
        reading.rest()
        writer.write(text(lines(5)))
    reading.rest()
    assert reading.told == lines(30) + lines(5) + lines(5)
    assert reading.skipped == []


def test_a_log_that_is_truncated_while_it_is_passed_over_is_accounted_for(log):
    reading = Reading(log).rest()
    append(log, text(lines(500)))
    reading.step()
    reading.step()
    os.truncate(log, 0)
    append(log, text(lines(3)))
    reading.rest()
    assert reading.told[-3:] == lines(3)
    passed = sum(skipped.lines for skipped in reading.skipped)
    assert passed in (22, 23), "a block, though the rest is nowhere"


def test_what_is_passed_over_goes_on_in_the_copy(log):
    reading = Reading(log).rest()
    append(log, text(lines(500)))
    reading.step()
    reading.step()
    log.with_name("app.log.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
    append(log, text(lines(3)))
    reading.rest()
    assert len(reading.told) + sum(s.lines for s in reading.skipped) == 503


def test_lines_are_counted_where_they_begin():
    splitter = LineSplitter("a")
    assert splitter.pass_over(b"one\ntwo\nthr") == 3
    assert splitter.pass_over(b"ee") == 0
    assert splitter.pass_over(b"!\n") == 0
    assert splitter.pass_over(b"four\n") == 1
    assert [line.text for line in splitter.feed(b"five\n")] == [b"five"]
    assert splitter.begin == splitter.offset == 25


def test_a_line_that_waited_for_its_end_is_counted_with_it():
    splitter = LineSplitter("a")
    assert splitter.feed(b"beg") == []
    assert splitter.pass_over(b"in\n") == 1
    told = LineSplitter("a", told=True)
    assert told.pass_over(b"rest\nnext\n") == 1


def test_how_much_is_left_of_a_packed_file_is_known_as_packed(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(os.urandom(200_000)))
    packed = contents.open_contents(str(path))
    assert packed.left() == path.stat().st_size
    packed.pread(100_000, 0)
    assert path.stat().st_size - 110_000 < packed.left() < path.stat().st_size - 90_000
    packed.close()


# ---- what is said -------------------------------------------------------------------


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def said():
    return []


@pytest.fixture
def skips(clock, said):
    return Skips(clock, said.append, lambda event: event)


def batch(count, size_bytes=1 << 20, source="/var/log/a.log"):
    return Batch(source, (), skipped=Skipped(count, size_bytes))


def test_a_skip_is_said_at_once_to_operator_and_listeners(skips, said):
    (event,) = skips.take(batch(1234))
    assert (event.name, event.tier, event.count) == (EVENT, Tier.NOTABLE, 1234)
    assert event.instance == "/var/log/a.log"
    (line,) = said
    assert line.startswith("skipped 1,234 lines (1.0 MiB) of /var/log/a.log: ")
    assert line.endswith("agent.lag_max")


def test_a_batch_that_skipped_nothing_says_nothing(skips, said):
    assert skips.take(Batch("a", ())) == []
    assert said == []


def test_further_skips_of_a_log_are_told_a_minute_later_together(skips, said, clock):
    skips.take(batch(1))
    assert skips.take(batch(2)) == []
    assert skips.take(batch(3)) == []
    assert len(skips.take(batch(9, source="other"))) == 1, "each for itself"
    clock.advance(APART_S - 1)
    assert skips.due() == []
    clock.advance(1)
    (event,) = skips.due()
    assert event.count == 5
    assert len(said) == 3
    assert (skips.lines, skips.size_bytes) == (15, 4 << 20)


def test_at_the_end_nothing_is_kept_back(skips):
    skips.take(batch(1))
    skips.take(batch(2))
    assert [event.count for event in skips.drain()] == [2]
    assert skips.drain() == []


def test_counts_stay_within_what_can_be_said(skips):
    assert skips.take(batch(0, source="a"))[0].count == 1
    assert skips.take(batch(10**12, source="b"))[0].count == MAX_COUNT


def test_what_was_not_all_counted_is_said_to_be_more():
    assert "more than 7 lines" in described("a", Skipped(7, 10**9, all_counted=False))
    assert "skipped 7 lines" in described("a\x1b", Skipped(7, 10**9))
    assert "\x1b" not in described("a\x1b", Skipped(7, 10**9))


def test_two_skips_are_one():
    assert Skipped(1, 2) + Skipped(3, 4, all_counted=False) == Skipped(4, 6, False)
