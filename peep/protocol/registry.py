"""Whom a server hears, by session and by agent, and who is due when.

Timers: every sender has one entry in a heap that counts, the one whose ticket it holds.
Words from the agent only ever move its due time later, so an entry that comes up early
is put back.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import wire
from peep.protocol.packets import PacketType
from peep.protocol.sessions import Dumb, Sender, Session, Stage
from peep.reasons import Reason

if TYPE_CHECKING:
    from peep.protocol.addresses import Address
    from peep.protocol.events import AgentInfo, Peer

# Bounds; each table's attacker is a host that invents senders.
MAX_SESSIONS = 16_384
MAX_PENDING = 256
MAX_DUMB = 256
MAX_STALE = 1024  # entries in the heap, beside one a sender: one that comes and goes


class Registry:
    """All senders of one server."""

    def __init__(self) -> None:
        self.sessions: dict[bytes, Session] = {}
        # Those that hold a lease, by how their SIGNALS begin: version, type, flags and
        # ids are all checked by one look-up.
        self.speaking: dict[bytes, Session] = {}
        self.pending = 0
        self._registered: dict[tuple[bytes, bytes, Address], Session] = {}
        self._by_agent: dict[bytes, list[Session]] = {}
        self._dumb: dict[tuple[bytes, Address], Dumb] = {}
        self._heap: list[tuple[float, int, Session | Dumb]] = []
        self._pushed = 0
        self._missed: Counter[str] = Counter()  # of senders that are gone, by host

    def check_room(self) -> None:
        """RemoteProtocolError if no further session can be pending."""
        if self.pending >= MAX_PENDING or len(self.sessions) >= MAX_SESSIONS:
            raise RemoteProtocolError(Reason.TABLE_FULL)

    def add(self, session: Session) -> None:
        """Take in a pending session."""
        peer = session.peer
        self.sessions[session.session] = session
        self._registered[peer.agent_id, session.nonce, peer.address] = session
        self._by_agent.setdefault(peer.agent_id, []).append(session)
        self.pending += 1
        self.push(session)

    def lease(self, session: Session) -> None:
        """Let a pending session speak."""
        self.pending -= 1
        session.stage = Stage.LIVE
        self.speaking[_beginning(session)] = session

    def registered(
        self, agent_id: bytes, nonce: bytes, address: Address
    ) -> Session | None:
        """Return the session that this REGISTER got before, if it did."""
        return self._registered.get((agent_id, nonce, address))

    def of_agent(self, agent_id: bytes) -> list[Session]:
        """Return an agent's sessions, pending ones too."""
        return list(self._by_agent.get(agent_id, ()))

    def agents(self) -> int:
        """Return how many agents hold a lease."""
        return len(self.sessions) - self.pending

    def missed(self) -> Counter[str]:
        """Return how many datagrams never came, by host."""
        missed = self._missed.copy()
        for sender in (*self.sessions.values(), *self._dumb.values()):
            missed[sender.peer.host] += sender.missed()
        return +missed

    def _remember_missed(self, sender: Sender) -> None:
        count, host = sender.missed(), sender.peer.host
        if count:
            known = host in self._missed or len(self._missed) < MAX_SESSIONS
            self._missed[host if known else ""] += count

    def moved(self, session: Session) -> bool:
        """Say whether this agent is here by another address: a new network."""
        return any(
            other is not session
            and other.stage is Stage.LIVE
            and other.peer.host == session.peer.host
            and session.key_id in (0, other.key_id)
            for other in self.of_agent(session.peer.agent_id)
        )

    def infos(self, now: float) -> list[AgentInfo]:
        """Return all that send, as they stand."""
        live = [k for k in self.sessions.values() if k.stage is not Stage.PENDING]
        dumb = [k.info(now) for k in self._dumb.values()]
        return [*(k.info(now) for k in live), *dumb]

    def forget(self, session: Session) -> None:
        """Let go of a session."""
        peer = session.peer
        self._remember_missed(session)
        self.pending -= session.stage is Stage.PENDING
        del self.sessions[session.session]
        self.speaking.pop(_beginning(session), None)
        del self._registered[peer.agent_id, session.nonce, peer.address]
        same = self._by_agent[peer.agent_id]
        same.remove(session)
        if not same:
            del self._by_agent[peer.agent_id]

    def dumb(self, peer: Peer, now: float, repeat_s: int, sequence: int) -> Dumb:
        """Return a sender without a session; RemoteProtocolError if there are many."""
        key = (peer.agent_id, peer.address)
        sender = self._dumb.get(key)
        if sender is None:
            if len(self._dumb) >= MAX_DUMB:
                raise RemoteProtocolError(Reason.TABLE_FULL)
            sender = self._dumb[key] = Dumb(peer, now)
            # Taken once: were it to shrink later, its heap entry would be late.
            sender.repeat_s = repeat_s or sender.repeat_s
            sender.first = sequence
            sender.class_name = "public"
            self.push(sender)
        return sender

    def is_dumb(self, agent_id: bytes, address: Address) -> bool:
        """Say whether this one sends without a session."""
        return (agent_id, address) in self._dumb

    def forget_dumb(self, sender: Dumb) -> None:
        """Let go of one."""
        self._remember_missed(sender)
        del self._dumb[sender.peer.agent_id, sender.peer.address]

    def push(self, sender: Session | Dumb) -> None:
        """Put a sender into the heap by when it wants to be looked at."""
        self._pushed += 1
        sender.ticket = self._pushed
        heapq.heappush(self._heap, (sender.due(), self._pushed, sender))
        if len(self._heap) > 2 * (len(self.sessions) + len(self._dumb)) + MAX_STALE:
            self._heap = [
                entry
                for entry in self._heap
                if entry[1] == entry[2].ticket and self.known(entry[2])
            ]
            heapq.heapify(self._heap)

    def pop_due(self, now: float) -> Session | Dumb | None:
        """Return a sender that is due, taken out of the heap, or None."""
        while self._heap and self._heap[0][0] <= now:
            _, ticket, sender = heapq.heappop(self._heap)
            if ticket != sender.ticket or not self.known(sender):
                continue
            if sender.due() <= now:
                return sender
            self.push(sender)
        return None

    def next_timer(self) -> float | None:
        """Return when somebody may be due."""
        return self._heap[0][0] if self._heap else None

    def known(self, sender: Session | Dumb) -> bool:
        """Say whether a sender is still one of these."""
        if isinstance(sender, Session):
            return self.sessions.get(sender.session) is sender
        return self._dumb.get((sender.peer.agent_id, sender.peer.address)) is sender


def _beginning(session: Session) -> bytes:
    header = wire.Header(session.peer.agent_id, session.session, key_id=session.key_id)
    return wire.encode_head(header, PacketType.SIGNALS)[: wire.SEQUENCE_AT]
