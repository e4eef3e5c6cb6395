"""The journal: what is recorded, settled, lost and found again."""

import sqlite3
import threading

import pytest

from peep.clock import ManualClock
from peep.errors import PeepError
from peep.journal import journal as journals
from peep.journal.journal import Journal
from peep.journal.rows import HostRow, agent_number
from peep.journal.writer import Limits
from peep.mixer.outcomes import Carried, Cue, Suppression
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, State, Tier

AGENT = bytes.fromhex("f0f1f2f3f4f5f6f7")
NOW = 1_800_000_000.0


class Desk:
    """A journal with everything that one needs around it."""

    def __init__(self, path, limits=None):
        self.path = path
        self.said = []
        self.rang = threading.Event()
        self.clock = ManualClock(wall=NOW)
        self.journal = Journal(
            path,
            clock=self.clock,
            say=self.said.append,
            wake=self.rang.set,
            limits=limits,
        )

    def record(self, signal, alert=None, *, again=False):
        return self.journal.record(
            signal,
            agent_id=AGENT,
            class_name="public",
            received=NOW,
            age_s=0.25,
            again=again,
            alert=alert,
        )

    def alert(self, serial, origin=7):
        event = Event(name="disk.bad", tier=Tier.ALERT, origin=origin, serial=serial)
        return self.record(event, (agent_number(AGENT), origin, serial))

    def settled(self):
        """Wait for what was queued to be settled."""
        assert self.rang.wait(10)
        self.rang.clear()
        return self.journal.settled()

    def rows(self, question):
        database = sqlite3.connect(self.path)
        try:
            return database.execute(question).fetchall()
        finally:
            database.close()


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "state" / "journal.db")
    desk.journal.start()
    yield desk
    desk.journal.close()


def again(desk, limits=None):
    """Close a journal, and open its file again."""
    desk.journal.close()
    other = Desk(desk.path, limits)
    other.journal.start()
    return other


def key(serial, origin=7):
    return agent_number(AGENT), origin, serial


def test_an_event_is_recorded_with_all_that_is_known_of_it(desk):
    event = Event(
        name="ssh.login-failed",
        tier=Tier.NOTABLE,
        family="refusal",
        count=3,
        pan=-0.5,
        gain_db=2.0,
        host="web1",
        instance="10.0.0.1",
        text="a line",
        when=NOW - 1,
        origin=5,
        serial=99,
    )
    number = desk.record(event, again=True)
    desk.journal.close()
    assert desk.rows("SELECT * FROM signals") == [
        (
            *(number, NOW, agent_number(AGENT), "web1", "public", 0),
            *("ssh.login-failed", 1, "refusal", "10.0.0.1", "a line", 3, None),
            *(-0.5, 2.0, NOW - 1, 0.25, 1, 5, 99),
        )
    ]


def test_states_and_heartbeats_are_recorded_with_their_values(desk):
    desk.record(State(name="load", value=0.5))
    desk.record(Heartbeat(name="backup", rate_hz=2.0))
    desk.journal.close()
    found = desk.rows("SELECT kind, name, value, origin FROM signals")
    assert found == [(1, "load", 0.5, None), (2, "backup", 2.0, None)]


def test_numbers_are_given_in_order_and_go_on_after_a_restart(desk):
    numbers = [desk.record(State(name="load", value=0.5)) for _ in range(3)]
    other = again(desk)
    numbers.append(other.record(State(name="load", value=0.5)))
    other.journal.close()
    assert numbers == [1, 2, 3, 4]


def test_a_cue_has_its_sound_its_place_and_its_moment_in_the_audio(desk):
    event = Event(name="a")
    number = desk.record(event)
    cue = Cue(event, "frog", 3, number, group=2, late=True)
    desk.journal.outcome(cue, at=NOW + 1, heard_s=12.5)
    desk.journal.close()
    assert desk.rows("SELECT * FROM outcomes") == [
        (number, NOW + 1, 12.5, "frog", 3, None, 2, 1, None)
    ]


def test_what_a_cue_carries_has_an_outcome_of_its_own(desk):
    event = Event(name="a")
    first, second, third = (desk.record(event) for _ in range(3))
    carried = (Carried(event, second), Carried(event, 0), Carried(event, third))
    desk.journal.outcome(Cue(event, "bell", "x", first, carried), at=NOW, heard_s=1.0)
    desk.journal.close()
    found = desk.rows("SELECT number, sound, place, carrier FROM outcomes")
    assert found == [
        (first, "bell", "x", None),
        (second, "bell", "x", first),
        (third, "bell", "x", first),
    ]


def test_a_suppression_has_its_reason(desk):
    state = State(name="load", value=0.5)
    number = desk.record(state)
    desk.journal.outcome(Suppression(state, Reason.MASKED, number), at=NOW, heard_s=0.0)
    desk.journal.close()
    found = desk.rows("SELECT number, at, heard_s, sound, reason FROM outcomes")
    assert found == [(number, NOW, None, None, "masked")]


def test_an_outcome_of_what_was_not_recorded_has_no_row(desk):
    state = State(name="load", value=0.5)
    desk.journal.outcome(Suppression(state, Reason.MASKED), at=NOW, heard_s=0.0)
    desk.journal.outcome(Cue(state, "frog", 1), at=NOW, heard_s=0.0)
    desk.journal.close()
    assert desk.rows("SELECT * FROM outcomes") == []


def test_a_second_outcome_of_a_signal_costs_nobody_their_alert(desk):
    state = State(name="load", value=0.5)
    number = desk.record(state)
    for sound in ("first", "second"):
        desk.journal.outcome(Cue(state, sound, 1, number), at=NOW, heard_s=0.0)
    desk.alert(1)
    assert desk.settled().recorded == [key(1)]
    assert desk.rows("SELECT sound FROM outcomes") == [("first",)]


def test_an_alert_is_settled_when_it_is_in_the_file(desk):
    desk.alert(1)
    assert desk.settled().recorded == [key(1)]
    assert desk.rows("SELECT agent, origin, serial FROM signals") == [key(1)]
    assert desk.journal.settled().recorded == []


def test_an_alert_that_comes_twice_is_recorded_once_and_settled_twice(desk):
    desk.alert(1)
    assert desk.settled().recorded == [key(1)]
    desk.alert(1)
    desk.alert(2)
    assert desk.settled().recorded == [key(1), key(2)]
    found = desk.rows("SELECT serial FROM signals WHERE tier = 2 ORDER BY number")
    assert found == [(1,), (2,)]


def test_routine_events_with_the_same_id_are_both_recorded(desk):
    for _ in range(2):
        desk.record(Event(name="a", origin=7, serial=1))
    desk.journal.close()
    assert desk.rows("SELECT count(*) FROM signals") == [(2,)]


def test_alerts_without_an_id_are_all_recorded(desk):
    for _ in range(2):
        desk.record(Event(name="a", tier=Tier.ALERT))
    desk.journal.close()
    assert desk.rows("SELECT count(*) FROM signals") == [(2,)]


def test_the_newest_alerts_of_the_file_are_known_at_the_start(desk, monkeypatch):
    monkeypatch.setattr("peep.journal.writer.MAX_REMEMBERED", 3)
    for serial in range(5):
        desk.alert(serial)
    other = again(desk)
    other.journal.close()
    assert other.journal.recorded_alerts() == [key(2), key(3), key(4)]


def test_notes_are_kept(desk):
    desk.journal.note("lost", host="web1", agent_id=AGENT, at=NOW, detail="10.0.0.1")
    desk.journal.note("deaf", host="", agent_id=b"", at=NOW + 1)
    desk.journal.close()
    assert desk.rows("SELECT at, what, host, agent, detail FROM notes") == [
        (NOW, "lost", "web1", agent_number(AGENT), "10.0.0.1"),
        (NOW + 1, "deaf", None, None, None),
    ]


def test_the_roster_comes_back_as_it_was_last_kept(desk):
    web = HostRow("web1", AGENT, ("a", "b"), "10.0.0.1:2000", 1.0, 2.0, "present")
    late = HostRow("web1", AGENT, ("a",), "10.0.0.2:2000", 1.0, 3.0, "late")
    db = HostRow("db1", b"\1" * 8, (), "", 1.0, 2.0, "left")
    for host in (web, db, late):
        desk.journal.keep_host(host)
    other = again(desk)
    assert other.journal.roster() == [db, late]
    other.journal.drop_host("db1")
    third = again(other)
    third.journal.close()
    assert third.journal.roster() == [late]


def test_the_files_are_for_their_owner_alone(desk):
    desk.alert(1)
    desk.settled()
    modes = {f.name: f.stat().st_mode & 0o777 for f in desk.path.parent.iterdir()}
    assert set(modes) >= {"journal.db", "journal.db-wal", "journal.db-shm"}
    assert set(modes.values()) == {0o600}
    assert desk.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "journal.db"
    path.touch(0o644)
    desk = Desk(path)
    desk.journal.start()
    desk.journal.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_servers_do_not_write_the_same_file(desk):
    with pytest.raises(PeepError, match="another server writes it"):
        Desk(desk.path).journal.start()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PeepError, match="file: File exists"):
        Desk(tmp_path / "file" / "journal.db").journal.start()


def test_a_directory_in_the_files_place_is_refused_and_the_lock_let_go(tmp_path):
    (tmp_path / "journal.db").mkdir()
    for _ in range(2):
        with pytest.raises(PeepError, match="Is a directory"):
            Desk(tmp_path / "journal.db").journal.start()


def test_a_reader_in_the_middle_of_reading_holds_up_nobody(desk):
    desk.alert(1)
    desk.settled()
    reader = sqlite3.connect(f"{desk.path.as_uri()}?mode=ro", uri=True)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM signals").fetchone() == (1,)
    desk.alert(2)
    assert desk.settled().recorded == [key(2)]
    assert reader.execute("SELECT count(*) FROM signals").fetchone() == (1,)
    reader.close()


# -- what cannot be written ---------------------------------------------------------


def test_what_finds_no_room_is_counted_said_once_and_noted(desk, monkeypatch):
    monkeypatch.setattr(journals, "MAX_QUEUED", 0)
    monkeypatch.setattr(journals, "RESERVED", 0)
    assert [desk.record(State(name="load", value=0.5)) for _ in range(3)] == [0] * 3
    assert desk.alert(1) == 0
    assert desk.settled().failed == [key(1)]
    assert desk.journal.lost == 4
    monkeypatch.undo()
    desk.alert(2)
    assert desk.settled().recorded == [key(2)]
    desk.journal.close()
    assert desk.said[0].endswith("not written: the disk is too slow; sound goes on")
    assert "written again" in desk.said[1]
    assert len(desk.said) == 2
    gaps = desk.rows("SELECT what, detail FROM notes WHERE what = 'journal-gap'")
    assert sum(int(count) for _, count in gaps) == 4


def test_a_flood_of_others_leaves_room_for_alerts(desk, monkeypatch):
    monkeypatch.setattr(journals, "MAX_QUEUED", 1)
    monkeypatch.setattr(journals, "RESERVED", 1)
    assert desk.record(State(name="load", value=0.5)) == 0
    assert desk.alert(1) > 0


def next_time(desk, do):
    """Do something to the journal's connection, in its thread, before a batch."""
    writer = desk.journal._writer
    write = writer.write

    def first(batch, wall):
        writer.write = write
        do(writer.open(wall))
        write(batch, wall)

    writer.write = first


def fill(database):
    """Let the file grow no further."""
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages}")


def empty(database):
    database.execute("PRAGMA max_page_count=1000000")


def forget_pages(database):
    database.execute("PRAGMA cache_size=0")


LONG = Event(name="disk.bad", tier=Tier.ALERT, text="x" * 20_000, origin=7, serial=1)


def test_a_full_disk_fails_alerts_counts_what_is_lost_and_heals_by_itself(tmp_path):
    desk = Desk(tmp_path / "journal.db")
    desk.journal.start()
    next_time(desk, fill)
    for _ in range(2):  # it is said once
        desk.record(LONG, key(1))
        settled = desk.settled()
        assert (settled.recorded, settled.failed) == ([], [key(1)])
    desk.journal.keep_host(HostRow("web1", AGENT, (), "", 1.0, 2.0, "present"))
    next_time(desk, empty)
    desk.record(LONG, key(1))
    assert desk.settled().recorded == [key(1)]
    desk.journal.close()
    assert desk.journal.lost == 2
    assert desk.journal.rows == 1
    assert desk.rows("SELECT what, detail FROM notes") == [("journal-gap", "2")]
    assert desk.rows("SELECT name FROM hosts") == [("web1",)]
    assert len(desk.said) == 2
    assert "database or disk is full; sound goes on" in desk.said[0]
    assert desk.said[1].endswith("written again; 2 signals are not in it")


def test_a_host_that_could_not_be_kept_is_kept_when_the_disk_heals(tmp_path):
    desk = Desk(tmp_path / "journal.db")
    desk.journal.start()
    next_time(desk, fill)
    for number in range(50):
        name = f"host{number}"
        host = HostRow(name, AGENT, ("x" * 60,) * 10, "", 1.0, 2.0, "present")
        desk.journal.keep_host(host)
    desk.record(LONG, key(1))
    assert desk.settled().failed == [key(1)]
    next_time(desk, empty)
    desk.journal.close()
    assert desk.rows("SELECT count(*) FROM hosts") == [(50,)]


def test_what_sqlite_cannot_hold_costs_its_batch_only(desk):
    desk.record(Event(name="a", tier=Tier.ALERT, text="\ud800"), key(1))
    assert desk.settled().failed == [key(1)]
    desk.alert(2)
    assert desk.settled().recorded == [key(2)]


def test_numbers_that_are_taken_are_left_behind(desk):
    desk.alert(1)
    desk.settled()
    desk.journal._number = 0
    desk.alert(2)
    assert desk.settled().failed == [key(2)]
    desk.alert(3)
    assert desk.settled().recorded == [key(3)]


def test_a_file_that_was_removed_is_begun_anew(desk):
    desk.alert(1)
    desk.settled()
    desk.path.unlink()
    desk.alert(2)
    assert desk.settled().recorded == [key(2)]
    assert desk.rows("SELECT serial FROM signals") == [(2,)]
    assert desk.said == [f"journal {desk.path} was removed: begun anew"]


def test_a_file_that_breaks_while_it_is_written_is_set_aside(desk):
    for serial in range(50):
        desk.alert(serial)
    other = again(desk)
    # The root of each table, but not the first page.
    with other.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * (other.path.stat().st_size - 4096))
    next_time(other, forget_pages)
    other.alert(100)
    other.settled()
    other.alert(101)
    assert other.settled().recorded == [key(101)]
    other.journal.close()
    assert any("is broken: set aside as" in line for line in other.said)
    assert len(list(other.path.parent.glob("journal.db.broken-*"))) >= 1


def test_a_file_whose_index_is_broken_is_set_aside_at_the_start(desk):
    for serial in range(2000):
        desk.alert(serial)
    desk.journal.close()
    with sqlite3.connect(desk.path) as database:
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'alerts'"
        ).fetchone()
    database.close()
    with desk.path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    other = Desk(desk.path)
    other.journal.start()
    other.alert(1)
    assert other.settled().recorded == [key(1)]
    other.journal.close()
    assert other.journal.recorded_alerts() == []
    assert "is broken: set aside as journal.db.broken-" in other.said[0]


def test_nothing_is_recorded_after_the_end(desk):
    desk.journal.close()
    assert desk.alert(1) == 0
    assert desk.journal.settled().failed == [key(1)]
    assert desk.said == []


def test_a_journal_that_was_never_started_can_be_closed(tmp_path):
    Desk(tmp_path / "journal.db").journal.close()


# -- bounds ------------------------------------------------------------------------


def test_the_oldest_rows_go_when_the_file_is_large_enough(tmp_path):
    limits = Limits(max_bytes=2_000_000)
    desk = Desk(tmp_path / "journal.db", limits)
    desk.journal.start()
    numbers = []
    for batch in range(10):
        for _ in range(2_000):
            event = Event(name="a", text="x" * 150)
            numbers.append(desk.record(event))
            desk.journal.outcome(
                Cue(event, "frog", 1, numbers[-1]), at=NOW, heard_s=0.0
            )
        desk.alert(batch)
        desk.settled()
    desk.journal.close()
    other = again(desk, limits)
    other.journal.note("deaf", host="", agent_id=b"", at=NOW)
    other.journal.close()
    assert desk.path.stat().st_size < 3_000_000
    (first, last, count) = desk.rows(
        "SELECT min(number), max(number), count(*) FROM signals"
    )[0]
    assert first > 5_000
    assert last >= numbers[-1]
    assert count == last - first + 1
    assert desk.rows("SELECT min(number) FROM outcomes")[0][0] >= first


def test_twenty_thousand_typical_signals_take_300_bytes_each_at_most(desk):
    for serial in range(20_000):
        host = f"web{serial % 50}"
        if serial % 3:
            line = (
                f"Nov 21 13:00:00 {host} sshd[{serial}]: Failed password for root from"
            )
            event = Event(
                name="ssh.login-failed",
                tier=Tier.NOTABLE,
                family="refusal",
                host=host,
                instance="203.0.113.77",
                text=f"{line:<90}",
                pan=-0.3,
                when=NOW + serial / 7,
                origin=2**62 + 5,
                serial=serial * 91,
            )
            outcome = Cue(event, "frog", 3, desk.record(event))
        else:
            state = State(name="load", value=serial / 20_000, host=host, when=NOW + 0.1)
            outcome = Suppression(state, Reason.MASKED, desk.record(state))
        desk.journal.outcome(outcome, at=NOW + serial / 7, heard_s=serial / 7)
    desk.journal.close()
    assert desk.rows("SELECT count(*) FROM outcomes") == [(20_000,)]
    assert desk.path.stat().st_size <= 300 * 20_000


def test_old_rows_that_cannot_be_deleted_are_said_once_and_nothing_is_lost(desk):
    desk.alert(1)
    desk.settled()
    trigger = "CREATE TRIGGER no BEFORE DELETE ON signals BEGIN {} END"
    next_time(desk, lambda db: db.execute(trigger.format("SELECT RAISE(ABORT, 'no');")))
    desk.clock.advance(1e9)
    for serial in (2, 3):
        desk.alert(serial)
        assert desk.settled().recorded == [key(serial)]
    desk.journal.close()
    assert desk.said == [f"journal {desk.path}: cannot delete old rows: no"]


def test_a_server_starts_where_the_disk_has_no_room_and_records_later(
    tmp_path, monkeypatch
):
    desk = Desk(tmp_path / "journal.db")
    monkeypatch.setattr("peep.journal.database._BUSY_S", 0.0)
    other = sqlite3.connect(desk.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    desk.journal.start()
    assert desk.alert(1) > 1e15
    assert desk.settled().failed == [key(1)]
    other.close()
    desk.alert(2)
    assert desk.settled().recorded == [key(2)]
    desk.journal.close()
    assert "database is locked; sound goes on" in desk.said[0]
    assert desk.said[1].endswith("written again; 1 signals are not in it")


def test_more_outcomes_and_notes_than_there_can_be_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "MAX_QUEUED", 1)
    journal = Desk(tmp_path / "journal.db").journal  # not started: nothing is taken
    state = State(name="load", value=0.5)
    for number in range(1, 5):
        journal.outcome(Cue(state, "a", 1, number), at=NOW, heard_s=0.0)
        journal.note("lost", host="web1", agent_id=AGENT, at=NOW)
    assert [row[0] for row in journal._batch.outcomes] == [1, 2]
    assert len(journal._batch.notes) == 1
