"""The server's side of protocol 3, without a socket or a clock.

Strangers are spoken to at the door (door.py): nothing is remembered of them until their
cookie has come back. Here are sessions (sessions.py) and dumb senders. A pending
session displaces nothing.

Timers: every session and dumb sender has one entry in a heap that counts, the one whose
ticket it holds. Words from the agent only ever move its due time later, so an entry
that comes up early is put back.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import lease, packets, wire
from peep.protocol.addresses import Address, Datagram
from peep.protocol.batch import unpack
from peep.protocol.classes import shared
from peep.protocol.door import Door, ServerConfig
from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Dropped,
    Peer,
    ServerEvent,
    SignalReceived,
)
from peep.protocol.policy import within
from peep.protocol.sealing import Keys, respond
from peep.protocol.sessions import DUMB_REPEAT_S, Dumb, Sender, Session, Stage
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from peep.protocol.packets import Packet

# Bounds; each table's attacker is a host that invents senders.
MAX_SESSIONS = 16_384
MAX_PENDING = 256
MAX_DUMB = 256
MAX_LOST = 1024  # hosts remembered as lost, so that their return can be told
MAX_STALE = 1024  # entries in the heap, beside one a sender: one that comes and goes


class ServerProtocol:
    """Offers, grants, prompts, admits. Fed bytes and times."""

    def __init__(
        self,
        config: ServerConfig,
        rng: Random,
        new_id: Callable[[int], bytes] | None = None,
    ) -> None:
        """`new_id(bytes)` draws ids that nobody can guess; by default, `rng` does."""
        self._new_id = new_id or rng.randbytes
        self._config = config
        self._rng = rng
        self._keys = Keys(config.keys)
        self._door = Door(config, rng.random)
        self._sessions: dict[bytes, Session] = {}
        self._registered: dict[tuple[bytes, bytes, Address], Session] = {}
        self._by_agent: dict[bytes, list[Session]] = {}
        self._dumb: dict[tuple[bytes, Address], Dumb] = {}
        self._lost: OrderedDict[bytes, None] = OrderedDict()
        self._pending = 0
        self._heap: list[tuple[float, int, Session | Dumb]] = []
        self._pushed = 0
        self._out: list[Datagram] = []
        self._events: deque[ServerEvent] = deque()

    # -- what the driver calls ------------------------------------------------

    def start(self, now: float) -> None:
        """Begin to announce."""
        self._door.start(now)

    def stop(self, now: float) -> None:  # noqa: ARG002 - a verb
        """Say BYE to every agent."""
        for session in self._sessions.values():
            if session.stage is not Stage.PENDING:
                self._say(session, packets.Bye())
        self._sessions.clear()
        self._registered.clear()
        self._by_agent.clear()
        self._dumb.clear()
        self._heap.clear()
        self._pending = 0
        self._door.stop()

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that this server serves."""
        return self._door.classes

    def set_classes(self, classes: Sequence[str], now: float) -> None:
        """Change classes while running: say BYE to whom shares none, and announce."""
        self._door.classes = tuple(self._config.policy.allowed(classes))
        for session in list(self._sessions.values()):
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
            self._config.policy.check_address(address[0])
            parsed = wire.parse(data)
            if parsed.header.session in self._sessions or parsed.sealed:
                self._on_session(parsed, address, now)
            else:
                body = wire.read(parsed.kind, parsed.body)
                self._on_open(parsed, body, address, now, len(data))
        except RemoteProtocolError as problem:
            self._events.append(Dropped(problem.reason, address))
            self._door.hint(problem.reason, address, now, data)

    def handle_timer(self, now: float) -> None:
        """Do what has come due."""
        self._door.handle_timer(now, len(self._sessions))
        while self._heap and self._heap[0][0] <= now:
            _, ticket, sender = heapq.heappop(self._heap)
            if ticket != sender.ticket or not self._known(sender):
                continue
            if sender.due() <= now:
                self._handle_due(sender, now)
            if self._known(sender):
                self._push(sender)

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        at = self._door.next_timer()
        if not self._heap:
            return at
        return self._heap[0][0] if at is None else min(at, self._heap[0][0])

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
        return len(self._sessions) - self._pending

    # -- words from outside -----------------------------------------------------

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
        known = self._registered.get((header.sender, header.session, address))
        if known is None:
            known = self._new_session(parsed, body, address, now)
        self._out.append(Datagram(known.grant, address))

    def _new_session(
        self, parsed: wire.Parsed, body: packets.Register, address: Address, now: float
    ) -> Session:
        """Return a pending session; nothing is kept of a REGISTER that was refused."""
        if self._pending >= MAX_PENDING or len(self._sessions) >= MAX_SESSIONS:
            raise RemoteProtocolError(Reason.TABLE_FULL)
        header = parsed.header
        self._config.policy.check_key(header.key_id)
        key = self._keys.by_id(header.key_id)
        if header.key_id and key is None:
            raise RemoteProtocolError(Reason.UNKNOWN_KEY)
        handshake = None if key is None else respond(key, parsed.head, body.cookie)
        hello = body.hello if handshake is None else handshake.read(body.hello)
        wish = wire.read_inner(hello, packets.Wish)
        session = Session(
            Peer(header.sender, address[0], address),
            now,
            self._new_id(packets.ID_BYTES),
            header.session,
        )
        session.key = key
        session.longest_s = _longest(wish.lease_s)
        session.lease_s = self._lease_for(session)
        server_id = self._config.server_id
        terms = packets.Terms(int(session.lease_s), session.session, server_id)
        answer = wire.write_inner(terms)
        if handshake is not None:
            answer = handshake.write(answer)
            session.transport = handshake.transport()
        session.grant = wire.encode(
            wire.Header(server_id, session.session, key_id=header.key_id),
            packets.Grant(session.nonce, answer),
        )
        self._sessions[session.session] = session
        self._registered[header.sender, header.session, address] = session
        self._by_agent.setdefault(header.sender, []).append(session)
        self._pending += 1
        self._push(session)
        return session

    def _on_session(self, parsed: wire.Parsed, address: Address, now: float) -> None:
        header = parsed.header
        session = self._sessions.get(header.session)
        if (
            session is None
            or session.peer.agent_id != header.sender
            or session.key_id != header.key_id
        ):
            raise RemoteProtocolError(Reason.UNKNOWN_SESSION)
        if session.peer.address != address:
            raise RemoteProtocolError(Reason.WRONG_ADDRESS)
        content, sealed = parsed.body, session.transport is not None
        if session.transport is not None:
            content = session.transport.open(header.sequence, parsed.head, content)
        body = wire.read(parsed.kind, content, sealed=sealed)
        if not session.window.take(header.sequence):
            raise RemoteProtocolError(Reason.REPLAYED)
        if isinstance(body, packets.Classes) and header.sequence > session.introduced:
            # A bad first word must leave the session pending.
            self._check_classes(session, body)
        elif session.stage is Stage.PENDING:
            raise RemoteProtocolError(Reason.UNKNOWN_SESSION)
        session.heard_at = now
        if session.stage is Stage.LATE:
            session.stage = Stage.LIVE
            self._events.append(AgentReturned(session.peer))
        self._on_word(session, body, header.sequence, now)

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
            case packets.Signals() | packets.SealedSignals():
                self._admit(session, body, sequence, now)
            case packets.Bye():
                self._forget(session)
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
        self._forget(session)
        self._events.append(AgentLeft(session.peer))

    def _on_classes(self, session: Session, body: packets.Classes, now: float) -> None:
        classes = self._shared(session, body.classes)
        old = session.peer
        session.peer = Peer(old.agent_id, body.host, old.address)
        session.class_name = classes[0]
        session.told_classes = tuple(body.classes)
        if session.stage is not Stage.PENDING:
            return
        self._pending -= 1
        session.stage = Stage.LIVE
        session.prompt_at = now + lease.spread_prompt(
            session.lease_s, self._config.profile.prompt_at, self._rng.random
        )
        self._push(session)  # the prompt of a short lease comes before PENDING_S
        # An agent that was restarted within its lease is not lost, but replaced; so is
        # a late one that is back by another address; never a sealed one by an open
        # one, for which anybody may speak.
        was_late = False
        for other in list(self._by_agent[old.agent_id]):
            late = other.stage is Stage.LATE and other.peer.host == body.host
            if (
                other is not session
                and other.stage is not Stage.PENDING
                and other.key_id in (0, session.key_id)
                and (late or other.peer.address[0] == old.address[0])
            ):
                was_late |= other.stage is Stage.LATE
                self._forget(other)
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
        key = (header.sender, address)
        sender = self._dumb.get(key)
        if sender is None:
            if len(self._dumb) >= MAX_DUMB:
                raise RemoteProtocolError(Reason.TABLE_FULL)
            sender = self._dumb[key] = Dumb(
                Peer(header.sender, address[0], address), now
            )
            sender.class_name = "public"
            # Taken once: were it to shrink later, its heap entry would be late.
            sender.repeat_s = body.repeat_s or DUMB_REPEAT_S
            self._push(sender)
        if not sender.window.take(header.sequence):
            raise RemoteProtocolError(Reason.REPLAYED)
        sender.heard_at = now
        self._admit(sender, body, header.sequence, now)

    def _admit(
        self,
        sender: Sender,
        body: packets.Signals | packets.SealedSignals,
        sequence: int,
        now: float,
    ) -> None:
        peer, class_name = sender.peer, sender.class_name
        throttled = 0
        for born in unpack(body, peer.host, now):
            if not sender.spend(born.signal, now):
                throttled += 1
            elif sender.newest(born.signal, sequence):
                age_s = now - born.born
                self._events.append(
                    SignalReceived(peer, class_name, born.signal, age_s)
                )
        if throttled:
            self._events.append(Dropped(Reason.THROTTLED, peer.address, throttled))

    # -- what comes due -------------------------------------------------------------

    def _handle_due(self, sender: Session | Dumb, now: float) -> None:
        if isinstance(sender, Dumb):
            del self._dumb[sender.peer.agent_id, sender.peer.address]
            self._events.append(AgentLeft(sender.peer, dumb=True))
            return
        # As in due(), to the last bit: a difference would round, and never come due.
        late_at = sender.heard_at + sender.lease_s
        lost_at = sender.heard_at + lease.LOST_AT * sender.lease_s
        if sender.stage is Stage.PENDING:
            self._forget(sender)
            return
        if now >= late_at and self._moved(sender):
            self._forget(sender)
            return
        if now >= lost_at:
            # If it is there after all, let it look for us at once.
            self._say(sender, packets.Bye())
            self._forget(sender)
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
            sender.lease_s = self._lease_for(sender)
            self._say(sender, packets.Renew(int(sender.lease_s)))
            sender.prompted = sender.sequence
            if sender.prompts == 1:
                sender.asked = sender.sequence
            sender.prompt_at = now + lease.retry(sender.prompts, self._rng.random)

    def _moved(self, session: Session) -> bool:
        """Say whether this agent is here by another address: a new network."""
        return any(
            other is not session
            and other.stage is Stage.LIVE
            and other.peer.host == session.peer.host
            and session.key_id in (0, other.key_id)
            for other in self._by_agent[session.peer.agent_id]
        )

    def _known(self, sender: Session | Dumb) -> bool:
        if isinstance(sender, Session):
            return self._sessions.get(sender.session) is sender
        return self._dumb.get((sender.peer.agent_id, sender.peer.address)) is sender

    def _push(self, sender: Session | Dumb) -> None:
        self._pushed += 1
        sender.ticket = self._pushed
        heapq.heappush(self._heap, (sender.due(), self._pushed, sender))
        if len(self._heap) > 2 * (len(self._sessions) + len(self._dumb)) + MAX_STALE:
            self._heap = [
                entry
                for entry in self._heap
                if entry[1] == entry[2].ticket and self._known(entry[2])
            ]
            heapq.heapify(self._heap)

    def _forget(self, session: Session) -> None:
        peer = session.peer
        self._pending -= session.stage is Stage.PENDING
        del self._sessions[session.session]
        del self._registered[peer.agent_id, session.nonce, peer.address]
        same = self._by_agent[peer.agent_id]
        same.remove(session)
        if not same:
            del self._by_agent[peer.agent_id]

    # -- words to agents ----------------------------------------------------------

    def _say(self, session: Session, body: Packet) -> None:
        session.sequence += 1
        header = wire.Header(
            self._config.server_id, session.session, session.sequence, session.key_id
        )
        seal = None if session.transport is None else session.transport.seal
        data = wire.encode(header, body, seal)
        self._out.append(Datagram(data, session.peer.address))

    def _lease_for(self, session: Session) -> float:
        """Return the lease to grant: stretched under load, never beyond the wish."""
        own = lease.stretched(
            float(self._config.lease_s),
            len(self._sessions),
            self._config.profile.prompt_at,
        )
        return min(session.longest_s, float(packets.MAX_LEASE_S), float(int(own)))


def _longest(wished_s: int) -> float:
    """Return the longest lease that an agent's wish allows; refuse FOREVER."""
    if wished_s == packets.FOREVER_LEASE:
        raise RemoteProtocolError(Reason.FOREVER)
    if wished_s == packets.ANY_LEASE:
        return float(packets.MAX_LEASE_S)
    return float(max(packets.MIN_LEASE_S, wished_s))
