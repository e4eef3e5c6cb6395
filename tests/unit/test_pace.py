"""A ceiling on processor time holds, whatever is done; time is moved by hand."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent import pace
from peep.agent.pace import LEAST_REST_S, MAX_REST_S, WINDOW_S, Pacer, Turns
from peep.clock import ManualClock

CEILING = 0.1


def test_what_stays_below_the_ceiling_never_rests():
    pacer = Pacer(CEILING, 100.0, 7.0)
    for second in range(1, 1000):
        assert pacer.rest_s(100.0 + second, 7.0 + 0.1 * second) == 0.0


def test_a_burst_is_free_and_what_follows_it_rests():
    pacer = Pacer(CEILING, 0.0, 0.0)
    assert pacer.rest_s(0.0, CEILING * WINDOW_S) == 0.0
    assert pacer.rest_s(0.0, CEILING * WINDOW_S + 0.05) == pytest.approx(0.5)
    assert pacer.rest_s(0.3, CEILING * WINDOW_S + 0.05) == pytest.approx(0.2)
    assert pacer.rest_s(0.5000001, CEILING * WINDOW_S + 0.05) == 0.0


def test_no_more_is_saved_up_than_a_window_brings():
    pacer = Pacer(CEILING, 0.0, 0.0)
    assert pacer.rest_s(86_400.0, 0.0) == 0.0
    assert pacer.rest_s(86_400.0, CEILING * (WINDOW_S + 3)) == pytest.approx(3.0)


def test_nothing_starves_however_much_something_else_takes():
    pacer = Pacer(CEILING, 0.0, 0.0)
    assert pacer.rest_s(1.0, 1e6) == pytest.approx(MAX_REST_S)
    assert pacer.rest_s(1.0 + MAX_REST_S + 1e-6, 1e6) == 0.0


def test_neither_a_clock_nor_a_counter_that_goes_back_gives_or_takes_anything():
    pacer = Pacer(CEILING, 50.0, 5.0)
    assert pacer.rest_s(50.0, 5.0 + CEILING * WINDOW_S) == 0.0
    assert pacer.rest_s(40.0, 1.0) == 0.0
    assert pacer.rest_s(40.0, 1.1) == pytest.approx(1.0)


portions = st.lists(
    st.tuples(
        st.floats(0.0, 2.0),  # processor time of the portion
        st.floats(0.0, 3.0),  # what else passes before it
        st.floats(0.0, 0.3),  # processor time of other work meanwhile
    ),
    min_size=1,
    max_size=60,
)


@given(st.floats(0.01, 1.0), portions)
def test_over_any_time_no_more_is_spent_than_the_ceiling_a_window_and_a_portion(
    ceiling, portions
):
    now = spent = 0.0
    pacer = Pacer(ceiling, now, spent)
    done = []  # when a portion began, and ended; what was spent until then
    for work_s, wait_s, other_s in portions:
        now += wait_s
        spent += min(other_s, wait_s) * ceiling
        while rest_s := pacer.rest_s(now, spent):
            assert rest_s <= MAX_REST_S
            now += rest_s
        began, before = now, spent
        now += work_s
        spent += min(work_s, ceiling * MAX_REST_S)  # more would be forgiven
        done.append((began, before, now, spent))
    most = max(after - before for _, before, _, after in done)
    for at, (began, before, _, _) in enumerate(done):
        for _, _, ended, after in done[at:]:
            allowed = ceiling * (ended - began + WINDOW_S + LEAST_REST_S) + most
            assert after - before <= allowed + 1e-6


@pytest.fixture
def clock(monkeypatch):
    """A clock that rests move forward."""
    made = ManualClock(now=1000.0)
    sleep = asyncio.sleep

    async def rest(seconds):
        made.advance(seconds)
        await sleep(0)

    monkeypatch.setattr(pace.asyncio, "sleep", rest)
    return made


def test_sources_take_turns_and_each_gets_one_in_its_time(clock):
    spent = [0.0]
    begun = []

    async def source(name, turns):
        for _ in range(5):
            async with turns.turn():
                begun.append((name, clock.now()))
                spent[0] += 0.1

    async def scene():
        turns = Turns(clock, lambda: spent[0])
        turns.limit(10)
        await asyncio.gather(source("a", turns), source("b", turns))
        return turns.rested_s

    rested_s = asyncio.run(scene())
    # Three are free, as nobody else has come yet; then there is one a second.
    assert "".join(name for name, _ in begun) == "aaaa" + "ba" + "bbbb"
    assert [at - 1000 for _, at in begun] == pytest.approx([0, 0, 0, *range(1, 8)])
    assert rested_s == pytest.approx(7.0)


def test_without_a_ceiling_turns_do_not_wait_for_each_other(clock):
    async def scene():
        turns = Turns(clock, lambda: 1e6)
        async with turns.turn(), turns.turn():
            pass
        turns.limit(0)
        async with turns.turn(), turns.turn():
            pass
        return turns.rested_s

    assert asyncio.run(scene()) == 0.0
    assert clock.now() == 1000.0


def test_a_ceiling_that_is_taken_away_ends_the_rest(clock):
    spent = [0.0]

    async def scene():
        turns = Turns(clock, lambda: spent[0])
        turns.limit(1)
        spent[0] += 10.0
        turn = asyncio.create_task(turns.turn().__aenter__())
        await asyncio.sleep(0)
        turns.limit(0)
        await turn
        return turns.rested_s

    assert asyncio.run(scene()) <= MAX_REST_S
