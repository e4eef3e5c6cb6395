"""What a server says to strangers: announcements, offers, hints.

Before a cookie has come back, no answer is larger than its question, nothing is
remembered and nothing expensive is done. A cookie is a keyed hash of who asked and
when, so the server needs no memory of having given it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import msgspec

from peep.errors import LocalProtocolError, RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.addresses import Address, Broadcast, Datagram
from peep.protocol.classes import shared
from peep.protocol.discovery import by_subnets, split
from peep.protocol.packets import ANNOUNCE_PORT
from peep.protocol.policy import Network, Policy
from peep.protocol.profiles import PEEP, Profile
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peep.protocol.keys import ClassKey
    from peep.protocol.lease import Chance

COOKIE_LIFE_S = 30.0
AGAIN_S = 1.5  # a periodic ANNOUNCE is said twice: the next one is minutes off
HINTS_PER_S = 10.0  # exceptions; more would make us somebody's amplifier

_HINTS = {
    Reason.NOT_ADMITTED: packets.ExceptionCode.NOT_ADMITTED,
    Reason.UNKNOWN_KEY: packets.ExceptionCode.UNKNOWN_KEY,
    Reason.KEY_NEEDED: packets.ExceptionCode.KEY_NEEDED,
    Reason.UNKNOWN_VERSION: packets.ExceptionCode.VERSION,
}
# What an ANNOUNCE holds beside its classes.
_FIXED_BYTES = wire.HEADER_BYTES + 12


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
    mtu_bytes: int = packets.MAX_DISCOVERY_BYTES


class Door:
    """Speaks to whoever has no session. `out` is what it has to send."""

    def __init__(self, config: ServerConfig, chance: Chance) -> None:
        self._config = config
        self._chance = chance
        self._announcements = 0
        self._at: float | None = None
        self._step = 0
        self._again = False
        self._hints = HINTS_PER_S
        self._hinted_at = float("-inf")
        self.classes = tuple(config.policy.allowed(config.classes))
        self.out: list[Datagram] = []

    def start(self, now: float) -> None:
        """Begin to announce."""
        self._at = now
        self._step = 0

    def stop(self) -> None:
        """Announce no more."""
        self._at = None

    def next_timer(self) -> float | None:
        """Return when the next ANNOUNCE is due, or None."""
        return self._at

    def handle_timer(self, now: float, agents: int) -> None:
        """Announce, if it is time; `agents` is how many may be about to answer."""
        if self._at is None or now < self._at:
            return
        for subnets, classes in by_subnets(self.classes, self._config.subnets):
            for part in split(classes, self._config.mtu_bytes - _FIXED_BYTES):
                self._announcements += 1
                header = wire.Header(
                    self._config.server_id, sequence=self._announcements
                )
                body = packets.Announce(part, agents)
                to = Broadcast(ANNOUNCE_PORT, subnets)
                self.out.append(Datagram(wire.encode(header, body), to))
        profile = self._config.profile
        gap = profile.announce_every_s
        if self._step < len(profile.announce_gaps_s):
            gap = profile.announce_gaps_s[self._step]
            self._step += 1
        elif gap is not None and not self._again:
            gap = AGAIN_S
        self._again = gap == AGAIN_S
        jittered = 0.9 + 0.2 * self._chance()
        self._at = None if gap is None else now + gap * jittered

    def offer(
        self,
        header: wire.Header,
        body: packets.Request,
        address: Address,
        now: float,
        size_bytes: int,
    ) -> None:
        """Answer a REQUEST of so many bytes; RemoteProtocolError if it gets none."""
        if self._config.server_id in body.heard:
            return
        classes = shared(self.classes, body.classes)
        if not classes:
            raise RemoteProtocolError(Reason.NO_SHARED_CLASS)
        offer = packets.Offer(self._cookie(header.sender, address, now, 0), classes)
        try:
            data = wire.encode(wire.Header(self._config.server_id), offer)
        except LocalProtocolError:  # named twice, perhaps: our own agents ask for less
            raise RemoteProtocolError(Reason.MALFORMED, "too many classes") from None
        if len(data) > size_bytes:
            raise RemoteProtocolError(Reason.MALFORMED, "a question without padding")
        self.out.append(Datagram(data, address))

    def check_cookie(
        self, agent_id: bytes, cookie: bytes, address: Address, now: float
    ) -> None:
        """RemoteProtocolError unless this cookie was given there, and lately."""
        for back in (0, 1):
            given = self._cookie(agent_id, address, now, back)
            if hmac.compare_digest(given, cookie):
                return
        raise RemoteProtocolError(Reason.BAD_COOKIE)

    def hint(
        self, reason: Reason, address: Address, now: float, refused: bytes
    ) -> None:
        """Say why a datagram was refused, where that helps; never to another hint."""
        code = _HINTS.get(reason)
        if code is None or refused[1:2] == bytes([packets.PacketType.EXCEPTION]):
            return
        earned = (now - self._hinted_at) * HINTS_PER_S
        self._hints = min(HINTS_PER_S, self._hints + earned)
        self._hinted_at = now
        header = wire.Header(self._config.server_id)
        data = wire.encode(header, packets.ExceptionHint(code))
        if self._hints >= 1 and len(data) <= len(refused):
            self._hints -= 1
            self.out.append(Datagram(data, address))

    def _cookie(
        self, agent_id: bytes, address: Address, now: float, back: int
    ) -> bytes:
        epoch = int(now // COOKIE_LIFE_S) - back
        text = f"{address[0]} {address[1]} {epoch} ".encode() + agent_id
        digest = hashlib.blake2b(
            text, key=self._config.secret, digest_size=packets.COOKIE_BYTES
        )
        return digest.digest()
