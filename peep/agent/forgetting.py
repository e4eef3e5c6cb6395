"""Which marks are needed no more: of logs that nobody follows, for KEPT_DAYS now.

A log that is followed may be silent for years, and its mark is as old as that. So a
mark also bears when its log was followed last, and that is written anew once a day for
as long as a source takes it: also where the file is not there at the moment, for it or
its like may come back. A source that is taken out of the configuration by mistake, or
a disk that is away for a week, costs no line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.clock import Clock
    from peep.journal.store import Store
    from peep.loglines import Mark

DAY_S = 86_400.0
KEPT_DAYS = 30
AT_ONCE = 50  # marks a look; asking a few patterns about them takes a millisecond


class Judged(NamedTuple):
    """Marks whose time is to be written anew, and origins to be forgotten."""

    fresh: list[Mark]
    done: list[int]


class Forgetting:
    """Goes through the marks of a store once a day, a few at a time."""

    def __init__(self, is_followed: Callable[[Mark], bool], clock: Clock) -> None:
        self._is_followed = is_followed
        self._clock = clock
        self._again_at = clock.now()
        self._left: list[int] = []

    def look(self, store: Store) -> Judged:
        """Judge the next few marks, if it is time."""
        now, wall = self._clock.now(), self._clock.wall()
        if not self._left and now >= self._again_at:
            self._again_at = now + DAY_S
            self._left = [mark.origin for mark in store.marks()]
        origins, self._left = self._left[:AT_ONCE], self._left[AT_ONCE:]
        judged = Judged([], [])
        for mark in filter(None, map(store.mark, origins)):
            age_s = wall - mark.followed
            if 0 <= age_s < DAY_S:
                continue
            # Of what bears no time, or one to come, the days are counted from now on.
            is_new = not mark.followed or age_s < 0
            if is_new or self._is_followed(mark):
                judged.fresh.append(mark)
            elif age_s > KEPT_DAYS * DAY_S:
                judged.done.append(mark.origin)
        return judged
