"""One look at something on the network: whether it answers, and how soon.

Where ICMP is not allowed a connection by TCP is made instead: a refusal is an answer,
too. Of a web server's answer no more is read than the first line.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import ssl
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources import dns_query
from peep.agent.sources.certificate import not_after
from peep.agent.sources.echo import MAX_PACKET_BYTES, echo
from peep.agent.sources.lookups import Lookups
from peep.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.clock import Clock

MAX_STATUS_LINE_BYTES = 8192
FALLBACK_PORT = 443  # where nobody is, it is refused: that is an answer
_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})[ \r\n]")
_FINE = range(200, 400)
_OWN_NUMBERS = (ssl.SSLError, socket.gaierror)  # which are not the kernel's


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at. `scheme` is icmp, tcp, http, https or dns.

    `asked` and `record` are the question for dns; `status` are the answers of a web
    server that are fine (none: 200…399); `ca` is a file that its certificate is signed
    with. A latency of `low_ms` is heard as nothing, of `high_ms` as all.
    """

    name: str
    scheme: str
    host: str
    port: int = 0
    path: str = "/"
    asked: str = ""
    record: str = "A"
    status: tuple[int, ...] = ()
    verify: bool = True
    ca: str = ""
    low_ms: float = 0.0
    high_ms: float = 1000.0


class Answer(msgspec.Struct, frozen=True):
    """What a look found; `expires` is the end of a certificate, Unix seconds."""

    latency_s: float
    expires: float | None = None


class NoAnswerError(Exception):
    """Why there was none, for people."""


class Prober:
    """Looks at targets; NoAnswerError or TimeoutError where nothing answers."""

    def __init__(
        self, targets: Iterable[Target], clock: Clock, icmp: socket.SocketKind | None
    ) -> None:
        """Read what certificates are held against; SourceError if that cannot be.

        `icmp` is the kind of socket for echoes, if they are allowed.
        """
        self._clock = clock
        self._icmp = icmp
        self._lookups = Lookups(clock)
        # They read all authorities, which takes as long as a few looks: so now.
        self._contexts = {
            key: _context(*key)
            for key in {(t.verify, t.ca) for t in targets if t.scheme == "https"}
        }

    async def probe(self, target: Target) -> Answer:
        """Look once. The caller bounds the time."""
        try:
            address = await self._lookups.address(target.host)
        except OSError as problem:
            raise NoAnswerError(f"no address: {_reason(problem)}") from None
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        began = self._clock.now()
        expires = None
        try:
            if target.scheme == "icmp" and self._icmp is not None:
                await echo(family, self._icmp, address)
            elif target.scheme == "icmp":
                await _knock(family, address, target.port or FALLBACK_PORT)
            elif target.scheme == "dns":
                await _ask(family, address, target)
            elif target.scheme == "tcp":
                (await _connected(family, address, target.port)).close()
            else:
                expires = await self._fetch(family, address, target)
        except ssl.SSLCertVerificationError as problem:
            raise NoAnswerError(f"certificate: {problem.verify_message}") from None
        except (OSError, asyncio.IncompleteReadError) as problem:
            if isinstance(problem, TimeoutError):
                raise
            raise NoAnswerError(_reason(problem)) from None
        return Answer(self._clock.now() - began, expires)

    async def _fetch(
        self, family: socket.AddressFamily, address: str, target: Target
    ) -> float | None:
        """Ask for a page; return the end of the certificate, if there is one."""
        context = None
        if target.scheme == "https":
            context = self._contexts[target.verify, target.ca]
        sock = await _connected(family, address, target.port)
        reader, writer = await asyncio.open_connection(
            sock=sock,
            ssl=context,
            server_hostname=target.host if context else None,
            limit=MAX_STATUS_LINE_BYTES,
        )
        try:
            writer.write(_request(target))
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                raise NoAnswerError("what answers is no web server") from None
            session = writer.get_extra_info("ssl_object")
            expires = not_after(session.getpeercert(True)) if session else None
        finally:
            writer.transport.abort()
        found = _STATUS.match(line)
        if found is None:
            raise NoAnswerError("what answers is no web server")
        status = int(found[1])
        if status not in (target.status or _FINE):
            raise NoAnswerError(f"status {status}")
        return expires


def _context(verify: bool, ca: str) -> ssl.SSLContext:  # noqa: FBT001 - as configured
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except OSError as problem:
        raise SourceError(f"certificates in {ca}: {_reason(problem)}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(problem: OSError | asyncio.IncompleteReadError) -> str:
    if not isinstance(problem, OSError):
        return "hung up"
    if isinstance(problem, _OWN_NUMBERS) or not problem.errno:
        return problem.strerror or str(problem)
    return os.strerror(problem.errno)  # asyncio has longer words for it


async def _connected(
    family: socket.AddressFamily, address: str, port: int
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _knock(family: socket.AddressFamily, address: str, port: int) -> None:
    try:
        (await _connected(family, address, port)).close()
    except ConnectionRefusedError:
        return


async def _ask(family: socket.AddressFamily, address: str, target: Target) -> None:
    asked = dns_query.question(target.asked, target.record, secrets.randbits(16))
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((address, target.port))
        sock.send(asked)
        while True:
            reply = await asyncio.get_running_loop().sock_recv(sock, MAX_PACKET_BYTES)
            trouble = dns_query.trouble(asked, reply)
            if trouble:
                raise NoAnswerError(trouble)
            if trouble is not None:
                return


def _request(target: Target) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"http": 80, "https": 443}[target.scheme]
    where = host if target.port == usual else f"{host}:{target.port}"
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: {where}\r\nUser-Agent: peep\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")
