"""Files of ours, of others and of nobody: what is used, set aside or refused."""

import contextlib
import sqlite3

import pytest

from peep.errors import PeepError
from peep.journal.database import (
    NewerError,
    PassingError,
    Shape,
    open_database,
    open_reader,
    set_aside,
)

WALL = 1_767_225_600.0  # 2026-01-01
SHAPE = Shape(
    what="thing",
    application_id=0x1234,
    version=3,
    tables=("CREATE TABLE things (name TEXT)",),
    check=("SELECT name FROM things", "PRAGMA quick_check"),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "thing.db"


def opened(path, said=None):
    """Open the file; return what is in it."""
    said = [] if said is None else said
    database = open_database(path, SHAPE, say=said.append, wall=WALL)
    with contextlib.closing(database):
        return [name for (name,) in database.execute("SELECT name FROM things")]


def filled(path, name="kept"):
    database = open_database(path, SHAPE, say=print, wall=WALL)
    with contextlib.closing(database):
        database.execute("INSERT INTO things VALUES (?)", (name,))


def test_a_new_file_is_begun_and_found_again(path):
    filled(path)
    assert opened(path) == ["kept"]


def test_an_empty_file_is_begun_in_silence(path):
    path.touch()
    said = []
    assert opened(path, said) == []
    assert said == []


def test_a_file_that_was_begun_but_has_no_tables_yet_is_begun(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    said = []
    assert opened(path, said) == []
    assert said == []


def nothing(path):
    assert not path.exists()


def empty(path):
    path.touch()


def directory(path):
    path.mkdir()


def foreign_tables(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE others (name TEXT)")


def foreign_id(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA application_id=77")


def text(path):
    path.write_text("this is no database at all\n" * 500)


def short(path):
    filled(path, "x" * 20_000)
    path.write_bytes(path.read_bytes()[:9_000])


def missing_table(path):
    filled(path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE things")


def mixed_up(path):
    filled(path)
    content = bytearray(path.read_bytes())
    content[4096 + 3 : 4096 + 8] = b"\0\0\0\0\0"  # the leaf says that it has no rows
    content[4096 + 1] = 0x0F
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (foreign_tables, "is somebody else's"),
        (foreign_id, "is somebody else's"),
        (text, "is broken"),
        (short, "is broken"),
        (missing_table, "is broken"),
        (mixed_up, "is broken"),
    ],
)
def test_what_is_foreign_or_broken_is_set_aside_with_one_line(path, spoil, why):
    spoil(path)
    before = path.read_bytes()
    said = []
    assert opened(path, said) == []
    aside = path.with_name("thing.db.broken-20260101T000000Z")
    assert said == [f"thing {path} {why}: set aside as {aside.name}, begun anew"]
    assert aside.read_bytes() == before
    filled(path)
    assert opened(path) == ["kept"]


def test_what_was_not_yet_in_the_file_is_set_aside_with_it(path):
    writer = open_database(path, SHAPE, say=print, wall=WALL)
    writer.execute("INSERT INTO things VALUES ('late')")
    copies = {f.name: f.read_bytes() for f in path.parent.iterdir()}
    writer.close()
    for name, content in copies.items():
        path.with_name(name).write_bytes(content)
    aside = set_aside(path, WALL)
    assert sorted(f.name for f in path.parent.iterdir()) == [
        aside.name,
        aside.name + "-wal",
    ]
    with contextlib.closing(sqlite3.connect(aside)) as database:
        assert database.execute("SELECT * FROM things").fetchall() == [("late",)]


def test_what_is_set_aside_in_the_same_second_does_not_replace_the_other(path):
    for _ in range(3):
        path.touch()
        set_aside(path, WALL)
    assert sorted(f.name for f in path.parent.iterdir()) == [
        "thing.db.broken-20260101T000000Z",
        "thing.db.broken-20260101T000000Z-2",
        "thing.db.broken-20260101T000000Z-3",
    ]


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path):
    filled(path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=4")
    before = path.read_bytes()
    with pytest.raises(NewerError, match=r"newer Peep \(version 4 of it; .* knows 3\)"):
        opened(path)
    assert path.read_bytes() == before
    with pytest.raises(NewerError):
        open_reader(path, SHAPE)


def test_a_file_that_another_process_holds_is_a_passing_problem(path, monkeypatch):
    monkeypatch.setattr("peep.journal.database._BUSY_S", 0.0)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(PassingError, match="database is locked"):
            opened(path)


def test_a_place_that_cannot_be_is_no_passing_problem(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        PeepError, match=r"thing .*/file/x.db: .*/file: File exists"
    ) as e:
        opened(tmp_path / "file" / "x.db")
    assert not isinstance(e.value, PassingError)


def test_a_reader_reads_what_a_writer_has_open(path):
    writer = open_database(path, SHAPE, say=print, wall=WALL)
    writer.execute("INSERT INTO things VALUES ('new')")
    with contextlib.closing(open_reader(path, SHAPE)) as reader:
        assert reader.execute("SELECT * FROM things").fetchall() == [("new",)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("INSERT INTO things VALUES ('mine')")
    writer.close()


def test_a_reader_reads_what_nobody_has_open(path):
    filled(path)
    with contextlib.closing(open_reader(path, SHAPE)) as reader:
        assert reader.execute("SELECT * FROM things").fetchall() == [("kept",)]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (nothing, "no thing at"),
        (empty, "is empty"),
        (text, "is broken"),
        (foreign_tables, "is somebody else's"),
        (directory, "no thing at"),
    ],
)
def test_a_reader_says_what_is_wrong_and_changes_nothing(path, spoil, why):
    spoil(path)
    before = sorted(path.parent.iterdir())
    with pytest.raises(PeepError, match=why):
        open_reader(path, SHAPE)
    assert sorted(path.parent.iterdir()) == before
