"""Agents that join a server by their real machines, then speak at a bench's pace.

What they say is packed and sealed as an agent does it, but ahead of time: what is
measured is the server.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from peep.protocol import wire
from peep.protocol.addresses import Broadcast
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.batch import Born, pack
from peep.protocol.keys import ClassKey
from peep.protocol.packets import ID_BYTES, SERVER_PORT
from peep.signals import Event, Tier

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from peep.protocol.addresses import Address
    from peep.protocol.links import Link

CLASS = "bench"
KEY = ClassKey(CLASS, b"a key for a bench, of 32 bytes..")
# What a host's logs say, most of it twice and more.
KINDS = (
    ("ssh.login-failed", "refusal", Tier.ROUTINE),
    ("http.request", "access", Tier.ROUTINE),
    ("http.request", "access", Tier.ROUTINE),
    ("http.error", "error", Tier.NOTABLE),
    ("mail.delivered", "traffic", Tier.ROUTINE),
    ("http.request", "access", Tier.ROUTINE),
)
ALERT_EVERY = 1000
STEPS = 20  # of a handshake, each awaited once; four do
LINE_BYTES = 128  # what a signal of a log is about: its offsets lie so far apart


class Speaker:
    """One agent with a session."""

    def __init__(self, agent_id: bytes, link: Link) -> None:
        self._agent_id = agent_id
        self._link = link
        self._origin = int.from_bytes(agent_id, "big") >> 1
        self._said = 0

    def datagram(self, signals: int, now: float, text: str = "") -> bytes:
        """Return the next datagram, with so many signals in it."""
        batch = []
        for _ in range(signals):
            name, family, tier = KINDS[self._said % len(KINDS)]
            self._said += 1
            if self._said % ALERT_EVERY == 0:
                tier = Tier.ALERT
            event = Event(
                name=name,
                family=family,
                tier=tier,
                text=text,
                origin=self._origin,
                serial=self._said * LINE_BYTES,
            )
            batch.append(Born(event, now))
        link = self._link
        seal = None if link.transport is None else link.transport.seal
        (body,) = pack(batch, now, 30, sealed=seal is not None)
        link.sequence += 1
        header = wire.Header(self._agent_id, link.session, link.sequence, link.key_id)
        return wire.encode(header, body, seal)


def speaker(
    rng: random.Random,
    exchange: Callable[[bytes], Iterable[bytes]],
    server: Address,
    *,
    sealed: bool,
    now: float,
    key: ClassKey = KEY,
) -> Speaker:
    """Let an agent join by a key's class; `exchange(data)` gives what was answered."""
    agent_id = rng.randbytes(ID_BYTES)
    config = AgentConfig(
        agent_id=agent_id,
        host=f"host-{agent_id.hex()}",
        classes=(key.class_name,),
        keys=(key,) if sealed else (),
    )
    machine = AgentProtocol(config, rng)
    machine.start(now)
    for _ in range(STEPS):
        machine.handle_timer(now)
        for data, to in machine.datagrams_to_send(now):
            # A server hears each question once.
            if not isinstance(to, Broadcast) or to.port == SERVER_PORT:
                for answer in exchange(data):
                    machine.receive_datagram(answer, server, now)
        if machine.leased():
            (link,) = machine._links.values()
            return Speaker(agent_id, link)
        now = max(now, machine.next_timer() or now)
    sys.exit("an agent got no lease")
