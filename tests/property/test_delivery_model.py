"""Delivery of alerts against a model, whatever wires, processes and disks do.

Two agents with durable spools and two servers with durable journals: the real machines,
and the real memory of alerts, joined by wires on which the test delivers, drops,
repeats and holds up each datagram as it likes. What the model expects:

    always      an alert is on record at most once at a server; a process hears it at
                most once, and again after a crash only if it was not on record, and
                marked; what an agent lets go of is on record at every server that it
                had a lease of at the alert's birth, unless that lease has ended, and
                at one in any case
    in the end  when agents run, and a server, and nothing is lost: every alert is on
                record, and no agent keeps one
"""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from wires import agent_machine, server_machine

from peep.lab.disks import AgentDisk, Recorder, ServerDisk
from peep.protocol.addresses import Broadcast
from peep.protocol.events import Confirmed, Gone, Joined, Lapsed, SignalReceived
from peep.protocol.outbox import is_alert
from peep.protocol.packets import ANNOUNCE_PORT

AGENTS = SERVERS = (0, 1)
CALM_S = 300.0  # an announcement, a handshake, and the longest gap of a repeat
MAX_FLYING = 400  # datagrams held up; more are lost


class Agent:
    """An agent's host, and what the model knows of it."""

    def __init__(self, number):
        self.number = number
        self.disk = AgentDisk(number + 1)
        self.machine = None
        self.lives = 0
        self.leases = set()  # addresses of servers
        self.owes = {}  # alert: to whom it was owed at birth, and still is
        self.kept = set()  # what it has not let go of

    @property
    def address(self):
        return f"10.0.1.{self.number}", 40_000 + self.lives


class Server:
    """A server's host, and what the model knows of it."""

    def __init__(self, number):
        self.number = number
        self.address = (f"10.0.0.{number}", 2001)
        self.disk = ServerDisk()
        self.recorder = Recorder(self.disk)
        self.machine = None
        self.lives = 0
        self.record = []
        self.heard = set()  # by this process
        self.ever_heard = set()


class DeliveryModel(RuleBasedStateMachine):
    """Rules move datagrams, processes, disks and time."""

    @initialize(seed=st.integers(0, 99), servers=st.integers(1, 2))
    def begin(self, seed, servers):
        self.chance = random.Random(seed).random
        self.now = 1000.0
        self.flying = []  # (from, to, bytes), the oldest first
        self.written = set()
        self.agents = [Agent(number) for number in AGENTS]
        self.servers = [Server(number) for number in SERVERS[:servers]]
        for server in self.servers:
            self.start_server(server)
        for agent in self.agents:
            self.start_agent(agent)
        self.lapse(1.0)

    # -- hosts ------------------------------------------------------------------------

    def start_agent(self, agent):
        agent.lives += 1
        agent.leases.clear()
        agent.machine = agent_machine(
            agent.number + 1, seed=100 * agent.number + agent.lives
        )
        agent.machine.start(self.now)
        for kept in agent.disk.spooled():
            agent.machine.send(kept.event, self.now, self.now - kept.born, again=True)
        self.read(agent)
        self.pump(agent)

    def start_server(self, server):
        server.lives += 1
        server.recorder = Recorder(server.disk)
        server.heard = set()
        number = 1000 * (1 + server.number) + server.lives
        server.machine = server_machine(number, seed=number)
        server.machine.start(self.now)
        self.pump(server)

    def read(self, agent):
        """Take what is new in the log into the spool, and then to the machine."""
        for kept in agent.disk.read()[0]:
            alert = (kept.event.origin, kept.event.serial)
            agent.owes[alert] = set(agent.leases)
            agent.kept.add(alert)
            agent.machine.send(kept.event, self.now, self.now - kept.born)

    # -- wires and time ---------------------------------------------------------------

    def runs(self):
        return [host for host in (*self.agents, *self.servers) if host.machine]

    def pump(self, host):
        """Take from a machine what it has to send and to tell."""
        for data, to in host.machine.datagrams_to_send(self.now):
            reached = [to]
            if isinstance(to, Broadcast):
                hosts = self.agents if to.port == ANNOUNCE_PORT else self.servers
                reached = [other.address for other in hosts]
            self.flying += [(host.address, address, data) for address in reached]
        del self.flying[:-MAX_FLYING]
        while (event := host.machine.next_event()) is not None:
            if isinstance(host, Server):
                self.on_server(host, event)
            else:
                self.on_agent(host, event)

    def on_agent(self, agent, event):
        if isinstance(event, Joined):
            agent.leases.add(event.address)
        elif isinstance(event, Lapsed | Gone):
            agent.leases.discard(event.address)
            for owed in agent.owes.values():
                owed.discard(event.address)
        elif isinstance(event, Confirmed):
            for alert in event.ids:
                have = {
                    server.address
                    for server in self.servers
                    if (agent.number, *alert) in server.record
                }
                assert have, "let go of, and on record nowhere"
                assert agent.owes[alert] <= have, "let go of, and still owed"
                agent.kept.discard(alert)  # or it was let go of by another process
            agent.disk.confirm(event.ids)

    def on_server(self, server, event):
        if not isinstance(event, SignalReceived) or not is_alert(event.signal):
            return
        agent = int.from_bytes(event.peer.agent_id, "big") - 1
        alert = (agent, event.signal.origin, event.signal.serial)
        if server.recorder.take(event, alert[1:]):
            assert alert not in server.heard, "heard twice by one process"
            assert alert not in server.record, "heard, and was on record"
            assert event.again or alert not in server.ever_heard, "unmarked"
            server.heard.add(alert)
            server.ever_heard.add(alert)

    def arrive(self, datagram):
        source, to, data = datagram
        for host in self.runs():
            if host.address == to:
                host.machine.receive_datagram(data, source, self.now)
                self.pump(host)

    def lapse(self, seconds, loss=0.0, *, commits=True):
        """Let time pass; datagrams arrive at once, but for so many of them."""
        end = self.now + seconds
        while True:
            while self.flying:
                datagram = self.flying.pop(0)
                if self.chance() >= loss:
                    self.arrive(datagram)
            if commits and any(s.machine and s.recorder.busy() for s in self.servers):
                for server in self.servers:
                    self.commit(server)
                continue
            due = [(h.machine.next_timer() or end + 1, h) for h in self.runs()]
            when, host = min(due, key=lambda d: d[0], default=(end + 1, None))
            if when > end:
                break
            self.now = max(self.now, when)
            host.machine.handle_timer(self.now)
            self.pump(host)
        self.now = end

    def commit(self, server):
        if not server.machine:
            return
        done = server.recorder.commit()
        for agent_id, alert in done.recorded:
            server.record.append((int.from_bytes(agent_id, "big") - 1, *alert))
        for way, alerts in done.receipts.items():
            server.machine.receipt(way, alerts)
        self.pump(server)

    # -- what happens -----------------------------------------------------------------

    @rule(number=st.sampled_from(AGENTS), count=st.sampled_from([1, 1, 2, 30]))
    def lines_are_written(self, number, count):
        agent = self.agents[number]
        alerts = agent.disk.write(self.now, count)
        self.written |= {(number, *alert) for alert in alerts}
        if agent.machine:
            self.read(agent)
            self.pump(agent)

    @rule(pick=st.integers(0, 9), copies=st.integers(0, 2), keep=st.booleans())
    def a_datagram_comes(self, pick, copies, *, keep):
        """Out of its turn, or never, or twice, or now and much later again."""
        if self.flying:
            pick %= len(self.flying)
            datagram = self.flying[pick]
            if not keep:
                del self.flying[pick]
            for _ in range(copies):
                self.arrive(datagram)

    @rule(count=st.integers(1, 20))
    def some_datagrams_come(self, count):
        for _ in range(min(count, len(self.flying))):
            self.arrive(self.flying.pop(0))

    @rule(server=st.sampled_from(SERVERS), full=st.booleans())
    def a_commit_ends(self, server, *, full):
        if server < len(self.servers):
            self.servers[server].disk.full = full
            self.commit(self.servers[server])

    @rule(
        seconds=st.sampled_from([0.05, 0.4, 2.0, 12.0, 31.0, 50.0, 130.0]),
        loss=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
        commits=st.booleans(),
        full=st.sampled_from([(), (), (0,), (1,), (0, 1)]),
        lines=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    )
    def time_passes(self, seconds, loss, *, commits, full, lines):
        for server in self.servers:
            server.disk.full = server.number in full
        for number in AGENTS:
            self.lines_are_written(number, lines[number])
        self.lapse(seconds, loss, commits=commits)

    @rule(number=st.sampled_from(AGENTS))
    def an_agent_dies_or_comes_back(self, number):
        agent = self.agents[number]
        if agent.machine is None:
            self.start_agent(agent)
            return
        agent.machine = None
        agent.leases.clear()
        for owed in agent.owes.values():
            owed.clear()

    @rule(number=st.sampled_from(SERVERS))
    def a_server_dies_or_comes_back(self, number):
        if number >= len(self.servers):
            return
        server = self.servers[number]
        if server.machine is None:
            self.start_server(server)
        else:
            server.machine = None

    @rule(number=st.sampled_from(AGENTS), server=st.sampled_from(SERVERS))
    def a_server_dies_in_the_middle_of_it(self, number, server):
        """What is rare by chance: heard and not committed, or committed in vain."""
        self.lines_are_written(number, 2)
        self.some_datagrams_come(5)
        if server < len(self.servers):
            committed = self.chance() < 0.5
            if committed:
                self.commit(self.servers[server])
            self.servers[server].machine = None
            self.start_server(self.servers[server])

    # -- what must be so --------------------------------------------------------------

    @invariant()
    def nothing_is_on_record_twice(self):
        for server in self.servers:
            assert len(server.record) == len(set(server.record))

    @invariant()
    def what_is_kept_is_on_the_disk_and_in_the_machine(self):
        for agent in self.agents:
            assert agent.kept <= set(agent.disk._spool)
            if agent.machine:
                assert agent.machine.unconfirmed() >= len(agent.kept)

    def teardown(self):
        """When all is calm, all is delivered; one server may be gone for good."""
        if not hasattr(self, "agents"):
            return
        for server in self.servers:
            server.disk.full = False
        dead = [server for server in self.servers if server.machine is None]
        if len(dead) == len(self.servers):
            self.start_server(dead[0])
        for agent in self.agents:
            if agent.machine is None:
                self.start_agent(agent)
        self.lapse(CALM_S)
        self.nothing_is_on_record_twice()
        self.what_is_kept_is_on_the_disk_and_in_the_machine()
        on_record = set().union(*(server.record for server in self.servers))
        assert on_record == self.written
        for agent in self.agents:
            assert agent.kept == set()
            assert agent.machine.unconfirmed() == 0


DeliveryModel.TestCase.settings = settings(
    max_examples=120, stateful_step_count=30, deadline=None
)
TestDelivery = DeliveryModel.TestCase
