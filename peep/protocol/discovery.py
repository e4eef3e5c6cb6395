"""Finding servers: open, untrusted; it only proposes addresses.

A burst of REQUESTs with growing gaps, then silence: servers announce themselves when
they start and every two minutes. An ANNOUNCE leads to a REQUEST to its address, which
is repeated a few times until there is an offer: were it lost, the next announcement
would be minutes off. Servers already known are named in each REQUEST, so that they need
not answer.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from peep.errors import RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.addresses import Address, Broadcast, Datagram, Destination
from peep.protocol.classes import NONE, shared
from peep.protocol.packets import ANNOUNCE_PORT, MAX_DISCOVERY_BYTES, SERVER_PORT
from peep.protocol.policy import Network, Policy, within
from peep.protocol.profiles import PEEP, Profile
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from peep.protocol.lease import Chance

ANSWER_WINDOW_S = 5.0  # an OFFER later than this answers nothing
START_JITTER_S = 0.1
ANSWER_SPREAD_S = 0.25
ANSWERS_PER_S = 1000.0  # that a server takes without losing any
ASK_TIMES = 4  # after an ANNOUNCE, until there is an offer: the next is minutes off
ASK_AGAIN_S = 1.0  # per address: an announcement storm must not become ours
MAX_ASKED = 256  # addresses remembered for that; a storm of false servers

# What a REQUEST holds beside its classes and the ids heard: header, padding, arrays.
_FIXED_BYTES = wire.HEADER_BYTES + len(packets.Request(["x"]).padding) + 12
_HEARD_BYTES = packets.ID_BYTES + 2


class SeekConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, for what, and how loudly.

    `subnets` says of a class where its name may be told, and of others nothing. `near`
    are the networks from which announcements are believed; None believes all. No
    question is larger than `mtu_bytes`, headers apart, but for a single class's.
    """

    agent_id: bytes
    classes: tuple[str, ...]
    profile: Profile = PEEP
    policy: Policy = Policy()
    subnets: Mapping[str, tuple[str, ...]] = {}
    near: tuple[Network, ...] | None = None
    mtu_bytes: int = MAX_DISCOVERY_BYTES


class Found(msgspec.Struct, frozen=True):
    """A server offered itself; nothing is agreed yet."""

    address: Address
    server_id: bytes
    classes: tuple[str, ...]
    cookie: bytes


class _Planned(NamedTuple):
    """When to ask a server that announced itself, and how often again."""

    at: float
    left: int


class Seeker:
    """Asks for servers. `known` says which need not answer."""

    def __init__(
        self,
        config: SeekConfig,
        chance: Chance,
        known: Callable[[], list[bytes]],
    ) -> None:
        self._config = config
        self._chance = chance
        self._known = known
        self._asked: OrderedDict[Address, float] = OrderedDict()
        self._planned: dict[Address, _Planned] = {}
        self._requests = 0
        self._step = 0
        self._at: float | None = None
        self._last_request = float("-inf")
        self.classes = config.classes
        self.near = config.near
        self.out: list[Datagram] = []

    def start(self, now: float) -> None:
        """Begin a burst, a moment from now: hosts that boot together must spread."""
        self._step = 0
        self._at = now + START_JITTER_S * self._chance()

    def later(self, now: float, after_s: float) -> None:
        """Begin a burst in a while, more or less, unless one is under way."""
        if self._at is None:
            self._step = 0
            self._at = now + after_s * (0.75 + self._chance() / 2)

    def stop(self) -> None:
        """Ask no more."""
        self._at = None
        self._planned.clear()

    def next_timer(self) -> float | None:
        """Return when the next REQUEST is due, or None."""
        times = [planned.at for planned in self._planned.values()]
        if self._at is not None:
            times.append(self._at)
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        """Ask, if it is time."""
        for address, planned in list(self._planned.items()):
            if planned.at <= now:
                self._request(address, self.classes, now)
                if planned.left:
                    again_at = now + ASK_AGAIN_S * (0.75 + self._chance() / 2)
                    self._planned[address] = _Planned(again_at, planned.left - 1)
                else:
                    del self._planned[address]
        if self._at is None or now < self._at:
            return
        for subnets, classes in by_subnets(self.classes, self._config.subnets):
            self._request(Broadcast(SERVER_PORT, subnets), classes, now)
            self._request(Broadcast(ANNOUNCE_PORT, subnets), classes, now)
        gaps = self._config.profile.seek_gaps_s
        if self._step < len(gaps):
            self._at = now + gaps[self._step] * (0.75 + self._chance() / 2)
            self._step += 1
        else:
            self._at = None

    def propose(self, address: Address, now: float) -> None:
        """Ask a server that somebody says is there."""
        if NONE not in self.classes and self._may_ask(address, now):
            self._request(address, self.classes, now)

    def on_announce(self, body: packets.Announce, address: Address, now: float) -> None:
        """Ask a server that announced itself, if it may be one of ours.

        RemoteProtocolError if it is not near, or refused by policy.
        """
        self._config.policy.check_address(address[0])
        near = self.near
        known = near is None or address in self._asked
        if not known and not within(address[0], near or ()):
            raise RemoteProtocolError(Reason.NOT_NEAR)
        if not shared(body.classes, self.classes):
            return
        if self._may_ask(address, now) and len(self._planned) < MAX_ASKED:
            # All its agents hear this at once: a thousand answers need a second.
            spread_s = max(ANSWER_SPREAD_S, body.agents / ANSWERS_PER_S)
            at = now + spread_s * self._chance()
            self._planned[address] = _Planned(at, ASK_TIMES - 1)

    def on_offer(
        self, header: wire.Header, body: packets.Offer, address: Address, now: float
    ) -> Found:
        """Return what was offered; RemoteProtocolError if nobody asked for it."""
        if now - self._last_request > ANSWER_WINDOW_S:
            raise RemoteProtocolError(Reason.UNASKED)
        self._config.policy.check_address(address[0])
        self._planned.pop(address, None)
        classes = tuple(name for name in self.classes if name in body.classes)
        if not classes:
            raise RemoteProtocolError(Reason.NO_SHARED_CLASS)
        return Found(address, header.sender, classes, body.cookie)

    def _may_ask(self, address: Address, now: float) -> bool:
        if now - self._asked.get(address, float("-inf")) < ASK_AGAIN_S:
            return False
        self._asked[address] = now
        self._asked.move_to_end(address)
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)
        return True

    def _request(self, to: Destination, classes: Sequence[str], now: float) -> None:
        self._last_request = now
        self._requests += 1
        header = wire.Header(self._config.agent_id, sequence=self._requests)
        room = self._config.mtu_bytes - _FIXED_BYTES
        heard = self._known()[: min(packets.MAX_HEARD, room // 2 // _HEARD_BYTES)]
        for part in split(classes, room - len(heard) * _HEARD_BYTES):
            body = packets.Request(part, heard)
            self.out.append(Datagram(wire.encode(header, body), to))


class DiscoveryProtocol:
    """Looks for servers and agrees nothing with them."""

    def __init__(self, config: SeekConfig, chance: Chance) -> None:
        self._found: dict[bytes, Found] = {}
        self._seeker = Seeker(config, chance, lambda: list(self._found))
        self._events: deque[Found] = deque()

    def propose(self, address: Address, now: float) -> None:
        """Ask a server that somebody says is there."""
        self._seeker.propose(address, now)

    def start(self, now: float) -> None:
        """Begin a burst."""
        self._seeker.start(now)

    def stop(self, now: float) -> None:  # noqa: ARG002 - a verb
        """Ask no more."""
        self._seeker.stop()

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take an OFFER or an ANNOUNCE; whatever else comes is not for us."""
        try:
            header, body = wire.decode(data)
            if isinstance(body, packets.Announce):
                self._seeker.on_announce(body, address, now)
            elif isinstance(body, packets.Offer) and header.sender not in self._found:
                found = self._seeker.on_offer(header, body, address, now)
                if len(self._found) < MAX_ASKED:
                    self._found[header.sender] = found
                    self._events.append(found)
        except RemoteProtocolError:
            return

    def handle_timer(self, now: float) -> None:
        """Ask, if it is time."""
        self._seeker.handle_timer(now)

    def next_timer(self) -> float | None:
        """Return when the next REQUEST is due, or None."""
        return self._seeker.next_timer()

    def datagrams_to_send(self, now: float) -> list[Datagram]:  # noqa: ARG002 - a verb
        """Return what is to be sent now, and forget it."""
        out, self._seeker.out = self._seeker.out, []
        return out

    def next_event(self) -> Found | None:
        """Return the oldest untold server, or None."""
        return self._events.popleft() if self._events else None


def by_subnets(
    classes: Sequence[str], subnets: Mapping[str, tuple[str, ...]]
) -> list[tuple[tuple[str, ...], list[str]]]:
    """Group classes by where their names may be told; () is everywhere."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in classes:
        if name == NONE:
            continue
        groups.setdefault(subnets.get(name, ()), []).append(name)
    return list(groups.items())


def split(classes: Sequence[str], room_bytes: int) -> list[list[str]]:
    """Split classes so that each list fits a discovery datagram."""
    out: list[list[str]] = [[]]
    size = 0
    for name in classes:
        full = len(out[-1]) == packets.MAX_CLASSES
        if out[-1] and (full or size + len(name) + 2 > room_bytes):
            out.append([])
            size = 0
        out[-1].append(name)
        size += len(name) + 2
    return [part for part in out if part]
