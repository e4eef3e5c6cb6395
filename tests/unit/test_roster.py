"""Who is here, who is missed, and whether it is the server that is deaf."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wires import SERVER, Wires, agent_machine, server_machine

from peep.errors import PeepError
from peep.journal.rows import HostRow
from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Peer,
)
from peep.server import roster as rosters
from peep.server.expectations import matches
from peep.server.roster import Changed, Deaf, Dropped, Hearing, Missing, Roster

LEASE_S = 30
WAIT_S = 1.5 * LEASE_S + rosters.GRACE_S
WALL = 1_000_000.0  # ahead of `now` by this much


def agent(host, number=1, ip="10.0.0.1"):
    return Peer(number.to_bytes(8, "big"), host, (ip, 40_000))


def row(name, state="present", seen=5.0):
    return HostRow(name, b"12345678", ("public",), "10.0.0.1", 1.0, seen, state)


class Desk:
    """A roster, its time, and what it told."""

    def __init__(self, started=0.0, **more):
        self.now = started
        self.roster = Roster(LEASE_S, started=started, **more)

    def joined(self, peer, classes=("public",)):
        info = AgentJoined(peer, classes, back=False)
        return self.roster.joined(info, self.now, WALL + self.now)

    def tell(self, what, *peers):
        for peer in peers:
            getattr(self.roster, what)(peer, self.now, WALL + self.now)

    def until(self, now):
        while (due := self.roster.next_timer()) is not None and due <= now:
            self.now = max(self.now, due)
            self.roster.handle_timer(self.now, WALL + self.now)
        self.now = now

    def told(self, *kinds):
        events = []
        while (event := self.roster.next_event()) is not None:
            events.append(event)
        return [e for e in events if isinstance(e, kinds or (Missing, Deaf, Hearing))]

    def states(self):
        return {one.name: one.state for one in self.roster.rows()}


# -- what a host is ------------------------------------------------------------------


def test_a_host_is_what_its_agent_says_and_each_change_is_to_be_kept():
    desk = Desk()
    peer = agent("web1")
    desk.now = 10
    assert desk.joined(peer, ("web", "public")) is False
    first = HostRow(
        *("web1", peer.agent_id, ("web", "public"), "10.0.0.1"),
        *(WALL + 10, WALL + 10, "present"),
    )
    assert desk.told(Changed, Dropped) == [Changed(first)]
    for now, what, state, seen in (
        (50, "late", "late", 20),
        (55, "returned", "present", 55),
        (90, "late", "late", 60),
        (105, "lost", "lost", 60),
    ):
        desk.now = now
        desk.tell(what, peer)
        kept = rosters.replace(first, state=state, last_seen=WALL + seen)
        assert desk.told(Changed, Dropped) == [Changed(kept)]
        assert desk.roster.row("web1") == kept
    desk.now = 200
    assert desk.joined(peer) is True
    desk.tell("left", peer)
    assert desk.states() == {"web1": "left"}
    assert desk.roster.row("web1").last_seen == WALL + 200
    assert desk.joined(peer) is False


def test_an_agent_that_is_lost_without_having_been_late_was_heard_before_that():
    desk = Desk()
    desk.joined(agent("web1"))
    desk.now = 1000  # the machine was suspended
    desk.tell("lost", agent("web1"))
    assert desk.roster.row("web1").last_seen == WALL + 1000 - 1.5 * LEASE_S


def test_two_agents_of_one_name_are_one_host_that_is_here_while_either_is():
    desk = Desk()
    one, two = agent("web1", 1), agent("web1", 2)
    desk.joined(one, ("a",))
    desk.joined(two, ("b", "a"))
    assert desk.roster.row("web1").classes == ("a", "b")
    desk.tell("late", one)
    assert desk.states() == {"web1": "present"}
    desk.tell("returned", one)
    desk.tell("late", two)
    assert desk.states() == {"web1": "present"}
    desk.tell("late", one)
    assert desk.states() == {"web1": "late"}
    desk.tell("lost", one)
    assert desk.states() == {"web1": "late"}
    desk.tell("returned", two)
    desk.tell("left", two)
    assert desk.states() == {"web1": "left"}


def test_the_classes_of_a_host_are_as_many_as_one_packet_names():
    desk = Desk()
    for number in range(3):
        names = tuple(f"c{number}-{n}" for n in range(50))
        desk.joined(agent("web1", number), names)
    assert len(desk.roster.row("web1").classes) == 64


def test_an_agent_that_was_started_again_under_another_name_left_its_first():
    desk = Desk(expect=("old",))
    desk.joined(agent("old"))
    desk.joined(agent("new"))
    assert desk.states() == {"new": "present", "old": "left"}
    assert desk.roster.row("old").last_seen == WALL
    desk.until(200)
    assert desk.told() == [Missing(("old",))]


def test_a_clone_that_speaks_from_elsewhere_is_a_host_beside_the_other():
    desk = Desk()
    desk.joined(agent("old", ip="10.0.0.1"))
    desk.joined(agent("new", ip="10.0.0.2"))
    assert desk.states() == {"new": "present", "old": "present"}
    desk.tell("left", agent("old", ip="10.0.0.1"))
    assert desk.states() == {"new": "present", "old": "left"}


def test_an_agent_that_changes_its_name_in_a_session_is_the_host_that_joined():
    desk = Desk()
    desk.joined(agent("old"))
    desk.tell("late", agent("new"))
    assert desk.states() == {"old": "late"}
    desk.tell("returned", agent("new"))
    assert desk.states() == {"old": "present"}
    desk.tell("lost", agent("new"))
    assert desk.states() == {"old": "lost"}


def test_words_of_hosts_that_nobody_knows_change_nothing():
    desk = Desk()
    desk.tell("late", agent("web1"))
    desk.tell("lost", agent("web1"))
    desk.joined(agent("web1", 1))
    desk.tell("left", agent("web1", 2, ip="10.0.0.2"))
    desk.tell("late", agent("web1", 2, ip="10.0.0.2"))
    desk.tell("lost", agent("web2", 1, ip="10.0.0.2"))
    assert desk.states() == {"web1": "present"}


# -- who is missed -------------------------------------------------------------------


def test_a_restarted_server_names_those_that_do_not_come_back():
    rows = [row(f"web{n}") for n in range(5)]
    rows += [row("db1", "late"), row("gone", "lost"), row("off", "left")]
    desk = Desk(rows=rows, started=100)
    for number in (0, 2, 4):
        desk.now += 1
        assert desk.joined(agent(f"web{number}", number)) is False
    desk.until(100 + WAIT_S - 0.1)
    assert desk.told() == []
    desk.until(100 + WAIT_S)
    assert desk.told() == [Missing(("db1", "web1", "web3"))]
    assert desk.states()["web1"] == "missing"
    assert (desk.states()["gone"], desk.states()["off"]) == ("lost", "left")
    desk.until(10_000)
    assert desk.told() == []
    assert desk.joined(agent("web1", 1)) is True


def test_a_host_that_comes_back_and_is_lost_before_the_naming_is_told_once():
    desk = Desk(rows=[row("web1")])
    desk.joined(agent("web1"))
    desk.now = 46
    desk.tell("lost", agent("web1"))
    desk.until(1000)
    assert desk.told() == []


def test_what_is_missing_is_not_missed_again_after_the_next_start():
    desk = Desk(rows=[row("web1")])
    desk.until(100)
    assert desk.told() == [Missing(("web1",))]
    again = Desk(rows=desk.roster.rows())
    again.until(100)
    assert again.told() == []


def test_an_expected_host_that_was_never_seen_is_missed_after_each_start():
    desk = Desk(expect=("db1", "web1"))
    desk.joined(agent("web1"))
    desk.until(WAIT_S)
    assert desk.told(Missing, Changed)[1:] == [Missing(("db1",))]
    assert desk.states() == {"db1": "missing", "web1": "present"}
    assert desk.joined(agent("db1", 2)) is True
    assert desk.roster.row("db1").first_seen == WALL + WAIT_S


def test_an_expected_host_may_leave_for_as_long_as_a_restart_takes():
    desk = Desk(expect=("web1",))
    desk.joined(agent("web1"))
    desk.now = 100
    desk.tell("left", agent("web1"))
    desk.until(100 + WAIT_S - 1)
    desk.joined(agent("web1"))
    desk.until(500)
    assert desk.told() == []
    desk.tell("left", agent("web1"))
    desk.until(500 + WAIT_S)
    assert desk.told() == [Missing(("web1",))]


def test_an_expected_host_that_is_lost_is_told_by_that_and_not_missed():
    desk = Desk(expect=("web1",))
    desk.joined(agent("web1"))
    desk.now = 100
    desk.tell("late", agent("web1"))
    desk.tell("lost", agent("web1"))
    desk.until(1000)
    assert desk.told() == []
    assert desk.roster.alarming("web1")


@pytest.mark.parametrize("state", ["lost", "missing", "left"])
def test_an_expected_host_that_was_gone_already_is_missed_after_a_start(state):
    desk = Desk(expect=("web1",), rows=[row("web1", state)])
    desk.until(WAIT_S)
    assert desk.told() == [Missing(("web1",))]


def test_an_ephemeral_host_is_not_missed_and_its_loss_is_no_alarm():
    desk = Desk(ephemeral=("ci-*",), rows=[row("ci-1"), row("web1")])
    assert not desk.roster.alarming("ci-7")
    assert desk.roster.alarming("web1")
    desk.until(WAIT_S)
    assert desk.told() == [Missing(("web1",))]
    assert desk.states() == {"ci-1": "left", "web1": "missing"}
    desk.joined(agent("ci-2"))
    desk.tell("lost", agent("ci-2"))
    assert desk.states()["ci-2"] == "lost"
    assert desk.joined(agent("ci-2")) is False


def test_a_host_that_is_expected_by_name_is_not_ephemeral():
    desk = Desk(ephemeral=("ci-*",), expect=("ci-main",))
    assert desk.roster.alarming("ci-main")
    desk.until(WAIT_S)
    assert desk.told() == [Missing(("ci-main",))]


def test_rows_of_those_who_stay_are_kept_fresh_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(rosters, "KEEP_HOSTS", 2)
    desk = Desk()
    for number in range(4):
        desk.joined(agent(f"web{number}", number))
    desk.tell("left", agent("web3", 3))
    desk.told()
    desk.until(rosters.KEEP_S)
    first = {event.row.name: event.row.last_seen for event in desk.told(Changed)}
    assert first == dict.fromkeys(("web0", "web1"), WALL + rosters.KEEP_S)
    desk.until(510)
    names = [event.row.name for event in desk.told(Changed)]
    assert names[:2] == ["web2", "web0"]
    # Between heard and late there is a lease: what was kept is newer, and stays.
    desk.tell("late", agent("web0", 0))
    assert desk.roster.row("web0").last_seen == WALL + 500
    desk.tell("returned", agent("web0", 0))
    assert desk.roster.next_timer() is not None
    desk.tell("left", *(agent(f"web{number}", number) for number in range(3)))
    assert desk.roster.next_timer() is None


# -- forgetting ----------------------------------------------------------------------


def test_a_host_that_is_forgotten_is_missed_no_more():
    desk = Desk(rows=[row("web1"), row("db1", "lost")], expect=("db1", "db2"))
    for name in ("web1", "db1", "db2"):
        assert desk.roster.forget(name) is True
        assert desk.roster.forget(name) is False
    assert desk.told(Dropped) == [Dropped("web1"), Dropped("db1")]
    assert desk.roster.rows() == []
    desk.until(1000)
    assert desk.told() == []


def test_a_host_that_holds_a_lease_is_not_forgotten():
    desk = Desk()
    desk.joined(agent("web1"))
    with pytest.raises(PeepError, match="web1 is present: stop its agent first"):
        desk.roster.forget("web1")
    desk.tell("late", agent("web1"))
    with pytest.raises(PeepError, match="web1 is late"):
        desk.roster.forget("web1")
    desk.tell("lost", agent("web1"))
    assert desk.roster.forget("web1")


# -- deafness ------------------------------------------------------------------------


def crowd(count):
    peers = [agent(f"web{n}", n) for n in range(count)]
    desk = Desk()
    for peer in peers:
        desk.joined(peer)
    desk.now = 100
    return desk, peers


def test_a_server_whose_hosts_all_fall_silent_together_is_deaf_until_one_is_heard():
    desk, peers = crowd(3)
    for peer in peers:
        assert desk.told() == []
        desk.tell("late", peer)
        desk.now += 10
    assert desk.told() == [Deaf(("web0", "web1", "web2"))]
    assert desk.roster.deaf
    desk.tell("lost", *peers)
    assert desk.told() == []
    desk.joined(peers[1])
    assert desk.told() == [Hearing()]
    assert not desk.roster.deaf
    desk.joined(peers[2])
    desk.now += 100
    desk.tell("late", peers[1], peers[2])
    assert desk.told() == [Deaf(("web1", "web2"))]
    desk.joined(agent("new", 9))
    assert desk.told() == [Hearing()]


def test_a_suspended_server_that_loses_all_at_once_is_deaf():
    desk, peers = crowd(2)
    desk.tell("lost", *peers)
    assert desk.told() == [Deaf(("web0", "web1"))]


def test_one_host_alone_is_no_proof_of_deafness_even_with_two_agents():
    desk = Desk()
    desk.joined(agent("web1", 1))
    desk.joined(agent("web1", 2))
    desk.tell("late", agent("web1", 1), agent("web1", 2))
    assert desk.told() == []


def test_a_server_that_hears_one_host_is_not_deaf():
    desk, peers = crowd(3)
    desk.tell("late", *peers[:2])
    desk.tell("returned", peers[0])
    desk.tell("late", peers[2])
    assert desk.told() == []


def test_a_goodbye_among_the_silences_is_no_deafness_but_an_earlier_one_is_no_matter():
    desk, peers = crowd(3)
    desk.tell("late", peers[0])
    desk.tell("left", peers[1])
    desk.tell("late", peers[2])
    assert desk.told() == []
    desk, peers = crowd(3)
    desk.tell("late", peers[1])
    desk.tell("left", peers[1])
    desk.now += 1
    desk.tell("late", peers[0], peers[2])
    assert desk.told() == [Deaf(("web0", "web2"))]


def test_what_falls_silent_is_counted_from_when_it_was_late_and_not_lost():
    desk, peers = crowd(2)
    desk.tell("late", peers[0])
    desk.now += 15
    desk.tell("lost", peers[0])
    desk.now += 31
    desk.tell("late", peers[1])
    assert desk.told() == []


@pytest.mark.parametrize(("gap_s", "deaf"), [(45, True), (45.1, False)])
def test_silences_belong_together_within_a_lease_and_a_half(gap_s, deaf):
    desk, peers = crowd(2)
    desk.tell("late", peers[0])
    desk.now += gap_s
    desk.tell("late", peers[1])
    assert bool(desk.told()) is deaf


# -- bounds --------------------------------------------------------------------------


def test_the_longest_gone_make_room_and_the_expected_and_the_awaited_do_not(
    monkeypatch,
):
    monkeypatch.setattr(rosters, "MAX_HOSTS", 4)
    rows = [
        row("old", "lost", seen=3),
        row("older", "left", seen=2),
        row("oldest", "lost", seen=1),
        row("db1", "left", seen=1.5),
        row("web1", seen=9),
    ]
    desk = Desk(rows=rows, expect=("db1",))
    assert desk.told(Dropped) == [Dropped("oldest")]
    for number, gone in enumerate(("older", "old")):
        desk.joined(agent(f"new{number}", number))
        assert desk.told(Dropped) == [Dropped(gone)]
    # Now all are here, expected or awaited: there is no room, and nobody is pushed out.
    desk.joined(agent("more", 7))
    desk.tell("late", agent("more", 7))
    desk.tell("lost", agent("more", 7))
    assert set(desk.states()) == {"db1", "web1", "new0", "new1"}
    desk.tell("left", agent("new0", 0))
    desk.joined(agent("more", 7))
    assert set(desk.states()) == {"db1", "web1", "new1", "more"}


def test_a_host_that_came_back_and_one_that_is_expected_make_no_room(monkeypatch):
    monkeypatch.setattr(rosters, "MAX_HOSTS", 3)
    desk = Desk(expect=("db1",))
    for number, name in enumerate(("web1", "db1", "web2")):
        desk.joined(agent(name, number))
        desk.tell("lost", agent(name, number))
    desk.joined(agent("web1", 0))
    for number in range(3, 6):
        desk.joined(agent(f"new{number}", number))
        assert set(desk.states()) == {"db1", "web1", f"new{number}"}
        desk.tell("lost", agent(f"new{number}", number))


def test_an_expected_host_is_missed_even_if_there_is_no_room_for_it(monkeypatch):
    monkeypatch.setattr(rosters, "MAX_HOSTS", 1)
    desk = Desk(expect=("db1",))
    desk.joined(agent("web1"))
    desk.until(WAIT_S)
    assert desk.told() == [Missing(("db1",))]
    assert set(desk.states()) == {"web1"}


# -- patterns ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "same"),
    [
        ("ci-*", "ci-1", True),
        ("ci-*", "ci-", True),
        ("ci-*", "aci-1", False),
        ("*.lab", "a.b.lab", True),
        ("*.lab", "lab", False),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("a*ba", "aba", True),
        ("ab*ba", "aba", False),
        ("*", "", True),
        ("web1", "web1", True),
        ("web1", "web12", False),
        ("w?b[1]", "web1", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_for_anything(pattern, name, same):
    assert matches(pattern, name) is same


@given(parts=st.lists(st.text("ab", max_size=2)), name=st.text("ab", max_size=9))
@example(parts=["", "aba", ""], name="ababa")
def test_patterns_match_as_a_search_of_all_ways_does(parts, name):
    def found(parts, name):
        first, *rest = parts
        if not rest:
            return name == first
        tails = (name[len(first) :][n:] for n in range(len(name) + 1))
        return name.startswith(first) and any(found(rest, tail) for tail in tails)

    parts = parts or [""]
    assert matches("*".join(parts), name) is found(parts, name)


# -- with the real machines ----------------------------------------------------------


class Site:
    """A server on wires whose events go to a roster each second."""

    def __init__(self, wires, rows=()):
        self.wires = wires
        self.server = server_machine(number=int(wires.now), lease_s=LEASE_S)
        self.roster = Roster(LEASE_S, rows=rows, started=wires.now)
        wires.add(self.server, SERVER)

    def run(self, seconds):
        for _ in range(seconds):
            self.wires.run(1)
            now, wall = self.wires.now, WALL + self.wires.now
            for event in self.wires.told(SERVER):
                match event:
                    case AgentJoined():
                        self.roster.joined(event, now, wall)
                    case AgentLate(peer=peer):
                        self.roster.late(peer, now, wall)
                    case AgentReturned(peer=peer):
                        self.roster.returned(peer, now, wall)
                    case AgentLost(peer=peer):
                        self.roster.lost(peer, now, wall)
                    case AgentLeft(peer=peer):
                        self.roster.left(peer, now, wall)
            self.roster.handle_timer(now, wall)

    def told(self):
        told = []
        while (event := self.roster.next_event()) is not None:
            told.append(event)
        return [e for e in told if isinstance(e, Missing | Deaf | Hearing)]


def test_a_killed_server_that_is_started_again_misses_exactly_the_agents_killed_too():
    wires = Wires()
    site = Site(wires)
    for number in range(1, 21):
        wires.add(agent_machine(number, seed=number), (f"10.0.1.{number}", 4000))
    site.run(20)
    rows = site.roster.rows()
    assert len(rows) == 20
    wires.kill(SERVER)
    for number in (7, 11, 20):
        wires.kill((f"10.0.1.{number}", 4000))
    wires.run(5)
    again = Site(wires, rows)
    again.run(int(1.5 * LEASE_S) + 5)
    assert again.told() == [Missing(("host11", "host20", "host7"))]


def test_a_server_that_is_cut_off_says_so_and_that_it_hears_again():
    wires = Wires()
    site = Site(wires)
    for number in range(1, 6):
        wires.add(agent_machine(number, seed=number), (f"10.0.1.{number}", 4000))
    site.run(60)
    wires.lose = lambda data, source, to: SERVER in (source, to)
    site.run(60)
    assert site.told() == [Deaf(tuple(f"host{n}" for n in range(1, 6)))]
    wires.lose = lambda data, source, to: False
    site.run(150)
    assert site.told() == [Hearing()]
    assert {one.state for one in site.roster.rows()} == {"present"}
