"""The desk: what comes is heard once, recorded once, and receipted when it is."""

import random
import threading

import pytest
from test_mixer import BANK, THEME

from peep.clock import ManualClock
from peep.journal.journal import Journal
from peep.net.refusals import Refusals
from peep.protocol.door import ServerConfig
from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Dropped,
    Peer,
    SignalReceived,
    Way,
)
from peep.protocol.server import ServerProtocol
from peep.reasons import Reason
from peep.server.desk import Desk
from peep.server.pipeline import Pipeline
from peep.server.roster import Roster
from peep.signals import Event, Tier
from peep.sound.fake import RecordingEngine

PEER = Peer(b"agent--1", "web1", ("10.0.0.1", 40_000))
WAY = Way(b"identity", PEER.agent_id, b"session1", PEER.address)
ALERT = Event(name="disk.bad", tier=Tier.ALERT, host="web1", origin=7, serial=1)
EVENT = Event(name="ssh.login", host="web1", origin=7, serial=2)


class Receipts(ServerProtocol):
    """The real machine; what it is to receipt is written down as well."""

    def __init__(self):
        config = ServerConfig(server_id=b"server-1", secret=b"s" * 32)
        super().__init__(config, random.Random(1))
        self.told = []

    def receipt(self, way, alerts):
        super().receipt(way, alerts)
        self.told.append((way, list(alerts)))


class Office:
    """A desk with everything that it needs around it."""

    def __init__(self, path=None, *, verbose=False, expect=()):
        self.said = []
        self.clock = ManualClock(now=1000.0, wall=1_800_000_000.0)
        self.rang = threading.Event()
        self.journal = None
        if path is not None:
            self.journal = Journal(
                path, clock=self.clock, say=self.said.append, wake=self.rang.set
            )
            self.journal.start()
        self.machine = Receipts()
        kept = [] if self.journal is None else self.journal.roster()
        self.roster = Roster(30.0, expect, (), kept, self.clock.now())
        self.desk = Desk(
            self.machine,
            self.roster,
            self.journal,
            clock=self.clock,
            say=self.said.append,
            refusals=Refusals(self.said.append),
            heard_s=lambda: 12.5,
            verbose=verbose,
        )
        self.engine = RecordingEngine(BANK)
        self.pipeline = Pipeline(
            THEME,
            self.engine,
            self.engine.start(),
            random.Random(1),
            self.desk.outcome,
        )
        self.desk.attach(self.pipeline)

    def tell(self, *events):
        for event in events:
            self.desk.on_event(event, self.clock.now())
        self.desk.flush(self.clock.now())

    def settle(self):
        assert self.rang.wait(10)
        self.rang.clear()
        self.desk.settle()
        self.desk.flush(self.clock.now())

    def later(self, seconds):
        self.clock.advance(seconds)
        self.roster.handle_timer(self.clock.now(), self.clock.wall())
        self.desk.flush(self.clock.now())
        self.pipeline.handle_timer(self.clock.now())


def received(signal, *, again=False, way=WAY, age_s=0.0):
    return SignalReceived(PEER, "public", signal, age_s, again, way)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def test_an_alert_is_receipted_after_it_is_on_record_and_not_before(path):
    office = Office(path)
    office.tell(received(ALERT))
    assert office.machine.told == []
    office.settle()
    assert office.machine.told == [(WAY, [(7, 1)])]
    office.journal.close()


def test_an_alert_that_comes_again_is_receipted_again_and_heard_once(path):
    office = Office(path)
    office.tell(received(ALERT), received(ALERT))
    office.settle()
    office.tell(received(ALERT))
    assert office.machine.told == [(WAY, [(7, 1)])] * 2
    assert office.pipeline.tally.cues == office.pipeline.tally.signals == 1
    assert office.desk.alerts.repeated == 2
    office.journal.close()


def test_a_receipt_goes_where_the_alert_came_from_last(path):
    other = Way(b"identity", PEER.agent_id, b"session2", ("10.0.0.1", 40_001))
    office = Office(path)
    office.tell(received(ALERT), received(ALERT, way=other))
    office.settle()
    assert office.machine.told == [(other, [(7, 1)])]
    office.journal.close()


def test_the_same_id_said_by_another_is_another_alert(path):
    other = Way(b"stranger", PEER.agent_id, b"", ("10.0.0.66", 40_001))
    office = Office(path)
    office.tell(received(ALERT, way=other), received(ALERT))
    assert office.pipeline.tally.cues == 2
    office.journal.close()


def test_an_alert_on_record_from_before_a_restart_is_receipted_in_silence(path):
    first = Office(path)
    first.tell(received(ALERT))
    first.settle()
    first.journal.close()
    second = Office(path)
    second.tell(received(ALERT, again=True))
    assert second.machine.told == [(WAY, [(7, 1)])]
    assert second.pipeline.tally.signals == 0
    second.journal.close()


def test_one_that_an_earlier_process_may_have_sounded_is_counted(path):
    office = Office(path)
    office.tell(received(ALERT, again=True))
    assert office.desk.again == 1
    office.journal.close()


def test_an_alert_that_was_recorded_and_never_heard_is_told_late_at_the_next_start(
    path,
):
    first = Office(path)
    first.tell(received(ALERT, age_s=60.0))  # opens a group of late ones, and is heard
    second_alert = Event(name="x", tier=Tier.ALERT, host="web2", origin=7, serial=9)
    first.tell(received(second_alert, age_s=60.0))  # is gathered
    first.settle()
    first.journal.close()  # as a kill would: the group is not told
    second = Office(path)
    second.desk.tell_unheard(second.clock.now())
    assert any("x from web2, told late" in line for line in second.said)
    assert second.pipeline.tally.signals == 1
    second.journal.close()
    third = Office(path)
    assert third.journal.unheard() == []
    third.journal.close()


def test_an_alert_that_could_not_be_written_is_recorded_in_silence_when_it_comes_again(
    path, monkeypatch
):
    office = Office(path)
    monkeypatch.setattr("peep.journal.journal.MAX_QUEUED", 0)  # no room at all
    office.tell(received(ALERT))
    office.settle()
    assert office.machine.told == []
    monkeypatch.undo()
    office.tell(received(ALERT))
    office.settle()
    assert office.machine.told == [(WAY, [(7, 1)])]
    assert office.pipeline.tally.cues == 1
    assert office.pipeline.tally.suppressions == {Reason.REPEATED: 1}
    assert office.pipeline.tally.signals == 2
    office.journal.close()


def test_without_a_journal_an_alert_is_receipted_when_it_was_heard():
    office = Office()
    office.tell(received(ALERT))
    assert office.machine.told == [(WAY, [(7, 1)])]


def test_an_alert_without_an_id_is_heard_each_time_and_receipted_never():
    office = Office()
    bare = Event(name="disk.bad", tier=Tier.ALERT)
    office.tell(received(bare), received(bare))
    assert office.pipeline.tally.cues == 2
    assert office.machine.told == []


def test_other_events_are_heard_as_they_come():
    office = Office(verbose=True)
    office.tell(received(EVENT), received(EVENT))
    assert office.pipeline.tally.signals == 2
    assert [line for line in office.said if "ssh.login from web1" in line] != []


def test_a_lost_agent_is_an_alert_and_its_return_is_heard(path):
    office = Office(path)
    joined = AgentJoined(PEER, ("public",), back=False)
    office.tell(joined, AgentLate(PEER))
    office.tell(AgentReturned(PEER), AgentLate(PEER), AgentLost(PEER))
    assert any(
        line.startswith("alert peep.agent-lost from web1") for line in office.said
    )
    office.tell(AgentJoined(PEER, ("public",), back=True), AgentLeft(PEER))
    office.journal.close()
    assert "agent web1 left" in office.said


def test_hosts_that_do_not_come_back_are_named_and_heard():
    office = Office(expect=("web1", "web2"))
    office.tell(AgentJoined(PEER, ("public",), back=False))
    office.later(60.0)
    assert "did not come back: web2" in office.said
    assert any("alert peep.agent-missing from web2" in line for line in office.said)


def test_a_server_that_hears_nobody_any_more_says_so():
    office = Office()
    peers = [Peer(bytes([n] * 8), f"web{n}", ("10.0.0.1", n)) for n in (1, 2)]
    office.tell(*(AgentJoined(peer, ("public",), back=False) for peer in peers))
    office.clock.advance(30.0)
    office.tell(*map(AgentLate, peers))
    assert any("peep.server-deaf" in line for line in office.said)
    office.tell(AgentReturned(peers[0]))
    assert office.pipeline.tally.signals == 2


def test_what_was_dropped_is_counted():
    office = Office()
    office.tell(Dropped(Reason.MALFORMED, ("10.0.0.1", 1), 3))
    assert office.desk.dropped == {Reason.MALFORMED: 3}


def test_a_group_of_alerts_is_one_line_that_names_them():
    office = Office()
    peers = [Peer(bytes([n] * 8), f"web{n}", ("10.0.0.1", n)) for n in range(1, 50)]
    joined = [AgentJoined(peer, ("public",), back=False) for peer in peers]
    office.tell(*joined, *map(AgentLost, peers))
    office.later(2.5)
    (line,) = [line for line in office.said if " more (" in line]
    assert "and 48 more" in line or "and 47 more" in line
    assert "web40" in line
