"""What is said: one struct per packet, one line per field.

A body is a msgpack array of its struct's fields in order. So the struct *is* the
table: encode and decode cannot disagree. Fields are only ever added at the end, with
a default; a receiver ignores what it does not know there. Numbers travel as bounded
integers, so that neither NaN nor a huge float can be said at all.

Discovery is open and untrusted: REQUEST, ANNOUNCE, OFFER only propose addresses.
REGISTER and GRANT shake hands. CLASSES, RENEW, ACK, SIGNALS, RECEIPT, BYE live in a
session. EXCEPTION is a hint and never ends anything.
"""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from peep.protocol import classes
from peep.signals import (
    GAIN_RANGE_DB,
    MAX_COUNT,
    MAX_ID,
    MAX_NAME_LENGTH,
    MAX_RATE_HZ,
    NAME_PATTERN,
    Tier,
)

VERSION = 3
SERVER_PORT = 2001
ANNOUNCE_PORT = 2000

ID_BYTES = 8  # enough that thousands of random ids do not meet
COOKIE_BYTES = 16  # a guess per packet for an hour still has no chance
MAX_DATAGRAM_BYTES = 1200  # fits every path that carries IPv6, tunnels included
# 512 with IPv6 and UDP headers: what the smallest links must pass unfragmented.
MAX_DISCOVERY_BYTES = 512 - 40 - 8

MAX_HELLO_BYTES = 128  # a handshake message adds 48 to a payload of at most 32
# What is cut to fit: a datagram must hold any one event, whole.
MAX_INSTANCE_BYTES = 128
MAX_WIRE_TEXT_BYTES = 640

MAX_CLASSES = 64  # per packet, as far as they fit
MAX_HEARD = 16  # ids that fit beside a few classes in a discovery datagram
MAX_SIGNALS = 256  # more never fit: the smallest takes five bytes
MAX_RECEIPTS = 1024  # ids in a packet; more never fit
MAX_LABELS = 32
MIN_LEASE_S = 10
MAX_LEASE_S = 300
ANY_LEASE = 0  # let the server choose
FOREVER_LEASE = 0xFFFF_FFFF  # understood, and refused
MAX_AGE_MS = 0xFFFF_FFFF  # 49 days; older is as old


class PacketType(enum.IntEnum):
    """The second byte of every datagram."""

    REQUEST = 1
    ANNOUNCE = 2
    OFFER = 3
    REGISTER = 4
    GRANT = 5
    CLASSES = 6
    RENEW = 7
    ACK = 8
    SIGNALS = 9
    BYE = 10
    EXCEPTION = 11
    RECEIPT = 12


class ExceptionCode(enum.IntEnum):
    """What a hint says."""

    VERSION = 1  # not a version I speak
    NOT_ADMITTED = 2  # I do not take signals from there without a lease
    UNKNOWN_KEY = 3  # I do not hold that key: try another
    KEY_NEEDED = 4  # I serve those classes only with a key


Id = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
ClassName = Annotated[
    str,
    Meta(min_length=1, max_length=classes.MAX_LENGTH, pattern=classes.PATTERN),
]
Name = Annotated[str, Meta(max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
HostName = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[!-~]+\Z")]
Label = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[ -~]+\Z")]
Index = Annotated[int, Meta(ge=0, lt=2 * MAX_SIGNALS)]
Lease = Annotated[int, Meta(ge=0, le=FOREVER_LEASE)]
Sequence = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
Pan = Annotated[int, Meta(ge=-100, le=100)]  # hundredths
Gain = Annotated[
    int, Meta(ge=int(GAIN_RANGE_DB[0] * 10), le=int(GAIN_RANGE_DB[1] * 10))
]  # tenths of a decibel
Age = Annotated[int, Meta(ge=0, le=MAX_AGE_MS)]
IdPart = Annotated[int, Meta(ge=0, le=MAX_ID)]


class Packet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of every body."""


class Request(Packet, frozen=True):
    """Who serves these classes? Servers in `heard` need not answer."""

    classes: Annotated[list[ClassName], Meta(min_length=1, max_length=MAX_CLASSES)]
    heard: Annotated[list[Id], Meta(max_length=MAX_HEARD)] = []
    # Fills the question up to the size of its answer, so that nobody is flooded
    # with answers to questions that were asked in his name.
    padding: bytes = bytes(COOKIE_BYTES + 8)


class Announce(Packet, frozen=True):
    """A server is here and serves these; the header's sequence increases.

    `agents` is how many it serves or served: so many may be about to answer.
    """

    classes: Annotated[list[ClassName], Meta(max_length=MAX_CLASSES)]
    agents: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Offer(Packet, frozen=True):
    """I serve these of the classes you named; register with this cookie."""

    cookie: Annotated[bytes, Meta(min_length=COOKIE_BYTES, max_length=COOKIE_BYTES)]
    classes: Annotated[list[ClassName], Meta(min_length=1, max_length=MAX_CLASSES)]


class Wish(Packet, frozen=True):
    """What an agent asks for, inside REGISTER."""

    lease_s: Lease = ANY_LEASE


class Terms(Packet, frozen=True):
    """What a server grants, inside GRANT: the ids, so that nobody can swap them."""

    lease_s: Lease
    session: Id
    server_id: Id


class Register(Packet, frozen=True):
    """Grant me a lease. The header's session is a nonce of the agent's.

    `hello` is a Wish, or in a sealed class the first message of the handshake with a
    Wish in it: a stolen key opens that one, so there is nothing else.
    """

    cookie: Annotated[bytes, Meta(min_length=COOKIE_BYTES, max_length=COOKIE_BYTES)]
    hello: Annotated[bytes, Meta(max_length=MAX_HELLO_BYTES)]


class Grant(Packet, frozen=True):
    """You have one, in the header's session; `nonce` says whose question it was.

    `hello` is Terms, or the second message of the handshake with Terms in it.
    """

    nonce: Id
    hello: Annotated[bytes, Meta(max_length=MAX_HELLO_BYTES)]


class Classes(Packet, frozen=True):
    """Who I am: the first word of a session, said again when it changes."""

    host: HostName
    classes: Annotated[list[ClassName], Meta(min_length=1, max_length=MAX_CLASSES)]
    labels: Annotated[dict[Label, Label], Meta(max_length=MAX_LABELS)] = {}


class Ids(Packet, frozen=True):
    """Ids of events that share an origin: a file and the offsets in it, say."""

    origin: IdPart
    serials: Annotated[list[IdPart], Meta(max_length=MAX_RECEIPTS)]


Receipts = Annotated[list[Ids], Meta(max_length=MAX_SIGNALS)]


class Renew(Packet, frozen=True):
    """Are you there? Either side may ask; the answer is ACK."""

    lease_s: Lease = ANY_LEASE  # the server's word on the length, if it changes
    recorded: Receipts = []  # the server's latest receipts, should one be lost


class Receipt(Packet, frozen=True):
    """These alerts are on record here: they need not be said again."""

    recorded: Receipts


class Ack(Packet, frozen=True):
    """I am; `sequence` is the header's sequence of what is answered."""

    sequence: Sequence


class WireEvent(Packet, frozen=True):
    """An event in an open session: no text, no instance, there are no fields."""

    name: Index
    tier: Tier
    family: Index
    count: Annotated[int, Meta(ge=1, le=MAX_COUNT)]
    pan: Pan
    gain: Gain
    age_ms: Age


class SealedEvent(WireEvent, frozen=True):
    """An event in a sealed session."""

    instance: Annotated[str, Meta(max_length=MAX_INSTANCE_BYTES)] = ""
    text: Annotated[str, Meta(max_length=MAX_WIRE_TEXT_BYTES)] = ""


class WireState(Packet, frozen=True):
    """A state; its value in ten-thousandths."""

    name: Index
    value: Annotated[int, Meta(ge=0, le=10_000)]
    pan: Pan
    gain: Gain


class WireHeartbeat(Packet, frozen=True):
    """A heartbeat; its rate in thousandths of a hertz."""

    name: Index
    rate: Annotated[int, Meta(ge=0, le=int(MAX_RATE_HZ * 1000))]
    pan: Pan
    gain: Gain


Names = Annotated[
    list[Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]],
    Meta(max_length=2 * MAX_SIGNALS),
]
States = Annotated[list[WireState], Meta(max_length=MAX_SIGNALS)]
Heartbeats = Annotated[list[WireHeartbeat], Meta(max_length=MAX_SIGNALS)]
RepeatS = Annotated[int, Meta(ge=0, le=86_400)]
Again = Annotated[
    list[Annotated[int, Meta(ge=0, lt=MAX_SIGNALS)]], Meta(max_length=MAX_SIGNALS)
]


class Signals(Packet, frozen=True):
    """Signals by kind; names and families are indices into `names`, sent once.

    A new kind is a new list at the end, which an older server passes over. `repeat_s`
    is how often the sender says its states again: after a few of those they are stale.
    `ids` are those of the events, in their order; origin 0 is none, and so is what is
    missing at the end. `again` are the numbers, in that order, of the events that were
    said in an earlier session, and may have been heard there.
    """

    names: Names
    events: Annotated[list[WireEvent], Meta(max_length=MAX_SIGNALS)] = []
    states: States = []
    heartbeats: Heartbeats = []
    repeat_s: RepeatS = 0
    ids: Receipts = []
    again: Again = []


class SealedSignals(Packet, frozen=True):
    """The same in a sealed session, where events may say what they were about."""

    names: Names
    events: Annotated[list[SealedEvent], Meta(max_length=MAX_SIGNALS)] = []
    states: States = []
    heartbeats: Heartbeats = []
    repeat_s: RepeatS = 0
    ids: Receipts = []
    again: Again = []


class Bye(Packet, frozen=True):
    """A clean end."""


class ExceptionHint(Packet, frozen=True):
    """Why nothing comes of what you sent, as far as I may say."""

    code: ExceptionCode
    versions: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(max_length=8)
    ] = (VERSION,)
