"""`peep hosts` and `peep metrics` against real processes with real sockets.

What runs here is a server as far as its hosts go: the real protocol machine, with
agents that reached it over wires in memory, behind the real control socket.
"""

import json
from pathlib import Path

import pytest
from homes import Home, one_line

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

PROCESS = """
import asyncio, os, sys
sys.path.insert(0, TESTS)
from wires import SERVER, joined
from peep import paths
from peep.clock import ManualClock
from peep.journal.rows import HostRow
from peep.metrics import Metrics
from peep.net.class_control import ClassControl
from peep.net.control import socket_path
from peep.net.steering import Steering, agent_answers
from peep.protocol.events import AgentJoined
from peep.server import hosts
from peep.server.roster import Roster

kind, *names = sys.argv[1:]
wires = joined()
machine = wires.machines[SERVER]
clock = ManualClock(wires.now, 1_000_000.0)
rows = [
    HostRow(name, b"12345678", ("web",), "10.0.0.7", 1.0, 1_000_000.0 - 7200, "present")
    for name in names
]
roster = Roster(30, ["db1"] if names else [], [], rows, wires.now - 100)
roster.handle_timer(clock.now(), clock.wall())
for event in wires.told(SERVER, AgentJoined) if names else ():
    roster.joined(event, clock.now(), clock.wall())
metrics = Metrics()
metrics.gauge("peep_hosts", "Hosts.", lambda: {"a": 1, "b": float("inf")}, ("state",))

def more(request):
    return hosts.answer(
        request,
        infos=machine.infos if names else lambda now: [],
        roster=roster,
        metrics=metrics,
        clock=clock,
    )

async def run():
    control = ClassControl(machine, clock=clock, kick=lambda: None, say=print)
    where = socket_path(paths.runtime_dir(), kind, os.getpid())
    asked = agent_answers(metrics) if kind == "agent" else more
    asked = None if names == ["odd"] else asked
    steering = Steering(control, where, None, print, asked)
    await steering.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await steering.close()

asyncio.run(run())
""".replace("TESTS", repr(str(Path(__file__).resolve().parents[1])))


@pytest.fixture
def home():
    made = Home()
    yield made
    made.close()


def test_those_that_are_missing_come_first_and_each_is_told_of(home):
    home.start(PROCESS, "server", "web3")
    home.start(PROCESS, "agent")  # is not asked
    done = home.peep("hosts")
    assert done.returncode == 0, done.stderr
    head, *lines, last = done.stdout.splitlines()
    columns = "HOST STATE CLASSES ADDRESS SESSION LEASE DATAGRAMS MISSED HEARD"
    assert head.split() == columns.split()
    never, gone, here = (" ".join(line.split()) for line in lines)
    assert never == "db1 missing - - - - - - never"
    assert gone == "web3 missing web 10.0.0.7 - - - - 2 h ago"
    assert here.startswith("host1 present public 10.0.0.1:40001 open 29 s 1 0 ")
    assert here.endswith(" s ago")
    assert last == "3 in all: 2 missing, 1 present"


def test_hosts_are_listed_for_programs(home):
    server = home.start(PROCESS, "server", "web3")
    (told,) = json.loads(home.peep("hosts", "--json").stdout)
    assert (told["kind"], told["pid"], told["deaf"]) == ("server", server.pid, False)
    assert [(one["host"], one["expected"]) for one in told["hosts"]] == [
        ("db1", True),
        ("web3", False),
        ("host1", False),
    ]
    assert told["hosts"][2]["missed"] == 0


def test_a_server_that_heard_nobody_yet_says_that(home):
    home.start(PROCESS, "server")
    done = home.peep("hosts")
    assert (done.returncode, done.stdout) == (0, "no hosts yet\n")


def test_servers_are_told_apart(home):
    one, two = home.start(PROCESS, "server"), home.start(PROCESS, "server")
    told = home.peep("hosts").stdout
    for process in (one, two):
        assert f"server {process.pid}:\nno hosts yet\n" in told
    assert home.peep("hosts", "--of", one.pid).stdout == "no hosts yet\n"


def test_a_host_that_is_forgotten_is_gone_from_the_list(home):
    server = home.start(PROCESS, "server", "web3")
    done = home.peep("hosts", "forget", "web3")
    assert done.stdout == f"server {server.pid}: forgot web3\n"
    assert (done.returncode, done.stderr) == (0, "")
    done = home.peep("hosts", "forget", "db1")
    assert done.returncode == 0
    assert "take it out of `expect` in peep.yaml" in done.stderr
    assert home.peep("hosts").stdout.splitlines()[-1] == "1 in all: 1 present"
    again = home.peep("hosts", "forget", "web3")
    assert (
        one_line(again, 1) == f"peep: server {server.pid}: no host web3 on the roster"
    )


def test_a_host_that_is_present_is_not_forgotten(home):
    home.start(PROCESS, "server", "web3")
    said = one_line(home.peep("hosts", "forget", "host1"), 1)
    assert said.endswith("host1 is present: stop its agent first")


def test_a_host_that_one_of_two_servers_knows_is_forgotten_there(home):
    one = home.start(PROCESS, "server", "web3")
    two = home.start(PROCESS, "server")
    done = home.peep("hosts", "forget", "web3", "--json")
    assert done.returncode == 0
    assert sorted(json.loads(done.stdout), key=lambda said: said["pid"]) == sorted(
        [
            {"kind": "server", "pid": one.pid, "expected": False},
            {
                "kind": "server",
                "pid": two.pid,
                "problem": "no host web3 on the roster",
            },
        ],
        key=lambda said: said["pid"],
    )


def test_an_agent_that_is_asked_for_hosts_names_who_knows(home):
    agent = home.start(PROCESS, "agent")
    said = one_line(home.peep("hosts", "--of", agent.pid), 1)
    assert said == f"peep: agent {agent.pid}: is an agent: ask a server"
    assert "no server of yours runs" in one_line(home.peep("hosts"), 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("forget",), "which host? peep hosts forget NAME"),
        (("list", "web1"), "list takes no name"),
        (("--of", "x"), "--of 'x': say agent, server, or a process id"),
    ],
)
def test_each_misuse_is_one_line(home, words, says):
    assert says in one_line(home.peep("hosts", *words), 2)


def test_the_metrics_of_one_process_are_printed_as_they_are(home):
    home.start(PROCESS, "server")
    home.start(PROCESS, "agent")
    done = home.peep("metrics", "--of", "server")
    assert done.stdout == (
        "# HELP peep_hosts Hosts.\n"
        "# TYPE peep_hosts gauge\n"
        'peep_hosts{state="a"} 1\n'
        'peep_hosts{state="b"} +Inf\n'
    )
    assert done.returncode == 0


def test_the_metrics_of_several_processes_are_one_text(home):
    one, two = sorted(home.start(PROCESS, "server").pid for _ in range(2))
    home.start(PROCESS, "agent")
    lines = home.peep("metrics").stdout.splitlines()
    assert lines.count("# TYPE peep_hosts gauge") == 1
    assert lines[2::2] == [
        f'peep_hosts{{process="{name}",state="a"}} 1'
        for name in ("agent", f"server-{one}", f"server-{two}")
    ]


def test_a_process_that_tells_nothing_is_named_and_the_others_are_printed(home):
    agent = home.start(PROCESS, "agent")
    odd = home.start(PROCESS, "agent", "odd")
    done = home.peep("metrics")
    assert done.returncode == 1
    assert done.stderr == f"peep: agent {odd.pid}: has no answer to metrics\n"
    assert f'{{process="agent-{agent.pid}",state="a"}} 1' in done.stdout
    (told,) = json.loads(home.peep("hosts", "--of", odd.pid, "--json").stdout)
    assert told == {
        "kind": "agent",
        "pid": odd.pid,
        "problem": "has no answer to hosts",
    }


def test_where_nothing_runs_there_are_no_metrics(home):
    assert "no agent or server" in one_line(home.peep("metrics"), 1)
