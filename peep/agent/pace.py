"""A ceiling on processor time: how long to rest before the next portion of work.

A budget, in seconds of processor time, grows by `ceiling` (a share of one core) with
each second that passes, up to what WINDOW_S of it bring; all that the process spends is
taken from it. As long as it is not below zero there is no rest; else so long as it
takes to come back there. So in any T seconds no more is spent than T + WINDOW_S times
the ceiling, and one portion of work; what nobody hurries costs no rest at all.

Whatever the process does besides counts, too, and is not held up: lines wait for it.
Should that alone be more than the ceiling, they still get a turn every MAX_REST_S.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from peep.clock import Clock

WINDOW_S = 2.0  # a short burst is nothing that anybody else on the host would notice
LEAST_REST_S = 0.001  # less is not worth a timer, and is owed until the next time
MAX_REST_S = 30.0  # what is owed beyond is forgiven: nothing may starve


class Pacer:
    """Says how long to rest. Pure: it is told the time, and what was spent."""

    def __init__(self, ceiling: float, now: float, spent_s: float) -> None:
        """`ceiling` is a share of one core, above 0; `spent_s` is processor time."""
        self._ceiling = ceiling
        self._now = now
        self._spent_s = spent_s
        self._budget_s = ceiling * WINDOW_S

    def rest_s(self, now: float, spent_s: float) -> float:
        """Return for how long to rest from now on; 0 is not at all."""
        earned_s = self._ceiling * max(0.0, now - self._now)
        spent, self._spent_s = max(0.0, spent_s - self._spent_s), spent_s
        self._now = now
        budget_s = min(self._ceiling * WINDOW_S, self._budget_s + earned_s) - spent
        self._budget_s = max(-self._ceiling * MAX_REST_S, budget_s)
        rest_s = -self._budget_s / self._ceiling
        return rest_s if rest_s >= LEAST_REST_S else 0.0


class Turns:
    """Lets portions of work begin one after the other, as a ceiling allows.

    Without a ceiling they begin at once, side by side. `spent_s` returns the processor
    time of all that counts; `rested_s` is how long they have waited for the budget.
    """

    def __init__(self, clock: Clock, spent_s: Callable[[], float]) -> None:
        self._clock = clock
        self._spent_s = spent_s
        self._pacer: Pacer | None = None
        self._lock = asyncio.Lock()
        self.rested_s = 0.0

    def limit(self, percent: float) -> None:
        """Set the ceiling, in percent of one core, from now on; 0 is none."""
        self._pacer = (
            Pacer(percent / 100, self._clock.now(), self._spent_s())
            if percent > 0
            else None
        )

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for as long as the block lasts."""
        if self._pacer is None:
            yield
            return
        async with self._lock:
            while rest_s := self._rest_s():
                self.rested_s += rest_s
                await asyncio.sleep(rest_s)
            yield

    def _rest_s(self) -> float:
        if self._pacer is None:  # the ceiling was taken away meanwhile
            return 0.0
        return self._pacer.rest_s(self._clock.now(), self._spent_s())
