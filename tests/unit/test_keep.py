"""What an agent keeps, and when: before anything that hangs on it is sent."""

import pytest

from peep.agent.keep import Keep
from peep.clock import ManualClock
from peep.journal.store import Store
from peep.loglines import Batch, Mark
from peep.signals import Event, Tier

ROUTINE = Event(name="a.b", origin=7, serial=1)
ALERT = Event(name="a.c", tier=Tier.ALERT, origin=7, serial=2)


def mark(offset):
    return Mark("/var/log/a.log", 7, 1, 2, b"head", offset, b"tail")


def kept(tmp_path):
    """Return what would be found after a kill, by reading the file beside its owner."""
    store = Store(tmp_path / "agent-0.db", say=print)
    offsets = [one.offset for one in store.marks()]
    store.close()
    return offsets


@pytest.fixture
def one(tmp_path):
    one = Keep(Store(tmp_path / "agent-0.db", say=print), ManualClock(wall=1000.0))
    yield one
    one.close()


def test_a_mark_is_kept_with_the_events_of_its_lines(one, tmp_path):
    one.commit([ROUTINE], Batch("a", (), (mark(10),)))
    assert kept(tmp_path) == [10]


def test_a_mark_that_no_event_hangs_on_may_wait(one, tmp_path):
    one.commit([], Batch("a", (), (mark(10),)))
    assert kept(tmp_path) == []
    one.flush()
    assert kept(tmp_path) == [10]


def test_what_was_folded_is_not_sent_before_its_lines_marks_are_kept(one, tmp_path):
    one.commit([], Batch("a", (), (mark(10),)))  # all of it was folded
    one.commit([ROUTINE])  # and passes now
    assert kept(tmp_path) == [10]


def test_an_alert_is_kept_before_it_is_sent_and_until_it_is_confirmed(one):
    one.commit([ALERT], Batch("a", (), (mark(10),)))
    assert [kept.event for kept in one.alerts()] == [ALERT]
    one.confirm([(7, 2)])
    assert one.alerts() == []
