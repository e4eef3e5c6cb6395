"""One driver turns any protocol machine into a UDP daemon.

Receive, drain, send, one timer. Sockets are read by `add_reader` and drained up to 256
datagrams at a time with a small buffer: asyncio's own datagram protocol allocates
256 KiB for every datagram and takes a third as many.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from peep.net.endpoint import peer_of
from peep.protocol.addresses import Broadcast

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.clock import Clock
    from peep.net.endpoint import Endpoint
    from peep.protocol.addresses import Address, Datagram

DRAIN = 256  # datagrams read before anything else gets a turn
READ_BYTES = 2048  # more than any datagram of ours; the rest of a larger one is cut

EventT_co = TypeVar("EventT_co", covariant=True)
EventT = TypeVar("EventT")


class Machine(Protocol[EventT_co]):
    """The verbs of a protocol machine."""

    def start(self, now: float) -> None:
        """Begin."""

    def stop(self, now: float) -> None:
        """End, leaving last words to be sent."""

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram."""

    def handle_timer(self, now: float) -> None:
        """Do what has come due."""

    def next_timer(self) -> float | None:
        """Return when something comes due."""

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return what is to be sent."""

    def next_event(self) -> EventT_co | None:
        """Return the oldest untold event."""


class UdpDriver(Generic[EventT]):
    """Runs one machine on one endpoint until it is closed."""

    def __init__(
        self,
        machine: Machine[EventT],
        endpoint: Endpoint,
        clock: Clock,
        on_event: Callable[[EventT, float], None],
    ) -> None:
        self._machine = machine
        self._endpoint = endpoint
        self._clock = clock
        self._on_event = on_event
        self._timer: asyncio.TimerHandle | None = None
        self.unsent = 0  # datagrams that the kernel would not take

    def start(self) -> None:
        """Begin, on the running loop."""
        loop = asyncio.get_running_loop()
        for sock in self._endpoint.readers:
            loop.add_reader(sock, self._readable, sock)
        self._machine.start(self._clock.now())
        self.kick()

    def close(self) -> None:
        """Say the last words and let go of the sockets."""
        now = self._clock.now()
        self._machine.stop(now)
        self._send(now)
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        for sock in self._endpoint.readers:
            loop.remove_reader(sock)
        self._endpoint.close()

    def kick(self) -> None:
        """Let the machine act on what it was just given: send, tell, set the timer."""
        now = self._clock.now()
        due = self._machine.next_timer()
        if due is not None and due <= now:
            self._machine.handle_timer(now)
        self._send(now)
        next_event, on_event = self._machine.next_event, self._on_event
        while (event := next_event()) is not None:
            on_event(event, now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._machine.next_timer()
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - now), self.kick)

    def _readable(self, sock: socket.socket) -> None:
        now = self._clock.now()
        receive, recvfrom = self._machine.receive_datagram, sock.recvfrom
        scoped = sock.family != socket.AF_INET
        # Read empty, or an error of an earlier datagram; neither is this loop's end.
        with contextlib.suppress(OSError):
            for _ in range(DRAIN):
                data, address = recvfrom(READ_BYTES)
                receive(data, peer_of(address) if scoped else address, now)
        self.kick()

    def _send(self, now: float) -> None:
        for data, to in self._machine.datagrams_to_send(now):
            if isinstance(to, Broadcast):
                self.unsent += self._endpoint.broadcast(data, to)
            else:
                self.unsent += not self._endpoint.send(data, to)
