"""Lines that other hosts and programs send by syslog, over UDP and TCP.

Nothing is read faster than it is taken: TCP senders wait then, and what comes by UDP is
dropped by the kernel. A connection holds a few kilobytes; of too many, the one that has
been silent longest makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.origins import new_origin
from peep.agent.sources.syslog_format import Framer, parse
from peep.config.network import networks
from peep.config.settings import PRIVATE_NETWORKS
from peep.errors import SourceError
from peep.loglines import MAX_LINE_BYTES, Batch, LogLine
from peep.protocol.policy import within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from peep.clock import Clock
    from peep.config.document import Node
    from peep.protocol.policy import Network

DEFAULT_PORT = 5514  # 514 is for root only
MAX_CONNECTIONS = 128
READ_BYTES = 8 * 1024  # at once, of a connection: it may be four thousand lines
SLICE_LINES = 256  # in a batch: a millisecond or two
MAX_WAITING = 16  # batches, until they are taken
WANTED_BUFFER_BYTES = 4 * 1024 * 1024  # for bursts by UDP, if the kernel lets us
BACKLOG = 64  # connections that wait to be accepted


class SyslogSpec(msgspec.Struct, frozen=True):
    """Where to listen, and to whom."""

    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    udp: bool = True
    tcp: bool = True
    allow: tuple[Network, ...] = tuple(map(ipaddress.ip_network, PRIVATE_NETWORKS))


def check(options: Node) -> SyslogSpec:
    """Read `syslog: 514`, or `{kind: syslog, host: 0.0.0.0, tcp: no, allow: […]}`."""
    keys = options.section("port", "host", "udp", "tcp", "allow", short="port")
    host = keys["host"].text("127.0.0.1")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        keys["host"].problem("needs an address, such as 127.0.0.1, 0.0.0.0 or '::'")
    udp, tcp = keys["udp"].flag(default=True), keys["tcp"].flag(default=True)
    if not udp and not tcp:
        options.problem("neither by UDP nor by TCP: nothing would come")
    return SyslogSpec(
        keys["port"].integer(DEFAULT_PORT, low=1, high=65535),
        host,
        udp,
        tcp,
        networks(keys["allow"], PRIVATE_NETWORKS),
    )


class SyslogSource:
    """The stream of what is sent here."""

    def __init__(self, spec: SyslogSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._origin = new_origin()
        self._serial = 0
        self._queue: asyncio.Queue[list[LogLine]] = asyncio.Queue(MAX_WAITING)
        # By the connection that has been silent longest.
        self._writers: dict[asyncio.StreamWriter, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused = 0  # datagrams and connections from where nobody is allowed
        self.addresses: tuple[tuple[str, int], ...] = ()  # UDP's, then TCP's

    def describe(self) -> str:
        """Return what an operator reads."""
        kinds = [k for k in ("udp", "tcp") if getattr(self._spec, k)]
        by = " and ".join(kinds).upper().replace("AND", "and")
        return f"syslog on {self._spec.host} port {self._spec.port}, {by}"

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield lines as they come, for ever."""
        async with contextlib.AsyncExitStack() as stack:
            receiving = await self._open(stack)
            while True:
                taking = asyncio.create_task(self._queue.get())
                try:
                    await asyncio.wait(
                        {taking, *receiving}, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    if not taking.done():
                        taking.cancel()
                for task in receiving:
                    if task.done():
                        task.result()  # it ends by an error only
                yield Batch("syslog", tuple(taking.result()))

    async def _open(self, stack: contextlib.AsyncExitStack) -> set[asyncio.Task[None]]:
        """Listen; the stack ends it. Returns what is to be looked after."""
        receiving: set[asyncio.Task[None]] = set()
        addresses = []
        stack.push_async_callback(self._close)
        if self._spec.udp:
            sock = self._bound(socket.SOCK_DGRAM)
            stack.callback(sock.close)
            with contextlib.suppress(OSError):
                sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVBUF, WANTED_BUFFER_BYTES
                )
            addresses.append(sock.getsockname()[:2])
            receiving.add(asyncio.create_task(self._receive(sock)))
            self._tasks |= receiving
        if self._spec.tcp:
            sock = self._bound(socket.SOCK_STREAM)
            addresses.append(sock.getsockname()[:2])
            server = await asyncio.start_server(
                self._accept, sock=sock, limit=READ_BYTES, backlog=BACKLOG
            )
            stack.callback(server.close)
        self.addresses = tuple(addresses)
        return receiving

    def _bound(self, kind: socket.SocketKind) -> socket.socket:
        host, port = self._spec.host, self._spec.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, kind)
        try:
            if kind is socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family is socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.setblocking(False)
            sock.bind((host, port))
        except OSError as problem:
            sock.close()
            by = "TCP" if kind is socket.SOCK_STREAM else "UDP"
            where = f"syslog on {host} port {port}, {by}"
            raise SourceError(f"{where}: {problem.strerror}") from None
        return sock

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _receive(self, sock: socket.socket) -> None:
        """Take datagrams, many at a time."""
        loop = asyncio.get_running_loop()
        while True:
            data, address = await loop.sock_recvfrom(sock, MAX_LINE_BYTES)
            arrived = self._clock.wall()
            lines = self._lines([data], address[0], arrived)
            with contextlib.suppress(BlockingIOError):
                for _ in range(SLICE_LINES - 1):
                    data, address = sock.recvfrom(MAX_LINE_BYTES)
                    lines += self._lines([data], address[0], arrived)
            await self._put(lines)
            await asyncio.sleep(0)  # others have a turn, however much there is

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take what one connection sends, until it ends or makes room."""
        task = asyncio.current_task()
        assert task is not None, "a server makes one of each connection"
        self._tasks.add(task)
        try:
            peer = writer.get_extra_info("peername")[0]
            if not self._is_allowed(peer):
                self.refused += 1
                return
            if len(self._writers) >= MAX_CONNECTIONS:
                oldest = next(iter(self._writers))
                del self._writers[oldest]
                oldest.transport.abort()
            self._writers[writer] = None
            await self._take(reader, writer, peer)
        except ConnectionError:
            pass
        finally:
            self._writers.pop(writer, None)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _take(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        framer = Framer(MAX_LINE_BYTES)
        while block := await reader.read(READ_BYTES):
            if writer in self._writers:
                del self._writers[writer]
                self._writers[writer] = None  # it was silent least
            await self._tell(framer.feed(block), peer)
        await self._tell(framer.finish(), peer)

    async def _tell(self, messages: Sequence[bytes], peer: str) -> None:
        arrived = self._clock.wall()
        for begin in range(0, len(messages), SLICE_LINES):
            part = messages[begin : begin + SLICE_LINES]
            await self._put(self._lines(part, peer, arrived))

    async def _put(self, lines: list[LogLine]) -> None:
        if lines:
            await self._queue.put(lines)

    def _lines(
        self, messages: Sequence[bytes], peer: str, arrived: float
    ) -> list[LogLine]:
        if not self._is_allowed(peer):
            self.refused += 1
            return []
        sender = _plain(peer).encode("ascii", "replace")
        found = []
        for message in messages:
            parsed = parse(message, sender, arrived)
            found.append(
                LogLine("syslog", self._serial, parsed.text, parsed.when, self._origin)
            )
            self._serial += 1
        return found

    def _is_allowed(self, peer: str) -> bool:
        return within(peer, self._spec.allow)


def _plain(peer: str) -> str:
    """Return an IPv4 address that came by an IPv6 socket as what it is."""
    return peer.removeprefix("::ffff:") if "." in peer else peer
