"""Finding each other, keeping each other, losing each other."""

import ipaddress
import itertools
import random

import pytest
from wires import AGENT, SERVER, Wires, agent_machine, joined, server_machine

from peep.protocol import packets, wire
from peep.protocol.batch import Born
from peep.protocol.dumb import DumbProtocol, Refused
from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Dropped,
    Gone,
    Joined,
    Lapsed,
    SignalReceived,
)
from peep.protocol.links import Stage
from peep.protocol.mail import MAX_QUEUE, MAX_RING
from peep.protocol.packets import PacketType
from peep.protocol.registry import MAX_DUMB, MAX_PENDING
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, State, Tier

WISH = wire.write_inner(packets.Wish())
PRIVATE = (ipaddress.ip_network("10.0.0.0/8"),)


def kinds(wires, source=None):
    return [
        wire.decode(data)[1].__class__.__name__
        for _, sender, _, data in wires.sent
        if source in (None, sender)
    ]


def test_an_agent_finds_a_server_that_was_there_first_within_a_second():
    wires = joined()
    assert isinstance(wires.told(AGENT)[0], Joined)
    (event,) = wires.told(SERVER, AgentJoined)
    assert event.peer.host == "host1"
    assert event.classes == ("public",)
    assert not event.back


def test_an_agent_finds_a_server_that_starts_later_within_a_second():
    wires = Wires()
    wires.add(agent_machine(), AGENT)
    wires.run(600)
    wires.add(server_machine(), SERVER)
    wires.run(1)
    assert wires.told(AGENT, Joined)


def test_an_agent_alone_asks_a_few_times_and_is_silent_then():
    wires = Wires()
    wires.add(agent_machine(), AGENT)
    wires.add(server_machine(classes=("other",)), SERVER)
    wires.run(15)
    asked = len(wires.sent)
    wires.run(60)
    assert len(wires.sent) == asked


@pytest.mark.parametrize("lost", ["Request", "Offer", "Register", "Grant", "Classes"])
def test_each_word_of_the_handshake_may_be_lost_once(lost):
    wires = Wires()
    gone = []

    def lose(data, source, to):
        name = wire.decode(data)[1].__class__.__name__
        if name == lost and len(gone) < 1:
            gone.append(name)
            return True
        return False

    wires.lose = lose
    wires.add(server_machine(), SERVER)
    wires.add(agent_machine(), AGENT)
    wires.run(3)
    assert gone
    assert wires.told(AGENT, Joined)
    assert len(wires.told(SERVER, AgentJoined)) == 1


def test_classes_that_are_not_shared_make_no_lease():
    wires = Wires()
    wires.add(server_machine(classes=("*.example.org",)), SERVER)
    wires.add(agent_machine(classes=("badexample.org", "example.org")), AGENT)
    wires.run(20)
    assert not wires.told(AGENT, Joined)


def test_a_wildcard_of_the_server_takes_what_lies_below_it():
    wires = Wires()
    wires.add(server_machine(classes=("*.example.org",)), SERVER)
    wires.add(agent_machine(classes=("x", "web.example.org")), AGENT)
    wires.run(1)
    (event,) = wires.told(SERVER, AgentJoined)
    assert event.classes == ("web.example.org",)


def test_an_idle_pair_keeps_its_lease_for_a_day():
    wires = joined()
    wires.run(86_400)
    assert not wires.told(SERVER, AgentLate)
    assert not wires.told(AGENT, Lapsed)


def test_prompts_come_when_a_third_of_the_lease_is_left():
    wires = joined()
    wires.run(100)
    prompts = [
        when
        for when, sender, _, data in wires.sent
        if sender == SERVER and isinstance(wire.decode(data)[1], packets.Renew)
    ]
    gaps = [b - a for a, b in itertools.pairwise(prompts)]
    assert gaps
    assert all(18 <= gap <= 22 for gap in gaps)


def test_a_talking_agent_is_prompted_too_since_it_needs_the_word():
    wires = joined()
    for _ in range(60):
        wires.send(AGENT, Event(name="x"))
        wires.run(1)
    assert kinds(wires, SERVER).count("Renew") >= 2


def test_a_killed_agent_is_late_within_one_lease_and_lost_within_one_and_a_half():
    wires = joined()
    wires.run(100)
    wires.told(SERVER)
    wires.kill(AGENT)
    wires.run(30.1)
    assert wires.told(SERVER, AgentLate)
    assert not wires.told(SERVER, AgentLost)
    wires.run(15)
    (lost,) = wires.told(SERVER, AgentLost)
    assert lost.peer.host == "host1"


def test_a_late_agent_that_speaks_again_was_never_lost():
    wires = joined()
    silent = True
    wires.lose = lambda data, source, to: silent
    wires.run(35)
    assert wires.told(SERVER, AgentLate)
    silent = False
    wires.run(5)
    assert wires.told(SERVER, AgentReturned)
    assert wires.told(AGENT, Joined), "and the agent sends again"
    wires.run(100)
    assert not wires.told(SERVER, AgentLost)


def test_a_killed_server_is_sent_nothing_after_the_lease():
    wires = joined()
    wires.told(AGENT)
    wires.kill(SERVER)
    wires.run(30.1)
    assert wires.told(AGENT, Lapsed)
    before = len([1 for _, _, to, _ in wires.sent if to == SERVER])
    wires.send(AGENT, Event(name="x"))
    wires.run(60)
    assert len([1 for _, _, to, _ in wires.sent if to == SERVER]) == before
    assert wires.told(AGENT, Gone)


def test_a_new_server_at_the_same_address_is_found_without_waiting():
    wires = joined()
    wires.kill(SERVER)
    wires.run(5)
    wires.add(server_machine(101), SERVER)
    wires.run(1)
    assert len(wires.told(SERVER, AgentJoined)) == 1
    wires.send(AGENT, Event(name="x"))
    wires.run(1)
    assert len(wires.told(SERVER, SignalReceived)) == 1


def test_an_agent_restarted_within_its_lease_is_not_lost():
    wires = joined()
    wires.kill(AGENT)
    wires.add(agent_machine(seed=7), ("10.0.0.1", 40002))
    wires.run(120)
    assert len(wires.told(SERVER, AgentJoined)) == 2
    assert not wires.told(SERVER, AgentLost)


def test_a_lost_agent_that_comes_back_is_said_to_be_back():
    wires = joined()
    wires.kill(AGENT)
    wires.run(60)
    wires.told(SERVER)
    wires.add(agent_machine(seed=7), AGENT)
    wires.run(1)
    (event,) = wires.told(SERVER, AgentJoined)
    assert event.back


def test_bye_from_the_agent_is_no_alarm():
    wires = joined()
    wires.stop(AGENT)
    wires.run(100)
    assert wires.told(SERVER, AgentLeft)
    assert not wires.told(SERVER, AgentLate | AgentLost)


def test_bye_from_the_server_makes_the_agent_look_again():
    wires = joined()
    wires.stop(SERVER)
    wires.run(1)
    assert wires.told(AGENT, Gone)
    wires.add(server_machine(101), ("10.0.0.8", 2001))
    wires.run(1)
    assert wires.told(AGENT, Joined)


def test_an_agent_serves_several_servers_and_each_hears_everything_once():
    wires = joined()
    other = ("10.0.0.8", 2001)
    wires.add(server_machine(101, classes=("public", "*.b")), other)
    wires.run(1)
    wires.send(AGENT, Event(name="x"))
    wires.run(1)
    for server in (SERVER, other):
        assert len(wires.told(server, SignalReceived)) == 1


def test_events_before_any_server_are_kept_and_told_with_their_age():
    wires = Wires()
    wires.add(agent_machine(), AGENT)
    wires.send(AGENT, Event(name="early"))
    wires.run(20)
    wires.add(server_machine(), SERVER)
    wires.run(1)
    (received,) = wires.told(SERVER, SignalReceived)
    assert received.signal.name == "early"
    assert 20 <= received.age_s < 21


def test_states_are_told_at_once_to_a_new_server_and_repeated():
    wires = Wires()
    wires.add(agent_machine(), AGENT)
    for value in (0.1, 0.9, 0.4):
        wires.send(AGENT, State(name="load", value=value))
    wires.add(server_machine(), SERVER)
    wires.run(1)
    assert [e.signal.value for e in wires.told(SERVER, SignalReceived)] == [0.4]
    wires.run(31)
    assert [e.signal.value for e in wires.told(SERVER, SignalReceived)] == [0.4]


def test_an_alert_goes_out_at_once_and_a_routine_event_waits_for_company():
    wires = joined()
    before = len(wires.sent)
    wires.send(AGENT, Event(name="dull"))
    assert len(wires.sent) == before
    wires.send(AGENT, Event(name="fire", tier=Tier.ALERT))
    assert len(wires.sent) == before + 1, "together, in one datagram"
    wires.run(0.01)
    assert len(wires.told(SERVER, SignalReceived)) == 2


def test_a_datagram_that_comes_twice_is_heard_once():
    wires = joined()
    wires.send(AGENT, Event(name="x", tier=Tier.ALERT))
    data = wires.sent[-1][3]
    wires.run(1)
    wires.machines[SERVER].receive_datagram(data, AGENT, wires.now)
    wires._pump(SERVER)
    assert len(wires.told(SERVER, SignalReceived)) == 1


def test_a_state_that_was_overtaken_does_not_win():
    wires = joined()
    held = []
    wires.lose = lambda data, source, to: (
        source == AGENT and (held.append(data) or True)
    )
    for value in (0.2, 0.8):
        wires.send(AGENT, State(name="load", value=value))
        wires.send(AGENT, Event(name="x", tier=Tier.ALERT))
    for data in reversed(held):
        wires.machines[SERVER].receive_datagram(data, AGENT, wires.now)
    wires._pump(SERVER)
    states = [
        e.signal.value
        for e in wires.told(SERVER, SignalReceived)
        if isinstance(e.signal, State)
    ]
    assert states == [0.8]


def test_a_word_from_another_address_is_refused():
    wires = joined()
    wires.send(AGENT, Event(name="x", tier=Tier.ALERT))
    data = wires.sent[-1][3]
    wires.machines[SERVER].receive_datagram(data, ("10.0.0.66", 40001), wires.now)
    wires._pump(SERVER)
    assert [e.reason for e in wires.told(SERVER, Dropped)] == [Reason.WRONG_ADDRESS]


def test_register_without_the_cookie_is_refused_and_remembers_nothing():
    server = server_machine()
    server.start(0)
    body = packets.Register(b"x" * 16, WISH)
    data = wire.encode(wire.Header(b"a" * 8, b"n" * 8), body)
    server.receive_datagram(data, AGENT, 1.0)
    assert server.next_event() == Dropped(Reason.BAD_COOKIE, AGENT)
    assert server.agents() == 0


def test_no_answer_is_larger_than_a_question_from_a_stranger():
    wires = joined()
    request = next(d for _, s, _, d in wires.sent if s == AGENT)
    offer = next(
        d
        for _, s, _, d in wires.sent
        if s == SERVER and isinstance(wire.decode(d)[1], packets.Offer)
    )
    assert len(offer) <= len(request)


def test_a_request_without_padding_gets_no_offer():
    server = server_machine()
    body = packets.Request(["public"], [], b"")
    server.receive_datagram(wire.encode(wire.Header(b"a" * 8), body), AGENT, 1.0)
    assert server.next_event() == Dropped(Reason.MALFORMED, AGENT)
    assert server.datagrams_to_send(1.0) == []


def test_pending_sessions_are_bounded_displace_nothing_and_are_forgotten():
    wires = joined()
    server = wires.machines[SERVER]
    stranger = ("10.0.0.66", 9)
    header = wire.Header(b"a" * 8)
    request = wire.encode(header, packets.Request(["public"]))
    server.receive_datagram(request, stranger, wires.now)
    (offer,) = server.datagrams_to_send(wires.now)
    register = packets.Register(wire.decode(offer.data)[1].cookie, WISH)
    for number in range(MAX_PENDING + 1):
        header = wire.Header(b"a" * 8, number.to_bytes(8, "big"))
        server.receive_datagram(wire.encode(header, register), stranger, wires.now)
    assert len(server.datagrams_to_send(wires.now)) == MAX_PENDING
    wires._pump(SERVER)
    assert [e.reason for e in wires.told(SERVER, Dropped)] == [Reason.TABLE_FULL]
    assert server.agents() == 1
    wires.run(11)
    assert server._registry.pending == 0
    assert len(server._registry.sessions) == 1


def test_the_same_register_gets_the_same_grant():
    server = server_machine()
    header = wire.Header(b"a" * 8)
    request = wire.encode(header, packets.Request(["public"]))
    server.receive_datagram(request, AGENT, 1.0)
    cookie = wire.decode(server.datagrams_to_send(1.0)[0].data)[1].cookie
    header = wire.Header(b"a" * 8, b"n" * 8)
    register = wire.encode(header, packets.Register(cookie, WISH))
    for _ in range(2):
        server.receive_datagram(register, AGENT, 1.0)
    first, second = server.datagrams_to_send(1.0)
    assert first == second


def test_forever_is_understood_and_refused():
    wires = Wires()
    wires.add(server_machine(), SERVER)
    wires.add(agent_machine(lease_s=packets.FOREVER_LEASE), AGENT)
    wires.run(10)
    assert not wires.told(AGENT, Joined)


def test_a_lease_is_never_longer_than_was_asked_for():
    wires = Wires()
    wires.add(server_machine(lease_s=120), SERVER)
    wires.add(agent_machine(lease_s=20), AGENT)
    wires.run(1)
    assert [e.lease_s for e in wires.told(AGENT, Joined)] == [20.0]


def test_a_dumb_sender_is_heard_from_a_private_network_and_goes_stale():
    wires = Wires()
    wires.add(server_machine(dumb_networks=PRIVATE), SERVER)
    wires.add(DumbProtocol(b"dumbdumb", SERVER, random.Random(1), repeat_s=10), AGENT)
    wires.send(AGENT, State(name="load", value=0.5))
    wires.send(AGENT, Heartbeat(name="beat", rate_hz=1))
    wires.send(AGENT, Event(name="x", tier=Tier.ALERT))
    wires.run(25)
    received = [e.signal.name for e in wires.told(SERVER, SignalReceived)]
    assert received.count("x") == 1
    assert received.count("load") == 3
    wires.kill(AGENT)
    wires.run(36)
    assert wires.told(SERVER, AgentLeft)


@pytest.mark.parametrize(
    ("classes", "address"),
    [(("public",), ("192.168.1.1", 5)), (("web",), AGENT)],
)
def test_a_dumb_sender_that_is_not_admitted_is_told_so(classes, address):
    wires = Wires()
    wires.add(server_machine(classes=classes, dumb_networks=PRIVATE), SERVER)
    wires.add(DumbProtocol(b"dumbdumb", SERVER, random.Random(1)), address)
    for _ in range(40):
        wires.send(address, Event(name="x", tier=Tier.ALERT))
        wires.run(0.001)
    hints = wires.told(address, Refused)
    assert hints
    assert hints[0].code is packets.ExceptionCode.NOT_ADMITTED
    assert len(hints) <= 11, "hints are rate-limited"
    assert not wires.told(SERVER, SignalReceived)


def test_dumb_senders_are_bounded():
    server = server_machine(dumb_networks=PRIVATE)
    for number in range(MAX_DUMB + 1):
        sender = DumbProtocol(number.to_bytes(8, "big"), SERVER, random.Random(1))
        sender.send(Event(name="x", tier=Tier.ALERT), 0.0)
        (datagram,) = sender.datagrams_to_send(0.0)
        server.receive_datagram(datagram.data, AGENT, 0.0)
    events = []
    while (event := server.next_event()) is not None:
        events.append(event)
    assert events[-1] == Dropped(Reason.TABLE_FULL, AGENT)


def test_an_announcement_of_a_stranger_leads_to_one_question_a_second():
    agent = agent_machine()
    header = wire.Header(b"s" * 8, sequence=1)
    data = wire.encode(header, packets.Announce(["public"]))
    for step in range(100):
        agent.receive_datagram(data, SERVER, step / 1000)
    agent.handle_timer(0.9)
    assert len(agent.datagrams_to_send(0.9)) == 1


def test_an_offer_that_nobody_asked_for_is_refused():
    agent = agent_machine()
    body = packets.Offer(b"c" * 16, ["public"])
    agent.receive_datagram(wire.encode(wire.Header(b"s" * 8), body), SERVER, 99.0)
    assert agent.next_event() == Dropped(Reason.UNASKED, SERVER)


def test_the_ring_of_an_agent_alone_is_bounded_and_counts_what_it_drops():
    agent = agent_machine()
    for number in range(MAX_RING + 44):
        agent.send(Event(name=f"e{number}"), 0.0)
    assert agent.overflowed == 44


def test_ten_percent_loss_does_not_break_a_lease_in_an_hour():
    rng = random.Random(5)
    wires = joined()
    wires.lose = lambda data, source, to: rng.random() < 0.1
    wires.run(3600)
    assert not wires.told(SERVER, AgentLost)


def test_a_question_after_an_announcement_is_put_again_until_it_is_answered():
    wires = Wires()
    wires.add(agent_machine(), AGENT)
    wires.run(30)
    lost = []
    wires.lose = lambda data, source, to: (
        data[1] == packets.PacketType.REQUEST
        and len(lost) < 2
        and (lost.append(data) or True)
    )
    wires.add(server_machine(), SERVER)
    wires.run(4)
    assert len(lost) == 2
    assert wires.told(AGENT, Joined)


def test_a_periodic_announcement_is_said_twice():
    wires = Wires()
    wires.add(server_machine(), SERVER)
    wires.add(agent_machine(classes=("other",)), AGENT)
    wires.run(700)
    said = [
        when
        for when, _, _, data in wires.sent
        if data[1] == packets.PacketType.ANNOUNCE and when > wires.now - 650
    ]
    gaps = [b - a for a, b in itertools.pairwise(said)]
    assert len([gap for gap in gaps if gap < 2]) >= 5
    assert len([gap for gap in gaps if 100 < gap < 140]) >= 4


def test_an_agent_that_is_given_up_is_told_so_in_case_it_hears():
    wires = joined()
    silent = True
    wires.lose = lambda data, source, to: silent and source == AGENT
    wires.run(46)
    silent = False
    assert wires.told(SERVER, AgentLost)
    wires.run(4)
    assert wires.told(SERVER, AgentJoined), "it looked again at once"


def test_an_agent_that_moved_to_another_address_is_not_mourned():
    wires = joined()
    wires.kill(AGENT)
    wires.add(agent_machine(seed=9), ("10.0.0.77", 40001))
    wires.run(100)
    assert not wires.told(SERVER, AgentLate | AgentLost)
    assert wires.machines[SERVER].agents() == 1


def test_a_clone_with_the_same_id_and_another_name_is_mourned():
    wires = joined()
    wires.kill(AGENT)
    clone = agent_machine(seed=9)
    clone._config = clone._config.__class__(
        agent_id=clone._config.agent_id, host="clone", classes=("public",)
    )
    wires.add(clone, ("10.0.0.77", 40001))
    wires.run(100)
    assert [e.peer.host for e in wires.told(SERVER, AgentLost)] == ["host1"]


def test_an_agent_alone_that_wakes_looks_again():
    wires = Wires()
    wires.add(agent_machine(), AGENT)
    wires.run(100)
    asked = len(wires.sent)
    agent = wires.machines[AGENT]
    wires.add(server_machine(classes=("none",)), SERVER)
    agent.handle_timer(wires.now + 7200)
    wires.now += 7200
    wires.run(5)
    assert len(wires.sent) > asked
    assert any(d[1] == packets.PacketType.REQUEST for _, _, _, d in wires.sent[asked:])


def test_a_handshake_that_failed_is_tried_again_in_a_minute():
    wires = Wires()
    deaf = True
    wires.lose = lambda data, source, to: deaf and data[1] == packets.PacketType.GRANT
    wires.add(server_machine(), SERVER)
    wires.add(agent_machine(), AGENT)
    wires.run(20)
    assert wires.told(AGENT, Gone)
    deaf = False
    wires.run(80)
    assert wires.told(AGENT, Joined)


def test_a_late_answer_to_an_earlier_prompt_is_an_answer():
    wires = joined()
    server = wires.machines[SERVER]
    (session,) = server._registry.sessions.values()
    answers = []
    wires.lose = lambda data, source, to: (
        source == AGENT
        and data[1] == packets.PacketType.ACK
        and (answers.append(data) or True)
    )
    wires.run(28)
    assert session.prompts >= 2
    wires.lose = lambda data, source, to: False
    server.receive_datagram(answers[-2], AGENT, wires.now)
    assert session.prompts == 0


def test_what_waited_for_a_server_that_died_goes_to_the_one_that_took_its_place():
    wires = joined()
    wires.kill(SERVER)
    wires.machines[AGENT].send(Event(name="x"), wires.now)
    wires.add(server_machine(101), SERVER)
    wires.lose = lambda data, source, to: data[1] == packets.PacketType.SIGNALS
    wires.run(0.01)
    wires.lose = lambda data, source, to: False
    wires.run(1)
    assert wires.told(AGENT, Gone)


def test_what_the_ring_cannot_hold_is_counted_when_a_queue_returns_to_it():
    wires = joined()
    agent = wires.machines[AGENT]
    (link,) = agent._links.values()
    for number in range(MAX_RING + 44):
        agent.send(Event(name=f"e{number}"), wires.now)
    link.flush_at = None
    wires.kill(SERVER)
    wires.run(31)
    assert agent.overflowed == 44


@pytest.mark.parametrize("waiting", [0, 1, MAX_QUEUE])
def test_more_than_a_queue_holds_is_said_in_order_and_nothing_is_lost(waiting):
    wires = joined()
    agent = wires.machines[AGENT]
    (link,) = agent._links.values()
    batch = [Born(Event(name=f"e{n}"), wires.now) for n in range(2 * MAX_QUEUE + 5)]
    agent.send_all(batch[:waiting], wires.now)
    agent.send_all(batch[waiting:], wires.now)
    assert 0 < len(link.queue) <= MAX_QUEUE
    assert link.flush_at is not None
    wires.run(1)
    names = [e.signal.name for e in wires.told(SERVER, SignalReceived)]
    assert names == [born.signal.name for born in batch]


def test_a_late_agent_is_heard_again_by_any_word_also_a_signal():
    wires = joined()
    silent = True
    wires.lose = lambda data, source, to: silent or data[1] != PacketType.SIGNALS
    wires.run(35)
    assert wires.told(SERVER, AgentLate)
    silent = False
    (link,) = wires.machines[AGENT]._links.values()
    link.stage = Stage.LEASED
    wires.send(AGENT, Event(name="x", tier=Tier.ALERT))
    wires.run(1)
    kinds = [type(told) for told in wires.told(SERVER)]
    assert kinds.index(AgentReturned) < kinds.index(SignalReceived)


def test_a_late_agent_that_comes_back_by_another_address_is_heard_again():
    wires = joined()
    wires.kill(AGENT)
    wires.run(35)
    assert wires.told(SERVER, AgentLate)
    wires.add(agent_machine(seed=9), ("fe80::1%eth0", 40001))
    wires.run(60)
    told = wires.told(SERVER)
    assert sum(isinstance(e, AgentReturned) for e in told) == 1
    assert not any(isinstance(e, AgentLost | AgentJoined) for e in told)
