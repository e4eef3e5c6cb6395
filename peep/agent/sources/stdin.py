"""Lines from standard input: the smallest source, the one to copy."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.origins import new_origin
from peep.loglines import Batch, LineSplitter, some_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peep.clock import Clock
    from peep.config.document import Node

READ_BYTES = 64 * 1024


class StdinSpec(msgspec.Struct, frozen=True):
    """There is nothing to say about it."""


def check(options: Node) -> StdinSpec:
    """Read `stdin`, which has no options."""
    options.section()
    return StdinSpec()


class StdinSource:
    """The stream of standard input, until its end."""

    def __init__(self, _spec: StdinSpec, clock: Clock) -> None:
        self._clock = clock

    def describe(self) -> str:
        """Return what an operator reads."""
        return "standard input"

    def so_far(self) -> AsyncIterator[Batch]:
        """Yield lines until the end of the input, which is always to come."""
        return self.batches()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield lines as they come, until the end of the input."""
        if sys.stdin is None:  # closed before we began: that is its end
            return
        splitter = LineSplitter("-", origin=new_origin())
        fd = sys.stdin.fileno()
        while data := await _read(fd):
            while data:
                part = some_lines(data)
                data = data[len(part) :]
                yield Batch("-", tuple(splitter.feed(part, self._clock.wall())))
                await asyncio.sleep(0)
        yield Batch("-", tuple(splitter.finish(self._clock.wall())))


async def _read(fd: int) -> bytes:
    """Read when there is something; no thread that would hold up the end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except PermissionError:  # a plain file: always ready, and epoll takes none
        await asyncio.sleep(0)
        return os.read(fd, READ_BYTES)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
    return os.read(fd, READ_BYTES)
