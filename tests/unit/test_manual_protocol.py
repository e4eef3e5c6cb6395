"""The manual of the protocol is well-formed, and says what the packets are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from peep.protocol import packets, wire
from peep.protocol.packets import ExceptionCode, PacketType

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "man" / "peep-protocol.7"
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
    ],
)
def test_every_array_within_a_body_stands_there_with_its_fields(heading, struct):
    assert fields(heading) == list(struct.__struct_fields__)


@pytest.mark.parametrize("code", ExceptionCode)
def test_every_exception_stands_there(code):
    assert f".It {code:d} {code.name}\n" in PAGE.read_text()


def test_the_example_is_a_vector_byte_for_byte():
    data = (ROOT / "tests/vectors/v3/signals-dumb.bin").read_bytes()
    text = PAGE.read_text().split(".Sh EXAMPLES")[1]
    table, shell = re.findall(r"\.Bd -literal.*?\n(.*?)\.Ed", text, re.DOTALL)
    left = [re.match(r"(?: *[0-9a-f]{2}\b)*", line)[0] for line in table.splitlines()]
    assert bytes.fromhex("".join(left)) == data
    assert data.hex() == "".join(re.findall(r"[0-9a-f]{20,}", shell))
