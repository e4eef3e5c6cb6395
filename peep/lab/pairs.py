"""Who could hear whom, who thought so, and how long each was wrong.

A *pair* is an agent and a server. It is *connected* while both run, awake and not cut
off; *joined* while the server holds a session of this agent and the agent a lease of
this server. Judged are:

    false expiry   the server said lost, or the agent stopped, and the pair had been
                   connected for a whole lease and a half; a false late likewise
    late_s lost_s  from the crash of an agent with a lease to the server's word
    rejoin_s       from when a pair that was joined before is connected, and not
                   joined, until it is joined
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Gone,
    Joined,
    Lapsed,
)
from peep.protocol.lease import LOST_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLES = 10  # false expiries that are told one by one
# A crash that lasted so long and was not called lost was missed; a datagram may have
# been in flight.
_SLACK_S = 1.0


class FalseExpiry(msgspec.Struct, frozen=True):
    """An expiry that was none: when, between whom, and what was said."""

    at_s: float
    agent: int
    server: int
    word: str


class _Pair:
    def __init__(self, agent: int, server: int, lease_s: float) -> None:
        self.agent = agent
        self.server = server
        self.lease_s = lease_s
        self.connected_at: float | None = None
        self.held = False  # by the server
        self.leased = False  # by the agent
        self.met = False
        self.apart_at: float | None = None
        self.joined_at: float | None = None
        self.crashed_at: float | None = None
        self.called_late = False

    def innocent(self, now: float) -> bool:
        """Say whether nothing that happened explains an expiry."""
        return (
            self.connected_at is not None
            and now - self.connected_at >= LOST_AT * self.lease_s
        )


class Ledger:
    """Is told what really happens and what the machines say, and compares."""

    def __init__(self, agents: int, servers: int, lease_s: float) -> None:
        self._pairs = [
            [_Pair(agent, server, lease_s) for server in range(servers)]
            for agent in range(agents)
        ]
        self._agent_up = [False] * agents
        self._server_up = [False] * servers
        self.false_lost = 0
        self.false_lapsed = 0
        self.false_late = 0
        self.examples: list[FalseExpiry] = []
        self.crashes_missed = 0  # should have been called lost, and were not
        self.late_s: list[float] = []
        self.lost_s: list[float] = []
        self.rejoin_s: list[float] = []

    # -- what really happens --------------------------------------------------

    def agent_up(self, agent: int, now: float, *, up: bool) -> None:
        """Note that an agent can be reached, or cannot any more."""
        self._agent_up[agent] = up
        for pair in self._pairs[agent]:
            self._look(pair, now)

    def agent_crashed(self, agent: int, now: float) -> None:
        """Note that an agent's process ended without a word."""
        for pair in self._pairs[agent]:
            if pair.connected_at is not None and pair.held and pair.leased:
                pair.crashed_at = now
                pair.called_late = False
            pair.leased = False
        self.agent_up(agent, now, up=False)

    def agent_restarted(self, agent: int, now: float) -> None:
        """Note that it runs again."""
        for pair in self._pairs[agent]:
            if (
                pair.crashed_at is not None
                and now - pair.crashed_at > LOST_AT * pair.lease_s + _SLACK_S
            ):
                self.crashes_missed += 1
                pair.crashed_at = None

    def server_up(self, server: int, now: float, *, up: bool) -> None:
        """Note that a server starts, knowing nobody, or is gone without a word."""
        self._server_up[server] = up
        for pairs in self._pairs:
            pair = pairs[server]
            pair.held = pair.leased = False
            pair.crashed_at = None  # nobody is there to miss it
            self._look(pair, now)

    # -- what the machines say ------------------------------------------------

    def agent_said(self, agent: int, server: int, event: object, now: float) -> None:
        """Compare an agent's word on a server with what is so."""
        pair = self._pairs[agent][server]
        match event:
            case Joined(lease_s=lease_s):
                pair.leased = True
                pair.lease_s = lease_s
            case Lapsed() | Gone():
                if pair.leased and pair.innocent(now):
                    self.false_lapsed += 1
                    self._example(pair, event, now)
                pair.leased = False
        self._look(pair, now)

    def server_said(self, server: int, agent: int, event: object, now: float) -> None:
        """Compare a server's word on an agent with what is so."""
        pair = self._pairs[agent][server]
        match event:
            case AgentJoined() | AgentReturned():
                pair.held = True
                if self._agent_up[agent]:  # or its last word is only slow
                    pair.crashed_at = None
            case AgentLate():
                if pair.innocent(now):
                    self.false_late += 1
                elif pair.crashed_at is not None and not pair.called_late:
                    pair.called_late = True
                    self.late_s.append(now - pair.crashed_at)
            case AgentLost():
                pair.held = False
                if pair.crashed_at is not None:
                    self.lost_s.append(now - pair.crashed_at)
                    pair.crashed_at = None
                elif pair.innocent(now):
                    self.false_lost += 1
                    self._example(pair, event, now)
            case AgentLeft():
                pair.held = False
        self._look(pair, now)

    def still_apart(self, now: float, patience_s: float) -> int:
        """Return how many pairs have been connected so long and are not joined."""
        return sum(
            pair.apart_at is not None and now - pair.apart_at > patience_s
            for pairs in self._pairs
            for pair in pairs
        )

    def joined_since(self, agent: int, server: int) -> float | None:
        """Return since when a pair is connected and joined, or None if it is not."""
        return self._pairs[agent][server].joined_at

    def _look(self, pair: _Pair, now: float) -> None:
        connected = self._agent_up[pair.agent] and self._server_up[pair.server]
        if not connected:
            pair.connected_at = pair.apart_at = pair.joined_at = None
            return
        if pair.connected_at is None:
            pair.connected_at = now
        if not (pair.held and pair.leased):
            pair.joined_at = None
            if pair.apart_at is None:
                pair.apart_at = now
            return
        if pair.apart_at is not None and pair.met:
            self.rejoin_s.append(now - pair.apart_at)
        pair.apart_at = None
        pair.met = True
        if pair.joined_at is None:
            pair.joined_at = now

    def _example(self, pair: _Pair, event: object, now: float) -> None:
        if len(self.examples) < _EXAMPLES:
            word = type(event).__name__
            self.examples.append(
                FalseExpiry(round(now, 3), pair.agent, pair.server, word)
            )


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the smallest value that so many per cent do not exceed (nearest rank)."""
    if not values:
        return None
    rank = -(-len(values) * percent // 100)
    return round(sorted(values)[max(rank, 1) - 1], 3)
