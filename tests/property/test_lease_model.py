"""The server's table of leases against a model, whatever agents and wires do.

The model knows of each agent since when it can speak to the server (*clear*), since
when nothing of it arrives (*silent*), or that it may be either (*doubtful*: words are
lost at random, or only on their way back). What it expects:

    clear for SETTLED_S       live, and never called late
    silent after that         by the age of its last word: live for a lease, late for
                              half a lease more, then gone
    silent in any case        not live after one lease, gone after one and a half

And always: events come in an order that makes sense, so nobody is late and live, nor
lost twice; the table holds as many as the events say; a signal is told at most once,
and surely if its agent was clear.
"""

import random
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from wires import SERVER, Wires, agent_machine, server_machine

from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    SignalReceived,
)
from peep.protocol.packets import PacketType
from peep.protocol.registry import MAX_STALE
from peep.signals import Event, State, Tier

NUMBERS = (1, 2, 3)
# The longest that an agent may be overlooked: from one ANNOUNCE to the next, with its
# jitter, and a handshake.
SETTLED_S = 140.0
ANNOUNCED_S = 5.0  # from a server's start to leases with all that are clear
SLACK_S = 0.1  # datagrams that were under way
LOSSES = {"whole": 0.0, "cut": 1.0, "lossy": 0.3}
WORDS = {PacketType.CLASSES, PacketType.RENEW, PacketType.ACK, PacketType.SIGNALS}
# From which phase an event may come, and to which it leads.
STEPS = {
    AgentJoined: ({"absent", "live"}, "live"),
    AgentLate: ({"live"}, "late"),
    AgentReturned: ({"late"}, "live"),
    AgentLost: ({"late"}, "absent"),
    AgentLeft: ({"live", "late"}, "absent"),
}


class Agent:
    """What the model knows of one agent."""

    def __init__(self, number):
        self.number = number
        self.address = (f"10.0.0.{number}", 40_000)
        self.runs = False
        self.wire = "whole"
        self.since = 0.0  # when `state` began
        self.state = "silent"
        self.settled = False  # was it clear for long when it fell silent?
        self.phase = "absent"  # what the server's events say
        self.spoke_at = 0.0  # when its last word reached the server

    def change(self, now):
        """Note what follows from `runs` and `wire`."""
        state = {"whole": "clear", "cut": "silent", "mute": "silent"}.get(self.wire)
        state = (state or "doubtful") if self.runs else "silent"
        if state != self.state:
            clear_s = now - self.since if self.state == "clear" else 0.0
            self.settled = clear_s >= SETTLED_S and self.phase == "live"
            self.state, self.since = state, now


class LeaseModel(RuleBasedStateMachine):
    """Rules move agents, wires, server and time."""

    @initialize(lease_s=st.sampled_from([10, 30]), seed=st.integers(0, 99))
    def begin(self, lease_s, seed):
        self.lease_s = lease_s
        self.rng = random.Random(seed)
        self.wires = Wires()
        self.wires.lose = self.lost_on_the_way
        self.agents = {number: Agent(number) for number in NUMBERS}
        self.servers = self.starts = self.said = 0
        self.told = Counter()
        self.sure = []
        self.new_server()
        self.start_or_restart(1)
        self.start_or_restart(2)
        self.let_all_settle()

    def lost_on_the_way(self, data, source, to):
        agent = self.agents[int((to if source == SERVER else source)[0][7:])]
        if agent.wire in LOSSES:
            lost = self.rng.random() < LOSSES[agent.wire]
        else:
            lost = (agent.wire == "mute") == (to == SERVER)
        if to == SERVER and data[1] in WORDS and not lost:
            agent.spoke_at = self.wires.now
        return lost

    @precondition(lambda self: self.servers < 4)
    @rule()
    def new_server(self):
        """A server dies without a word, and another starts in its place."""
        if SERVER in self.wires.machines:
            self.wires.kill(SERVER)
        self.servers += 1
        self.server_since = self.wires.now
        for agent in self.agents.values():
            agent.phase, agent.settled = "absent", False
        self.wires.add(
            server_machine(100 + self.servers, lease_s=self.lease_s, seed=self.servers),
            SERVER,
        )

    @rule(number=st.sampled_from(NUMBERS))
    def start_or_restart(self, number):
        """An agent starts; one that runs is killed before, and has no last words."""
        agent = self.agents[number]
        if agent.runs:
            self.wires.kill(agent.address)
            agent.runs = False
            agent.change(self.wires.now)
        self.starts += 1
        agent.runs = True
        agent.change(self.wires.now)
        self.wires.add(agent_machine(number, seed=100 + self.starts), agent.address)

    @rule(number=st.sampled_from(NUMBERS))
    def kill(self, number):
        agent = self.agents[number]
        if agent.runs:
            self.wires.kill(agent.address)
            agent.runs = False
            agent.change(self.wires.now)

    @rule(number=st.sampled_from(NUMBERS))
    def say_bye(self, number):
        """A clean end is no alarm, if its word arrives."""
        agent = self.agents[number]
        if not agent.runs:
            return
        surely = self.surely_live(agent)
        self.wires.stop(agent.address)
        agent.runs = False
        agent.change(self.wires.now)
        agent.settled = False
        self.wires.run(SLACK_S)
        self.hear()
        if surely:
            assert agent.phase == "absent"

    @rule(
        number=st.sampled_from(NUMBERS),
        wire=st.sampled_from(["whole", "whole", "cut", "mute", "deaf", "lossy"]),
    )
    def change_the_wire(self, number, wire):
        self.agents[number].wire = wire
        self.agents[number].change(self.wires.now)

    @rule()
    def let_all_settle(self):
        """Every wire is mended, and there is time enough."""
        for agent in self.agents.values():
            agent.wire = "whole"
            agent.change(self.wires.now)
        self.let_time_pass((SETTLED_S + 1) / self.lease_s)

    @rule(
        number=st.sampled_from(NUMBERS),
        how=st.sampled_from(["kill", "cut", "mute"]),
        waits=st.lists(st.sampled_from([0.1, 0.3, 0.4]), min_size=1, max_size=5),
    )
    def one_of_whom_all_was_well_falls_silent(self, number, how, waits):
        """What is rare by chance: each moment of a silence, looked at."""
        if not self.surely_live(self.agents[number]):
            return
        if how == "kill":
            self.kill(number)
        else:
            self.change_the_wire(number, how)
        for leases in waits:
            self.let_time_pass(leases)
            self.send(number, alert=False)  # to nobody, it may be: kept until then
            self.the_table_is_as_the_model_says()

    @rule(leases=st.sampled_from([0.01, 0.2, 0.4, 1.0, 1.2, 1.5]) | st.floats(0, 2))
    def let_time_pass(self, leases):
        seconds = leases * self.lease_s
        live = [one for one in self.agents.values() if self.surely_live(one)]
        self.wires.run(seconds)
        late = self.hear()
        for agent in live:
            assert agent.number not in late, "it was clear all the time"

    @rule(number=st.sampled_from(NUMBERS), alert=st.booleans())
    def send(self, number, alert):
        agent = self.agents[number]
        if not agent.runs:
            return
        self.said += 1
        tier = Tier.ALERT if alert else Tier.ROUTINE
        surely = self.surely_live(agent)
        self.wires.send(agent.address, Event(name=f"e{self.said}", tier=tier))
        self.wires.send(agent.address, State(name="load", value=0.5))
        self.wires.run(SLACK_S)
        self.hear()
        if surely:
            assert self.told[self.servers, f"e{self.said}"] == 1

    def surely_live(self, agent):
        """Say whether an agent must have a lease."""
        return (
            agent.state == "clear"
            and self.wires.now - agent.since >= SETTLED_S
            and self.wires.now - self.server_since >= ANNOUNCED_S
        )

    def hear(self):
        """Take the server's events; return who was called late."""
        late = set()
        for event in self.wires.told(SERVER):
            if isinstance(event, SignalReceived) and isinstance(event.signal, Event):
                self.told[self.servers, event.signal.name] += 1
            elif type(event) in STEPS:
                number = int.from_bytes(event.peer.agent_id, "big")
                agent = self.agents[number]
                before, after = STEPS[type(event)]
                assert agent.phase in before, f"{event} of one who is {agent.phase}"
                agent.phase = after
                if after == "late":
                    late.add(number)
        self.wires.sent.clear()
        return late

    @invariant()
    def the_table_is_as_the_model_says(self):
        self.hear()
        assert max(self.told.values(), default=0) <= 1, "told twice"
        now, lease_s = self.wires.now, self.lease_s
        for agent in self.agents.values():
            if self.surely_live(agent):
                assert agent.phase == "live"
                assert self.wires.machines[agent.address].leased() == 1
            if agent.state != "silent":
                continue
            silent_s = now - agent.since
            if silent_s >= lease_s + SLACK_S:
                assert agent.phase != "live"
            if silent_s >= 1.5 * lease_s + SLACK_S:
                assert agent.phase == "absent"
            if agent.settled:
                age = (now - agent.spoke_at) / lease_s
                slack = SLACK_S / lease_s
                if age < 1 - slack:
                    assert agent.phase == "live"
                elif 1 + slack < age < 1.5 - slack:
                    assert agent.phase == "late"

    @invariant()
    def tables_hold_no_more_than_there_is(self):
        server = self.wires.machines[SERVER]
        phases = [agent.phase for agent in self.agents.values()]
        assert server.agents() == len(phases) - phases.count("absent")
        assert len(server._registry._registered) == len(server._registry.sessions)
        assert sum(map(len, server._registry._by_agent.values())) == len(
            server._registry.sessions
        )
        assert (
            len(server._registry._heap)
            <= 2 * len(server._registry.sessions) + MAX_STALE
        )
        for agent in self.agents.values():
            if agent.runs:
                machine = self.wires.machines[agent.address]
                assert len(machine._links) <= self.servers


LeaseModel.TestCase.settings = settings(
    max_examples=70, stateful_step_count=30, deadline=None
)
TestLeases = pytest.mark.slow(LeaseModel.TestCase)
