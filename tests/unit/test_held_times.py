"""When a line was written: by its own time if it stood there before, else just now."""

import datetime as dt
import os

from peep.agent.sources.contents import Plain
from peep.agent.sources.held import Held

CHANGED = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC).timestamp()
NOW = CHANGED + 86_400.0


def held(path, text):
    path.write_bytes(text)
    os.utime(path, (CHANGED, CHANGED))
    return Held(Plain(os.open(path, os.O_RDONLY)), str(path), 7)


def resumed(path, text):
    one = held(path, b"")
    mark = one.mark()
    one.contents.close()
    path.write_bytes(text)
    os.utime(path, (CHANGED, CHANGED))
    return Held.resumed(Plain(os.open(path, os.O_RDONLY)), mark)


def test_a_new_file_is_as_old_as_its_last_change_whatever_it_says(tmp_path):
    one = held(tmp_path / "a.log", b"2020-01-01T00:00:00Z a clock that is wrong\n")
    (line,) = one.read(0.0, NOW)
    assert line.when == CHANGED


def test_what_was_written_while_nobody_read_bears_its_own_time(tmp_path):
    one = resumed(tmp_path / "a.log", b"2026-03-01T11:00:00Z disk failed\n")
    (line,) = one.read(0.0, NOW)
    assert line.when == CHANGED - 3600


def test_what_was_written_then_and_bears_no_time_is_as_old_as_the_file(tmp_path):
    one = resumed(tmp_path / "a.log", b"disk failed\n")
    (line,) = one.read(0.0, NOW)
    assert line.when == CHANGED


def test_what_says_that_it_is_of_the_future_is_as_old_as_the_file(tmp_path):
    one = resumed(tmp_path / "a.log", b"2026-03-01T13:00:00Z disk failed\n")
    (line,) = one.read(0.0, NOW)
    assert line.when == CHANGED


def test_what_comes_later_was_written_just_now_whatever_it_says(tmp_path):
    path = tmp_path / "a.log"
    one = held(path, b"")
    with path.open("ab") as file:
        file.write(b"2020-01-01T00:00:00Z a clock that is wrong\n")
    (line,) = one.read(0.0, NOW)
    assert line.when == NOW


def test_what_was_written_after_a_truncation_is_new(tmp_path):
    path = tmp_path / "a.log"
    one = held(path, b"2026-03-01T11:00:00Z one\n2026-03-01T11:00:01Z two\n")
    one.read(0.0, NOW)
    path.write_bytes(b"2020-01-01T00:00:00Z three\n")
    assert one.read(0.0, NOW) is None
    assert one.rewritten
    (line,) = one.renewed(8).read(0.0, NOW)
    assert line.when == NOW
