"""`peep agent --once`, and how agents end, beside a server that has a disk or not."""

import asyncio
import random
import secrets

import pytest
from test_agent_app import LO, PATIENCE_S, Lines, Stage, append, play

from peep.agent import app as app_module
from peep.agent.app import AgentApp, AgentPlan
from peep.agent.renewal import Renewed
from peep.agent.sources.tail import TailSpec
from peep.agent.weight import MIB
from peep.clock import SystemClock
from peep.errors import SourceError
from peep.protocol.agent import AgentConfig
from peep.protocol.events import AgentJoined, AgentLeft, SignalReceived
from peep.rules import Rate, Rule, RuleSet
from peep.signals import Event, Tier

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

ALERTS = [Rule(name="boom", match="boom", event="test.boom", tier=Tier.ALERT)]


class There(Lines):
    """Lines that are there, and then nothing more for ever."""

    async def so_far(self):
        async for batch in self.batches():
            yield batch
            return


class Desk(Stage):
    """A server that says that alerts are on record, if it has a disk."""

    def __init__(self):
        super().__init__()
        self.driver = None
        self.has_disk = True

    def tell(self, event, now):
        super().tell(event, now)
        if isinstance(event, SignalReceived) and self.has_disk:
            alert = event.signal
            self.driver._machine.receipt(event.way, [(alert.origin, alert.serial)])
            asyncio.get_running_loop().call_soon(self.driver.kick)

    def agent(self, *specs, sources=(), rules=ALERTS, load=None, **plan):
        config = AgentConfig(
            agent_id=secrets.token_bytes(8),
            host="test-host",
            classes=(self.class_name,),
        )
        app = AgentApp(
            AgentPlan(config=config, interfaces=LO, sources=specs, **plan),
            RuleSet(rules),
            clock=SystemClock(),
            rng=random.Random(1),
            say=self.say,
            load=load,
        )
        for source in sources:
            app.attend("a test", lambda source=source: source)
        return app


def scene_of(body):
    """Run a scene with a desk in place of a stage."""
    play(lambda _: body(Desk()))


@pytest.fixture
def soon(monkeypatch):
    """Nobody is waited for in vain for long."""
    monkeypatch.setattr(app_module, "SEEK_S", 0.2)
    monkeypatch.setattr(app_module, "COMPANY_S", 0.0)
    monkeypatch.setattr(app_module, "RECEIPTS_S", 0.5)
    monkeypatch.setattr(app_module, "FLUSH_S", 0.2)


async def once(app):
    return await asyncio.wait_for(app.run_once(asyncio.Event()), PATIENCE_S)


def test_all_that_is_there_is_read_sent_and_confirmed(tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"boom\nbang\nboom\n")

    async def scene(desk):
        with desk.server() as desk.driver:
            app = desk.agent(TailSpec(str(log), from_start=True))
            assert await once(app)
            assert (app.matching.lines, app.signals, app.confirmed) == (3, 2, 2)
            await desk.until(lambda: desk.saw(AgentLeft))
        assert {signal.serial for signal in desk.signals()} == {0, 10}

    scene_of(scene)


def test_every_server_that_is_found_hears_it():
    async def scene(desk):
        other = Desk()
        other.class_name = desk.class_name
        with desk.server() as desk.driver, other.server() as other.driver:
            assert await once(desk.agent(sources=[There(b"boom")]))
            await desk.until(desk.signals)
            await other.until(other.signals)

    scene_of(scene)


def test_alerts_that_are_not_on_record_are_no_success(soon):
    async def scene(desk):
        desk.has_disk = False
        with desk.server() as desk.driver:
            app = desk.agent(sources=[There(b"boom")])
            assert not await once(app)
            assert app.heard()
            assert app.confirmed == 0

    scene_of(scene)


def test_nobody_who_hears_is_no_success_but_nothing_to_say_is(soon):
    async def scene(desk):
        app = desk.agent(sources=[There(b"boom")])
        assert not await once(app)
        assert not app.heard()
        assert await once(desk.agent(sources=[There(b"nothing")]))

    scene_of(scene)


def test_a_source_that_cannot_be_read_is_no_success(soon):
    class Broken(There):
        async def so_far(self):
            raise SourceError("broken: no such thing")
            yield

    async def scene(desk):
        with desk.server() as desk.driver:
            app = desk.agent(sources=[Broken(), There(b"boom")])
            assert not await once(app)
            assert app.confirmed == 1, "the others are read"
        assert "cannot read broken: no such thing" in desk.said

    scene_of(scene)


def test_stopping_ends_it_before_all_is_read():
    class Endless(There):
        async def so_far(self):
            await asyncio.Event().wait()
            yield

    async def scene(desk):
        stop = asyncio.Event()
        with desk.server() as desk.driver:
            app = desk.agent(sources=[Endless()])
            task = asyncio.create_task(app.run_once(stop))
            await desk.until(lambda: desk.saw(AgentJoined))
            stop.set()
            assert not await asyncio.wait_for(task, PATIENCE_S)

    scene_of(scene)


# ---- the end of an agent that runs --------------------------------------------------


def test_the_last_alerts_are_confirmed_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(app_module, "FLUSH_S", PATIENCE_S)
    log = tmp_path / "a.log"
    log.touch()

    async def scene(desk):
        stop = asyncio.Event()
        with desk.server() as desk.driver:
            app = desk.agent(TailSpec(str(log)))
            task = asyncio.create_task(app.run(stop))
            await desk.until(lambda: desk.saw(AgentJoined))
            append(log, b"boom\n")
            await desk.until(desk.signals)
            # All was confirmed once; the next must be waited for nevertheless.
            while not app.confirmed:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
            desk.has_disk = False
            app.send(Event(name="test.last", tier=Tier.ALERT))
            stop.set()
            await desk.until(lambda: len(desk.signals()) > 1)
            assert not task.done()
            desk.has_disk = True
            assert await asyncio.wait_for(task, PATIENCE_S)
            assert app.confirmed == 2

    scene_of(scene)


def test_what_was_folded_last_is_sent_at_the_end():
    rules = [
        Rule(name="boom", match="boom", event="test.boom", rate=Rate(1, 3600.0)),
    ]

    async def scene(desk):
        stop = asyncio.Event()
        with desk.server() as desk.driver:
            app = desk.agent(sources=[There(*[b"boom"] * 9)], rules=rules)
            task = asyncio.create_task(app.run(stop))
            await desk.until(desk.signals)
            stop.set()
            await asyncio.wait_for(task, PATIENCE_S)
            await desk.until(lambda: desk.saw(AgentLeft))
        assert [signal.count for signal in desk.signals()] == [1, 8]

    scene_of(scene)


def test_an_agent_that_is_too_heavy_ends_in_order(monkeypatch):
    monkeypatch.setattr("peep.agent.weight.LOOK_S", 0.05)

    async def scene(desk):
        with desk.server() as desk.driver:
            app = desk.agent(sources=[There(b"boom")], memory_max_bytes=MIB)
            assert not await asyncio.wait_for(app.run(asyncio.Event()), PATIENCE_S)
            assert app.too_heavy
            await desk.until(lambda: desk.saw(AgentLeft))

    scene_of(scene)


def test_what_was_read_again_is_taken_up_as_a_whole():
    def load():
        rules = [Rule(name="bang", match="bang", event="test.bang")]
        return Renewed(RuleSet(rules), None, ("other",), 50.0, 64 * MIB, ())

    async def scene(desk):
        app = desk.agent(sources=[There()], load=load)
        await app._steering._reload()
        assert app.uplink.machine.classes == ("other",)
        assert app.turns._pacer is not None
        assert app._weight._max_bytes == 64 * MIB
        assert desk.said == ["classes are now other", "rules read again: 1 rules"]
        app.uplink._driver.start()
        app.uplink._driver.close()

    scene_of(scene)
