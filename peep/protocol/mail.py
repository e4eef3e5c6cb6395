"""What an agent has to say, and to whom it still owes it.

Three kinds of care: alerts are kept and repeated until a server has them on record
(outbox.py); states and heartbeats are soft, the latest of each is told to every new
server and repeated; other events are said once, and while the agent is alone the last
of them wait in a ring.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import msgspec

from peep.protocol.batch import Born, pack
from peep.protocol.outbox import Births, Flight, Outbox
from peep.signals import MAX_ID, Event, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from peep.protocol.addresses import Address
    from peep.protocol.lease import Chance
    from peep.protocol.links import Link
    from peep.protocol.packets import SealedSignals, Signals
    from peep.signals import Signal, SignalId

    Say = Callable[[Link, Signals | SealedSignals], None]

COMPANY_S = 0.02  # a routine signal waits so long for others
FULL_HOUSE = 128  # that wait for no more: they fill some twenty datagrams
MAX_SOFT = 1024  # states and heartbeats by name; a source that invents names
MAX_RING = 4096  # events kept while alone: a minute of a busy log
MAX_QUEUE = 8192  # signals waiting in one link for the next flush


class Soft:
    """The latest of each state and heartbeat."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, Signal] = OrderedDict()

    def keep(self, signal: Signal) -> None:
        """Remember one, by its name."""
        self._latest[signal.name] = signal
        self._latest.move_to_end(signal.name)
        if len(self._latest) > MAX_SOFT:
            self._latest.popitem(last=False)

    def __iter__(self) -> Iterator[Signal]:
        return iter(list(self._latest.values()))


class Mail:
    """Queues for links, and what must not be forgotten. `say` sends a packet."""

    def __init__(
        self, repeat_s: int, new_id: Callable[[int], bytes], chance: Chance, say: Say
    ) -> None:
        self._repeat_s = repeat_s
        self._chance = chance
        self._say = say
        self._soft = Soft()
        self._ring: deque[Born] = deque(maxlen=MAX_RING)
        self._births = births(new_id)
        self.outbox = Outbox()
        self.overflowed = 0  # events pushed out of the ring, or alerts of the outbox

    def send(self, batch: Iterable[Born], now: float, leased: Sequence[Link]) -> None:
        """Queue signals for every leased server."""
        queued: list[Born] = []
        for born in batch:
            signal = born.signal
            if not isinstance(signal, Event):
                self._soft.keep(signal)
            elif signal.tier is Tier.ALERT:
                self._send_alert(born, now, leased)
                continue
            elif not leased:
                self.overflowed += len(self._ring) == MAX_RING
                self._ring.append(born)
            queued.append(born)
        for link in leased:
            self._queue(link, queued, now)

    def forget(self, alerts: Iterable[SignalId], links: Iterable[Link]) -> None:
        """Give up alerts for which whoever keeps them has no room."""
        gone = list(alerts)
        self.outbox.forget(gone)
        for link in links:
            for alert in gone:
                link.flight.drop(alert)

    def join(self, link: Link, now: float) -> None:
        """Give a server that granted a lease what waited for one."""
        self._claim(link)
        self._queue(link, self._ring, now)
        self._ring.clear()

    def repeat(self, link: Link, now: float) -> None:
        """Tell a server every state and heartbeat."""
        self._queue(link, [Born(signal, now) for signal in self._soft], now)

    def flush(self, link: Link, now: float) -> None:
        """Say what waits, alerts first."""
        alerts = due(link.flight, self.outbox, link.address, now)
        batch, link.queue, link.flush_at = [*alerts, *link.queue], [], None
        sealed = link.transport is not None
        for body in pack(batch, now, self._repeat_s, sealed=sealed):
            self._say(link, body)

    def receipt(self, link: Link, alerts: Sequence[SignalId]) -> list[SignalId]:
        """Note what a server has on record; return what is done with."""
        for alert in alerts:
            link.flight.drop(alert)
        return self.outbox.receipt(alerts, link.server_id)

    def part(self, link: Link, others: Sequence[Link]) -> list[SignalId]:
        """Take back what a server will not get any more; return what is done with.

        `others` are the servers that still hear this agent.
        """
        link.flight = Flight(self._chance)
        events = [b for b in link.queue if isinstance(b.signal, Event)]
        link.queue, link.flush_at = [], None
        if not others:
            full = len(self._ring) + len(events) - MAX_RING
            self.overflowed += max(0, full)
            self._ring.extend(events)
        done = self.outbox.release(link.server_id)
        for other in others[:1]:  # what nobody else is to get need not wait
            self._claim(other)
        return done

    def _claim(self, link: Link) -> None:
        for alert in self.outbox.claim(link.server_id):
            link.flight.add(alert, again=self.outbox.again(alert, link.address))

    def _send_alert(self, born: Born, now: float, leased: Sequence[Link]) -> None:
        alert, born = identified(born, self._births)
        if alert in self.outbox:
            return
        servers = [link.server_id for link in leased]
        self.overflowed += self.outbox.add(alert, born, servers)
        for link in leased:
            link.flight.add(alert, again=self.outbox.again(alert, link.address))
            link.flush_at = now

    def _queue(self, link: Link, batch: Iterable[Born], now: float) -> None:
        waiting = list(batch)
        while waiting:
            room = MAX_QUEUE - len(link.queue)
            link.queue += waiting[:room]
            waiting = waiting[room:]
            if waiting:
                self.flush(link, now)
        if len(link.queue) >= FULL_HOUSE:
            link.flush_at = now
        elif link.queue and link.flush_at is None:
            link.flush_at = now + COMPANY_S


def due(flight: Flight, outbox: Outbox, address: Address, now: float) -> list[Born]:
    """Return the alerts that are to be said there now."""
    alerts: list[Born] = []
    for alert, again in flight.due(now):
        born = outbox.say(alert, address)
        if born is None:  # pushed out of a full outbox
            flight.drop(alert)
        else:
            alerts.append(Born(born.signal, born.born, again))
    return alerts


def births(new_id: Callable[[int], bytes]) -> Births:
    """Return ids for this process; `new_id(bytes)` draws what no other has."""
    return Births(1 + int.from_bytes(new_id(8), "big") % MAX_ID)


def identified(born: Born, ids: Births) -> tuple[SignalId, Born]:
    """Return an event's id, and the event with it."""
    event = born.signal
    assert isinstance(event, Event), "only events have ids"
    if not event.origin:
        origin, serial = ids.next()
        event = msgspec.structs.replace(event, origin=origin, serial=serial)
        born = Born(event, born.born, born.again)
    return (event.origin, event.serial), born
