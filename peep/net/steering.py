"""How a running process is told to change: by its control socket, and by SIGHUP.

SIGHUP has two meanings: an administrator edited the configuration, or the terminal was
closed. Where there was a terminal and there is none any more, it is the second.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from peep.errors import PeepError
from peep.net.control import (
    ClassRequest,
    ControlServer,
    ForgetHost,
    ListHosts,
    ReadMetrics,
    Request,
)
from peep.net.notify import SILENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from peep.metrics import Metrics
    from peep.net.class_control import ClassControl
    from peep.net.notify import Notifier


class Steering:
    """Listens from `start` to `close`. Without a path there is no socket.

    `reread` loads the classes that the configuration names now. Who has more to read
    than that gives `reload` instead, which may take its time; if SIGHUP comes again
    meanwhile, so does its turn. Without either, SIGHUP is left as it was. `more`
    answers what is not about classes; PeepError if it refuses.
    """

    def __init__(
        self,
        control: ClassControl,
        path: Path | None,
        reread: Callable[[], Sequence[str]] | None,
        say: Callable[[str], None],
        more: Callable[[Request], dict[str, object]] | None = None,
        *,
        reload: Callable[[], Awaitable[None]] | None = None,
        notifier: Notifier = SILENT,
    ) -> None:
        self._control = control
        self._more = more or _nothing_more
        self._server = None if path is None else ControlServer(path, self._answer)
        self._reread = reread
        self._reload = reload
        self._reloading: asyncio.Task[None] | None = None
        self._asked = False  # to reload, since that was last begun
        self._say = say
        self._notifier = notifier
        self._had_terminal = _has_terminal()

    async def start(self) -> None:
        """Begin; a socket that cannot be made is said, and done without."""
        if self._server is not None:
            try:
                await self._server.start()
            except PeepError as problem:
                self._say(
                    f"{problem}: `peep classes` and others cannot ask this process"
                )
        if self._reload is not None or self._reread is not None:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    async def close(self) -> None:
        """Take the socket away, and give up what is being loaded."""
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)
        if self._server is not None:
            await self._server.close()

    def _answer(self, request: Request) -> dict[str, object]:
        if isinstance(request, ClassRequest):
            return self._control.handle(request)
        return self._more(request)

    def _hang_up(self) -> None:
        if self._had_terminal and not _has_terminal():
            # It comes more than once, and a later one must not cut the end short.
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.raise_signal(signal.SIGTERM)
        elif self._reload is not None:
            self._asked = True
            if self._reloading is None or self._reloading.done():
                self._reloading = asyncio.create_task(self._reload_all(self._reload))
        elif self._reread is not None:
            with self._notifier.reloading():
                self._control.reread(self._reread)

    async def _reload_all(self, reload: Callable[[], Awaitable[None]]) -> None:
        with self._notifier.reloading():
            while self._asked:
                self._asked = False
                await reload()


def agent_answers(metrics: Metrics) -> Callable[[Request], dict[str, object]]:
    """Return what an agent answers beside its classes."""

    def answer(request: Request) -> dict[str, object]:
        match request:
            case ReadMetrics():
                return {"metrics": metrics.collect()}
            case ListHosts() | ForgetHost():
                raise PeepError("is an agent: ask a server")
        return _nothing_more(request)

    return answer


def _nothing_more(request: Request) -> dict[str, object]:
    raise PeepError(f"has no answer to {request.__struct_config__.tag}")


def _has_terminal() -> bool:
    try:
        os.close(os.open(os.ctermid(), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
