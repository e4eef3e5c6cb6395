"""One source at work: opened, asked for lines or samples, and tried again if it fails.

That it fails is said once, and it is tried again with growing pauses; other sources
are none of its business.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from peep.agent.sources import Ending, Poller, Prober
from peep.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from peep.agent.sources import Source
    from peep.clock import Clock
    from peep.loglines import Batch
    from peep.signals import Signal

RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # pauses before a failed source is tried again
RATES_S = 1.0  # between the two looks that a rate takes, at least


class Worker:
    """Runs one source. `opened` makes it; `take` and `send` are given what it has.

    `name` stands for a source that could not be opened yet.
    """

    def __init__(
        self,
        name: str,
        opened: Callable[[], Source],
        *,
        clock: Clock,
        say: Callable[[str], None],
        take: Callable[[Batch], Awaitable[None]],
        send: Callable[[Signal], None],
    ) -> None:
        self._name = name
        self._opened = opened
        self._clock = clock
        self._say = say
        self._take = take
        self._send = send
        self._source: Source | None = None
        # Why it cannot be opened is said when it is run, and tried once more.
        with contextlib.suppress(Exception):
            self._source = opened()

    def describe(self) -> str:
        """Return what an operator reads; nothing while it could not be opened."""
        return "" if self._source is None else self._source.describe()

    async def run(self) -> None:
        """Work until the source ends by itself, which most never do."""
        failures = 0
        while True:
            began = self._clock.now()
            problem = await self._try(self._work)
            if problem is None:
                return
            if self._clock.now() - began > RETRY_S[-1]:
                failures = 0  # it worked for long: this is another trouble
            if not failures:
                self._say(f"cannot follow {problem}; trying again")
            pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
            failures += 1
            await asyncio.sleep(pause_s)

    async def run_once(self) -> bool:
        """Take what is there now; say whether that could be done."""
        problem = await self._try(self._work_once)
        if problem is not None:
            self._say(f"cannot read {problem}")
        return problem is None

    async def _try(self, work: Callable[[Source], Awaitable[None]]) -> str | None:
        """Open the source if need be, and work; return what went wrong, if it did."""
        try:
            if self._source is None:
                self._source = self._opened()
            await work(self._source)
        except SourceError as problem:
            return str(problem)
        except OSError as problem:
            return f"{self.describe() or self._name}: {problem.strerror}"
        except Exception as problem:  # noqa: BLE001 - one source must not end all
            what = f"{type(problem).__name__}: {problem}"
            return f"{self.describe() or self._name}: {what}"
        return None

    async def _work(self, source: Source) -> None:
        if isinstance(source, Poller | Prober):
            while True:
                await self._look(source)
                await asyncio.sleep(source.interval_s)
        await self._follow(source.batches())

    async def _work_once(self, source: Source) -> None:
        if isinstance(source, Ending):
            await self._follow(source.so_far())
        elif isinstance(source, Poller | Prober):
            await self._look(source)
            if getattr(source, "has_rates", False):
                await asyncio.sleep(min(RATES_S, source.interval_s))
                await self._look(source)
        else:
            self._say(f"{source.describe()}: passed over, nothing is there to be read")

    async def _look(self, source: Poller | Prober) -> None:
        now = self._clock.now()
        if isinstance(source, Prober):
            found = await source.probe(now)
        else:
            found = source.poll(now)
        for signal in found:
            self._send(signal)

    async def _follow(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            await self._take(batch)
