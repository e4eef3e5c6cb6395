"""What the journal's thread does, without a thread: the oldest rows go in time."""

import contextlib
import sqlite3

import pytest

from peep.journal.rows import signal_row
from peep.journal.writer import Batch, Limits, Writer
from peep.signals import State

NOW = 1_800_000_000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def written(path, limits, signals_at=(), notes_at=()):
    """Return a writer that wrote signals and notes of these times."""
    writer = Writer(path, limits, print)
    batch = Batch()
    for number, at in enumerate(signals_at, 1):
        state = State(name="load", value=0.5)
        batch.signals.append(
            signal_row(number, state, b"12345678", "c", at, age_s=0.0, again=False)
        )
        batch.outcomes.append((number, at, *[None] * 7))
    batch.notes += [(at, "lost", "web1", None, None) for at in notes_at]
    writer.write(batch, NOW)
    return writer


def counts(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(
            "SELECT (SELECT count(*) FROM signals), (SELECT count(*) FROM outcomes), "
            "(SELECT count(*) FROM notes)"
        ).fetchone()


def test_rows_go_when_they_are_old_notes_as_well(path):
    writer = written(path, Limits(max_age_s=100.0), [NOW, NOW + 5], [NOW, NOW + 5])
    assert not writer.prune(NOW + 100)
    assert counts(path) == (2, 2, 2)
    assert writer.prune(NOW + 101)
    assert counts(path) == (1, 1, 1)
    assert not writer.prune(NOW + 101)
    writer.close()


def test_no_more_than_a_chunk_goes_at_once(path, monkeypatch):
    monkeypatch.setattr("peep.journal.writer.PRUNE_ROWS", 3)
    writer = written(path, Limits(max_age_s=1.0), [NOW] * 8)
    left = []
    while writer.prune(NOW + 10):
        left.append(counts(path)[:2])
    assert left == [(5, 5), (2, 2), (0, 0)]
    writer.close()


def test_notes_are_bounded_in_number_too(path, monkeypatch):
    monkeypatch.setattr("peep.journal.writer.MAX_NOTES", 3)
    monkeypatch.setattr("peep.journal.writer.PRUNE_ROWS", 2)
    writer = written(path, Limits(), notes_at=[NOW] * 10)
    while writer.prune(NOW):
        pass
    assert counts(path)[2] == 2
    writer.close()


def test_old_rows_behind_newer_ones_wait_their_turn(path, monkeypatch):
    """The clock had stepped: a search for them would go through all that is kept."""
    monkeypatch.setattr("peep.journal.writer.PRUNE_ROWS", 2)
    times = [NOW, NOW, NOW - 1_000, NOW - 1_000, NOW]
    writer = written(path, Limits(max_age_s=100.0), times)
    assert not writer.prune(NOW)
    assert writer.prune(NOW + 101)
    assert writer.prune(NOW)
    assert counts(path)[0] == 1
    writer.close()


def test_a_file_that_is_too_large_loses_rows_until_it_is_not(path):
    writer = written(path, Limits(max_bytes=400_000), [NOW] * 20_000)
    while writer.prune(NOW):
        pass
    assert 0 < counts(path)[0] < 10_000
    writer.close()


def test_a_batch_of_any_size_goes_in_whole(path):
    for size in (0, 1, 2, 511, 512, 513, 1_535):
        place = path.with_name(f"{size}.db")
        written(place, Limits(), [NOW] * size, [NOW] * size).close()
        assert counts(place) == (size, size, size)
