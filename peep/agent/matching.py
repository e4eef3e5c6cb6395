"""Lines become events, a portion at a time, and storms become few of them.

Matching may take long: lines may be made to be slow, and rules with `engine: re` are
asked of another process. What might is done in a thread; the loop goes on meanwhile.

Rules can be changed at any time. Each batch of lines is judged by one set of rules: by
those that held when it came, to its end, even if others hold by then. Rules are given
up when their last batch is done, and what they had folded passes at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from peep.agent.folding import Folding
from peep.agent.itself import Itself
from peep.rules import portions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.agent.guarded import Guardian
    from peep.clock import Clock
    from peep.loglines import LogLine
    from peep.rules import RuleSet
    from peep.signals import Event


class _Judge:
    """Rules, what was folded by them, and how many batches they are at."""

    def __init__(self, rules: RuleSet, guard: Guardian | None) -> None:
        self.rules = rules
        self.guard = guard
        self.folding = Folding(rules.rules)
        self.itself = Itself(rule.event for rule in rules.rules)
        self.batches = 0


class Matching:
    """Asks a rule set, and folds what it says; counts as it goes.

    `guard` is what the rules ask in turn, if they do: it is closed with them.
    """

    def __init__(
        self, rules: RuleSet, clock: Clock, guard: Guardian | None = None
    ) -> None:
        self._clock = clock
        self._judge = _Judge(rules, guard)
        self._retired: list[_Judge] = []  # that are still at a batch
        self._sooner = asyncio.Event()  # something is due before what was waited for
        self._closing: asyncio.Future[None] | None = None  # held, so that it is done
        self._folded = 0
        self.lines = 0
        self.own = 0
        self.matched = 0

    @property
    def folded(self) -> int:
        """Return how many events became part of another's count."""
        judges = (self._judge, *self._retired)
        return self._folded + sum(judge.folding.folded for judge in judges)

    @property
    def spent_s(self) -> float:
        """Return the processor time of what the rules ask."""
        guard = self._judge.guard
        return 0.0 if guard is None else guard.spent_s()

    async def take(self, lines: Sequence[LogLine]) -> list[Event]:
        """Return the events that pass now."""
        judge = self._judge
        due = judge.folding.next_due()
        judge.batches += 1
        try:
            passing = await self._taken(judge, lines)
        finally:
            judge.batches -= 1
        self.lines += len(lines)
        if judge in self._retired and not judge.batches:
            self._retired.remove(judge)
            passing += self._end(judge)
        elif judge.folding.next_due() != due:
            self._sooner.set()
        return passing

    def swap(self, rules: RuleSet, guard: Guardian | None) -> list[Event]:
        """Judge by other rules from now on; return what passes now of the old ones."""
        old, self._judge = self._judge, _Judge(rules, guard)
        self._sooner.set()
        if old.batches:
            self._retired.append(old)
            return []
        return self._end(old)

    async def later(self) -> list[Event]:
        """Wait until what was folded has to pass, and return it."""
        while True:
            self._sooner.clear()
            due = self._judge.folding.next_due()
            pause_s = None if due is None else max(0.0, due - self._clock.now())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._sooner.wait()
            passing = self._judge.folding.due(self._clock.now())
            if passing:
                return passing

    def drain(self) -> list[Event]:
        """Return all that was folded and waits: it is the end, or memory is short."""
        judges = (self._judge, *self._retired)
        return [event for judge in judges for event in judge.folding.drain()]

    async def _taken(self, judge: _Judge, lines: Sequence[LogLine]) -> list[Event]:
        winners: list[int] = []
        events: list[Event] = []
        own = 0
        for portion in portions(lines):
            others = judge.itself.without(portion)
            if judge.rules.quick(others):
                won, meant = judge.rules.take(others)
            else:
                won, meant = await asyncio.to_thread(judge.rules.take, others)
            own += len(portion) - len(others)
            winners += won
            events += meant
        # Not before all are judged: lines that are not, by a stop, are read again, and
        # so are all of their batch. None may stand in a count that was sent.
        self.own += own
        self.matched += len(events)
        return judge.folding.fold(winners, events, self._clock.now())

    def _end(self, judge: _Judge) -> list[Event]:
        passing = judge.folding.drain()
        self._folded += judge.folding.folded
        if judge.guard is not None:  # it may take a second to say good-bye
            loop = asyncio.get_running_loop()
            self._closing = loop.run_in_executor(None, judge.guard.close)
        return passing
