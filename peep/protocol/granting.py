"""Granting: the server's side of the handshake, and how long a lease is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol import lease, packets, wire
from peep.protocol.events import Peer
from peep.protocol.sealing import respond
from peep.protocol.sessions import Session
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.protocol.addresses import Address
    from peep.protocol.door import ServerConfig
    from peep.protocol.sealing import Keys


class Granter:
    """Makes sessions of those who brought their cookie back."""

    def __init__(
        self, config: ServerConfig, keys: Keys, new_id: Callable[[int], bytes]
    ) -> None:
        self._config = config
        self._keys = keys
        self._new_id = new_id

    def session(
        self,
        parsed: wire.Parsed,
        body: packets.Register,
        address: Address,
        now: float,
        sessions: int,
    ) -> Session:
        """Return a session with its GRANT; RemoteProtocolError if there is none.

        `sessions` is how many there are already. Nothing is kept of a REGISTER that was
        refused.
        """
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
            key,
        )
        session.longest_s = _longest(wish.lease_s)
        session.lease_s = self.lease_s(session, sessions)
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
        return session

    def lease_s(self, session: Session, sessions: int) -> float:
        """Return the lease to grant: stretched under load, never beyond the wish."""
        own = lease.stretched(
            float(self._config.lease_s), sessions, self._config.profile.prompt_at
        )
        return min(session.longest_s, float(packets.MAX_LEASE_S), float(int(own)))


def _longest(wished_s: int) -> float:
    """Return the longest lease that an agent's wish allows; refuse FOREVER."""
    if wished_s == packets.FOREVER_LEASE:
        raise RemoteProtocolError(Reason.FOREVER)
    if wished_s == packets.ANY_LEASE:
        return float(packets.MAX_LEASE_S)
    return float(max(packets.MIN_LEASE_S, wished_s))
