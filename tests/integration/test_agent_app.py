"""An agent and a server in one loop: real files, real sockets, loopback only."""

import asyncio
import contextlib
import random
import secrets
import socket

import pytest
from test_udp import alone, bound

from peep.agent import worker
from peep.agent.app import AgentApp, AgentPlan
from peep.agent.sources.system import SystemSpec
from peep.agent.sources.tail import TailSpec
from peep.clock import SystemClock
from peep.loglines import Batch, LogLine
from peep.net.sockets import server_endpoint
from peep.net.udp import UdpDriver
from peep.protocol import wire
from peep.protocol.agent import AgentConfig
from peep.protocol.door import ServerConfig
from peep.protocol.events import (
    AgentJoined,
    AgentLeft,
    Dropped,
    Gone,
    Joined,
    Lapsed,
    Refused,
    SignalReceived,
)
from peep.protocol.packets import ANNOUNCE_PORT, ExceptionCode
from peep.protocol.server import ServerProtocol
from peep.reasons import Reason
from peep.rules import Rule, RuleSet
from peep.signals import State

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

LO = ("lo",)
PATIENCE_S = 10
RULES = RuleSet([Rule(name="boom", match="boom", event="test.boom")])
NOWHERE = ("127.0.0.1", 9)


class Stage:
    """What happened so far, and a way to wait for more."""

    def __init__(self):
        # Nobody else on this machine has such a class.
        self.class_name = f"test-{secrets.token_hex(8)}"
        self.said = []
        self.events = []
        self.port = 0
        self._news = asyncio.Event()

    async def until(self, condition):
        """Wait for a condition that only what happens here can make true."""
        while not condition():
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), PATIENCE_S)

    def say(self, line):
        self.said.append(line)
        self._news.set()

    def tell(self, event, now):
        self.events.append(event)
        self._news.set()

    def signals(self, kind=object):
        told = [e.signal for e in self.events if isinstance(e, SignalReceived)]
        return [signal for signal in told if isinstance(signal, kind)]

    def saw(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def agent(self, *specs, clock=None, server=None, sources=()):
        """An agent of specs, and of sources that no spec describes."""
        config = AgentConfig(
            agent_id=secrets.token_bytes(8),
            host="test-host",
            classes=(self.class_name,),
        )
        plan = AgentPlan(config=config, interfaces=LO, server=server, sources=specs)
        app = AgentApp(
            plan,
            RULES,
            clock=clock or SystemClock(),
            rng=random.Random(1),
            say=self.say,
        )
        for source in sources:
            app.attend("a test", lambda source=source: source)
        return app

    @contextlib.contextmanager
    def server(self):
        """A server on a port of its own, for as long as the block lasts."""
        with bound(0) as probe:
            self.port = probe.getsockname()[1]
        config = ServerConfig(
            server_id=secrets.token_bytes(8),
            secret=secrets.token_bytes(32),
            classes=(self.class_name,),
        )
        endpoint, _ = server_endpoint(self.port, LO)
        driver = UdpDriver(
            ServerProtocol(config, random.Random(2)), endpoint, SystemClock(), self.tell
        )
        driver.start()
        try:
            yield driver
        finally:
            driver.close()


@contextlib.asynccontextmanager
async def running(app):
    """An agent at work, told to stop at the end of the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


def play(scene):
    async def work():
        await asyncio.wait_for(scene(Stage()), 18)

    asyncio.run(work())


class Lines:
    """A source with a few lines, which then fails, ends, or waits for ever."""

    def __init__(self, *lines, failures=(), ends=False):
        self.began = 0
        self._lines = lines
        self._failures = list(failures)
        self._ends = ends

    def describe(self):
        return "some lines"

    async def batches(self):
        self.began += 1
        lines = tuple(LogLine("x", 0, line) for line in self._lines)
        yield Batch("x", lines)
        if self._failures:
            failure = self._failures.pop(0)
            raise failure() if callable(failure) else failure
        if not self._ends:
            await asyncio.Event().wait()


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


# ---- with a server ------------------------------------------------------------


def test_a_line_appended_to_a_file_arrives_as_a_signal(tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"boom, but long ago\n")

    async def scene(stage):
        app = stage.agent(TailSpec(str(log)))
        assert app.following() == [str(log)]
        with stage.server():
            async with running(app):
                await stage.until(lambda: stage.saw(AgentJoined))
                for count in (1, 2):
                    append(log, b"nothing\nboom and more\n")
                    await stage.until(lambda n=count: len(stage.signals()) == n)
            await stage.until(lambda: stage.saw(AgentLeft))
        (joined,) = stage.saw(AgentJoined)
        assert joined.peer.host == "test-host"
        assert joined.classes == (stage.class_name,)
        assert [s.name for s in stage.signals()] == ["test.boom"] * 2
        assert [s.text for s in stage.signals()] == ["", ""], "an open class"
        assert (app.matching.lines, app.matching.matched, app.signals) == (4, 2, 2)
        assert f"heard by 127.0.0.1 port {stage.port}, open" in stage.said

    play(scene)


def test_the_system_arrives_as_states():
    async def scene(stage):
        app = stage.agent(SystemSpec(0.5))
        with stage.server():
            async with running(app):
                await stage.until(lambda: len(stage.signals(State)) >= 5)
        names = {state.name for state in stage.signals(State)}
        assert names >= {"system.load", "system.cpu", "system.memory"}
        assert app.signals >= 5

    play(scene)


def test_a_server_that_starts_later_hears_what_was_kept_for_it():
    async def scene(stage):
        app = stage.agent(sources=[Lines(b"boom")])
        async with running(app):
            await asyncio.sleep(0)
            with stage.server():
                await stage.until(stage.signals)

    play(scene)


def test_what_sources_left_at_their_end_still_finds_its_server():
    async def scene(stage):
        app = stage.agent(sources=[Lines(b"boom", ends=True)])
        with stage.server():
            await asyncio.wait_for(app.run(asyncio.Event()), PATIENCE_S)
            await stage.until(stage.signals)
            await stage.until(lambda: stage.saw(AgentLeft))

    play(scene)


def test_a_server_that_somebody_proposes_is_asked_and_found():
    async def scene(stage):
        with stage.server():
            app = stage.agent(sources=[Lines(b"boom")])
            app.uplink.machine.start = lambda now: None  # it looks for nobody by itself
            async with running(app):
                app.uplink._propose(("127.0.0.1", stage.port))
                await stage.until(stage.signals)
                app.uplink._reclassed()
        assert f"heard by 127.0.0.1 port {stage.port}, open" in stage.said

    play(scene)


def test_a_server_that_leaves_is_said_to_be_gone():
    async def scene(stage):
        app = stage.agent(sources=[Lines()])
        async with running(app):
            with stage.server():
                await stage.until(lambda: stage.saw(AgentJoined))
                await stage.until(lambda: "heard by" in "".join(stage.said))
            await stage.until(lambda: stage.said[-1].endswith("is gone"))

    play(scene)


def test_a_server_that_does_not_take_dumb_clients_is_said_to_refuse_once():
    async def scene(stage):
        with stage.server():
            app = stage.agent(
                server=("127.0.0.1", stage.port), sources=[Lines(*[b"boom"] * 200)]
            )
            async with running(app):
                await stage.until(lambda: stage.said)
                await stage.until(lambda: len(stage.saw(Dropped)) >= 2)
        (line,) = stage.said
        assert line == (
            f"127.0.0.1 port {stage.port} refuses: it takes signals without a lease "
            "only from its `dumb_networks` and into class public"
        )

    play(scene)


# ---- without one ----------------------------------------------------------------


def test_a_dumb_client_sends_to_its_server_and_looks_for_nobody():
    async def scene(stage):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
            ear.bind(("127.0.0.1", 0))
            ear.setblocking(False)
            app = stage.agent(server=ear.getsockname(), sources=[Lines(b"boom")])
            async with running(app):
                loop = asyncio.get_running_loop()
                data = await asyncio.wait_for(loop.sock_recv(ear, 2000), PATIENCE_S)
        _, body = wire.decode(data)
        assert body.names[body.events[0].name] == "test.boom"
        assert stage.said == []

    play(scene)


def test_stopping_ends_the_wait_for_a_server_that_is_not_there():
    async def scene(stage):
        stop = asyncio.Event()
        app = stage.agent(sources=[Lines(b"boom", ends=True)])
        task = asyncio.create_task(app.run(stop))
        while not app.matching.lines:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)

    play(scene)


@alone
def test_an_agent_says_where_it_cannot_hear_announcements():
    async def scene(stage):
        with bound(ANNOUNCE_PORT):
            async with running(stage.agent(sources=[Lines()])):
                pass
        assert stage.said == [
            "UDP port 2000 is busy: servers that start later will not be noticed"
        ]

    play(scene)


# ---- sources that fail --------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Pauses in which nobody grows old."""
    monkeypatch.setattr(worker, "RETRY_S", (0.01, 0.02, 0.05))


def test_a_source_that_fails_is_said_once_and_tried_again_while_others_go_on(
    tmp_path, quick
):
    late, log = tmp_path / "late" / "app.log", tmp_path / "app.log"
    log.touch()

    async def scene(stage):
        app = stage.agent(TailSpec(str(late)), TailSpec(str(log)))
        with stage.server():
            async with running(app):
                await stage.until(lambda: stage.saw(AgentJoined))
                await stage.until(lambda: any("late" in line for line in stage.said))
                append(log, b"boom\n")
                await stage.until(lambda: len(stage.signals()) == 1)
                late.parent.mkdir()
                late.write_bytes(b"boom\n")
                await stage.until(lambda: len(stage.signals()) == 2)
        failed = [line for line in stage.said if "late" in line]
        assert failed == [
            f"cannot follow {late}: its directory does not exist; trying again"
        ]

    play(scene)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(5, "Input/output error"), "some lines: Input/output error"),
        (ValueError("odd"), "some lines: ValueError: odd"),
    ],
)
def test_whatever_goes_wrong_in_a_source_is_said_in_one_line(quick, failure, said):
    async def scene(stage):
        source = Lines(b"boom", failures=[failure] * 5, ends=True)
        app = stage.agent(server=NOWHERE, sources=[source])
        await asyncio.wait_for(app.run(asyncio.Event()), PATIENCE_S)
        assert stage.said == [f"cannot follow {said}; trying again"]
        assert source.began == 6
        assert app.matching.matched == 6

    play(scene)


class LeapingClock(SystemClock):
    """A clock that can be moved forward."""

    leapt_s = 0.0

    def now(self):
        return super().now() + self.leapt_s


def test_a_source_that_worked_for_long_and_fails_again_is_said_again(quick):
    clock = LeapingClock()

    def after_a_minute():
        clock.leapt_s += 60
        return ValueError("later")

    async def scene(stage):
        failures = [ValueError("at first"), ValueError("still"), after_a_minute]
        source = Lines(failures=failures, ends=True)
        app = stage.agent(clock=clock, server=NOWHERE, sources=[source])
        await asyncio.wait_for(app.run(asyncio.Event()), PATIENCE_S)
        assert stage.said == [
            "cannot follow some lines: ValueError: at first; trying again",
            "cannot follow some lines: ValueError: later; trying again",
        ]

    play(scene)


# ---- what is said ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([Joined(NOWHERE, 30.0)], ["heard by 127.0.0.1 port 9, open"]),
        (
            [Lapsed(NOWHERE)],
            ["no word from 127.0.0.1 port 9: looking for servers"],
        ),
        ([Gone(NOWHERE)], ["127.0.0.1 port 9 is gone"]),
        ([Dropped(Reason.MALFORMED, NOWHERE)], []),
        (
            [Refused(NOWHERE, ExceptionCode.VERSION)] * 3,
            ["127.0.0.1 port 9 does not speak protocol 3"],
        ),
        (
            [Refused(NOWHERE, ExceptionCode.UNKNOWN_KEY)],
            ["127.0.0.1 port 9 does not hold the key that was tried"],
        ),
    ],
)
def test_what_the_protocol_tells_is_said_to_people(events, said):
    async def scene(stage):
        app = stage.agent(sources=[Lines()])
        async with running(app):
            for event in events:
                app.uplink._tell(event, 0.0)
            assert stage.said == said

    play(scene)
