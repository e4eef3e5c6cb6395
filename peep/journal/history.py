"""Reading the journal, while it may be written: what came, and what became of it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import msgspec

from peep.errors import PeepError
from peep.journal.database import open_reader
from peep.journal.rows import KINDS, SHAPE, agent_bytes
from peep.signals import Tier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from peep.journal.filters import Condition, Query

_SIGNALS = """
    SELECT signals.*, outcomes.at, outcomes.heard_s, outcomes.sound, outcomes.place,
        outcomes.carrier, outcomes.cue_group, outcomes.late, outcomes.reason
    FROM signals LEFT JOIN outcomes USING (number)
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A signal with its outcome, or a note; times are Unix seconds.

    `outcome` is "cue", the reason why there was none, or "" where it is not known.
    """

    number: int
    received: float
    kind: str
    name: str
    agent: str = ""
    host: str = ""
    class_name: str = msgspec.field(default="", name="class")
    tier: str = ""
    family: str = ""
    instance: str = ""
    text: str = ""
    count: int = 1
    value: float | None = None  # a state's level, a heartbeat's rate in hertz
    pan: float = 0.0
    gain_db: float = 0.0
    born: float = 0.0
    age_s: float = 0.0
    again: bool = False
    origin: int = 0
    serial: int = 0
    outcome: str = ""
    at: float | None = None
    heard_s: float | None = None
    sound: str = ""
    place: int | str | None = None
    carrier: int | None = None
    group: int | None = None
    late: bool = False


class Found(msgspec.Struct, frozen=True):
    """What was found, the newest last; `more` if older ones would match, too."""

    entries: list[Entry]
    more: bool


def find(path: Path, query: Query, limit: int) -> Found:
    """Return the newest `limit` entries that match; PeepError if there is no journal.

    The journal's clock may have stepped: entries then stand in the order in which
    they came, and `since` begins at the first that is late enough.
    """
    with contextlib.closing(open_reader(path, SHAPE)) as database:
        try:
            database.row_factory = sqlite3.Row
            # One transaction, so that both questions see the same moment.
            database.execute("BEGIN")
            entries = [
                *_signals(database, query, limit + 1),
                *_notes(database, query, limit + 1),
            ]
        except sqlite3.Error as problem:
            raise PeepError(f"journal {path}: {problem}") from None
    if query.signals is not None and query.notes is not None:
        entries.sort(key=lambda entry: entry.received, reverse=True)
    return Found(entries[:limit][::-1], len(entries) > limit)


def _signals(database: sqlite3.Connection, query: Query, limit: int) -> Iterator[Entry]:
    if query.signals is None:
        return iter(())
    where, values = _where("received", query.signals, query)
    if query.since is not None:
        where += " AND signals.number >= ?"
        values = (*values, _first_since(database, query.since))
    rows = database.execute(
        f"{_SIGNALS} WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit)
    )
    return map(_signal, rows)


def _notes(database: sqlite3.Connection, query: Query, limit: int) -> Iterator[Entry]:
    if query.notes is None:
        return iter(())
    where, values = _where("at", query.notes, query)
    rows = database.execute(
        f"SELECT * FROM notes WHERE {where} ORDER BY number DESC LIMIT ?",  # noqa: S608 - values are bound
        (*values, limit),
    )
    return map(_note, rows)


def _where(
    time: str, condition: Condition, query: Query
) -> tuple[str, tuple[object, ...]]:
    sql, values = condition.sql, condition.values
    for sign, limit in ((">=", query.since), ("<=", query.until)):
        if limit is not None:
            sql += f" AND {time} {sign} ?"
            values = (*values, limit)
    return sql, values


def _first_since(database: sqlite3.Connection, since: float) -> int:
    """Return a number before which all is older: numbers grow with time.

    Times have no index, it would cost a tenth of the journal; this is a search by
    halves instead.
    """
    low, high = database.execute(
        "SELECT coalesce(min(number), 0), coalesce(max(number), 0) + 1 FROM signals"
    ).fetchone()
    while low < high:
        middle = (low + high) // 2
        row = database.execute(
            "SELECT received FROM signals WHERE number >= ? ORDER BY number LIMIT 1",
            (middle,),
        ).fetchone()
        if row is not None and row[0] < since:
            low = middle + 1
        else:
            high = middle
    return int(low)


def _signal(row: sqlite3.Row) -> Entry:
    return Entry(
        number=row["number"],
        received=row["received"],
        kind=KINDS[row["kind"]],
        name=row["name"],
        agent=_hex(row["agent"]),
        host=row["host"] or "",
        class_name=row["class"],
        tier="" if row["kind"] else Tier(row["tier"]).name.lower(),
        family=row["family"] or "",
        instance=row["instance"] or "",
        text=row["text"] or "",
        count=row["count"],
        value=row["value"],
        pan=row["pan"],
        gain_db=row["gain_db"],
        born=row["born"],
        age_s=row["age_s"],
        again=bool(row["again"]),
        origin=row["origin"] or 0,
        serial=row["serial"],
        outcome="" if row["at"] is None else row["reason"] or "cue",
        at=row["at"],
        heard_s=row["heard_s"],
        sound=row["sound"] or "",
        place=row["place"],
        carrier=row["carrier"],
        group=row["cue_group"],
        late=bool(row["late"]),
    )


def _note(row: sqlite3.Row) -> Entry:
    return Entry(
        number=row["number"],
        received=row["at"],
        kind="note",
        name=row["what"],
        agent=_hex(row["agent"]),
        host=row["host"] or "",
        text=row["detail"] or "",
    )


def _hex(agent: int | None) -> str:
    return "" if agent is None else agent_bytes(agent).hex()
