"""What the kernel says of directories."""

import ctypes
import struct

import pytest

from peep.agent.sources.inotify import Inotify

OVERFLOW = struct.pack("iIII", -1, 0x4000, 0, 0)
STRANGER = struct.pack("iIII", 99, 0x2, 0, 0)


@pytest.fixture
def inotify():
    made = Inotify()
    yield made
    made.close()


def test_writing_is_told_by_the_path(inotify, tmp_path):
    log = tmp_path / "a.log"
    log.touch()
    inotify.watch(str(tmp_path))
    inotify.watch(str(tmp_path))
    log.write_bytes(b"x")
    changes = inotify.changes()
    assert changes.paths == {str(log)}
    assert not changes.names
    assert inotify.changes().paths == set()


def test_names_that_come_and_go_are_told(inotify, tmp_path):
    inotify.watch(str(tmp_path))
    (tmp_path / "a").touch()
    (tmp_path / "a").rename(tmp_path / "b")
    changes = inotify.changes()
    assert changes.names
    assert changes.paths == {str(tmp_path / "a"), str(tmp_path / "b")}


@pytest.mark.parametrize("end", ["rmdir", "rename"])
def test_a_directory_that_goes_can_be_watched_again(inotify, tmp_path, end):
    place = tmp_path / "place"
    place.mkdir()
    inotify.watch(str(place))
    place.rmdir() if end == "rmdir" else place.rename(tmp_path / "other")
    assert inotify.changes().anything
    place.mkdir()
    inotify.watch(str(place))
    inotify.changes()
    (place / "a").touch()
    assert str(place / "a") in inotify.changes().paths


def test_what_is_no_directory_cannot_be_watched(inotify, tmp_path):
    with pytest.raises(FileNotFoundError):
        inotify.watch(str(tmp_path / "missing"))


def test_more_news_than_the_kernel_keeps_may_be_anything(inotify, monkeypatch):
    blocks = [OVERFLOW + STRANGER]

    def read(_fd, _count):
        if blocks:
            return blocks.pop()
        raise BlockingIOError

    monkeypatch.setattr("peep.agent.sources.inotify.os.read", read)
    changes = inotify.changes()
    assert changes.anything
    assert changes.paths == set()


def test_where_there_is_none_it_is_an_error(monkeypatch):
    class Libc:
        pass

    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_more: Libc())
    with pytest.raises(OSError, match="no inotify"):
        Inotify()


def test_where_none_is_left_it_is_an_error_too(monkeypatch):
    class Libc:
        inotify_add_watch = inotify_rm_watch = None

        @staticmethod
        def inotify_init1(_flags):
            ctypes.set_errno(24)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_more: Libc())
    with pytest.raises(OSError, match="open files"):
        Inotify()
