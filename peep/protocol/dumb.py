"""A sender without discovery or lease: signals go straight to one address, open."""

from __future__ import annotations

from collections import OrderedDict, deque

from peep.errors import RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.addresses import Address, Datagram
from peep.protocol.agent import COMPANY_S, MAX_QUEUE, MAX_SOFT
from peep.protocol.batch import Born, pack
from peep.protocol.events import Refused
from peep.signals import Event, Signal, Tier


class DumbProtocol:
    """Sends and repeats; hears nothing but hints."""

    def __init__(self, sender_id: bytes, server: Address, repeat_s: int = 30) -> None:
        self._sender_id = sender_id
        self._server = server
        self._repeat_s = repeat_s
        self._soft: OrderedDict[str, Signal] = OrderedDict()
        self._queue: list[Born] = []
        self._flush_at: float | None = None
        self._repeat_at: float | None = None
        self._sequence = 0
        self._out: list[Datagram] = []
        self._events: deque[Refused] = deque()

    def start(self, now: float) -> None:
        """Begin to repeat states."""
        self._repeat_at = now + self._repeat_s

    def stop(self, now: float) -> None:
        """Let what waits go out at once, and repeat no more."""
        self._flush_at = now if self._queue else None
        self._repeat_at = None

    def send(self, signal: Signal, now: float, age_s: float = 0.0) -> None:
        """Queue a signal."""
        if not isinstance(signal, Event):
            self._soft[signal.name] = signal
            self._soft.move_to_end(signal.name)
            if len(self._soft) > MAX_SOFT:
                self._soft.popitem(last=False)
        if len(self._queue) >= MAX_QUEUE:
            self._flush(now)
        self._queue.append(Born(signal, now - age_s))
        if isinstance(signal, Event) and signal.tier is Tier.ALERT:
            self._flush_at = now
        elif self._flush_at is None:
            self._flush_at = now + COMPANY_S

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:  # noqa: ARG002 - a verb
        """Take a hint from the server; whatever else comes is nothing to us."""
        try:
            body = wire.decode(data)[1]
        except RemoteProtocolError:
            return
        if isinstance(body, packets.ExceptionHint) and address == self._server:
            self._events.append(Refused(address, body.code))

    def handle_timer(self, now: float) -> None:
        """Say the states again when it is time."""
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = now + self._repeat_s
            for signal in list(self._soft.values()):
                self.send(signal, now)

    def next_timer(self) -> float | None:
        """Return when something comes due, or None."""
        times = [t for t in (self._flush_at, self._repeat_at) if t is not None]
        return min(times, default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return what is to be sent now, and forget it."""
        if self._flush_at is not None and now >= self._flush_at:
            self._flush(now)
        out, self._out = self._out, []
        return out

    def next_event(self) -> Refused | None:
        """Return the oldest untold event, or None."""
        return self._events.popleft() if self._events else None

    def _flush(self, now: float) -> None:
        for body in pack(self._queue, now, self._repeat_s):
            self._sequence += 1
            header = wire.Header(self._sender_id, sequence=self._sequence)
            self._out.append(Datagram(wire.encode(header, body), self._server))
        self._queue = []
        self._flush_at = None
