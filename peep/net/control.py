"""The control socket: how a command speaks to a running agent or server.

Every process has a Unix socket of its own in the user's runtime directory, named
`<kind>-<pid>.sock`. A request is a line of JSON, such as `{"do": "classes"}`, and so is
its answer: `{"ok": true, …}` or `{"ok": false, "problem": "one line"}`.

Who may speak: the same user and root. The directory (0700) and the socket (0600) see to
it; what the kernel says of the peer is asked as well.

A socket appears under its name only once it listens. So one that refuses belongs to a
process that is gone, and whoever finds it takes it away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import stat
import struct
from typing import TYPE_CHECKING, Annotated, NamedTuple, get_args

import msgspec
from msgspec import Meta

from peep.config.problems import safe
from peep.errors import PeepError
from peep.mixer.controls import Act  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_REQUEST_BYTES = 16 * 1024  # three times the longest that is meant: 64 classes
# What a client reads of a process that may be broken: a full roster with the longest of
# names and classes takes half of it.
MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_CLIENTS = 16  # at once; people and scripts, one request each
MAX_NAMES = 64  # in a request; as many as a process has classes
MAX_HOST_LENGTH = 253  # as DNS has it
MAX_PATH_BYTES = 107  # sun_path in Linux's sockaddr_un, without its NUL
PATIENCE_S = 5.0  # for a line to come, or an answer to be read
_MAX_PROBLEM = 300  # characters: one line for people

_SOCKET_NAME = re.compile(r"(agent|server)-([1-9][0-9]{0,9})\.sock")
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

Names = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
    Meta(min_length=1, max_length=MAX_NAMES),
]


class Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """The base of what may be asked; the tag is the verb."""


class ListClasses(Request, frozen=True, tag="classes"):
    """Say which classes you hold."""


class AddClasses(Request, frozen=True, tag="classes.add"):
    """Hold these, too."""

    names: Names


class RemoveClasses(Request, frozen=True, tag="classes.remove"):
    """Hold these no longer."""

    names: Names


class ListHosts(Request, frozen=True, tag="hosts"):
    """Say which hosts you hear, and which you miss."""


class ForgetHost(Request, frozen=True, tag="hosts.forget"):
    """Take a host off the roster."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_HOST_LENGTH)]


class ReadMetrics(Request, frozen=True, tag="metrics"):
    """Say what you have counted."""


class ListControls(Request, frozen=True, tag="controls"):
    """Say what the operator muted, soloed, snoozed or turned."""


class ChangeMix(Request, frozen=True, tag="controls.change"):
    """Do what the operator says."""

    act: Act


ClassRequest = ListClasses | AddClasses | RemoveClasses
_KNOWN = ClassRequest | ListHosts | ForgetHost | ReadMetrics | ListControls | ChangeMix
_VERBS = tuple(str(one.__struct_config__.tag) for one in get_args(_KNOWN))
_REQUEST = msgspec.json.Decoder(_KNOWN)
_ANSWER = msgspec.json.Decoder(dict[str, object])


class GoneError(PeepError):
    """The process at a socket has ended."""


class Running(NamedTuple):
    """A process that can be asked, as far as its socket's name tells."""

    kind: str
    pid: int
    path: Path


def socket_path(directory: Path, kind: str, pid: int) -> Path:
    """Return where a process of this kind ("agent" or "server") is asked."""
    return directory / f"{kind}-{pid}.sock"


def running(directory: Path) -> list[Running]:
    """Return the processes with a socket in a directory, agents first.

    PeepError if the directory is not private to this user; root may ask others' as
    well: a service's agent has a user of its own.
    """
    try:
        names = [path.name for path in directory.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise PeepError(f"cannot read {directory}: {problem.strerror}") from None
    _check_private(directory, others=os.getuid() == 0)
    found = [match for name in names if (match := _SOCKET_NAME.fullmatch(name))]
    return sorted(
        Running(match[1], int(match[2]), directory / match[0]) for match in found
    )


def ask(
    path: Path, request: Request, patience_s: float = PATIENCE_S
) -> dict[str, object]:
    """Ask a process and return its answer.

    PeepError with the line of one that refuses, or does not answer; GoneError if there
    is none any more, and then no socket either.
    """
    _check_length(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(patience_s)
        try:
            sock.connect(str(path))
            # Who is not welcome is told so, and hung up on, before a word is read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(msgspec.json.encode(request) + b"\n")
            line = _read_line(sock)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            raise GoneError("has ended") from None
        except FileNotFoundError:
            raise GoneError("has ended") from None
        except TimeoutError:
            raise PeepError(f"no answer within {patience_s:g} s") from None
        except OSError as problem:
            raise PeepError(f"cannot be asked: {problem.strerror}") from None
    try:
        answer = _ANSWER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PeepError("the answer makes no sense") from None
    if answer.get("ok") is not True:
        raise PeepError(_one_line(str(answer.get("problem", "refused"))))
    return answer


class ControlServer:
    """Answers requests at one socket; `handle` raises PeepError to refuse one."""

    def __init__(
        self,
        path: Path,
        handle: Callable[[Request], Mapping[str, object]],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._path = path
        self._handle = handle
        self._patience_s = patience_s
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, making the directory if it is missing; PeepError if that fails."""
        _check_length(self._path)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(self._path.parent)
            sock = self._listen()
        except OSError as problem:
            raise PeepError(f"cannot make {self._path}: {problem.strerror}") from None
        self._server = await asyncio.start_unix_server(
            self._serve, sock=sock, limit=MAX_REQUEST_BYTES
        )

    async def close(self) -> None:
        """Take the socket away and let go of everybody."""
        if self._server is None:
            return
        self._path.unlink(missing_ok=True)
        self._server.close()
        self._server = None
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _listen(self) -> socket.socket:
        # No longer than the final name, so that this path fits if that one does.
        early = self._path.with_name(f".{self._path.stem}.new")
        early.unlink(missing_ok=True)
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.bind(str(early))
            undo.callback(early.unlink, missing_ok=True)
            early.chmod(0o600)
            sock.listen(MAX_CLIENTS)
            early.rename(self._path)
            undo.pop_all()
        return sock

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio serves in tasks"
        self._clients.add(task)
        try:
            await self._converse(reader, writer)
        finally:
            self._clients.discard(task)
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        problem = None
        if _peer_uid(writer) not in (0, os.getuid()):
            problem = "this process is another user's"
        elif len(self._clients) > MAX_CLIENTS:
            problem = "too many ask at once: try again"
        # A client that goes away, or dawdles, is no concern of this process.
        with contextlib.suppress(OSError, TimeoutError):
            while problem is None:
                async with asyncio.timeout(self._patience_s):
                    line, problem = await _next_line(reader)
                    if not line and problem is None:
                        return
                    if problem is None:
                        writer.write(self._answer(line))
                        await writer.drain()
            async with asyncio.timeout(self._patience_s):
                writer.write(_refusal(problem))
                await writer.drain()

    def _answer(self, line: bytes) -> bytes:
        try:
            answer = {"ok": True, **self._handle(_decode(line))}
            return msgspec.json.encode(answer) + b"\n"
        except PeepError as refused:
            return _refusal(str(refused))
        except Exception as problem:  # noqa: BLE001 - a question must not end a process
            return _refusal(f"{type(problem).__name__}: {problem}")


async def _next_line(reader: asyncio.StreamReader) -> tuple[bytes, str | None]:
    """Return a line, or nothing at the end, and what is wrong with it."""
    try:
        return await reader.readuntil(), None
    except asyncio.LimitOverrunError:
        return b"", f"a request has at most {MAX_REQUEST_BYTES} bytes"
    except asyncio.IncompleteReadError as end:
        return b"", "the request was cut short" if end.partial else None


def _decode(line: bytes) -> Request:
    try:
        request: Request = _REQUEST.decode(line)
    except msgspec.ValidationError as problem:
        if str(problem).endswith(("`$.do`", "missing required field `do`")):
            raise PeepError(f"unknown request; known: {', '.join(_VERBS)}") from None
        raise PeepError(f"bad request: {problem}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PeepError("bad request: not one line of JSON") from None
    return request


def _refusal(problem: str) -> bytes:
    return msgspec.json.encode({"ok": False, "problem": _one_line(problem)}) + b"\n"


def _one_line(text: str) -> str:
    return safe(text[:_MAX_PROBLEM])


def _read_line(sock: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= MAX_ANSWER_BYTES:
        data = sock.recv(64 * 1024)
        if not data:
            break
        line += data
    return bytes(line)


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(peer)[1])


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise PeepError(
            f"{path} is too long for a socket: {length} bytes, {MAX_PATH_BYTES} go "
            "(set XDG_RUNTIME_DIR to a shorter directory)"
        )


def _check_private(directory: Path, *, others: bool = False) -> None:
    """Refuse a directory that somebody else may use; or made, without `others`."""
    status = directory.lstat()
    if (
        stat.S_ISDIR(status.st_mode)
        and (others or status.st_uid == os.getuid())
        and not status.st_mode & _OTHERS
    ):
        return
    raise PeepError(f"{directory} is not a directory of yours alone: chmod 700 it")
