"""Storms become few events with counts."""

from hypothesis import given
from hypothesis import strategies as st

from peep.agent import folding
from peep.agent.folding import Folding
from peep.rules import Rate, Rule
from peep.signals import MAX_COUNT, Event, Tier


def rule(tier=Tier.ROUTINE, rate=None) -> Rule:
    return Rule(name="r", match="x", event="e", tier=tier, rate=rate)


def event(serial=0, instance="", count=1) -> Event:
    return Event(name="e", instance=instance, origin=7, serial=serial, count=count)


def told(events):
    return [(e.serial, e.count) for e in events]


def test_what_keeps_to_its_rate_passes_as_it_is():
    fold = Folding([rule(rate=Rate(2, 1.0))])
    for second in range(5):
        events = [event(2 * second), event(2 * second + 1)]
        assert fold.fold([0, 0], events, 100.0 + second) == events
    assert fold.next_due() is None
    assert fold.folded == 0


def test_more_becomes_one_event_with_the_count_and_the_first_ones_id():
    fold = Folding([rule(rate=Rate(2, 1.0))])
    passed = fold.fold([0] * 6, [event(n) for n in range(6)], 10.0)
    assert told(passed) == [(0, 1), (1, 1)]
    assert fold.next_due() == 10.5
    assert fold.due(10.4) == []
    assert told(fold.due(10.5)) == [(2, 4)]
    assert fold.next_due() is None
    assert fold.folded == 3


def test_a_storm_that_goes_on_is_told_at_its_rate():
    fold = Folding([rule(rate=Rate(10, 60.0))])
    passed = []
    for second in range(120):
        passed += fold.fold([0] * 100, [event(n) for n in range(100)], float(second))
    assert sum(e.count for e in passed + fold.drain()) == 12_000
    assert len(passed) == 10 + 19  # at once, and one every six seconds
    assert fold.drain() == []


def test_what_is_due_passes_before_what_is_new():
    fold = Folding([rule(rate=Rate(1, 1.0))])
    fold.fold([0, 0], [event(1), event(2)], 0.0)
    assert told(fold.fold([0], [event(3)], 1.0)) == [(2, 1)]
    assert told(fold.due(2.0)) == [(3, 1)]


def test_instances_and_rules_do_not_share_a_rate():
    fold = Folding([rule(rate=Rate(1, 1.0)), rule(rate=Rate(1, 1.0))])
    events = [event(1, "a"), event(2, "b"), event(3, "a"), event(4, "a")]
    assert told(fold.fold([0, 0, 1, 0], events, 0.0)) == [(1, 1), (2, 1), (3, 1)]


def test_routine_and_notable_have_a_rate_by_default_and_alerts_have_none():
    fold = Folding([rule(), rule(Tier.NOTABLE), rule(Tier.ALERT)])
    events = [event(n) for n in range(10)]
    assert len(fold.fold([0] * 10, events, 0.0)) == 5
    assert len(fold.fold([1] * 10, events, 0.0)) == 5
    assert fold.fold([2] * 10, events, 0.0) == events


def test_alerts_fold_where_their_rule_says_a_rate():
    fold = Folding([rule(Tier.ALERT, Rate(1, 3600.0))])
    assert len(fold.fold([0] * 10, [event(n) for n in range(10)], 0.0)) == 1
    assert told(fold.drain()) == [(1, 9)]


def test_counts_are_bounded_as_on_the_wire():
    fold = Folding([rule(rate=Rate(1, 1.0))])
    events = [event(0), event(1, count=MAX_COUNT), event(2, count=5)]
    fold.fold([0, 0, 0], events, 0.0)
    assert told(fold.drain()) == [(1, MAX_COUNT)]


def test_the_number_of_storms_is_bounded_and_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(folding, "MAX_STORMS", 8)
    fold = Folding([rule(rate=Rate(1, 60.0))])
    passed = []
    for n in range(100):
        passed += fold.fold([0, 0], [event(n, str(n)), event(n, str(n))], n / 10)
        assert len(fold._storms) <= 8
    passed += fold.drain()
    assert sum(e.count for e in passed) == 200


def test_storms_that_are_over_make_room_before_others(monkeypatch):
    monkeypatch.setattr(folding, "MAX_STORMS", 4)
    fold = Folding([rule(rate=Rate(1, 1.0))])
    fold.fold([0, 0], [event(1, "on"), event(2, "on")], 99.5)
    for n in range(3):
        fold.fold([0], [event(n, f"over{n}")], 1.0)
    assert fold.fold([0], [event(9, "new")], 99.6) == [event(9, "new")]
    assert told(fold.drain()) == [(2, 1)]


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.integers(0, 1), st.sampled_from("abc")),
        max_size=60,
    ),
    st.integers(1, 5),
    st.sampled_from([0.7, 1.0, 60.0]),
)
def test_counts_add_up_and_no_rate_is_exceeded(steps, count, period_s):
    fold = Folding([rule(rate=Rate(count, period_s)), rule(rate=Rate(1, 0.5))])
    now, passed, given_count = 1e6, [], 0
    for serial, (pause_s, which, instance) in enumerate(steps):
        now += pause_s
        given_count += 1
        passed += [(now, e) for e in fold.due(now)]
        passed += [(now, e) for e in fold.fold([which], [event(serial, instance)], now)]
        due = fold.next_due()
        assert due is None or now < due <= now + max(period_s / count, 0.5) + 1e-5
    rest = fold.drain()
    assert sum(e.count for _, e in passed) + sum(e.count for e in rest) == given_count
    assert given_count - fold.folded == len(passed) + len(rest)
