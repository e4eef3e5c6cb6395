"""Looking at real servers on loopback: sockets, TLS, name servers, echoes."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from peep.agent.sources import Prober as ProberProtocol
from peep.agent.sources import echo, from_text, lookups, open_source
from peep.agent.sources.lookups import KNOWN_S, Lookups
from peep.agent.sources.ping import PingSource
from peep.agent.sources.probes import NoAnswerError, Prober
from peep.clock import ManualClock, SystemClock
from peep.signals import Event, State

pytestmark = pytest.mark.network

PATIENCE_S = 15
DAYS_LEFT = 5


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that a host signed itself, and its key: a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=DAYS_LEFT))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return str(path)


@contextlib.asynccontextmanager
async def serving(answer: bytes | None, certificate: str = ""):
    """A server that answers whatever it is asked with this; None: never. Its port."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    asked, writers = [], []

    async def serve(reader, writer):
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], asked
        for writer in writers:
            writer.transport.abort()
        for _ in range(3):  # they close in turns of the loop
            await asyncio.sleep(0)


def looked(text: str, **more):
    """What one look at a target finds, NoAnswerError if nothing."""
    return asyncio.run(look(text, **more))


async def look(text: str, icmp: socket.SocketKind | None = None, **more):
    target = msgspec.structs.replace(from_text(f"ping:{text}").targets[0], **more)
    prober = Prober([target], SystemClock(), icmp)
    async with asyncio.timeout(PATIENCE_S):
        return await prober.probe(target)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_a_port_that_takes_connections_answers():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        answer = looked(f"tcp://127.0.0.1:{sock.getsockname()[1]}")
    assert 0 <= answer.latency_s < PATIENCE_S
    assert answer.expires is None


def test_a_closed_port_is_no_answer():
    with pytest.raises(NoAnswerError, match="refused"):
        looked(f"tcp://127.0.0.1:{free_port()}")


def test_both_families_are_looked_at():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        assert looked(f"tcp://[::1]:{sock.getsockname()[1]}").latency_s >= 0


@pytest.mark.parametrize("status", [200, 204, 301, 399])
def test_a_page_is_an_answer(status):
    async def scene():
        async with serving(b"HTTP/1.1 %d Fine\r\n\r\n" % status) as (port, asked):
            await look(f"http://127.0.0.1:{port}/a?b=c")
            assert asked == [
                b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: peep\r\n"
                b"Accept: */*\r\nConnection: close\r\n\r\n" % port
            ]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\n", "status 404"),
        (b"HTTP/1.0 500\r\n", "status 500"),
        (b"HTTP/1.1 200", "hung up"),
        (b"", "hung up"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "what answers is no web server"),
        (b"HTTP/1.1 2000 x\r\n", "what answers is no web server"),
        (b"x" * 100_000, "what answers is no web server"),
    ],
)
def test_a_web_server_that_answers_badly_does_not_answer(answer, why):
    async def scene():
        async with serving(answer) as (port, _):
            with pytest.raises(NoAnswerError, match=f"^{why}$"):
                await look(f"http://127.0.0.1:{port}")

    asyncio.run(scene())


def test_which_status_is_fine_may_be_said():
    async def scene():
        async with serving(b"HTTP/1.1 401 Who?\r\n") as (port, _):
            await look(f"http://127.0.0.1:{port}", status=(200, 401))
            with pytest.raises(NoAnswerError, match="status 401"):
                await look(f"http://127.0.0.1:{port}", status=(200,))

    asyncio.run(scene())


def test_a_certificate_is_verified_and_its_end_told(certificate):
    async def scene():
        async with serving(b"HTTP/1.1 200 OK\r\n", certificate) as (port, _):
            trusted = await look(f"https://localhost:{port}", ca=certificate)
            left_s = trusted.expires - SystemClock().wall()
            assert DAYS_LEFT - 0.1 < left_s / 86_400 <= DAYS_LEFT
            careless = await look(f"https://127.0.0.1:{port}", verify=False)
            assert careless.expires == trusted.expires

    asyncio.run(scene())


def test_a_certificate_that_nobody_vouches_for_is_no_answer(certificate):
    async def scene():
        async with serving(b"HTTP/1.1 200 OK\r\n", certificate) as (port, _):
            with pytest.raises(NoAnswerError, match=r"^certificate: self.signed"):
                await look(f"https://localhost:{port}")

    asyncio.run(scene())


def test_tls_where_none_is_spoken_is_no_answer():
    async def scene():
        async with serving(b"HTTP/1.1 200 OK\r\n") as (port, _):
            with pytest.raises((NoAnswerError, TimeoutError)):
                async with asyncio.timeout(0.3):
                    await look(f"https://127.0.0.1:{port}", verify=False)

    asyncio.run(scene())


class Names(asyncio.DatagramProtocol):
    """A name server that sends these, with number and question filled in."""

    def __init__(self, *replies) -> None:
        self.replies = replies

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, address) -> None:
        for flags, answers in self.replies:
            head = data[:2] + struct.pack(">HHHHH", flags, 1, answers, 0, 0)
            self.transport.sendto(head + data[12:], address)


async def asked(*replies) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Names(*replies), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    try:
        await look(f"dns://127.0.0.1:{port}/example.org?type=AAAA")
    finally:
        transport.close()
        await asyncio.sleep(0)  # it closes then


def test_a_name_server_that_knows_the_name_answers():
    asyncio.run(asked((0x8180, 1)))


def test_what_is_no_reply_is_passed_over_until_one_comes():
    asyncio.run(asked((0x0100, 1), (0x8180, 1)))


def test_a_name_server_that_does_not_know_is_no_answer():
    with pytest.raises(NoAnswerError, match="knows no such name"):
        asyncio.run(asked((0x8183, 0)))


def test_a_name_server_that_is_not_there_is_no_answer():
    with pytest.raises(NoAnswerError, match="refused"):
        looked(f"dns://127.0.0.1:{free_port()}/example.org")


KIND = echo.allowed()


@pytest.mark.skipif(KIND is None, reason="echoes are not allowed here")
@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_an_echo_comes_back(address):
    assert looked(f"icmp://{address}", icmp=KIND).latency_s >= 0


def test_without_echoes_a_connection_or_its_refusal_is_an_answer():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        assert looked("icmp://127.0.0.1", port=port).latency_s >= 0
    assert looked("icmp://127.0.0.1", port=port).latency_s >= 0


UNPRIVILEGED = """
import asyncio, os, socket
from pathlib import Path
from peep.agent.sources import from_text, open_source, echo
from peep.clock import SystemClock
Path("/proc/sys/net/ipv4/ping_group_range").write_text("{range}")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
source = open_source(from_text("ping:127.0.0.1"), SystemClock())
print(getattr(echo.allowed(), "name", None), source.describe())
print([signal.name for signal in asyncio.run(source.probe(0.0))])
"""

ALONE = ("unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "-")


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
    reason="needs root for a network of its own",
)
@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ("0 65534", "SOCK_DGRAM whether 127-0-0-1 answer, every 10 s"),
        ("1 0", "None whether 127-0-0-1 answer, every 10 s (ICMP is not allowed here"),
    ],
)
def test_who_is_not_root_sends_echoes_where_the_kernel_lets(allowed, said):
    code = UNPRIVILEGED.replace("{range}", allowed)
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("no network namespaces here")
    first, second = done.stdout.splitlines()
    assert first.startswith(said)
    assert second == "['ping.latency.127-0-0-1']"


def test_an_echo_carries_the_checksum_of_the_internet():
    assert echo._checksum(echo._packet(8, b"t" * 16)) == 0, "as RFC 1071 has it"
    assert echo._checksum(b"\0\1\xf2\3\xf4\xf5\xf6\xf7") == 0x220D, "its example"


async def _address(found: Lookups, host: str) -> str:
    async with asyncio.timeout(PATIENCE_S):
        return await found.address(host)


def test_a_name_is_looked_up_once_and_its_address_kept(monkeypatch):
    asked = []

    def look_up(host, *args, **more):
        asked.append(host)
        if len(asked) > 1:
            raise OSError("the name server is down")
        return [(0, 0, 0, "", ("192.0.2.7", 0))]

    async def scene():
        clock = ManualClock()
        found = Lookups(clock)
        assert await _address(found, "web1") == "192.0.2.7"
        assert await _address(found, "web1") == "192.0.2.7"
        assert asked == ["web1"]
        clock.advance(KNOWN_S)
        assert await _address(found, "web1") == "192.0.2.7"
        while found._asking:  # noqa: ASYNC110 - a thread answers
            await asyncio.sleep(0.001)
        assert asked == ["web1", "web1"]
        assert await _address(found, "web1") == "192.0.2.7"

    monkeypatch.setattr(lookups.socket, "getaddrinfo", look_up)
    asyncio.run(scene())


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid"])
def test_a_name_without_an_address_is_no_answer(host):
    with pytest.raises(NoAnswerError, match=r"^no address: "):
        looked(f"tcp://{host}:1")


def test_who_gives_up_waiting_for_a_name_leaves_no_fault(monkeypatch):
    done = threading.Event()

    def look_up(*args, **more):
        done.wait(PATIENCE_S)
        raise OSError("down")

    async def scene():
        found = Lookups(ManualClock())
        waiting = asyncio.create_task(found.address("web1"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        done.set()
        while found._asking:  # noqa: ASYNC110 - a thread answers
            await asyncio.sleep(0.001)

    monkeypatch.setattr(lookups.socket, "getaddrinfo", look_up)
    asyncio.run(scene())


def test_a_name_that_comes_after_the_end_is_nobody_s(monkeypatch):
    loop = asyncio.new_event_loop()
    loop.close()
    lookups._look_up("localhost", loop, lambda *_: None)


def test_a_source_looks_at_all_its_targets_together():
    async def scene():
        async with (
            serving(b"HTTP/1.1 200 OK\r\n") as (fine, _),
            serving(None) as (mute, _),
        ):
            node = f"ping:http://127.0.0.1:{fine}"
            spec = from_text(node)
            slow = msgspec.structs.replace(spec.targets[0], name="mute", port=mute)
            gone = msgspec.structs.replace(
                spec.targets[0], name="gone", scheme="tcp", port=free_port()
            )
            spec = msgspec.structs.replace(
                spec, targets=(*spec.targets, slow, gone), timeout_s=0.2, down_after=1
            )
            source = open_source(spec, SystemClock())
            assert isinstance(source, PingSource)
            assert isinstance(source, ProberProtocol)
            signals = list(await source.probe(0.0))
            assert {s.name for s in signals if isinstance(s, State)} == {
                f"ping.latency.127-0-0-1-{fine}",
                "ping.latency.mute",
                "ping.latency.gone",
            }
            told = {s.instance: s.text for s in signals if isinstance(s, Event)}
            assert told["mute"] == "http 127.0.0.1: no answer in 0.2 s"
            assert "refused" in told["gone"]

    asyncio.run(scene())
