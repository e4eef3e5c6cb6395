"""The console served on a TCP port, beside all else in the running loop.

uvicorn does the HTTP and the WebSockets. It would take SIGINT and SIGTERM for itself;
those are the server's business, so it is kept from them. Packets of sound are not
compressed: they are noise to a compressor, and there are fifty a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from peep.console.gate import is_loopback
from peep.console.web import Console
from peep.errors import PeepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peep.console.port import Port

PORT: Final = 2080
_PORTS_TRIED: Final = 16  # a second server, or a stranger, may have the first
_CLOSING_S: Final = 1.0
_MOST_OPEN: Final = 256  # connections at once: pages, sockets and players


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ConsoleServer:
    """Listens from its making on, answers from `start` to `close`."""

    def __init__(self, port: Port, host: str, number: int | None, token: str) -> None:
        """Bind to a host's port: 2080, or the next free one, where none is named.

        On loopback nobody is asked for the token. Raises PeepError, one line.
        """
        self._token = None if is_loopback(host) else token
        self._socket = _bind(host, number)
        self._host = host
        self._console = Console(port, self._token)
        config = uvicorn.Config(
            self._console.app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=1024,  # nobody says anything to us
            ws_ping_interval=10.0,
            ws_ping_timeout=20.0,
            limit_concurrency=_MOST_OPEN,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def address(self) -> str:
        """What people open; the token is in it if there must be one."""
        number = self._socket.getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        said = socket.gethostname() if self._host in {"0.0.0.0", "::"} else host  # noqa: S104 - only compared
        token = "" if self._token is None else f"?token={self._token}"
        return f"http://{said}:{number}/{token}"

    def start(self) -> None:
        """Begin to answer."""
        serving = self._server.serve(sockets=[self._socket])
        self._tasks = [
            asyncio.create_task(serving),
            asyncio.create_task(self._console.run()),
        ]

    async def close(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        if self._tasks:
            self._tasks[1].cancel()
            await asyncio.wait(self._tasks, timeout=_CLOSING_S)
            self._server.force_exit = True
            self._tasks[0].cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()


def _bind(host: str, number: int | None) -> socket.socket:
    numbers = range(PORT, PORT + _PORTS_TRIED) if number is None else [number]
    problem = OSError()
    for one in numbers:
        try:
            return _listening(host, one)
        except OSError as error:
            problem = error
    raise PeepError(
        f"the console cannot listen on {host} port {numbers[0]}: {problem.strerror}"
    )


def _listening(host: str, number: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, number))
        made.listen()
    except OSError:
        made.close()
        raise
    return made
