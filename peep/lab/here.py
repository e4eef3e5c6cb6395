"""A server and an agent on this machine that find each other by themselves.

What `./run` starts. Both speak on loopback only, by the same broadcasts and leases
as on a network; nothing of this host leaves it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from typing import TYPE_CHECKING

from peep.errors import PeepError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peep.agent.app import AgentApp
    from peep.server.app import ServerApp, Summary

LOOPBACK = ("lo",)


class OnlyOne:
    """Holds a lock while one `./run` of this user runs."""

    def __init__(self, state_dir: Path) -> None:
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(
                state_dir / "here.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as problem:
            raise PeepError(
                f"cannot write to {state_dir}: {problem.strerror} "
                "(set XDG_STATE_HOME to a directory of yours)"
            ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._fd, 16, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise PeepError(
                f"Peep already runs here (process {pid}); stop it with Ctrl-C there"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another one run."""
        os.close(self._fd)


async def here(
    server: ServerApp,
    make_agent: Callable[[], AgentApp],
    stop: asyncio.Event,
    say: Callable[[str], None],
) -> Summary:
    """Run both until `stop` or the server's own end; return the server's summary."""
    serving = asyncio.create_task(server.run(stop))
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if serving.done():
        return serving.result()
    agent = make_agent()
    for what in agent.following():
        say(f"following {what}")
    agent_stop = asyncio.Event()
    working = asyncio.create_task(agent.run(agent_stop))
    try:
        return await serving
    finally:
        agent_stop.set()
        await working
