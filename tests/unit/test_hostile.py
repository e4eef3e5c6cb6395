"""Datagrams that somebody forged: nothing changes, and each is counted by its reason.

test_protocol_sealed.py proves what a seal withstands: changed bits, replays of sealed
words, keys that are not shared, open words in sealed sessions, swapped grants, hints.
test_protocol_leases.py: a word from another address, cookies, floods, bounded tables
of pending and dumb senders. test_wire_property.py: any bytes. attacks.py: all of it, by
the million. Here is the rest, mostly about open sessions and about answers.
"""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import AGENT, SERVER, Wires, agent_machine, joined, server_machine

from peep.protocol import packets, wire
from peep.protocol.classes import matches
from peep.protocol.discovery import MAX_ASKED
from peep.protocol.door import COOKIE_LIFE_S
from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    Dropped,
    Gone,
    Joined,
    Lapsed,
    SignalReceived,
)
from peep.protocol.keys import ClassKey
from peep.protocol.packets import PacketType
from peep.protocol.registry import MAX_STALE
from peep.protocol.sessions import MAX_SOFT
from peep.reasons import Reason
from peep.signals import Event, State, Tier

STRANGER = ("10.0.0.66", 40001)
NEAR = (ipaddress.ip_network("10.0.0.0/24"),)
KEY = ClassKey("web", b"n" * 32)
WISH = wire.write_inner(packets.Wish())


def sealed(**more):
    wires = Wires()
    wires.add(server_machine(classes=("web",), keys=(KEY,), **more), SERVER)
    wires.add(agent_machine(classes=("web",), keys=(KEY,)), AGENT)
    wires.run(1)
    return wires


def captured(kind, **more):
    """Return wires on which all is well, and the newest datagram of a type there."""
    wires = joined(**more)
    wires.send(AGENT, Event(name="x", tier=Tier.ALERT))
    wires.send(AGENT, State(name="load", value=0.5))
    wires.run(100)
    wires.stop(AGENT) if kind is PacketType.BYE else None
    data = [d for _, _, _, d in wires.sent if d[1] == kind][-1]
    wires.run(1)
    for address in (AGENT, SERVER):
        wires.told(address)
    return wires, data


def state(wires):
    """Return what both machines believe of each other."""
    server, agent = wires.machines[SERVER], wires.machines[AGENT]
    return (
        [
            (s.session, s.stage, s.heard_at, s.class_name, s.peer, s.window.highest)
            for s in server._registry.sessions.values()
        ],
        [
            (k.session, k.stage, k.heard_at, k.lease_s, k.address, k.window.highest)
            for k in agent._links.values()
        ],
        (
            len(server._registry._dumb),
            len(server._registry._registered),
            server.agents(),
            agent.leased(),
        ),
    )


def feed(wires, target, data, source):
    """Give a machine one datagram; return its answers and what it told."""
    machine = wires.machines[target]
    machine.receive_datagram(data, source, wires.now)
    answers = machine.datagrams_to_send(wires.now)
    told = []
    while (event := machine.next_event()) is not None:
        told.append(event)
    return answers, told


def target_of(kind):
    """Return who takes a type, and from whom."""
    to_agent = {PacketType.ANNOUNCE, PacketType.OFFER, PacketType.GRANT}
    if kind in to_agent | {PacketType.RENEW}:
        return AGENT, SERVER
    return SERVER, AGENT


# What becomes of each type when a stranger says it with the right ids.
FORGED = {
    PacketType.REGISTER: Reason.BAD_COOKIE,
    PacketType.GRANT: Reason.UNASKED,
    PacketType.CLASSES: Reason.WRONG_ADDRESS,
    PacketType.RENEW: Reason.WRONG_ADDRESS,
    PacketType.ACK: Reason.WRONG_ADDRESS,
    PacketType.SIGNALS: Reason.WRONG_ADDRESS,
}
# And when it comes once more from where it came from.
REPLAYED = {
    PacketType.ANNOUNCE: None,
    PacketType.OFFER: Reason.UNASKED,
    PacketType.REGISTER: Reason.BAD_COOKIE,
    PacketType.GRANT: None,
    PacketType.CLASSES: Reason.REPLAYED,
    PacketType.RENEW: Reason.REPLAYED,
    PacketType.ACK: Reason.REPLAYED,
    PacketType.SIGNALS: Reason.REPLAYED,
}


@pytest.mark.parametrize("kind", FORGED)
def test_the_right_ids_from_the_wrong_address_do_nothing(kind):
    wires, data = captured(kind)
    before = state(wires)
    target, _ = target_of(kind)
    answers, told = feed(wires, target, data, STRANGER)
    assert told == [Dropped(FORGED[kind], STRANGER)]
    assert answers == []
    assert state(wires) == before


@pytest.mark.parametrize("kind", REPLAYED)
def test_a_datagram_that_comes_again_does_nothing(kind):
    wires, data = captured(kind)
    before = state(wires)
    target, source = target_of(kind)
    answers, told = feed(wires, target, data, source)
    reason = REPLAYED[kind]
    assert told == ([] if reason is None else [Dropped(reason, source)])
    assert answers == []
    assert state(wires) == before


def test_a_session_that_ended_does_not_come_back_by_a_replay():
    wires, bye = captured(PacketType.BYE)
    for _, source, to, data in list(wires.sent):
        if to == SERVER:
            answers, told = feed(wires, SERVER, data, source)
            assert not any(isinstance(e, AgentJoined | SignalReceived) for e in told)
            assert sum(len(a.data) for a in answers) <= len(data)
    assert feed(wires, SERVER, bye, AGENT)[1] == [
        Dropped(Reason.UNKNOWN_SESSION, AGENT)
    ]
    assert wires.machines[SERVER].agents() == 0


def test_a_register_that_is_replayed_after_the_end_makes_no_lease():
    wires = joined()
    register = next(d for _, _, _, d in wires.sent if d[1] == PacketType.REGISTER)
    wires.stop(AGENT)
    wires.run(1)
    wires.told(SERVER)
    (grant,), told = feed(wires, SERVER, register, AGENT)
    assert told == []
    wires.run(COOKIE_LIFE_S)
    assert wires.machines[SERVER].agents() == 0
    assert wires.machines[SERVER]._registry.sessions == {}
    assert wires.told(SERVER) == []
    old = next(d for _, _, _, d in wires.sent if d[1] == PacketType.GRANT)
    assert wire.decode(grant.data)[0].session != wire.decode(old)[0].session


def test_an_old_cookie_is_none():
    wires = joined()
    register = next(d for _, _, _, d in wires.sent if d[1] == PacketType.REGISTER)
    wires.stop(AGENT)
    wires.run(2 * COOKIE_LIFE_S)
    wires.told(SERVER)
    answers, told = feed(wires, SERVER, register, AGENT)
    assert told == [Dropped(Reason.BAD_COOKIE, AGENT)]
    assert answers == []


@pytest.mark.parametrize("kind", [*FORGED, PacketType.ANNOUNCE, PacketType.OFFER])
def test_no_datagram_that_was_cut_short_does_anything(kind):
    wires, data = captured(kind)
    before = state(wires)
    target, source = target_of(kind)
    for size in range(len(data)):
        answers, told = feed(wires, target, data[:size], source)
        assert told == [Dropped(Reason.MALFORMED, source)], size
        assert answers == []
    assert state(wires) == before


@pytest.mark.parametrize("kind", PacketType)
@pytest.mark.parametrize("target", [AGENT, SERVER])
def test_what_is_too_large_is_refused_before_it_is_read(kind, target):
    wires = joined()
    wires.told(target)
    before = state(wires)
    head = wire.encode_head(wire.Header(b"s" * 8), kind)
    for data in (head.ljust(wire.TABLE[kind][1] + 1, b"\x90"), head.ljust(60_000)):
        answers, told = feed(wires, target, data, STRANGER)
        assert told == [Dropped(Reason.TOO_LARGE, STRANGER)]
        assert answers == []
    assert state(wires) == before


def test_a_register_made_with_another_key_of_the_same_name_is_refused():
    wires = sealed()
    other = ClassKey("web", b"z" * 32)
    server = wires.machines[SERVER]
    request = wire.encode(wire.Header(b"a" * 8), packets.Request(["web"]))
    (offer,), _ = feed(wires, SERVER, request, STRANGER)
    cookie = wire.decode(offer.data)[1].cookie
    before = state(wires)
    wires.told(SERVER)
    for key_id, hello, reason in (
        (other.key_id, b"h" * 50, Reason.UNKNOWN_KEY),
        (KEY.key_id, b"h" * 50, Reason.BAD_SEAL),
        (KEY.key_id, b"", Reason.BAD_SEAL),
        (0, b"", Reason.MALFORMED),
        (0, b"\x91\xff", Reason.MALFORMED),
        (0, b"\x91\xce\xff\xff\xff\xff", Reason.FOREVER),
    ):
        header = wire.Header(b"a" * 8, b"n" * 8, key_id=key_id)
        data = wire.encode(header, packets.Register(cookie, hello))
        answers, told = feed(wires, SERVER, data, STRANGER)
        assert told == [Dropped(reason, STRANGER)]
        assert sum(len(a.data) for a in answers) <= len(data)
    assert state(wires) == before
    assert server._registry.pending == 0


def test_a_sealed_session_is_not_ended_by_any_open_word_of_a_neighbour():
    wires = sealed()
    (session,) = wires.machines[SERVER]._registry.sessions.values()
    before = state(wires)
    for kind in packets.PacketType:
        for key_id in (0, KEY.key_id):
            for target, source, sender in (
                (SERVER, AGENT, (1).to_bytes(8, "big")),
                (AGENT, SERVER, (100).to_bytes(8, "big")),
            ):
                header = wire.Header(sender, session.session, 500, key_id)
                data = wire.encode_head(header, kind) + b"\x90" + bytes(40)
                _, told = feed(wires, target, data, source)
                assert [type(event) for event in told] == [Dropped]
    assert state(wires) == before


def test_a_true_grant_is_taken_after_one_whose_header_was_changed():
    wires = Wires()
    wires.add(server_machine(classes=("web",), keys=(KEY,)), SERVER)
    changed = []

    def change(data, source, to):
        if data[1] == PacketType.GRANT and not changed:
            changed.append(data[:16] + b"x" * 8 + data[24:])
            wires.machines[AGENT].receive_datagram(changed[0], SERVER, wires.now)
        return False

    wires.lose = change
    wires.add(agent_machine(classes=("web",), keys=(KEY,)), AGENT)
    wires.run(1)
    assert changed
    assert [e.reason for e in wires.told(AGENT, Dropped)] == [Reason.MALFORMED]
    assert len(wires.told(SERVER, AgentJoined)) == 1
    wires.send(AGENT, Event(name="x", tier=Tier.ALERT, text="t"))
    wires.run(1)
    (received,) = wires.told(SERVER, SignalReceived)
    assert received.signal.text == "t"


@pytest.mark.parametrize(
    "address", ["172.16.0.1", "10.0.1.9", "8.8.8.8", "2001:db8::1", "fe80::1%eth0"]
)
def test_announcements_from_foreign_networks_lead_to_no_question(address):
    wires = Wires()
    wires.add(agent_machine(near=NEAR), AGENT)
    wires.run(20)
    body = packets.Announce(["public"], 3)
    for number in range(50):
        data = wire.encode(wire.Header(b"f" * 8, sequence=number), body)
        answers, told = feed(wires, AGENT, data, (address, 2001))
        assert told == [Dropped(Reason.NOT_NEAR, (address, 2001))]
        assert answers == []
    asked = len(wires.sent)
    wires.run(20)
    assert len(wires.sent) == asked


@pytest.mark.parametrize("classes", [["public"] * 61, ["x.org"] * 64, ["public"]])
@pytest.mark.parametrize("padding", [b"", bytes(8), bytes(16), bytes(24), bytes(60)])
def test_no_question_gets_an_answer_that_is_larger(classes, padding):
    wires = joined(classes=("public", "*.org"))
    wires.told(SERVER)
    request = packets.Request(classes, [], padding)
    head = wire.encode_head(wire.Header(b"a" * 8), PacketType.REQUEST)
    data = head + wire.msgspec.msgpack.encode(request)
    answers, told = feed(wires, SERVER, data, STRANGER)
    assert len(answers) + len(told) == 1
    assert sum(len(a.data) for a in answers) <= len(data)
    if told:
        assert told[0].reason in (Reason.MALFORMED, Reason.TOO_LARGE)


@pytest.mark.parametrize("key_id", [0, KEY.key_id, 5])
@pytest.mark.parametrize("version", [0, 1, 3, 9])
@pytest.mark.parametrize("kind", [*PacketType, 0, 13, 255])
def test_no_bare_header_gets_an_answer_that_is_larger(version, kind, key_id):
    server = server_machine(classes=("web", "public"), keys=(KEY,))
    server.start(0.0)
    header = wire.Header(b"a" * 8, b"s" * 8, 1, key_id)
    head = wire.encode_head(header, PacketType.BYE)
    whole = bytes([version, kind]) + head[2:] + b"\x91\x90" + bytes(60)
    for size in range(1, len(whole)):
        server.receive_datagram(whole[:size], STRANGER, 0.0)
        answers = server.datagrams_to_send(0.0)
        assert sum(len(a.data) for a in answers) <= size
        assert {a.to for a in answers} <= {STRANGER}
    assert server._registry.sessions == {}


def test_who_comes_and_goes_leaves_nothing_behind():
    wires = joined()
    server = wires.machines[SERVER]
    cookie = server._door._cookie(b"a" * 8, STRANGER, wires.now, 0)
    hello = packets.Classes("h", ["public"])
    for number in range(3 * MAX_STALE):
        nonce = number.to_bytes(8, "big")
        register = packets.Register(cookie, WISH)
        data = wire.encode(wire.Header(b"a" * 8, nonce), register)
        (grant,), _ = feed(wires, SERVER, data, STRANGER)
        session = wire.decode(grant.data)[0].session
        for sequence, body in enumerate((hello, packets.Bye())):
            header = wire.Header(b"a" * 8, session, sequence)
            feed(wires, SERVER, wire.encode(header, body), STRANGER)
    assert server.agents() == 1
    assert len(server._registry._registered) == len(server._registry._by_agent) == 1
    assert len(server._registry._heap) <= MAX_STALE + 2
    wires.run(300)
    assert not wires.told(SERVER, AgentLate), "the honest one is still prompted"
    assert len(server._registry._heap) == 1


def test_sessions_are_bounded_and_the_honest_one_stays(monkeypatch):
    monkeypatch.setattr("peep.protocol.registry.MAX_SESSIONS", 3)
    wires = joined()
    for number in range(2, 6):
        wires.add(agent_machine(number, seed=number), ("10.0.0.66", number))
    wires.run(5)
    assert wires.machines[SERVER].agents() == 3
    assert Reason.TABLE_FULL in {e.reason for e in wires.told(SERVER, Dropped)}
    assert wires.machines[AGENT].leased() == 1


def test_false_servers_are_bounded_and_end_no_true_lease():
    wires = joined()
    agent = wires.machines[AGENT]
    agent.set_near(NEAR, wires.now)
    wires.run(1)
    wires.told(AGENT)
    reasons = []
    for number in range(100):
        offer = packets.Offer(b"c" * 16, ["public"])
        data = wire.encode(wire.Header(b"f" + number.to_bytes(7, "big")), offer)
        answers, told = feed(wires, AGENT, data, ("10.0.0.66", 1000 + number))
        assert len(answers) <= 1
        reasons += [event.reason for event in told]
    assert set(reasons) == {Reason.TABLE_FULL}
    assert len(agent._links) == 32
    wires.run(100)
    assert len(agent._links) == 1
    assert not wires.told(AGENT, Lapsed)
    assert SERVER not in {event.address for event in wires.told(AGENT, Gone)}


def test_what_is_remembered_of_announcements_is_bounded():
    agent = agent_machine(near=(ipaddress.ip_network("10.0.0.0/8"),))
    data = wire.encode(wire.Header(b"f" * 8), packets.Announce(["public"]))
    for number in range(3 * MAX_ASKED):
        address = (f"10.0.{number // 250}.{number % 250}", 2001)
        agent.receive_datagram(data, address, 0.0)
    assert len(agent._seeker._asked) == len(agent._seeker._planned) == MAX_ASKED
    agent.handle_timer(1.0)
    assert len(agent.datagrams_to_send(1.0)) == MAX_ASKED


def test_what_is_remembered_of_states_is_bounded():
    wires = joined()
    (session,) = wires.machines[SERVER]._registry.sessions.values()
    for sequence in range(500, 1000):
        names = [f"s{sequence}-{number}" for number in range(5)]
        states = [packets.WireState(number, 0, 0, 0) for number in range(5)]
        header = wire.Header((1).to_bytes(8, "big"), session.session, sequence)
        data = wire.encode(header, packets.Signals(names, [], states))
        assert len(feed(wires, SERVER, data, AGENT)[1]) == 5
    assert len(session.soft) == MAX_SOFT


def test_an_agent_that_ends_or_changes_as_its_numbers_run_out_ends_cleanly(
    monkeypatch,
):
    monkeypatch.setattr("peep.protocol.agent.REKEY_AT", 1)
    for end in ("stop", "set_classes"):
        wires = Wires()
        wires.add(agent_machine(classes=("public", "web"), keys=(KEY,)), AGENT)
        wires.lose = lambda data, source, to: False
        wires.add(server_machine(), SERVER)
        wires.run(0.3)
        agent = wires.machines[AGENT]
        agent.send(Event(name="x"), wires.now)
        if end == "stop":
            agent.stop(wires.now)
        else:
            agent.set_classes(("public",), wires.now)
        wires._pump(AGENT)
        wires.run(1)
        assert wires.told(SERVER, AgentLeft)
        assert wires.told(AGENT, Joined)


label = st.from_regex(r"\A[a-z0-9-]{1,12}\Z")


@given(st.lists(label, min_size=2, max_size=3), st.lists(label, max_size=2), label)
def test_a_wildcard_takes_whole_labels_only(suffix, below, glued):
    domain = ".".join(suffix)
    if len(domain) > 40:
        return
    wildcard = f"*.{domain}"
    name = ".".join([*below, domain])
    assert matches(wildcard, name) is bool(below)
    assert not matches(wildcard, glued + domain), "badexample.org is not example.org"
    assert not matches(wildcard, "." + domain)
    assert not matches(wildcard, domain + glued)
    assert not matches(domain, name) or not below


@pytest.mark.parametrize(
    "name", ["badexample.org", "example.org", ".example.org", "bad.example.orgs"]
)
def test_names_that_only_look_like_a_wildcards_own_make_no_lease(name):
    wires = Wires()
    wires.add(server_machine(classes=("*.example.org",)), SERVER)
    wires.add(agent_machine(classes=(name,)), AGENT)
    wires.run(10)
    assert not wires.told(SERVER, AgentJoined)
