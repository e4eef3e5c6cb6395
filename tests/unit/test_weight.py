"""Memory has a ceiling; what can be given back is, before an agent ends."""

import asyncio
import contextlib
import gc
import weakref

import pytest

from peep.agent import weight
from peep.agent.weight import MIB, Weight, resident_bytes, settle, trim


class Scales:
    """Memory in use, and what shedding does to it."""

    def __init__(self, limit_mib=100):
        self.mib = 50
        self.shed_mib = 0
        self.sheds = 0
        self.said = []
        self.weight = Weight(self.said.append, self._shed, lambda: self.mib * MIB)
        self.weight.limit(limit_mib * MIB)

    def _shed(self):
        self.sheds += 1
        self.mib -= self.shed_mib

    def look(self, mib):
        self.mib = mib
        self.weight.look()
        return self.weight.exceeded.is_set()


def test_what_stays_below_is_not_said():
    scales = Scales()
    assert not scales.look(100)
    assert (scales.sheds, scales.said) == (0, [])


def test_no_ceiling_is_none():
    scales = Scales(limit_mib=0)
    assert not scales.look(10_000)
    assert (scales.sheds, scales.said) == (0, [])


def test_what_can_be_given_back_is_and_that_is_said_once():
    scales = Scales()
    scales.shed_mib = 40
    assert not scales.look(130)
    assert not scales.look(120)
    assert scales.sheds == 2
    (said,) = scales.said
    assert said == (
        "130 MiB of memory are in use, more than 100 (agent.memory_max); "
        "what was not needed is given back, now 90"
    )


def test_where_that_is_not_enough_it_is_the_end():
    scales = Scales()
    scales.shed_mib = 10
    assert scales.look(130)
    (said,) = scales.said
    assert said == (
        "130 MiB of memory are in use, more than 100 (agent.memory_max); "
        "this agent ends, so as to be started again"
    )


def test_a_ceiling_can_be_moved():
    scales = Scales()
    scales.weight.limit(200 * MIB)
    assert not scales.look(150)
    scales.weight.limit(0)
    assert not scales.look(1000)


def test_looks_are_taken_from_time_to_time(monkeypatch):
    monkeypatch.setattr(weight, "LOOK_S", 0.0)
    scales = Scales()
    scales.mib = 200

    async def scene():
        watching = asyncio.create_task(scales.weight.watch())
        await asyncio.wait_for(scales.weight.exceeded.wait(), 10)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    asyncio.run(scene())


def test_this_process_has_some_memory_and_gives_some_back():
    before = resident_bytes()
    assert before > MIB
    waste = [bytes(1000) for _ in range(200_000)]
    assert resident_bytes() - before > 100 * MIB
    del waste
    trim()
    assert resident_bytes() - before < 100 * MIB


@pytest.mark.parametrize("text", ["", "12", "x y z"])
def test_where_nobody_says_how_much_there_is_no_ceiling(tmp_path, text):
    statm = tmp_path / "statm"
    assert resident_bytes(statm) == 0
    statm.write_text(text)
    assert resident_bytes(statm) == 0


def test_what_has_settled_is_not_looked_through_again_but_by_the_next_settling():
    class Ring:
        pass

    try:
        gc.freeze()
        ring = Ring()
        ring.itself = ring
        seen = weakref.ref(ring)
        settle()
        assert gc.get_freeze_count() > 0
        del ring
        gc.collect()
        assert seen() is not None, "it is no part of any collection"
        settle()
        assert seen() is None, "nothing is kept for good"
    finally:
        gc.unfreeze()
