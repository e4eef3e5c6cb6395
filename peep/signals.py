"""What an agent reports: events, states, heartbeats. No wire, no sound.

A signal's name is what happened ("ssh.login-failed"); its family, for events, is
one of at most eight kinds that carry the timbre ("access"); its instance is what
it was about within the host (a user, an address), and its text the line itself.
Instance and text never leave the host in an open class.
"""

import enum
import math
import re

import msgspec

MAX_NAME_LENGTH = 64
MAX_COUNT = 1_000_000_000  # a folded storm's count; bounds what a peer may claim
MAX_RATE_HZ = 20.0  # faster beats fuse into a tone
MAX_TEXT_LENGTH = 1024
MAX_ID = 2**63 - 1  # of an origin or a serial: what SQLite calls an integer
GAIN_RANGE_DB = (-60.0, 12.0)

# `a.b-c_d`, each part starting with a letter or digit: safe in YAML, metrics,
# file names and on a terminal.
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*\Z"
_NAME = re.compile(NAME_PATTERN)


class Tier(enum.IntEnum):
    """How an event is treated by delivery, mixer and console."""

    ROUTINE = 0
    NOTABLE = 1
    ALERT = 2


# Origin and serial; what is known again by it is the event, however often it comes.
SignalId = tuple[int, int]


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something happened once. `when` is Unix seconds on the agent's clock.

    `origin` and `serial` are its id, given where it was born, of 63 bits each: a file
    and an offset in it, or a process and a counter. Origin 0 is no id.
    """

    name: str
    tier: Tier = Tier.ROUTINE
    family: str = ""
    count: int = 1
    pan: float = 0.0
    gain_db: float = 0.0
    host: str = ""
    instance: str = ""
    text: str = ""
    when: float = 0.0
    origin: int = 0
    serial: int = 0
    priority: int = 0  # 0…255, orders within routine and notable only


class State(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How much, now: 0…1."""

    name: str
    value: float
    pan: float = 0.0
    gain_db: float = 0.0
    host: str = ""
    when: float = 0.0


class Heartbeat(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A rhythm whose rate carries a value; 0 Hz stops it."""

    name: str
    rate_hz: float
    pan: float = 0.0
    gain_db: float = 0.0
    host: str = ""
    when: float = 0.0


Signal = Event | State | Heartbeat


def name_problem(name: str) -> str | None:
    """Say what is wrong with a signal's or family's name, or None."""
    if len(name) > MAX_NAME_LENGTH:
        return f"longer than {MAX_NAME_LENGTH} characters"
    # fullmatch, since `$` alone would let a final newline through
    if not _NAME.fullmatch(name):
        return "not lower-case words joined by dots, such as ssh.login-failed"
    return None


def clamp_unit(value: float) -> float:
    """Bring a reading into 0…1; what is not a number is 0."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0
