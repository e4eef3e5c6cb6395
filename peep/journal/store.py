"""The agent's store: alerts that no server has confirmed, and how far logs were read.

One transaction holds both: a log's mark passes an alert only when the alert is kept.
Memory is the truth and the file its copy: what could not be written stays pending and
goes with the next transaction that can, so a full disk costs nothing but safety from a
crash, and heals by itself.

Bounded in number and bytes. The oldest alerts go first, and are counted until they
have been reported.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from peep.clock import Clock, SystemClock
from peep.errors import PeepError
from peep.journal.database import (
    Say,
    Shape,
    identity_of,
    is_broken,
    open_database,
    open_reader,
    set_aside,
)
from peep.loglines import Mark
from peep.signals import Event, SignalId

MAX_ALERTS = 10_000
MAX_MARKS = 16_384  # files; more than any host writes logs
RETRY_S = 5.0  # between tries of a file that could not be written
MAX_BYTES = 8 * 1024 * 1024  # a quarter of what an agent may take

SHAPE = Shape(
    what="store",
    application_id=0x7065_6561,  # "peea"
    version=1,
    tables=(
        # With a row id, that keeps the order in which they came.
        """CREATE TABLE alerts (
            origin INTEGER, serial INTEGER, packed BLOB NOT NULL,
            PRIMARY KEY (origin, serial))""",
        "CREATE TABLE marks (origin INTEGER PRIMARY KEY, packed BLOB NOT NULL)",
        "CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL)",
    ),
    check=(
        "PRAGMA quick_check",
        "SELECT rowid, origin, serial, packed FROM alerts LIMIT 1",
        "SELECT origin, packed FROM marks LIMIT 1",
        "SELECT name, count FROM counts LIMIT 1",
    ),
    settings=("PRAGMA wal_autocheckpoint=256",),  # pages: a megabyte
)


class Spooled(msgspec.Struct, frozen=True):
    """An alert that waits for its receipt; `born` is Unix seconds."""

    event: Event
    born: float


_DROP_ALERT = "DELETE FROM alerts WHERE origin = ? AND serial = ?"
_KEEP_ALERT = "INSERT OR IGNORE INTO alerts (origin, serial, packed) VALUES (?, ?, ?)"
_KEEP_MARK = "INSERT OR REPLACE INTO marks (origin, packed) VALUES (?, ?)"
_KEEP_COUNT = "INSERT OR REPLACE INTO counts (name, count) VALUES ('dropped', ?)"
_DECODE_ALERT = msgspec.msgpack.Decoder(Spooled).decode
_DECODE_MARK = msgspec.msgpack.Decoder(Mark).decode
_encode = msgspec.msgpack.Encoder().encode


def read_marks(path: Path) -> list[Mark]:
    """Return the marks in a store that may be in use; PeepError if there are none."""
    database = open_reader(path, SHAPE)
    try:
        rows = database.execute("SELECT packed FROM marks").fetchall()
        return [_DECODE_MARK(packed) for (packed,) in rows]
    except (sqlite3.Error, msgspec.MsgspecError) as problem:
        raise PeepError(f"{SHAPE.what} {path}: {problem}") from None
    finally:
        database.close()


class Store:
    """Alerts and marks, kept across restarts as far as the place allows.

    `dropped` counts alerts that went for want of room and were not reported. `say` is
    told in one line when the file is not what it should be, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        say: Say,
        max_alerts: int = MAX_ALERTS,
        max_bytes: int = MAX_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self.dropped = 0
        self._path = path
        self._say = say
        self._max_alerts = max_alerts
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._alerts: dict[SignalId, Spooled] = {}  # oldest first
        self._sizes: dict[SignalId, int] = {}
        self._bytes = 0
        self._marks: dict[int, Mark] = {}  # that moved longest ago first
        # What the file does not have yet, or has still.
        self._new: dict[SignalId, None] = {}
        self._gone: dict[SignalId, None] = {}
        self._moved: set[int] = set()
        self._done: set[int] = set()
        self._counted = False
        self._loaded = False
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._failing = False  # and it was said
        self._retry_at = float("-inf")
        self._write()

    def alerts(self) -> list[Spooled]:
        """Return what waits for a receipt, oldest first."""
        return list(self._alerts.values())

    def marks(self) -> list[Mark]:
        """Return how far each file was read."""
        return list(self._marks.values())

    def mark(self, origin: int) -> Mark | None:
        """Return how far one file was read, if that is known."""
        return self._marks.get(origin)

    def commit(
        self,
        alerts: Sequence[Spooled],
        marks: Sequence[Mark] = (),
        done: Sequence[int] = (),
    ) -> list[SignalId]:
        """Keep alerts and marks, forget the marks of files that are `done`; at once.

        An alert whose id is kept already is ignored. Returns the ids of alerts that
        had to go, oldest first.
        """
        for spooled in alerts:
            self._add(spooled, _encode(spooled))
        for mark in marks:
            self._marks.pop(mark.origin, None)
            self._marks[mark.origin] = mark
            self._moved.add(mark.origin)
            self._done.discard(mark.origin)
        for origin in done:
            self._forget(origin)
        while len(self._marks) > MAX_MARKS:
            self._forget(next(iter(self._marks)))
        dropped = self._bound()
        self._write()
        return dropped

    def confirm(self, ids: Sequence[SignalId]) -> None:
        """Forget alerts that a server has; in the file, with the next commit."""
        for signal_id in ids:
            if signal_id in self._alerts:
                self._remove(signal_id)

    def reported(self, count: int) -> None:
        """Take from `dropped` what a server was told; durable with the next commit."""
        self.dropped = max(0, self.dropped - count)
        self._counted = True

    def close(self) -> None:
        """Write what is pending, and let go of the file."""
        self._retry_at = float("-inf")
        self._write()
        self._let_go()

    # -- memory -----------------------------------------------------------------------

    def _add(self, spooled: Spooled, packed: bytes) -> None:
        signal_id = spooled.event.origin, spooled.event.serial
        if signal_id not in self._alerts:
            self._alerts[signal_id] = spooled
            self._sizes[signal_id] = len(packed)
            self._bytes += len(packed)
            self._new[signal_id] = None

    def _remove(self, signal_id: SignalId) -> None:
        del self._alerts[signal_id]
        self._bytes -= self._sizes.pop(signal_id)
        if signal_id in self._new:  # then the file never had it, or forgets it already
            del self._new[signal_id]
        else:
            self._gone[signal_id] = None

    def _bound(self) -> list[SignalId]:
        """Drop the oldest alerts while there are too many."""
        dropped: list[SignalId] = []
        while len(self._alerts) > self._max_alerts or self._bytes > self._max_bytes:
            dropped.append(next(iter(self._alerts)))
            self._remove(dropped[-1])
        self.dropped += len(dropped)
        self._counted = self._counted or bool(dropped)
        return dropped

    def _forget(self, origin: int) -> None:
        if self._marks.pop(origin, None) is not None:
            self._moved.discard(origin)
            self._done.add(origin)

    # -- the file -----------------------------------------------------------------

    def _write(self) -> None:
        """Bring the file up to memory, or say why not and leave it pending."""
        now = self._clock.now()
        if now < self._retry_at:
            return
        try:
            self._notice_removal()
            self._save(self._database or self._open())
        except (sqlite3.Error, PeepError) as problem:
            self._retry_at = now + RETRY_S
            if isinstance(problem, sqlite3.Error) and is_broken(problem):
                self._let_go()  # opening it anew finds it broken, and sets it aside
            if not self._failing:
                self._failing = True
                self._say(
                    f"store {self._path}: not written: {problem}; what waits for a "
                    "server is in memory only"
                )
            return
        if self._failing:
            self._failing = False
            self._say(f"store {self._path}: written again")

    def _notice_removal(self) -> None:
        """Begin the file anew if it went away; all that is in memory goes into it."""
        if self._database is None or identity_of(self._path) == self._file:
            return
        self._say(f"store {self._path} was removed: begun anew")
        self._let_go()
        self._new = dict.fromkeys(self._alerts)
        self._moved = set(self._marks)
        self._gone.clear()
        self._done.clear()
        self._counted = True

    def _open(self) -> sqlite3.Connection:
        """Open the file and take in what it has; memory wins where both know."""
        wall = self._clock.wall()
        database = open_database(self._path, SHAPE, say=self._say, wall=wall)
        try:
            self._load(database)
        except msgspec.MsgspecError:
            database.close()
            aside = set_aside(self._path, wall)
            self._say(f"store {self._path} makes no sense: set aside as {aside.name}")
            database = open_database(self._path, SHAPE, say=self._say, wall=wall)
            self._load(database)
        except sqlite3.Error:
            database.close()
            raise
        self._database = database
        self._file = identity_of(self._path)
        return database

    def _load(self, database: sqlite3.Connection) -> None:
        """Take in what is in the file; what memory knows already is pending for it."""
        ours = list(self._alerts.items())
        found: dict[SignalId, Spooled] = {}
        for (packed,) in database.execute("SELECT packed FROM alerts ORDER BY rowid"):
            spooled = _DECODE_ALERT(packed)
            found[spooled.event.origin, spooled.event.serial] = spooled
        marks = [
            _DECODE_MARK(packed)
            for (packed,) in database.execute("SELECT packed FROM marks")
        ]
        (dropped,) = database.execute("SELECT coalesce(sum(count), 0) FROM counts")
        self._gone = {key: None for key in self._gone if key in found}
        self._alerts.clear()
        self._bytes = 0
        for key, spooled in (*found.items(), *ours):
            if key not in self._gone:
                self._add(spooled, _encode(spooled))
        self._new = {key: None for key, _ in ours if key not in found}
        self._moved = set(self._marks)
        marks.sort(key=lambda mark: mark.followed)  # if too many, those go first
        older = {mark.origin: mark for mark in marks if mark.origin not in self._done}
        self._marks = {**older, **self._marks}
        if not self._loaded:
            self._loaded = True
            self.dropped += dropped[0]
        self._counted = True
        self._bound()

    def _save(self, database: sqlite3.Connection) -> None:
        if not (self._new or self._gone or self._moved or self._done or self._counted):
            return
        execute = database.execute
        try:
            execute("BEGIN IMMEDIATE")
            for signal_id in self._gone:
                execute(_DROP_ALERT, signal_id)
            for signal_id in self._new:
                execute(_KEEP_ALERT, (*signal_id, _encode(self._alerts[signal_id])))
            for origin in self._done:
                execute("DELETE FROM marks WHERE origin = ?", (origin,))
            for origin in self._moved:
                execute(_KEEP_MARK, (origin, _encode(self._marks[origin])))
            if self._counted:
                execute(_KEEP_COUNT, (self.dropped,))
            execute("COMMIT")
        except sqlite3.Error:
            if database.in_transaction:
                execute("ROLLBACK")
            raise
        for pending in (self._gone, self._new, self._done, self._moved):
            pending.clear()
        self._counted = False

    def _let_go(self) -> None:
        if self._database is not None:
            database, self._database = self._database, None
            with contextlib.suppress(sqlite3.Error):
                database.close()
