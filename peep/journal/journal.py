"""The server's journal: what came in, and what became of it.

The main thread queues rows and never waits; one thread of the journal's own commits
what has gathered, at most GROUP_S after the first of it was queued. Sound does not wait
for a commit, a receipt does: `wake` is called from that thread when alerts were
committed or failed, and `settled` says which.

What finds no room in the queue, or was in a batch that could not be written, is
counted as lost and never tried again; alerts among it come again, since they were not
receipted. Every later batch is a new try, so the journal heals by itself; then it says
so, and notes the gap.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import msgspec

from peep.errors import PeepError
from peep.journal.database import PassingError, hold, os_problem
from peep.journal.rows import (
    AlertKey,
    HostRow,
    Row,
    Unheard,
    agent_number,
    carried_rows,
    host_row,
    outcome_row,
    signal_row,
)
from peep.journal.writer import FAILURES, PRUNE_ROWS, Batch, Known, Limits, Writer
from peep.mixer.outcomes import Cue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peep.clock import Clock
    from peep.mixer.outcomes import Outcome
    from peep.signals import Signal

GROUP_S = 0.04  # a batch gathers so long: with its commit, alerts wait 50 ms
IDLE_S = 30.0  # so often what has grown old is looked for
CLOSE_S = 5.0  # a disk that hangs must not hold up the end of a server
MAX_QUEUED = 50_000  # signals: a second of the most that is promised; some 50 MB
RESERVED = 2_000  # of it for alerts: a flood of others must not keep them out


class Settled(msgspec.Struct, frozen=True):
    """Alerts that were committed, and alerts that were not written."""

    recorded: list[AlertKey]
    failed: list[AlertKey]


class Journal:
    """Records signals, outcomes, notes and the roster. All methods return at once.

    Use: `start`, then anything from one thread, then `close`. `say` is called from
    either thread with one line for the operator. `lost` and `rows` count signals that
    were not written and that were.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        say: Callable[[str], None],
        wake: Callable[[], None],
        limits: Limits | None = None,
    ) -> None:
        self.lost = 0
        self.rows = 0
        self._path = path
        self._clock = clock
        self._say = say
        self._wake = wake
        self._writer = Writer(path, limits or Limits(), say)
        self._lock = threading.Lock()
        self._batch = Batch()
        self._settled = Settled([], [])
        self._bell = threading.Event()  # something is queued
        self._rung = False  # the same, for less
        self._closed = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._held: int | None = None
        self._number = 0
        self._gap = 0  # lost, and not yet noted in the file
        self._failing = False  # and it was said
        self._growing = False  # the same, of old rows
        self._known = Known()

    def start(self) -> None:
        """Open the file and begin; PeepError if the place cannot be used."""
        try:
            self._held = hold(self._path)
        except OSError as problem:
            why = os_problem(problem, self._path)
            raise PeepError(f"journal {self._path}: {why}") from None
        if self._held is None:
            raise PeepError(
                f"journal {self._path}: another server writes it (give this one its "
                "own in peep.yaml, server.journal.path, or journal: off)"
            )
        try:
            self._read()
        except PeepError:
            self._let_go()
            raise
        self._thread.start()

    def recorded_alerts(self) -> list[AlertKey]:
        """Return the newest alerts that were in the file at the start."""
        return self._known.alerts

    def roster(self) -> list[HostRow]:
        """Return the hosts that were in the file at the start."""
        return self._known.hosts

    def unheard(self) -> list[Unheard]:
        """Return alerts in the file at the start that may never have been heard."""
        return self._known.unheard

    def record(
        self,
        signal: Signal,
        *,
        agent_id: bytes,
        class_name: str,
        received: float,
        age_s: float,
        again: bool,
        alert: AlertKey | None,
    ) -> int:
        """Queue a signal; return its number, or 0 if there was no room.

        `received` is Unix seconds, `alert` the key under which it will be settled.
        """
        room = MAX_QUEUED if alert is not None else MAX_QUEUED - RESERVED
        with self._lock:
            batch = self._batch
            if len(batch.signals) >= room or self._closed:
                self._lose(1, [] if alert is None else [alert])
                number = 0
            else:
                self._number = number = self._number + 1
                batch.signals.append(
                    signal_row(
                        number,
                        signal,
                        agent_id,
                        class_name,
                        received,
                        age_s=age_s,
                        again=again,
                    )
                )
                if alert is not None:
                    batch.alerts.append(alert)
        self._ring()
        if not number and not self._closed:
            self._complain("the disk is too slow")
            if alert is not None:
                self._wake()
        return number

    def outcome(self, outcome: Outcome, *, at: float, heard_s: float) -> None:
        """Queue what became of recorded signals: at Unix seconds, and in the audio."""
        row = outcome_row(outcome, at, heard_s)
        with self._lock:
            outcomes = self._batch.outcomes
            # One for each signal, and for what waited in the mixer: never met.
            if len(outcomes) < 2 * MAX_QUEUED:
                if outcome.number:
                    outcomes.append(row)
                if isinstance(outcome, Cue) and outcome.carried:
                    outcomes += carried_rows(outcome, at, heard_s)
        self._ring()

    def note(
        self, what: str, *, host: str, agent_id: bytes, at: float, detail: str = ""
    ) -> None:
        """Queue a note, such as joined, lost or deaf."""
        agent = agent_number(agent_id) if agent_id else None
        with self._lock:
            notes = self._batch.notes
            if len(notes) < MAX_QUEUED:
                notes.append((at, what, host or None, agent, detail or None))
        self._ring()

    def keep_host(self, host: HostRow) -> None:
        """Queue a host for the roster, in the place of what was there."""
        self._queue_host(host.name, host_row(host))

    def drop_host(self, name: str) -> None:
        """Queue that a host is forgotten."""
        self._queue_host(name, None)

    def settled(self) -> Settled:
        """Return the alerts that were settled since the last call."""
        with self._lock:
            settled, self._settled = self._settled, Settled([], [])
        return settled

    def close(self) -> None:
        """Write what is queued, and end; then `settled` has the rest, unasked."""
        self._closed = True
        self._closing.set()
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)
        self._let_go()

    # -- the thread ---------------------------------------------------------------

    def _run(self) -> None:
        more = False
        while True:
            self._bell.wait(0 if more else IDLE_S)
            closing = self._closing.wait(GROUP_S)
            with self._lock:
                self._bell.clear()
                self._rung = False
                batch, self._batch = self._batch, Batch()
                gap = self._gap
            if gap:
                batch.notes.append(
                    (self._clock.wall(), "journal-gap", None, None, str(gap))
                )
            self._write(batch, gap)
            if closing:
                break
            more = self._prune(len(batch.signals))
        try:
            self._writer.close()
        except FAILURES as problem:
            self._complain(str(problem))

    def _write(self, batch: Batch, gap: int) -> None:
        """Commit a batch, and settle its alerts."""
        wall = self._clock.wall()
        try:
            if batch:
                self._writer.write(batch, wall)
        except FAILURES as problem:
            self._failed(batch, problem, wall)
            why = str(problem)
        else:
            why = ""
            with self._lock:
                self.rows += len(batch.signals)
                self._gap -= gap
                self._settled.recorded.extend(batch.alerts)
        if batch.alerts and not self._closed:
            self._wake()
        if why:
            self._complain(why)
        elif batch:
            self._heal(gap)

    def _failed(self, batch: Batch, problem: Exception, wall: float) -> None:
        with self._lock:
            self._lose(len(batch.signals), batch.alerts)
            if isinstance(problem, sqlite3.OperationalError | PeepError):
                # How hosts are is no news but a state: the latest is still wanted.
                self._batch.hosts = {**batch.hosts, **self._batch.hosts}
            if isinstance(problem, sqlite3.IntegrityError):
                self._number = max(self._number, _number_by_clock(wall))

    def _prune(self, written: int) -> bool:
        """Let the oldest rows go, at least as many as came; say if more should go."""
        if self._failing:
            return False
        try:
            for _ in range(1 + 2 * written // PRUNE_ROWS):
                if not self._writer.prune(self._clock.wall()):
                    return False
        except FAILURES as problem:
            if not self._growing:
                self._growing = True
                self._say(f"journal {self._path}: cannot delete old rows: {problem}")
            return False
        self._growing = False
        return True

    def _lose(self, signals: int, alerts: list[AlertKey]) -> None:
        """Count what is not written; the lock is held."""
        self.lost += signals
        self._gap += signals
        self._settled.failed.extend(alerts)

    def _complain(self, why: str) -> None:
        """Say why nothing is written, once until it heals."""
        with self._lock:
            said, self._failing = self._failing, True
        if not said:
            self._say(f"journal {self._path}: not written: {why}; sound goes on")

    def _heal(self, gap: int) -> None:
        """Say that it is written again, if it was not."""
        with self._lock:
            healed = self._failing and not self._gap
            self._failing = self._failing and not healed
        if healed:
            missing = f"; {gap} signals are not in it" if gap else ""
            self._say(f"journal {self._path}: written again{missing}")

    # -- helpers --------------------------------------------------------------------

    def _ring(self) -> None:
        """Tell the thread that something is queued: once a batch, it is not cheap."""
        if not self._rung:
            self._rung = True
            self._bell.set()

    def _read(self) -> None:
        """Learn what was in the file; where that must wait, begin without."""
        wall = self._clock.wall()
        try:
            self._known = self._writer.known(wall)
            self._number = self._known.number
        except PassingError as problem:
            self._number = _number_by_clock(wall)
            self._complain(str(problem))

    def _queue_host(self, name: str, row: Row | None) -> None:
        with self._lock:
            self._batch.hosts[name] = row
        self._ring()

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None


def _number_by_clock(wall: float) -> int:
    """Return a number above all that are in a file which cannot be read.

    Numbers count from 1, so a file would need a million signals a second to get there.
    """
    return int(wall * 1e6)
