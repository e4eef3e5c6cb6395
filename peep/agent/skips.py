"""What was passed over because too much was unread, and how that is told.

A log that grows faster than it is read is skipped again and again: the first time is
told at once, with the mark that passes it, the others a minute's worth together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peep.loglines import Skipped, printable
from peep.signals import MAX_COUNT, Event, Tier

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.clock import Clock
    from peep.loglines import Batch
    from peep.signals import Signal

EVENT = "peep.lines-skipped"
APART_S = 60.0  # between words about one log
_MIB = 1024 * 1024


class Skips:
    """Counts what was skipped; tells the operator, and whoever listens.

    `identified` gives an event an id.
    """

    def __init__(
        self,
        clock: Clock,
        say: Callable[[str], None],
        identified: Callable[[Event], Signal],
    ) -> None:
        self.lines = 0
        self.size_bytes = 0
        self._clock = clock
        self._say = say
        self._identified = identified
        self._untold: dict[str, Skipped] = {}  # by log
        self._silent_until: dict[str, float] = {}

    def take(self, batch: Batch) -> list[Signal]:
        """Count what a batch skipped; return what is to be said of it now."""
        if batch.skipped is None:
            return []
        self.lines += batch.skipped.lines
        self.size_bytes += batch.skipped.size_bytes
        before = self._untold.get(batch.source, Skipped(0, 0))
        self._untold[batch.source] = before + batch.skipped
        return self.due()

    def due(self) -> list[Signal]:
        """Return what is to be said by now, and say it here."""
        now = self._clock.now()
        for log, until in tuple(self._silent_until.items()):
            if until <= now:
                del self._silent_until[log]
        logs = [log for log in self._untold if log not in self._silent_until]
        return [self._told(log, now) for log in logs]

    def drain(self) -> list[Signal]:
        """Return all that was not said yet: it is the end."""
        now = self._clock.now()
        return [self._told(log, now) for log in tuple(self._untold)]

    def _told(self, log: str, now: float) -> Signal:
        self._silent_until[log] = now + APART_S
        skipped = self._untold.pop(log)
        text = described(log, skipped)
        self._say(f"{text}; see agent.lag_max")
        return self._identified(
            Event(
                name=EVENT,
                tier=Tier.NOTABLE,
                family="system",
                count=max(1, min(MAX_COUNT, skipped.lines)),
                instance=log,
                text=text,
            )
        )


def described(log: str, skipped: Skipped) -> str:
    """Return what was skipped, for people."""
    least = "" if skipped.all_counted else "more than "
    return (
        f"skipped {least}{skipped.lines:,} lines ({skipped.size_bytes / _MIB:,.1f} MiB)"
        f" of {printable(log.encode())}: too far behind"
    )
