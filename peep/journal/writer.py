"""What the journal's thread does to the file: batches in, the oldest rows out.

A batch is one transaction: all of it, or nothing. Rows go in by the hundreds with one
statement, since Python takes its lock again after every statement, and while the main
thread is busy that costs a switch of threads (5 ms) each time. Sizes are powers of two,
so that few statements are prepared, once.

The file is bounded by age and size. The oldest rows are deleted a small chunk at a
time, so that no batch waits for it; their pages are used again. The file never shrinks.

A transaction that holds alerts is on the disk when it is committed, since a receipt
follows. The others survive a crash of ours, not one of the machine.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import TYPE_CHECKING

import msgspec

from peep.errors import PeepError
from peep.journal.database import (
    identity_of,
    is_broken,
    open_database,
    set_aside,
)
from peep.journal.rows import (
    ALERT_INDEX,
    COLUMNS,
    SHAPE,
    UNHEARD,
    AlertKey,
    HostRow,
    Row,
    Unheard,
    read_host,
    read_unheard,
)

if TYPE_CHECKING:
    from pathlib import Path

    from peep.journal.database import Say

MAX_CHUNK_ROWS = 512  # 20 columns each: a third of what SQLite takes in a statement
PRUNE_ROWS = 2_000  # a few milliseconds
MAX_REMEMBERED = 65_536  # alerts that are known again without asking the file
# Alerts wait for seconds at most before they are heard, gathered or in a backlog: of
# what is written in so long, those that never were are looked for at a start.
UNHEARD_ROWS = 500_000
MAX_UNHEARD = 4096  # told again then; one group
MAX_NOTES = 100_000  # a flapping network; they have no other bound in size
# What the batches themselves can go wrong with: text that is no UTF-8, numbers that
# are no integers of 64 bits. Peers cannot say such things; a mistake of ours might.
FAILURES = (sqlite3.Error, ValueError, OverflowError, OSError, PeepError)


class Limits(msgspec.Struct, frozen=True):
    """How much is kept: whichever is met first."""

    max_age_s: float = 90 * 86_400.0
    max_bytes: int = 1024**3  # a thousand million: years at home, weeks in a big one


class Known(msgspec.Struct, frozen=True):
    """What was written before: the last number, the newest alerts, oldest first, the
    roster, and alerts of which nobody knows that they were heard.
    """  # noqa: D205 - one sentence

    number: int = 0
    alerts: list[AlertKey] = []
    hosts: list[HostRow] = []
    unheard: list[Unheard] = []


class Batch:
    """What was queued for one transaction."""

    def __init__(self) -> None:
        self.signals: list[Row] = []
        self.outcomes: list[Row] = []
        self.notes: list[Row] = []
        self.hosts: dict[str, Row | None] = {}  # by name; None is forgotten
        self.alerts: list[AlertKey] = []  # among the signals

    def __bool__(self) -> bool:
        return bool(self.signals or self.outcomes or self.notes or self.hosts)


class Writer:
    """The one connection that writes. Every method may raise FAILURES."""

    def __init__(self, path: Path, limits: Limits, say: Say) -> None:
        self._path = path
        self._limits = limits
        self._say = say
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # device and inode

    def open(self, wall: float) -> sqlite3.Connection:
        """Return the connection; open it if it is not, or the file went away."""
        if self._database is not None and identity_of(self._path) != self._file:
            self._say(f"journal {self._path} was removed: begun anew")
            self._drop()
        if self._database is None:
            self._database = open_database(self._path, SHAPE, say=self._say, wall=wall)
            self._file = identity_of(self._path)
        return self._database

    def known(self, wall: float) -> Known:
        """Return what a server has to know of what was written before."""
        try:
            return _known(self.open(wall))
        except sqlite3.Error as problem:
            self._recover(problem, wall)
        # That was set aside, or this fails for good.
        return _known(self.open(wall))

    def write(self, batch: Batch, wall: float) -> None:
        """Commit a batch, or nothing of it."""
        database = self.open(wall)
        try:
            # It cannot be changed within a transaction.
            durable = "FULL" if batch.alerts else "NORMAL"
            database.execute(f"PRAGMA synchronous={durable}")
            database.execute("BEGIN IMMEDIATE")
            _insert(database, _SIGNALS, batch.signals)
            _insert(database, _OUTCOMES, batch.outcomes)
            _insert(database, _NOTES, batch.notes)
            for name, row in batch.hosts.items():
                database.execute("DELETE FROM hosts WHERE name = ?", (name,))
                if row is not None:
                    database.execute(_KEEP_HOST, row)
            database.execute("COMMIT")
        except FAILURES as problem:
            self._recover(problem, wall)
            raise

    def prune(self, wall: float) -> bool:
        """Delete some of the oldest rows if a limit is met; say if there are more."""
        database = self.open(wall)
        oldest = wall - self._limits.max_age_s
        try:
            full = _used_bytes(database) > self._limits.max_bytes
            end = _end(database, "signals", "received", oldest, full=full)
            if end is not None:
                database.execute("BEGIN IMMEDIATE")
                database.execute("DELETE FROM signals WHERE number <= ?", (end,))
                database.execute("DELETE FROM outcomes WHERE number <= ?", (end,))
                database.execute("COMMIT")
            first, last = database.execute(
                "SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM notes"
            ).fetchone()
            many = last - first >= MAX_NOTES
            noted = _end(database, "notes", "at", oldest, full=many)
            if noted is not None:
                database.execute("DELETE FROM notes WHERE number <= ?", (noted,))
        except FAILURES as problem:
            self._recover(problem, wall)
            raise
        return end is not None or noted is not None

    def close(self) -> None:
        """Bring all into the one file, and let go of it."""
        if self._database is not None:
            database, self._database = self._database, None
            database.close()

    def _recover(self, problem: Exception, wall: float) -> None:
        """Make ready for the next batch, whatever that takes."""
        database = self._database
        if database is None:
            return
        if isinstance(problem, sqlite3.Error) and is_broken(problem):
            self._drop()
            aside = set_aside(self._path, wall)
            self._say(f"journal {self._path} is broken: set aside as {aside.name}")
            return
        try:
            if database.in_transaction:
                database.execute("ROLLBACK")
            # What stands in the -wal may find room among the file's freed pages; then
            # the -wal begins anew, even on a full disk.
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            self._drop()

    def _drop(self) -> None:
        """Let go of a connection that failed."""
        with contextlib.suppress(sqlite3.Error):
            self.close()


def _known(database: sqlite3.Connection) -> Known:
    (number,) = database.execute(
        "SELECT max(coalesce((SELECT max(number) FROM signals), 0), "
        "coalesce((SELECT max(number) FROM outcomes), 0))"
    ).fetchone()
    alerts = database.execute(
        "SELECT agent, origin, serial FROM signals INDEXED BY alerts "
        "WHERE tier = 2 AND origin IS NOT NULL ORDER BY number DESC LIMIT ?",
        (MAX_REMEMBERED,),
    ).fetchall()
    hosts = database.execute("SELECT * FROM hosts ORDER BY name")
    unheard = database.execute(UNHEARD, (number - UNHEARD_ROWS, MAX_UNHEARD))
    return Known(
        number,
        alerts[::-1],
        [read_host(row) for row in hosts],
        [read_unheard(row) for row in unheard],
    )


def _used_bytes(database: sqlite3.Connection) -> int:
    """Return how much of the file is in use, freed pages not counted."""
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (free,) = database.execute("PRAGMA freelist_count").fetchone()
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * page_bytes)


def _end(
    database: sqlite3.Connection, table: str, time: str, oldest: float, *, full: bool
) -> int | None:
    """Return up to which number rows may go, PRUNE_ROWS at most; None if none may.

    Only the first rows are looked at, not all that are old: times may have stepped.
    """
    (end,) = database.execute(
        f"SELECT max(number) FROM (SELECT number, {time} AS at FROM {table} "  # noqa: S608 - ours
        "ORDER BY number LIMIT ?) WHERE ? OR at < ?",
        (PRUNE_ROWS, full, oldest),
    ).fetchone()
    return None if end is None else int(end)


def _inserts(table: str, columns: tuple[str, ...], conflict: str) -> dict[int, str]:
    """Return statements that put 512, 256 … 1 rows into a table."""
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608 - ours
    row = f"({', '.join('?' * len(columns))})"
    sizes = [MAX_CHUNK_ROWS >> halved for halved in range(MAX_CHUNK_ROWS.bit_length())]
    return {size: head + ", ".join([row] * size) + conflict for size in sizes}


# An alert that is there already is passed over; any other conflict is a mistake.
_SIGNALS = _inserts(
    "signals", COLUMNS["signals"], f" ON CONFLICT {ALERT_INDEX} DO NOTHING"
)
# A second outcome of a signal would be a mistake, but none to lose alerts for.
_OUTCOMES = _inserts("outcomes", COLUMNS["outcomes"], " ON CONFLICT DO NOTHING")
_NOTES = _inserts("notes", COLUMNS["notes"][1:], "")
_KEEP_HOST = _inserts("hosts", COLUMNS["hosts"], "")[1]


def _insert(
    database: sqlite3.Connection, statements: dict[int, str], rows: list[Row]
) -> None:
    done = 0
    for size, statement in statements.items():
        while len(rows) - done >= size:
            chunk = itertools.chain.from_iterable(rows[done : done + size])
            database.execute(statement, tuple(chunk))
            done += size
