"""Which servers are there: they come, change their classes, fall silent, come back."""

import random

from hypothesis import given
from hypothesis import strategies as st
from wires import SERVER, Wires, server_machine

from peep.protocol import packets, wire
from peep.protocol.addresses import Broadcast
from peep.protocol.discovery import SeekConfig
from peep.protocol.presence import (
    MAX_SERVERS,
    SILENCE_S,
    Changed,
    Discarded,
    Discovered,
    PresenceProtocol,
)
from peep.protocol.server import ServerProtocol

WATCHER = ("10.0.0.1", 40001)


class Air(Wires):
    """Wires on which a watcher hears what agents hear."""

    def _reach(self, to):
        if not isinstance(to, Broadcast):
            return [to]
        asks = to.port == packets.SERVER_PORT
        return [
            address
            for address, machine in self.machines.items()
            if isinstance(machine, ServerProtocol) == asks
        ]


def watcher(classes=("public",), **more):
    config = SeekConfig(agent_id=bytes(8), classes=tuple(classes))
    return PresenceProtocol(config, random.Random(3).random, **more)


def watched(classes=("public",), server_classes=("public",)):
    air = Air()
    air.add(server_machine(classes=server_classes), SERVER)
    air.add(watcher(classes), WATCHER)
    air.run(1)
    return air


def kinds(events):
    return [type(event) for event in events]


def test_a_server_that_answers_is_there_once():
    air = watched()
    air.run(30)
    (event,) = air.told(WATCHER)
    assert isinstance(event, Discovered)
    assert event.server.address == SERVER
    assert event.server.classes == ("public",)


def test_a_server_that_starts_later_is_there_when_it_announces_itself():
    air = Air()
    air.add(watcher(), WATCHER)
    air.run(60)
    assert air.told(WATCHER) == []
    air.add(server_machine(), SERVER)
    air.run(1)
    assert kinds(air.told(WATCHER)) == [Discovered]


def test_a_server_of_other_classes_is_not_there():
    assert watched(server_classes=("web",)).told(WATCHER) == []


def test_a_living_server_stays_for_days():
    air = watched()
    air.run(2 * 86_400)
    assert kinds(air.told(WATCHER)) == [Discovered]


def test_a_living_server_stays_where_a_tenth_of_all_is_lost():
    air = watched()
    chance = random.Random(1)
    air.lose = lambda *_: chance.random() < 0.1
    air.run(6 * 3600)
    assert kinds(air.told(WATCHER)) == [Discovered]


def test_a_killed_server_is_discarded_after_the_stated_silence():
    air = watched()
    air.told(WATCHER)
    air.kill(SERVER)
    air.run(SILENCE_S / 2)
    assert air.told(WATCHER) == []
    air.run(SILENCE_S / 2 + 1)
    assert kinds(air.told(WATCHER)) == [Discarded]


def test_a_healed_network_brings_the_same_server_back():
    air = watched()
    air.lose = lambda *_: True
    air.run(200)
    air.told(WATCHER)
    air.lose = lambda *_: False
    air.run(130)  # one announcement
    (event,) = air.told(WATCHER)
    assert isinstance(event, Discovered)


def test_a_new_server_at_an_address_takes_the_old_ones_place():
    air = watched()
    air.told(WATCHER)
    air.kill(SERVER)
    air.add(server_machine(number=101), SERVER)
    air.run(2)
    gone, come = air.told(WATCHER)
    assert isinstance(gone, Discarded)
    assert isinstance(come, Discovered)
    assert come.server.server_id != gone.server.server_id


def test_a_server_that_takes_and_drops_a_class_is_changed():
    air = watched(classes=("public", "web"))
    air.told(WATCHER)
    server = air.machines[SERVER]
    server.set_classes(("public", "web"), air.now)
    air.run(5)
    (event,) = air.told(WATCHER)
    assert isinstance(event, Changed)
    assert event.server.classes == ("public", "web")
    server.set_classes(("web",), air.now)
    air.run(10)
    (event,) = air.told(WATCHER)
    assert event.server.classes == ("web",)


def test_more_classes_than_one_question_holds_are_all_found():
    classes = tuple(f"class-{n:03}.{'x' * 40}" for n in range(40))
    air = watched(classes, server_classes=classes)
    air.run(120)
    told = air.told(WATCHER)
    assert kinds(told[:1]) == [Discovered]
    assert told[-1].server.classes == classes
    assert Discarded not in kinds(told)


def test_a_server_is_found_at_a_proposed_address():
    air = Air()
    air.lose = lambda *_: True
    air.add(server_machine(), SERVER)
    air.add(watcher(), WATCHER)
    air.run(30)
    air.lose = lambda *_: False
    air.machines[WATCHER].propose(SERVER, air.now)
    air._pump(WATCHER)
    air.run(0.1)
    assert kinds(air.told(WATCHER)) == [Discovered]


def offer(number, classes=("public",)):
    header = wire.Header(number.to_bytes(8, "big"))
    return wire.encode(header, packets.Offer(bytes(16), list(classes)))


def announce(number, classes=("public",)):
    header = wire.Header(number.to_bytes(8, "big"))
    return wire.encode(header, packets.Announce(list(classes)))


def asked():
    machine = watcher()
    machine.start(0.0)
    machine.handle_timer(1.0)
    assert machine.datagrams_to_send(1.0)
    return machine


def events_of(machine):
    return list(iter(machine.next_event, None))


def test_an_offer_that_nobody_asked_for_is_not_believed():
    machine = watcher()
    machine.receive_datagram(offer(1), SERVER, 0.0)
    assert events_of(machine) == []


def test_a_storm_of_false_servers_is_bounded():
    machine = asked()
    for number in range(MAX_SERVERS + 10):
        machine.receive_datagram(offer(number), ("10.1.1.1", number + 1), 1.0)
    assert len(events_of(machine)) == MAX_SERVERS


def test_nobody_keeps_a_dead_server_alive_from_elsewhere():
    machine = asked()
    machine.receive_datagram(offer(1), SERVER, 1.0)
    events_of(machine)
    for now in range(2, int(SILENCE_S) + 5):
        machine.receive_datagram(offer(1), ("10.6.6.6", 666), float(now))
        machine.receive_datagram(announce(1), ("10.6.6.6", 666), float(now))
        machine.handle_timer(float(now))
        machine.datagrams_to_send(float(now))
    assert Discarded in kinds(events_of(machine))


def test_a_stopped_watcher_wants_nothing():
    air = watched()
    machine = air.machines[WATCHER]
    machine.stop(air.now)
    assert machine.next_timer() is None
    assert machine.datagrams_to_send(air.now) == []


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=80)
            | st.builds(offer, st.integers(0, 5))
            | st.builds(announce, st.integers(0, 5)),
            st.sampled_from([SERVER, ("10.0.0.8", 2001), ("fe80::1%eth0", 2001)]),
            st.floats(0, 100),
        ),
        max_size=30,
    )
)
def test_whatever_comes_servers_come_and_go_in_turn(story):
    machine = asked()
    now = 1.0
    there = set()
    for data, address, gap in story:
        now += gap
        machine.receive_datagram(data, address, now)
        machine.handle_timer(now)
        machine.datagrams_to_send(now)
        for event in events_of(machine):
            if isinstance(event, Discovered):
                assert event.server.server_id not in there
                there.add(event.server.server_id)
            elif isinstance(event, Discarded):
                there.remove(event.server.server_id)
            else:
                assert event.server.server_id in there
        assert (machine.next_timer() or now) >= now
