"""Which hosts there are, and which of them ought to be here and are not.

Leases end when a server does, what it knows of hosts does not: rows are kept, and a
restarted server names those that did not come back. A host is what an agent calls its
own; several agents of one name are one host, here while any of them is.

    state     meaning                                    told by
    present   an agent of it holds a lease
    late      nothing was heard for a whole lease
    lost      … for a lease and a half                   the loss of its agent
    left      its last agent said BYE
    missing   expected, or here when the server ended,   Missing
              and not back within a lease and a half

The leaving of a host that is expected (expectations.py) is borne for as long as a
restart takes, and after a start of the server each that is not there is named, whatever
was told before. What is ephemeral is never missing: it left.

Where all fall silent within a lease and a half, the server itself is *deaf* (ears.py).

A pure machine: fed the protocol's events and times. `now` is seconds of a clock that
never steps, `wall` Unix seconds for the rows.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import replace

from peep.errors import PeepError
from peep.journal.rows import HostRow
from peep.protocol.lease import LOST_AT
from peep.protocol.packets import MAX_CLASSES
from peep.server.ears import Ears
from peep.server.expectations import Expectations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peep.protocol.events import Peer

# The attack: a host that invents names. As many as there may be sessions, so whoever
# is here has room; those that are gone the longest make it.
MAX_HOSTS = 16_384
GRACE_S = 2.0  # a restarted server is found within one, and handshakes take their turn
KEEP_S = 300.0  # how old a kept `last_seen` may be if the server is killed
KEEP_HOSTS = 256  # that are written at a time: a few milliseconds' work

PRESENT, LATE, LOST, LEFT, MISSING = "present", "late", "lost", "left", "missing"


class Missing(msgspec.Struct, frozen=True):
    """These ought to be here, and are not."""

    hosts: tuple[str, ...]


class Deaf(msgspec.Struct, frozen=True):
    """All of these, and there are no others, fell silent together."""

    hosts: tuple[str, ...]


class Hearing(msgspec.Struct, frozen=True):
    """The first is heard again after Deaf."""


class Changed(msgspec.Struct, frozen=True):
    """A host's row is to be kept as it is now."""

    row: HostRow


class Dropped(msgspec.Struct, frozen=True):
    """A host's row need not be kept any longer."""

    name: str


RosterEvent = Missing | Deaf | Hearing | Changed | Dropped


class Introduced(Protocol):
    """What the roster needs of AgentJoined."""

    @property
    def peer(self) -> Peer:
        """Return who it is."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that it shares with this server."""


class _Host:
    """A host: its row, and for each of its agents that hold a lease where it is."""

    def __init__(self, row: HostRow) -> None:
        self.row = row
        self.agents: dict[bytes, str] = {}
        self.late: set[bytes] = set()


class Roster:
    """Knows hosts by name. The verbs that take a peer are the protocol's events."""

    def __init__(
        self,
        lease_s: float,
        expect: Sequence[str] = (),
        ephemeral: Sequence[str] = (),
        rows: Iterable[HostRow] = (),
        started: float = 0.0,
    ) -> None:
        """`ephemeral` are patterns in which * stands for anything; `rows` are as kept.

        Dumb senders are not agents, and nothing is expected of them.
        """
        self._lease_s = lease_s
        self._wait_s = LOST_AT * lease_s + GRACE_S
        self._expectations = Expectations(expect, ephemeral)
        self._events: deque[RosterEvent] = deque()
        self._hosts: dict[str, _Host] = {}
        self._homes: dict[bytes, set[str]] = {}  # an agent's hosts: a clone's are two
        self._here: dict[str, None] = {}  # present; the longest unwritten first
        self._gone: dict[str, None] = {}  # may make room; the longest gone first
        self._awaited: dict[str, float] = {}  # until when; the first due first
        self._ears = Ears(LOST_AT * lease_s)
        self._keep_at = 0.0
        newest = sorted(rows, key=lambda row: row.last_seen, reverse=True)
        for row in newest[MAX_HOSTS:]:
            self._events.append(Dropped(row.name))
        for row in reversed(newest[:MAX_HOSTS]):
            self._hosts[row.name] = _Host(row)
            if row.state in (PRESENT, LATE):
                self._awaited[row.name] = started + self._wait_s
            elif row.name not in self._expectations.names:
                self._gone[row.name] = None
        for name in self._expectations.names:
            self._awaited[name] = started + self._wait_s

    # -- what the protocol tells ----------------------------------------------------

    def joined(self, info: Introduced, now: float, wall: float) -> bool:
        """Take an agent's first word; say whether its host had been given up, aloud."""
        peer = info.peer
        for name in self._homes.get(peer.agent_id, set()) - {peer.host}:
            # Started again under another name: the protocol lets go of its first.
            if self._hosts[name].agents[peer.agent_id] == peer.address[0]:
                self._off(name, peer.agent_id, LEFT, now)
        host = self._hosts.get(peer.host)
        told = host is not None and host.row.state in (LOST, MISSING)
        self._heard(peer, info.classes, now, wall)
        return told and self.alarming(peer.host)

    def returned(self, peer: Peer, now: float, wall: float) -> None:
        """Take a late agent's word, perhaps from another address."""
        self._heard(peer, None, now, wall)

    def late(self, peer: Peer, now: float, wall: float) -> None:
        """Take it that nothing was heard of an agent for a lease."""
        name = self._home(peer)
        host = self._hosts.get(name)
        if host is None or peer.agent_id not in host.agents:
            return
        host.late.add(peer.agent_id)
        self._settle(name, "", now, wall - self._lease_s)

    def lost(self, peer: Peer, now: float, wall: float) -> None:
        """Take it that nothing was heard of an agent for a lease and a half."""
        heard = wall - LOST_AT * self._lease_s
        self._off(self._home(peer), peer.agent_id, LOST, now, heard)

    def left(self, peer: Peer, now: float, wall: float) -> None:
        """Take an agent's BYE."""
        self._off(self._home(peer), peer.agent_id, LEFT, now, wall)

    # -- time -----------------------------------------------------------------------

    def handle_timer(self, now: float, wall: float) -> None:
        """Name those that are missing, and keep rows fresh, if it is time."""
        missing = []
        while self._awaited:
            name, due = next(iter(self._awaited.items()))
            if due > now:
                break
            del self._awaited[name]
            state = MISSING if self.alarming(name) else LEFT
            if state == MISSING:
                missing.append(name)
            host = self._hosts.get(name) or self._new(name)
            if host is not None:
                self._give_up(host, state)
        if missing:
            self._events.append(Missing(tuple(sorted(missing))))
        if self._here and now >= self._keep_at:
            for name in list(islice(self._here, KEEP_HOSTS)):
                self._set(self._hosts[name], last_seen=wall)
                del self._here[name]
                self._here[name] = None
            self._keep_later(now)

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        times = list(islice(self._awaited.values(), 1))
        if self._here:
            times.append(self._keep_at)
        return min(times, default=None)

    # -- questions ------------------------------------------------------------------

    def next_event(self) -> RosterEvent | None:
        """Return the oldest untold event, or None."""
        return self._events.popleft() if self._events else None

    def rows(self) -> list[HostRow]:
        """Return what is known of every host, by name.

        One that was present or late when the server ended, and may still come back,
        has the state of then.
        """
        return [self._hosts[name].row for name in sorted(self._hosts)]

    def row(self, name: str) -> HostRow | None:
        """Return what is known of one host."""
        host = self._hosts.get(name)
        return None if host is None else host.row

    @property
    def deaf(self) -> bool:
        """Say whether it told that it is deaf, and heard nobody since."""
        return self._ears.deaf

    def expected(self, name: str) -> bool:
        """Say whether a host must be there."""
        return name in self._expectations.names

    def alarming(self, name: str) -> bool:
        """Say whether it is an alarm if this host is lost."""
        return self._expectations.alarming(name)

    def forget(self, name: str) -> bool:
        """Take a host off, also if it is expected; say whether it was there.

        PeepError if an agent of it holds a lease.
        """
        host = self._hosts.get(name)
        if host is not None and host.agents:
            raise PeepError(f"{name} is {host.row.state}: stop its agent first")
        was_expected = self._expectations.drop(name)
        self._awaited.pop(name, None)
        if host is not None:
            self._remove(name)
        return was_expected or host is not None

    # -- inside ---------------------------------------------------------------------

    def _home(self, peer: Peer) -> str:
        """Return the name by which this agent is known: it may change it in session."""
        homes = self._homes.get(peer.agent_id, set())
        if peer.host in homes:
            return peer.host
        for name in homes:
            if self._hosts[name].agents[peer.agent_id] == peer.address[0]:
                return name
        return peer.host

    def _heard(
        self, peer: Peer, classes: tuple[str, ...] | None, now: float, wall: float
    ) -> None:
        name = peer.host if classes is not None else self._home(peer)
        host = self._hosts.get(name) or self._new(name)
        if host is None:
            return
        if self._ears.heard(name):
            self._events.append(Hearing())
        if classes is None:
            classes = host.row.classes
        elif host.agents.keys() - {peer.agent_id}:
            both = dict.fromkeys((*host.row.classes, *classes))
            classes = tuple(both)[:MAX_CLASSES]
        host.agents[peer.agent_id] = peer.address[0]
        host.late.discard(peer.agent_id)
        self._homes.setdefault(peer.agent_id, set()).add(name)
        self._awaited.pop(name, None)
        self._gone.pop(name, None)
        if not self._here:
            self._keep_later(now)
        self._here[name] = None
        self._set(
            host,
            state=PRESENT,
            agent_id=peer.agent_id,
            classes=classes,
            address=peer.address[0],
            first_seen=host.row.first_seen or wall,
            last_seen=wall,
        )

    def _off(
        self, name: str, agent_id: bytes, state: str, now: float, heard: float = 0.0
    ) -> None:
        """Take an agent off its host; if it was the last, the host is gone."""
        host = self._hosts.get(name)
        if host is None or agent_id not in host.agents:
            return
        del host.agents[agent_id]
        host.late.discard(agent_id)
        homes = self._homes[agent_id]
        homes.discard(name)
        if not homes:
            del self._homes[agent_id]
        self._settle(name, state, now, heard)

    def _settle(self, name: str, gone: str, now: float, heard: float) -> None:
        """Give a host the state that its agents leave it; `gone` if it has none."""
        host = self._hosts[name]
        before = host.row.state
        if host.agents.keys() - host.late:
            return
        state = LATE if host.agents else gone
        if state == before:
            return
        if before == PRESENT:
            del self._here[name]
        if before == PRESENT or state == LEFT:
            self._set(host, state=state, last_seen=max(heard, host.row.last_seen))
        if state == LEFT:
            self._ears.left(name, now)
        elif before == PRESENT:
            silent = self._ears.fell_silent(name, now)
            if silent:
                self._events.append(Deaf(tuple(sorted(silent))))
        if not host.agents:
            self._give_up(host, state)
            if state == LEFT and self.expected(name):
                self._awaited[name] = now + self._wait_s

    def _give_up(self, host: _Host, state: str) -> None:
        """Write down that a host is gone; it may make room, unless it is expected."""
        if host.row.state != state:
            self._set(host, state=state)
        if not self.expected(host.row.name):
            self._gone[host.row.name] = None

    def _new(self, name: str) -> _Host | None:
        """Return a host of which nothing is known yet; None if there is no room."""
        if len(self._hosts) >= MAX_HOSTS:
            if not self._gone:
                return None
            self._remove(next(iter(self._gone)))
        host = _Host(HostRow(name, bytes(8), (), "", 0.0, 0.0, LEFT))
        self._hosts[name] = host
        return host

    def _remove(self, name: str) -> None:
        del self._hosts[name]
        self._gone.pop(name, None)
        self._events.append(Dropped(name))

    def _set(self, host: _Host, **fields: object) -> None:
        host.row = replace(host.row, **fields)
        # One that was expected and never seen is known from the configuration.
        if host.row.address:
            self._events.append(Changed(host.row))

    def _keep_later(self, now: float) -> None:
        rounds = max(1.0, len(self._here) / KEEP_HOSTS)
        self._keep_at = now + KEEP_S / rounds
