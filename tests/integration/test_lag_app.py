"""An agent that is too far behind skips, and is heard to: real files and sockets."""

import random
import secrets
from collections import Counter

import pytest
from test_agent_app import LO, RULES, play, running

from peep.agent.app import AgentApp, AgentPlan
from peep.agent.sources.tail import TailSpec
from peep.clock import SystemClock
from peep.journal.store import Store
from peep.protocol.agent import AgentConfig
from peep.protocol.events import AgentJoined
from peep.signals import Tier

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

LAG = 2 * 1024 * 1024
LINE = b"a line that no rule takes, of which there are very many indeed\n"


def agent(stage, log, store):
    config = AgentConfig(
        agent_id=secrets.token_bytes(8), host="test-host", classes=(stage.class_name,)
    )
    plan = AgentPlan(
        config=config,
        interfaces=LO,
        sources=(TailSpec(str(log)),),
        lag_max_bytes=LAG,
    )
    return AgentApp(
        plan,
        RULES,
        clock=SystemClock(),
        rng=random.Random(1),
        say=stage.say,
        store=store,
    )


def counts(stage):
    """How often each event is said to have happened."""
    found = Counter()
    for signal in stage.signals():
        found[signal.name] += signal.count
    return found


def test_what_came_while_it_was_stopped_is_skipped_and_the_end_is_heard(tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"old\n")
    count = 2 * LAG // len(LINE)

    async def scene(stage):
        with stage.server():
            store = Store(tmp_path / "agent-0.db", say=stage.say)
            app = agent(stage, log, store)
            async with running(app):
                await stage.until(lambda: stage.saw(AgentJoined))
                with log.open("ab") as file:
                    file.write(b"boom\n")
                await stage.until(stage.signals)
            stage.events.clear()
            with log.open("ab") as file:
                file.write(b"boom\n" * 3 + LINE * count + b"boom\n")
            store = Store(tmp_path / "agent-0.db", say=stage.say)
            app = agent(stage, log, store)
            async with running(app):
                await stage.until(lambda: counts(stage).get("test.boom") == 4)
            skipped = counts(stage)["peep.lines-skipped"]
            assert app.matching.lines + skipped == count + 4
            stage.events.clear()
            store = Store(tmp_path / "agent-0.db", say=stage.say)
            app = agent(stage, log, store)
            async with running(app):
                await stage.until(lambda: stage.saw(AgentJoined))
            assert app.matching.lines == app._skips.lines == 0
        assert sum("skipped" in line for line in stage.said) == 1

    play(scene)


def test_the_event_bears_the_count_and_the_metrics_too(tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"")
    count = 3 * LAG // len(LINE)

    async def scene(stage):
        with stage.server():
            app = agent(stage, log, None)
            async with running(app):
                await stage.until(lambda: stage.saw(AgentJoined))
                with log.open("ab") as file:
                    file.write(LINE * count)
                await stage.until(stage.signals)
                (event,) = stage.signals()
        assert (event.name, event.tier) == ("peep.lines-skipped", Tier.NOTABLE)
        assert event.count == app._skips.lines > count / 2
        assert event.instance == "", "an open class"

    play(scene)
