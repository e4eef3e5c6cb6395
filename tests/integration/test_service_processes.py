"""Real processes, and what they tell the service manager that started them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from homes import FEW, Home

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

SILENT_LOOKS = 150  # of 0.02 s: many periods of the watchdog


class Service:
    """A process, and its manager's socket."""

    def __init__(self, home, *words):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(home.directory / "notify"))
        self.socket.settimeout(30)
        given = {
            "NOTIFY_SOCKET": str(home.directory / "notify"),
            "WATCHDOG_USEC": "200000",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peep", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**home.env, **given},
            start_new_session=True,  # so that SIGHUP is no closed terminal
        )

    def until(self, state):
        """Return what was told before a state, and the lines told with it."""
        before = []
        while True:
            told = self.socket.recv(4096).decode().splitlines()
            if state in told:
                return before, told
            before += told

    def close(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()


@pytest.fixture
def home():
    made = Home()
    yield made
    made.close()


def lives(service):
    """Go through a service's life; return what it said of itself when it was ready."""
    before, ready = service.until("READY=1")
    assert before == []
    for _ in range(3):
        service.until("WATCHDOG=1")
    os.kill(service.process.pid, signal.SIGHUP)
    _, reloading = service.until("RELOADING=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in reloading)
    service.until("READY=1")
    service.until("WATCHDOG=1")
    os.kill(service.process.pid, signal.SIGTERM)
    service.until("STOPPING=1")
    assert service.process.wait(30) == 0
    return ready


def test_an_agent_says_that_it_is_ready_lives_reads_again_and_ends(home):
    log = home.directory / "a.log"
    log.write_text("")
    service = Service(home, "agent", "--interfaces", "lo", "--source", f"tail:{log}")
    try:
        assert lives(service) == ["READY=1", "STATUS=sources: 1"]
    finally:
        service.close()


@pytest.mark.audio
def test_a_server_says_that_it_is_ready_lives_reads_again_and_ends(home):
    service = Service(home, "server", "--interfaces", "lo", "--output", "null", FEW)
    try:
        ready = lives(service)
        assert ready[1].startswith("STATUS=listening on UDP port ")
    finally:
        service.close()


@pytest.mark.audio
def test_a_server_that_no_sound_process_helps_gives_no_sign_of_life(home):
    service = Service(home, "server", "--interfaces", "lo", "--output", "null", FEW)
    try:
        service.until("WATCHDOG=1")
        stopped = _stop_each_child_until_silence(service)
        assert len(stopped) > 1, "the server tried another"
        for child in stopped:  # those that were given up are gone
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
        service.socket.settimeout(30)
        service.until("WATCHDOG=1")
    finally:
        service.close()


def _stop_each_child_until_silence(service):
    """Stop whatever sounds, also what is started in its place; return what did.

    Signs may come for a second more, and one that was started may sound before it is
    stopped; then there is none for as long as all stand.
    """
    stopped, silent = {}, 0
    service.socket.settimeout(0.02)
    while silent < SILENT_LOOKS:
        for child in _children(service.process.pid):
            if child not in stopped:
                os.kill(child, signal.SIGSTOP)
                stopped[child] = None
        try:
            service.socket.recv(4096)
            silent = 0
        except TimeoutError:
            silent += 1
    return list(stopped)


def _children(pid):
    # The sound process is started by a thread.
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for file in files for word in file.read_text().split()]
