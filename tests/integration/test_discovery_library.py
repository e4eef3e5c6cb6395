"""peep.Discovery and `peep discover`, with real sockets on loopback."""

import asyncio
import contextlib
import json
import random
import subprocess
import sys

import pytest

import peep
from peep.cli import discover
from peep.clock import SystemClock
from peep.errors import ConfigError, PeepError
from peep.net.discovery import Discovery, DiscoveryListener
from peep.net.sockets import server_endpoint
from peep.net.udp import UdpDriver
from peep.protocol.addresses import Broadcast
from peep.protocol.door import ServerConfig
from peep.protocol.server import ServerProtocol

pytestmark = pytest.mark.network
LO = ("lo",)


@contextlib.contextmanager
def served(*classes, number=7):
    """A server on loopback, at a free port, until the end."""
    config = ServerConfig(
        server_id=number.to_bytes(8, "big"), secret=b"s" * 32, classes=classes
    )
    machine = ServerProtocol(config, random.Random(1))
    endpoint, _ = server_endpoint(None, LO)
    driver = UdpDriver(machine, endpoint, SystemClock(), lambda *_: None)
    driver.start()
    try:
        yield machine, driver, endpoint.port
    finally:
        driver.close()


class Notes(DiscoveryListener):
    """Writes down what it is told, and counts calls within calls."""

    def __init__(self):
        self.told = []
        self.nested = 0
        self._within = False
        self._more = asyncio.Event()

    def _note(self, what, server):
        self.nested += self._within
        self._within = True
        self.told.append((what, server))
        self.on_note()
        self._more.set()
        self._within = False

    def on_note(self):
        """Do more, in some tests."""

    def discovered(self, server):
        self._note("discovered", server)

    def changed(self, server):
        self._note("changed", server)

    def discarded(self, server):
        self._note("discarded", server)

    async def until(self, count):
        while len(self.told) < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 10)
        return [what for what, _ in self.told]


def test_the_library_is_public_and_loaded_late():
    assert peep.Discovery is Discovery
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = peep.Nothing
    quiet = "import sys, peep; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", quiet], check=False).returncode == 0


def test_a_server_is_told_to_who_listens_and_to_who_joins_later():
    async def body():
        first, later = Notes(), Notes()
        with served("test.one") as (_, _, port):
            async with Discovery(
                ["test.one"], interfaces=LO, listeners=[first]
            ) as found:
                await first.until(1)
                found.add_listener(later)
                assert later.told == first.told
                (server,) = found.servers
                assert server.address[1] == port
                assert server.classes == ("test.one",)

    asyncio.run(body())


def test_a_change_of_classes_is_told():
    async def body():
        notes = Notes()
        with served("test.two") as (machine, driver, _):
            async with Discovery(
                ["test.two", "test.more"], interfaces=LO, listeners=[notes]
            ):
                await notes.until(1)
                machine.set_classes(("test.two", "test.more"), SystemClock().now())
                driver.kick()
                await notes.until(2)
        assert notes.told[1][0] == "changed"
        assert notes.told[1][1].classes == ("test.two", "test.more")

    asyncio.run(body())


def test_a_server_that_is_silent_is_discarded():
    async def body():
        notes = Notes()
        async with Discovery(
            ["test.three"], interfaces=LO, listeners=[notes], silence_s=1.0
        ) as found:
            with served("test.three"):
                await notes.until(1)
            assert await notes.until(2) == ["discovered", "discarded"]
            assert found.servers == ()

    asyncio.run(body())


def test_a_server_is_found_by_its_locator():
    async def body():
        notes = Notes()
        with served("test.four") as (_, _, port):
            async with Discovery(
                ["test.four"],
                interfaces=LO,
                locators=[f"peep://127.0.0.1:{port}"],
                listeners=[notes],
            ):
                await notes.until(1)

    asyncio.run(body())


def test_listeners_are_called_one_at_a_time_whatever_they_do():
    async def body():
        class Joining(Notes):
            def on_note(self):
                if len(self.told) == 1:
                    found.add_listener(self)  # told of all again, after this call
                    found.add_listener(leaving)
                    found.remove_listener(leaving)

        notes, leaving = Joining(), Notes()
        with served("test.five"):
            found = Discovery(["test.five"], interfaces=LO, listeners=[notes])
            async with found:
                await notes.until(2)
        assert notes.nested == 0
        assert leaving.told == []

    asyncio.run(body())


def test_a_listener_that_fails_is_reported_and_the_others_go_on():
    async def body():
        class Failing(DiscoveryListener):
            def discovered(self, server):
                raise ValueError(server.address)

        reported = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context["exception"])
        )
        notes = Notes()
        with served("test.six"):
            async with Discovery(
                ["test.six"], interfaces=LO, listeners=[Failing(), notes]
            ):
                await notes.until(1)
        assert isinstance(reported[0], ValueError)

    asyncio.run(body())


def test_a_listener_need_not_listen_to_all():
    listener = DiscoveryListener()
    assert listener.discovered(None) is None
    assert listener.changed(None) is None
    assert listener.discarded(None) is None


def test_what_cannot_be_used_is_said_at_once():
    with pytest.raises(PeepError, match="begins with peep"):
        Discovery(locators=["noc"])

    async def body():
        async with Discovery(interfaces=["eth99"]):
            pass

    with pytest.raises(PeepError, match="eth99"):
        asyncio.run(body())


def run_discover(*words):
    return subprocess.run(
        [sys.executable, "-m", "peep", "discover", "--interfaces", "lo", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )


def test_the_command_lists_servers_one_object_a_line():
    async def body():
        with served("test.seven") as (_, _, port):
            words = ("--classes", "test.seven,other", "--for", "1.5s", "--json")
            return port, await asyncio.to_thread(run_discover, *words)

    port, done = asyncio.run(body())
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "what": "discovered",
            "host": "127.0.0.1",
            "port": port,
            "id": "0000000000000007",
            "classes": ["test.seven"],
        }
    ]


def test_the_command_fails_where_nobody_answers():
    done = run_discover("--classes", "test.nobody", "--for", "0.5")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no server of class test.nobody answered" in done.stderr


def test_the_command_prints_lines_for_people(capsys):
    async def body():
        printer = discover.Printer(as_json=False)
        with served("test.eight") as (machine, driver, port):
            async with Discovery(
                ["test.eight", "b"], interfaces=LO, listeners=[printer], silence_s=1
            ) as found:
                notes = Notes()
                found.add_listener(notes)
                await notes.until(1)
                machine.set_classes(("test.eight", "b"), SystemClock().now())
                driver.kick()
                await notes.until(2)
                machine.set_classes(("other",), SystemClock().now())
                driver.kick()
                await notes.until(3)
        return port

    port = asyncio.run(body())
    assert capsys.readouterr().out.splitlines() == [
        f"discovered 127.0.0.1 port {port}, classes test.eight",
        f"changed    127.0.0.1 port {port}, classes test.eight, b",
        f"discarded  127.0.0.1 port {port}, classes test.eight, b",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("15m", 900), ("2h", 7200), ("1d", 86400), ("5", 5), ("1.5m", 90)],
)
def test_a_duration_has_a_unit(text, seconds):
    assert discover.duration(text) == seconds


@pytest.mark.parametrize(
    "words",
    [
        ["--for", "0"],
        ["--for", "5 minutes"],
        ["--for", "-1s"],
        ["--for", "9999999"],
        ["--locator", "noc"],
        ["--srv", "a b"],
        ["--classes", ","],
    ],
    ids=" ".join,
)
def test_wrong_options_are_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        discover.run(words)
    assert end.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_the_class_none_is_no_discovery():
    with pytest.raises(ConfigError, match="none"):
        discover.run(["--classes", "none"])


def test_a_destination_of_nobody_is_counted_as_sent_to_nobody():
    endpoint, _ = server_endpoint(None, LO)
    try:
        assert endpoint.broadcast(b"x", Broadcast(9, ("eth99",))) == 0
        assert endpoint.broadcast(bytes(1201), Broadcast(9)) == 1  # above the MTU
    finally:
        endpoint.close()
