"""Lines become events, a portion at a time, and storms become few of them.

Matching may take long: lines may be made to be slow, and rules with `engine: re` are
asked of another process. What might is done in a thread; the loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from peep.agent.folding import Folding
from peep.rules import portions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.clock import Clock
    from peep.loglines import LogLine
    from peep.rules import RuleSet
    from peep.signals import Event


class Matching:
    """Asks a rule set, and folds what it says; counts as it goes."""

    def __init__(self, rules: RuleSet, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self._folding = Folding(rules.rules)
        self._storming = asyncio.Event()
        self.lines = 0
        self.matched = 0

    @property
    def folded(self) -> int:
        """Return how many events became part of another's count."""
        return self._folding.folded

    async def take(self, lines: Sequence[LogLine]) -> list[Event]:
        """Return the events that pass now."""
        passing: list[Event] = []
        for portion in portions(lines):
            if self._rules.quick(portion):
                winners, events = self._rules.take(portion)
            else:
                winners, events = await asyncio.to_thread(self._rules.take, portion)
            self.matched += len(events)
            passing += self._folding.fold(winners, events, self._clock.now())
        self.lines += len(lines)
        if self._folding.next_due() is not None:
            self._storming.set()
        return passing

    async def later(self) -> list[Event]:
        """Wait until what was folded has to pass, and return it."""
        while (due := self._folding.next_due()) is None:
            self._storming.clear()
            await self._storming.wait()
        await asyncio.sleep(max(0.0, due - self._clock.now()))
        return self._folding.due(self._clock.now())

    def drain(self) -> list[Event]:
        """Return all that was folded and waits: it is the end."""
        return self._folding.drain()
