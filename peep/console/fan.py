"""Pieces of sound given to all who listen, and nobody waited for.

Each listener has a short queue. Whoever does not keep up loses what waits and goes on
with what comes now: nobody is waited for, and nobody hears the past.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")


class Listener(Generic[T]):
    """One who listens: `async for piece in listener`. `dropped` counts pieces."""

    def __init__(self, room: int) -> None:
        """Hold so many pieces at most."""
        self.dropped = 0
        self._queue: deque[T] = deque()
        self._room = room
        self._bell = asyncio.Event()

    def offer(self, piece: T) -> None:
        """Put a piece into the queue; if that is full, begin anew with this one."""
        if len(self._queue) >= self._room:
            self.dropped += len(self._queue)
            self._queue.clear()
        self._queue.append(piece)
        self._bell.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield pieces as they come, for ever."""
        while True:
            while self._queue:
                yield self._queue.popleft()
            self._bell.clear()
            await self._bell.wait()


class Fan(Generic[T]):
    """All who listen to one thing; `anybody` waits for the first."""

    def __init__(self, room: int) -> None:
        """Let each fall so many pieces behind."""
        self._room = room
        self._listeners: set[Listener[T]] = set()
        self._bell = asyncio.Event()

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self) -> Listener[T]:
        """Return a new listener."""
        listener = Listener[T](self._room)
        self._listeners.add(listener)
        self._bell.set()
        return listener

    def leave(self, listener: Listener[T]) -> None:
        """Let a listener go."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._bell.clear()

    def offer(self, piece: T) -> None:
        """Give a piece to each."""
        for listener in self._listeners:
            listener.offer(piece)

    async def anybody(self) -> None:
        """Wait until somebody listens."""
        await self._bell.wait()
