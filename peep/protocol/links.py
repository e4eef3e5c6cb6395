"""What an agent knows of one server.

A *link* is, in turn:

    state     meaning                          left by
    asked     REGISTER said, no GRANT yet      GRANT → greeted; no answer → gone
    greeted   CLASSES said, no ACK yet         ACK → leased; no answer → gone
    leased    signals flow                     silence for a lease → lapsed; BYE → gone
    lapsed    nothing is sent but ACK          any word → leased; half a lease → gone
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import lease, wire
from peep.protocol.addresses import Datagram
from peep.protocol.outbox import Flight
from peep.protocol.window import Window
from peep.reasons import Reason

if TYPE_CHECKING:
    from peep.protocol.addresses import Address
    from peep.protocol.batch import Born
    from peep.protocol.keys import ClassKey
    from peep.protocol.lease import Chance
    from peep.protocol.noise import Initiator, Transport
    from peep.protocol.packets import Packet


class Stage(enum.Enum):
    """Where a link is in its life."""

    ASKED = "asked"
    GREETED = "greeted"
    LEASED = "leased"
    LAPSED = "lapsed"


class Link:
    """One server, as this agent knows it."""

    def __init__(
        self, server_id: bytes, address: Address, keys: list[ClassKey], chance: Chance
    ) -> None:
        self.server_id = server_id
        self.address = address
        self.stage = Stage.ASKED
        self.keys = keys  # still to be tried, the best first; none, and it is open
        self.handshake: Initiator | None = None
        self.transport: Transport | None = None
        self.register = b""  # as sent: repeated, it must be the same
        self.session = wire.NO_SESSION
        self.nonce = wire.NO_SESSION
        self.cookie = b""
        self.lease_s = 0.0
        self.heard_at = 0.0
        self.sequence = 0
        self.window = Window()
        self.tries = 0
        self.retry_at: float | None = None
        self.repeat_at = 0.0
        self.queue: list[Born] = []
        self.flush_at: float | None = None
        self.flight = Flight(chance)
        self.hinted = False

    @property
    def key_id(self) -> int:
        """Return the id of the key in use, 0 if the session is open."""
        return self.keys[0].key_id if self.keys else 0

    def word(self, agent_id: bytes, body: Packet) -> Datagram:
        """Return the next word of the session."""
        self.sequence += 1
        header = wire.Header(agent_id, self.session, self.sequence, self.key_id)
        seal = None if self.transport is None else self.transport.seal
        return Datagram(wire.encode(header, body, seal), self.address)

    def read(self, parsed: wire.Parsed, address: Address) -> Packet:
        """Return what the server says; RemoteProtocolError if it is not its word."""
        header, content = parsed.header, parsed.body
        if (
            self.stage is Stage.ASKED
            or self.session != header.session
            or self.key_id != header.key_id
        ):
            raise RemoteProtocolError(Reason.UNKNOWN_SESSION)
        if self.address != address:
            raise RemoteProtocolError(Reason.WRONG_ADDRESS)
        if self.transport is not None:
            content = self.transport.open(header.sequence, parsed.head, content)
        body = wire.read(parsed.kind, content, sealed=self.transport is not None)
        if not self.window.take(header.sequence):
            raise RemoteProtocolError(Reason.REPLAYED)
        return body

    def flush_due(self, now: float) -> bool:
        """Say whether there is something to be said by now."""
        times = (self.flush_at, self.flight.next_timer())
        return any(at is not None and now >= at for at in times)

    def next_timer(self) -> float:
        """Return when this link wants to be looked at."""
        times = [self.retry_at]
        if self.stage is Stage.LEASED:
            times += [self.heard_at + self.lease_s, self.repeat_at]
            times += [self.flush_at, self.flight.next_timer()]
        elif self.stage is Stage.LAPSED:
            times.append(self.heard_at + lease.LOST_AT * self.lease_s)
        return min(t for t in times if t is not None)
