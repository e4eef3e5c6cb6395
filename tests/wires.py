"""A network in memory: machines joined by a for-loop, time moved by hand."""

import heapq
import random

from peep.protocol.addresses import Broadcast
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.door import ServerConfig
from peep.protocol.events import SignalReceived
from peep.protocol.outbox import is_alert
from peep.protocol.packets import ANNOUNCE_PORT, SERVER_PORT
from peep.protocol.server import ServerProtocol
from peep.server.alerts import Alerts, Take


def agent_machine(number=1, classes=("public",), seed=1, **more):
    config = AgentConfig(
        agent_id=number.to_bytes(8, "big"),
        host=f"host{number}",
        classes=classes,
        **more,
    )
    return AgentProtocol(config, random.Random(seed))


def server_machine(number=100, classes=("public",), seed=2, **more):
    config = ServerConfig(
        server_id=number.to_bytes(8, "big"), secret=b"s" * 32, classes=classes, **more
    )
    return ServerProtocol(config, random.Random(seed))


class Wires:
    """Carries datagrams between machines at addresses; remembers everything.

    A server's alerts are recorded the moment they come, unless `records` is False.
    """

    def __init__(self, now=1000.0, *, records=True):
        self.records = records
        self.alerts = {}
        self._receipts = False
        self.now = now
        self.machines = {}
        self.sent = []  # (time, from, to, bytes), lost ones included
        self.events = {}
        self.lose = lambda data, source, to: False
        self._flying = []
        self._count = 0

    def add(self, machine, address):
        self.machines[address] = machine
        self.events[address] = []
        machine.start(self.now)
        self._pump(address)

    def kill(self, address):
        """As kill -9 does: no last words."""
        del self.machines[address]

    def stop(self, address):
        self.machines[address].stop(self.now)
        self._pump(address)
        del self.machines[address]

    def send(self, address, signal, **more):
        self.machines[address].send(signal, self.now, **more)
        self._pump(address)

    def run(self, seconds):
        """Let time pass, event by event."""
        end = self.now + seconds
        while True:
            due = [
                (when, address)
                for address, machine in self.machines.items()
                if (when := machine.next_timer()) is not None
            ]
            flying = self._flying[0][0] if self._flying else float("inf")
            when = min([flying, *(w for w, _ in due)], default=float("inf"))
            if when > end:
                break
            self.now = max(self.now, when)
            if flying <= self.now:
                _, _, source, to, data = heapq.heappop(self._flying)
                if to in self.machines:
                    self.machines[to].receive_datagram(data, source, self.now)
                    self._pump(to)
                continue
            address = min(due)[1]
            self.machines[address].handle_timer(self.now)
            self._pump(address)
        self.now = end

    def told(self, address, kind=None):
        """Return and forget the events a machine told."""
        told, self.events[address] = self.events[address], []
        return [e for e in told if kind is None or isinstance(e, kind)]

    def _pump(self, address):
        machine = self.machines[address]
        for data, to in machine.datagrams_to_send(self.now):
            for reached in self._reach(to):
                self.sent.append((self.now, address, reached, data))
                if not self.lose(data, address, reached):
                    self._count += 1
                    heapq.heappush(
                        self._flying,
                        (self.now + 0.001, self._count, address, reached, data),
                    )
        while (event := machine.next_event()) is not None:
            if self._is_new(address, event):
                self.events[address].append(event)
        if self._receipts:
            self._receipts = False
            self._pump(address)

    def _is_new(self, address, event):
        """Do what a server's app does with an alert: record it, and receipt it."""
        heard = isinstance(event, SignalReceived) and is_alert(event.signal)
        if not heard or not self.records:
            return True
        alerts = self.alerts.setdefault(address, Alerts())
        signal, identity = event.signal, event.way.identity
        key = (int.from_bytes(identity, "big"), signal.origin, signal.serial)
        take = alerts.take(key)
        alerts.settle([key], [])
        self.machines[address].receipt(event.way, [(signal.origin, signal.serial)])
        self._receipts = True
        return take is Take.HEAR

    def _reach(self, to):
        if not isinstance(to, Broadcast):
            return [to]
        listens = {ANNOUNCE_PORT: AgentProtocol, SERVER_PORT: ServerProtocol}
        return [a for a, m in self.machines.items() if isinstance(m, listens[to.port])]


AGENT = ("10.0.0.1", 40001)
SERVER = ("10.0.0.9", 2001)


def joined(lease_s=30, **more):
    """Return wires with one agent and one server that have found each other."""
    wires = Wires()
    wires.add(server_machine(lease_s=lease_s, **more), SERVER)
    wires.add(agent_machine(), AGENT)
    wires.run(1)
    return wires
