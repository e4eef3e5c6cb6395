"""Opening SQLite files: ours are begun or checked, others are set aside.

A file of ours carries an application id, and the version of its tables as
`user_version`. What is found at the path is one of these:

    nothing, or nothing in it     begun
    ours                          checked and used
    ours, of a newer version      refused: NewerError, it is left as it is
    foreign, or broken            renamed with its -wal to NAME.broken-STAMP; begun anew

All are in WAL mode, so that readers and the one writer never wait for each other, and
readable by their owner alone: lines of logs hold other people's secrets. SQLite gives
the -wal and -shm beside a file that file's mode.
"""

import contextlib
import datetime as dt
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from peep.errors import PeepError

Say = Callable[[str], None]

_BUSY_S = 5.0  # another process may be checkpointing; nobody writes but us
_STATEMENTS = 64  # prepared and kept; a few per size of chunk
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PASSING = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY),
    sqlite3.SQLITE_NOMEM,
}
_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA journal_size_limit=16777216",  # what a burst left of the -wal is cut off
)


class Shape(msgspec.Struct, frozen=True):
    """What a file of one kind is: its mark, its tables, a question that reads them."""

    what: str
    application_id: int
    version: int
    tables: tuple[str, ...]
    check: tuple[str, ...]
    settings: tuple[str, ...] = ()


class NewerError(PeepError):
    """The file was written by a newer Peep."""


class PassingError(PeepError):
    """The file cannot be used now, but may later: a full disk, or one that fails."""


def open_database(
    path: Path, shape: Shape, *, say: Say, wall: float
) -> sqlite3.Connection:
    """Return a connection, in autocommit, to the file at `path`, whatever was there.

    `wall` (Unix seconds) names what is set aside. Raises PeepError if the place cannot
    be used, NewerError if the file must not be.
    """
    try:
        _make_file(path)
        try:
            return _opened(path, shape)
        except _BrokenError as problem:
            aside = set_aside(path, wall)
            say(f"{shape.what} {path} {problem}: set aside as {aside.name}, begun anew")
        _make_file(path)
        return _opened(path, shape)
    except OSError as problem:
        passing = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
        raise (PassingError if passing else PeepError)(
            f"{shape.what} {path}: {os_problem(problem, path)}"
        ) from None
    except sqlite3.Error as problem:
        passing = _primary(problem) in _PASSING
        raise (PassingError if passing else PeepError)(
            f"{shape.what} {path}: {problem}"
        ) from None


def open_reader(path: Path, shape: Shape) -> sqlite3.Connection:
    """Return a connection that only reads, and that a writer never notices.

    Raises PeepError if there is no such file, or it is not ours.
    """
    if not path.is_file():
        raise PeepError(f"no {shape.what} at {path}")
    try:
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_S,
        )
        with _closed_on_failure(database):
            if _known(path, shape, database):
                return database
    except _BrokenError as problem:
        raise PeepError(f"{shape.what} {path} {problem}") from None
    except sqlite3.Error as problem:
        raise PeepError(f"{shape.what} {path}: {problem}") from None
    database.close()
    raise PeepError(f"{shape.what} {path} is empty")


def os_problem(problem: OSError, path: Path) -> str:
    """Say what the system refused; of which file, if not the one at `path`."""
    refused = problem.filename
    where = "" if refused in (None, str(path)) else f"{refused}: "
    return f"{where}{problem.strerror}"


def is_broken(problem: sqlite3.Error) -> bool:
    """Say whether the file itself is bad; everything else may pass."""
    return _primary(problem) in _BROKEN


def set_aside(path: Path, wall: float) -> Path:
    """Rename a file and its -wal out of the way; return its new name."""
    stamp = dt.datetime.fromtimestamp(wall, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = base = path.with_name(f"{path.name}.broken-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = base.with_name(f"{base.name}-{number}")
    path.rename(aside)
    # The index of a -wal is made anew from it; a stale one would mislead.
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.with_name(path.name + "-wal").rename(aside.with_name(aside.name + "-wal"))
    return aside


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what is at a path; None if nothing is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def hold(path: Path) -> int | None:
    """Take the lock beside a file; return its descriptor, or None if it is taken."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock")
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _primary(problem: sqlite3.Error) -> int:
    """Return an error's kind; its lowest byte, says SQLite's manual."""
    return int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF


class _BrokenError(Exception):
    """What is at the path is not what it should be; the message says how."""


def _make_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def _opened(path: Path, shape: Shape) -> sqlite3.Connection:
    database = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_S,
        cached_statements=_STATEMENTS,
    )
    with _closed_on_failure(database):
        known = _known(path, shape, database)
        for setting in (*_SETTINGS, *shape.settings):
            database.execute(setting)
        if not known:
            _begin(database, shape)
        return database


@contextlib.contextmanager
def _closed_on_failure(database: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as problem:
        database.close()
        # An error in our own question: the tables are not what they should be.
        if is_broken(problem) or _primary(problem) == sqlite3.SQLITE_ERROR:
            raise _BrokenError("is broken") from None
        raise
    except (PeepError, _BrokenError):
        database.close()
        raise


def _known(path: Path, shape: Shape, database: sqlite3.Connection) -> bool:
    """Say whether the file is ours and sound; False if nothing is in it yet."""
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application_id != shape.application_id:
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id or tables:
            raise _BrokenError("is somebody else's")
        return False
    if version > shape.version:
        raise NewerError(
            f"{shape.what} {path} was written by a newer Peep (version {version} of "
            f"it; this one knows {shape.version}): use that one, or move it away"
        )
    for question in shape.check:
        rows = database.execute(question).fetchall()
        if question.startswith("PRAGMA") and rows != [("ok",)]:
            raise _BrokenError("is broken")
    return True


def _begin(database: sqlite3.Connection, shape: Shape) -> None:
    database.execute("BEGIN IMMEDIATE")
    for table in shape.tables:
        database.execute(table)
    database.execute(f"PRAGMA application_id={shape.application_id}")
    database.execute(f"PRAGMA user_version={shape.version}")
    database.execute("COMMIT")
