"""A real agent, as a guest on a host: it is steered, held back, and ends in order."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from homes import FEW, Home
from lives import Life, wait_until

from peep.protocol import wire
from peep.protocol.packets import Signals

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

SO_RCVBUFFORCE = 33  # Linux; the socket module does not name it
PATIENCE_S = 30


def pack(name, pattern="line", rate="100000/s", more=""):
    """A rule pack with one rule; more than are heard in a test pass unfolded."""
    return (
        f"- {{name: {name}, match: '{pattern}', event: by.{name}, family: failure, "
        f"rate: {rate}{more}}}\n"
    )


class Ear:
    """A server's socket: counts what dumb clients send there, by name."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(PermissionError):
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.port = self.socket.getsockname()[1]
        self.heard = {}
        self._ending = threading.Event()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self):
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                _, body = wire.decode(self.socket.recv(2000))
                assert isinstance(body, Signals)
                for event in body.events:
                    name = body.names[event.name]
                    self.heard[name] = self.heard.get(name, 0) + event.count

    def close(self):
        self._ending.set()
        self._listener.join()
        self.socket.close()


class Host(Home):
    """A host with a log, rules of its own, and an agent that is a dumb client."""

    def __init__(self):
        super().__init__()
        self.config.mkdir(parents=True)
        self.log = self.directory / "a.log"
        self.log.touch()
        self.rules = self.config / "rules.yaml"
        self.rules.write_text(pack("old"))
        self.ear = Ear()
        self.lives = []

    def configure(self, **keys):
        keys = {"rules": "[rules.yaml]", "sources": f"[{{tail: {self.log}}}]", **keys}
        written = ", ".join(f"{key}: {value}" for key, value in keys.items())
        (self.config / "peep.yaml").write_text(f"agent: {{{written}}}\n")

    def words(self, *more):
        address = ("-noautodiscovery", "-server", "127.0.0.1", "-port", self.ear.port)
        return ["-m", "peep", "agent", *address, *more]

    def agent(self, *more, ready="following"):
        life = Life(self.env, self.words(*more))
        self.lives.append(life)
        wait_until(lambda: life.has_said(ready), PATIENCE_S)
        return life

    def append(self, *lines):
        with self.log.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def hears(self, **counts):
        """Wait for so many events by each rule."""
        expected = {f"by.{name}": count for name, count in counts.items()}
        wait_until(lambda: self.ear.heard == expected, PATIENCE_S)

    def close(self):
        for life in self.lives:
            life.end(signal.SIGTERM)
        self.ear.close()
        super().close()


@pytest.fixture
def host():
    made = Host()
    made.configure()
    yield made
    made.close()


def hang_up(life, says):
    """Send SIGHUP, and wait for what is said to it."""
    before = sum(says in line for _, line in life.said)
    life.process.send_signal(signal.SIGHUP)
    wait_until(lambda: sum(says in line for _, line in life.said) > before, PATIENCE_S)


# ---- SIGHUP ---------------------------------------------------------------------


def test_rules_are_read_again_and_the_next_line_is_judged_by_them(host):
    life = host.agent()
    host.append("line")
    host.hears(old=1)
    host.rules.write_text(pack("new"))
    hang_up(life, "rules read again: 1 rules")
    host.append("line")
    host.hears(old=1, new=1)
    life.end(signal.SIGTERM)
    assert life.process.returncode == 0


def test_no_line_is_lost_or_told_twice_while_rules_are_read_again_and_again(host):
    # A thousand lines at once are matched in a thread, amidst which rules change.
    count = 1000
    life = host.agent("--cpu-max=0")
    done = threading.Event()

    def write():
        for _ in range(40):
            host.append(*["line"] * count)
            time.sleep(0.02)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    number = 0
    while not done.is_set() or number < 3:
        number += 1
        host.rules.write_text(pack(f"r{number}", rate="100/s"))
        hang_up(life, "rules read again")
    writer.join()
    wait_until(lambda: sum(host.ear.heard.values()) >= 40 * count, PATIENCE_S)
    life.end(signal.SIGTERM)
    assert sum(host.ear.heard.values()) == 40 * count
    assert len(host.ear.heard) > 1, "rules were changed between lines"
    assert life.has_said(f"{40 * count} lines read, {40 * count} matched")


def test_rules_that_are_refused_are_named_with_their_place_and_the_old_ones_go_on(
    host,
):
    life = host.agent()
    host.rules.write_text(pack("old") + pack("bad", pattern="("))
    hang_up(life, f"{host.rules}:2: [1].match: missing )")
    assert life.said[-1][1].endswith(": nothing is changed")
    host.append("line")
    host.hears(old=1)


def test_an_agent_whose_classes_are_options_reads_its_rules_again_too(host):
    class_name = f"none-{os.getpid()}"
    words = ["-m", "peep", "agent", "--interfaces=lo", f"--classes={class_name}"]
    life = Life(host.env, words)
    host.lives.append(life)
    wait_until(lambda: life.has_said("following"), PATIENCE_S)
    host.configure(classes="[other]")
    hang_up(life, "rules read again: 1 rules")
    assert not life.has_said("classes are now")
    life.end(signal.SIGTERM)
    assert life.process.returncode == 0


def test_what_only_a_start_takes_up_is_named(host):
    life = host.agent()
    host.configure(sources="[system]", spool="{max_mib: 9}", cpu_max="0")
    hang_up(life, "taken up by a restart only: agent.sources, agent.spool")
    host.configure()
    hang_up(life, "rules read again")
    assert life.said[-1][1] == "rules read again: 1 rules"


def test_the_process_that_asks_old_rules_ends_with_them(host):
    host.rules.write_text(pack("old", pattern="(?=line)", more=", engine: re"))
    life = host.agent()
    host.append("line")
    host.hears(old=1)
    (child,) = psutil.Process(life.process.pid).children()
    host.rules.write_text(pack("new"))
    hang_up(life, "rules read again")
    child.wait(PATIENCE_S)
    host.append("line")
    host.hears(old=1, new=1)


def test_what_old_rules_had_folded_is_heard_when_they_go(host):
    host.rules.write_text(pack("old", rate="1/h"))
    life = host.agent()
    host.append(*["line"] * 10)
    host.hears(old=1)
    host.rules.write_text(pack("new"))
    hang_up(life, "rules read again")
    host.hears(old=10)


# ---- itself -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.log", "*.log"])
def test_an_agent_does_not_follow_the_file_that_it_writes_into(host, name):
    host.rules.write_text(pack("any", pattern="."))
    host.configure(sources=f"[{{tail: '{host.directory}/{name}'}}, stdin]")
    with host.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *map(str, host.words())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=host.env,
        )
    try:
        told = f"cannot follow {host.log}: this agent writes into it itself"
        wait_until(lambda: told in host.log.read_text(), PATIENCE_S)
        process.stdin.write(b"one\n")
        process.stdin.flush()
        host.hears(any=1)
        # Looks go on, and nothing comes of them.
        host.append("somebody else's")
        process.stdin.write(b"two\n")
        process.stdin.flush()
        host.hears(any=2)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdin.close()
    assert host.log.read_text().count(told) == 1
    assert "2 lines read" in host.log.read_text()


@pytest.mark.audio
def test_what_a_server_says_of_an_alert_is_no_alert(host):
    said = host.directory / "server.log"
    said.touch()
    host.rules.write_text(pack("any", pattern=".", more=", tier: alert"))
    host.configure(sources=f"[{{tail: {host.log}}}, {{tail: {said}}}]")
    name = f"--classes=loop-{os.getpid()}"
    with said.open("ab") as file:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "peep", "server", "--interfaces=lo", name),
                *("--output=null", "-v", FEW),
            ],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=host.env,
        )
    try:
        wait_until(lambda: "listening" in said.read_text(), PATIENCE_S)
        life = Life(host.env, ["-m", "peep", "agent", "--interfaces=lo", name])
        host.lives.append(life)
        wait_until(lambda: life.has_said("heard by"), PATIENCE_S)
        for number in (1, 2):
            host.append(f"line {number}")
            wait_until(
                lambda n=number: said.read_text().count("alert by.any from") >= n,
                PATIENCE_S,
            )
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
    alerts = [ln for ln in said.read_text().splitlines() if "alert by.any" in ln]
    others = [ln for ln in said.read_text().splitlines() if "alert" not in ln]
    assert 2 <= len(alerts) <= 2 + len(others)


# ---- ceilings -----------------------------------------------------------------------


@pytest.mark.untraced  # what it takes to start is on the bill
def test_lines_wait_so_that_an_agent_stays_below_its_ceiling_and_gives_way(host):
    host.configure(cpu_max="5")
    host.rules.write_text(pack("old", rate="5/s"))
    life = host.agent()
    assert psutil.Process(life.process.pid).nice() >= 10
    host.append(*["line"] * 150_000)

    def is_under_way():
        """Say whether it has begun, and rested; where it begins is then kept."""
        told = host.peep("metrics").stdout
        names = ("peep_rested_seconds_total", "peep_lines_total")
        found = [re.search(rf"^{name}.* (.+)$", told, re.MULTILINE) for name in names]
        return all(one is not None and float(one[1]) > 0 for one in found)

    wait_until(is_under_way, PATIENCE_S)
    life.end(signal.SIGTERM)
    assert life.process.returncode == 0
    (read,) = (line for _, line in life.said if "lines read" in line)
    assert int(read.split()[0]) < 150_000, "it has fallen behind"
    # It goes on there, and skips nothing.
    host.configure(cpu_max="0")
    host.agent()
    wait_until(lambda: host.ear.heard == {"by.old": 150_000}, PATIENCE_S)


HEAVY = """\
import sys
from peep.agent import weight
from peep.cli.main import main
weight.LOOK_S = 0.1
ballast = b"x" * (100 << 20)
sys.exit(main(sys.argv[1:]))
"""


def test_an_agent_that_takes_too_much_memory_says_so_and_ends_as_a_failure(host):
    host.configure(memory_max="64")
    life = Life(host.env, ["-c", HEAVY, *host.words()[2:]])
    host.lives.append(life)
    assert life.process.wait(PATIENCE_S) == 1
    life.end(signal.SIGTERM)
    (said,) = (line for _, line in life.said if "memory" in line)
    assert "more than 64 (agent.memory_max); this agent ends" in said
    assert life.has_said("0 lines read")


# ---- once ------------------------------------------------------------------------


def once(host, *more):
    done = host.peep(*host.words("--once", *more)[2:])
    return done.returncode, done.stderr.splitlines()


def test_once_reads_what_is_new_since_the_last_time(host):
    host.append("line", "other", "line", "half a")
    host.log.write_text(host.log.read_text().rstrip("\n"))
    said = "reading " + str(host.log)
    assert once(host) == (
        0,
        [said, "3 lines read, 2 matched, 2 signals sent, 0 alerts confirmed"],
    )
    host.hears(old=2)
    host.append(" line", "line")
    assert once(host)[1][-1].startswith("2 lines read, 2 matched, 2 signals sent")
    host.hears(old=4)
    assert once(host)[1][-1].startswith("0 lines read, 0 matched, 0 signals sent")


def test_once_reads_generations_that_came_and_went_since_the_last_time(host):
    host.append("line 1")
    assert once(host)[0] == 0
    host.append("line 2")
    host.log.rename(f"{host.log}.2")
    host.append("line 3", "line 4")
    host.log.rename(f"{host.log}.1")
    host.append("line 5", "line 6")
    assert once(host)[1][-1].startswith("5 lines read")
    host.hears(old=6)


def test_once_takes_a_sample_a_run_of_a_program_and_standard_input(host):
    program = f"[{sys.executable}, -c, 'print(\"line\")']"
    host.configure(
        sources=f"[{{command: {program}}}, {{system: 60}}, stdin, {{syslog: 5999}}]"
    )
    code, said = once(host)
    assert code == 0
    assert any("syslog" in line and "passed over" in line for line in said)
    assert said[-1].startswith("1 lines read, 1 matched, ")
    assert int(said[-1].split(", ")[2].split()[0]) > 5, "states of the system"


def test_once_leaves_it_to_another_agent_that_is_at_work(host):
    host.agent()
    code, said = once(host)
    assert code == 1
    assert said == ["peep: another agent of this user is at work: nothing was read"]


def test_once_says_which_source_cannot_be_read(host):
    host.configure(sources="[{tail: /nowhere/at/all.log}]")
    code, said = once(host)
    assert code == 1
    assert "cannot read /nowhere/at/all.log: its directory does not exist" in said


IMPATIENT = """\
import sys
from peep.agent import app
from peep.cli.main import main
app.SEEK_S, app.RECEIPTS_S = 0.5, 1.0
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_once_ends_where_nobody_hears_and_keeps_the_alerts(host):
    host.rules.write_text(pack("old", more=", tier: alert"))
    host.append("line")
    words = ("agent", "--once", "--interfaces=lo", f"--classes=none-{os.getpid()}")
    life = Life(host.env, ["-c", IMPATIENT, *words])
    assert life.process.wait(PATIENCE_S) == 1
    life.end(signal.SIGTERM)
    assert [line for _, line in life.said][1:] == [
        "1 alerts are kept for the next start",
        "1 lines read, 1 matched, 1 signals sent, 0 alerts confirmed",
        "no server heard any of it",
    ]
    life = Life(host.env, ["-c", IMPATIENT, *host.words("--once")[2:]])
    life.process.wait(PATIENCE_S)
    life.end(signal.SIGTERM)
    assert life.said[-1][1].startswith("0 lines read")
    wait_until(lambda: "by.old" in host.ear.heard, PATIENCE_S)
