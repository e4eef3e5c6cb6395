"""Nothing of a log line that somebody could mind leaves the host in an open class."""

import contextlib
import os
import socket
import threading

import pytest
from homes import FEW
from test_commands import Program, free_port

pytestmark = [pytest.mark.network, pytest.mark.timeout(60)]

SECRETS = (
    b"hunter2",
    b"annabelle",
    b"203.0.113.77",
    b"198.51.100.4",
    b"SHA256",
    b"4711",
)
LINES = """\
Nov 21 13:00:00 w1 sshd[42]: Failed password for invalid user hunter2 from \
203.0.113.77 port 4711 ssh2
Nov 21 13:00:01 w1 sshd[42]: Invalid user hunter2 from 203.0.113.77 port 4711
Nov 21 13:00:02 w1 sshd[43]: Accepted publickey for annabelle from 198.51.100.4 port \
4711 ssh2: RSA SHA256:abcdef
Nov 21 13:00:03 w1 sshd[43]: pam_unix(sshd:session): session opened for user annabelle\
(uid=1000) by (uid=0)
Nov 21 13:00:04 w1 sudo: annabelle : TTY=pts/0 ; PWD=/home/annabelle ; USER=root ; \
COMMAND=/bin/cat hunter2
Nov 21 13:00:05 w1 kernel: [ 1.0] Out of memory: Killed process 4711 (hunter2) \
total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB
"""


def test_no_text_name_or_address_of_a_line_is_in_any_datagram(tmp_path):
    try:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    except PermissionError:
        pytest.skip("needs root to capture the loopback")
    wire.bind(("lo", 0))
    wire.settimeout(0.2)
    captured, done = [], threading.Event()

    def capture():
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                captured.append(wire.recv(65_535))

    watching = threading.Thread(target=capture)
    watching.start()
    name = f"secret-test-{os.getpid()}"
    log = tmp_path / "auth.log"
    log.touch()
    port = free_port()
    server = Program(
        *("server", "--interfaces=lo", f"--port={port}", f"--classes={name}"),
        "--output=null",
        FEW,
        home=tmp_path,
    )
    agent = Program(
        *("agent", "--interfaces=lo", f"--classes={name}", f"--source=tail:{log}"),
        "--host=watched-host",
        home=tmp_path,
    )
    try:
        agent.expect("heard by")
        log.write_text(LINES)
        server.expect("alert kernel.oom")
        assert agent.end() == 0
        assert server.end() == 0
    finally:
        done.set()
        watching.join()
        wire.close()
        for program in (server, agent):
            program.process.kill()
            program.process.wait()
            program._reader.join()
            program.process.stdout.close()
    ours = b"".join(packet for packet in captured if len(packet) > 42)
    assert b"ssh.login-failed" in ours, "the capture saw the signals"
    assert b"watched-host" in ours
    for secret in SECRETS:
        assert secret not in ours
