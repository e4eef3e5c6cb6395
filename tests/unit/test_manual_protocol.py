"""The manual of the protocol is well-formed, and says what the packets are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from peep.journal import store
from peep.protocol import (
    agent,
    discovery,
    door,
    mail,
    outbox,
    packets,
    registry,
    server,
    sessions,
    wire,
)
from peep.protocol.packets import ExceptionCode, PacketType
from peep.server import alerts

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "man" / "peep-protocol.7"
VECTORS = ROOT / "tests" / "vectors" / "v3"
WIDTH = 80


def mandoc(*words):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(
        ["mandoc", *words, PAGE], capture_output=True, text=True, check=False
    )
    return re.sub(".\b", "", done.stdout)


def fields(heading):
    """Return the first words of the table's rows that follow this line."""
    table = PAGE.read_text().split(f"\n{heading}", 1)[1].split(".El")[0]
    return re.findall(r"^\.It ([a-z_]+) Ta", table, re.MULTILINE)


def test_mandoc_finds_nothing_to_complain_about():
    assert mandoc("-T", "lint", "-W", "warning") == ""


def test_no_line_is_too_wide_for_a_terminal():
    text = mandoc("-T", "ascii", "-O", f"width={WIDTH}")
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("kind", PacketType)
def test_every_packet_stands_there_with_its_number_its_limit_and_its_fields(kind):
    text = PAGE.read_text()
    body, limit = wire.TABLE[kind]
    assert re.search(
        rf"^\.It {kind:d} Ta {kind.name} Ta .* Ta {limit}$", text, re.MULTILINE
    )
    heading = f".Ss {kind.name} ({kind:d})"
    assert heading in text
    if kind is PacketType.SIGNALS:
        heading = "One datagram carries many signals:"
    if body.__struct_fields__:
        assert fields(heading) == list(body.__struct_fields__)


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        (".It Em Wish", packets.Wish),
        (".It Em Terms", packets.Terms),
        ("An event happened once:", packets.SealedEvent),
        ("A state says how much:", packets.WireState),
        ("A heartbeat is a rhythm", packets.WireHeartbeat),
        (".It Em Ids", packets.Ids),
    ],
)
def test_every_array_within_a_body_stands_there_with_its_fields(heading, struct):
    assert fields(heading) == list(struct.__struct_fields__)


@pytest.mark.parametrize("code", ExceptionCode)
def test_every_exception_stands_there(code):
    assert f".It {code:d} {code.name}\n" in PAGE.read_text()


@pytest.mark.parametrize(
    ("what", "bound"),
    [
        ("sessions", registry.MAX_SESSIONS),
        (
            "of these pending",
            f"{registry.MAX_PENDING}, for {sessions.PENDING_S:g} s each",
        ),
        ("dumb senders", registry.MAX_DUMB),
        ("names of states in order, each sender", sessions.MAX_SOFT),
        ("lost agents remembered", server.MAX_LOST),
        ("alerts known again", alerts.KEPT),
        ("alerts named again in RENEW", sessions.RECENT_RECEIPTS),
        ("EXCEPTIONs a second", f"{door.HINTS_PER_S:g}"),
        ("servers", agent.MAX_LINKS),
        ("addresses asked lately", discovery.MAX_ASKED),
        ("states repeated", mail.MAX_SOFT),
        ("events kept while alone", mail.MAX_RING),
        (
            "alerts kept until confirmed",
            f"{outbox.MAX_ALERTS}, of them on disk {store.MAX_ALERTS}",
        ),
        ("of these under way to one server", outbox.WINDOW),
    ],
)
def test_every_bound_is_the_one_that_holds(what, bound):
    assert f"\n.It {what} Ta {bound}\n" in PAGE.read_text()


def test_the_gaps_between_repetitions_are_those_that_are_kept():
    *first, last = (f"{gap:g}" for gap in outbox.REPEATS_S)
    gaps = f"{', '.join(first)} and {last} s"
    assert f"\nIt follows after {gaps}, each" in PAGE.read_text()


def test_types_beyond_the_last_are_reserved():
    reserved = f"so {max(PacketType) + 1} and above are\nreserved types."
    assert reserved in PAGE.read_text()


def test_the_examples_are_vectors_byte_for_byte():
    text = PAGE.read_text().split(".Sh EXAMPLES")[1]
    blocks = re.findall(r"\.Bd -literal.*?\n(.*?)\.Ed", text, re.DOTALL)
    table, shell, receipt = blocks
    alert = (VECTORS / "signals-dumb.bin").read_bytes()
    assert f"\n{len(alert)} bytes to port {packets.SERVER_PORT}." in text
    assert left(table) == alert
    assert "".join(re.findall(r"[0-9a-f]{20,}", shell)) == alert.hex()
    assert left(receipt) == (VECTORS / "receipt-dumb.bin").read_bytes()


def left(block):
    """Return the bytes that stand in hexadecimal at the left of these lines."""
    lines = block.splitlines()
    found = [re.match(r"(?: *[0-9a-f]{2}\b)*", line)[0] for line in lines]
    return bytes.fromhex("".join(found))
