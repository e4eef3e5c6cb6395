"""Which alerts a server has already: heard once, recorded once, receipted after."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.server import alerts as module
from peep.server.alerts import Alerts, Take

ONE, TWO = (1, 7, 1), (1, 7, 2)


def test_a_new_alert_is_heard_and_recorded_and_then_receipted():
    alerts = Alerts()
    assert alerts.take(ONE) is Take.HEAR
    alerts.settle([ONE], [])
    assert alerts.take(ONE) is Take.RECEIPT
    assert alerts.take(ONE) is Take.RECEIPT


def test_one_that_comes_again_before_the_commit_waits_for_it():
    alerts = Alerts()
    alerts.take(ONE)
    assert alerts.take(ONE) is Take.WAIT
    alerts.settle([ONE], [])
    assert alerts.take(ONE) is Take.RECEIPT


def test_one_that_could_not_be_written_is_tried_again_in_silence():
    alerts = Alerts()
    alerts.take(ONE)
    alerts.settle([], [ONE])
    assert alerts.take(ONE) is Take.RECORD
    assert alerts.take(ONE) is Take.WAIT
    alerts.settle([ONE], [])
    assert alerts.take(ONE) is Take.RECEIPT


@pytest.mark.parametrize("other", [(2, 7, 1), (1, 8, 1), TWO])
def test_alerts_differ_by_agent_by_origin_and_by_serial(other):
    alerts = Alerts([ONE])
    assert alerts.take(other) is Take.HEAR


def test_what_was_on_record_before_a_restart_is_known_after():
    alerts = Alerts([ONE, TWO])
    assert alerts.take(TWO) is Take.RECEIPT
    assert alerts.take(ONE) is Take.RECEIPT


def test_what_comes_again_is_counted():
    alerts = Alerts([ONE])
    for alert in (ONE, TWO, TWO):
        alerts.take(alert)
    assert alerts.repeated == 2


def test_memory_is_bounded_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 3)
    alerts = Alerts()
    for serial in range(4):
        alerts.take((1, 1, serial))
    alerts.settle([(1, 1, serial) for serial in range(4)], [])
    assert alerts.take((1, 1, 3)) is Take.RECEIPT
    assert alerts.take((1, 1, 1)) is Take.RECEIPT
    assert alerts.take((1, 1, 0)) is Take.HEAR


@given(
    st.lists(
        st.tuples(st.sampled_from(["come", "commit", "fail", "die"]), st.integers(0, 3))
    )
)
def test_whatever_happens_an_alert_is_recorded_once_and_receipted_when_it_is(steps):
    record, queued, alerts = [], [], Alerts()
    heard = set()
    for what, serial in steps:
        key = (1, 1, serial)
        if what == "come":
            take = alerts.take(key)
            assert (take is Take.RECEIPT) == (key in record)
            assert (take is Take.WAIT) == (key in queued)
            assert (take is Take.HEAR) == (key not in heard)
            heard.add(key)
            if take in (Take.HEAR, Take.RECORD):
                queued.append(key)
        elif what == "commit":
            record += queued
            alerts.settle(queued, [])
            queued = []
        elif what == "fail":
            alerts.settle([], queued)
            queued = []
        else:
            alerts, queued, heard = Alerts(record), [], set(record)
        assert len(record) == len(set(record))
