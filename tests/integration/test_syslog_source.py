"""Syslog over real sockets, UDP and TCP, friendly senders and others."""

import asyncio
import contextlib
import ipaddress
import shutil
import socket
import subprocess

import msgspec
import pytest

from peep.agent.sources import syslog
from peep.agent.sources.syslog import MAX_CONNECTIONS, SyslogSource, SyslogSpec, check
from peep.clock import SystemClock
from peep.config.document import parse
from peep.config.rulepacks import load_rules
from peep.errors import ConfigError, SourceError
from peep.rules import RuleSet

pytestmark = pytest.mark.network

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
PATIENCE_S = 15
FREE = SyslogSpec(port=0, allow=LOOPBACK)


class Listening:
    """A source at work, and what it has told so far."""

    def __init__(self, spec: SyslogSpec = FREE) -> None:
        self.source = SyslogSource(spec, SystemClock())
        self.lines = []
        self._batches = self.source.batches()
        self._task = asyncio.create_task(self._take())

    async def _take(self) -> None:
        async for batch in self._batches:
            self.lines += batch.lines

    async def __aenter__(self):
        await self.until(lambda: self.source.addresses)
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._batches.aclose()

    @property
    def texts(self) -> list[bytes]:
        """The lines without their time, which is now."""
        return [line.text[16:] for line in self.lines]

    async def until(self, happened) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not happened():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.002)

    async def lines_come(self, count: int) -> list[bytes]:
        await self.until(lambda: len(self.lines) >= count)
        return self.texts

    def send(self, *datagrams: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for datagram in datagrams:
                sock.sendto(datagram, self.source.addresses[0])

    async def connect(self):
        return await asyncio.open_connection(*self.source.addresses[-1])


def test_datagrams_become_lines_with_ids_of_their_own():
    async def scene():
        async with Listening() as at:
            at.send(b"<13>web1 su[7]: a", b"<13>su: b", b"\xff\x00 odd \x1b[31m")
            texts = await at.lines_come(3)
            assert texts == [
                b"web1 su[7]: a",
                b"127.0.0.1 su: b",
                b"127.0.0.1 \xff\x00 odd \x1b[31m",
            ]
            assert [line.offset for line in at.lines] == [0, 1, 2]
            assert len({line.origin for line in at.lines}) == 1
            assert at.lines[0].origin > 0
            assert at.lines[0].source == "syslog"

    asyncio.run(scene())


def test_a_burst_of_datagrams_is_taken_in_order():
    async def scene():
        async with Listening() as at:
            at.send(*(b"<13>su: %d" % n for n in range(600)))
            texts = await at.lines_come(600)
            assert texts == [b"127.0.0.1 su: %d" % n for n in range(600)]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < 200_000:
            pytest.skip("the kernel keeps too few datagrams here")
    asyncio.run(scene())


def test_both_ways_to_frame_come_over_one_connection():
    async def scene():
        async with Listening() as at:
            _, writer = await at.connect()
            writer.write(b"<13>su: a\n10 <13>su: b\n<13>su: c\n<13>su: no newline")
            writer.close()
            texts = await at.lines_come(4)
            assert texts[0] == b"127.0.0.1 su: a"
            assert texts[1] == b"127.0.0.1 su: b"
            assert texts[3] == b"127.0.0.1 su: no newline"

    asyncio.run(scene())


def test_several_connections_do_not_mix_their_lines():
    async def scene():
        async with Listening() as at:
            pairs = [await at.connect() for _ in range(5)]
            for part in (b"<13>su: sender", b" %d\n"):
                for number, (_, writer) in enumerate(pairs):
                    writer.write(part % number if b"%" in part else part)
                    await writer.drain()
            texts = await at.lines_come(5)
            assert sorted(texts) == [b"127.0.0.1 su: sender %d" % n for n in range(5)]
            for _, writer in pairs:
                writer.close()

    asyncio.run(scene())


def test_a_sender_waits_until_its_lines_are_taken():
    async def scene():
        source = SyslogSource(FREE, SystemClock())
        batches = source.batches()
        first = asyncio.create_task(anext(batches))
        while not source.addresses:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        _, writer = await asyncio.open_connection(*source.addresses[1])
        total = 100_000
        writer.write(b"<13>su: x\n" * total)
        got = len((await first).lines)
        assert source._queue.maxsize == syslog.MAX_WAITING
        async for batch in batches:
            got += len(batch.lines)
            assert len(batch.lines) <= syslog.SLICE_LINES
            if got >= total:
                break
        assert got == total
        writer.close()
        await batches.aclose()

    asyncio.run(scene())


def test_of_too_many_connections_the_longest_silent_one_makes_room():
    async def scene():
        async with Listening() as at:
            pairs = [await at.connect() for _ in range(MAX_CONNECTIONS)]
            for number, (_, writer) in enumerate(pairs):
                writer.write(b"<13>su: %d\n" % number)
            await at.lines_come(MAX_CONNECTIONS)
            pairs[0][1].write(b"<13>su: again\n")
            await at.lines_come(MAX_CONNECTIONS + 1)
            order = list(at.source._writers)
            _, writer = await at.connect()
            writer.write(b"<13>su: new\n")
            assert (await at.lines_come(MAX_CONNECTIONS + 2))[-1].endswith(b"new")
            assert len(at.source._writers) == MAX_CONNECTIONS
            assert order[0] not in at.source._writers
            assert order[-1] in at.source._writers, "it has spoken last"
            for other in (writer, *(writer for _, writer in pairs)):
                other.close()

    asyncio.run(scene())


def test_a_connection_that_is_torn_down_is_no_trouble():
    async def scene():
        async with Listening() as at:
            _, writer = await at.connect()
            writer.write(b"<13>su: a\n")
            await at.lines_come(1)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
            await at.until(lambda: not at.source._writers)
            at.send(b"<13>su: b")
            assert (await at.lines_come(2))[-1] == b"127.0.0.1 su: b"

    asyncio.run(scene())


def test_who_is_not_allowed_is_not_heard():
    async def scene():
        strict = msgspec.structs.replace(
            FREE, allow=(ipaddress.ip_network("10.0.0.0/8"),)
        )
        async with Listening(strict) as at:
            at.send(b"<13>su: a")
            reader, writer = await at.connect()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            await at.until(lambda: at.source.refused == 2)
            assert at.lines == []
            writer.close()

    asyncio.run(scene())


def test_both_families_are_heard_by_one_socket_and_called_by_their_names():
    async def scene():
        async with Listening(msgspec.structs.replace(FREE, host="::")) as at:
            port = at.source.addresses[0][1]
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"<13>su: six", ("::1", port))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"<13>su: four", ("127.0.0.1", port))
            assert sorted(await at.lines_come(2)) == [
                b"127.0.0.1 su: four",
                b"::1 su: six",
            ]

    asyncio.run(scene())


@pytest.mark.parametrize("off", ["udp", "tcp"])
def test_one_of_the_two_may_be_off(off):
    async def scene():
        async with Listening(msgspec.structs.replace(FREE, **{off: False})) as at:
            (address,) = at.source.addresses
            kind = socket.SOCK_DGRAM if off == "udp" else socket.SOCK_STREAM
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.bind(address)  # nobody else has it

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("kind", "name"), [(socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")]
)
def test_a_port_that_is_taken_is_said(kind, name):
    async def scene(port):
        spec = msgspec.structs.replace(FREE, port=port)
        with pytest.raises(SourceError) as refused:
            await anext(SyslogSource(spec, SystemClock()).batches())
        assert str(refused.value) == (
            f"syslog on 127.0.0.1 port {port}, {name}: Address already in use"
        )

    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            sock.listen()
        asyncio.run(scene(sock.getsockname()[1]))


def test_after_an_end_it_listens_again():
    async def scene():
        source = SyslogSource(FREE, SystemClock())
        for said in (b"a", b"b"):
            batches = source.batches()
            first = asyncio.create_task(anext(batches))
            source.addresses = ()
            while not source.addresses:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"<13>su: " + said, source.addresses[0])
            assert (await first).lines[0].text.endswith(said)
            await batches.aclose()
        assert source._serial == 2, "and its ids go on"

    asyncio.run(scene())


def test_a_socket_that_breaks_is_told():
    async def scene():
        async with Listening(msgspec.structs.replace(FREE, tcp=False)) as at:
            (task,) = at.source._tasks
            task.cancel()
            await asyncio.wait({at._task}, timeout=PATIENCE_S)
            assert at._task.done()

    asyncio.run(scene())


@pytest.mark.skipif(not shutil.which("logger"), reason="util-linux is not installed")
@pytest.mark.parametrize("form", ["--rfc3164", "--rfc5424"])
@pytest.mark.parametrize("how", ["--udp", "--tcp", "--octet-count"])
def test_what_logger_sends_is_taken_by_the_rules(form, how):
    rules = RuleSet(load_rules(["sshd"]))
    message = "Failed password for root from 192.0.2.7 port 4711 ssh2"

    async def scene():
        async with Listening() as at:
            host, port = at.source.addresses[0 if how == "--udp" else 1]
            ways = ["--tcp", how] if how == "--octet-count" else [how]
            to = ["--server", host, "--port", str(port)]
            await asyncio.to_thread(
                subprocess.run,
                ["logger", form, *ways, *to, "--id=42", "-t", "sshd", message],
                check=True,
                timeout=PATIENCE_S,
            )
            await at.lines_come(1)
            event = rules.event(at.lines[0])
            assert event is not None
            assert (event.name, event.instance) == ("ssh.login-failed", "192.0.2.7")
            assert b" sshd[42]: " in at.lines[0].text

    asyncio.run(scene())


def spec_of(text: str) -> SyslogSpec:
    node = parse(text, "peep.yaml")
    _, options = node.kind(["syslog"])
    spec = check(options)
    node.problems.raise_if_any()
    return spec


def test_options_say_where_and_for_whom():
    assert spec_of("syslog") == SyslogSpec()
    assert spec_of("syslog: 514") == SyslogSpec(514)
    spec = spec_of("{kind: syslog, host: '::', tcp: no, allow: [10.0.0.0/8]}")
    assert (spec.host, spec.tcp, spec.udp) == ("::", False, True)
    assert SyslogSource(spec, SystemClock()).describe() == "syslog on :: port 5514, UDP"
    both = SyslogSource(SyslogSpec(), SystemClock())
    assert both.describe() == "syslog on 127.0.0.1 port 5514, UDP and TCP"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{kind: syslog, host: localhost}", "host: needs an address"),
        ("{kind: syslog, udp: no, tcp: no}", "neither by UDP nor by TCP"),
        ("syslog: 0", "is not in 1 … 65535"),
        ("{kind: syslog, allow: [x]}", "'x' is no network"),
    ],
)
def test_what_cannot_be_listened_on_is_refused(text, why):
    with pytest.raises(ConfigError, match=why):
        spec_of(text)
