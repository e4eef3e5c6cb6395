"""The journal's process is killed at a hundred random moments, while it writes.

Two journals at a time, of which each is waited for and then killed by itself.
"""

import contextlib
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from peep.clock import SystemClock
from peep.journal.journal import Journal
from peep.journal.rows import agent_number
from peep.mixer.outcomes import Cue
from peep.signals import Event, Tier

KILLS = 100
JOURNALS = 2  # at a time: each is written to while another is killed, and looked at
MOST_S = 0.15  # before a kill, besides what the other's takes
PATIENCE_S = 0.2  # so much of routine rows may be missing
AGENT = b"\x90agent-1"
PACE_S = 0.01  # between bursts: 5,000 signals a second
BURST = 50


@pytest.fixture
def place():
    """A directory in memory, if there is one: what is measured is not the disk."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as name:
        yield Path(name)


def write_for_ever(place, origin, log):
    """Record signals and say in `log` what was, until killed."""
    rang = threading.Event()
    journal = Journal(
        place / "journal.db", clock=SystemClock(), say=print, wake=rang.set
    )
    journal.start()
    never = threading.Event()
    serial = 0
    while True:
        for _ in range(BURST):
            serial += 1
            alert = serial % 20 == 0
            event = Event(
                name="disk.failing" if alert else "web.request",
                tier=Tier.ALERT if alert else Tier.ROUTINE,
                text=f"line {serial} of many that all look much the same",
                origin=origin,
                serial=serial,
            )
            key = (agent_number(AGENT), origin, serial) if alert else None
            now = time.time()
            number = journal.record(
                event,
                agent_id=AGENT,
                class_name="public",
                received=now,
                age_s=0.0,
                again=False,
                alert=key,
            )
            journal.outcome(Cue(event, "frog", 1, number), at=now, heard_s=0.0)
            os.write(log, b"row %d %r\n" % (number, time.monotonic()))
        if rang.is_set():
            rang.clear()
            for _, _, settled in journal.settled().recorded:
                os.write(log, b"alert %d\n" % settled)
        never.wait(PACE_S)


def begin(place, origin):
    """Let a child write; return its process id."""
    told = place / "told"
    told.unlink(missing_ok=True)
    told.touch()
    child = os.fork()
    if child == 0:
        try:
            write_for_ever(place, origin, os.open(told, os.O_WRONLY | os.O_APPEND))
        finally:
            os._exit(1)
    return child


def kill(place, child, after_s):
    """Kill a child after its first rows; return the alerts and the rows it told of."""
    told = place / "told"
    try:
        deadline = time.monotonic() + 10
        while not told.stat().st_size and time.monotonic() < deadline:
            time.sleep(0.001)
        threading.Event().wait(after_s)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    lines = [line.split() for line in told.read_bytes().splitlines()]
    alerts = [int(line[1]) for line in lines if line[0] == b"alert"]
    rows = [(int(line[1]), float(line[2])) for line in lines if line[0] == b"row"]
    return alerts, rows


def check(place, origin, alerts, rows):
    """Assert that a journal is whole, and has all of the last process that it must."""
    with contextlib.closing(sqlite3.connect(place / "journal.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = database.execute(
            "SELECT serial FROM signals WHERE tier = 2 AND origin = ?", (origin,)
        ).fetchall()
        assert len(found) == len(set(found))
        assert set(alerts) <= {serial for (serial,) in found}
        needed = [n for n, at in rows if at < rows[-1][1] - PATIENCE_S]
        if needed:
            (kept,) = database.execute(
                "SELECT count(*) FROM signals JOIN outcomes USING (number) "
                "WHERE number BETWEEN ? AND ? AND origin = ?",
                (needed[0], needed[-1], origin),
            ).fetchone()
            assert kept == len(needed)
        (doubled,) = database.execute(
            "SELECT count(*) - count(DISTINCT origin || ' ' || serial) FROM signals"
        ).fetchone()
        assert doubled == 0


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="forks, and needs /dev/shm")
def test_journals_survive_a_hundred_kills_with_all_that_was_settled(place):
    dice = random.Random(5)
    settled = written = 0
    children = {}
    try:
        for origin in range(1, KILLS + 1 + JOURNALS):
            one = place / str(origin % JOURNALS)
            one.mkdir(exist_ok=True)
            if origin > JOURNALS:
                before = origin - JOURNALS
                alerts, rows = kill(one, children.pop(one), dice.uniform(0.0, MOST_S))
                check(one, before, alerts, rows)
                settled += len(alerts)
                written += len(rows)
            if origin <= KILLS:
                children[one] = begin(one, origin)
    finally:
        for one, child in children.items():
            kill(one, child, 0.0)
    assert settled > KILLS
    assert written > 100 * KILLS
