"""Frozen datagrams: these values are these bytes, and these bytes these values.

The files in tests/vectors/v3 are the protocol, and frozen: none of them may change or
go, whatever else does, since there are agents that nobody updates, and they say just
this. Fields are only added at the end of a body, with a default, and get vectors of
their own; the older ones of that body are then only read, no longer said.

SHA256SUMS beside them has the digest of each (`sha256sum -c` takes it). It only grows,
at the end: FROZEN below is the digest of its first lines.

`python tests/unit/test_vectors.py --write` adds vectors and digests that are missing.
It never touches one that is there, and makes none anew with other bytes.
"""

import hashlib
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from peep.protocol import packets, wire
from peep.protocol.keys import key_id
from peep.protocol.noise import Initiator, Responder
from peep.protocol.packets import ExceptionCode, PacketType
from peep.protocol.wire import Header
from peep.signals import Tier

DIRECTORY = Path(__file__).resolve().parents[1] / "vectors" / "v3"
SUMS = "SHA256SUMS"
# So many of its lines are frozen, and this is their digest.
FROZEN = 26, "956b933ee278759f9bd5f4afd9f60376e31032c320b9a251569a54b7d7f8d057"

AGENT = bytes.fromhex("a1b2c3d4e5f60718")
SERVER = bytes.fromhex("5e77e70000000001")
OTHER_SERVER = bytes.fromhex("5e77e70000000002")
NONCE = bytes.fromhex("0102030405060708")
SESSION = bytes.fromhex("1112131415161718")
COOKIE = bytes(range(0x20, 0x30))
KEY = bytes(range(32))
KEY_ID = 0x4C4C06C7
AGENT_EPHEMERAL = bytes(range(0x40, 0x60))  # private halves: never do this elsewhere
SERVER_EPHEMERAL = bytes(range(0x60, 0x80))
WISH = packets.Wish(lease_s=10)
TERMS = packets.Terms(lease_s=10, session=SESSION, server_id=SERVER)

# What travels in clear.
OPEN = {
    "request": (
        Header(AGENT, sequence=1),
        packets.Request(["public"], [], bytes(24)),
    ),
    "request-heard": (
        Header(AGENT, sequence=70_000),
        packets.Request(
            ["web.example.org", "db"], [SERVER, OTHER_SERVER], b"\xff" * 24
        ),
    ),
    "announce": (
        Header(SERVER, sequence=2),
        packets.Announce(["public", "*.example.org"], 3000),
    ),
    "offer": (Header(SERVER), packets.Offer(COOKIE, ["public"])),
    "register": (
        Header(AGENT, NONCE),
        packets.Register(COOKIE, bytes.fromhex("91 0a")),
    ),
    "grant": (
        Header(SERVER, SESSION),
        packets.Grant(
            NONCE,
            bytes.fromhex("93 0a c408 1112131415161718 c408 5e77e70000000001"),
        ),
    ),
    "classes": (
        Header(AGENT, SESSION, 1),
        packets.Classes("web7", ["public", "web"], {"os": "Debian 14", "rack": "b"}),
    ),
    "renew-from-agent": (Header(AGENT, SESSION, 2), packets.Renew()),
    "renew-from-server": (
        Header(SERVER, SESSION, 2),
        packets.Renew(300, [packets.Ids(77, [1, 2]), packets.Ids(78, [0])]),
    ),
    "ack": (Header(SERVER, SESSION, 1), packets.Ack(0xFFFF_FFFF)),
    "signals": (
        Header(AGENT, SESSION, 3),
        packets.Signals(
            ["ssh.login-failed", "refusal", "cpu.load", "disk.beat", ""],
            [
                packets.WireEvent(0, Tier.NOTABLE, 1, 70_000, 100, 120, 0),
                packets.WireEvent(
                    3, Tier.ROUTINE, 4, 1_000_000_000, -100, -600, 0xFFFF_FFFF
                ),
            ],
            [packets.WireState(2, 10_000, 0, 0), packets.WireState(2, 0, -1, 1)],
            [packets.WireHeartbeat(3, 20_000, 50, -15)],
            30,
            # The first event's id; the second has none.
            [packets.Ids(0x7EE9_0000_0000_0001, [70_123])],
        ),
    ),
    "signals-again": (
        Header(AGENT, SESSION, 0x8000_0000),
        packets.Signals(
            ["disk.failing", "system"],
            [
                packets.WireEvent(0, Tier.ALERT, 1, 1, 0, 0, age)
                for age in (90_000, 50_000, 20_000)
            ],
            ids=[
                packets.Ids(0, [0]),
                packets.Ids(1, [0x7FFF_FFFF_FFFF_FFFF]),
                packets.Ids(0x7FFF_FFFF_FFFF_FFFF, [1]),
            ],
            again=[1, 2],
        ),
    ),
    "receipt": (
        Header(SERVER, SESSION, 4),
        packets.Receipt([packets.Ids(0x7EE9_0000_0000_0001, [70_123, 70_456])]),
    ),
    "receipt-dumb": (Header(SERVER), packets.Receipt([packets.Ids(77, [1])])),
    # The example in the manual.
    "signals-dumb": (
        Header(AGENT, sequence=1),
        packets.Signals(
            ["disk.failing", "system"],
            [packets.WireEvent(0, Tier.ALERT, 1, 3, -50, -60, 1500)],
            [],
            [],
            30,
            [packets.Ids(77, [1])],
        ),
    ),
    "bye": (Header(AGENT, SESSION, 4), packets.Bye()),
    "exception-version": (
        Header(SERVER),
        packets.ExceptionHint(ExceptionCode.VERSION, (3,)),
    ),
    "exception-not-admitted": (
        Header(SERVER),
        packets.ExceptionHint(ExceptionCode.NOT_ADMITTED, (3,)),
    ),
}

# What is said under the seal, after the handshake: from whom, the number, the body.
SEALED = {
    "sealed-classes": (AGENT, 1, packets.Classes("web7", ["web.example.org"], {})),
    "sealed-ack": (SERVER, 1, packets.Ack(1)),
    "sealed-signals": (
        AGENT,
        2,
        packets.SealedSignals(
            ["ssh.login-failed", "refusal", "cpu.load"],
            [
                packets.SealedEvent(
                    *(0, Tier.ALERT, 1, 1, 0, 0, 20),
                    instance="203.0.113.7",
                    text="Failed password for Zoë",
                )
            ],
            [packets.WireState(2, 2500, 0, 0)],
            [],
            30,
            [packets.Ids(0x7EE9_0000_0000_0001, [70_123])],
        ),
    ),
    "sealed-renew": (SERVER, 2, packets.Renew(10)),
    "sealed-receipt": (
        SERVER,
        3,
        packets.Receipt([packets.Ids(0x7EE9_0000_0000_0001, [70_123])]),
    ),
    "sealed-bye": (AGENT, 0x7FFF_FFFF, packets.Bye()),
}
HANDSHAKE = ("sealed-register", "sealed-grant")
NAMES = (*OPEN, *HANDSHAKE, *SEALED)


class Sealing:
    """Both ends of one handshake, their ephemerals fixed, and what they said."""

    def __init__(self):
        register = Header(AGENT, NONCE, key_id=KEY_ID)
        prologue = wire.encode_head(register, PacketType.REGISTER) + COOKIE
        agent = Initiator(KEY, prologue, AGENT_EPHEMERAL)
        server = Responder(KEY, prologue, SERVER_EPHEMERAL)
        first = agent.write(wire.write_inner(WISH))
        self.wish = wire.read_inner(server.read(first), packets.Wish)
        second = server.write(wire.write_inner(TERMS))
        self.terms = wire.read_inner(agent.read(second), packets.Terms)
        self.hellos = {"sealed-register": first, "sealed-grant": second}
        self.packets = {
            "sealed-register": (register, packets.Register(COOKIE, first)),
            "sealed-grant": (
                Header(SERVER, SESSION, key_id=KEY_ID),
                packets.Grant(NONCE, second),
            ),
        }
        self.from_, self.to = (
            {AGENT: agent.transport(), SERVER: server.transport()},
            {AGENT: server.transport(), SERVER: agent.transport()},
        )


def encoded():
    """Return every vector's bytes as they are made now."""
    sealing = Sealing()
    made = {n: wire.encode(*v) for n, v in (OPEN | sealing.packets).items()}
    for name, (sender, sequence, body) in SEALED.items():
        header = Header(sender, SESSION, sequence, KEY_ID)
        made[name] = wire.encode(header, body, sealing.from_[sender].seal)
    return made


def stored(name):
    return (DIRECTORY / f"{name}.bin").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_these_values_are_said_in_exactly_these_bytes(name):
    assert encoded()[name].hex() == stored(name).hex()


@pytest.mark.parametrize("name", OPEN)
def test_these_bytes_in_clear_mean_exactly_these_values(name):
    assert wire.decode(stored(name)) == OPEN[name]


@pytest.mark.parametrize("name", HANDSHAKE)
def test_these_bytes_of_a_handshake_mean_exactly_these_values(name):
    sealing = Sealing()
    assert wire.decode(stored(name)) == sealing.packets[name]
    assert (sealing.wish, sealing.terms) == (WISH, TERMS)


@pytest.mark.parametrize("name", SEALED)
def test_these_sealed_bytes_open_to_exactly_these_values(name):
    sender, sequence, body = SEALED[name]
    parsed = wire.parse(stored(name))
    assert parsed.header == Header(sender, SESSION, sequence, KEY_ID)
    transport = Sealing().to[sender]
    content = transport.open(sequence, parsed.head, parsed.body)
    assert wire.read(parsed.kind, content, sealed=True) == body


@pytest.mark.parametrize("name", OPEN)
def test_a_field_of_a_later_version_is_passed_over(name):
    data = stored(name)
    fields = msgspec.msgpack.decode(data[wire.HEADER_BYTES :])
    later = [*fields, {"later": [1.5, None, b"x"]}]
    data = data[: wire.HEADER_BYTES] + msgspec.msgpack.encode(later)
    assert wire.decode(data) == OPEN[name]


def test_an_offer_is_no_longer_than_its_request():
    assert len(stored("offer")) <= len(stored("request"))


def test_the_key_id_is_a_hash_that_stays():
    assert key_id(KEY) == KEY_ID


def test_every_type_of_packet_has_a_vector_and_every_vector_is_looked_at():
    kinds = {wire.parse(stored(name)).kind for name in NAMES}
    assert kinds == set(PacketType)
    files = {path.name for path in DIRECTORY.iterdir()}
    assert files == {SUMS, *(f"{name}.bin" for name in NAMES)}


# -- what is frozen --------------------------------------------------------------------


def digest(data):
    return hashlib.sha256(data).hexdigest()


def digests(directory):
    """Return the lines of SHA256SUMS: digest and name of a file."""
    file = directory / SUMS
    text = file.read_text() if file.exists() else ""
    return [tuple(line.split("  ")) for line in text.splitlines()]


def add_missing(directory):
    """Add vectors that are missing, and digests; return the names of the files."""
    known = {name: known for known, name in digests(directory)}
    added = []
    for vector, data in encoded().items():
        path = directory / f"{vector}.bin"
        name = path.name
        if not path.exists():
            if known.get(name, digest(data)) != digest(data):
                raise SystemExit(f"{name} is frozen, and would be made anew otherwise")
            path.write_bytes(data)
            added.append(name)
        if name not in known:
            with (directory / SUMS).open("a") as file:
                file.write(f"{digest(path.read_bytes())}  {name}\n")
            added.append(SUMS)
    return added


def test_no_vector_changes_or_vanishes_or_comes_without_its_digest():
    found = [(digest(p.read_bytes()), p.name) for p in DIRECTORY.glob("*.bin")]
    assert sorted(found) == sorted(digests(DIRECTORY))


def test_no_digest_that_is_frozen_changes_or_vanishes():
    count, frozen = FROZEN
    lines = (DIRECTORY / SUMS).read_bytes().splitlines(keepends=True)
    assert digest(b"".join(lines[:count])) == frozen


@pytest.fixture
def copy(tmp_path):
    """Return a copy of all vectors, to be played with."""
    return Path(shutil.copytree(DIRECTORY, tmp_path / "v3"))


def test_writing_changes_nothing_that_is_there(copy):
    (copy / "bye.bin").write_bytes(b"changed")
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert add_missing(copy) == []
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_writing_adds_a_new_vector_and_its_digest_at_the_end(copy):
    old = "".join(f"{d}  {n}\n" for d, n in digests(copy) if n != "bye.bin")
    (copy / SUMS).write_text(old)
    (copy / "bye.bin").unlink()
    assert add_missing(copy) == ["bye.bin", SUMS]
    assert (copy / "bye.bin").read_bytes() == stored("bye")
    assert (copy / SUMS).read_text() == f"{old}{digest(stored('bye'))}  bye.bin\n"


def test_writing_brings_a_frozen_vector_back_only_as_it_was(copy):
    (copy / "bye.bin").unlink()
    assert add_missing(copy) == ["bye.bin"]
    (copy / "bye.bin").unlink()
    other = (copy / SUMS).read_text().replace(digest(stored("bye")), 64 * "0")
    (copy / SUMS).write_text(other)
    with pytest.raises(SystemExit, match=r"bye\.bin is frozen"):
        add_missing(copy)
    assert not (copy / "bye.bin").exists()


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    print("wrote", *add_missing(DIRECTORY))  # noqa: T201 - a script
