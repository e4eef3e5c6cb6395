"""Agents and servers in virtual time, and what befalls them.

The real protocol machines run on a network that loses, repeats and holds up datagrams,
on hosts that crash, sleep and are cut off, and whose disks are full for a while.
script.py says when; pairs.py and deliveries.py judge. Every host has dice of its own,
so that one machine's draws do not change another's.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from peep.lab.deliveries import AlertLedger, StateLedger
from peep.lab.disks import COMMIT_S, AgentDisk, Recorder, ServerDisk
from peep.lab.pairs import Ledger
from peep.lab.script import EVENT_EVERY_S, STATE_EVERY_S, Script, new_dice, other_dice
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
    Confirmed,
    Gone,
    Joined,
    Lapsed,
    SignalReceived,
    Way,
)
from peep.protocol.outbox import is_alert
from peep.protocol.server import ServerProtocol
from peep.signals import Event, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peep.lab.disks import Kept
    from peep.lab.script import Plan

REPEAT_S = 30  # of states


class World:
    """All hosts, and what befalls them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = new_dice(plan.seed).random
        self.network = VirtualNetwork(
            Weather(plan.loss, plan.dup, plan.reorder), self._chance, self._told
        )
        self.pairs = Ledger(plan.agents, plan.servers, plan.lease_s)
        self.alerts = AlertLedger(plan.agents, plan.servers)
        self.states = StateLedger(
            plan.agents, plan.servers, REPEAT_S, self.pairs.joined_since
        )
        self._servers = [self._node("s", n) for n in range(plan.servers)]
        self._agents = [self._node("a", n) for n in range(plan.agents)]
        self._numbers = {
            node.name: number
            for nodes in (self._servers, self._agents)
            for number, node in enumerate(nodes)
        }
        self._dice = {name: other_dice(self._chance) for name in self._numbers}
        self._agent_disks = [AgentDisk(number + 1) for number in range(plan.agents)]
        self._server_disks = [ServerDisk() for _ in range(plan.servers)]
        self._recorders = [Recorder(disk) for disk in self._server_disks]
        self._ways: dict[tuple[int, int], Way] = {}  # of a server and an agent
        self._calm = False
        Script(plan, self._chance, self).write()

    def _node(self, kind: str, number: int) -> Node:
        port = packets.SERVER_PORT if kind == "s" else packets.ANNOUNCE_PORT
        uptime_s = self._chance() * 1e6
        node = Node(f"{kind}{number}", port, uptime_s)
        self.network.add(node)
        return node

    def calm_down(self) -> None:
        """End all trouble and loss; everything runs from now on, and states stay."""
        self._calm = True
        self.network.weather = Weather()
        for disk in self._server_disks:
            disk.full = False
        for number, node in enumerate(self._servers):
            if node.machine is None:
                self.start_server(number)
        self._heal(list(range(self._plan.agents)))
        for number, node in enumerate(self._agents):
            if node.machine is None:
                self.start_agent(number)
            elif node.asleep:
                self._wake(number, 0.0)

    # -- what befalls -------------------------------------------------------------

    def start_agent(self, number: int) -> None:
        """Start an agent's process: it finds its spool, and reads on in its log."""
        node = self._agents[number]
        if node.machine is not None:
            return  # since all is calm
        config = AgentConfig(
            agent_id=(number + 1).to_bytes(packets.ID_BYTES, "big"),
            host=node.name,
            repeat_s=REPEAT_S,
        )
        address = (f"10.1.{number >> 8}.{number & 255}", 40_000 + node.life % 20_000)
        self.pairs.agent_restarted(number, self.network.now)
        rng = other_dice(self._dice[node.name].random)
        self.network.start(node, AgentProtocol(config, rng), address)
        self._reach(number)
        if number % 2:
            self._send_state(number)
        self._hand_over(number, self._agent_disks[number].spooled(), again=True)
        self._read(number)

    def start_server(self, number: int) -> None:
        """Start a server's process on what the last one committed."""
        node = self._servers[number]
        if node.machine is not None:
            return  # since all is calm
        rng = other_dice(self._dice[node.name].random)
        config = ServerConfig(
            server_id=rng.randbytes(packets.ID_BYTES),
            secret=rng.randbytes(32),
            lease_s=self._plan.lease_s,
        )
        self.pairs.server_up(number, self.network.now, up=True)
        self._recorders[number] = Recorder(self._server_disks[number])
        address = (f"10.0.0.{number + 1}", packets.SERVER_PORT)
        self.network.start(node, ServerProtocol(config, rng), address)

    def crash_agent(self, number: int, length_s: float) -> None:
        """End an agent's process without a word, for so long."""
        node = self._agents[number]
        if self._calm or node.machine is None or node.asleep:
            return
        self.pairs.agent_crashed(number, self.network.now)
        self.alerts.crashed(number)
        self.network.kill(node)
        self._later(length_s, partial(self.start_agent, number))

    def crash_server(self, number: int, length_s: float) -> None:
        """End a server's process without a word, for so long."""
        node = self._servers[number]
        if self._calm or node.machine is None:
            return
        self.network.kill(node)
        self.pairs.server_up(number, self.network.now, up=False)
        for agent in range(self._plan.agents):
            self.states.forgotten(agent, number)
        self._later(length_s, partial(self.start_server, number))

    def sleep(self, number: int, length_s: float, uncounted_s: float) -> None:
        """Suspend an agent's host; its clock misses so much of it."""
        node = self._agents[number]
        if node.machine is None or node.asleep:
            return
        self.network.sleep(node)
        self._reach(number)
        self._later(length_s, partial(self._wake, number, uncounted_s))

    def _wake(self, number: int, uncounted_s: float) -> None:
        node = self._agents[number]
        if not node.asleep:
            return  # since all is calm
        node.asleep = False
        self._reach(number)
        self.network.wake(node, uncounted_s)
        self._read(number)

    def cut(self, group: list[int], length_s: float) -> None:
        """Cut some agents off, for so long."""
        for number in group:
            self._agents[number].cut = True
            self._reach(number)
        self._later(length_s, partial(self._heal, group))

    def _heal(self, group: list[int]) -> None:
        for number in group:
            self._agents[number].cut = False
            self._reach(number)

    def fill(self, number: int, length_s: float) -> None:
        """Let a server's journal write nothing, for so long."""
        self._server_disks[number].full = True
        self._later(length_s, partial(self._free, number))

    def _free(self, number: int) -> None:
        self._server_disks[number].full = False

    def _later(self, after_s: float, call: Callable[[], None]) -> None:
        self.network.call_at(self.network.now + after_s, call)

    def _reach(self, number: int) -> None:
        """Tell the ledger whether an agent can be reached."""
        node = self._agents[number]
        up = node.machine is not None and not node.asleep and not node.cut
        self.pairs.agent_up(number, self.network.now, up=up)

    # -- what agents have to say ----------------------------------------------------

    def signal_later(
        self, number: int, chance: Callable[[], float], *, state: bool
    ) -> None:
        """Have an agent say its state, or an event, every now and then."""
        every_s = STATE_EVERY_S if state else EVENT_EVERY_S
        self._later(
            2 * every_s * chance(), partial(self._signal, number, chance, state=state)
        )

    def _signal(self, number: int, chance: Callable[[], float], *, state: bool) -> None:
        if self._runs(number):
            if not state:
                event = Event(name="log.line", family="access")
                self.network.send(self._agents[number], event)
            elif not self._calm:
                self.states.changed(number, self.network.now)
                self._send_state(number)
        self.signal_later(number, chance, state=state)

    def _send_state(self, number: int) -> None:
        state = State(name="system.load", value=self.states.value(number))
        self.network.send(self._agents[number], state)

    def write_later(self, number: int, lines: Iterator[tuple[float, int]]) -> None:
        """Have alerts written into an agent's log: so many at each time."""
        when, count = next(lines, (0.0, 0))
        if count:
            self.network.call_at(when, partial(self._write, number, count, lines))

    def _write(
        self, number: int, count: int, lines: Iterator[tuple[float, int]]
    ) -> None:
        alerts = self._agent_disks[number].write(self.network.now, count)
        self.alerts.written(number, alerts)
        if self._runs(number):
            self._read(number)
        self.write_later(number, lines)

    def _read(self, number: int) -> None:
        new, dropped = self._agent_disks[number].read()
        self._hand_over(number, new, again=False)
        if dropped:
            self.alerts.dropped(number, dropped)
            self.network.act(
                self._agents[number], lambda machine, _: machine.forget(dropped)
            )

    def _hand_over(self, number: int, alerts: list[Kept], *, again: bool) -> None:
        def send(machine: AgentProtocol, now: float) -> None:
            for kept in alerts:
                age_s = self.network.now - kept.born
                machine.send(kept.event, now, age_s, again=again)

        ids = [(kept.event.origin, kept.event.serial) for kept in alerts]
        self.alerts.kept(number, ids)
        if alerts:
            self.network.act(self._agents[number], send)

    def _runs(self, number: int) -> bool:
        node = self._agents[number]
        return node.machine is not None and not node.asleep

    # -- what the machines say ------------------------------------------------------

    def _told(self, node: Node, event: object) -> None:
        """Pass on a machine's word about its other side."""
        number, now = self._numbers[node.name], self.network.now
        match event:
            case SignalReceived():
                self._on_signal(number, event)
            case Confirmed(ids=ids):
                self.alerts.confirmed(number, ids)
                self._agent_disks[number].confirm(ids)
            case Joined() | Lapsed() | Gone():
                server = int(event.address[0].rpartition(".")[2]) - 1
                self.pairs.agent_said(number, server, event, now)
                self.alerts.lease(number, server, held=isinstance(event, Joined))
            case (
                AgentJoined()
                | AgentLate()
                | AgentReturned()
                | AgentLost()
                | AgentLeft()
            ):
                agent = _agent(event.peer.agent_id)
                self.pairs.server_said(number, agent, event, now)
                if isinstance(event, AgentLost | AgentLeft):
                    self.states.forgotten(agent, number)

    def _on_signal(self, number: int, event: SignalReceived) -> None:
        signal, agent = event.signal, _agent(event.peer.agent_id)
        if isinstance(signal, State):
            self.states.heard(agent, number, signal.value, self.network.now)
        elif isinstance(signal, Event) and is_alert(signal):
            recorder, alert = self._recorders[number], (signal.origin, signal.serial)
            idle = not recorder.busy()
            if recorder.take(event, alert):
                self.alerts.sounded(number, (agent, *alert), again=event.again)
            if idle:
                life = self._servers[number].life
                self._later(COMMIT_S, partial(self._commit, number, life))

    def _commit(self, number: int, life: int) -> None:
        """Put alerts on record, and say so; a process that died does neither."""
        node = self._servers[number]
        if node.life != life:
            return
        done = self._recorders[number].commit()
        self.alerts.recorded(
            number, ((_agent(a), *alert) for a, alert in done.recorded)
        )

        def receipt(machine: ServerProtocol, _: float) -> None:
            for way, alerts in done.receipts.items():
                machine.receipt(way, alerts)

        self.network.act(node, receipt)


def _agent(agent_id: bytes) -> int:
    return int.from_bytes(agent_id, "big") - 1
