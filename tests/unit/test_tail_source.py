"""The stream of many files: patterns, wakes, and what cannot be read."""

import asyncio
import contextlib
import os
import resource
from pathlib import Path

import pytest

from peep.agent.sources import open_source, patterns, tail
from peep.agent.sources.patterns import expand
from peep.agent.sources.siblings import bases, is_rotated
from peep.agent.sources.tail import TailSource, TailSpec
from peep.clock import ManualClock, SystemClock
from peep.errors import SourceError


class Following:
    """A source at work, whose marks are kept."""

    def __init__(self, spec, marks=(), clock=None):
        self.source = TailSource(spec, clock or SystemClock(), marks)
        self.kept = {}
        self.got = []

    async def run(self):
        async for batch in self.source.batches():
            self.kept |= {mark.origin: mark for mark in batch.marks}
            for origin in batch.done:
                self.kept.pop(origin, None)
            self.got += [line.text for line in batch.lines]

    @contextlib.asynccontextmanager
    async def at_work(self):
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - it rings no bell
                await asyncio.sleep(0)

    async def told(self, *texts):
        await self.until(lambda: len(self.got) >= len(texts))
        assert sorted(self.got) == sorted(texts)


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.writelines(line + b"\n" for line in lines)


def none_left():
    raise OSError(24, "Too many open files")


def watched(following, count):
    """Whether so many names have been looked at, and are heard of since."""
    return lambda: len(following.source._watched) >= count


# ---- patterns --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "base", "rotated"),
    [
        ("app.log.1", "app.log", True),
        ("app.log.12.gz", "app.log", True),
        ("app.log-20240131", "app.log", True),
        ("app.log-20240131-1706659200.gz", "app.log", True),
        ("app-20240131.log", "app.log", True),
        ("app-20240131.log.gz", "app.log", True),
        ("app.log.2024-01-31_12-00-00", "app.log", True),
        ("app.log.old", "app.log", True),
        ("app.1.log", "app.log", True),
        ("messages.1", "messages", True),
        ("app.log", "app.log", False),
        ("app.log.offset", "app.log", False),
        ("app.log.1.swp", "app.log", False),
        ("app.logs", "app.log", False),
        ("apple.log", "app.log", False),
        ("app-error.log", "app.log", False),
        ("other.log.1", "app.log", False),
    ],
)
def test_an_older_generation_is_known_by_its_name(name, base, rotated):
    assert is_rotated(name, base) is rotated
    if rotated:
        assert base in set(bases(name))


def test_a_pattern_takes_logs_and_not_what_rotation_leaves_beside_them(tmp_path):
    names = ["a.log", "a.log.1", "a.log.2.gz", "a-20240101.log", "b.log", "b.log.bz2"]
    for name in (*names, "c-20240101.log"):
        (tmp_path / name).touch()
    (tmp_path / "d.log").mkdir()
    (tmp_path / "e.log").symlink_to("nowhere")
    found = sorted(Path(path).name for path in expand(f"{tmp_path}/*.log*"))
    assert found == ["a.log", "b.log", "c-20240101.log"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    odd = tmp_path / "a[1].log"
    odd.touch()
    (tmp_path / "a1.log").touch()
    source = TailSource(TailSpec(str(odd)), ManualClock())
    assert list(source._followers) == [str(odd)]
    assert source.describe() == str(odd)


def test_what_is_there_is_old_and_what_comes_later_is_new(tmp_path):
    append(tmp_path / "a.log", b"old")

    async def work():
        following = Following(TailSpec(f"{tmp_path}/*.log"))
        async with following.at_work():
            await following.until(watched(following, 1))
            append(tmp_path / "b.log", b"b 1")
            append(tmp_path / "a.log", b"a 1")
            await following.told(b"a 1", b"b 1")
            (tmp_path / "b.log").rename(tmp_path / "b.log.1")
            append(tmp_path / "b.log", b"b 2")
            await following.told(b"a 1", b"b 1", b"b 2")
        assert following.source.describe().endswith("/*.log (2 files now)")

    asyncio.run(work())


def test_files_that_came_while_it_was_stopped_are_new_too(tmp_path):
    append(tmp_path / "a.log", b"old")
    spec = TailSpec(f"{tmp_path}/*.log")

    async def work():
        first = Following(spec)
        async with first.at_work():
            await first.until(watched(first, 1))
        append(tmp_path / "a.log", b"a 1")
        append(tmp_path / "b.log", b"b 1")
        second = Following(spec, tuple(first.kept.values()))
        async with second.at_work():
            await second.told(b"a 1", b"b 1")

    asyncio.run(work())


def test_marks_find_a_log_that_is_rotated_away_and_not_made_again(tmp_path):
    log = tmp_path / "a.log"
    append(log, b"one")
    spec = TailSpec(f"{tmp_path}/*.log", from_start=True)

    async def work():
        first = Following(spec)
        async with first.at_work():
            await first.told(b"one")
        append(log, b"two")
        log.rename(f"{log}.1")
        others = Following(TailSpec("/elsewhere/*.log"), tuple(first.kept.values()))
        assert others.source._followers == {}
        second = Following(spec, tuple(first.kept.values()))
        async with second.at_work():
            await second.told(b"two")

    asyncio.run(work())


def test_names_that_are_gone_for_good_are_forgotten_with_their_marks(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tail, "EXPAND_S", 0.0)
    append(tmp_path / "stays.log", b"old")
    log = tmp_path / "a.log"
    append(log, b"one")
    clock = ManualClock()

    async def work():
        following = Following(TailSpec(f"{tmp_path}/*.log", True), clock=clock)
        async with following.at_work():
            await following.told(b"one", b"old")
            await following.until(watched(following, 2))
            log.unlink()
            append(tmp_path / "stays.log", b"more")
            await following.told(b"one", b"old", b"more")
            while len(following.source._followers) > 1:
                clock.advance(30.0)
                append(tmp_path / "stays.log", b"tick")
                await asyncio.sleep(0)
        paths = {Path(mark.path).name for mark in following.kept.values()}
        assert paths == {"stays.log", "*.log"}

    asyncio.run(work())


def test_one_file_that_cannot_be_read_is_told_of_once_and_holds_up_no_other(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(patterns, "_is_regular", lambda _path: True)
    (tmp_path / "a.log").mkdir()
    append(tmp_path / "b.log", b"one")
    source = TailSource(TailSpec(f"{tmp_path}/?.log", from_start=True), SystemClock())
    follower = source._followers[str(tmp_path / "b.log")]

    async def first():
        async for batch in source.batches():
            if batch.lines:
                return batch.lines[0].text
        raise AssertionError

    async def work():
        with pytest.raises(SourceError, match=r"a\.log: not a regular file"):
            await asyncio.wait_for(first(), 10)
        assert await asyncio.wait_for(first(), 10) == b"one"
        append(tmp_path / "b.log", b"two")
        assert await asyncio.wait_for(first(), 10) == b"two"

    asyncio.run(work())
    follower.close(0.0)


def test_a_name_of_any_bytes_is_followed_and_shown(tmp_path):
    log = os.fsencode(tmp_path) + b"/\xff.log"
    with open(log, "wb") as file:  # noqa: PTH123 - no Path of bytes
        file.write(b"one\n")

    async def work():
        following = Following(TailSpec(f"{tmp_path}/*.log", from_start=True))
        async with following.at_work():
            await following.told(b"one")
        (path,) = {mark.path for mark in following.kept.values() if mark.device}
        assert path == f"{tmp_path}/\\xff.log"

    asyncio.run(work())


def test_names_are_looked_for_by_the_clock_where_nobody_tells_of_them(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tail, "Inotify", none_left)
    append(tmp_path / "a.log", b"old")
    clock = ManualClock()

    async def work():
        following = Following(TailSpec(f"{tmp_path}/*.log"), clock=clock)
        async with following.at_work():
            await following.until(lambda: len(following.kept) > 1)
            append(tmp_path / "b.log", b"new")
            clock.advance(tail.EXPAND_S)
            await following.told(b"new")

    asyncio.run(work())


def test_after_more_news_than_can_be_told_everything_is_looked_at(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tail, "SWEEP_S", 3600.0)
    log = tmp_path / "a.log"
    log.touch()

    async def work():
        following = Following(TailSpec(str(log)))
        async with following.at_work():
            await following.until(watched(following, 1))
            changes = following.source._inotify.changes

            def overflowed():
                found = changes()
                found.anything = found.anything or bool(found.paths)
                found.paths = set()
                return found

            following.source._inotify.changes = overflowed
            append(log, b"one")
            await following.told(b"one")

    asyncio.run(work())


# ---- many, and other ways to learn of news -----------------------------------------


def test_a_thousand_files_are_followed_with_one_watch(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(1000):
        (tmp_path / f"{number}.log").touch()

    async def work():
        following = Following(TailSpec(f"{tmp_path}/*.log"))
        async with following.at_work():
            await following.until(watched(following, 1000))
            assert len(following.source._inotify._watches) == 1
            for number in (0, 500, 999):
                append(tmp_path / f"{number}.log", b"line %d" % number)
            await following.told(b"line 0", b"line 500", b"line 999")

    try:
        asyncio.run(work())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_inotify_it_looks_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(tail, "Inotify", none_left)
    log = tmp_path / "a.log"
    log.touch()

    async def work():
        following = Following(TailSpec(str(log)))
        async with following.at_work():
            await following.until(lambda: following.kept)
            append(log, b"one")
            await following.told(b"one")

    asyncio.run(work())


def test_a_file_behind_a_link_rings_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(tail, "SWEEP_S", 3600.0)
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.log"
    real.touch()
    link = tmp_path / "a.log"
    link.symlink_to(real)

    async def work():
        following = Following(TailSpec(str(link)))
        async with following.at_work():
            await following.until(watched(following, 1))
            append(real, b"one")
            await following.told(b"one")

    asyncio.run(work())


def test_a_directory_that_is_made_anew_is_heard_of_again(tmp_path):
    place = tmp_path / "app"
    place.mkdir()
    log = place / "a.log"
    append(log, b"one")

    async def work():
        following = Following(TailSpec(f"{tmp_path}/*/a.log", from_start=True))
        async with following.at_work():
            await following.told(b"one")
            place.rename(tmp_path / "old")
            place.mkdir()
            append(log, b"two")
            await following.told(b"one", b"two")

    asyncio.run(work())


def test_marks_are_handed_in_when_the_source_is_opened(tmp_path):
    log = tmp_path / "a.log"
    append(log, b"one")

    async def work():
        first = Following(TailSpec(str(log), from_start=True))
        async with first.at_work():
            await first.told(b"one")
        append(log, b"two")
        again = open_source(
            TailSpec(str(log)), SystemClock(), tuple(first.kept.values())
        )
        async for batch in again.batches():
            if batch.lines:
                assert [line.text for line in batch.lines] == [b"two"]
                break
        again._close()

    asyncio.run(work())
