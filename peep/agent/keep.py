"""What an agent must not forget: alerts that nobody confirmed, and how far it read.

Both go into the store before the alerts are sent, the mark in one transaction with the
last of its alerts: a file's mark passes an alert only when the alert is kept. Where an
alert is kept and the mark is not, its line is read again, and is the same alert. Marks
that no event hangs on may wait, for reading those lines again would send nothing.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from peep.agent.forgetting import Forgetting
from peep.journal.store import Spooled
from peep.protocol.outbox import Births, is_alert
from peep.signals import MAX_ID, Event, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from peep.clock import Clock
    from peep.journal.store import Store
    from peep.loglines import Batch, Mark
    from peep.signals import Signal, SignalId


class Keep:
    """Keeps alerts and marks in a store, if there is one."""

    def __init__(self, store: Store | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._births = Births(1 + secrets.randbelow(MAX_ID))
        self._marks: dict[int, Mark] = {}  # that may wait
        self._done: dict[int, None] = {}
        self._stale = False  # the store forgets something with its next commit
        self._told = 0  # dropped alerts that were said
        self._forgetting: Forgetting | None = None

    @property
    def durable(self) -> bool:
        """Say whether anything outlives this process."""
        return self._store is not None

    def alerts(self) -> list[Spooled]:
        """Return what an earlier process kept."""
        return [] if self._store is None else self._store.alerts()

    def marks(self) -> list[Mark]:
        """Return how far an earlier process read."""
        return [] if self._store is None else self._store.marks()

    def follow(self, is_followed: Callable[[Mark], bool]) -> None:
        """Forget marks that this says no of, in time."""
        self._forgetting = Forgetting(is_followed, self._clock)

    def identified(self, signal: Signal) -> Signal:
        """Return a signal of this process's own with an id, if it is an event."""
        if not isinstance(signal, Event) or signal.origin:
            return signal
        origin, serial = self._births.next()
        return msgspec.structs.replace(signal, origin=origin, serial=serial)

    def commit(
        self, signals: Iterable[Signal], batch: Batch | None = None
    ) -> Sequence[SignalId]:
        """Keep alerts, and all marks before any event is sent.

        Much may come in parts, with the batch at the last; then nothing of it is to be
        sent before that one.
        What was folded is sent with no batch of its own, and its lines' marks may wait
        still. Returns the ids of older alerts for which there is no room any more.
        """
        if self._store is None:
            return ()
        if batch is not None:
            for mark in batch.marks:
                self._marks[mark.origin] = mark
            for origin in batch.done:
                self._marks.pop(origin, None)
                self._done[origin] = None
        wall = self._clock.wall()
        hurry, alerts = False, []
        for signal in signals:
            hurry = True
            if is_alert(signal):
                assert isinstance(signal, Event), "only events are alerts"
                alerts.append(Spooled(signal, min(wall, signal.when or wall)))
        return self._write(alerts) if alerts or (hurry and self._marks) else ()

    def flush(self) -> Sequence[SignalId]:
        """Write what could wait."""
        if self._store is not None and self._forgetting is not None:
            fresh, done = self._forgetting.look(self._store)
            for mark in fresh:
                self._marks.setdefault(mark.origin, mark)
            self._done.update(dict.fromkeys(done))
        waits = self._marks or self._done or self._stale
        return self._write([]) if waits else ()

    def confirm(self, ids: Sequence[SignalId]) -> None:
        """Forget alerts that are on record."""
        if self._store is not None:
            self._store.confirm(ids)
            self._stale = True

    def dropped(self) -> int:
        """Return how many alerts were dropped since this was last asked."""
        count = 0 if self._store is None else self._store.dropped
        new, self._told = count - self._told, count
        return max(0, new)

    def report(self, events: int) -> list[Signal]:
        """Return signals that tell a server what was dropped: nobody heard of it."""
        alerts = 0 if self._store is None else self._store.dropped
        told: list[Signal] = []
        if events:
            told.append(_dropped("peep.events-dropped", Tier.NOTABLE, events))
        if alerts and self._store is not None:
            self._store.reported(alerts)
            self._told = 0
            told.append(_dropped("peep.alerts-dropped", Tier.ALERT, alerts))
        return told

    def close(self) -> None:
        """Write all, and let go."""
        self.flush()
        if self._store is not None:
            self._store.close()

    def _write(self, alerts: Sequence[Spooled]) -> Sequence[SignalId]:
        assert self._store is not None, "who has no store writes nothing"
        wall = self._clock.wall()
        marks = [
            msgspec.structs.replace(mark, followed=wall)
            for mark in self._marks.values()
        ]
        self._marks = {}
        done, self._done = list(self._done), {}
        self._stale = False
        return self._store.commit(alerts, marks, done)


def _dropped(name: str, tier: Tier, count: int) -> Event:
    return Event(name=name, tier=tier, family="system", count=count)
