"""What a server answers about its hosts."""

import msgspec
import pytest
from wires import SERVER, agent_machine, joined

from peep.clock import ManualClock
from peep.errors import PeepError
from peep.journal.rows import HostRow
from peep.metrics import Metrics
from peep.net import control
from peep.net.control import AddClasses, ForgetHost, ListHosts, ReadMetrics
from peep.protocol.events import AgentInfo, AgentJoined, Peer
from peep.server import roster as rosters
from peep.server.hosts import HostLine, answer, listing
from peep.server.roster import Roster

WALL = 1_000_000.0


def row(name, state, seen=WALL - 100):
    return HostRow(name, b"12345678", ("public",), "10.0.0.1", 1.0, seen, state)


def info(host, stage="live", number=1, **more):
    known = {
        "peer": Peer(number.to_bytes(8, "big"), host, ("10.0.0.1", 40_000)),
        "classes": ("public",),
        "stage": stage,
        "sealed": False,
        "lease_s": 30.0,
        "lease_left_s": 20.0,
        "datagrams": 7,
        "missed": 1,
        "signals": 12,
    }
    return AgentInfo(**{**known, **more})


def lines(infos, roster):
    return [msgspec.convert(one, HostLine) for one in listing(infos, roster, WALL)]


def test_who_should_be_looked_at_comes_first():
    rows = [
        row("f", "left"),
        row("e", "lost"),
        row("d", "missing"),
        row("c", "present"),
    ]
    roster = Roster(30, rows=rows)
    infos = [info("z"), info("b"), info("a", "late"), info("y", "dumb")]
    told = [(line.host, line.state) for line in lines(infos, roster)]
    assert told == [
        ("d", "missing"),
        ("a", "late"),
        ("e", "lost"),
        ("c", "awaited"),
        ("b", "present"),
        ("z", "present"),
        ("y", "dumb"),
        ("f", "left"),
    ]


def test_an_agent_is_told_of_as_it_stands():
    (line,) = lines([info("web1", sealed=True)], Roster(30, expect=["web1"]))
    assert line == HostLine(
        host="web1",
        state="present",
        classes=("public",),
        address="10.0.0.1:40000",
        sealed=True,
        lease_left_s=20.0,
        datagrams=7,
        missed=1,
        signals=12,
        heard_s_ago=10.0,
        expected=True,
    )


def test_a_late_agent_was_heard_before_its_lease_ended():
    (line,) = lines([info("web1", "late", lease_left_s=-5.0)], Roster(30))
    assert (line.lease_left_s, line.heard_s_ago) == (-5.0, 35.0)


def test_a_dumb_sender_has_no_lease():
    (line,) = lines([info("10.0.0.1", "dumb")], Roster(30))
    assert (line.lease_left_s, line.heard_s_ago) == (None, 10.0)


def test_a_dumb_sender_is_not_the_host_of_its_name():
    roster = Roster(30, rows=[row("10.0.0.1", "lost")])
    told = lines([info("10.0.0.1", "dumb")], roster)
    assert [line.state for line in told] == ["lost", "dumb"]


def test_a_host_without_an_agent_was_heard_when_its_row_says():
    (line,) = lines([], Roster(30, rows=[row("web1", "lost")]))
    assert line == HostLine(
        host="web1",
        state="lost",
        classes=("public",),
        address="10.0.0.1",
        heard_s_ago=100.0,
    )
    assert lines([], Roster(30, rows=[row("w", "lost", WALL + 5)]))[0].heard_s_ago == 0


def test_an_expected_host_that_was_never_seen_was_never_heard():
    roster = Roster(30, expect=["web1"])
    assert lines([], roster) == []
    roster.handle_timer(100, WALL)
    (line,) = lines([], roster)
    assert line == HostLine(host="web1", state="missing", expected=True)


def test_two_agents_of_a_host_are_two_lines_and_ipv6_is_in_brackets():
    peer = Peer(b"22222222", "web1", ("fe80::1%eth0", 4000))
    told = lines([info("web1"), info("web1", peer=peer)], Roster(30))
    assert [line.address for line in told] == ["10.0.0.1:40000", "[fe80::1%eth0]:4000"]


def test_a_full_roster_with_the_longest_names_fits_into_an_answer():
    names = tuple(f"{n:02}" + "\\" * 62 for n in range(64))
    host = "\\" * 248
    one = info(host, classes=names, datagrams=2**63, missed=2**63, signals=2**63)
    (line,) = listing([one], Roster(30), WALL)
    assert len(line["classes"]) == 9
    assert line["classes"][-1] == "…"
    assert len(msgspec.json.encode(line)) * rosters.MAX_HOSTS < control.MAX_ANSWER_BYTES


class Desk:
    """A server that is asked."""

    def __init__(self):
        self.clock = ManualClock(50, WALL)
        self.metrics = Metrics()
        self.roster = Roster(30, expect=["db1"], rows=[row("old", "lost")])
        self.asked_at = []

    def infos(self, now):
        self.asked_at.append(now)
        return [info("web1")]

    def ask(self, request):
        return answer(
            request,
            infos=self.infos,
            roster=self.roster,
            metrics=self.metrics,
            clock=self.clock,
        )


def test_a_server_that_is_asked_lists_its_hosts_as_of_now():
    desk = Desk()
    told = desk.ask(ListHosts())
    assert [one["host"] for one in told["hosts"]] == ["old", "web1"]
    assert told["deaf"] is False
    assert desk.asked_at == [50]


def test_a_server_forgets_what_it_is_told_to_and_says_if_it_was_expected():
    desk = Desk()
    assert desk.ask(ForgetHost("old")) == {"expected": False}
    assert desk.ask(ForgetHost("db1")) == {"expected": True}
    with pytest.raises(PeepError, match="no host old on the roster"):
        desk.ask(ForgetHost("old"))
    peer = info("web1").peer
    desk.roster.joined(AgentJoined(peer, ("public",), back=False), 50, WALL)
    with pytest.raises(PeepError, match="web1 is present"):
        desk.ask(ForgetHost("web1"))


def test_a_server_tells_its_metrics_and_refuses_what_it_does_not_know():
    desk = Desk()
    desk.metrics.gauge("m", "M.", lambda: 4)
    assert desk.ask(ReadMetrics()) == {"metrics": desk.metrics.collect()}
    with pytest.raises(PeepError, match=r"no answer to classes\.add"):
        desk.ask(AddClasses(("a",)))


def test_what_the_protocol_knows_of_its_agents_can_be_listed():
    wires = joined()
    wires.add(agent_machine(2, seed=9), ("10.0.0.2", 4000))
    wires.run(5)
    told = lines(wires.machines[SERVER].infos(wires.now), Roster(30))
    assert [(line.host, line.state) for line in told] == [
        ("host1", "present"),
        ("host2", "present"),
    ]
    assert all(line.missed == 0 and line.datagrams for line in told)
    assert all(0 <= line.heard_s_ago <= 6 for line in told)
