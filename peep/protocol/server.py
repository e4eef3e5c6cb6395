"""The server's side of protocol 3, without a socket or a clock.

Strangers are spoken to at the door (door.py): nothing is remembered of them until their
cookie has come back. Here are sessions (sessions.py) and dumb senders; registry.py
keeps them all. A pending session displaces nothing.

What an alert's receipt waits for is not known here: whoever runs this machine says when
an alert is on record.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import lease, packets, wire
from peep.protocol.addresses import Address, Datagram
from peep.protocol.admission import admitted, opened
from peep.protocol.batch import runs_of
from peep.protocol.classes import shared
from peep.protocol.door import Door, ServerConfig
from peep.protocol.events import (
    AgentInfo,
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Dropped,
    Peer,
    ServerEvent,
    Way,
)
from peep.protocol.granting import Granter
from peep.protocol.packets import MAX_DATAGRAM_BYTES
from peep.protocol.policy import within
from peep.protocol.registry import Registry
from peep.protocol.sealing import Keys
from peep.protocol.sessions import Dumb, Session, Stage
from peep.protocol.wire import HEADER_BYTES, SEQUENCE, SEQUENCE_AT
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from peep.protocol.packets import Packet
    from peep.signals import SignalId

# Named once: to reach an enum's member takes as long as to make a struct.
LATE, SIGNALS = Stage.LATE, packets.PacketType.SIGNALS
MAX_LOST = 1024  # hosts remembered as lost, so that their return can be told
RECEIPTS = 56  # ids in one RECEIPT: of as many files, at 20 bytes each, they fit


class ServerProtocol:
    """Offers, grants, prompts, admits. Fed bytes and times."""

    def __init__(
        self,
        config: ServerConfig,
        rng: Random,
        new_id: Callable[[int], bytes] | None = None,
    ) -> None:
        """`new_id(bytes)` draws ids that nobody can guess; by default, `rng` does."""
        self._config = config
        self._picky = bool(config.policy.networks)
        self._rng = rng
        self._keys = Keys(config.keys)
        self._granter = Granter(config, self._keys, new_id or rng.randbytes)
        self._door = Door(config, rng.random)
        self._registry = Registry()
        self._lost: OrderedDict[bytes, None] = OrderedDict()
        self._out: list[Datagram] = []
        self._events: deque[ServerEvent] = deque()

    # -- what the driver calls ------------------------------------------------

    def start(self, now: float) -> None:
        """Begin to announce."""
        self._door.start(now)

    def stop(self, now: float) -> None:  # noqa: ARG002 - a verb
        """Say BYE to every agent."""
        for session in self._registry.sessions.values():
            if session.stage is not Stage.PENDING:
                self._say(session, packets.Bye())
        self._registry = Registry()
        self._door.stop()

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that this server serves."""
        return self._door.classes

    def set_classes(self, classes: Sequence[str], now: float) -> None:
        """Change classes while running: say BYE to whom shares none, and announce."""
        self._door.classes = tuple(self._config.policy.allowed(classes))
        for session in list(self._registry.sessions.values()):
            if session.stage is Stage.PENDING:
                continue
            left = self._shared(session, session.told_classes)
            if left:
                session.class_name = left[0]
            else:
                self._dismiss(session)
        self._door.start(now)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram; what is wrong with it becomes a Dropped event."""
        try:
            if self._picky:
                self._config.policy.check_address(address[0])
            session = self._registry.speaking.get(data[:SEQUENCE_AT])
            whole = HEADER_BYTES <= len(data) <= MAX_DATAGRAM_BYTES
            if session is None or not whole:
                self._on_any(data, address, now)
                return
            (sequence,) = SEQUENCE.unpack_from(data, SEQUENCE_AT)
            body = opened(session, SIGNALS, sequence, data, address)
            session.heard_at = now
            if session.stage is LATE:
                self._returned(session)
            # A cast would cost as much as a struct; SIGNALS are read as nothing else.
            self._events += admitted(session, body, sequence, now)  # type: ignore[arg-type]
        except RemoteProtocolError as problem:
            self._events.append(Dropped(problem.reason, address))
            self._door.hint(problem.reason, address, now, data)

    def handle_timer(self, now: float) -> None:
        """Do what has come due."""
        self._door.handle_timer(now, len(self._registry.sessions))
        while (sender := self._registry.pop_due(now)) is not None:
            self._handle_due(sender, now)
            if self._registry.known(sender):
                self._registry.push(sender)

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        times = (self._door.next_timer(), self._registry.next_timer())
        return min((t for t in times if t is not None), default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:  # noqa: ARG002 - a verb
        """Return what is to be sent now, and forget it."""
        out = self._door.out + self._out
        self._door.out, self._out = [], []
        return out

    def next_event(self) -> ServerEvent | None:
        """Return the oldest untold event, or None."""
        return self._events.popleft() if self._events else None

    def agents(self) -> int:
        """Return how many agents hold a lease."""
        return self._registry.agents()

    def receipt(self, way: Way, alerts: Sequence[SignalId]) -> None:
        """Say that these are on record, to nobody but the sender that they came by."""
        session = self._registry.sessions.get(way.session)
        if session is None and not self._registry.is_dumb(way.agent_id, way.address):
            return  # it is gone, and will ask again
        for start in range(0, len(alerts), RECEIPTS):
            body = packets.Receipt(runs_of(alerts[start : start + RECEIPTS]))
            if session is not None:
                self._say(session, body)
            else:
                header = wire.Header(self._config.server_id)
                self._out.append(Datagram(wire.encode(header, body), way.address))
        if session is not None:
            session.remember(alerts)

    def infos(self, now: float) -> list[AgentInfo]:
        """Return all that send, as they stand."""
        return self._registry.infos(now)

    def missed(self) -> Mapping[str, int]:
        """Return how many datagrams never came, by host, since the start."""
        return self._registry.missed()

    # -- words from outside -----------------------------------------------------

    def _on_any(self, data: bytes, address: Address, now: float) -> None:
        parsed = wire.parse(data)
        session = self._registry.sessions.get(parsed.header.session)
        if session is not None or parsed.sealed:
            self._on_session(session, parsed, address, now)
        else:
            body = wire.read(parsed.kind, parsed.body)
            self._on_open(parsed, body, address, now, len(data))

    def _on_open(
        self,
        parsed: wire.Parsed,
        body: Packet,
        address: Address,
        now: float,
        size_bytes: int,
    ) -> None:
        match body:
            case packets.Request():
                self._door.offer(parsed.header, body, address, now, size_bytes)
            case packets.Register():
                self._on_register(parsed, body, address, now)
            case packets.Signals() if parsed.header.session == wire.NO_SESSION:
                self._on_dumb(parsed.header, body, address, now)
            case packets.Announce():
                pass  # another server's; it shares port 2000 with agents
            case packets.Offer() | packets.Grant() | packets.ExceptionHint():
                raise RemoteProtocolError(Reason.UNASKED)
            case _:
                raise RemoteProtocolError(Reason.UNKNOWN_SESSION)

    def _on_register(
        self, parsed: wire.Parsed, body: packets.Register, address: Address, now: float
    ) -> None:
        header = parsed.header
        self._door.check_cookie(header.sender, body.cookie, address, now)
        known = self._registry.registered(header.sender, header.session, address)
        if known is None:
            self._registry.check_room()
            sessions = len(self._registry.sessions)
            known = self._granter.session(parsed, body, address, now, sessions)
            self._registry.add(known)
        self._out.append(Datagram(known.grant, address))

    def _on_session(
        self,
        session: Session | None,
        parsed: wire.Parsed,
        address: Address,
        now: float,
    ) -> None:
        header = parsed.header
        if (
            session is None
            or session.peer.agent_id != header.sender
            or session.key_id != header.key_id
        ):
            raise RemoteProtocolError(Reason.UNKNOWN_SESSION)
        data = parsed.head + parsed.body
        body = opened(session, parsed.kind, header.sequence, data, address)
        if isinstance(body, packets.Classes) and header.sequence > session.introduced:
            # A bad first word must leave the session pending.
            self._check_classes(session, body)
        elif session.stage is Stage.PENDING:
            raise RemoteProtocolError(Reason.UNKNOWN_SESSION)
        session.heard_at = now
        if session.stage is Stage.LATE:
            self._returned(session)
        self._on_word(session, body, header.sequence, now)

    def _returned(self, session: Session) -> None:
        session.stage = Stage.LIVE
        self._events.append(AgentReturned(session.peer))

    def _on_word(
        self, session: Session, body: Packet, sequence: int, now: float
    ) -> None:
        match body:
            case packets.Classes():
                if sequence > session.introduced:  # an older one may be overtaken
                    session.introduced = sequence
                    self._on_classes(session, body, now)
                self._say(session, packets.Ack(sequence))
            case packets.Renew():
                self._say(session, packets.Ack(sequence))
            case packets.Ack() if session.asked <= body.sequence <= session.prompted:
                session.prompts = 0
                session.asked = session.prompted + 1
                session.prompt_at = now + lease.first_prompt(
                    session.lease_s, self._config.profile.prompt_at, self._rng.random
                )
            case packets.Bye():
                self._registry.forget(session)
                self._events.append(AgentLeft(session.peer))

    def _shared(self, session: Session, classes: Sequence[str]) -> list[str]:
        """Return the agent's classes that this session may speak for."""
        named = shared(self._door.classes, classes)
        if session.key is None:
            return self._keys.open(named)
        return shared([session.key.class_name], named)

    def _check_classes(self, session: Session, body: packets.Classes) -> None:
        if self._shared(session, body.classes):
            return
        if shared(self._door.classes, body.classes):
            raise RemoteProtocolError(Reason.KEY_NEEDED)
        if session.stage is not Stage.PENDING:
            self._dismiss(session)
        raise RemoteProtocolError(Reason.NO_SHARED_CLASS)

    def _dismiss(self, session: Session) -> None:
        """End a session from this side, with a word."""
        self._say(session, packets.Bye())
        self._registry.forget(session)
        self._events.append(AgentLeft(session.peer))

    def _on_classes(self, session: Session, body: packets.Classes, now: float) -> None:
        classes = self._shared(session, body.classes)
        old = session.peer
        session.peer = Peer(old.agent_id, body.host, old.address)
        session.class_name = classes[0]
        session.told_classes = tuple(body.classes)
        if session.stage is not Stage.PENDING:
            return
        self._registry.lease(session)
        session.prompt_at = now + lease.spread_prompt(
            session.lease_s, self._config.profile.prompt_at, self._rng.random
        )
        # The prompt of a short lease comes before PENDING_S.
        self._registry.push(session)
        # An agent that was restarted within its lease is not lost, but replaced; so is
        # a late one that is back by another address; never a sealed one by an open
        # one, for which anybody may speak.
        was_late = False
        for other in self._registry.of_agent(old.agent_id):
            late = other.stage is Stage.LATE and other.peer.host == body.host
            if (
                other is not session
                and other.stage is not Stage.PENDING
                and other.key_id in (0, session.key_id)
                and (late or other.peer.address[0] == old.address[0])
            ):
                was_late |= other.stage is Stage.LATE
                self._registry.forget(other)
        if was_late:
            self._events.append(AgentReturned(session.peer))
            return
        back = self._lost.pop(old.agent_id, 0) is None
        self._events.append(
            AgentJoined(session.peer, tuple(classes), back, session.key is not None)
        )

    def _on_dumb(
        self, header: wire.Header, body: packets.Signals, address: Address, now: float
    ) -> None:
        public = self._keys.open(shared(self._door.classes, ["public"]))
        if not public or not within(address[0], self._config.dumb_networks):
            raise RemoteProtocolError(Reason.NOT_ADMITTED)
        peer = Peer(header.sender, address[0], address)
        sender = self._registry.dumb(peer, now, body.repeat_s, header.sequence)
        if not sender.window.take(header.sequence):
            raise RemoteProtocolError(Reason.REPLAYED)
        sender.heard_at = now
        sender.datagrams += 1
        self._events += admitted(sender, body, header.sequence, now)

    # -- what comes due -------------------------------------------------------------

    def _handle_due(self, sender: Session | Dumb, now: float) -> None:
        if isinstance(sender, Dumb):
            self._registry.forget_dumb(sender)
            self._events.append(AgentLeft(sender.peer, dumb=True))
            return
        # As in due(), to the last bit: a difference would round, and never come due.
        late_at = sender.heard_at + sender.lease_s
        lost_at = sender.heard_at + lease.LOST_AT * sender.lease_s
        if sender.stage is Stage.PENDING:
            self._registry.forget(sender)
            return
        if now >= late_at and self._registry.moved(sender):
            self._registry.forget(sender)
            return
        if now >= lost_at:
            # If it is there after all, let it look for us at once.
            self._say(sender, packets.Bye())
            self._registry.forget(sender)
            self._lost[sender.peer.agent_id] = None
            if len(self._lost) > MAX_LOST:
                self._lost.popitem(last=False)
            self._events.append(AgentLost(sender.peer))
            return
        if now >= late_at and sender.stage is Stage.LIVE:
            sender.stage = Stage.LATE
            self._events.append(AgentLate(sender.peer))
        if now >= sender.prompt_at:
            sender.prompts += 1
            sessions = len(self._registry.sessions)
            sender.lease_s = self._granter.lease_s(sender, sessions)
            self._say(
                sender, packets.Renew(int(sender.lease_s), runs_of(sender.recorded))
            )
            sender.prompted = sender.sequence
            if sender.prompts == 1:
                sender.asked = sender.sequence
            sender.prompt_at = now + lease.retry(sender.prompts, self._rng.random)

    # -- words to agents ----------------------------------------------------------

    def _say(self, session: Session, body: Packet) -> None:
        session.sequence += 1
        header = wire.Header(
            self._config.server_id, session.session, session.sequence, session.key_id
        )
        seal = None if session.transport is None else session.transport.seal
        data = wire.encode(header, body, seal)
        self._out.append(Datagram(data, session.peer.address))
