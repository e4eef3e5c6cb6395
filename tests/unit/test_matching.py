"""Lines are judged once, whatever becomes of the rules meanwhile."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.agent.matching import Matching
from peep.clock import ManualClock, SystemClock
from peep.loglines import LogLine
from peep.rules import Rate, Rule, RuleSet
from peep.rules.ruleset import PORTION_LINES


def rules(name, rate=None, pattern="x"):
    return RuleSet([Rule(name=name, match=pattern, event=f"by.{name}", rate=rate)])


def lines(first, count, text=b"x"):
    return [LogLine("log", n, text, origin=7) for n in range(first, first + count)]


class Slow:
    """A rule set that takes its time: each batch waits until it is let go."""

    def __init__(self, rules):
        self._rules = rules
        self.rules = rules.rules
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def quick(self, _lines):
        return False

    def take(self, lines):
        self._loop.call_soon_threadsafe(self.began.set)
        asyncio.run_coroutine_threadsafe(self.go.wait(), self._loop).result()
        return self._rules.take(lines)


class Guard:
    """What a rule set asks, as far as it is closed and counted."""

    def __init__(self):
        self.closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def close(self):
        self._loop.call_soon_threadsafe(self.closed.set)

    def spent_s(self):
        return 1.5


def test_the_next_batch_is_judged_by_the_new_rules():
    async def scene():
        matching = Matching(rules("old"), ManualClock())
        before = await matching.take(lines(0, 3))
        assert matching.swap(rules("new"), None) == []
        after = await matching.take(lines(3, 3))
        assert [event.name for event in before + after] == ["by.old"] * 3 + [
            "by.new"
        ] * 3
        assert (matching.lines, matching.matched) == (6, 6)

    asyncio.run(scene())


def test_what_the_old_rules_had_folded_passes_when_they_go():
    async def scene():
        matching = Matching(rules("old", Rate(1, 60.0)), ManualClock())
        (passed,) = await matching.take(lines(0, 5))
        (folded,) = matching.swap(rules("new"), None)
        assert (passed.count, folded.count, folded.serial) == (1, 4, 1)
        assert matching.drain() == []
        assert matching.folded == 3

    asyncio.run(scene())


def test_a_batch_ends_with_the_rules_it_began_with_and_they_go_with_it():
    async def scene():
        slow, guard = Slow(rules("old", Rate(1, 60.0))), Guard()
        matching = Matching(slow, ManualClock(), guard)
        assert matching.spent_s == 1.5
        taking = asyncio.create_task(matching.take(lines(0, 4)))
        await slow.began.wait()
        assert matching.swap(rules("new"), None) == []
        assert matching.spent_s == 0.0
        (new,) = await matching.take(lines(4, 1))
        assert not guard.closed.is_set()
        slow.go.set()
        old = await taking
        assert [(e.name, e.count) for e in old] == [("by.old", 1), ("by.old", 3)]
        assert new.name == "by.new"
        await asyncio.wait_for(guard.closed.wait(), 10)
        assert matching.drain() == []

    asyncio.run(scene())


def test_a_batch_of_many_portions_is_judged_by_the_same_rules_to_its_end():
    async def scene():
        slow = Slow(rules("old"))
        matching = Matching(slow, ManualClock())
        count = 2 * PORTION_LINES + 1
        taking = asyncio.create_task(matching.take(lines(0, count)))
        await slow.began.wait()
        matching.swap(rules("new"), None)
        slow.go.set()
        events = await taking + matching.drain()
        assert {event.name for event in events} == {"by.old"}
        assert sum(event.count for event in events) == count

    asyncio.run(scene())


def test_the_end_takes_what_rules_on_their_way_out_had_folded_too():
    async def scene():
        slow = Slow(rules("old", Rate(1, 60.0)))
        slow.go.set()
        matching = Matching(slow, ManualClock())
        await matching.take(lines(0, 3))
        slow.go.clear()
        slow.began.clear()
        taking = asyncio.create_task(matching.take(lines(3, 3)))
        await slow.began.wait()
        matching.swap(rules("new"), None)
        assert [event.count for event in matching.drain()] == [2]
        slow.go.set()
        await taking

    asyncio.run(scene())


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("take"), st.integers(0, 5)),
            st.tuples(st.just("swap"), st.sampled_from([None, Rate(1, 9.0)])),
            st.tuples(st.just("pass"), st.floats(0.0, 20.0)),
        ),
        max_size=30,
    )
)
def test_every_line_is_counted_once_by_the_rules_of_its_time(steps):
    async def scene():
        clock = ManualClock()
        matching = Matching(rules("r0"), clock)
        passed, expected, number, name = [], {}, 0, "r0"
        taking = []
        for at, (verb, value) in enumerate(steps):
            if verb == "take":
                taking.append(asyncio.create_task(matching.take(lines(number, value))))
                await asyncio.sleep(0)
                expected[name] = expected.get(name, 0) + value
                number += value
            elif verb == "swap":
                name = f"r{at}"
                passed += matching.swap(rules(name, value), None)
            else:
                clock.advance(value)
        for task in taking:
            passed += await task
        passed += matching.drain()
        counts = {}
        for event in passed:
            rule = event.name.removeprefix("by.")
            counts[rule] = counts.get(rule, 0) + event.count
        assert counts == {name: n for name, n in expected.items() if n}
        assert matching.matched == number

    asyncio.run(scene())


def test_a_storm_that_is_due_sooner_than_another_is_not_waited_out():
    async def scene():
        clock = SystemClock()
        both = RuleSet(
            [
                Rule(name="s", match="slow", event="a.slow", rate=Rate(1, 3600.0)),
                Rule(name="q", match="quick", event="a.quick", rate=Rate(100, 1.0)),
            ]
        )
        matching = Matching(both, clock)
        await matching.take(lines(0, 2, b"slow"))
        later = asyncio.create_task(matching.later())
        await asyncio.sleep(0)
        await matching.take(lines(2, 102, b"quick"))
        (event,) = await asyncio.wait_for(later, 10)
        assert event.name == "a.quick"

    asyncio.run(scene())


def test_new_rules_wake_who_waits_for_the_old_ones():
    async def scene():
        matching = Matching(rules("old", Rate(1, 3600.0)), SystemClock())
        await matching.take(lines(0, 2))
        later = asyncio.create_task(matching.later())
        await asyncio.sleep(0)
        matching.swap(rules("new", Rate(100, 1.0)), None)
        await matching.take(lines(2, 102))
        (event,) = await asyncio.wait_for(later, 10)
        assert event.name == "by.new"

    asyncio.run(scene())


def test_what_is_cancelled_in_the_midst_leaves_nothing_behind():
    async def scene():
        slow, guard = Slow(rules("old")), Guard()
        matching = Matching(slow, ManualClock(), guard)
        first = asyncio.create_task(matching.take(lines(0, 1)))
        await slow.began.wait()
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        slow.go.set()
        assert matching.swap(rules("new"), None) == []
        await asyncio.wait_for(guard.closed.wait(), 10)
        assert matching.lines == 0

    asyncio.run(scene())


def test_of_a_batch_that_is_cut_short_nothing_was_folded():
    async def scene():
        slow = Slow(rules("old", Rate(1, 60.0)))
        matching = Matching(slow, ManualClock())
        task = asyncio.create_task(matching.take(lines(0, 2 * PORTION_LINES)))
        await slow.began.wait()
        slow.began.clear()
        slow.go.set()
        await slow.began.wait()  # with the second portion
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert matching.drain() == []
        assert matching.matched == 0

    asyncio.run(scene())


def test_lines_of_peep_itself_are_counted_and_passed_over():
    async def scene():
        matching = Matching(rules("r", pattern="boom"), ManualClock())
        own = b"Nov 21 10:00:00 web1 peep[12]: alert by.r from web2: frog: boom"
        told = b"alert by.r from web2: frog: boom"
        (event,) = await matching.take(
            [*lines(0, 1, own), *lines(1, 1, told), *lines(2, 1, b"boom")]
        )
        assert event.serial == 2
        assert (matching.lines, matching.own, matching.matched) == (3, 2, 1)

    asyncio.run(scene())


@pytest.mark.parametrize("count", [0, 1, PORTION_LINES])
def test_any_number_of_lines_is_taken(count):
    async def scene():
        matching = Matching(rules("r"), ManualClock())
        assert len(await matching.take(lines(0, count))) == min(count, 5)

    asyncio.run(scene())
