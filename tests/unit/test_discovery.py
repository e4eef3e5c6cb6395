"""Finding servers: how much is asked, how often, and of whom."""

import ipaddress
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wires import server_machine

from peep.protocol import packets, wire
from peep.protocol.addresses import Broadcast
from peep.protocol.classes import NONE
from peep.protocol.discovery import (
    ANSWER_WINDOW_S,
    ASK_AGAIN_S,
    ASK_TIMES,
    MAX_ASKED,
    DiscoveryProtocol,
    Found,
    SeekConfig,
    Seeker,
    by_subnets,
    split,
)
from peep.protocol.packets import (
    ANNOUNCE_PORT,
    COOKIE_BYTES,
    ID_BYTES,
    MAX_CLASSES,
    MAX_DISCOVERY_BYTES,
    SERVER_PORT,
)
from peep.protocol.wire import Header

SERVER = ("127.0.0.1", 2001)
ID = b"a" * ID_BYTES
CLASS_NAMES = st.text(
    st.characters(min_codepoint=ord("!"), max_codepoint=ord("~")),
    min_size=1,
    max_size=64,
).filter(lambda name: not name.startswith("*."))
CLASSES = st.lists(CLASS_NAMES, min_size=1, max_size=100, unique=True)
IDS = st.lists(st.binary(min_size=ID_BYTES, max_size=ID_BYTES), max_size=40)


def seeker(classes=("web",), heard=(), chance=lambda: 0.5):
    config = SeekConfig(agent_id=ID, classes=tuple(classes))
    return Seeker(config, chance, lambda: list(heard))


def asked(seeking, now=0.0):
    """The datagrams of a burst's first questions."""
    seeking.start(now)
    seeking.handle_timer(seeking.next_timer())
    return seeking.out


def announce(classes=("web",), sender=b"s" * ID_BYTES):
    return wire.encode(Header(sender, sequence=1), packets.Announce(list(classes)))


def offer(classes=("web",), sender=b"s" * ID_BYTES):
    body = packets.Offer(b"c" * COOKIE_BYTES, list(classes))
    return wire.encode(Header(sender), body)


# ---- how much is asked -----------------------------------------------------------


@settings(deadline=None)
@given(CLASSES, st.integers(64, 400))
def test_split_keeps_every_class_in_order_and_every_part_within_its_bounds(
    classes, room
):
    parts = split(classes, room)
    assert [name for part in parts for name in part] == classes
    for part in parts:
        assert 1 <= len(part) <= MAX_CLASSES
        assert sum(len(name) + 2 for name in part) <= room or len(part) == 1


def test_split_is_not_wasteful():
    assert len(split(["x" * 10] * 20, 240)) == 1
    assert len(split(["x" * 10] * 21, 240)) == 2
    assert split([], 240) == []


@settings(deadline=None)
@given(CLASSES, IDS)
def test_every_question_fits_a_discovery_datagram_and_can_be_read(classes, heard):
    told = []
    for data, _ in asked(seeker(classes, heard)):
        assert len(data) <= MAX_DISCOVERY_BYTES
        header, body = wire.decode(data)
        assert header.sender == ID
        assert isinstance(body, packets.Request)
        assert body.heard == heard[: packets.MAX_HEARD]
        told += body.classes
    spoken = [name for name in classes if name != "none"]
    assert sorted(told) == sorted(spoken * 2), "once for each of the two ports"


def test_the_longest_classes_and_the_most_servers_still_fit():
    classes = [f"{number:064}" for number in range(64)]
    heard = [number.to_bytes(ID_BYTES, "big") for number in range(100)]
    questions = asked(seeker(classes, heard))
    assert len(questions) == 2 * 22
    assert all(len(data) <= MAX_DISCOVERY_BYTES for data, _ in questions)


@settings(deadline=None)
@given(CLASSES.filter(lambda names: len(names) <= MAX_CLASSES), IDS)
def test_no_offer_is_larger_than_the_question_it_answers(classes, heard):
    server = server_machine(classes=tuple(classes))
    for data, _ in asked(seeker(classes, heard)):
        server.receive_datagram(data, SERVER, 0.0)
        answers = server.datagrams_to_send(0.0)
        assert len(answers) == 1
        assert isinstance(wire.decode(answers[0].data)[1], packets.Offer)
        assert len(answers[0].data) <= len(data)


# ---- how often ------------------------------------------------------------------


def test_a_burst_asks_both_ports_a_few_times_and_then_nobody():
    seeking = seeker(chance=random.Random(1).random)
    seeking.start(100.0)
    while (now := seeking.next_timer()) is not None:
        seeking.handle_timer(now)
        assert now < 115.0
    ports = [to.port for _, to in seeking.out]
    assert all(isinstance(to, Broadcast) for _, to in seeking.out)
    assert ports.count(SERVER_PORT) == ports.count(ANNOUNCE_PORT)
    assert 3 <= ports.count(SERVER_PORT) <= 8


def test_nobody_is_asked_before_it_is_time_or_after_a_stop():
    seeking = seeker()
    seeking.start(100.0)
    seeking.handle_timer(100.0)
    assert seeking.out == []
    seeking.stop()
    assert seeking.next_timer() is None
    seeking.handle_timer(200.0)
    assert seeking.out == []


def answered(machine, address, now):
    """How often an address was asked until some time."""
    while (due := machine.next_timer()) is not None and due <= now:
        machine.handle_timer(due)
    return [to for _, to in machine.datagrams_to_send(now)].count(address)


def discovery(classes=("web",)):
    config = SeekConfig(agent_id=ID, classes=tuple(classes))
    return DiscoveryProtocol(config, random.Random(1).random)


def test_a_storm_of_announcements_leads_to_a_few_questions():
    machine = discovery()
    for step in range(100):
        machine.receive_datagram(announce(), SERVER, step / 200)
    assert answered(machine, SERVER, 5.0) == ASK_TIMES
    machine.receive_datagram(announce(), SERVER, 5.0 + ASK_AGAIN_S)
    assert answered(machine, SERVER, 11.0) == ASK_TIMES


def test_a_storm_of_false_servers_fills_nobody_s_memory():
    machine = discovery()
    for number in range(2 * MAX_ASKED):
        address = (f"10.0.{number // 256}.{number % 256}", 2001)
        machine.receive_datagram(announce(), address, 0.0)
    assert len(machine._seeker._planned) == MAX_ASKED
    assert len(machine._seeker._asked) == MAX_ASKED
    machine.stop(0.0)
    assert machine.next_timer() is None


@pytest.mark.parametrize(
    ("theirs", "count"),
    [(("web",), 1), (("other", "web"), 1), (("other",), 0), ((), 0)],
)
def test_only_servers_that_may_be_ours_are_asked(theirs, count):
    machine = discovery()
    machine.receive_datagram(announce(theirs), SERVER, 0.0)
    assert answered(machine, SERVER, 6.0) == count * ASK_TIMES


def test_a_wildcard_is_asked_about_what_lies_below_it_only():
    below, beside = discovery(["a.example.org"]), discovery(["badexample.org"])
    for machine, count in ((below, 1), (beside, 0)):
        machine.receive_datagram(announce(["*.example.org"]), SERVER, 0.0)
        assert answered(machine, SERVER, 6.0) == count * ASK_TIMES


def test_an_announcement_from_afar_is_not_believed_unless_it_was_asked():
    config = SeekConfig(
        agent_id=ID, classes=("web",), near=(ipaddress.ip_network("10.0.0.0/8"),)
    )
    machine = DiscoveryProtocol(config, random.Random(1).random)
    near, far = ("10.1.2.3", 2001), ("192.0.2.3", 2001)
    for address, count in ((near, 1), (far, 0)):
        machine.receive_datagram(announce(), address, 0.0)
        assert answered(machine, address, 6.0) == count * ASK_TIMES
    machine.propose(far, 10.0)
    machine.receive_datagram(announce(), far, 20.0)
    assert answered(machine, far, 25.0) == 1 + ASK_TIMES


def test_a_class_that_is_kept_within_subnets_is_asked_for_only_there():
    found = by_subnets(["a", NONE, "b", "c"], {"b": ("lo",)})
    assert found == [((), ["a", "c"]), (("lo",), ["b"])]


def test_a_server_that_was_proposed_is_asked_at_once():
    machine = discovery()
    for _ in range(3):
        machine.propose(SERVER, 1.0)
    assert [to for _, to in machine.datagrams_to_send(1.0)] == [SERVER]


# ---- who answers ---------------------------------------------------------------


def test_an_offer_that_was_asked_for_is_told_once():
    machine = discovery()
    machine.propose(SERVER, 0.0)
    for _ in range(2):
        machine.receive_datagram(offer(("web", "other")), SERVER, 1.0)
    found = Found(SERVER, b"s" * ID_BYTES, ("web",), b"c" * COOKIE_BYTES)
    assert machine.next_event() == found
    assert machine.next_event() is None


@pytest.mark.parametrize(
    ("data", "now"),
    [
        (offer(), ANSWER_WINDOW_S + 1.0),
        (offer(("other",)), 1.0),
        (announce(("other",)), 1.0),
        (wire.encode(Header(ID), packets.Bye()), 1.0),
        (b"", 1.0),
        (b"\x03\x03junk", 1.0),
    ],
    ids=["late", "no class of ours", "no offer", "not for us", "nothing", "junk"],
)
def test_whatever_else_comes_is_nothing(data, now):
    machine = discovery()
    machine.propose(SERVER, 0.0)
    machine.receive_datagram(data, SERVER, now)
    assert machine.next_event() is None


def test_servers_that_were_found_are_bounded_and_named_in_the_next_question():
    machine = discovery()
    machine.propose(SERVER, 0.0)
    for number in range(2 * MAX_ASKED):
        sender = number.to_bytes(ID_BYTES, "big")
        machine.receive_datagram(offer(sender=sender), SERVER, 1.0)
    told = []
    while (event := machine.next_event()) is not None:
        told.append(event.server_id)
    assert len(told) == MAX_ASKED
    machine.datagrams_to_send(1.0)
    machine.propose(SERVER, 10.0)
    ((data, _),) = machine.datagrams_to_send(10.0)
    assert wire.decode(data)[1].heard == told[: packets.MAX_HEARD]
