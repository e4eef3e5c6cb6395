"""Programs that a source runs: bounded output, and an end for all that they started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Self

from peep.config.problems import safe
from peep.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

READ_BYTES = 64 * 1024
MAX_COMPLAINT_BYTES = 4096  # of standard error: its end, where the reason mostly is
MAX_SAID = 200  # characters of it that an operator is shown
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOOK_S = 0.01  # between looks whether it has ended, when it writes no more
LAST_WORDS_S = 0.1  # what it complained of is there by then, whoever holds the pipe
# Little of our own: a variable of the agent's is nobody's business.
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8"}


class Child:
    """A program at work, in a process group of its own; leaving the block kills it.

    `what` names it to an operator.
    """

    def __init__(
        self, what: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self._what = what
        self._arguments = arguments
        self._environment = {**ENVIRONMENT, **environment}
        self._complaint = b""

    async def __aenter__(self) -> Self:
        """Start it; SourceError if that cannot be."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
        except FileNotFoundError:
            program = safe(self._arguments[0])
            raise SourceError(f"{self._what}: no program {program} here") from None
        except (OSError, ValueError) as problem:
            said = getattr(problem, "strerror", None) or problem
            raise SourceError(f"{self._what}: {said}") from None
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill the group, whoever is left in it, and wait for the end."""
        self.kill()
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)
        # Who left the group may hold the pipes open: they are closed on our side.
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
        await self._process.wait()

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield its output as it comes."""
        assert self._process.stdout is not None, "it was asked for"
        while block := await self._process.stdout.read(READ_BYTES):
            yield block

    async def ended(self) -> int:
        """Wait for its end; return the exit code, negative for a signal."""
        # To wait for the process would be to wait for all who hold its pipes.
        while self._process.returncode is None:  # noqa: ASYNC110 - see above
            await asyncio.sleep(LOOK_S)
        await asyncio.wait({self._listener}, timeout=LAST_WORDS_S)
        return self._process.returncode

    def kill(self) -> None:
        """End it and what it started, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def complaint(self) -> str:
        """Return the last line that it wrote to standard error, fit to be printed."""
        lines = self._complaint.decode("utf-8", "backslashreplace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return safe(said[-1])[:MAX_SAID] if said else ""

    async def _listen(self) -> None:
        assert self._process.stderr is not None, "it was asked for"
        while block := await self._process.stderr.read(READ_BYTES):
            self._complaint = (self._complaint + block)[-MAX_COMPLAINT_BYTES:]
