"""Much that came at once is kept and sent in parts, and others have turns meanwhile."""

import asyncio
import itertools
import random

import pytest

from peep.agent.app import PART, AgentApp, AgentPlan
from peep.clock import ManualClock
from peep.journal.store import Store
from peep.loglines import Batch, LogLine, Mark
from peep.protocol.agent import AgentConfig
from peep.rules import Rule, RuleSet
from peep.signals import Tier

pytestmark = pytest.mark.network

MANY = 30 * PART + 1  # more turns than it takes to stop
RULES = RuleSet([Rule(name="boom", match="boom", event="test.boom", tier=Tier.ALERT)])
MARK = Mark("/var/log/a.log", 7, 1, 2, b"head", MANY, b"tail")
LINES = tuple(LogLine("a", at, b"boom", 1.0, 7) for at in range(MANY))


class Storm:
    """A source of one batch, each line of which is an alert."""

    def describe(self):
        return "a storm"

    async def batches(self):
        yield Batch("a", LINES, (MARK,))
        await asyncio.Event().wait()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "agent-0.db", say=print, clock=ManualClock(wall=1000.0))


def agent(store):
    app = AgentApp(
        AgentPlan(
            config=AgentConfig(agent_id=b"\x01" * 8, host="here", classes=("c",)),
            interfaces=("lo",),
            sources=(),
        ),
        RULES,
        clock=ManualClock(wall=1000.0),
        rng=random.Random(1),
        say=print,
        store=store,
    )
    app.attend("a test", Storm)
    return app


def run(app, store, until):
    """Run an agent until something holds; return what was seen at each turn."""
    seen = [(0, 0, 0)]

    async def work():
        stop = asyncio.Event()
        task = asyncio.create_task(app.run(stop))
        while not until(seen[-1]):
            await asyncio.sleep(0)
            kept, marks = len(store.alerts()), len(store.marks())
            seen.append((kept, marks, app._machine.unconfirmed()))
        stop.set()
        await task

    asyncio.run(work())
    return seen


def found_after(tmp_path):
    store = Store(tmp_path / "agent-0.db", say=print)
    found = len(store.alerts()), [mark.offset for mark in store.marks()]
    store.close()
    return found


def test_no_more_than_a_part_is_kept_or_sent_until_others_have_a_turn(store):
    seen = run(agent(store), store, lambda last: last[2] == MANY)
    for before, after in itertools.pairwise(seen):
        assert after[0] - before[0] <= PART
        assert after[2] - before[2] <= PART


def test_a_mark_is_kept_after_all_its_alerts_and_before_any_is_sent(store):
    for kept, marks, sent in run(agent(store), store, lambda last: last[2] == MANY):
        assert marks == (kept == MANY)
        assert marks or not sent


@pytest.mark.parametrize("column", [0, 2], ids=["kept", "sent"])
def test_what_is_stopped_in_the_midst_of_it_is_kept_with_its_mark(
    store, tmp_path, column
):
    app = agent(store)
    seen = run(app, store, lambda last: last[column] > 0)
    assert seen[-1][column] <= PART, "or it was not in the midst"
    assert found_after(tmp_path) == (MANY, [MANY])
    assert app.signals == app._machine.unconfirmed() == MANY
