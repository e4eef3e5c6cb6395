"""Questions to name servers, and replies: right ones, forged ones, any bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.sources.dns_query import TYPES, is_name, question, trouble

# Set down by hand: number 0x1234, "recursion desired", one question for A of a.bc.
ASKED = bytes.fromhex("1234 0100 0001 0000 0000 0000 01 61 02 6263 00 0001 0001")
ANSWER = bytes.fromhex("c00c 0001 0001 0000003c 0004 c0000207")


def reply(flags=0x8180, number=0x1234, answers=1, asked=ASKED, questions=1) -> bytes:
    head = struct.pack(">HHHHHH", number, flags, questions, answers, 0, 0)
    return head + asked[12:] + ANSWER * answers


def test_a_question_is_packed_as_the_standard_has_it():
    assert question("a.bc", "A", 0x1234) == ASKED
    assert question("a.bc.", "A", 0x1234) == ASKED
    assert question("a.bc", "AAAA", 1)[-4:] == b"\0\x1c\0\1"


def test_an_answer_is_no_trouble():
    assert trouble(ASKED, reply()) == ""
    assert trouble(ASKED, reply(asked=ASKED.replace(b"bc", b"BC"))) == ""
    assert trouble(ASKED, reply(flags=0x8380)) == "", "cut, but an answer"


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (reply(answers=0), "the name has no such record"),
        (reply(flags=0x8183), "the name server knows no such name"),
        (reply(flags=0x8182), "the name server fails"),
        (reply(flags=0x8185), "the name server refuses"),
        (reply(flags=0x818F), "the name server has error 15"),
    ],
)
def test_what_the_server_says_is_told(packet, said):
    assert trouble(ASKED, packet) == said


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        ASKED,
        reply()[:20],
        reply(number=0x1235),
        reply(questions=0),
        reply(asked=question("a.bd", "A", 1)),
        reply(asked=question("a.bc", "MX", 1)),
    ],
)
def test_what_answers_another_question_is_passed_over(packet):
    assert trouble(ASKED, packet) is None


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("example.org", True),
        ("_peep._udp.example.org.", True),
        ("a" * 63, True),
        ("a" * 64, False),
        (".".join(["a" * 50] * 6), False),
        ("", False),
        (".", False),
        ("a..b", False),
        ("a b", False),
        ("ü.de", False),
    ],
)
def test_only_names_are_asked_for(name, may):
    assert is_name(name) is may


@given(st.binary(max_size=80), st.sampled_from(sorted(TYPES)))
def test_any_packet_is_an_answer_or_is_not(packet, kind):
    asked = question("example.org", kind, 7)
    assert trouble(asked, packet) in (None, "") or packet[:2] == asked[:2]
    assert trouble(asked, asked[:2] + packet) is None or len(packet) >= len(asked) - 2
