"""Locators: how they are written, when they are tried, what is proposed."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.clock import ManualClock, SystemClock
from peep.errors import PeepError
from peep.net.backends import Backends, Wanted, backends
from peep.net.locators import (
    GAPS_S,
    MAX_ADDRESSES,
    Finder,
    Locator,
    Pursuit,
    parse_locator,
    resolve,
)

HERE = ("10.0.0.9", 2001)
THERE = ("fe80::9%eth0", 2001)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("peep://noc", "noc", 2001),
        ("peep://noc.example.org:4000", "noc.example.org", 4000),
        ("peep://noc.example.org./", "noc.example.org.", 2001),
        ("peep://10.0.0.9:1", "10.0.0.9", 1),
        ("peep://[fd00::1]", "fd00::1", 2001),
        ("peep://[fd00::1]:65535", "fd00::1", 65535),
        ("peep://[fe80::1%25eth0]:2001", "fe80::1%eth0", 2001),
        ("peep://[fe80::1%eth0]", "fe80::1%eth0", 2001),
    ],
)
def test_a_locator_names_a_host_and_perhaps_a_port(text, host, port):
    assert parse_locator(text) == Locator(host, port)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("noc:2001", "begins with peep://"),
        ("http://noc", "begins with peep://"),
        ("peep://", "names no host"),
        ("peep://:2001", "names no host"),
        ("peep://a b", "'a b' is no host name"),
        ("peep://-a", "'-a' is no host name"),
        ("peep://" + "a" * 254, "is no host name"),
        ("peep://noc:", "'' is no port"),
        ("peep://noc:0", "'0' is no port"),
        ("peep://noc:65536", "'65536' is no port"),
        ("peep://noc:²", "is no port"),
        ("peep://noc:" + "9" * 5000, "is no port"),
        ("peep://fd00::1", "stands in brackets"),
        ("peep://[fd00::1", "the bracket"),
        ("peep://[noc]", "is no IPv6 address"),
        ("peep://[fd00::1]2001", "comes :PORT"),
        ("peep://[fd00::1]:", "'' is no port"),
    ],
)
def test_a_wrong_locator_is_refused_in_one_line_that_says_why(text, why):
    with pytest.raises(PeepError) as refused:
        parse_locator(text)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text() | st.text().map("peep://{}".format))
def test_any_text_is_a_locator_or_refused(text):
    try:
        locator = parse_locator(text)
    except PeepError:
        return
    assert parse_locator(str(locator)) == locator


def tries(pursuit, end):
    """Let time pass for a pursuit; return when it tried."""
    found = []
    while (due := pursuit.next_timer()) is not None and due <= end:
        if pursuit.handle_timer(due):
            found.append(due)
    return found


def pursuit_of(*addresses, chance=lambda: 0.5):
    pursuit = Pursuit(chance)
    pursuit.start(0.0)
    pursuit.propose(list(addresses))
    return pursuit


def test_a_name_is_tried_for_ever_with_the_stated_pauses():
    found = tries(pursuit_of(HERE), 1400)
    assert found == [0, 1, 6, 16, 76, 136, 436, 736, 1036, 1336]


@given(st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_jitter_moves_a_pause_by_a_quarter_at_most(chances):
    found = tries(pursuit_of(HERE, chance=itertools.cycle(chances).__next__), 3000)
    for step, (one, next_one) in enumerate(itertools.pairwise(found)):
        gap = GAPS_S[min(step, len(GAPS_S) - 1)]
        assert 0.74 * gap <= next_one - one <= 1.26 * gap


def test_a_try_before_its_time_does_nothing():
    pursuit = pursuit_of(HERE)
    assert pursuit.handle_timer(0.0)
    assert not pursuit.handle_timer(0.5)


def test_a_leased_address_ends_the_trying():
    pursuit = pursuit_of(HERE, THERE)
    pursuit.leased(THERE)
    assert pursuit.next_timer() is None
    assert not pursuit.handle_timer(1000.0)


def test_a_lost_lease_begins_the_pauses_anew():
    pursuit = pursuit_of(HERE)
    tries(pursuit, 500)
    pursuit.leased(HERE)
    pursuit.lost(HERE, 1000.0)
    assert tries(pursuit, 1100) == [1001, 1006, 1016, 1076]


def test_one_of_two_leases_lost_begins_nothing():
    pursuit = pursuit_of(HERE, THERE)
    pursuit.leased(HERE)
    pursuit.leased(THERE)
    pursuit.lost(HERE, 10.0)
    assert pursuit.next_timer() is None
    pursuit.lost(THERE, 20.0)
    assert pursuit.next_timer() == 21.0


def test_leases_of_others_change_nothing():
    pursuit = pursuit_of(HERE)
    pursuit.leased(THERE)
    pursuit.lost(THERE, 0.0)
    assert pursuit.next_timer() == 0.0


def test_a_name_that_moved_on_still_knows_its_lease():
    pursuit = pursuit_of(HERE)
    pursuit.leased(HERE)
    pursuit.propose([THERE])
    pursuit.lost(HERE, 10.0)
    assert pursuit.next_timer() == 11.0


def test_another_look_is_taken_at_once_unless_there_is_a_lease():
    pursuit = pursuit_of(HERE)
    tries(pursuit, 500)
    pursuit.again(600.0)
    assert pursuit.next_timer() == 600.0
    pursuit.leased(HERE)
    pursuit.again(700.0)
    assert pursuit.next_timer() is None


class Found:
    """What a backend proposed, and a way to wait for more of it."""

    def __init__(self):
        self.addresses = []
        self._more = asyncio.Event()

    def __call__(self, address):
        self.addresses.append(address)
        self._more.set()

    async def until(self, count):
        while len(self.addresses) < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 10)


async def with_finder(look_up, body, clock=None):
    said = []
    finder = Finder(
        look_up, clock=clock or SystemClock(), chance=lambda: 0.0, say=said.append
    )
    found = Found()
    task = asyncio.create_task(finder.run(found))
    try:
        await body(finder, found)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return said


def test_a_failed_look_up_is_said_once_and_tried_again():
    answers = iter([PeepError("no such name")] * 2)

    async def look_up():
        problem = next(answers, None)
        if problem:
            raise problem
        return [HERE]

    async def body(finder, found):
        for _ in range(2):  # brings the next try forward
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            finder.set_classes(["public"])
        await found.until(1)

    said = asyncio.run(with_finder(look_up, body))
    assert said == ["no such name; trying again"]


def test_every_address_of_a_name_is_proposed_once_a_try_and_bounded():
    async def look_up():
        return [(f"10.0.{n // 200}.{n % 200}", 2001) for n in range(100)] * 2

    async def body(_, found):
        await found.until(MAX_ADDRESSES)
        await asyncio.sleep(0)
        assert len(set(found.addresses)) == len(found.addresses) == MAX_ADDRESSES

    asyncio.run(with_finder(look_up, body))


def test_a_lost_lease_wakes_a_finder_that_rests():
    clock = ManualClock()

    async def look_up():
        return [HERE]

    async def body(finder, found):
        await found.until(1)
        finder.leased(HERE)
        await asyncio.sleep(0)
        finder.lost(HERE)
        clock.advance(1.0)
        finder.lost(THERE)  # any word makes it look at the clock
        await found.until(2)

    asyncio.run(with_finder(look_up, body, clock))


@pytest.mark.network
def test_a_name_is_resolved_in_a_thread():
    found = asyncio.run(resolve("127.0.0.1", 2001))
    assert found == [("127.0.0.1", 2001)]
    assert asyncio.run(resolve("::1", 7)) == [("::1", 7)]


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_what_is_no_name_at_all_has_no_address(host):
    with pytest.raises(PeepError, match="cannot find"):
        asyncio.run(resolve(host, 2001))


def test_nobody_waits_for_a_resolver_after_the_end():
    async def body():
        task = asyncio.create_task(resolve("127.0.0.1", 1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(body())


def test_backends_run_side_by_side_and_one_that_fails_is_said():
    said = []

    class Broken:
        async def run(self, _propose):
            raise PeepError("no interface")

    async def body():
        wanted = Wanted(locators=(Locator("127.0.0.1", 7), Locator("::1", 8)))
        members = backends(
            wanted, ["public"], clock=SystemClock(), chance=lambda: 0.5, say=said.append
        )
        found = Found()
        group = Backends([Broken(), *members], found, said.append)
        group.start()
        await found.until(2)
        await group.close()
        return found.addresses

    assert set(asyncio.run(body())) == {("127.0.0.1", 7), ("::1", 8)}
    assert said == ["no interface; trying again"]


def test_backends_are_told_of_leases_and_classes():
    clock = ManualClock()

    async def body():
        members = backends(
            Wanted(locators=(Locator("127.0.0.1", 7),)),
            ["public"],
            clock=clock,
            chance=lambda: 0.5,
            say=print,
        )
        found = Found()
        group = Backends(members, found, print)
        group.start()
        await found.until(1)
        group.set_classes(["web"])
        await found.until(2)
        group.leased(("127.0.0.1", 7))
        group.set_classes(["db"])  # leased: there is no need
        group.lost(("127.0.0.1", 7))
        clock.advance(1.0)
        group.leased(("10.0.0.1", 1))
        await found.until(3)
        await group.close()
        return len(found.addresses)

    assert asyncio.run(body()) == 3
