"""`peep classes` against real processes with real sockets.

What runs here is as much of an agent or a server as classes need: the real protocol
machine behind the real control socket, in a process of its own.
"""

import json
import signal
import socket
import subprocess
import sys

import pytest
from homes import Home, one_line

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

PROCESS = """
import asyncio, os, random, signal, sys
from peep import paths
from peep.cli import common
from peep.clock import SystemClock
from peep.errors import PeepError
from peep.net.class_control import ClassControl
from peep.net.control import ControlServer, socket_path
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.door import ServerConfig
from peep.protocol.server import ServerProtocol

kind, *classes = sys.argv[1:]
clock = SystemClock()
if kind == "agent":
    config = AgentConfig(agent_id=b"12345678", host="h", classes=tuple(classes))
    machine = AgentProtocol(config, random.Random(1))
elif kind == "server":
    config = ServerConfig(
        server_id=b"12345678", secret=bytes(32), classes=tuple(classes)
    )
    machine = ServerProtocol(config, random.Random(1))
else:
    kind, machine = "agent", None

def say(line):
    print(line, flush=True)

async def run():
    machine and machine.start(clock.now())
    control = ClassControl(
        machine, clock=clock, kick=lambda: None, say=say, patterns=kind == "server"
    )
    where = socket_path(paths.runtime_dir(), kind, os.getpid())
    server = ControlServer(where, control.handle)
    await server.start()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(
        signal.SIGHUP,
        control.reread,
        lambda: getattr(common.settings(None), kind).classes,
    )
    say("ready")
    await asyncio.to_thread(sys.stdin.read)
    await server.close()

asyncio.run(run())
"""


class Processes(Home):
    """Agents and servers, as far as classes go."""

    def start(self, *words):
        return super().start(PROCESS, *words)


@pytest.fixture
def home():
    made = Processes()
    yield made
    made.close()


def test_classes_of_all_that_runs_are_listed(home):
    agent = home.start("agent", "public", "web")
    server = home.start("server", "*.example.org")
    for words in (("classes",), ("classes", "list")):
        done = home.peep(*words)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"agent {agent.pid}: public, web",
            f"server {server.pid}: *.example.org",
        ]
    assert json.loads(home.peep("classes", "--json").stdout) == [
        {"kind": "agent", "pid": agent.pid, "classes": ["public", "web"]},
        {"kind": "server", "pid": server.pid, "classes": ["*.example.org"]},
    ]


def test_a_class_is_added_to_all_and_each_says_so(home):
    agent = home.start("agent", "public")
    server = home.start("server", "public", "web")
    done = home.peep("classes", "add", "web", "db")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"agent {agent.pid}: now public, web, db",
        f"server {server.pid}: now public, web, db",
    ]
    assert agent.stdout.readline() == "classes are now public, web, db\n"
    done = home.peep("classes", "add", "web")
    assert done.returncode == 0
    assert f"agent {agent.pid}: as before: public, web, db" in done.stdout


@pytest.mark.parametrize("which", ["server", "pid"])
def test_only_those_that_are_meant_are_changed(home, which):
    home.start("agent", "public", "web")
    server = home.start("server", "public", "web")
    of = {"server": "server", "pid": str(server.pid)}[which]
    done = home.peep("classes", "remove", "--of", of, "web", "--json")
    assert json.loads(done.stdout) == [
        {"kind": "server", "pid": server.pid, "classes": ["public"], "changed": True}
    ]
    assert "public, web" in home.peep("classes", "--of=agent").stdout


def test_the_last_class_is_not_removed_and_the_way_out_is_told(home):
    agent = home.start("agent", "web")
    said = one_line(home.peep("classes", "remove", "web"), 1)
    assert said.startswith(f"peep: agent {agent.pid}: holds nothing but web")
    assert "add none" in said
    done = home.peep("classes", "add", "none")
    assert done.stdout == f"agent {agent.pid}: now none (speaks to nobody)\n"


def test_one_that_refuses_is_told_apart_from_those_that_do_not(home):
    agent = home.start("agent", "public")
    server = home.start("server", "public")
    done = home.peep("classes", "add", "*.example.org")
    assert done.returncode == 1
    assert done.stdout == f"server {server.pid}: now public, *.example.org\n"
    assert done.stderr.startswith(f"peep: agent {agent.pid}: an agent holds classes")
    done = home.peep("classes", "add", "*.example.org", "--json")
    assert done.returncode == 1
    assert "patterns" in json.loads(done.stdout)[0]["problem"]


def test_to_remove_what_nobody_holds_is_a_failure_that_shows_what_is_held(home):
    agent = home.start("agent", "public")
    done = home.peep("classes", "remove", "pubilc")
    assert done.returncode == 1
    assert done.stdout == f"agent {agent.pid}: as before: public\n"


def test_a_dumb_client_is_listed_and_cannot_be_changed(home):
    dumb = home.start("dumb")
    assert home.peep("classes").stdout == f"agent {dumb.pid}: public\n"
    assert "dumb client" in one_line(home.peep("classes", "add", "web"), 1)


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ((), "peep: no agent or server of yours runs"),
        (("--of", "agent"), "peep: no agent of yours runs"),
        (("--of", "4711"), "peep: no process 4711 of yours"),
    ],
)
def test_where_nothing_runs_one_line_says_so(home, of, says):
    assert one_line(home.peep("classes", *of), 1).startswith(says)


def test_a_killed_process_is_not_asked_and_its_socket_is_cleared_away(home):
    dead = home.start("agent", "public")
    dead.kill()
    dead.wait()
    assert (home.run / f"agent-{dead.pid}.sock").exists()
    assert "no agent or server" in one_line(home.peep("classes"), 1)
    assert list(home.run.iterdir()) == []


def test_a_process_that_ends_leaves_no_socket(home):
    agent = home.start("agent", "public")
    agent.communicate(timeout=15)
    assert agent.returncode == 0
    assert list(home.run.iterdir()) == []


def test_a_process_started_without_a_runtime_directory_is_found_from_a_login(home):
    runtime = home.env.pop("XDG_RUNTIME_DIR")
    # As root would use /run/peep, of which tests keep their hands.
    home.env["XDG_RUNTIME_DIR"] = "not/absolute"
    agent = home.start("agent", "public")
    home.env["XDG_RUNTIME_DIR"] = runtime
    assert home.peep("classes").stdout == f"agent {agent.pid}: public\n"


def test_a_process_of_another_version_is_one_line(home):
    home.run.mkdir(mode=0o700)
    path = home.run / "server-1.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        asking = subprocess.Popen(
            [sys.executable, "-m", "peep", "classes"],
            stderr=subprocess.PIPE,
            text=True,
            env=home.env,
        )
        other.settimeout(15)
        sock, _ = other.accept()
        with sock:
            assert json.loads(sock.recv(1000)) == {"do": "classes"}
            sock.sendall(b'{"ok": true, "klasses": []}\n')
            _, said = asking.communicate(timeout=15)
    assert asking.returncode == 1
    assert said == (
        "peep: server 1: the answer makes no sense: is it another version of Peep?\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add",), "which classes? peep classes add NAME"),
        (("remove",), "which classes?"),
        (("list", "web"), "list takes no classes"),
        (("add", "a b"), "class 'a b' is not 1 to 64"),
        (("--of", "x"), "--of 'x': say agent, server, or a process id"),
    ],
)
def test_each_misuse_is_one_line(home, words, says):
    assert says in one_line(home.peep("classes", *words), 2)


def test_an_unknown_verb_is_a_mistake_of_usage(home):
    done = home.peep("classes", "drop", "web")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_edit_of_the_configuration_is_read_on_sighup(home):
    home.config.mkdir(parents=True)
    file = home.config / "peep.yaml"
    file.write_text("agent: {classes: [public]}\nserver: {classes: [x]}\n")
    agent = home.start("agent", "public")
    server = home.start("server", "x")
    file.write_text("agent: {classes: [web, db]}\nserver: {classes: [y]}\n")
    agent.send_signal(signal.SIGHUP)
    server.send_signal(signal.SIGHUP)
    assert agent.stdout.readline() == "classes are now web, db\n"
    assert server.stdout.readline() == "classes are now y\n"
    file.write_text("agent: {classes: [a b]}\nserver: {prot: 1}\n")
    agent.send_signal(signal.SIGHUP)
    assert "peep.yaml:1: agent.classes" in agent.stdout.readline()
    assert "did you mean 'port'" in agent.stdout.readline()
    assert "goes on as it was" in agent.stdout.readline()
    assert f"agent {agent.pid}: web, db" in home.peep("classes").stdout
