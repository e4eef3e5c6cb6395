"""Which servers are there: DiscoveryProtocol, and an eye on what it found.

A server is there as long as it is heard at the address where it was found. One that is
silent for a third of `silence_s` is asked, and then again and again; after `silence_s`
it is gone, and a new burst looks where it may be now. Nothing is agreed with anybody,
and everything here may be forged by a neighbour: it is a list, not a lease.

An offer names only classes of its question, which may have been one of several. So a
class is gone when it is in no answer of a whole round of questions to one server.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from peep.errors import RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.addresses import Address, Datagram
from peep.protocol.discovery import ANSWER_WINDOW_S, DiscoveryProtocol, split

if TYPE_CHECKING:
    from peep.protocol.discovery import SeekConfig
    from peep.protocol.lease import Chance

SILENCE_S = 90.0
ROUND_S = 1.0  # in which a server's answers to one round of questions come
MAX_SERVERS = 256  # a storm of false ones
_ASKS = 6  # questions that go unanswered before a server is gone: at 10 % loss each
# way, one living server in 20,000 is taken for gone

# What a REQUEST that names no servers holds beside its classes.
_ROOM_BYTES = (
    packets.MAX_DISCOVERY_BYTES
    - wire.HEADER_BYTES
    - len(packets.Request(["x"]).padding)
    - 12
)


class Server(msgspec.Struct, frozen=True):
    """A server that offered itself, and which of our classes it serves."""

    server_id: bytes
    address: Address
    classes: tuple[str, ...]


class Discovered(msgspec.Struct, frozen=True):
    """A server is there."""

    server: Server


class Changed(msgspec.Struct, frozen=True):
    """A server serves other classes than before."""

    server: Server


class Discarded(msgspec.Struct, frozen=True):
    """A server is there no more, or another has its address."""

    server: Server


PresenceEvent = Discovered | Changed | Discarded


class _Watched:
    """One server, and what its next answers are waited for."""

    def __init__(self, server: Server, now: float) -> None:
        self.server = server
        self.heard_at = now
        self.ask_at = 0.0
        self.asked_at = float("-inf")
        self.answered: set[str] = set()
        self.round_ends: float | None = None


class PresenceProtocol:
    """Tells which servers come, change and go. Fed bytes and times."""

    def __init__(
        self, config: SeekConfig, chance: Chance, silence_s: float = SILENCE_S
    ) -> None:
        self._config = config
        self._chance = chance
        self._silence_s = silence_s
        self._finding = DiscoveryProtocol(config, chance)
        self._watched: dict[bytes, _Watched] = {}
        self._asked_at = float("-inf")
        self._questions = 0
        self._out: list[Datagram] = []
        self._events: deque[PresenceEvent] = deque()

    def start(self, now: float) -> None:
        """Begin a burst."""
        self._finding.start(now)

    def stop(self, now: float) -> None:
        """Ask no more."""
        self._finding.stop(now)
        self._watched.clear()

    def propose(self, address: Address, now: float) -> None:
        """Ask a server that somebody says is there."""
        self._finding.propose(address, now)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take an OFFER or an ANNOUNCE; whatever else comes is not for us."""
        try:
            header, body = wire.decode(data)
            if isinstance(body, packets.Announce):
                self._on_announce(header.sender, address, now)
            elif isinstance(body, packets.Offer):
                self._on_offer(header.sender, body, address, now)
        except RemoteProtocolError:
            return
        self._finding.receive_datagram(data, address, now)

    def handle_timer(self, now: float) -> None:
        """Ask, and give up, if it is time."""
        self._finding.handle_timer(now)
        for one in list(self._watched.values()):
            if one.round_ends is not None and now >= one.round_ends:
                self._end_round(one)
            if now >= one.heard_at + self._silence_s:
                self._discard(one, now)
            elif now >= one.ask_at:
                self._ask(one, now)

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        times = [self._finding.next_timer()]
        for one in self._watched.values():
            times += [one.heard_at + self._silence_s, one.ask_at, one.round_ends]
        return min((t for t in times if t is not None), default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return what is to be sent now, and forget it."""
        out = self._finding.datagrams_to_send(now) + self._out
        self._out = []
        if out:
            self._asked_at = now
        return out

    def next_event(self) -> PresenceEvent | None:
        """Return the oldest untold event, or None."""
        return self._events.popleft() if self._events else None

    def _on_announce(self, server_id: bytes, address: Address, now: float) -> None:
        one = self._watched.get(server_id)
        if one is None or one.server.address != address:
            return
        if now - one.asked_at > ROUND_S:  # perhaps of other classes: ask
            one.ask_at = now
        one.heard_at = now

    def _on_offer(
        self, server_id: bytes, body: packets.Offer, address: Address, now: float
    ) -> None:
        if now - self._asked_at > ANSWER_WINDOW_S:
            return
        self._config.policy.check_address(address[0])
        classes = self._in_our_order(body.classes)
        one = self._watched.get(server_id)
        if one is None:
            self._discover(Server(server_id, address, classes), now)
        elif one.server.address == address:
            one.heard_at = now
            one.ask_at = self._next_ask(now, self._silence_s / 3)
            one.answered.update(classes)
            self._set_classes(one, {*one.server.classes, *classes})

    def _discover(self, server: Server, now: float) -> None:
        for other in list(self._watched.values()):
            if other.server.address == server.address:  # two cannot share it
                self._discard(other, now)
        if server.classes and len(self._watched) < MAX_SERVERS:
            one = self._watched[server.server_id] = _Watched(server, now)
            one.ask_at = self._next_ask(now, self._silence_s / 3)
            self._events.append(Discovered(server))

    def _discard(self, one: _Watched, now: float) -> None:
        del self._watched[one.server.server_id]
        self._events.append(Discarded(one.server))
        # A new one, for the old tells the server that it need not answer.
        self._finding = DiscoveryProtocol(self._config, self._chance)
        self._finding.start(now)

    def _ask(self, one: _Watched, now: float) -> None:
        one.ask_at = self._next_ask(now, self._silence_s * 2 / 3 / _ASKS)
        one.asked_at = now
        one.answered.clear()
        one.round_ends = now + min(ROUND_S, self._silence_s / 3 / _ASKS)
        for part in split(self._config.classes, _ROOM_BYTES):
            self._questions += 1
            header = wire.Header(self._config.agent_id, sequence=self._questions)
            data = wire.encode(header, packets.Request(part))
            self._out.append(Datagram(data, one.server.address))

    def _end_round(self, one: _Watched) -> None:
        one.round_ends = None
        if one.answered:
            self._set_classes(one, one.answered)

    def _set_classes(self, one: _Watched, classes: set[str]) -> None:
        ordered = self._in_our_order(classes)
        if ordered != one.server.classes:
            one.server = msgspec.structs.replace(one.server, classes=ordered)
            self._events.append(Changed(one.server))

    def _in_our_order(self, classes: set[str] | list[str]) -> tuple[str, ...]:
        return tuple(name for name in self._config.classes if name in classes)

    def _next_ask(self, now: float, gap_s: float) -> float:
        return now + gap_s * (0.75 + self._chance() / 4)
