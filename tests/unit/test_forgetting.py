"""Marks leave when nobody has followed their logs for long, and never before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.forgetting import AT_ONCE, DAY_S, KEPT_DAYS
from peep.agent.keep import Keep
from peep.agent.sources import followed
from peep.agent.sources.journald import JournaldSource, JournaldSpec
from peep.agent.sources.plugins import Plugged, Plugin
from peep.agent.sources.system import SystemSpec
from peep.agent.sources.tail import TailSpec
from peep.clock import ManualClock
from peep.journal import store as stores
from peep.journal.store import Store
from peep.loglines import Batch, Mark
from peep.signals import Event


def mark(path="/var/log/a.log", origin=7, when=0.0):
    return Mark(path, origin, 1, 2, b"head", 10, b"tail", followed=when)


class Life:
    """One agent after the other, with one store."""

    def __init__(self, path):
        self.path = path / "agent-0.db"
        self.clock = ManualClock(wall=1_800_000_000.0)

    def days(self, count):
        self.clock.advance(count * DAY_S)

    def run(self, *specs, batch=None, flushes=10):
        """Let an agent run for a moment; return the paths of the marks it leaves."""
        keep = Keep(Store(self.path, say=print, clock=self.clock), self.clock)
        keep.follow(followed(specs))
        if batch is not None:
            keep.commit([], batch)
        for _ in range(flushes):
            keep.flush()
        keep.close()
        return self.marks()

    def marks(self):
        store = Store(self.path, say=print, clock=self.clock)
        found = store.marks()
        store.close()
        return sorted(one.path for one in found)


@pytest.fixture
def life(tmp_path):
    return Life(tmp_path)


A = TailSpec("/var/log/a.log")
OTHER = SystemSpec()


def test_a_log_that_nobody_follows_keeps_its_mark_for_a_month(life):
    life.run(A, batch=Batch("a", (), (mark(),)))
    life.days(KEPT_DAYS - 1)
    assert life.run(OTHER) == ["/var/log/a.log"]
    life.days(2)
    assert life.run(OTHER) == []


def test_a_silent_log_that_is_followed_keeps_its_mark_for_ever(life):
    life.run(A, batch=Batch("a", (), (mark(),)))
    for _ in range(5):
        life.days(KEPT_DAYS * 2)
        assert life.run(A) == ["/var/log/a.log"]


def test_a_pattern_keeps_the_marks_of_all_that_it_may_take_again(life):
    life.run(A, batch=Batch("a", (), (mark(), mark("/var/log/b.txt", 8))))
    for _ in range(3):
        life.days(KEPT_DAYS + 1)
        assert life.run(TailSpec("/var/log/*.log")) == ["/var/log/a.log"]


def test_an_agent_that_runs_for_long_forgets_and_remembers_too(life):
    marks = (mark(), mark("/var/log/b.log", 8))
    keep = Keep(Store(life.path, say=print, clock=life.clock), life.clock)
    keep.commit([], Batch("a", (), marks))
    keep.follow(followed([A]))
    for _ in range(KEPT_DAYS + 2):
        keep.flush()
        life.days(1)
    keep.flush()
    keep.close()
    assert life.marks() == ["/var/log/a.log"]
    life.days(KEPT_DAYS - 2)
    assert life.run(OTHER) == ["/var/log/a.log"], "it was followed to the last"


def test_of_a_mark_without_a_time_the_days_are_counted_from_now(life):
    store = Store(life.path, say=print, clock=life.clock)
    store.commit([], [mark()])
    store.close()
    assert life.run(OTHER) == ["/var/log/a.log"]
    life.days(KEPT_DAYS - 1)
    assert life.run(OTHER) == ["/var/log/a.log"]
    life.days(2)
    assert life.run(OTHER) == []


def test_a_clock_that_was_set_back_forgets_nothing(life):
    life.run(A, batch=Batch("a", (), (mark(),)))
    life.clock = ManualClock(wall=1_700_000_000.0)
    assert life.run(OTHER) == ["/var/log/a.log"]
    life.days(KEPT_DAYS - 1)
    assert life.run(OTHER) == ["/var/log/a.log"]
    life.days(2)
    assert life.run(OTHER) == [], "nor does it keep it for years"


def test_thousands_are_judged_a_few_at_a_time(life):
    many = tuple(mark(f"/var/log/{n:03}", n) for n in range(1, 3 * AT_ONCE + 1))
    life.run(A, batch=Batch("a", (), many))
    life.days(KEPT_DAYS + 1)
    assert len(life.run(OTHER, flushes=1)) == AT_ONCE
    assert life.run(OTHER, flushes=5) == []


def test_a_mark_that_moved_meanwhile_is_not_taken_back(life):
    life.run(A, batch=Batch("a", (), (mark(),)))
    life.days(2)
    keep = Keep(Store(life.path, say=print, clock=life.clock), life.clock)
    keep.follow(followed([A]))
    moved = Mark("/var/log/a.log", 7, 1, 2, b"head", 999, b"tail")
    keep.commit([], Batch("a", (), (moved,)))
    keep.flush()
    assert [one.offset for one in keep.marks()] == [999]
    keep.close()


def test_without_a_store_there_is_nothing_to_forget():
    keep = Keep(None, ManualClock())
    keep.follow(followed([A]))
    keep.commit([Event(name="a.b")], Batch("a", (), (mark(),)))
    assert keep.flush() == ()


def test_where_there_are_too_many_those_go_that_nobody_followed_lately(
    life, monkeypatch
):
    monkeypatch.setattr(stores, "MAX_MARKS", 2)
    store = Store(life.path, say=print, clock=life.clock)
    # Their origins, by which the file has them, say otherwise.
    now = life.clock.wall()
    store.commit([], [mark("new", 1, now - 10), mark("old", 2, now - 20)])
    store.close()
    life.run(A, batch=Batch("a", (), (mark("newest", 3),)), flushes=0)
    assert life.marks() == ["new", "newest"]


def test_a_plug_in_may_follow_anything():
    is_followed = followed([Plugged(Plugin("odd"), None), OTHER])
    assert is_followed(mark("whatever"))


def test_the_journal_is_known_by_what_was_asked_of_it():
    spec = JournaldSpec(units=("b", "a"))
    path = JournaldSource(spec, ManualClock())._path
    assert followed([spec])(mark(path))
    assert followed([JournaldSpec(units=("a", "b"))])(mark(path))
    assert not followed([JournaldSpec()])(mark(path))


@given(st.text(max_size=20), st.lists(st.sampled_from(["/a", "/b*", "/c/?.log"])))
def test_a_mark_is_followed_if_one_of_the_sources_would_take_it(path, paths):
    each = [followed([TailSpec(one)])(mark(path)) for one in paths]
    assert followed([TailSpec(one) for one in paths])(mark(path)) == any(each)
