"""Who a server hears: agents with a session, and dumb senders without one.

A *session* is one agent's. It is, in turn:

    stage     meaning                        left by
    pending   GRANT said; no lease yet       CLASSES → live; 10 s → forgotten
    live      words come within the lease    silence for a lease → late; BYE → left
    late      shown, and prompted on         any word → live; half a lease → lost

A pending session displaces nothing. A *dumb* sender has no session; it goes stale when
it falls silent for a few of its own intervals.
"""

from __future__ import annotations

import enum
import hashlib
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from peep.protocol import lease, wire
from peep.protocol.events import AgentInfo, Way
from peep.protocol.window import Window
from peep.signals import Event, Signal, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.protocol.events import Peer
    from peep.protocol.keys import ClassKey
    from peep.protocol.noise import Transport
    from peep.signals import SignalId

PENDING_S = 10.0
STALE_REPEATS = 3.5  # of a dumb sender's own interval
DUMB_REPEAT_S = 60  # taken when a dumb sender does not tell its interval
# What one sender may send: a host's storm is folded long before, and a hostile one must
# not starve the others.
SIGNALS_PER_S = 25_000.0
BURST_SIGNALS = 50_000.0
ALERT_RESERVE = 1_000.0
RECENT_RECEIPTS = 32  # said again with a RENEW; a lost one costs a repeated alert
MAX_SOFT = 1024  # names of states per sender whose order is remembered


class Stage(enum.Enum):
    """Where a session is in its life."""

    PENDING = "pending"
    LIVE = "live"
    LATE = "late"


class Sender:
    """Whoever signals come from: an order for its states, once each."""

    def __init__(self, peer: Peer, now: float) -> None:
        self.peer = peer
        self.heard_at = now
        self.ticket = 0  # of the one entry in the server's heap that counts
        self.class_name = ""
        self.way = way_of(peer, wire.NO_SESSION, None)
        self.told_classes: tuple[str, ...] = ()
        self.datagrams = 0
        self.signals = 0
        self.first = 1  # sequence of the first datagram that was sent to us
        self.window = Window()
        self.tokens = BURST_SIGNALS
        self.tokens_at = now
        self.soft: OrderedDict[str, int] = OrderedDict()

    def pay(self, signals: int, now: float) -> bool:
        """Take tokens for so many signals at once; say whether there were as many.

        First the bucket is filled with what time has earned.
        """
        if now != self.tokens_at:
            self.tokens += (now - self.tokens_at) * SIGNALS_PER_S
            self.tokens_at = now
            # min() would take as long as all else here.
            if self.tokens > BURST_SIGNALS:  # noqa: PLR1730
                self.tokens = BURST_SIGNALS
        if self.tokens < signals:
            return False
        self.tokens -= signals
        return True

    def spend(self, signal: Signal) -> bool:
        """Take a token for a signal; say whether there was one.

        Alerts may draw on a reserve, so that a chatty host's own flood does not hide
        them.
        """
        if self.tokens < 1 and (
            self.tokens < 1 - ALERT_RESERVE
            or not (isinstance(signal, Event) and signal.tier is Tier.ALERT)
        ):
            return False
        self.tokens -= 1
        return True

    def newest(self, signal: Signal, sequence: int) -> bool:
        """Say whether a state is not older than what is known of it."""
        if isinstance(signal, Event):
            return True
        if self.soft.get(signal.name, -1) > sequence:
            return False
        self.soft[signal.name] = sequence
        self.soft.move_to_end(signal.name)
        if len(self.soft) > MAX_SOFT:
            self.soft.popitem(last=False)
        return True

    def missed(self) -> int:
        """Return how many datagrams were sent to us and did not come."""
        return max(0, self.window.highest - self.first + 1 - self.datagrams)


class Session(Sender):
    """One agent's session."""

    def __init__(
        self,
        peer: Peer,
        now: float,
        session: bytes,
        nonce: bytes,
        key: ClassKey | None = None,
    ) -> None:
        super().__init__(peer, now)
        self.session = session
        self.nonce = nonce
        self.lease_s = 0.0
        self.longest_s = 0.0  # what the agent asked for: never more is granted
        self.key = key
        self.way = way_of(peer, session, key)
        self.key_id = 0 if key is None else key.key_id  # 0: the session is open
        self.transport: Transport | None = None
        self.recorded: deque[SignalId] = deque(maxlen=RECENT_RECEIPTS)
        self.grant = b""  # as sent: the same REGISTER gets the same GRANT
        self.stage = Stage.PENDING
        self.sequence = 0
        self.prompt_at = 0.0
        self.prompts = 0
        self.asked = 1  # sequence of the first prompt that was not answered
        self.prompted = 0  # and of the latest
        self.introduced = -1  # sequence of the newest CLASSES

    def remember(self, alerts: Iterable[SignalId]) -> None:
        """Name these receipts again with the next RENEW."""
        self.recorded.extend(one for one in alerts if one not in self.recorded)

    def info(self, now: float) -> AgentInfo:
        """Return how this session stands."""
        return AgentInfo(
            peer=self.peer,
            classes=self.told_classes,
            stage=self.stage.value,
            sealed=self.key is not None,
            lease_s=self.lease_s,
            lease_left_s=self.heard_at + self.lease_s - now,
            datagrams=self.datagrams,
            missed=self.missed(),
            signals=self.signals,
        )

    def due(self) -> float:
        """Return when this session wants to be looked at."""
        if self.stage is Stage.PENDING:
            return self.heard_at + PENDING_S
        leases = 1.0 if self.stage is Stage.LIVE else lease.LOST_AT
        return min(self.prompt_at, self.heard_at + leases * self.lease_s)


class Dumb(Sender):
    """A sender without a session."""

    def __init__(self, peer: Peer, now: float) -> None:
        super().__init__(peer, now)
        self.repeat_s = DUMB_REPEAT_S

    def info(self, now: float) -> AgentInfo:
        """Return how this sender stands."""
        life_s = STALE_REPEATS * self.repeat_s
        return AgentInfo(
            peer=self.peer,
            classes=(self.class_name,),
            stage="dumb",
            sealed=False,
            lease_s=life_s,
            lease_left_s=self.heard_at + life_s - now,
            datagrams=self.datagrams,
            missed=self.missed(),
            signals=self.signals,
        )

    def due(self) -> float:
        """Return when its silence means that it is gone."""
        return self.heard_at + STALE_REPEATS * self.repeat_s


def way_of(peer: Peer, session: bytes, key: ClassKey | None) -> Way:
    """Return by which way a sender's signals come."""
    sealed = b"" if key is None else key.class_name.encode()
    identity = hashlib.blake2b(peer.agent_id, key=sealed, digest_size=8).digest()
    return Way(identity, peer.agent_id, session, peer.address)
