"""The roster against a plain model, whatever happens to agents and servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from peep.protocol.events import AgentJoined, Peer
from peep.server import roster as rosters
from peep.server.roster import Changed, Deaf, Dropped, Hearing, Missing, Roster

LEASE_S = 20
WAIT_S = 32
WINDOW_S = 30
NAMES = ["web1", "web2", "db1", "ci-1", "ci-2"]
EXPECT = ["db1", "ci-2", "never"]
EPHEMERAL = ["ci-*"]


def alarming(name):
    return name in EXPECT or not name.startswith("ci-")


class Model(RuleBasedStateMachine):
    """Agents of hosts come, fall silent, leave; the server dies and is started again.

    Each agent is at home on one host, as real ones are: number → host.
    """

    agents = st.integers(0, 9)

    @initialize()
    def start(self):
        self.now = 0
        self.kept = {}  # as a journal would have it
        self.state = {}
        self.restart()

    @rule()
    def restart(self):
        rows = list(self.kept.values())
        self.state = {row.name: row.state for row in rows}
        self.roster = Roster(LEASE_S, EXPECT, EPHEMERAL, rows, self.now)
        self.sessions = {}  # agent → live or late
        self.due = {
            name: self.now + WAIT_S
            for name in {*EXPECT, *self.state}
            if name in EXPECT or self.state[name] in ("present", "late")
        }
        self.silences = []  # (time, host) of those that are silent still
        self.bye_at = -1
        self.deaf = False

    def peer(self, number):
        name = NAMES[number // 2]
        return Peer(number.to_bytes(8, "big"), name, (f"10.0.0.{number}", 1))

    def hosted(self, name):
        return [s for n, s in self.sessions.items() if NAMES[n // 2] == name]

    @rule(number=agents)
    def join(self, number):
        peer = self.peer(number)
        name = peer.host
        told = self.state.get(name) in ("lost", "missing") and alarming(name)
        info = AgentJoined(peer, ("public",), back=False)
        assert self.roster.joined(info, self.now, float(self.now)) is told
        self.sessions[number] = "live"
        self.heard(name)

    @precondition(lambda self: "late" in self.sessions.values())
    @rule(data=st.data())
    def come_back(self, data):
        late = [n for n, s in self.sessions.items() if s == "late"]
        number = data.draw(st.sampled_from(late))
        self.roster.returned(self.peer(number), self.now, float(self.now))
        self.sessions[number] = "live"
        self.heard(NAMES[number // 2])

    def heard(self, name):
        self.due.pop(name, None)
        self.state[name] = "present"
        self.silences = [s for s in self.silences if s[1] != name]
        assert self.told(Hearing) == ([Hearing()] if self.deaf else [])
        self.deaf = False

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), how=st.sampled_from(["late", "lost", "left"]))
    def go(self, data, how):
        self.one_goes(data.draw(st.sampled_from(sorted(self.sessions))), how)

    @rule(how=st.sampled_from(["late", "lost"]), seconds=st.integers(0, 8))
    def all_fall_silent(self, how, seconds):
        for number in sorted(self.sessions):
            self.one_goes(number, how)
            self.wait(seconds)

    def one_goes(self, number, how):
        name = NAMES[number // 2]
        getattr(self.roster, how)(self.peer(number), self.now, float(self.now))
        if how == "late":
            self.sessions[number] = "late"
        else:
            del self.sessions[number]
        before, after = self.state[name], self.hosted(name)
        state = "present" if "live" in after else "late" if after else how
        self.state[name] = state
        if state == "left":
            self.silences = [s for s in self.silences if s[1] != name]
            self.bye_at = self.now
            if name in EXPECT:
                self.due[name] = self.now + WAIT_S
        elif before == "present" and state != "present":
            self.silences.append((self.now, name))
            self.become_deaf()
        assert self.told(Deaf) == []

    def become_deaf(self):
        together = [s for s in self.silences if s[0] >= self.now - WINDOW_S]
        deaf = (
            not self.deaf
            and "present" not in [self.state[n] for n in map(self.name, self.sessions)]
            and len(together) > 1
            and self.bye_at < together[0][0]
        )
        names = tuple(sorted(name for _, name in together))
        assert self.told(Deaf) == ([Deaf(names)] if deaf else [])
        self.deaf |= deaf

    def name(self, number):
        return NAMES[number // 2]

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds):
        self.now += seconds
        self.roster.handle_timer(self.now, float(self.now))
        over = {name for name, due in self.due.items() if due <= self.now}
        for name in over:
            del self.due[name]
            self.state[name] = "missing" if alarming(name) else "left"
        missed = tuple(sorted(filter(alarming, over)))
        assert self.told(Missing) == ([Missing(missed)] if missed else [])

    @rule(name=st.sampled_from([*NAMES, "never"]))
    def forget(self, name):
        if self.hosted(name) or name in EXPECT:  # which would change what is expected
            return
        assert self.roster.forget(name) is (name in self.state)
        self.state.pop(name, None)
        self.due.pop(name, None)
        self.silences = [s for s in self.silences if s[1] != name]

    def told(self, kind):
        """Return what was told of a kind; keep rows, and leave nothing untold."""
        found = []
        while (event := self.roster.next_event()) is not None:
            match event:
                case Changed(row=row):
                    self.kept[row.name] = row
                case Dropped(name=name):
                    self.kept.pop(name, None)
                case _:
                    assert isinstance(event, kind), event
                    found.append(event)
        return found

    @invariant()
    def the_states_are_those_of_the_model(self):
        assert self.told(()) == []
        assert {row.name: row.state for row in self.roster.rows()} == self.state
        assert self.roster.deaf is self.deaf

    @invariant()
    def what_was_told_to_be_kept_is_what_is_known(self):
        seen = {row.name: row for row in self.roster.rows() if row.address}
        assert self.kept == seen

    @invariant()
    def the_next_timer_is_never_later_than_what_is_due(self):
        due = min(self.due.values(), default=None)
        if due is not None:
            assert self.roster.next_timer() <= due


TestModel = Model.TestCase


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["joined", "late", "lost", "left", "wait"]),
            st.integers(0, 12),
        ),
        max_size=60,
    ),
    kept=st.lists(st.integers(0, 12), unique=True),
)
def test_there_are_never_more_hosts_than_the_bound_and_nobody_here_makes_room(
    steps, kept
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rosters, "MAX_HOSTS", 5)
        rows = [
            rosters.HostRow(
                f"h{n}", bytes(8), (), "a", n, n, "late" if n % 2 else "lost"
            )
            for n in kept
        ]
        roster = Roster(LEASE_S, ["h3"], [], rows, 0.0)
        now = 0
        for what, number in steps:
            before = {r.name for r in roster.rows() if r.state in ("present", "late")}
            before |= {r.name for r in roster.rows() if r.name == "h3"}
            peer = Peer(number.to_bytes(8, "big"), f"h{number}", ("10.0.0.1", 1))
            if what == "wait":
                now += number
                roster.handle_timer(now, float(now))
            elif what == "joined":
                roster.joined(AgentJoined(peer, (), back=False), now, float(now))
            else:
                getattr(roster, what)(peer, now, float(now))
            names = {row.name for row in roster.rows()}
            assert len(names) <= 5
            assert before <= names
