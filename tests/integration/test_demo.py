"""`peep demo` as its users run it: a server, agents, and nothing left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
from lives import wait_until

pytestmark = [
    pytest.mark.audio,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(150),
]
QUIET = ("--output", "null", "--console", "off")
ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


class Demo:
    """A running demo, and a place where it may leave things."""

    def __init__(self, place, *words):
        self.temporary = place / "tmp"
        self.user = place / "user"
        for path in (self.temporary, self.user):
            path.mkdir()
        self.said, self.result = place / "said", place / "result"
        self.seen = {}
        with self.said.open("w") as said, self.result.open("w") as result:
            self.process = psutil.Popen(
                [sys.executable, "-m", "peep", "demo", *QUIET, *words],
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=said,
                env={
                    **os.environ,
                    "TMPDIR": str(self.temporary),
                    "HOME": str(self.user),
                    "XDG_CONFIG_HOME": str(self.user),
                    "XDG_STATE_HOME": str(self.user),
                    "XDG_RUNTIME_DIR": str(self.user),
                },
            )

    def wait_for(self, text, seconds=60):
        wait_until(lambda: text in self.said.read_text(), seconds)

    def children(self):
        children = self.process.children(recursive=True)
        self.seen |= {child.pid: child for child in children}
        return children

    def agent(self, host):
        return next(c for c in self.children() if host in c.cmdline())

    def end(self, number=None, seconds=60):
        """Wait for its end; return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def left(self):
        """Return what it left in its temporary directory, and in the user's."""
        return [*self.temporary.iterdir(), *self.user.rglob("*")]

    def close(self):
        """Let nothing of it outlive the test, whatever came of it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.children()
        for process in (self.process, *self.seen.values()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def gone(processes):
    def over(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.status() in ENDED
        return True

    return all(map(over, processes))


@pytest.fixture
def start(tmp_path):
    started = []

    def run(*words):
        started.append(Demo(tmp_path, *words))
        return started[-1]

    yield run
    for demo in started:
        demo.close()


@pytest.fixture(scope="module", autouse=True)
def in_full(tmp_path_factory):
    """A demo that nobody disturbs: it takes its half minute beside the others."""
    place = tmp_path_factory.mktemp("in_full")
    demo = Demo(place, "--minutes", "0.5", "--json", "--seed", "7")
    yield demo
    demo.close()


def test_ctrl_c_in_the_midst_ends_all_and_says_what_was(start):
    demo = start("--minutes", "0.5", "--agents", "2")
    demo.wait_for("alert kernel.io-error from db1: bell")
    children = demo.children()
    assert demo.end(signal.SIGINT) == 0, demo.said.read_text()
    assert gone(children)
    assert demo.left() == []
    assert "Traceback" not in demo.said.read_text()
    assert "agent web1 left" in demo.said.read_text()
    told = demo.result.read_text()
    assert told.startswith("stopped before its end")
    assert "kernel.io-error from db1: bell" in told
    assert "never came" not in told


def test_ctrl_c_before_it_began_ends_all_too(start):
    demo = start()
    wait_until(lambda: any(demo.temporary.iterdir()), 20)
    children = demo.children()
    assert demo.end(signal.SIGINT) in (0, 130)
    assert gone(children)
    assert demo.left() == []
    assert "Traceback" not in demo.said.read_text()


def test_an_agent_that_dies_unasked_is_told_of(start):
    demo = start("--minutes", "0.5")
    demo.wait_for("CALM")
    demo.agent("web1").kill()
    demo.wait_for("the agent of web1 died by itself (exit code -9)")
    assert demo.end(signal.SIGTERM) == 1
    assert demo.left() == []


def test_agents_do_not_outlive_a_demo_that_was_killed(start):
    demo = start("--agents", "1")
    demo.wait_for("CALM")
    children = demo.children()
    assert any("web1" in child.cmdline() for child in children)
    demo.end(signal.SIGKILL)
    wait_until(lambda: gone(children), 20)


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (("--agents", "0"), "'0' is not a whole number from 1 to 12"),
        (("--agents", "13"), "'13' is not a whole number from 1 to 12"),
        (("--minutes", "0.1"), "'0.1' is not a number from 0.5 to 30"),
        (("--minutes", "soon"), "'soon' is not a number from 0.5 to 30"),
        (("--minutes", "nan"), "'nan' is not a number from 0.5 to 30"),
    ],
)
def test_what_cannot_be_played_is_refused_with_what_can(start, words, mend):
    demo = start(*words)
    assert demo.end() == 2
    assert mend in demo.said.read_text()
    assert demo.left() == []


def test_where_the_sound_cannot_be_written_one_line_says_why(start):
    demo = start("--out", "/nonexistent/demo.flac")
    assert demo.end() == 1
    assert demo.said.read_text().count("\n") == 1
    assert "/nonexistent/demo.flac" in demo.said.read_text()
    assert demo.left() == []


def test_all_that_is_announced_is_heard_and_nothing_is_left(in_full):
    demo = in_full
    assert demo.end(seconds=120) == 0, demo.said.read_text()
    came = json.loads(demo.result.read_text())
    assert [alert["name"] for alert in came["alerts"]] == [
        "kernel.io-error",
        "kernel.raid-failing",
        "kernel.oom",
        "peep.agent-lost",
    ]
    sounds = [alert["sound"] for alert in came["alerts"]]
    assert sounds == ["bell", "bell", "bell", "marimba"]
    assert all(alert["heard_s"] > alert["at_s"] for alert in came["alerts"])
    assert came["missing"] == came["died"] == []
    assert [agent["host"] for agent in came["lost"]] == ["mail1"]
    assert [agent["host"] for agent in came["back"]] == ["mail1"]
    assert [scene["name"] for scene in came["scenes"]] == [
        *("calm", "fault", "storm", "relief")
    ]
    assert all(scene["cues"] for scene in came["scenes"])
    assert sum(s["signals"] for s in came["scenes"]) <= came["sound"]["signals"]
    assert (came["seed"], came["interrupted"]) == (7, False)
    said = demo.said.read_text()
    places = [said.index(word) for word in ("CALM", "FAULT", "STORM", "RELIEF")]
    assert places == sorted(places)
    assert " 0:09  FAULT" in said
    assert demo.left() == []
