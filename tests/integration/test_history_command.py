"""`peep history` on real journals, through its own command line."""

import contextlib
import json
import sqlite3
import threading
import time

import pytest

from peep.cli.main import main
from peep.clock import SystemClock
from peep.journal.journal import Journal
from peep.mixer.outcomes import Carried, Cue, Suppression
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, State, Tier

AGENT = b"\x90agent-1"
AT = 1_767_268_800.0  # 2026-01-01 12:00:00 UTC


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "peep" / "journal.db"


def begun(path):
    journal = Journal(path, clock=SystemClock(), say=print, wake=lambda: None)
    journal.start()
    return journal


def recorded(journal, signal, at=AT, *, again=False):
    return journal.record(
        signal,
        agent_id=AGENT,
        class_name="public",
        received=at,
        age_s=0.0,
        again=again,
        alert=None,
    )


@pytest.fixture
def history(path):
    """A journal with one of everything."""
    journal = begun(path)
    login = Event(
        name="ssh.login-failed",
        tier=Tier.NOTABLE,
        family="refusal",
        host="web1",
        instance="root",
        text="Failed \x1b[31mby",
        count=3,
        origin=5,
        serial=6,
    )
    disk = Event(name="disk.bad", tier=Tier.ALERT, host="db1")
    number = recorded(journal, login)
    journal.outcome(Cue(login, "frog", 3, number), at=AT, heard_s=1.5)
    first = recorded(journal, disk, AT + 1, again=True)
    second = recorded(journal, disk, AT + 2)
    cue = Cue(disk, "bell", 4, first, (Carried(disk, second),), group=7, late=True)
    journal.outcome(cue, at=AT + 3, heard_s=4.0)
    load = State(name="load", value=0.25, host="web1")
    number = recorded(journal, load, AT + 4)
    journal.outcome(Suppression(load, Reason.MASKED, number), at=AT + 4, heard_s=0.0)
    recorded(journal, Heartbeat(name="backup", rate_hz=2.5), AT + 5)
    journal.note("lost", host="web2", agent_id=AGENT, at=AT + 2.5, detail="after 15 s")
    journal.close()
    return path


def test_each_signal_is_a_line_with_what_became_of_it(history, capsys):
    assert main(["history"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        r"2026-01-01 12:00:00 web1 ssh.login-failed x3 * frog (root) Failed \x1b[31mby",
        "2026-01-01 12:00:01 db1 disk.bad ! bell [again, late, group 7]",
        "2026-01-01 12:00:02 db1 disk.bad ! bell [late, group 7]",
        "2026-01-01 12:00:04 web1 load = 0.25 (masked)",
        "2026-01-01 12:00:05 - backup at 2.5 Hz (not known)",
    ]


def test_filters_in_one_argument_are_the_same_as_in_several(history, capsys):
    main(["history", "name=disk.* host=db1", "since=2026-01-01T12:00:02"])
    one = capsys.readouterr().out
    main(["history", "name=disk.*", "host=db1", "since=2026-01-01T12:00:02"])
    assert capsys.readouterr().out == one
    assert len(one.splitlines()) == 1


def test_notes_stand_between_the_signals_by_their_time(history, capsys):
    main(["history", "--notes", "until=2026-01-01T12:00:03"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split() == [
        "2026-01-01",
        "12:00:02",
        "web2",
        "lost",
        "note",
        "after",
        "15",
        "s",
    ]
    assert len(lines) == 4
    main(["history", "kind=note"])
    assert capsys.readouterr().out.splitlines() == lines[-1:]


def test_json_is_one_list_with_all_that_is_known(history, capsys):
    assert main(["history", "--json", "--notes"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0] == {
        "number": 1,
        "received": AT,
        "kind": "event",
        "name": "ssh.login-failed",
        "agent": AGENT.hex(),
        "host": "web1",
        "class": "public",
        "tier": "notable",
        "family": "refusal",
        "instance": "root",
        "text": "Failed \x1b[31mby",
        "count": 3,
        "value": None,
        "pan": 0.0,
        "gain_db": 0.0,
        "born": 0.0,
        "age_s": 0.0,
        "again": False,
        "origin": 5,
        "serial": 6,
        "outcome": "cue",
        "at": AT,
        "heard_s": 1.5,
        "sound": "frog",
        "place": 3,
        "carrier": None,
        "group": None,
        "late": False,
    }
    assert rows[2]["carrier"] == 2
    assert rows[3]["kind"] == "note"
    assert rows[4]["outcome"] == "masked"
    assert rows[4]["value"] == 0.25
    assert rows[5]["outcome"] == ""


def test_a_list_that_was_cut_says_so(history, capsys):
    assert main(["history", "--limit", "2"]) == 0
    shown = capsys.readouterr()
    assert [line.split()[3] for line in shown.out.splitlines()] == ["load", "backup"]
    assert "the newest 2 of more" in shown.err
    main(["history", "--limit", "5"])
    assert capsys.readouterr().err == ""


def test_nothing_that_matches_is_no_mistake(history, capsys):
    assert main(["history", "name=nothing"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"nothing in {history} matches" in shown.err
    main(["history", "name=nothing", "--json"])
    assert json.loads(capsys.readouterr().out) == []


def test_where_there_is_no_journal_the_place_is_named(path, capsys):
    assert main(["history"]) == 1
    assert capsys.readouterr().err == f"peep: no journal at {path}\n"
    assert not path.parent.exists()


def test_another_file_may_be_named(history, tmp_path, capsys):
    other = tmp_path / "old.db"
    history.rename(other)
    assert main(["history", "--journal", str(other), "kind=state"]) == 0
    assert "load" in capsys.readouterr().out


def test_a_broken_journal_is_said_to_be(path, capsys):
    path.parent.mkdir()
    path.write_text("no journal" * 1000)
    assert main(["history"]) == 1
    assert capsys.readouterr().err == f"peep: journal {path} is broken\n"


def test_a_journal_that_breaks_in_the_middle_is_said_to(history, capsys):
    with contextlib.closing(sqlite3.connect(history)) as database:
        database.execute(
            "INSERT INTO signals (number, received, kind, name, tier, text)"
            " WITH RECURSIVE n(i) AS (SELECT 9 UNION SELECT i + 1 FROM n LIMIT 2000)"
            " SELECT i, 1767268800.0, 0, 'a', 0, printf('%.500c', 'x') FROM n"
        )
        database.commit()
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'signals'"
        ).fetchone()
    with history.open("r+b") as file:
        # Leaves that a check of the newest rows does not see.
        file.seek(4096 * (root + 30))
        file.write(b"\xaa" * 4096 * 30)
    assert main(["history", "name=nothing"]) == 1
    assert "malformed" in capsys.readouterr().err


def test_wrong_filters_are_all_named_and_the_code_is_two(history, capsys):
    assert main(["history", "nmae=x", "tier=loud"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "peep: no filter 'nmae' (did you mean 'name'?)"
    assert len(said) == 2


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1000001"])
def test_a_limit_is_a_number_in_bounds(history, limit, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["history", "--limit", limit])
    assert refused.value.code == 2


def test_the_journal_is_read_while_a_server_writes_it(path, capsys):
    rang = threading.Event()
    journal = Journal(path, clock=SystemClock(), say=print, wake=rang.set)
    journal.start()
    event = Event(name="disk.bad", tier=Tier.ALERT, origin=1, serial=1)
    journal.record(
        event,
        agent_id=AGENT,
        class_name="public",
        received=time.time(),
        age_s=0.0,
        again=False,
        alert=(1, 1, 1),
    )
    assert rang.wait(10)
    assert main(["history", "since=1m"]) == 0
    assert "disk.bad" in capsys.readouterr().out
    journal.close()


def test_since_finds_its_place_where_the_oldest_rows_are_gone(path, capsys):
    journal = begun(path)
    for second in range(50):
        recorded(journal, Event(name=f"n{second}"), AT + second)
    journal.close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM signals WHERE number <= 20 OR number = 40")
        database.commit()
    main(["history", "since=2026-01-01T12:00:38", "until=2026-01-01T12:00:41"])
    names = [line.split()[3] for line in capsys.readouterr().out.splitlines()]
    assert names == ["n38", "n40", "n41"]
