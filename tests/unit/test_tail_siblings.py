"""The files beside a log, while their names are given on."""

import gzip
import os
from pathlib import Path

import pytest

from peep.agent.sources import missed, siblings
from peep.agent.sources.follow import Follower
from peep.agent.sources.siblings import SETTLED_S, look_around, open_sibling


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    for number in (1, 2):
        Path(f"{path}.{number}").write_bytes(b"generation %d\n" % number)
    path.touch()
    return path


def names(found):
    return sorted(Path(one.path).name for one in found)


def test_names_that_move_on_while_one_looks_hide_no_file(log, monkeypatch):
    listed = siblings._names_beside

    def late(*place):
        """Say what was true before the next rotation."""
        monkeypatch.setattr(siblings, "_names_beside", listed)
        before = listed(*place)
        Path(f"{log}.2").rename(f"{log}.3")
        Path(f"{log}.1").rename(f"{log}.2")
        log.rename(f"{log}.1")
        return before

    monkeypatch.setattr(siblings, "_names_beside", late)
    assert names(look_around(str(log), 0.0).files) == [
        "app.log.1",
        "app.log.2",
        "app.log.3",
    ]


def test_names_that_never_rest_are_looked_at_only_so_often(log, monkeypatch):
    looks = []

    def never(*_place):
        looks.append(1)
        return {"app.log.9": 4711}

    monkeypatch.setattr(siblings, "_names_beside", never)
    assert look_around(str(log), 0.0) == ([], False)
    assert len(looks) == siblings.ROUNDS


def test_a_directory_that_rests_is_listed_once_for_all_its_logs(log, monkeypatch):
    later = log.parent.stat().st_mtime + SETTLED_S + 1
    listings = []
    listing = siblings._Listing

    def counted(directory):
        listings.append(directory)
        return listing(directory)

    monkeypatch.setattr(siblings, "_Listing", counted)
    for _ in range(3):
        assert names(look_around(str(log), later).files) == ["app.log.1", "app.log.2"]
    assert len(listings) == 1
    Path(f"{log}.3").touch()
    os.utime(log.parent, (later - 2, later - 2))
    assert len(look_around(str(log), later).files) == 3


def test_a_directory_that_cannot_be_listed_has_nothing_in_it(tmp_path):
    assert look_around(str(tmp_path / "missing" / "app.log"), 0.0) == ([], True)


def test_another_file_under_the_same_name_is_not_opened_for_it(log):
    (one,) = (s for s in look_around(str(log), 0.0).files if s.path.endswith(".1"))
    Path(f"{log}.2").rename(f"{log}.1")
    assert open_sibling(one) is None
    Path(one.path).unlink()
    assert open_sibling(one) is None


def test_what_gzip_is_at_work_on_is_the_old_file_until_it_is_done(log):
    follower = Follower(str(log), from_start=True)

    def new():
        found = []
        while batch := follower.read(0.0, 0.0):
            found += [line.text for line in batch.lines]
        return found

    assert new() == []
    log.write_bytes(b"old\n")
    old = log.rename(f"{log}.3")
    packed = gzip.compress(b"old\n")
    half = Path(f"{old}.gz")
    half.write_bytes(packed[:12])
    log.write_bytes(b"new\n")
    assert new() == [b"old", b"new"]
    half.write_bytes(packed)
    old.unlink()
    log.rename(f"{log}.2")
    log.write_bytes(b"newer\n")
    assert new() == [b"newer"]
    follower.close(0.0)


def test_a_ruin_that_gzip_left_is_not_waited_for(log):
    follower = Follower(str(log), from_start=True)
    while follower.read(0.0, 0.0):
        pass
    log.rename(f"{log}.9")
    Path(f"{log}.8.gz").write_bytes(gzip.compress(b"x" * 100)[:12])
    log.write_bytes(b"new\n")
    found = []
    while batch := follower.read(0.0, 0.0):
        found += [line.text for line in batch.lines]
    assert found == [b"new"]
    for _ in range(10):
        assert follower.read(0.0, 0.0) is None
    assert follower._rounds == 0
    follower.close(0.0)


def test_a_copy_is_found_though_names_move_on_while_one_looks(log, monkeypatch):
    follower = Follower(str(log), from_start=True)
    log.write_bytes(b"one\n")
    while follower.read(0.0, 0.0):
        pass
    with log.open("ab") as file:
        file.write(b"two\n")
    Path(f"{log}.1").write_bytes(log.read_bytes())
    os.utime(f"{log}.1", (1.0, 1.0))  # no fence would tell it
    log.write_bytes(b"")
    opened = missed.open_sibling
    shy = [None] * 3

    def late(sibling):
        return shy.pop() if shy else opened(sibling)

    monkeypatch.setattr(missed, "open_sibling", late)
    found = []
    while batch := follower.read(0.0, 0.0):
        found += [line.text for line in batch.lines]
    assert found == [b"two"]
    follower.close(0.0)
