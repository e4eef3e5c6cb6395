"""The agent's store: alerts until they are confirmed, and marks of logs."""

import contextlib
import shutil
import sqlite3

import msgspec
import pytest

from peep.clock import ManualClock
from peep.journal.store import RETRY_S, SHAPE, Spooled, Store
from peep.loglines import Mark
from peep.signals import Event, Tier


class Agent:
    """What a store needs around it."""

    def __init__(self, path):
        self.path = path
        self.said = []
        self.clock = ManualClock(100.0, 1_767_225_600.0)

    def store(self, **bounds):
        return Store(self.path, say=self.said.append, clock=self.clock, **bounds)


@pytest.fixture
def agent(tmp_path):
    return Agent(tmp_path / "state" / "agent-0.db")


def alert(serial, origin=7, text=""):
    event = Event(
        name="disk.bad", tier=Tier.ALERT, origin=origin, serial=serial, text=text
    )
    return Spooled(event, 1_767_225_600.0 + serial)


def mark(origin, offset=0):
    return Mark("/var/log/x", origin, 1, 2, b"head", offset, b"tail")


def ids(store):
    return [(one.event.origin, one.event.serial) for one in store.alerts()]


def copied(agent, to):
    """Return an agent with the files as they are: what a crash would leave."""
    shutil.copytree(agent.path.parent, to)
    return Agent(to / agent.path.name)


def test_alerts_and_marks_come_back_as_they_were_oldest_first(agent):
    alerts = [alert(9, text="a line\n\x00 and ünicode"), alert(3), alert(5, origin=1)]
    store = agent.store()
    store.commit(alerts[:1], [mark(1, 10)])
    store.commit(alerts[1:], [mark(2, 20)])
    store.close()
    again = agent.store()
    assert again.alerts() == alerts
    assert sorted(again.marks(), key=lambda m: m.origin) == [mark(1, 10), mark(2, 20)]
    assert agent.said == []
    again.close()


def test_what_was_committed_survives_a_crash(agent, tmp_path):
    store = agent.store()
    store.commit([alert(1)], [mark(1, 10)])
    after = copied(agent, tmp_path / "copy").store()
    assert (after.alerts(), after.marks()) == ([alert(1)], [mark(1, 10)])
    after.close()
    store.close()


def test_a_later_mark_of_a_file_takes_the_place_of_the_one_before(agent):
    store = agent.store()
    store.commit([], [mark(1, 10), mark(1, 20)])
    store.commit([], [mark(1, 30)])
    store.close()
    again = agent.store()
    assert again.marks() == [mark(1, 30)]
    again.close()


def test_marks_of_files_that_are_done_are_forgotten(agent):
    store = agent.store()
    store.commit([], [mark(1), mark(2)])
    store.commit([], [], [1, 99])
    assert store.marks() == [mark(2)]
    store.close()
    again = agent.store()
    assert again.marks() == [mark(2)]
    again.close()


def test_a_file_that_is_done_may_be_marked_again(agent):
    store = agent.store()
    store.commit([], [mark(1)])
    store.confirm([])
    store.commit([], [], [1])
    store.commit([], [mark(1, 5)])
    store.close()
    again = agent.store()
    assert again.marks() == [mark(1, 5)]
    again.close()


def test_the_marks_that_moved_longest_ago_go_when_there_are_too_many(
    agent, monkeypatch
):
    monkeypatch.setattr("peep.journal.store.MAX_MARKS", 2)
    store = agent.store()
    store.commit([], [mark(1), mark(2), mark(1, 5), mark(3)])
    store.close()
    again = agent.store()
    assert sorted(one.origin for one in again.marks()) == [1, 3]
    again.close()


def test_an_alert_that_is_kept_already_is_ignored(agent):
    store = agent.store()
    store.commit([alert(1), alert(1)])
    store.commit([alert(1, text="other")])
    assert store.alerts() == [alert(1)]
    store.close()


def test_a_confirmed_alert_is_gone_at_once_and_after_a_restart(agent):
    store = agent.store()
    store.commit([alert(1), alert(2)])
    store.confirm([(7, 1), (7, 99)])
    assert store.alerts() == [alert(2)]
    store.close()
    again = agent.store()
    assert again.alerts() == [alert(2)]
    again.close()


def test_an_alert_that_comes_again_after_its_receipt_is_kept_again(agent):
    store = agent.store()
    store.commit([alert(1), alert(2)])
    store.confirm([(7, 1)])
    store.commit([alert(1)])
    store.close()
    again = agent.store()
    assert ids(again) == [(7, 2), (7, 1)]
    again.close()


def test_the_oldest_go_when_there_are_too_many_and_are_counted(agent):
    store = agent.store(max_alerts=3)
    assert store.commit([alert(n) for n in range(3)]) == []
    assert store.commit([alert(3), alert(4)]) == [(7, 0), (7, 1)]
    assert store.dropped == 2
    store.close()
    again = agent.store(max_alerts=3)
    assert ids(again) == [(7, 2), (7, 3), (7, 4)]
    assert again.dropped == 2
    again.close()


def test_the_oldest_go_when_they_take_too_many_bytes(agent):
    store = agent.store(max_bytes=10_000)
    assert store.commit([alert(n, text="x" * 4_000) for n in range(3)]) == [(7, 0)]
    assert ids(store) == [(7, 1), (7, 2)]
    assert store.commit([alert(3, text="x" * 11_000)]) == [(7, 1), (7, 2), (7, 3)]
    store.close()


def test_bounds_that_became_smaller_hold_at_the_next_start(agent):
    store = agent.store()
    store.commit([alert(n) for n in range(5)])
    store.close()
    again = agent.store(max_alerts=2)
    assert ids(again) == [(7, 3), (7, 4)]
    assert again.dropped == 3
    again.close()


def test_what_was_reported_is_no_longer_counted(agent):
    store = agent.store(max_alerts=1)
    store.commit([alert(n) for n in range(4)])
    store.reported(2)
    assert store.dropped == 1
    store.commit([])
    store.reported(5)
    assert store.dropped == 0
    store.close()
    again = agent.store()
    assert again.dropped == 0
    again.close()


def test_the_file_is_for_its_owner_alone(agent):
    store = agent.store()
    store.commit([alert(1)])
    modes = {f.stat().st_mode & 0o777 for f in agent.path.parent.iterdir()}
    assert modes == {0o600}
    store.close()


def test_a_broken_file_is_set_aside_with_one_line(agent):
    agent.path.parent.mkdir()
    agent.path.write_bytes(b"no database" * 1000)
    store = agent.store()
    store.commit([alert(1)])
    store.close()
    again = agent.store()
    assert again.alerts() == [alert(1)]
    assert len(agent.said) == 1
    assert "is broken: set aside as agent-0.db.broken-" in agent.said[0]
    again.close()


@pytest.mark.parametrize("table", ["alerts", "marks"])
def test_a_file_with_rows_that_mean_nothing_is_set_aside(agent, table):
    store = agent.store()
    store.commit([alert(1)], [mark(1)])
    store.close()
    with contextlib.closing(sqlite3.connect(agent.path)) as database:
        database.execute(f"UPDATE {table} SET packed = x'c1'")
        database.commit()
    again = agent.store()
    assert (again.alerts(), again.marks()) == ([], [])
    assert "makes no sense: set aside as agent-0.db.broken-" in agent.said[0]
    again.commit([alert(2)])
    again.close()
    third = agent.store()
    assert third.alerts() == [alert(2)]
    third.close()


def test_a_file_of_a_newer_version_is_left_alone_and_memory_used(agent):
    agent.store().close()
    with contextlib.closing(sqlite3.connect(agent.path)) as database:
        database.execute(f"PRAGMA user_version={SHAPE.version + 1}")
    before = agent.path.read_bytes()
    store = agent.store()
    store.commit([alert(1)], [mark(1)])
    assert (store.alerts(), store.marks()) == ([alert(1)], [mark(1)])
    store.close()
    assert agent.path.read_bytes() == before
    assert len(agent.said) == 1
    assert "was written by a newer Peep" in agent.said[0]
    assert "in memory only" in agent.said[0]


def test_where_nothing_can_be_written_memory_is_used_and_one_line_said(tmp_path):
    (tmp_path / "state").touch()
    agent = Agent(tmp_path / "state" / "agent-0.db")
    store = agent.store(max_alerts=2)
    for serial in range(3):
        store.commit([alert(serial)])
        agent.clock.advance(RETRY_S)
    assert ids(store) == [(7, 1), (7, 2)]
    assert len(agent.said) == 1
    assert "in memory only" in agent.said[0]
    store.close()


def test_a_place_that_heals_gets_what_memory_has(tmp_path):
    (tmp_path / "state").touch()
    agent = Agent(tmp_path / "state" / "agent-0.db")
    store = agent.store()
    store.commit([alert(1), alert(2)], [mark(1)])
    store.confirm([(7, 1)])
    (tmp_path / "state").unlink()
    store.commit([alert(3)])  # too early for another try
    assert len(agent.said) == 1
    agent.clock.advance(RETRY_S)
    store.commit([alert(4)])
    assert agent.said[1:] == [f"store {agent.path}: written again"]
    after = copied(agent, tmp_path / "copy").store()
    assert ids(after) == [(7, 2), (7, 3), (7, 4)]
    assert after.marks() == [mark(1)]
    after.close()
    store.close()


def test_what_a_file_has_that_was_not_readable_at_first_is_not_lost(agent, tmp_path):
    store = agent.store(max_alerts=2)
    store.commit([alert(n) for n in range(3)], [mark(1, 10), mark(2, 20), mark(3)])
    store.close()
    agent.path.parent.rename(tmp_path / "away")
    agent.path.parent.touch()
    later = agent.store(max_alerts=4)
    later.commit([alert(10), alert(2)], [mark(1, 11)], [3])
    later.commit([], [mark(3)])
    later.commit([], [], [3])
    agent.path.parent.unlink()
    (tmp_path / "away").rename(agent.path.parent)
    agent.clock.advance(RETRY_S)
    later.commit([])
    later.close()
    last = agent.store()
    assert ids(last) == [(7, 1), (7, 2), (7, 10)]
    assert {m.origin: m.offset for m in last.marks()} == {1: 11, 2: 20}
    assert last.dropped == 1
    last.close()


def full(store):
    database = store._database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages}")
    return database


def test_a_full_disk_is_said_once_and_heals(agent, tmp_path):
    store = agent.store()
    store.commit([alert(0)])
    database = full(store)
    for serial in (1, 2):
        store.commit([alert(serial, text="x" * 9_000)], [mark(serial)])
        agent.clock.advance(RETRY_S)
    store.confirm([(7, 1)])
    assert ids(store) == [(7, 0), (7, 2)]
    database.execute("PRAGMA max_page_count=1000000")
    store.commit([])
    assert "database or disk is full" in agent.said[0]
    assert agent.said[1:] == [f"store {agent.path}: written again"]
    after = copied(agent, tmp_path / "copy").store()
    assert ids(after) == [(7, 0), (7, 2)]
    assert len(after.marks()) == 2
    after.close()
    store.close()


def test_a_file_that_breaks_while_it_is_used_is_replaced_by_what_memory_has(agent):
    store = agent.store()
    store.commit([alert(n, text="x" * 900) for n in range(20)], [mark(1)])
    store.close()
    store = agent.store()
    size = agent.path.stat().st_size
    with agent.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * (size - 4096))
    store._database.execute("PRAGMA cache_size=0")
    store.confirm([(7, n) for n in range(19)])
    store.commit([alert(50)])
    agent.clock.advance(RETRY_S)
    store.commit([])
    assert "malformed" in agent.said[0]
    assert "set aside" in agent.said[1]
    store.close()
    again = agent.store()
    assert ids(again) == [(7, 19), (7, 50)]
    assert again.marks() == [mark(1)]
    again.close()


def test_an_alert_of_an_older_peep_with_fewer_fields_is_understood(agent):
    store = agent.store()
    store.close()
    old = msgspec.msgpack.encode(
        {"event": {"name": "a", "tier": 2, "origin": 7, "serial": 1}, "born": 5.0}
    )
    with contextlib.closing(sqlite3.connect(agent.path)) as database:
        database.execute("INSERT INTO alerts VALUES (7, 1, ?)", (old,))
        database.commit()
    again = agent.store()
    assert again.alerts() == [
        Spooled(Event(name="a", tier=Tier.ALERT, origin=7, serial=1), 5.0)
    ]
    again.close()


def test_alerts_and_marks_go_in_one_transaction(agent):
    store = agent.store()
    done = []
    store._database.set_trace_callback(lambda sql: done.append(sql.split()[0]))
    store.commit([alert(1), alert(2)], [mark(1), mark(2)])
    store.confirm([(7, 1)])
    store.commit([alert(3)], [mark(1, 5)], [2])
    store.close()
    assert done[:6] == ["BEGIN", *["INSERT"] * 4, "COMMIT"]
    assert done[6:] == ["BEGIN", "DELETE", "INSERT", "DELETE", "INSERT", "COMMIT"]


def test_a_file_that_is_removed_is_begun_anew_with_all_that_memory_has(tmp_path):
    said = []
    path = tmp_path / "agent-0.db"
    store = Store(path, say=said.append)
    store.commit([alert(1)], [mark(5)])
    for file in tmp_path.iterdir():
        file.unlink()
    store.commit([alert(2)])
    store.close()
    assert said == [f"store {path} was removed: begun anew"]
    again = Store(path, say=said.append)
    assert [kept.event.serial for kept in again.alerts()] == [1, 2]
    assert again.marks() == [mark(5)]
    again.close()
