"""A day of agents and servers in virtual time, and what was lost of it.

The real protocol machines run on a network that loses, repeats and holds up datagrams,
on hosts that crash, sleep and are cut off. What befalls them is drawn from the seed
before time begins, and so stays the same when the machines change; then the network
draws from the same generator. Every host has dice of its own, seeded from it, so that
one machine's draws do not change another's. pairs.py judges.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from peep.lab.pairs import FalseExpiry, Ledger, percentile
from peep.lab.virtual_network import Node, VirtualNetwork, Weather
from peep.protocol import packets
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.door import ServerConfig
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
from peep.protocol.server import ServerProtocol
from peep.signals import Event, Signal, State, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR_S = 3600.0
_BOOT_S = 5.0  # agents start within
_CALM_S = 120.0  # before the first trouble

# How often on average a host has each trouble (a partition: the network), and for how
# long. Half of the crashes are shorter than a lease, so that both ways back are walked.
_AGENT_CRASH_EVERY_S = 6 * HOUR_S
_SERVER_CRASH_EVERY_S = 8 * HOUR_S
_SLEEP_EVERY_S = 12 * HOUR_S
_PARTITION_EVERY_S = 2 * HOUR_S
_SHORT_CRASH_S = (1.0, 25.0)
_LONG_CRASH_S = (60.0, 600.0)
_SLEEP_S = (5.0, 1800.0)
_PARTITION_S = (10.0, 600.0)
_PARTITION_SHARE = (0.05, 0.25)  # of the agents

_EVENT_EVERY_S = 900.0
_STATE_EVERY_S = 600.0
_ALERT_SHARE = 0.1

# An agent that is not joined so long after it could be has been forgotten: by then a
# server has announced itself, even if some announcements were lost.
_PATIENCE_S = 600.0
_STEPS = 200  # a run is cut into so many, for progress


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate. Shares are 0…1."""

    agents: int = 100
    servers: int = 1
    hours: float = 24.0
    lease_s: int = 30
    loss: float = 0.1
    dup: float = 0.05
    reorder: float = 0.05
    seed: int = 7


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Times are None where there was nothing to measure."""

    agents: int
    servers: int
    hours: float
    lease_s: int
    loss: float
    dup: float
    reorder: float
    seed: int
    false_expiries_per_agent_day: float
    false_lost: int
    false_lapsed: int
    false_late_per_agent_day: float
    false_expiries: tuple[FalseExpiry, ...]  # the first few
    crashes: int  # of agents with a lease, that lasted until they were missed
    crashes_missed: int
    late_s_p50: float | None
    late_s_p99: float | None
    late_s_max: float | None
    lost_s_p50: float | None
    lost_s_p99: float | None
    lost_s_max: float | None
    rejoins: int
    rejoin_s_p50: float | None
    rejoin_s_p99: float | None
    rejoin_s_max: float | None
    still_apart: int  # pairs that should have joined long ago
    stuck_timers: int  # machines that were due however often they were asked
    datagrams_per_agent_hour: float
    trace_hash: str


def simulate(plan: Plan, progress: Callable[[float], None] | None = None) -> Result:
    """Let the day pass; `progress` is told the share that has."""
    end = plan.hours * HOUR_S
    world = _World(plan)
    for step in range(1, _STEPS + 1):
        world.network.run(end * step / _STEPS)
        if progress is not None:
            progress(step / _STEPS)
    return world.result()


class _World:
    """All hosts, and what befalls them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        # Not for secrets: the same seed must give the same day.
        self._chance = random.Random(plan.seed).random  # noqa: S311
        self.network = VirtualNetwork(
            Weather(plan.loss, plan.dup, plan.reorder), self._chance, self._told
        )
        self._ledger = Ledger(plan.agents, plan.servers, plan.lease_s)
        self._servers = [self._node("s", n) for n in range(plan.servers)]
        self._agents = [self._node("a", n) for n in range(plan.agents)]
        self._numbers = {
            node.name: number
            for nodes in (self._servers, self._agents)
            for number, node in enumerate(nodes)
        }
        self._dice = {name: self._new_dice(self._chance) for name in self._numbers}
        self._write_script()

    def _node(self, kind: str, number: int) -> Node:
        port = packets.SERVER_PORT if kind == "s" else packets.ANNOUNCE_PORT
        uptime_s = self._chance() * 1e6
        node = Node(f"{kind}{number}", port, uptime_s)
        self.network.add(node)
        return node

    def _new_dice(self, chance: Callable[[], float]) -> random.Random:
        return random.Random(int(chance() * 2**53))  # noqa: S311 - as above

    def result(self) -> Result:
        """Sum up."""
        plan, ledger, network = self._plan, self._ledger, self.network
        days = plan.agents * plan.hours / 24
        false = ledger.false_lost + ledger.false_lapsed
        return Result(
            **msgspec.structs.asdict(plan),
            false_expiries_per_agent_day=round(false / days, 4),
            false_lost=ledger.false_lost,
            false_lapsed=ledger.false_lapsed,
            false_late_per_agent_day=round(ledger.false_late / days, 4),
            false_expiries=tuple(ledger.examples),
            crashes=len(ledger.lost_s) + ledger.crashes_missed,
            crashes_missed=ledger.crashes_missed,
            late_s_p50=percentile(ledger.late_s, 50),
            late_s_p99=percentile(ledger.late_s, 99),
            late_s_max=percentile(ledger.late_s, 100),
            lost_s_p50=percentile(ledger.lost_s, 50),
            lost_s_p99=percentile(ledger.lost_s, 99),
            lost_s_max=percentile(ledger.lost_s, 100),
            rejoins=len(ledger.rejoin_s),
            rejoin_s_p50=percentile(ledger.rejoin_s, 50),
            rejoin_s_p99=percentile(ledger.rejoin_s, 99),
            rejoin_s_max=percentile(ledger.rejoin_s, 100),
            still_apart=ledger.still_apart(network.now, _PATIENCE_S),
            stuck_timers=network.stuck,
            datagrams_per_agent_hour=round(network.sent / plan.agents / plan.hours, 1),
            trace_hash=network.trace.hexdigest(),
        )

    # -- the script -------------------------------------------------------------

    def _write_script(self) -> None:
        call_at = self.network.call_at
        for number in range(self._plan.servers):
            call_at(0.0, partial(self._start_server, number))
            for when in self._times(_SERVER_CRASH_EVERY_S):
                call_at(when, partial(self._crash_server, number, self._crash_s()))
        for number in range(self._plan.agents):
            call_at(_BOOT_S * self._chance(), partial(self._start_agent, number))
            for when in self._times(_AGENT_CRASH_EVERY_S):
                call_at(when, partial(self._crash_agent, number, self._crash_s()))
            for when in self._times(_SLEEP_EVERY_S):
                length_s = self._between(_SLEEP_S)
                # With CLOCK_BOOTTIME a host counts its sleep; what its hypervisor
                # stopped does not.
                uncounted_s = length_s if self._chance() < 0.5 else 0.0  # noqa: PLR2004 - half
                call_at(when, partial(self._sleep, number, length_s, uncounted_s))
            # Every other agent has a state and repeats it; the rest are all but mute.
            for state in (False, True)[: 1 + number % 2]:
                chance = self._new_dice(self._chance).random
                self._signal_later(number, chance, state=state)
        for when in self._times(_PARTITION_EVERY_S):
            share = self._between(_PARTITION_SHARE)
            group = [n for n in range(self._plan.agents) if self._chance() < share]
            call_at(when, partial(self._cut, group, self._between(_PARTITION_S)))

    def _times(self, every_s: float) -> Iterator[float]:
        # Even gaps from none to twice the mean: a logarithm may differ in its last
        # bit from one C library to the next.
        when = _CALM_S + 2 * every_s * self._chance()
        while when < self._plan.hours * HOUR_S:
            yield when
            when += 2 * every_s * self._chance()

    def _between(self, bounds: tuple[float, float]) -> float:
        return bounds[0] + (bounds[1] - bounds[0]) * self._chance()

    def _crash_s(self) -> float:
        short = self._chance() < 0.5  # noqa: PLR2004 - half
        return self._between(_SHORT_CRASH_S if short else _LONG_CRASH_S)

    # -- what befalls -------------------------------------------------------------

    def _start_agent(self, number: int) -> None:
        node = self._agents[number]
        config = AgentConfig(
            agent_id=(number + 1).to_bytes(packets.ID_BYTES, "big"), host=node.name
        )
        address = (f"10.1.{number >> 8}.{number & 255}", 40_000 + node.life % 20_000)
        self._ledger.agent_restarted(number, self.network.now)
        rng = self._new_dice(self._dice[node.name].random)
        self.network.start(node, AgentProtocol(config, rng), address)
        self._reach(number)

    def _start_server(self, number: int) -> None:
        node = self._servers[number]
        rng = self._new_dice(self._dice[node.name].random)
        config = ServerConfig(
            server_id=rng.randbytes(packets.ID_BYTES),
            secret=rng.randbytes(32),
            lease_s=self._plan.lease_s,
        )
        self._ledger.server_up(number, self.network.now, up=True)
        address = (f"10.0.0.{number + 1}", packets.SERVER_PORT)
        self.network.start(node, ServerProtocol(config, rng), address)

    def _crash_agent(self, number: int, length_s: float) -> None:
        node = self._agents[number]
        if node.machine is None or node.asleep:
            return
        self._ledger.agent_crashed(number, self.network.now)
        self.network.kill(node)
        self._later(length_s, partial(self._start_agent, number))

    def _crash_server(self, number: int, length_s: float) -> None:
        node = self._servers[number]
        if node.machine is None:
            return
        self.network.kill(node)
        self._ledger.server_up(number, self.network.now, up=False)
        self._later(length_s, partial(self._start_server, number))

    def _sleep(self, number: int, length_s: float, uncounted_s: float) -> None:
        node = self._agents[number]
        if node.machine is None or node.asleep:
            return
        self.network.sleep(node)
        self._reach(number)
        self._later(length_s, partial(self._wake, number, uncounted_s))

    def _wake(self, number: int, uncounted_s: float) -> None:
        node = self._agents[number]
        node.asleep = False
        self._reach(number)
        self.network.wake(node, uncounted_s)

    def _cut(self, group: list[int], length_s: float) -> None:
        for number in group:
            self._agents[number].cut = True
            self._reach(number)
        self._later(length_s, partial(self._heal, group))

    def _heal(self, group: list[int]) -> None:
        for number in group:
            self._agents[number].cut = False
            self._reach(number)

    def _signal_later(
        self, number: int, chance: Callable[[], float], *, state: bool
    ) -> None:
        every_s = _STATE_EVERY_S if state else _EVENT_EVERY_S
        self._later(
            2 * every_s * chance(), partial(self._signal, number, chance, state=state)
        )

    def _signal(self, number: int, chance: Callable[[], float], *, state: bool) -> None:
        signal: Signal
        if state:
            signal = State(name="system.load", value=chance())
        else:
            tier = Tier.ALERT if chance() < _ALERT_SHARE else Tier.ROUTINE
            signal = Event(name="log.line", family="access", tier=tier)
        node = self._agents[number]
        if node.machine is not None and not node.asleep:
            self.network.send(node, signal)
        self._signal_later(number, chance, state=state)

    def _later(self, after_s: float, call: Callable[[], None]) -> None:
        self.network.call_at(self.network.now + after_s, call)

    def _reach(self, number: int) -> None:
        """Tell the ledger whether an agent can be reached."""
        node = self._agents[number]
        up = node.machine is not None and not node.asleep and not node.cut
        self._ledger.agent_up(number, self.network.now, up=up)

    # -- what the machines say ------------------------------------------------------

    def _told(self, node: Node, event: object) -> None:
        """Pass on a machine's word about its other side."""
        number, now = self._numbers[node.name], self.network.now
        match event:
            case Joined() | Lapsed() | Gone():
                server = int(event.address[0].rpartition(".")[2]) - 1
                self._ledger.agent_said(number, server, event, now)
            case (
                AgentJoined()
                | AgentLate()
                | AgentReturned()
                | AgentLost()
                | AgentLeft()
            ):
                agent = int.from_bytes(event.peer.agent_id, "big") - 1
                self._ledger.server_said(number, agent, event, now)
