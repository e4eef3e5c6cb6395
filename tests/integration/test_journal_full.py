"""A journal and a store on a disk that is really full, and then is not."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MOUNTED = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = 'mount -t tmpfs -o size=1m,mode=0700 tmpfs "$1" && exec "$2" -c "$3" "$1"'

# What runs on the small disk: everything is settled one alert after the other.
COMMON = """
    import os, sys, threading
    from pathlib import Path
    from peep.clock import ManualClock, SystemClock
    from peep.journal.journal import Journal
    from peep.journal.store import RETRY_S, Spooled, Store
    from peep.signals import Event, Tier

    place = Path(sys.argv[1])
    said = []
    rang = threading.Event()

    def filled():
        with (place / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass

    def event(serial):
        return Event(
            name="disk.bad", tier=Tier.ALERT, text="x" * 1000, origin=7, serial=serial
        )

    def settled(journal, serial):
        number = journal.record(
            event(serial), agent_id=b"12345678", class_name="public", received=1.8e9,
            age_s=0.0, again=False, alert=(1, 7, serial),
        )
        assert number > 0, "sound goes on, and so does recording"
        assert rang.wait(10)
        rang.clear()
        found = journal.settled()
        assert [key[2] for key in found.recorded + found.failed] == [serial]
        return bool(found.recorded)

    def begun():
        journal = Journal(
            place / "journal.db", clock=SystemClock(), say=said.append, wake=rang.set
        )
        journal.start()
        return journal
"""


@pytest.fixture(scope="module")
def on_a_small_disk(tmp_path_factory):
    """Run a script with a mebibyte of disk; skip where that cannot be made."""

    def run(script):
        code = textwrap.dedent(COMMON) + textwrap.dedent(script)
        place = tmp_path_factory.mktemp("mount")
        return subprocess.run(
            [*MOUNTED, MOUNT, "sh", place, sys.executable, code],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )

    try:
        tried = run("print('mounted')")
    except FileNotFoundError:
        pytest.skip("no unshare")
    if "mounted" not in tried.stdout:
        pytest.skip(f"no disk of one's own: {tried.stderr.strip()}")
    return run


def test_a_full_disk_costs_receipts_only_and_heals_by_itself(on_a_small_disk):
    done = on_a_small_disk("""
        journal = begun()
        assert settled(journal, 1)
        filled()
        serial, failed = 1, 0
        while failed < 5:  # what the -wal has room for is still written
            serial += 1
            failed += not settled(journal, serial)
        assert journal.lost == failed
        (place / "ballast").unlink()
        assert settled(journal, serial + 1)
        journal.close()

        import sqlite3
        database = sqlite3.connect(place / "journal.db")
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = database.execute("SELECT count(*) FROM signals").fetchone()[0]
        assert kept == serial + 1 - failed
        gaps = database.execute("SELECT what, detail FROM notes").fetchall()
        assert gaps == [("journal-gap", str(failed))], gaps
        assert len(said) == 2, said
        assert "sound goes on" in said[0]
        assert f"written again; {failed} signals are not in it" in said[1]
        print("healed")
    """)
    assert (done.stdout, done.stderr) == ("healed\n", "")


def test_a_server_that_starts_on_a_full_disk_heals_as_well(on_a_small_disk):
    done = on_a_small_disk("""
        journal = begun()
        assert settled(journal, 1)
        journal.close()
        filled()
        journal = begun()
        assert not settled(journal, 2)
        (place / "ballast").unlink()
        assert settled(journal, 3)
        assert settled(journal, 1)  # known from before, and not written again
        journal.close()

        import sqlite3
        database = sqlite3.connect(place / "journal.db")
        kept = database.execute("SELECT serial FROM signals ORDER BY number").fetchall()
        assert kept == [(1,), (3,)], kept
        assert len(said) == 2, said
        print("healed")
    """)
    assert (done.stdout, done.stderr) == ("healed\n", "")


def test_a_store_on_a_full_disk_keeps_alerts_in_memory_and_heals(on_a_small_disk):
    done = on_a_small_disk("""
        clock = ManualClock(0.0, 1.8e9)
        path = place / "agent-0.db"
        store = Store(path, say=said.append, clock=clock)
        store.commit([Spooled(event(0), 1.0)])
        filled()
        for serial in range(1, 600):
            store.commit([Spooled(event(serial), 1.0)])
            clock.advance(RETRY_S)
        assert len(said) == 1, said
        store.confirm([(7, serial) for serial in range(500)])
        (place / "ballast").unlink()
        store.commit([])
        assert len(said) == 2, said
        store.close()
        again = Store(path, say=said.append, clock=clock)
        assert [one.event.serial for one in again.alerts()] == list(range(500, 600))
        print("healed")
    """)
    assert (done.stdout, done.stderr) == ("healed\n", "")
