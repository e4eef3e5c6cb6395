"""Alerts that wait for receipts: until when, in whose name, and how often said."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import AGENT, SERVER, Wires, agent_machine, server_machine

from peep.protocol import outbox as module
from peep.protocol.batch import Born
from peep.protocol.events import Confirmed
from peep.protocol.outbox import PATIENCE, REPEATS_S, WINDOW, Births, Flight, Outbox
from peep.signals import Event, Heartbeat, State, Tier

ONE, TWO, THREE = (7, 1), (7, 2), (7, 3)
S1, S2 = b"server-1", b"server-2"
HERE, THERE = ("10.0.0.1", 2001), ("10.0.0.2", 2001)


def born(alert=ONE, *, again=False):
    event = Event(name="x", tier=Tier.ALERT, origin=alert[0], serial=alert[1])
    return Born(event, 100.0, again)


def box(*servers, alerts=(ONE,)):
    made = Outbox()
    for alert in alerts:
        made.add(alert, born(alert), servers)
    return made


def flight(seed=1):
    return Flight(random.Random(seed).random)


def ids(said):
    return [alert for alert, _ in said]


@pytest.mark.parametrize(
    ("signal", "alert"),
    [
        (Event(name="x", tier=Tier.ALERT), True),
        (Event(name="x", tier=Tier.ROUTINE), False),
        (State(name="x", value=0.5), False),
        (Heartbeat(name="x", rate_hz=1.0), False),
    ],
)
def test_only_events_of_the_tier_alert_must_arrive(signal, alert):
    assert module.is_alert(signal) is alert


# -- whom an alert is owed ------------------------------------------------------------


def test_an_alert_is_done_when_all_that_were_leased_at_its_birth_have_it():
    made = box(S1, S2)
    assert made.receipt([ONE], S1) == []
    assert ONE in made
    assert made.receipt([ONE], S2) == [ONE]
    assert len(made) == 0


def test_a_server_that_is_gone_is_waited_for_no_longer():
    made = box(S1, S2)
    made.receipt([ONE], S1)
    assert made.release(S2) == [ONE]
    assert ONE not in made


def test_a_server_that_is_gone_has_not_receipted():
    made = box(S1)
    assert made.release(S1) == []
    assert ONE in made


def test_one_that_nobody_is_to_get_goes_to_the_first_that_comes_and_to_no_second():
    made = box()
    assert made.claim(S1) == [ONE]
    assert made.claim(S2) == []
    assert made.receipt([ONE], S1) == [ONE]


def test_one_whose_servers_are_all_gone_goes_to_the_next_that_comes():
    made = box(S1)
    made.release(S1)
    assert made.claim(S2) == [ONE]


def test_the_receipt_of_one_that_was_not_to_have_it_counts_for_nothing():
    made = box(S1)
    assert made.receipt([ONE, TWO], S2) == []
    made.receipt([ONE], S1)
    assert made.receipt([ONE], S1) == []


def test_one_receipt_twice_is_not_the_receipt_of_two():
    made = box(S1, S2)
    made.receipt([ONE], S1)
    assert made.receipt([ONE], S1) == []


def test_claims_are_in_the_order_of_birth():
    made = box(alerts=(TWO, ONE, THREE))
    assert made.claim(S1) == [TWO, ONE, THREE]


def test_what_has_no_room_is_given_up():
    made = box(S1, alerts=(ONE, TWO))
    made.forget([ONE, THREE])
    assert made.receipt([ONE, TWO], S1) == [TWO]


def test_a_full_outbox_says_so_and_drops_the_oldest(monkeypatch):
    monkeypatch.setattr(module, "MAX_ALERTS", 2)
    made = box(S1, alerts=(ONE, TWO))
    assert made.add(THREE, born(THREE), [S1])
    assert ONE not in made
    assert made.say(ONE, HERE) is None
    assert (TWO in made, THREE in made) == (True, True)


def test_what_was_said_at_an_address_is_said_again_there_and_new_elsewhere():
    made = box(S1)
    assert not made.again(ONE, HERE)
    assert made.say(ONE, HERE) == born()
    assert made.again(ONE, HERE)
    assert not made.again(ONE, THERE)


def test_what_another_process_kept_is_said_again_everywhere():
    made = Outbox()
    made.add(ONE, born(again=True), [])
    assert made.again(ONE, THERE)


def test_one_whose_last_server_is_gone_goes_to_another_that_came_meanwhile():
    wires, other = Wires(records=False), ("10.0.0.8", 2001)
    wires.add(server_machine(100), SERVER)
    wires.add(server_machine(101), other)
    wires.add(agent_machine(), AGENT)
    wires.run(2)
    wires.send(AGENT, Event(name="x", tier=Tier.ALERT))
    wires.kill(SERVER)
    wires.add(server_machine(102), SERVER)  # comes back while the other still owes
    wires.run(2)
    assert wires.machines[AGENT].leased() == 2
    wires.kill(other)
    wires.records = True
    assert wires.machines[AGENT].unconfirmed() == 1
    wires.run(50)
    assert wires.machines[AGENT].unconfirmed() == 0
    told = [event.ids for event in wires.told(AGENT, Confirmed)]
    assert [len(ids) for ids in told] == [1]


# -- how often it is said -------------------------------------------------------------


def test_an_alert_is_said_at_once_and_then_with_growing_gaps_for_ever():
    made = flight()
    made.add(ONE)
    assert made.next_timer() == float("-inf")
    assert made.due(100.0) == [(ONE, False)]
    now, gaps = 100.0, []
    for _ in range(len(REPEATS_S) + 2):
        due = made.next_timer()
        assert made.due(due - 0.001) == []
        assert made.due(due) == [(ONE, False)]
        gaps.append(due - now)
        now = due
    for gap, usual in zip(gaps, [*REPEATS_S, 10.0, 10.0], strict=True):
        assert 0.75 * usual <= gap <= 1.25 * usual


def test_a_receipt_ends_it():
    made = flight()
    made.add(ONE)
    made.add(TWO)
    made.due(100.0)
    made.drop(ONE)
    assert ids(made.due(200.0)) == [TWO]
    made.drop(TWO)
    assert made.next_timer() is None
    assert made.due(300.0) == []


def test_what_waits_can_be_given_up_before_its_turn():
    made = flight()
    made.add(ONE, again=True)
    made.drop(ONE)
    assert made.next_timer() is None
    assert made.due(100.0) == []


def test_what_was_said_in_another_session_is_marked_each_time():
    made = flight()
    made.add(ONE, again=True)
    made.add(TWO)
    assert made.due(100.0) == [(ONE, True), (TWO, False)]
    assert sorted(made.due(101.0)) == [(ONE, True), (TWO, False)]


def test_what_is_under_way_is_not_begun_anew():
    made = flight()
    made.add(ONE)
    made.due(100.0)
    made.add(ONE, again=True)
    assert made.due(100.1) == []


def test_many_alerts_take_turns_and_receipts_let_others_in():
    made = flight()
    alerts = [(7, n) for n in range(2 * WINDOW)]
    for alert in alerts:
        made.add(alert)
    assert ids(made.due(100.0)) == alerts[:WINDOW]
    assert made.due(100.1) == []
    assert made.next_timer() > 100.1
    for alert in alerts[:10]:
        made.drop(alert)
    assert made.next_timer() == float("-inf")
    assert ids(made.due(100.1)) == alerts[WINDOW : WINDOW + 10]


def test_where_no_receipt_ever_comes_all_are_said_in_the_end():
    made = flight()
    alerts = [(7, n) for n in range(5 * WINDOW)]
    for alert in alerts:
        made.add(alert)
    said = Counter()
    now = 100.0
    while now < 100.0 + 4 * 2.7:  # PATIENCE sayings take some two seconds
        now = max(now, made.next_timer())
        batch = ids(made.due(now))
        said.update(batch)
        assert len(set(batch)) == len(batch)
    assert set(said) == set(alerts)
    for alert in alerts:
        made.drop(alert)
    made.add(ONE)
    assert ids(made.due(now)) == [ONE]


@given(st.data())
def test_the_window_is_neither_exceeded_nor_lost_whatever_is_receipted(data):
    made = flight()
    alerts = [(7, n) for n in range(3 * WINDOW)]
    for alert in alerts:
        made.add(alert)
    said, left, now = Counter(), dict.fromkeys(alerts), 100.0
    while left:
        batch = ids(made.due(now))
        said.update(batch)
        assert set(batch) <= set(left)
        fresh = [alert for alert in left if 0 < said[alert] < PATIENCE]
        waiting = [alert for alert in left if not said[alert]]
        assert len(fresh) == WINDOW or (len(fresh) < WINDOW and not waiting)
        share = data.draw(st.sampled_from([0, 0.1, 0.5, 1.0]))
        for alert in [a for a in left if said[a]][: 1 + int(share * WINDOW)]:
            made.drop(alert)
            del left[alert]
        due = made.next_timer()
        assert (due is None) == (not left)
        now = max(now, due or 0.0)


def test_ids_of_a_process_count_up_and_carry_its_number():
    births = Births(5)
    assert [births.next(), births.next()] == [(5, 1), (5, 2)]
