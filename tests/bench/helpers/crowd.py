"""Thousands of agents in one process, for a server to bear.

Real machines share some 200 sockets of the loopback: sessions are told apart by their
ids, so many agents may have one address. An OFFER and a GRANT carry no agent's id: on
each socket one agent at a time joins, and to it goes whatever belongs to no session
yet. That keeps the server's pending sessions below their bound, too.
"""

from __future__ import annotations

import contextlib
import heapq
import select
import socket
from collections import Counter, deque
from typing import TYPE_CHECKING

from helpers.processes import drops

from peep.clock import SystemClock
from peep.protocol import wire
from peep.protocol.addresses import Broadcast
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.events import Dropped, Joined
from peep.protocol.packets import ID_BYTES, SERVER_PORT, PacketType
from peep.signals import Event, State

if TYPE_CHECKING:
    import random

HOST = "127.0.0.1"
SOCKETS = 200  # so many join at once at most; the server takes 256
JOINS_PER_S = 333.0  # ten thousand in 30 s, as long as states take to come again
EVENT_EVERY_S = 60.0  # per agent, on average
BUFFER_BYTES = 4 << 20
CLOCK = SystemClock()


class Port:
    """A socket that many agents share."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.sock.bind((HOST, 0))
        self.sessions: dict[bytes, Simulated] = {}
        self.joining: Simulated | None = None
        self.waiting: deque[Simulated] = deque()


class Simulated:
    """One agent: a real machine, and when it wants to be looked at."""

    def __init__(self, machine: AgentProtocol, port: Port, start_at: float) -> None:
        self.machine = machine
        self.port = port
        self.started = False
        self.event_at = float("inf")
        self.wake_at = start_at  # of the one entry in the heap that counts


class Crowd:
    """All the agents, on one thread."""

    def __init__(
        self, agents: int, server: tuple[str, int], class_name: str, rng: random.Random
    ) -> None:
        self._server = server
        self._rng = rng
        self._ports = [Port() for _ in range(min(SOCKETS, agents))]
        self._by_fd = {port.sock.fileno(): port for port in self._ports}
        self._poll = select.epoll()
        for fd in self._by_fd:
            self._poll.register(fd, select.EPOLLIN)
        self._heap: list[tuple[float, int, Simulated]] = []
        self._pushed = 0
        self.sent = 0
        self.sent_bytes = 0
        self.received = 0
        self.tally: Counter[str] = Counter()
        begin = CLOCK.now() + 0.5
        for number in range(agents):
            config = AgentConfig(
                agent_id=rng.randbytes(ID_BYTES),
                host=f"host{number}",
                classes=(class_name,),
            )
            port = self._ports[number % len(self._ports)]
            start_at = begin + number / JOINS_PER_S
            agent = Simulated(AgentProtocol(config, rng), port, start_at)
            state = State(name="system.load", value=rng.random())
            agent.machine.send(state, begin)
            self._push(agent, start_at)

    def joined(self) -> int:
        """Return how many hold a lease."""
        return self.tally["Joined"] - self.tally["Lapsed"] - self.tally["Gone"]

    def run(self, until: float) -> None:
        """Let all agents live until then."""
        while (now := CLOCK.now()) < until:
            while self._heap and self._heap[0][0] <= now:
                at, _, agent = heapq.heappop(self._heap)
                if at == agent.wake_at:
                    self._wake(agent, now)
            next_at = min(until, self._heap[0][0] if self._heap else until)
            for fd, _ in self._poll.poll(max(0.0, next_at - now)):
                self._drain(self._by_fd[fd])

    def drops(self) -> int:
        """Return how many datagrams the kernel dropped before these agents."""
        return sum(drops(p.sock.getsockname()[1]) for p in self._ports)

    def close(self) -> None:
        """Close every socket."""
        self._poll.close()
        for port in self._ports:
            port.sock.close()

    def _wake(self, agent: Simulated, now: float) -> None:
        agent.wake_at = float("inf")
        port = agent.port
        if not agent.started:
            if port.joining is not None:
                port.waiting.append(agent)
                return
            agent.started = True
            port.joining = agent
            agent.machine.start(now)
        elif now >= agent.event_at:
            agent.machine.send(Event(name="ssh.login", family="access"), now)
            agent.event_at = now + self._rng.expovariate(1 / EVENT_EVERY_S)
        agent.machine.handle_timer(now)
        self._settle(agent, now)

    def _drain(self, port: Port) -> None:
        now = CLOCK.now()
        with contextlib.suppress(BlockingIOError):
            while True:
                data, address = port.sock.recvfrom(2048)
                self.received += 1
                parsed = wire.parse(data)
                agent = port.sessions.get(parsed.header.session) or port.joining
                if agent is None:
                    self.tally["strays"] += 1
                    continue
                if parsed.kind is PacketType.GRANT:
                    port.sessions[parsed.header.session] = agent
                agent.machine.receive_datagram(data, address, now)
                self._settle(agent, now)

    def _settle(self, agent: Simulated, now: float) -> None:
        machine, port = agent.machine, agent.port
        for data, to in machine.datagrams_to_send(now):
            if isinstance(to, Broadcast):
                if to.port != SERVER_PORT:
                    continue  # a server hears each question once
                address = self._server
            else:
                address = to
            port.sock.sendto(data, address)
            self.sent += 1
            self.sent_bytes += len(data)
        while (event := machine.next_event()) is not None:
            what = type(event).__name__
            self.tally[what] += 1
            if isinstance(event, Dropped):
                self.tally[f"dropped: {event.reason}"] += 1
            if isinstance(event, Joined) and port.joining is agent:
                agent.event_at = now + self._rng.expovariate(1 / EVENT_EVERY_S)
                port.joining = None
                if port.waiting:
                    self._push(port.waiting.popleft(), now)
        due = machine.next_timer()
        self._push(agent, min(agent.event_at, float("inf") if due is None else due))

    def _push(self, agent: Simulated, at: float) -> None:
        if at == float("inf") or (at == agent.wake_at and agent.started):
            return
        agent.wake_at = at
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, agent))
