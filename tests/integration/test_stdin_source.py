"""`peep agent --source -`: a pipe or a file goes in, datagrams come out."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from peep.loglines import MAX_LINES
from peep.protocol import packets, wire
from peep.protocol.mail import MAX_QUEUE
from peep.protocol.packets import Signals

pytestmark = pytest.mark.network

FAILED = (
    b"Nov 21 13:00:00 web1 sshd[4242]: Failed password for invalid user hunter2 from "
    b"203.0.113.7 port 4711 ssh2\n"
)
SECRETS = (
    b"hunter2",
    b"203.0.113.7",
    b"4711",
    b"web1",
    b"sshd",
    b"Failed",
    b"password",
)
DULL = b"Nov 21 13:00:00 web1 program: nothing that any rule takes\n"
PATIENCE_S = 15
SO_RCVBUFFORCE = 33  # Linux; the socket module does not name it


@pytest.fixture
def server():
    """A real socket where the datagrams arrive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # A burst of 170 datagrams must fit, whatever net.core.rmem_max says.
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE_S)
        yield sock


@contextlib.contextmanager
def agent(server, home, stdin, *, dashes="-", host="127.0.0.1"):
    """A dumb client of that socket, ended with the test."""
    port = server.getsockname()[1]
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "peep", "agent"),
            *(f"{dashes}noautodiscovery", f"{dashes}server", host),
            *(f"{dashes}port", str(port), "--source", "-"),
        ],
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_RUNTIME_DIR": str(home),
        },
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def events(data):
    """What a datagram tells: (name, count) of each event."""
    header, body = wire.decode(data)
    assert header.session == wire.NO_SESSION
    assert isinstance(body, Signals)
    return [(body.names[event.name], event.count) for event in body.events]


def everything(server):
    """The datagrams that have come, after the agent has ended."""
    server.settimeout(0)
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(server.recv(packets.MAX_DATAGRAM_BYTES + 1))
    return found


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_a_line_into_a_pipe_becomes_an_event_while_the_pipe_is_open(
    server, tmp_path, dashes
):
    with agent(server, tmp_path, subprocess.PIPE, dashes=dashes) as process:
        for _ in range(2):
            process.stdin.write(DULL + FAILED)
            process.stdin.flush()
            assert events(server.recv(2048)) == [("ssh.login-failed", 1)]
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
    assert everything(server) == []


def test_a_server_called_localhost_is_reached_where_servers_listen(server, tmp_path):
    with agent(server, tmp_path, subprocess.PIPE, host="localhost") as process:
        process.stdin.write(FAILED)
        process.stdin.close()
        assert events(server.recv(2048)) == [("ssh.login-failed", 1)]


def test_a_last_line_without_newline_is_a_line(server, tmp_path):
    with agent(server, tmp_path, subprocess.PIPE) as process:
        process.stdin.write(FAILED + FAILED[:-1])
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
    told = [event for data in everything(server) for event in events(data)]
    assert told == [("ssh.login-failed", 1)] * 2


def test_a_plain_file_is_read_to_its_end_and_no_event_of_it_is_lost(server, tmp_path):
    count = 2 * MAX_QUEUE + 7
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write((FAILED + DULL) * count)
        file.seek(0)
        with agent(server, tmp_path, file) as process:
            told = 0
            while told < count:
                told += sum(number for _, number in events(server.recv(2048)))
            assert process.wait(PATIENCE_S) == 0
            said = process.stderr.read()
    assert told == count
    assert f"{2 * count} lines read, {count} matched, ".encode() in said


def test_of_many_short_lines_each_is_read(server, tmp_path):
    count = 2 * MAX_LINES + 7
    with agent(server, tmp_path, subprocess.PIPE) as process:
        process.stdin.write(b"\n" * count + FAILED)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
        assert f"{count + 1} lines read, 1 matched, ".encode() in process.stderr.read()


def test_an_input_that_is_closed_is_at_its_end(server, tmp_path):
    with agent(server, tmp_path, subprocess.DEVNULL) as process:
        assert process.wait(PATIENCE_S) == 0


def test_an_input_that_was_never_open_is_at_its_end_too(tmp_path):
    command = (
        f"{sys.executable} -m peep agent -noautodiscovery -server 127.0.0.1 "
        "-port 9 --source - <&-"
    )
    home = {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        check=False,
        capture_output=True,
        timeout=PATIENCE_S,
        env={**os.environ, **home},
    )
    assert done.returncode == 0, done.stderr
    assert b"cannot follow" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_at_once_though_the_pipe_is_open(server, tmp_path, number):
    with agent(server, tmp_path, subprocess.PIPE) as process:
        process.stdin.write(FAILED)
        process.stdin.flush()
        server.recv(2048)  # it is at work
        process.send_signal(number)
        assert process.wait(2) == 0
        assert b"1 lines read, 1 matched" in process.stderr.read()


def test_nothing_of_a_line_but_the_name_of_its_event_is_in_any_datagram(
    server, tmp_path
):
    with agent(server, tmp_path, subprocess.PIPE) as process:
        process.stdin.write(FAILED * 50)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
    told = everything(server)
    assert sum(count for data in told for _, count in events(data)) == 50
    for data in told:
        for secret in SECRETS:
            assert secret not in data
