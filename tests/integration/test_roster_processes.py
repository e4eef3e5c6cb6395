"""Hosts that die, told by real servers: each by name, and soon.

How soon is read in the journal, which has the server's own times.
"""

import json
import secrets
import signal
from pathlib import Path

import pytest
from homes import FEW, Home
from lives import Life, reading, wait_until
from test_commands import free_port

pytestmark = [
    pytest.mark.network,
    pytest.mark.audio,
    pytest.mark.slow,
    pytest.mark.untraced,
    pytest.mark.timeout(150),
]

TESTS = Path(__file__).resolve().parents[1]
LEASE_S = 10
LOST_S = 1.5 * LEASE_S
NAMED_S = LOST_S + 5  # after a server's start
TOLD_S = 3
AT_ONCE = 45  # of fifty agents, in one process; the others have one each
MANY = 300
# A machine that is busy; when agents are heard no more is not what is promised here.
SCHEDULED_S = 1.0
CROWD = """\
import random, sys
sys.path.insert(0, sys.argv[1])
from helpers.crowd import CLOCK, Crowd
agents, port, class_name = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
crowd = Crowd(agents, ("127.0.0.1", port), class_name, random.Random(1))
crowd.run(CLOCK.now() + 600)
"""
TOLD = """\
SELECT host, outcomes.at, cue_group, reason FROM signals
JOIN outcomes USING (number) WHERE name = ?
"""


class Place:
    """A user's directories, a server's words, and all that runs."""

    def __init__(self):
        self.home = Home()
        self.class_name = f"test-{secrets.token_hex(4)}"
        self.port = free_port()
        self.journal = Path(self.home.env["XDG_STATE_HOME"]) / "peep" / "journal.db"
        self.lives = []

    def run(self, *words):
        self.lives.append(Life(self.home.env, words))
        return self.lives[-1]

    def peep(self, *words):
        return self.run("-m", "peep", *words)

    def serve(self):
        """Start a server; return it when it listens."""
        server = self.peep(
            *("server", "--interfaces=lo", f"--port={self.port}", "--output=null"),
            *(f"--classes={self.class_name}", f"--lease={LEASE_S}", FEW),
        )
        wait_until(lambda: server.has_said("listening"), 60)
        return server

    def rows(self, question, *values):
        with reading(self.journal) as database:
            return database.execute(question, values).fetchall()

    def present(self):
        return self.rows("SELECT count(*) FROM hosts WHERE state = 'present'")[0][0]

    def close(self):
        for life in reversed(self.lives):
            life.end(signal.SIGKILL)
        self.home.close()


@pytest.fixture
def place():
    made = Place()
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def deserted():
    """A server whose three hundred agents have died: the leases end in all our time."""
    place = Place()
    try:
        place.serve()
        crowd = place.run(
            *("-c", CROWD, TESTS / "bench", MANY, place.port, place.class_name)
        )
        wait_until(lambda: place.present() == MANY, 60)
        crowd.end(signal.SIGKILL)
        yield place, crowd
    finally:
        place.close()


def test_a_restarted_server_names_exactly_those_that_did_not_come_back(place):
    server = place.serve()
    log = place.home.directory / "quiet.log"
    log.touch()
    place.run(
        TESTS / "agents.py", place.class_name, *(f"host{n}" for n in range(AT_ONCE))
    )
    alone = {
        name: place.peep(
            *("agent", "--interfaces=lo", f"--classes={place.class_name}"),
            *(f"--source=tail:{log}", f"--host={name}"),
        )
        for name in ("amy", "ben", "cas", "dan", "eve")
    }
    wait_until(lambda: place.present() == AT_ONCE + len(alone), 60)

    server.end(signal.SIGKILL)
    died = ["amy", "cas", "eve"]
    for name in died:
        alone[name].end(signal.SIGKILL)
    server = place.serve()
    listening = server.when("listening")
    wait_until(lambda: server.has_said("did not come back"), 60)

    named = [line for _, line in server.said if "did not come back" in line]
    assert named == ["did not come back: amy, cas, eve"]
    wait_until(lambda: len(place.rows(TOLD, "peep.agent-missing")) == len(died), 20)
    told = place.rows(TOLD, "peep.agent-missing")
    assert sorted(host for host, *_ in told) == died
    assert {reason for *_, reason in told} == {None}
    notes = place.rows("SELECT host, at FROM notes WHERE what = 'missing'")
    assert sorted(host for host, _ in notes) == died
    assert max(at for _, at in notes) <= listening + NAMED_S
    (answer,) = json.loads(place.home.peep("hosts", "--json").stdout)
    states = {line["host"]: line["state"] for line in answer["hosts"]}
    assert len(states) == AT_ONCE + len(alone)
    assert sorted(host for host, state in states.items() if state == "missing") == died
    assert set(states.values()) == {"missing", "present"}


def test_three_hundred_that_die_at_once_are_one_group_that_names_them_all(deserted):
    place, crowd = deserted
    wait_until(lambda: len(place.rows(TOLD, "peep.agent-lost")) == MANY, 60)

    told = place.rows(TOLD, "peep.agent-lost")
    assert {host for host, *_ in told} == {f"host{n}" for n in range(MANY)}
    assert {reason for *_, reason in told} == {None}
    (group,) = {group for _, _, group, _ in told}
    assert group is not None
    expired = [at for (at,) in place.rows("SELECT at FROM notes WHERE what = 'lost'")]
    assert len(expired) == MANY
    assert max(expired) <= crowd.ended + LOST_S + SCHEDULED_S
    cues = [at for _, at, *_ in told]
    assert min(cues) <= min(expired) + TOLD_S
    assert max(cues) <= max(expired) + TOLD_S
    # Nobody is left: perhaps it is the server that is cut off.
    ((_, deaf_at, _, reason),) = place.rows(TOLD, "peep.server-deaf")
    assert reason is None
    assert deaf_at <= min(expired) + LEASE_S + SCHEDULED_S
    ((said,),) = place.rows("SELECT detail FROM notes WHERE what = 'deaf'")
    assert f"all {MANY} hosts" in said
