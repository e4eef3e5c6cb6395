"""The journal's tables, and how signals and outcomes become their rows.

`signals` and `outcomes` are only ever appended to, and joined by a number. Columns are
compact: what is usual is NULL or 0, which cost nothing, times are Unix seconds as
REAL, enums are integers. `notes` tells what happened to agents and to the journal
itself; `hosts` is the roster, the only table whose rows change.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from peep.journal.database import Shape
from peep.mixer.outcomes import Cue, Outcome, Suppression
from peep.signals import Event, Signal, State, Tier

AlertKey = tuple[int, int, int]  # agent, origin, serial
Row = tuple[object, ...]

KINDS = ("event", "state", "heartbeat")

COLUMNS = {
    "signals": (
        *("number", "received", "agent", "host", "class", "kind", "name", "tier"),
        *("family", "instance", "text", "count", "value", "pan", "gain_db"),
        *("born", "age_s", "again", "origin", "serial"),
    ),
    "outcomes": (
        *("number", "at", "heard_s", "sound", "place", "carrier"),
        *("cue_group", "late", "reason"),
    ),
    "notes": ("number", "at", "what", "host", "agent", "detail"),
    "hosts": (
        *("name", "agent", "classes", "address", "first_seen", "last_seen"),
        *("state",),
    ),
}

# What is an alert and has an id is recorded once, and only that is indexed: an index
# on every id would cost four times the row.
ALERT_INDEX = "(agent, origin, serial) WHERE tier = 2 AND origin IS NOT NULL"

SHAPE = Shape(
    what="journal",
    application_id=0x7065_6570,  # "peep"
    version=1,
    tables=(
        # value: a state's level, a heartbeat's rate in hertz. born: when the agent
        # says it happened.
        """CREATE TABLE signals (
            number INTEGER PRIMARY KEY, received REAL NOT NULL, agent INTEGER,
            host TEXT, class TEXT, kind INTEGER, name TEXT, tier INTEGER, family TEXT,
            instance TEXT, text TEXT, count INTEGER, value REAL, pan REAL,
            gain_db REAL, born REAL, age_s REAL, again INTEGER, origin INTEGER,
            serial INTEGER)""",
        f"CREATE UNIQUE INDEX alerts ON signals {ALERT_INDEX}",
        # heard_s: where in the audio it starts. carrier: the number of the cue that
        # it was carried by, if not its own. reason: why it was not heard.
        """CREATE TABLE outcomes (
            number INTEGER PRIMARY KEY, at REAL NOT NULL, heard_s REAL, sound TEXT,
            place, carrier INTEGER, cue_group INTEGER, late INTEGER, reason TEXT)""",
        """CREATE TABLE notes (
            number INTEGER PRIMARY KEY, at REAL NOT NULL, what TEXT NOT NULL,
            host TEXT, agent INTEGER, detail TEXT)""",
        """CREATE TABLE hosts (
            name TEXT PRIMARY KEY, agent INTEGER NOT NULL, classes TEXT NOT NULL,
            address TEXT NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL,
            state TEXT NOT NULL) WITHOUT ROWID""",
    ),
    # A whole check of a gigabyte takes too long; what is read at every start must do.
    check=tuple(
        f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1 DESC LIMIT 99"  # noqa: S608 - ours
        for table, columns in COLUMNS.items()
    ),
    # In pages: a checkpoint costs two fsyncs, 16 MiB between them keep those rare.
    settings=("PRAGMA wal_autocheckpoint=4096",),
)


class HostRow(msgspec.Struct, frozen=True):
    """A host of the roster. `state`: present, late, lost, left or missing."""

    name: str
    agent_id: bytes
    classes: tuple[str, ...]
    address: str
    first_seen: float
    last_seen: float
    state: str


class Unheard(msgspec.Struct, frozen=True):
    """An alert on record of which nobody knows that it was heard."""

    number: int
    event: Event
    received: float


# By number, so that only the end of the table is read.
UNHEARD = (
    "SELECT number, received, host, name, family, instance, text, count, pan, "
    "gain_db, born FROM signals WHERE number > ? AND tier = 2 AND kind = 0 AND NOT "
    "EXISTS (SELECT 1 FROM outcomes WHERE outcomes.number = signals.number) "
    "ORDER BY number LIMIT ?"
)


def read_unheard(row: tuple[Any, ...]) -> Unheard:
    """Return what a row of UNHEARD is."""
    number, received, host, name, family, instance, text, count, pan, gain, born = row
    event = Event(
        name=name,
        tier=Tier.ALERT,
        family=family or "",
        count=count,
        pan=pan,
        gain_db=gain,
        host=host or "",
        instance=instance or "",
        text=text or "",
        when=born,
    )
    return Unheard(number, event, received)


def agent_number(agent_id: bytes) -> int:
    """Return an agent's id as SQLite keeps it: 64 bits, signed."""
    return int.from_bytes(agent_id, "big", signed=True)


def signal_row(
    number: int,
    signal: Signal,
    agent_id: bytes,
    class_name: str,
    received: float,
    *,
    age_s: float,
    again: bool,
) -> Row:
    """Return a signal's row; in the order of COLUMNS."""
    if isinstance(signal, Event):
        return (
            number,
            received,
            int.from_bytes(agent_id, "big", signed=True),
            signal.host or None,
            class_name,
            0,
            signal.name,
            int(signal.tier),
            signal.family or None,
            signal.instance or None,
            signal.text or None,
            signal.count,
            None,
            signal.pan,
            signal.gain_db,
            signal.when,
            age_s,
            1 if again else 0,
            signal.origin or None,
            signal.serial,
        )
    if isinstance(signal, State):
        kind, value = 1, signal.value
    else:
        kind, value = 2, signal.rate_hz
    return (
        number,
        received,
        int.from_bytes(agent_id, "big", signed=True),
        signal.host or None,
        class_name,
        kind,
        signal.name,
        0,
        None,
        None,
        None,
        1,
        value,
        signal.pan,
        signal.gain_db,
        signal.when,
        age_s,
        1 if again else 0,
        None,
        0,
    )


def outcome_row(outcome: Outcome, at: float, heard_s: float) -> Row:
    """Return the row of an outcome's own signal, in the order of COLUMNS."""
    number = outcome.number
    if isinstance(outcome, Suppression):
        return (number, at, None, None, None, None, None, 0, outcome.reason.value)
    sound, place = outcome.sound, outcome.place
    late, group = 1 if outcome.late else 0, outcome.group or None
    return (number, at, heard_s, sound, place, None, group, late, None)


def carried_rows(cue: Cue, at: float, heard_s: float) -> list[Row]:
    """Return a row for each recorded signal that is told by the cue of another."""
    own = outcome_row(cue, at, heard_s)
    return [
        (one.number, *own[1:5], cue.number, *own[6:])
        for one in cue.carried
        if one.number
    ]


def host_row(host: HostRow) -> Row:
    """Return a row of the roster."""
    return (
        host.name,
        agent_number(host.agent_id),
        msgspec.json.encode(host.classes).decode(),
        host.address,
        host.first_seen,
        host.last_seen,
        host.state,
    )


def read_host(row: Sequence[Any]) -> HostRow:
    """Return what `host_row` made a row of."""
    name, agent, classes, *rest = row
    listed = msgspec.json.decode(classes, type=tuple[str, ...])
    return HostRow(name, agent_bytes(agent), listed, *rest)


def agent_bytes(agent: int) -> bytes:
    """Return what `agent_number` made a number of."""
    return agent.to_bytes(8, "big", signed=True)
