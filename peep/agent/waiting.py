"""Waits that end in order: nothing that was begun for a wait outlives it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

T = TypeVar("T")


@contextlib.asynccontextmanager
async def meanwhile(
    work: Coroutine[None, None, T],
) -> AsyncIterator[asyncio.Task[T]]:
    """Run something for as long as the block lasts; it may end before."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def done(task: asyncio.Task[T]) -> None:
    """Wait for a task that must not be cancelled with the wait."""
    await asyncio.wait({task})


async def either(
    waits: Sequence[Coroutine[None, None, object]], most_s: float | None = None
) -> None:
    """Wait for the first of these, or so long."""
    tasks = {asyncio.create_task(wait) for wait in waits}
    try:
        await asyncio.wait(tasks, timeout=most_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def together(works: Sequence[Coroutine[None, None, T]]) -> list[T]:
    """Run these side by side to the end of all; one that raises ends the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]
