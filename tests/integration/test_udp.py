"""The sockets and the driver, on loopback only.

Tests that need port 2000 or 2001 to themselves, or change an interface, run in a
network namespace of their own.
"""

import asyncio
import contextlib
import ctypes
import functools
import inspect
import itertools
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from peep.clock import SystemClock
from peep.errors import PeepError
from peep.net.endpoint import peer_of
from peep.net.sockets import agent_endpoint, plain_endpoint, server_endpoint
from peep.net.udp import DRAIN, UdpDriver
from peep.protocol.addresses import Broadcast, Datagram
from peep.protocol.packets import ANNOUNCE_PORT, MAX_DISCOVERY_BYTES, SERVER_PORT

# One process runs all the tests that are alone, while the first of them waits.
pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

LO = ("lo",)
PATIENCE_S = 10
CLONE_NEWNET = 0x4000_0000
_ALONE = "PEEP_TEST_ALONE"  # set inside the namespace
_alone = []  # tests that are to run there


def alone(test):
    """Run a test in a network namespace of its own, or skip it with the reason."""

    def run():
        if os.environ.get(_ALONE):
            assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
            ip("link", "set", "lo", "up")
            test()
            return
        file = inspect.getfile(test)
        said = _run_alone(tuple(f"{of}::{n}" for of, n in _alone if of == file))
        passed = [line for line in said.splitlines() if line.startswith("PASSED ")]
        assert any(line.endswith(f"::{test.__name__}") for line in passed), said

    _alone.append((inspect.getfile(test), test.__name__))
    run.__name__ = test.__name__
    return run


@functools.cache
def _run_alone(nodes):
    """Run tests in one process that may make networks; return what pytest said."""
    for words in (["unshare", "-rnm", "true"], ["ip", "-V"]):
        try:
            subprocess.run(words, check=True, capture_output=True, timeout=10)
        except (OSError, subprocess.CalledProcessError) as problem:
            pytest.skip(f"no network namespace: {problem}")
    pytest_words = ("-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *nodes)
    done = subprocess.run(
        ["unshare", "-rnm", sys.executable, *pytest_words],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, _ALONE: "1"},
    )
    return done.stdout + done.stderr


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=10)


@contextlib.contextmanager
def closing(endpoint_and_note):
    endpoint, _ = endpoint_and_note
    try:
        yield endpoint
    finally:
        endpoint.close()


@contextlib.contextmanager
def bound(port, *, device=""):
    """A strange program's socket, which shares its port with nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sock.bind(("", port))
        sock.settimeout(PATIENCE_S)
        yield sock


class Ear:
    """A machine that hears, and answers as it is told to."""

    def __init__(self, answer=lambda data, address: []):
        self.heard = []
        self.out = []
        self.due = None
        self.rang = []
        self.stopped = False
        self._answer = answer
        self._told = 0

    def start(self, now):
        pass

    def stop(self, now):
        self.stopped = True

    def receive_datagram(self, data, address, now):
        self.heard.append((data, address))
        self.out += self._answer(data, address)

    def handle_timer(self, now):
        self.rang.append(now)
        self.due = now + 0.01 if len(self.rang) < 3 else None

    def next_timer(self):
        return self.due

    def datagrams_to_send(self, now):
        out, self.out = self.out, []
        return out

    def next_event(self):
        if self._told == len(self.heard) + len(self.rang):
            return None
        self._told += 1
        return self._told


async def until(condition, news):
    """Wait for a condition that only events can make true."""
    while not condition():
        news.clear()
        await asyncio.wait_for(news.wait(), PATIENCE_S)


def driven(*pairs, then):
    """Run machines on endpoints in one loop; `then(drivers, until)` is the test."""

    async def work():
        news = asyncio.Event()
        drivers = [
            UdpDriver(machine, endpoint, SystemClock(), lambda *_: news.set())
            for machine, endpoint in pairs
        ]
        for driver in drivers:
            driver.start()
        try:
            await then(drivers, lambda condition: until(condition, news))
        finally:
            for driver in drivers:
                driver.close()

    asyncio.run(work())


# ---- opening ----------------------------------------------------------------


def test_a_port_that_was_asked_for_and_is_busy_is_refused_in_one_line():
    with bound(0, device="lo") as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(PeepError) as refused:
            server_endpoint(port, LO)
    assert str(refused.value) == f"UDP port {port} is busy"


def test_an_interface_that_is_not_there_is_refused_with_those_that_are():
    for opened in (agent_endpoint, lambda names: server_endpoint(None, names)):
        with pytest.raises(PeepError) as refused:
            opened(("lo", "nope0"))
        line = str(refused.value)
        assert line.startswith("no interface 'nope0' on this host (there are: ")
        assert "lo" in line.partition("there are: ")[2]
        assert "\n" not in line


def test_an_interface_that_is_named_twice_is_used_once():
    with (
        closing(agent_endpoint(("lo", "lo"))) as twice,
        closing(agent_endpoint(LO)) as once,
    ):
        assert len(twice.readers) == len(once.readers)


@alone
def test_a_server_has_port_2001_and_nothing_to_say_about_it():
    endpoint, note = server_endpoint(None, LO)
    with closing((endpoint, note)):
        assert note is None
        assert endpoint.port == SERVER_PORT
        assert {sock.getsockname()[1] for sock in endpoint.readers} == {SERVER_PORT}


@alone
def test_where_2001_is_busy_a_server_takes_another_and_hears_questions_on_2000():
    with bound(SERVER_PORT):
        endpoint, note = server_endpoint(None, LO)
        assert endpoint.port not in (SERVER_PORT, ANNOUNCE_PORT)
        assert note == f"port 2001 is busy, so port {endpoint.port} is used"
        ear = Ear()
        with closing(agent_endpoint(LO)) as asking:

            async def then(drivers, until):
                assert asking.broadcast(b"who?", Broadcast(ANNOUNCE_PORT)) == 0
                await until(lambda: (b"who?", ("127.0.0.1", asking.port)) in ear.heard)

            driven((ear, endpoint), then=then)


@alone
def test_a_second_server_that_insists_on_2001_is_refused():
    with (
        closing(server_endpoint(None, LO)),
        pytest.raises(PeepError, match=r"^UDP port 2001 is busy$"),
    ):
        server_endpoint(SERVER_PORT, LO)


@alone
def test_a_port_for_the_mighty_is_refused_with_the_reason():
    assert int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 9
    # In a further user namespace, we are not mighty here.
    program = (
        "from peep.errors import PeepError\n"
        "from peep.net.sockets import server_endpoint\n"
        "try:\n    server_endpoint(9)\nexcept PeepError as problem:\n    print(problem)"
    )
    done = subprocess.run(
        ["unshare", "-U", sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert done.stdout == "cannot bind UDP port 9: Permission denied\n"


@alone
def test_agents_share_port_2000_and_each_hears_what_is_announced():
    first, second = Ear(), Ear()
    server, note = server_endpoint(None)
    assert note is None

    async def then(drivers, until):
        assert server.broadcast(b"here", Broadcast(ANNOUNCE_PORT)) == 0
        wanted = (b"here", ("127.0.0.1", SERVER_PORT))
        await until(lambda: wanted in first.heard and wanted in second.heard)

    with closing((server, note)):
        pairs = [(first, agent_endpoint()[0]), (second, agent_endpoint(LO)[0])]
        driven(*pairs, then=then)


@alone
def test_where_2000_is_another_program_s_an_agent_says_what_it_will_miss():
    with bound(ANNOUNCE_PORT):
        endpoint, note = agent_endpoint(LO)
        with closing((endpoint, note)):
            assert note == (
                "UDP port 2000 is busy: servers that start later will not be noticed"
            )
            assert all(
                sock.getsockname()[1] == endpoint.port for sock in endpoint.readers
            )
        endpoint, note = server_endpoint(4321, LO)
        endpoint.close()
        assert note == "UDP port 2000 is busy: agents that start later may not ask"


@alone
def test_an_interface_that_is_down_or_has_no_address_is_named():
    ip("link", "set", "lo", "down")
    with pytest.raises(PeepError, match=r"^interface 'lo' is down$"):
        agent_endpoint(LO)
    ip("link", "set", "lo", "up")
    ip("addr", "flush", "dev", "lo")
    with pytest.raises(PeepError, match=r"^interface 'lo' has no address$"):
        agent_endpoint(LO)


@alone
def test_an_endpoint_outlives_its_interface_and_finds_it_again():
    with closing(agent_endpoint(LO)) as endpoint, bound(SERVER_PORT) as ear:
        ip("link", "set", "lo", "down")
        endpoint.broadcast(b"one", Broadcast(SERVER_PORT))
        ip("link", "set", "lo", "up")
        assert endpoint.broadcast(b"two", Broadcast(SERVER_PORT)) == 0
        assert ear.recv(100) == b"two"


@alone
def test_with_several_interfaces_each_datagram_leaves_by_the_right_one():
    ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    for address in ("10.9.0.1/24", "10.8.0.1/24", "fd00::1/64"):
        ip("addr", "add", address, "dev", "v0", *["nodad"] * (":" in address))
    for name in ("v0", "v1"):
        ip("link", "set", name, "up")
    ip("route", "add", "10.77.0.0/16", "via", "10.9.0.2")
    with closing(agent_endpoint(("lo", "v0"))) as endpoint:
        ports = {own.sock.getsockname()[1] for own in endpoint._own}
        assert ports == {endpoint.port}, "whoever answers has one port to know"

        def leaves_by(host, family=socket.AF_INET, device=""):
            sock = endpoint._socket_for(family, host, device)
            return next(own.device for own in endpoint._own if own.sock is sock)

        assert leaves_by("127.0.0.1") == "lo"
        assert leaves_by("10.9.0.2") == "v0"
        assert leaves_by("10.8.0.2") == "v0"
        assert leaves_by("10.77.1.1") == "v0", "behind a router"
        assert leaves_by("fd00::2", socket.AF_INET6) == "v0"
        assert leaves_by("fe80::9", socket.AF_INET6, "v0") == "v0"
        with bound(SERVER_PORT) as ear:
            assert endpoint.broadcast(b"x", Broadcast(SERVER_PORT, ("lo",))) == 0
            assert ear.recvfrom(100) == (b"x", ("127.0.0.1", endpoint.port))
        assert not endpoint.send(b"x", ("203.0.113.1", 9)), "no route leads there"
        assert endpoint.broadcast(b"x", Broadcast(ANNOUNCE_PORT, ("v0",))) == 0
        heard = {sock.family for sock in endpoint.readers if _hears(sock, b"x")}
        assert heard == {socket.AF_INET, socket.AF_INET6}, "by multicast, our own word"


def _hears(sock, data):
    sock.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        return sock.recv(100) == data
    return False


@alone
def test_a_host_without_ipv6_does_with_ipv4():
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    with closing(agent_endpoint(LO)) as endpoint, bound(SERVER_PORT) as ear:
        assert endpoint.broadcast(b"x", Broadcast(SERVER_PORT)) == 0
        assert ear.recv(100) == b"x"


@alone
def test_where_no_port_is_free_that_is_said_in_one_line():
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40000")
    with bound(40_000), pytest.raises(PeepError) as refused:
        agent_endpoint(LO)
    assert str(refused.value) == "cannot open a UDP socket: Address already in use"


# ---- one server by name ---------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_one_server_s_name_becomes_an_address_that_servers_listen_on(host):
    endpoint, address = plain_endpoint(host, 4321)
    endpoint.close()
    assert address == ("127.0.0.1", 4321)


@pytest.mark.parametrize("host", ["x" * 300, "a..b", "\udcff"])
def test_what_is_no_host_name_is_refused_in_one_line(host):
    with pytest.raises(PeepError) as refused:
        plain_endpoint(host, 4321)
    assert str(refused.value) == f"cannot find server {host!r}: not a host name"


@alone
def test_a_name_with_addresses_of_both_kinds_leads_to_the_one_of_old():
    with tempfile.NamedTemporaryFile("w") as hosts:
        hosts.write("::1 both\n127.0.0.1 both\n")
        hosts.flush()
        # In this mount namespace only.
        mount = ["mount", "--bind", hosts.name, "/etc/hosts"]
        subprocess.run(mount, check=True, timeout=10)
        found = socket.getaddrinfo("both", 4321, type=socket.SOCK_DGRAM)
        endpoint, address = plain_endpoint("both", 4321)
        endpoint.close()
        subprocess.run(["umount", "/etc/hosts"], check=True, timeout=10)
    assert found[0][0] == socket.AF_INET6, "the system prefers the other"
    assert address == ("127.0.0.1", 4321)


@alone
def test_a_server_to_whom_no_route_leads_yet_may_be_named_all_the_same():
    endpoint, address = plain_endpoint("203.0.113.1", 4321)
    with closing((endpoint, None)):
        assert address == ("203.0.113.1", 4321)
        assert not endpoint.send(b"x", address)


@alone
def test_a_name_that_nobody_knows_is_refused_with_the_reason():
    with pytest.raises(PeepError, match=r"^cannot find server 'no\.invalid': [A-Z]"):
        plain_endpoint("no.invalid", 4321)


def test_an_ipv6_server_is_spoken_to_on_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ear:
            ear.bind(("::1", 0))
            ear.settimeout(PATIENCE_S)
            endpoint, address = plain_endpoint("::1", ear.getsockname()[1])
            with closing((endpoint, None)):
                assert endpoint.send(b"six", address)
                assert ear.recv(100) == b"six"
    except OSError as problem:
        pytest.skip(f"no IPv6 here: {problem}")


def test_a_link_local_peer_is_known_with_its_interface():
    index = socket.if_nametoindex("lo")
    assert peer_of(("fe80::1", 5, 0, index)) == ("fe80::1%lo", 5)
    assert peer_of(("fe80::1", 5, 0, 1_000_000)) == ("fe80::1", 5)
    assert peer_of(("::1", 5, 0, 0)) == ("::1", 5)
    assert peer_of(("127.0.0.1", 5)) == ("127.0.0.1", 5)


# ---- sending ----------------------------------------------------------------------


def refused_by_the_kernel():
    yield b"x", ("127.0.0.1", 0)
    yield b"x" * 70_000, ("127.0.0.1", 9)
    yield b"x", ("fe80::1%nope0", 9)
    yield b"x", ("not an address", 9)


def test_what_the_kernel_does_not_take_is_said_and_counted():
    endpoint, _ = plain_endpoint("127.0.0.1", 9)
    ear = Ear()
    for data, to in refused_by_the_kernel():
        assert endpoint.send(data, to) is False
        ear.out.append(Datagram(data, to))
    ear.out.append(Datagram(b"x" * (MAX_DISCOVERY_BYTES + 1), Broadcast(9, LO)))
    counted = []

    async def then(drivers, until):
        counted.append(drivers[0].unsent)

    driven((ear, endpoint), then=then)
    assert counted == [5]


def test_no_broadcast_is_larger_than_the_smallest_link_takes():
    with closing(agent_endpoint(LO)) as endpoint:
        data = b"x" * (MAX_DISCOVERY_BYTES + 1)
        assert endpoint.broadcast(data, Broadcast(9, LO)) == 1


# ---- the driver ---------------------------------------------------------------------


def test_datagrams_that_waited_are_all_read_though_others_get_a_turn():
    count = 3 * DRAIN + 5
    endpoint, _ = agent_endpoint(LO)
    ear = Ear()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        told = [f"{number}".encode() for number in range(count)]
        mouth.connect(("127.0.0.1", endpoint.port))
        with contextlib.suppress(PermissionError):
            endpoint.readers[0].setsockopt(socket.SOL_SOCKET, 33, 4 << 20)
        turns = []

        async def then(drivers, until):
            for data in told:
                mouth.send(data)
            loop = asyncio.get_running_loop()

            def turn():
                turns.append(len(heard()))
                if len(heard()) + endpoint.overrun() < count:
                    loop.call_soon(turn)

            def heard():
                sender = ("127.0.0.1", mouth.getsockname()[1])
                return [data for data, address in ear.heard if address == sender]

            turn()
            await until(lambda: len(heard()) + endpoint.overrun() >= count)
            assert heard() == told[: len(heard())]

        driven((ear, endpoint), then=then)
    steps = [after - before for before, after in itertools.pairwise(turns)]
    assert max(steps) <= DRAIN


def test_what_came_faster_than_it_was_read_is_counted():
    with closing(agent_endpoint(LO)) as endpoint:
        own = endpoint.readers[0]
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = endpoint.overrun()
        for _ in range(100):
            own.sendto(b"x" * 1000, ("127.0.0.1", endpoint.port))
        read = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                read += own.recv(2000) == b"x" * 1000
        assert read + endpoint.overrun() - before == 100
        assert endpoint.overrun() > before


def test_an_answer_goes_out_as_soon_as_the_question_came():
    asking, answering = Ear(), Ear(lambda data, address: [Datagram(b"yes", address)])
    one, _ = agent_endpoint(LO)
    other, _ = agent_endpoint(LO)

    async def then(drivers, until):
        asking.out.append(Datagram(b"there?", ("127.0.0.1", other.port)))
        drivers[0].kick()
        await until(lambda: (b"yes", ("127.0.0.1", other.port)) in asking.heard)
        assert (b"there?", ("127.0.0.1", one.port)) in answering.heard

    driven((asking, one), (answering, other), then=then)


def test_a_timer_is_kept_and_never_rings_early():
    ear = Ear()
    endpoint, _ = plain_endpoint("127.0.0.1", 9)
    due = SystemClock().now() + 0.02
    ear.due = due

    async def then(drivers, until):
        drivers[0].kick()
        drivers[0].kick()  # one timer, however often it is set
        await until(lambda: len(ear.rang) == 3)

    driven((ear, endpoint), then=then)
    assert ear.rang[0] >= due
    assert all(after - before >= 0.01 for before, after in itertools.pairwise(ear.rang))


def test_a_closed_driver_has_said_its_last_words_and_gives_its_port_back():
    endpoint, _ = agent_endpoint(LO)
    port = endpoint.port
    ear = Ear()
    with bound(0) as other:

        async def then(drivers, until):
            ear.due = SystemClock().now() + 60
            drivers[0].kick()
            ear.out.append(Datagram(b"bye", ("127.0.0.1", other.getsockname()[1])))

        driven((ear, endpoint), then=then)
        assert other.recv(100) == b"bye"
    assert ear.stopped
    with bound(port):
        pass
