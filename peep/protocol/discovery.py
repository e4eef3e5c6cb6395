"""Finding servers: open, untrusted; it only proposes addresses.

A burst of REQUESTs with growing gaps, then silence: servers announce themselves when
they start and every two minutes. An ANNOUNCE leads to one REQUEST to its address, never
more. Servers already known are named in each REQUEST, so that they need not answer.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import msgspec

from peep.errors import RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.addresses import Address, Broadcast, Datagram, Destination
from peep.protocol.packets import ANNOUNCE_PORT, MAX_DISCOVERY_BYTES, SERVER_PORT
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peep.protocol.lease import Chance

SEEK_GAPS_S = (0.25, 0.5, 1.0, 2.0, 4.0)
ANSWER_WINDOW_S = 5.0  # an OFFER later than this answers nothing
ASK_AGAIN_S = 1.0  # per address: an announcement storm must not become ours
MAX_ASKED = 256  # addresses remembered for that; a storm of false servers

# What a REQUEST holds beside its classes: header, padding, the ids heard.
_CLASSES_BYTES = (
    MAX_DISCOVERY_BYTES
    - wire.HEADER_BYTES
    - len(packets.Request(["x"]).padding)
    - packets.MAX_HEARD * (packets.ID_BYTES + 2)
    - 12
)


class Found(msgspec.Struct, frozen=True):
    """A server offered itself; nothing is agreed yet."""

    address: Address
    server_id: bytes
    classes: tuple[str, ...]
    cookie: bytes


class Seeker:
    """Asks for servers. `known` says which need not answer."""

    def __init__(
        self,
        agent_id: bytes,
        classes: Sequence[str],
        chance: Chance,
        known: Callable[[], list[bytes]],
    ) -> None:
        self._agent_id = agent_id
        self._classes = tuple(classes)
        self._chance = chance
        self._known = known
        self._asked: OrderedDict[Address, float] = OrderedDict()
        self._requests = 0
        self._step = 0
        self._at: float | None = None
        self._last_request = float("-inf")
        self.out: list[Datagram] = []

    def start(self, now: float) -> None:
        """Begin a burst."""
        self._step = 0
        self._at = now

    def stop(self) -> None:
        """Ask no more."""
        self._at = None

    def next_timer(self) -> float | None:
        """Return when the next REQUEST is due, or None."""
        return self._at

    def handle_timer(self, now: float) -> None:
        """Ask, if it is time."""
        if self._at is None or now < self._at:
            return
        self._request(Broadcast(SERVER_PORT), now)
        self._request(Broadcast(ANNOUNCE_PORT), now)
        if self._step < len(SEEK_GAPS_S):
            self._at = now + SEEK_GAPS_S[self._step] * (0.75 + self._chance() / 2)
            self._step += 1
        else:
            self._at = None

    def on_announce(self, body: packets.Announce, address: Address, now: float) -> None:
        """Ask a server that announced itself, if it may be one of ours."""
        wild = any(name.startswith("*.") for name in body.classes)
        if not wild and set(body.classes).isdisjoint(self._classes):
            return
        if now - self._asked.get(address, float("-inf")) < ASK_AGAIN_S:
            return
        self._asked[address] = now
        self._asked.move_to_end(address)
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)
        self._request(address, now)

    def on_offer(
        self, header: wire.Header, body: packets.Offer, address: Address, now: float
    ) -> Found:
        """Return what was offered; RemoteProtocolError if nobody asked for it."""
        if now - self._last_request > ANSWER_WINDOW_S:
            raise RemoteProtocolError(Reason.UNASKED)
        classes = tuple(name for name in body.classes if name in self._classes)
        if not classes:
            raise RemoteProtocolError(Reason.NO_SHARED_CLASS)
        return Found(address, header.sender, classes, body.cookie)

    def _request(self, to: Destination, now: float) -> None:
        self._last_request = now
        self._requests += 1
        header = wire.Header(self._agent_id, sequence=self._requests)
        heard = self._known()[: packets.MAX_HEARD]
        for classes in split(self._classes):
            body = packets.Request(classes, heard)
            self.out.append(Datagram(wire.encode(header, body), to))


class DiscoveryProtocol:
    """Looks for servers and agrees nothing with them."""

    def __init__(self, agent_id: bytes, classes: Sequence[str], chance: Chance) -> None:
        self._found: dict[bytes, Found] = {}
        self._seeker = Seeker(agent_id, classes, chance, lambda: list(self._found))
        self._events: deque[Found] = deque()

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


def split(classes: Sequence[str]) -> list[list[str]]:
    """Split classes so that each list fits a discovery datagram, and its receiver."""
    out: list[list[str]] = [[]]
    size = 0
    for name in classes:
        full = (
            size + len(name) + 2 > _CLASSES_BYTES
            or len(out[-1]) == packets.MAX_CLASSES
        )
        if out[-1] and full:
            out.append([])
            size = 0
        out[-1].append(name)
        size += len(name) + 2
    return out
