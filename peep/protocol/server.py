"""The server's side of protocol 3, without a socket or a clock.

Before a cookie has come back, no answer is larger than its question, nothing is
remembered and nothing expensive is done. A pending session displaces nothing.

Timers: every session and dumb sender has one entry in a heap that counts, the one whose
ticket it holds. Words from the agent only ever move its due time later, so an entry
that comes up early is put back.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import msgspec

from peep.errors import RemoteProtocolError
from peep.protocol import lease, packets, wire
from peep.protocol.addresses import Address, Broadcast, Datagram
from peep.protocol.batch import unpack
from peep.protocol.classes import shared
from peep.protocol.discovery import by_subnets, split
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
from peep.protocol.packets import ANNOUNCE_PORT, Packet
from peep.protocol.policy import Network, Policy, within
from peep.protocol.profiles import PEEP, Profile
from peep.protocol.sealing import Keys, respond
from peep.protocol.sessions import DUMB_REPEAT_S, Dumb, Sender, Session, Stage
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from peep.protocol.keys import ClassKey

COOKIE_LIFE_S = 30.0
HINTS_PER_S = 10.0  # exceptions; more would make us somebody's amplifier

# Bounds; each table's attacker is a host that invents senders.
MAX_SESSIONS = 16_384
MAX_PENDING = 256
MAX_DUMB = 256
MAX_LOST = 1024  # hosts remembered as lost, so that their return can be told


_HINTS = {
    Reason.NOT_ADMITTED: packets.ExceptionCode.NOT_ADMITTED,
    Reason.UNKNOWN_KEY: packets.ExceptionCode.UNKNOWN_KEY,
    Reason.KEY_NEEDED: packets.ExceptionCode.KEY_NEEDED,
    Reason.UNKNOWN_VERSION: packets.ExceptionCode.VERSION,
}
# What an ANNOUNCE holds beside its classes.
_ANNOUNCE_BYTES = packets.MAX_DISCOVERY_BYTES - wire.HEADER_BYTES - 12


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who this server is. A class for which there is a key is sealed.

    `subnets` says of a class where its name may be told, and of others nothing.
    """

    server_id: bytes
    secret: bytes  # keys the cookies; new at every start
    classes: tuple[str, ...] = ("public",)
    keys: tuple[ClassKey, ...] = ()
    lease_s: int = PEEP.lease_s
    dumb_networks: tuple[Network, ...] = ()
    profile: Profile = PEEP
    policy: Policy = Policy()
    subnets: Mapping[str, tuple[str, ...]] = {}


class ServerProtocol:
    """Offers, grants, prompts, admits. Fed bytes and times."""

    def __init__(self, config: ServerConfig, rng: Random) -> None:
        self._config = config
        self._rng = rng
        self._keys = Keys(config.keys)
        self._classes = tuple(config.policy.allowed(config.classes))
        self._sessions: dict[bytes, Session] = {}
        self._registered: dict[tuple[bytes, bytes, Address], Session] = {}
        self._dumb: dict[tuple[bytes, Address], Dumb] = {}
        self._lost: OrderedDict[bytes, None] = OrderedDict()
        self._pending = 0
        self._heap: list[tuple[float, int, Session | Dumb]] = []
        self._pushed = 0
        self._out: list[Datagram] = []
        self._events: deque[ServerEvent] = deque()
        self._announcements = 0
        self._announce_at: float | None = None
        self._announce_step = 0
        self._hints = HINTS_PER_S
        self._hinted_at = 0.0

    # -- what the driver calls ------------------------------------------------

    def start(self, now: float) -> None:
        """Begin to announce."""
        self._announce_at = now
        self._announce_step = 0
        self._hinted_at = now

    def stop(self, now: float) -> None:  # noqa: ARG002 - a verb
        """Say BYE to every agent."""
        for session in self._sessions.values():
            if session.stage is not Stage.PENDING:
                self._say(session, packets.Bye())
        self._sessions.clear()
        self._registered.clear()
        self._dumb.clear()
        self._heap.clear()
        self._announce_at = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that this server serves."""
        return self._classes

    def set_classes(self, classes: Sequence[str], now: float) -> None:
        """Change classes while running: say BYE to whom shares none, and announce."""
        self._classes = tuple(self._config.policy.allowed(classes))
        for session in list(self._sessions.values()):
            named = session.told_classes
            if session.stage is not Stage.PENDING and not self._shared(session, named):
                self._say(session, packets.Bye())
                self._forget(session)
                self._events.append(AgentLeft(session.peer))
        self.start(now)

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
            hint = _HINTS.get(problem.reason)
            if hint is not None:
                self._hint(hint, address, now, len(data))

    def handle_timer(self, now: float) -> None:
        """Do what has come due."""
        if self._announce_at is not None and now >= self._announce_at:
            self._announce()
            profile = self._config.profile
            gap = profile.announce_every_s
            if self._announce_step < len(profile.announce_gaps_s):
                gap = profile.announce_gaps_s[self._announce_step]
                self._announce_step += 1
            jittered = 0.9 + 0.2 * self._rng.random()
            self._announce_at = None if gap is None else now + gap * jittered
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
        times = [] if self._announce_at is None else [self._announce_at]
        if self._heap:
            times.append(self._heap[0][0])
        return min(times, default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:  # noqa: ARG002 - a verb
        """Return what is to be sent now, and forget it."""
        out, self._out = self._out, []
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
                self._on_request(parsed.header, body, address, now, size_bytes)
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

    def _on_request(
        self,
        header: wire.Header,
        body: packets.Request,
        address: Address,
        now: float,
        size_bytes: int,
    ) -> None:
        if self._config.server_id in body.heard:
            return
        classes = shared(self._classes, body.classes)
        if not classes:
            raise RemoteProtocolError(Reason.NO_SHARED_CLASS)
        offer = packets.Offer(self._cookie(header.sender, address, now, 0), classes)
        data = wire.encode(wire.Header(self._config.server_id), offer)
        if len(data) > size_bytes:
            raise RemoteProtocolError(Reason.MALFORMED, "a question without padding")
        self._out.append(Datagram(data, address))

    def _on_register(
        self, parsed: wire.Parsed, body: packets.Register, address: Address, now: float
    ) -> None:
        header = parsed.header
        if not any(
            hmac.compare_digest(
                self._cookie(header.sender, address, now, back), body.cookie
            )
            for back in (0, 1)
        ):
            raise RemoteProtocolError(Reason.BAD_COOKIE)
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
            self._rng.randbytes(packets.ID_BYTES),
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
        if isinstance(body, packets.Classes):
            # A bad first word must leave the session pending.
            self._check_classes(session, body)
        elif session.stage is Stage.PENDING:
            raise RemoteProtocolError(Reason.UNKNOWN_SESSION)
        if not session.window.take(header.sequence):
            raise RemoteProtocolError(Reason.REPLAYED)
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
                self._on_classes(session, body, now)
                self._say(session, packets.Ack(sequence))
            case packets.Renew():
                self._say(session, packets.Ack(sequence))
            case packets.Ack() if body.sequence == session.prompted:
                session.prompts = 0
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
        named = shared(self._classes, classes)
        if session.key is None:
            return self._keys.open(named)
        return shared([session.key.class_name], named)

    def _check_classes(self, session: Session, body: packets.Classes) -> None:
        if self._shared(session, body.classes):
            return
        if shared(self._classes, body.classes):
            raise RemoteProtocolError(Reason.KEY_NEEDED)
        if session.stage is not Stage.PENDING:
            self._say(session, packets.Bye())
            self._forget(session)
            self._events.append(AgentLeft(session.peer))
        raise RemoteProtocolError(Reason.NO_SHARED_CLASS)

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
        # An agent that was restarted within its lease is not lost, but replaced.
        was_late = False
        for other in list(self._sessions.values()):
            if (
                other is not session
                and other.peer.agent_id == old.agent_id
                and other.peer.address[0] == old.address[0]
                and other.stage is not Stage.PENDING
            ):
                was_late |= other.stage is Stage.LATE
                self._forget(other)
        if was_late:
            self._events.append(AgentReturned(session.peer))
            return
        back = self._lost.pop(old.agent_id, 0) is None
        self._events.append(AgentJoined(session.peer, tuple(classes), back))

    def _on_dumb(
        self, header: wire.Header, body: packets.Signals, address: Address, now: float
    ) -> None:
        public = self._keys.open(shared(self._classes, ["public"]))
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
            self._events.append(AgentLeft(sender.peer))
            return
        # As in due(), to the last bit: a difference would round, and never come due.
        late_at = sender.heard_at + sender.lease_s
        lost_at = sender.heard_at + lease.LOST_AT * sender.lease_s
        if sender.stage is Stage.PENDING:
            self._forget(sender)
            return
        if now >= lost_at:
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
            sender.prompt_at = now + lease.retry(sender.prompts, self._rng.random)

    def _known(self, sender: Session | Dumb) -> bool:
        if isinstance(sender, Session):
            return self._sessions.get(sender.session) is sender
        return self._dumb.get((sender.peer.agent_id, sender.peer.address)) is sender

    def _push(self, sender: Session | Dumb) -> None:
        self._pushed += 1
        sender.ticket = self._pushed
        heapq.heappush(self._heap, (sender.due(), self._pushed, sender))

    def _forget(self, session: Session) -> None:
        peer = session.peer
        self._pending -= session.stage is Stage.PENDING
        del self._sessions[session.session]
        del self._registered[peer.agent_id, session.nonce, peer.address]

    # -- words to agents ----------------------------------------------------------

    def _say(self, session: Session, body: Packet) -> None:
        session.sequence += 1
        header = wire.Header(
            self._config.server_id, session.session, session.sequence, session.key_id
        )
        seal = None if session.transport is None else session.transport.seal
        data = wire.encode(header, body, seal)
        self._out.append(Datagram(data, session.peer.address))

    def _announce(self) -> None:
        for subnets, classes in by_subnets(self._classes, self._config.subnets):
            for part in split(classes, _ANNOUNCE_BYTES):
                self._announcements += 1
                header = wire.Header(
                    self._config.server_id, sequence=self._announcements
                )
                body = packets.Announce(part, len(self._sessions))
                to = Broadcast(ANNOUNCE_PORT, subnets)
                self._out.append(Datagram(wire.encode(header, body), to))

    def _hint(
        self, code: packets.ExceptionCode, address: Address, now: float, size: int
    ) -> None:
        self._hints = min(
            HINTS_PER_S, self._hints + (now - self._hinted_at) * HINTS_PER_S
        )
        self._hinted_at = now
        header = wire.Header(self._config.server_id)
        data = wire.encode(header, packets.ExceptionHint(code))
        if self._hints >= 1 and len(data) <= size:
            self._hints -= 1
            self._out.append(Datagram(data, address))

    # -- small questions ------------------------------------------------------------

    def _cookie(
        self, agent_id: bytes, address: Address, now: float, back: int
    ) -> bytes:
        epoch = int(now // COOKIE_LIFE_S) - back
        text = f"{address[0]} {address[1]} {epoch} ".encode() + agent_id
        digest = hashlib.blake2b(
            text, key=self._config.secret, digest_size=packets.COOKIE_BYTES
        )
        return digest.digest()

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
