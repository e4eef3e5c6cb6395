"""The agent's side of protocol 3, without a socket or a clock.

Finding servers is discovery.py's. A lapsed or lost server starts a new burst there.

What it has to say, and to whom, is mail.py's.

A class with a key is sealed: the keys of the shared classes are tried, newest first,
and no open session is made with a server that shares one. The seal is noise.py's.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import hello, lease, packets, wire
from peep.protocol.addresses import Address, Datagram
from peep.protocol.batch import Born, ids_of
from peep.protocol.discovery import SeekConfig, Seeker
from peep.protocol.events import Confirmed, Dropped, Gone, Joined, Lapsed, Refused
from peep.protocol.links import Link, Stage
from peep.protocol.mail import Mail
from peep.protocol.sealing import Keys
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from random import Random

    from peep.protocol.addresses import Address
    from peep.protocol.events import AgentEvent
    from peep.protocol.keys import ClassKey
    from peep.protocol.packets import Packet
    from peep.protocol.policy import Network
    from peep.signals import Signal, SignalId

HANDSHAKE_GAPS_S = (0.25, 0.5, 1.0, 2.0, 2.5)
# After a handshake that failed: for want of luck it is tried again soon, and then ever
# later; a refusal may need a person.
AGAIN_S = 2.0
LATER_S = 60.0
MAX_FAILURES = 5  # that are counted: 2 s doubled so often is more than a minute
# A fresh handshake long before sequence numbers run out at 2**32.
REKEY_AT = 1 << 31
WAKE_S = 60.0  # longer than any timer of a leased agent waits: the host was suspended

# Bounds. A network full of false servers must not fill an agent's memory.
MAX_LINKS = 32


class AgentConfig(SeekConfig, frozen=True, kw_only=True):
    """Who this agent is. A class for which there is a key is sealed."""

    host: str
    classes: tuple[str, ...] = ("public",)
    keys: tuple[ClassKey, ...] = ()
    labels: Mapping[str, str] = {}
    lease_s: int = packets.ANY_LEASE
    repeat_s: int = 30


_SESSION = frozenset(
    {
        packets.PacketType.ACK,
        packets.PacketType.RENEW,
        packets.PacketType.RECEIPT,
        packets.PacketType.BYE,
    }
)


class AgentProtocol:
    """Finds servers, keeps leases, sends signals. Fed bytes and times."""

    def __init__(
        self,
        config: AgentConfig,
        rng: Random,
        new_id: Callable[[int], bytes] | None = None,
    ) -> None:
        """`new_id(bytes)` draws ids that nobody can guess; by default, `rng` does."""
        self._new_id = new_id or rng.randbytes
        self._config = config
        self._rng = rng
        self._links: dict[bytes, Link] = {}
        self._keys = Keys(config.keys)
        self._seeker = Seeker(config, rng.random, self._known)
        self._mail = Mail(config.repeat_s, self._new_id, rng.random, self._say)
        self._out: list[Datagram] = []
        self._events: deque[AgentEvent] = deque()
        self._handled_at = float("inf")
        self._failures = 0  # handshakes that came to nothing since the last lease

    # -- what the driver calls --------------------------------------------

    def start(self, now: float) -> None:
        """Begin to look for servers."""
        self._seeker.start(now)

    def stop(self, now: float) -> None:
        """Send what waits, and say BYE to every server."""
        for link in self._links.values():
            if link.stage is Stage.LEASED:
                self._mail.flush(link, now)
                self._say(link, packets.Bye())
        self._links.clear()
        self._seeker.stop()

    def send(
        self, signal: Signal, now: float, age_s: float = 0.0, *, again: bool = False
    ) -> None:
        """Queue a signal for every leased server.

        `again`: another process of this agent kept it, and may have said it.
        """
        self.send_all([Born(signal, now - age_s, again)], now)

    def send_all(self, batch: Iterable[Born], now: float) -> None:
        """Queue many signals, as `send` does one."""
        self._mail.send(batch, now, self._leased())

    @property
    def overflowed(self) -> int:
        """Return how many events were pushed out while no server was there."""
        return self._mail.overflowed

    def forget(self, alerts: Iterable[SignalId]) -> None:
        """Give up alerts for which whoever keeps them has no room."""
        self._mail.forget(alerts, self._links.values())

    def unconfirmed(self) -> int:
        """Return how many alerts wait for a receipt."""
        return len(self._mail.outbox)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that this agent is in."""
        return self._seeker.classes

    def set_classes(self, classes: Sequence[str], now: float) -> None:
        """Change classes while running: tell every server, and look for others.

        Where that changes which keys are to be used, sessions are made anew.
        """
        before = self._keys.for_classes(self.classes)
        self._seeker.classes = tuple(self._config.policy.allowed(classes))
        rekey = self._keys.for_classes(self.classes) != before
        for link in list(self._links.values()):
            if link.stage is Stage.LEASED:
                self._mail.flush(link, now)
                self._say(link, packets.Bye() if rekey else self._introduction())
            if rekey:
                self._drop(link, now)
        self._seeker.start(now)

    def set_near(self, networks: Sequence[Network], now: float) -> None:
        """Say which networks one's own interfaces are on now, and look there."""
        self._seeker.near = tuple(networks)
        self._seeker.start(now)

    def propose(self, address: Address, now: float) -> None:
        """Ask a server that somebody says is there."""
        if all(link.address != address for link in self._links.values()):
            self._seeker.propose(address, now)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram; what is wrong with it becomes a Dropped event."""
        try:
            parsed = wire.parse(data)
            if parsed.kind in _SESSION:
                self._on_session(parsed, address, now)
            else:
                body = wire.read(parsed.kind, parsed.body)
                self._on_open(parsed, body, address, now)
        except RemoteProtocolError as problem:
            self._events.append(Dropped(problem.reason, address))

    def handle_timer(self, now: float) -> None:
        """Do what has come due."""
        woke = now - self._handled_at > WAKE_S
        self._handled_at = now
        self._seeker.handle_timer(now)
        if woke:
            self._ask_all()
            self._seeker.start(now)
        for link in list(self._links.values()):
            self._handle_link(link, now)

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        times = [link.next_timer() for link in self._links.values()]
        seek_at = self._seeker.next_timer()
        if seek_at is not None:
            times.append(seek_at)
        # Looked at now and then even with nothing to do: a suspend shows as a gap.
        if self._handled_at < float("inf"):
            times.append(self._handled_at + WAKE_S / 2)
        return min(times, default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return what is to be sent now, and forget it."""
        for link in list(self._links.values()):
            if link.stage is Stage.LEASED and link.flush_due(now):
                self._mail.flush(link, now)
            if link.sequence >= REKEY_AT and link.stage is Stage.LEASED:
                self._say(link, packets.Bye())
                self._drop(link, now)
        out = self._seeker.out + self._out
        self._seeker.out, self._out = [], []
        return out

    def next_event(self) -> AgentEvent | None:
        """Return the oldest untold event, or None."""
        return self._events.popleft() if self._events else None

    def leased(self) -> int:
        """Return how many servers hear this agent now."""
        return len(self._leased())

    # -- words from outside -------------------------------------------------

    def _on_open(
        self, parsed: wire.Parsed, body: Packet, address: Address, now: float
    ) -> None:
        match body:
            case packets.Announce():
                self._on_announce(parsed.header, body, address, now)
            case packets.Offer():
                self._on_offer(parsed.header, body, address, now)
            case packets.Grant():
                self._on_grant(parsed.header, body, address, now)
            case packets.ExceptionHint():
                self._on_hint(parsed.header, body, address, now)
            case packets.Request():
                pass  # other agents' questions share port 2000
            case _:
                raise RemoteProtocolError(Reason.UNASKED)

    def _on_announce(
        self,
        header: wire.Header,
        body: packets.Announce,
        address: Address,
        now: float,
    ) -> None:
        if header.sender not in self._known():
            self._seeker.on_announce(body, address, now)

    def _on_offer(
        self, header: wire.Header, body: packets.Offer, address: Address, now: float
    ) -> None:
        found = self._seeker.on_offer(header, body, address, now)
        if header.sender in self._known():
            return  # it answered twice, or on two ways
        if header.sender not in self._links and len(self._links) >= MAX_LINKS:
            raise RemoteProtocolError(Reason.TABLE_FULL)
        classes = self._config.policy.allowed(found.classes)
        # Sealed before open, and never open where one of the classes has a key.
        keys = self._keys.for_classes(classes)
        for key_id in [key.key_id for key in keys] or [0]:
            self._config.policy.check_key(key_id)
        link = Link(header.sender, address, keys, self._rng.random)
        self._links[header.sender] = link
        link.cookie = found.cookie
        self._register(link)
        self._handshake(link, now)

    def _on_grant(
        self, header: wire.Header, body: packets.Grant, address: Address, now: float
    ) -> None:
        link = self._links.get(header.sender)
        if link is None or link.nonce != body.nonce or link.address != address:
            raise RemoteProtocolError(Reason.UNASKED)
        if link.stage is not Stage.ASKED:
            return  # the answer to a repeated REGISTER
        hello.accept(link, header, body, self._config.lease_s)
        # Two servers cannot share an address: the one we knew there is dead.
        for other in [k for k in self._links.values() if k.address == address]:
            if other is not link:
                del self._links[other.server_id]
                self._events.append(Gone(address))
                self._part(other)
        link.heard_at = now
        link.stage = Stage.GREETED
        link.tries = 0
        self._handshake(link, now)

    def _on_hint(
        self,
        header: wire.Header,
        body: packets.ExceptionHint,
        address: Address,
        now: float,
    ) -> None:
        """Hints end nothing; one may save waiting for a key that is not held there."""
        link = self._links.get(header.sender)
        if link is None or link.address != address:
            return
        unknown_key = body.code is packets.ExceptionCode.UNKNOWN_KEY
        if unknown_key and link.stage is Stage.ASKED and len(link.keys) > 1:
            self._next_key(link, now)
        elif link.stage in (Stage.ASKED, Stage.GREETED) and not link.hinted:
            link.hinted = True
            self._events.append(Refused(address, body.code))

    def _on_session(self, parsed: wire.Parsed, address: Address, now: float) -> None:
        link = self._links.get(parsed.header.sender)
        if link is None:
            raise RemoteProtocolError(Reason.UNKNOWN_SESSION)
        body = link.read(parsed, address)
        link.heard_at = now
        if isinstance(body, packets.Bye):
            self._drop(link, now)
        else:
            self._on_word(link, body, parsed.header.sequence, now)

    def _on_word(self, link: Link, body: Packet, sequence: int, now: float) -> None:
        if isinstance(body, packets.Renew):
            # A length that cannot be taken changes nothing, and is answered, too.
            if body.lease_s != packets.ANY_LEASE:
                with contextlib.suppress(RemoteProtocolError):
                    link.lease_s = hello.acceptable(body.lease_s, self._config.lease_s)
            self._say(link, packets.Ack(sequence))
        if isinstance(body, packets.Renew | packets.Receipt):
            self._confirm(self._mail.receipt(link, ids_of(body.recorded)))
        if link.stage is Stage.LAPSED or (
            link.stage is Stage.GREETED and isinstance(body, packets.Ack)
        ):
            self._lease(link, now)
        if link.stage is Stage.LEASED:
            link.tries = 0
            link.retry_at = now + lease.ASK_AT * link.lease_s

    # -- what comes due -----------------------------------------------------

    def _handle_link(self, link: Link, now: float) -> None:
        match link.stage:
            case Stage.ASKED | Stage.GREETED:
                if link.retry_at is not None and now >= link.retry_at:
                    self._try_again(link, now)
            case Stage.LEASED:
                self._keep_lease(link, now)
            case Stage.LAPSED:
                if now >= link.heard_at + lease.LOST_AT * link.lease_s:
                    self._drop(link, now)

    def _try_again(self, link: Link, now: float) -> None:
        if link.tries < len(HANDSHAKE_GAPS_S):
            self._handshake(link, now)
        elif link.stage is Stage.ASKED and len(link.keys) > 1:
            self._next_key(link, now)
        else:
            self._drop(link, now)

    def _keep_lease(self, link: Link, now: float) -> None:
        if now >= link.heard_at + link.lease_s:
            link.stage = Stage.LAPSED
            link.retry_at = None
            self._events.append(Lapsed(link.address))
            self._part(link)
            self._seeker.start(now)
            return
        if link.retry_at is not None and now >= link.retry_at:
            link.tries += 1
            self._say(link, packets.Renew())
            link.retry_at = now + lease.retry(link.tries, self._rng.random)
        if now >= link.repeat_at:
            self._mail.repeat(link, now)
            link.repeat_at = now + self._config.repeat_s

    def _known(self) -> list[bytes]:
        """Return the servers that need no further offer."""
        return [
            k.server_id for k in self._links.values() if k.stage is not Stage.LAPSED
        ]

    def _leased(self) -> list[Link]:
        return [k for k in self._links.values() if k.stage is Stage.LEASED]

    def _register(self, link: Link) -> None:
        nonce = self._new_id(packets.ID_BYTES)
        hello.register(link, self._config.agent_id, nonce, self._config.lease_s)

    def _next_key(self, link: Link, now: float) -> None:
        """Try the next older key: the server seems not to hold this one."""
        link.keys = link.keys[1:]
        self._register(link)
        self._handshake(link, now)

    def _handshake(self, link: Link, now: float) -> None:
        if link.stage is Stage.ASKED:
            self._out.append(Datagram(link.register, link.address))
        else:
            self._say(link, self._introduction())
        link.retry_at = now + HANDSHAKE_GAPS_S[link.tries]
        link.tries += 1

    def _introduction(self) -> packets.Classes:
        return hello.introduction(self._config.host, self.classes, self._config.labels)

    def _ask_all(self) -> None:
        """After a suspend, ask first: the server may have given us up."""
        for link in self._leased():
            self._say(link, packets.Renew())

    def _lease(self, link: Link, now: float) -> None:
        link.stage = Stage.LEASED
        link.repeat_at = now  # tells every state at once
        class_name = link.keys[0].class_name if link.keys else ""
        self._events.append(Joined(link.address, link.lease_s, class_name))
        self._failures = 0
        self._mail.join(link, now)

    def _drop(self, link: Link, now: float) -> None:
        del self._links[link.server_id]
        self._events.append(Gone(link.address))
        self._part(link)
        if link.stage is Stage.ASKED:
            after_s = LATER_S if link.hinted else AGAIN_S * 2**self._failures
            self._failures = min(self._failures + 1, MAX_FAILURES)
            self._seeker.later(now, min(LATER_S, after_s))
        else:
            self._seeker.start(now)

    # -- words to a server ----------------------------------------------------

    def _say(self, link: Link, body: Packet) -> None:
        self._out.append(link.word(self._config.agent_id, body))

    def _part(self, link: Link) -> None:
        others = [k for k in self._leased() if k is not link]
        self._confirm(self._mail.part(link, others))

    def _confirm(self, alerts: Sequence[SignalId]) -> None:
        if alerts:
            self._events.append(Confirmed(tuple(alerts)))
