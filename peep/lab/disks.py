"""What outlives a crash, modelled: an agent's log and spool, a server's journal.

As the real ones do it: the spool has an alert before it is sent and keeps it until it
is confirmed; the journal commits in groups, and has what it committed. Beside the
journal stands what a server remembers of alerts, in the real class for it, and loses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.journal.rows import agent_number
from peep.journal.store import MAX_ALERTS
from peep.server.alerts import KEPT, Alerts, Take
from peep.signals import Event, Tier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.journal.rows import AlertKey
    from peep.protocol.events import SignalReceived, Way
    from peep.signals import SignalId

COMMIT_S = 0.05  # from the first alert in a group to its commit


class Kept(msgspec.Struct, frozen=True):
    """An alert, and when it was written."""

    event: Event
    born: float


class AgentDisk:
    """A log that holds alerts only, and the spool of the agent that reads it."""

    def __init__(self, origin: int, max_alerts: int = MAX_ALERTS) -> None:
        self._origin = origin
        self._max_alerts = max_alerts
        self._written = 0
        self._unread: list[Kept] = []
        self._spool: dict[SignalId, Kept] = {}
        self._confirmed: list[SignalId] = []  # not yet taken from the disk

    def write(self, now: float, count: int) -> list[SignalId]:
        """Append lines to the log, whether or not somebody reads it."""
        ids: list[SignalId] = []
        for _ in range(count):
            self._written += 1
            event = Event(
                name="log.line",
                family="alarm",
                tier=Tier.ALERT,
                origin=self._origin,
                serial=self._written,
            )
            self._unread.append(Kept(event, now))
            ids.append((self._origin, self._written))
        return ids

    def spooled(self) -> list[Kept]:
        """Return what a new process finds; the last to be confirmed may be there."""
        self._confirmed.clear()
        return list(self._spool.values())

    def read(self) -> tuple[list[Kept], list[SignalId]]:
        """Return new lines, now in the spool, and the ids that had no room there."""
        for alert in self._confirmed:
            self._spool.pop(alert, None)
        self._confirmed.clear()
        new, self._unread = self._unread, []
        for kept in new:
            self._spool[kept.event.origin, kept.event.serial] = kept
        dropped = list(self._spool)[: max(0, len(self._spool) - self._max_alerts)]
        for alert in dropped:
            del self._spool[alert]
        return new, dropped

    def confirm(self, alerts: Sequence[SignalId]) -> None:
        """Let go of what is on record, with the next commit."""
        self._confirmed.extend(alerts)


class ServerDisk:
    """What a server's journal holds of alerts, in the order of commits."""

    def __init__(self) -> None:
        self.full = False
        self.committed: list[AlertKey] = []


class Committed(msgspec.Struct, frozen=True):
    """What is on record now: of which agents, and whom to send which receipts."""

    recorded: list[tuple[bytes, SignalId]]
    receipts: dict[Way, list[SignalId]]


class Recorder:
    """What a server's process does with alerts; `disk` is what the last one left."""

    def __init__(self, disk: ServerDisk) -> None:
        self._disk = disk
        self._alerts = Alerts(disk.committed[-KEPT:])
        self._queued: list[AlertKey] = []
        self._ways: dict[AlertKey, Way] = {}  # who waits for the next commit
        self._on_record: list[AlertKey] = []  # from before, and said again

    def take(self, event: SignalReceived, alert: SignalId) -> bool:
        """Take an alert that came; say whether it is to be heard."""
        key = (agent_number(event.way.identity), *alert)
        take = self._alerts.take(key)
        if take in (Take.HEAR, Take.RECORD):
            self._queued.append(key)
        elif take is Take.RECEIPT:
            self._on_record.append(key)
        self._ways[key] = event.way
        return take is Take.HEAR

    def busy(self) -> bool:
        """Say whether something waits for the next commit."""
        return bool(self._ways)

    def commit(self) -> Committed:
        """Commit what was queued, if there is room, and say who is told."""
        queued, self._queued = self._queued, []
        earlier, self._on_record = self._on_record, []
        ways, self._ways = self._ways, {}
        if self._disk.full:
            self._alerts.settle([], queued)
            queued = []
        self._disk.committed += queued
        self._alerts.settle(queued, [])
        done = Committed([(ways[key].agent_id, key[1:]) for key in queued], {})
        for key in (*queued, *earlier):
            done.receipts.setdefault(ways[key], []).append(key[1:])
        return done
