"""Alerts that wait for a receipt: which are kept, and when each is said again.

The *outbox* holds every alert of this agent until it is on record wherever it has to
be. An alert owes itself to the servers that were leased at its birth: it is done when
each of them has receipted it or lost its lease, and at least one has receipted. Where
none was leased, or all that were are gone, it goes to the first that comes.

A *flight* is one server's: alerts wait in it for their first turn, WINDOW at a time are
under way, and those are said again with growing gaps until the receipt. Without a
window, an agent that comes back with thousands would flood the server's socket. What
was said PATIENCE times leaves the window: where the server's disk is full no receipt
comes, and the others want to be heard.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import TYPE_CHECKING

from peep.signals import Event, SignalId, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.protocol.addresses import Address
    from peep.protocol.batch import Born
    from peep.protocol.lease import Chance

WINDOW = 256  # alerts under way to one server: a quarter of a socket's buffer
REPEATS_S = (0.3, 0.6, 1.2, 2.5, 5.0, 10.0)  # a commit takes 0.05, a lost word more
PATIENCE = 4  # two seconds; at 30 % loss, one in fifteen waits so long for a receipt
MAX_ALERTS = 65_536  # a backstop: whoever keeps them on disk has a smaller bound


def is_alert(signal: object) -> bool:
    """Say whether this is one of those that must arrive."""
    return isinstance(signal, Event) and signal.tier is Tier.ALERT


class Flight:
    """The alerts on their way to one server."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._waiting: OrderedDict[SignalId, bool] = OrderedDict()
        self._flying: dict[SignalId, int] = {}  # how often each was said
        self._fresh = 0  # of them, those in the window
        self._again: set[SignalId] = set()
        self._heap: list[tuple[float, SignalId]] = []

    def add(self, alert: SignalId, *, again: bool = False) -> None:
        """Let an alert wait for its turn; `again`: it was said in another session."""
        if alert not in self._flying:
            self._waiting[alert] = again

    def drop(self, alert: SignalId) -> None:
        """Say it no more: there is a receipt, or no room."""
        self._waiting.pop(alert, None)
        self._fresh -= self._flying.pop(alert, PATIENCE) < PATIENCE
        self._again.discard(alert)

    def due(self, now: float) -> list[tuple[SignalId, bool]]:
        """Return what is to be said now, and whether it was in another session."""
        said: list[SignalId] = []
        while self._heap and self._heap[0][0] <= now:
            _, alert = heapq.heappop(self._heap)
            if alert in self._flying:
                said.append(alert)
        while self._waiting and self._fresh < WINDOW:
            alert, again = self._waiting.popitem(last=False)
            self._flying[alert] = 0
            self._fresh += 1
            if again:
                self._again.add(alert)
            said.append(alert)
        for alert in said:
            tries = self._flying[alert]
            gap_s = REPEATS_S[min(tries, len(REPEATS_S) - 1)]
            self._flying[alert] = tries + 1
            self._fresh -= tries + 1 == PATIENCE
            at = now + gap_s * (0.75 + self._chance() / 2)
            heapq.heappush(self._heap, (at, alert))
        return [(alert, alert in self._again) for alert in said]

    def next_timer(self) -> float | None:
        """Return when something is to be said; minus infinity is at once."""
        while self._heap and self._heap[0][1] not in self._flying:
            heapq.heappop(self._heap)
        if self._waiting and self._fresh < WINDOW:
            return float("-inf")
        return self._heap[0][0] if self._heap else None


class _Alert:
    """One alert, and who owes a receipt for it."""

    def __init__(self, born: Born, owing: set[bytes]) -> None:
        self.born = born
        self.owing = owing
        self.receipted = False
        self.said: set[Address] = set()  # by address: ids are new with every start


class Outbox:
    """The alerts of one agent, oldest first."""

    def __init__(self) -> None:
        self._alerts: OrderedDict[SignalId, _Alert] = OrderedDict()

    def __len__(self) -> int:
        return len(self._alerts)

    def __contains__(self, alert: SignalId) -> bool:
        return alert in self._alerts

    def add(self, alert: SignalId, born: Born, servers: Iterable[bytes]) -> bool:
        """Keep an alert until these have it; say whether the oldest had to go."""
        self._alerts[alert] = _Alert(born, set(servers))
        if len(self._alerts) <= MAX_ALERTS:
            return False
        self._alerts.popitem(last=False)
        return True

    def forget(self, alerts: Iterable[SignalId]) -> None:
        """Keep these no longer."""
        for alert in alerts:
            self._alerts.pop(alert, None)

    def claim(self, server: bytes) -> list[SignalId]:
        """Give a server that has come all that nobody else is to get."""
        homeless = [k for k, a in self._alerts.items() if not a.owing]
        for alert in homeless:
            self._alerts[alert].owing.add(server)
        return homeless

    def again(self, alert: SignalId, address: Address) -> bool:
        """Say whether it may have been heard at an address, in an earlier session."""
        kept = self._alerts[alert]
        return kept.born.again or address in kept.said

    def say(self, alert: SignalId, address: Address) -> Born | None:
        """Return an alert to be said there, unless it is done."""
        kept = self._alerts.get(alert)
        if kept is None:
            return None
        kept.said.add(address)
        return kept.born

    def receipt(self, alerts: Iterable[SignalId], server: bytes) -> list[SignalId]:
        """Note what a server has; return what is done, and forget it."""
        done: list[SignalId] = []
        for alert in alerts:
            kept = self._alerts.get(alert)
            if kept is None or server not in kept.owing:
                continue
            kept.receipted = True
            self._settle(alert, kept, server, done)
        return done

    def release(self, server: bytes) -> list[SignalId]:
        """Wait no longer for a server that lost its lease; return what is done."""
        done: list[SignalId] = []
        for alert, kept in list(self._alerts.items()):
            if server in kept.owing:
                self._settle(alert, kept, server, done)
        return done

    def _settle(
        self, alert: SignalId, kept: _Alert, server: bytes, done: list[SignalId]
    ) -> None:
        kept.owing.discard(server)
        if kept.receipted and not kept.owing:
            del self._alerts[alert]
            done.append(alert)


class Births:
    """Gives ids to what has none of its own: a process, and a counter."""

    def __init__(self, boot: int) -> None:
        """`boot` is a number of 63 bits that no other process has; not 0."""
        self._boot = boot
        self._count = 0

    def next(self) -> SignalId:
        """Return a new id."""
        self._count += 1
        return self._boot, self._count
