"""Sealed sessions between the real machines, over wires that anybody may tap."""

import ipaddress

import pytest
from wires import AGENT, SERVER, Wires, agent_machine, joined, server_machine

from peep.protocol import packets, wire
from peep.protocol.discovery import DiscoveryProtocol, SeekConfig
from peep.protocol.events import (
    AgentJoined,
    AgentLeft,
    AgentLost,
    Dropped,
    Gone,
    Joined,
    Refused,
    SignalReceived,
)
from peep.protocol.keys import ClassKey
from peep.protocol.policy import Policy
from peep.protocol.profiles import CLASSIC
from peep.reasons import Reason
from peep.signals import Event, State, Tier

NEW, OLD = ClassKey("web", b"n" * 32), ClassKey("web", b"o" * 32)
SECRET = Event(
    name="ssh.login-failed", tier=Tier.ALERT, instance="203.0.113.7", text="hunter2 ü"
)


def pair(agent_keys=(NEW,), server_keys=(NEW,), classes=("web",), **more):
    wires = Wires()
    wires.add(server_machine(classes=classes, keys=server_keys, **more), SERVER)
    wires.add(agent_machine(classes=("web",), keys=agent_keys), AGENT)
    wires.run(1)
    return wires


def reasons(wires, address=SERVER):
    return {e.reason for e in wires.told(address, Dropped)}


def test_text_and_instance_travel_in_a_sealed_session_and_nobody_else_reads_them():
    wires = pair()
    wires.send(AGENT, SECRET)
    wires.send(AGENT, State(name="load", value=0.5))
    wires.run(1)
    event, state = [e.signal for e in wires.told(SERVER, SignalReceived)]
    assert (event.text, event.instance) == (SECRET.text, SECRET.instance)
    assert state.value == 0.5
    tapped = b"".join(data for _, _, _, data in wires.sent)
    for word in (b"hunter2", b"203.0.113.7", b"ssh.login-failed", b"host1"):
        assert word not in tapped


def test_text_and_instance_stay_home_in_an_open_session():
    wires = joined()
    wires.send(AGENT, SECRET)
    wires.run(1)
    (received,) = wires.told(SERVER, SignalReceived)
    assert (received.signal.text, received.signal.instance) == ("", "")
    assert b"hunter2" not in b"".join(data for _, _, _, data in wires.sent)


def test_a_very_long_text_is_cut_to_a_datagram_and_never_within_a_character():
    wires = pair()
    wires.send(
        AGENT, Event(name="x", tier=Tier.ALERT, text="ü" * 1024, instance="é" * 99)
    )
    wires.run(1)
    (received,) = wires.told(SERVER, SignalReceived)
    assert received.signal.text == "ü" * 320
    assert received.signal.instance == "é" * 64
    assert max(len(data) for _, _, _, data in wires.sent) <= 1200


def test_many_sealed_events_arrive_whole_and_in_order():
    wires = pair()
    for number in range(200):
        wires.send(
            AGENT, Event(name=f"e{number}", text="t" * (number % 90), instance="ä")
        )
    wires.run(1)
    names = [e.signal.name for e in wires.told(SERVER, SignalReceived)]
    assert names == [f"e{number}" for number in range(200)]


def test_without_the_right_key_there_is_no_session_and_no_fall_back_to_open():
    wires = pair(agent_keys=(OLD,))
    wires.run(30)
    assert not wires.told(AGENT, Joined)
    assert reasons(wires) == {Reason.UNKNOWN_KEY}
    registers = [
        wire.parse(data)
        for _, _, _, data in wires.sent
        if wire.parse(data).kind is packets.PacketType.REGISTER
    ]
    assert all(parsed.header.key_id == OLD.key_id for parsed in registers)


def test_an_open_agent_may_not_speak_for_a_sealed_class_and_is_told_why():
    wires = pair(agent_keys=())
    wires.run(30)
    assert not wires.told(SERVER, AgentJoined)
    refused = wires.told(AGENT, Refused)
    assert refused[0].code is packets.ExceptionCode.KEY_NEEDED


def test_a_sealed_agent_does_not_speak_openly_to_a_server_without_the_key():
    wires = pair(server_keys=())
    wires.run(30)
    assert not wires.told(AGENT, Joined)
    wires.send(AGENT, SECRET)
    assert b"ssh" not in b"".join(data for _, _, _, data in wires.sent)


@pytest.mark.parametrize(
    ("agent_keys", "server_keys"),
    [((NEW, OLD), (OLD,)), ((OLD,), (NEW, OLD)), ((NEW, OLD), (NEW, OLD))],
)
def test_keys_rotate_without_a_gap(agent_keys, server_keys):
    wires = pair(agent_keys, server_keys)
    assert wires.told(AGENT, Joined)


def test_the_newest_key_that_both_hold_is_used():
    wires = pair((NEW, OLD), (OLD, NEW))
    (session,) = wires.machines[SERVER]._registry.sessions.values()
    assert session.key_id == NEW.key_id


def test_an_older_key_is_tried_even_when_the_hint_is_lost():
    wires = Wires()
    wires.lose = lambda data, source, to: data[1] == packets.PacketType.EXCEPTION
    wires.add(server_machine(classes=("web",), keys=(OLD,)), SERVER)
    wires.add(agent_machine(classes=("web",), keys=(NEW, OLD)), AGENT)
    wires.run(10)
    assert wires.told(AGENT, Joined)


def test_a_hint_from_a_stranger_ends_nothing():
    wires = pair()
    header = wire.Header(b"s" * 8)
    for code in packets.ExceptionCode:
        data = wire.encode(header, packets.ExceptionHint(code))
        wires.machines[AGENT].receive_datagram(data, ("10.0.0.66", 1), wires.now)
    wires.run(60)
    assert not wires.told(AGENT, Gone)


def test_a_wildcard_key_seals_every_class_below_it():
    key = ClassKey("*.example.org", b"k" * 32)
    wires = Wires()
    wires.add(server_machine(classes=("*.example.org",), keys=(key,)), SERVER)
    wires.add(agent_machine(classes=("a.example.org",), keys=(key,)), AGENT)
    wires.run(1)
    (event,) = wires.told(SERVER, AgentJoined)
    assert event.classes == ("a.example.org",)


def test_sealed_goes_before_open_where_both_are_shared():
    wires = Wires()
    classes = ("public", "web")
    wires.add(server_machine(classes=classes, keys=(NEW,)), SERVER)
    wires.add(agent_machine(classes=classes, keys=(NEW,)), AGENT)
    wires.run(1)
    (event,) = wires.told(SERVER, AgentJoined)
    assert event.classes == ("web",)
    wires.send(AGENT, SECRET)
    wires.run(1)
    assert len(wires.told(SERVER, SignalReceived)) == 1


def test_a_sealed_pair_keeps_its_lease_and_is_lost_like_any_other():
    wires = pair()
    wires.run(3600)
    assert not wires.told(AGENT, Gone)
    wires.stop(AGENT)
    wires.run(1)
    assert wires.told(SERVER, AgentLeft)


@pytest.mark.parametrize("flip", [0, 5, 20, 26, 40, -1])
def test_a_changed_datagram_is_refused(flip):
    wires = pair()
    wires.send(AGENT, SECRET)
    data = bytearray(wires.sent[-1][3])
    data[flip] ^= 1
    wires.run(1)
    wires.told(SERVER)
    server = wires.machines[SERVER]
    server.receive_datagram(bytes(data), AGENT, wires.now)
    wires._pump(SERVER)
    assert not wires.told(SERVER, SignalReceived)


def test_a_replayed_datagram_is_refused_and_a_forged_one_does_not_move_the_window():
    wires = pair()
    wires.send(AGENT, SECRET)
    data = wires.sent[-1][3]
    server = wires.machines[SERVER]
    ahead = bytearray(data)
    ahead[24:28] = (1 << 30).to_bytes(4, "big")
    server.receive_datagram(bytes(ahead), AGENT, wires.now)
    wires.run(1)
    server.receive_datagram(data, AGENT, wires.now)
    wires._pump(SERVER)
    told = wires.told(SERVER)
    assert [e.reason for e in told if isinstance(e, Dropped)] == [
        Reason.BAD_SEAL,
        Reason.REPLAYED,
    ]
    assert sum(isinstance(e, SignalReceived) for e in told) == 1


def test_an_open_word_in_a_sealed_session_is_refused():
    wires = pair()
    (session,) = wires.machines[SERVER]._registry.sessions
    header = wire.Header((1).to_bytes(8, "big"), session, 99)
    data = wire.encode(header, packets.Bye())
    wires.machines[SERVER].receive_datagram(data, AGENT, wires.now)
    wires._pump(SERVER)
    assert reasons(wires) == {Reason.UNKNOWN_SESSION}
    assert wires.machines[SERVER].agents() == 1


def test_a_replayed_register_gets_the_same_grant_and_no_second_session():
    wires = pair()
    register = next(
        d for _, _, _, d in wires.sent if d[1] == packets.PacketType.REGISTER
    )
    server = wires.machines[SERVER]
    for address in (AGENT, ("10.0.0.66", 1)):
        server.receive_datagram(register, address, wires.now)
    wires.run(1)
    grants = [d for _, _, _, d in wires.sent if d[1] == packets.PacketType.GRANT]
    assert len(set(grants)) == 1
    assert reasons(wires) == {Reason.BAD_COOKIE}
    assert server.agents() == 1


def test_a_grant_whose_session_was_swapped_is_refused():
    wires = Wires()
    wires.add(server_machine(), SERVER)
    agent = agent_machine()
    swapped = []

    def swap(data, source, to):
        if data[1] != packets.PacketType.GRANT:
            return False
        header, body = wire.decode(data)
        other = wire.Header(header.sender, b"x" * 8)
        swapped.append(wire.encode(other, body))
        return True

    wires.lose = swap
    wires.add(agent, AGENT)
    wires.run(0.5)
    agent.receive_datagram(swapped[0], SERVER, wires.now)
    wires._pump(AGENT)
    assert reasons(wires, AGENT) == {Reason.MALFORMED}


def test_a_session_makes_itself_new_before_its_numbers_run_out(monkeypatch):
    monkeypatch.setattr("peep.protocol.agent.REKEY_AT", 20)
    wires = pair()
    for number in range(60):
        wires.send(AGENT, Event(name=f"e{number}", tier=Tier.ALERT))
        wires.run(1)
    names = [e.signal.name for e in wires.told(SERVER, SignalReceived)]
    assert names == [f"e{number}" for number in range(60)]
    assert len(wires.told(AGENT, Joined)) >= 3


def test_classes_can_be_added_and_removed_on_both_sides_while_running():
    wires = pair(classes=("other",))
    server, agent = wires.machines[SERVER], wires.machines[AGENT]
    assert not wires.told(AGENT, Joined)
    server.set_classes(("other", "web"), wires.now)
    wires._pump(SERVER)
    wires.run(1)
    assert wires.told(AGENT, Joined)
    assert server.classes == ("other", "web")
    server.set_classes(("other",), wires.now)
    wires._pump(SERVER)
    wires.run(1)
    assert wires.told(AGENT, Gone)
    agent.set_classes(("other",), wires.now)
    wires._pump(AGENT)
    wires.run(1)
    assert agent.classes == ("other",)
    assert wires.told(SERVER, AgentJoined)
    agent.set_classes(("web",), wires.now)
    wires._pump(AGENT)
    wires.run(1)
    assert wires.told(AGENT, Gone)


def test_an_unknown_version_is_answered_with_those_that_are_understood():
    server = server_machine()
    server.start(0.0)
    server.receive_datagram(bytes([9]) * 60, AGENT, 0.0)
    (answer,) = server.datagrams_to_send(0.0)
    body = wire.decode(answer.data)[1]
    assert (body.code, body.versions) == (packets.ExceptionCode.VERSION, (3,))
    assert len(answer.data) <= 60
    server.receive_datagram(bytes([9]) * 20, AGENT, 0.0)
    assert server.datagrams_to_send(0.0) == [], "never larger than the question"


NEAR = (ipaddress.ip_network("10.0.0.0/24"),)
FAR = (ipaddress.ip_network("192.168.0.0/16"),)


def test_policy_refuses_networks_on_both_sides():
    wires = Wires()
    wires.add(server_machine(policy=Policy(networks=FAR)), SERVER)
    wires.add(agent_machine(), AGENT)
    wires.run(5)
    assert reasons(wires) == {Reason.REFUSED}
    wires = Wires()
    wires.add(server_machine(), SERVER)
    wires.add(agent_machine(policy=Policy(networks=FAR)), AGENT)
    wires.run(5)
    assert reasons(wires, AGENT) == {Reason.REFUSED}
    assert not wires.told(SERVER, AgentJoined)


def test_policy_refuses_classes_and_keys_on_both_sides():
    policy = Policy(classes=("*.org",), keys=(NEW.key_id,))
    assert policy.allowed(("a.org", "web")) == ["a.org"]
    for sides in ({"server": policy}, {"agent": policy}):
        wires = Wires()
        limits = sides.get("server", Policy(keys=(NEW.key_id,)))
        wires.add(server_machine(classes=("a.org",), policy=limits, keys=()), SERVER)
        limits = sides.get("agent", Policy())
        wires.add(agent_machine(classes=("a.org",), policy=limits), AGENT)
        wires.run(8)
        assert not wires.told(SERVER, AgentJoined), "an open session where keys are due"


def test_announcements_from_elsewhere_are_not_believed():
    wires = Wires()
    wires.add(agent_machine(near=NEAR), AGENT)
    wires.run(20)
    wires.add(server_machine(), ("172.16.0.1", 2001))
    wires.run(5)
    assert reasons(wires, AGENT) == {Reason.NOT_NEAR}
    assert not wires.told(AGENT, Joined)
    wires.machines[AGENT].propose(("172.16.0.1", 2001), wires.now)
    wires._pump(AGENT)
    wires.run(1)
    assert wires.told(AGENT, Joined), "a locator may lead anywhere"
    wires.machines[AGENT].propose(("172.16.0.1", 2001), wires.now)
    assert wires.machines[AGENT].datagrams_to_send(wires.now) == []


def test_the_classic_profile_broadcasts_exactly_once_on_each_side():
    wires = Wires()
    wires.add(agent_machine(profile=CLASSIC), AGENT)
    wires.run(100)
    asked = {when for when, *_ in wires.sent}
    wires.add(server_machine(profile=CLASSIC, lease_s=300), SERVER)
    wires.run(1000)
    announced = [d for _, s, _, d in wires.sent if d[1] == packets.PacketType.ANNOUNCE]
    assert len(asked) <= 1
    assert len(announced) == 1
    assert wires.told(AGENT, Joined)
    prompts = [d for _, _, _, d in wires.sent if d[1] == packets.PacketType.RENEW]
    assert 3 <= len(prompts) <= 7


def test_a_class_is_told_only_in_its_subnets():
    subnets = {"web": ("10.1.0.0/16",)}
    for machine in (
        agent_machine(classes=("web", "public"), subnets=subnets),
        server_machine(classes=("web", "public"), subnets=subnets),
    ):
        machine.start(0.0)
        machine.handle_timer(0.2)
        told = {}
        for data, to in machine.datagrams_to_send(0.2):
            told.setdefault(to.within, set()).update(wire.decode(data)[1].classes)
        assert told == {("10.1.0.0/16",): {"web"}, (): {"public"}}


def test_a_flood_from_one_sender_is_throttled_and_its_alerts_are_heard(monkeypatch):
    monkeypatch.setattr("peep.protocol.sessions.SIGNALS_PER_S", 10.0)
    monkeypatch.setattr("peep.protocol.sessions.BURST_SIGNALS", 50.0)
    wires = joined()
    for number in range(200):
        wires.send(AGENT, Event(name=f"e{number}"))
    wires.send(AGENT, Event(name="fire", tier=Tier.ALERT))
    wires.run(1)
    told = wires.told(SERVER)
    received = [e.signal.name for e in told if isinstance(e, SignalReceived)]
    throttled = sum(e.count for e in told if isinstance(e, Dropped))
    assert "fire" in received
    assert len(received) + throttled == 201
    assert 50 <= len(received) <= 70


def test_many_agents_stretch_the_lease_and_renew_says_so(monkeypatch):
    monkeypatch.setattr("peep.protocol.lease.RENEWALS_PER_S", 0.05)
    wires = Wires()
    wires.add(server_machine(), SERVER)
    for number in range(1, 5):
        wires.add(agent_machine(number, seed=number), ("10.0.0.1", 40_000 + number))
    wires.run(200)
    (session, *_) = wires.machines[SERVER]._registry.sessions.values()
    assert session.lease_s == 4 / (0.05 * 2 / 3)
    (link,) = wires.machines["10.0.0.1", 40_001]._links.values()
    assert link.lease_s == session.lease_s


def test_an_agent_that_wakes_from_suspend_asks_first():
    wires = joined()
    wires.run(40)
    agent = wires.machines[AGENT]
    agent.handle_timer(wires.now + 3600)
    kinds = [d.data[1] for d in agent.datagrams_to_send(wires.now + 3600)]
    assert packets.PacketType.RENEW in kinds


def test_discovery_finds_each_server_once_and_agrees_nothing():
    wires = Wires()
    wires.add(server_machine(), SERVER)
    wires.add(server_machine(101), ("10.0.0.8", 2001))
    looker = DiscoveryProtocol(
        SeekConfig(agent_id=b"l" * 8, classes=("public",)), lambda: 0.5
    )
    wires.add(looker, AGENT)
    found = []
    for server in (SERVER, ("10.0.0.8", 2001)):
        looker.propose(server, wires.now)
    wires._pump(AGENT)
    wires.run(5)
    found = wires.told(AGENT)
    assert len(found) == 2
    assert not wires.told(SERVER, AgentJoined)


def test_a_class_with_a_key_that_is_added_seals_what_was_open():
    wires = Wires()
    wires.add(server_machine(classes=("public", "web"), keys=(NEW,)), SERVER)
    wires.add(agent_machine(keys=(NEW,)), AGENT)
    wires.run(1)
    assert wires.told(SERVER, AgentJoined)[0].classes == ("public",)
    wires.machines[AGENT].set_classes(("public", "web"), wires.now)
    wires._pump(AGENT)
    wires.run(1)
    assert wires.told(SERVER, AgentJoined)[0].classes == ("web",)
    assert wires.machines[SERVER].agents() == 1


def test_class_none_speaks_to_nobody():
    wires = Wires()
    wires.add(server_machine(classes=("none", "*.org")), SERVER)
    wires.add(agent_machine(classes=("none",)), AGENT)
    wires.machines[AGENT].propose(SERVER, wires.now)
    wires.run(30)
    assert {d[1] for _, _, _, d in wires.sent} == {packets.PacketType.ANNOUNCE}
    assert not wires.told(AGENT, Joined)


def test_deep_nesting_is_a_malformed_datagram_and_nothing_worse():
    server = server_machine()
    header = wire.encode_head(wire.Header(b"s" * 8), packets.PacketType.REQUEST)
    bomb = header[:1] + bytes([packets.PacketType.SIGNALS]) + header[2:]
    server.receive_datagram(bomb + b"\x91" * 1160, AGENT, 0.0)
    assert server.next_event() == Dropped(Reason.MALFORMED, AGENT)


def test_very_many_classes_and_labels_make_an_introduction_that_fits():
    names = tuple(f"{number:03}" + "x" * 60 for number in range(60))
    labels = {f"{number:02}" + "k" * 60: "v" * 64 for number in range(40)}
    wires = Wires()
    wires.add(server_machine(classes=("*.none", names[0])), SERVER)
    wires.add(agent_machine(classes=names, labels=labels), AGENT)
    wires.run(1)
    assert wires.told(AGENT, Joined)


def test_an_open_session_does_not_displace_a_sealed_one():
    wires = Wires()
    wires.add(server_machine(classes=("web", "public"), keys=(NEW,)), SERVER)
    wires.add(agent_machine(classes=("web",), keys=(NEW,)), AGENT)
    wires.run(1)
    wires.add(agent_machine(classes=("public",), seed=5), ("10.0.0.1", 40002))
    wires.run(1)
    assert wires.machines[SERVER].agents() == 2
    wires.told(SERVER)
    wires.kill(AGENT)
    wires.run(60)
    lost = [e.peer.address for e in wires.told(SERVER, AgentLost)]
    assert lost == [AGENT], "and does not hide its end"


@pytest.mark.parametrize("asked", [1, 9, 10, 300])
def test_any_wish_for_a_lease_is_met_within_bounds(asked):
    wires = Wires()
    wires.add(server_machine(lease_s=120), SERVER)
    wires.add(agent_machine(lease_s=asked), AGENT)
    wires.run(1)
    (event,) = wires.told(AGENT, Joined)
    assert event.lease_s == max(10, min(120, asked))


def test_a_hint_is_never_answered_by_a_hint():
    server = server_machine()
    server.start(0.0)
    other = bytes([9, packets.PacketType.EXCEPTION]) + bytes(60)
    server.receive_datagram(other, AGENT, 0.0)
    assert server.datagrams_to_send(0.0) == []


def test_an_introduction_that_was_overtaken_does_not_win():
    wires = Wires()
    wires.add(server_machine(classes=("a", "b")), SERVER)
    wires.add(agent_machine(classes=("a",)), AGENT)
    wires.run(1)
    held = []
    wires.lose = lambda data, source, to: (
        data[1] == packets.PacketType.CLASSES and (held.append(data) or True)
    )
    agent, server = wires.machines[AGENT], wires.machines[SERVER]
    for classes in (("a", "x"), ("b",)):
        agent.set_classes(classes, wires.now)
        wires._pump(AGENT)
    for data in reversed(held):
        server.receive_datagram(data, AGENT, wires.now)
    (session,) = server._registry.sessions.values()
    assert session.class_name == "b"


def test_an_old_answer_does_not_postpone_prompts_for_ever():
    wires = joined()
    server = wires.machines[SERVER]
    (session,) = server._registry.sessions.values()
    due = session.prompt_at
    header = wire.Header((1).to_bytes(8, "big"), session.session, 900)
    server.receive_datagram(wire.encode(header, packets.Ack(0)), AGENT, wires.now + 1)
    assert session.prompt_at == due


def test_an_agent_whose_network_came_late_believes_what_is_announced_there():
    wires = Wires()
    wires.add(agent_machine(near=()), AGENT)
    wires.run(20)
    wires.add(server_machine(), SERVER)
    wires.run(20)
    assert not wires.told(AGENT, Joined)
    wires.machines[AGENT].set_near(NEAR, wires.now)
    wires._pump(AGENT)
    wires.run(1)
    assert wires.told(AGENT, Joined)
