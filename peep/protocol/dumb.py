"""A sender without discovery or lease: signals go straight to one address, open.

Its alerts are said again until a receipt comes, as an agent's are.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.addresses import Address, Datagram
from peep.protocol.batch import Born, ids_of, pack
from peep.protocol.events import Confirmed, Refused
from peep.protocol.mail import COMPANY_S, MAX_QUEUE, Soft, births, due, identified
from peep.protocol.outbox import Flight, Outbox, is_alert
from peep.signals import Event, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from peep.signals import SignalId

_SERVER = b""  # the one that owes receipts, by any id


class DumbProtocol:
    """Sends and repeats; hears hints and receipts."""

    def __init__(
        self, sender_id: bytes, server: Address, rng: Random, repeat_s: int = 30
    ) -> None:
        self._sender_id = sender_id
        self._server = server
        self._repeat_s = repeat_s
        self._soft = Soft()
        self._outbox = Outbox()
        self._flight = Flight(rng.random)
        self._births = births(rng.randbytes)
        self._queue: list[Born] = []
        self._flush_at: float | None = None
        self._repeat_at: float | None = None
        self._sequence = 0
        self._out: list[Datagram] = []
        self._events: deque[Refused | Confirmed] = deque()
        self.overflowed = 0  # alerts pushed out of a full outbox

    def start(self, now: float) -> None:
        """Begin to repeat states."""
        self._repeat_at = now + self._repeat_s

    def stop(self, now: float) -> None:
        """Let what waits go out at once, and repeat no more."""
        self._flush_at = now if self._queue else None
        self._repeat_at = None

    def send(
        self, signal: Signal, now: float, age_s: float = 0.0, *, again: bool = False
    ) -> None:
        """Queue a signal; `again`: another process kept it, and may have said it."""
        self.send_all([Born(signal, now - age_s, again)], now)

    def send_all(self, batch: Iterable[Born], now: float) -> None:
        """Queue many signals, as `send` does one."""
        for born in batch:
            self._send(born, now)

    def _send(self, born: Born, now: float) -> None:
        signal = born.signal
        if is_alert(signal):
            alert, born = identified(born, self._births)
            if alert not in self._outbox:
                self.overflowed += self._outbox.add(alert, born, [_SERVER])
                self._flight.add(alert, again=born.again)
            return
        if not isinstance(signal, Event):
            self._soft.keep(signal)
        if len(self._queue) >= MAX_QUEUE:
            self._flush(now)
        self._queue.append(born)
        if self._flush_at is None:
            self._flush_at = now + COMPANY_S

    def forget(self, alerts: Iterable[SignalId]) -> None:
        """Give up alerts for which whoever keeps them has no room."""
        for alert in alerts:
            self._outbox.forget([alert])
            self._flight.drop(alert)

    def unconfirmed(self) -> int:
        """Return how many alerts wait for a receipt."""
        return len(self._outbox)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:  # noqa: ARG002 - a verb
        """Take a word from the server; whatever else comes is nothing to us."""
        if address != self._server:
            return
        try:
            body = wire.decode(data)[1]
        except RemoteProtocolError:
            return
        if isinstance(body, packets.ExceptionHint):
            self._events.append(Refused(address, body.code))
        elif isinstance(body, packets.Receipt):
            alerts = ids_of(body.recorded)
            for alert in alerts:
                self._flight.drop(alert)
            done = self._outbox.receipt(alerts, _SERVER)
            if done:
                self._events.append(Confirmed(tuple(done)))

    def handle_timer(self, now: float) -> None:
        """Say the states again when it is time."""
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = now + self._repeat_s
            for signal in self._soft:
                self.send(signal, now)

    def next_timer(self) -> float | None:
        """Return when something comes due, or None."""
        times = (self._flush_at, self._repeat_at, self._flight.next_timer())
        return min((t for t in times if t is not None), default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return what is to be sent now, and forget it."""
        times = (self._flush_at, self._flight.next_timer())
        if any(at is not None and now >= at for at in times):
            self._flush(now)
        out, self._out = self._out, []
        return out

    def next_event(self) -> Refused | Confirmed | None:
        """Return the oldest untold event, or None."""
        return self._events.popleft() if self._events else None

    def _flush(self, now: float) -> None:
        alerts = due(self._flight, self._outbox, self._server, now)
        batch, self._queue, self._flush_at = [*alerts, *self._queue], [], None
        for body in pack(batch, now, self._repeat_s):
            self._sequence += 1
            header = wire.Header(self._sender_id, sequence=self._sequence)
            self._out.append(Datagram(wire.encode(header, body), self._server))
