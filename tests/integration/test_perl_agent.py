"""The manual page peep-protocol(7) suffices: an agent in another language lives by it.

tests/foreign/agent.pl was written from that page alone, with nothing but perl-base.
"""

import contextlib
import select
import shutil
import socket
import subprocess
import threading

import pytest
from homes import FEW
from test_commands import (  # noqa: F401 (fixtures)
    REPOSITORY,
    classes,
    free_port,
    start,
)

PERL = shutil.which("perl")
pytestmark = [
    pytest.mark.network,
    pytest.mark.audio,  # the server has its engine, though nobody hears it
    pytest.mark.slow,
    pytest.mark.untraced,
    pytest.mark.timeout(40),
    pytest.mark.skipif(PERL is None, reason="perl is not installed"),
]


SIGNALS, RECEIPT = 9, 12


def server_at(start, classes):  # noqa: F811
    """Run a server; give it and its port."""
    port = free_port()
    words = "--interfaces=lo", f"--port={port}", "--output=null", "--lease=10"
    server = start("server", *words, FEW, classes)
    server.expect("listening")
    return server, port


@contextlib.contextmanager
def relay(port, lost):
    """Stand between one agent and a server; lose the first of each of these types.

    Give the port to talk to, and a list that has the type of each datagram that came.
    """
    seen = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        near.bind(("127.0.0.1", 0))
        far.connect(("127.0.0.1", port))

        def carry():
            agent_at = None
            while True:
                for one in select.select([near, far], [], [])[0]:
                    data, source = one.recvfrom(2048)
                    if not data:
                        return
                    seen.append(data[1])
                    if data[1] in lost and seen.count(data[1]) == 1:
                        continue
                    if one is near:
                        agent_at = source
                        far.send(data)
                    else:
                        near.sendto(data, agent_at)

        thread = threading.Thread(target=carry)
        thread.start()
        try:
            yield near.getsockname()[1], seen
        finally:
            near.sendto(b"", near.getsockname())
            thread.join()


def agent(*words):
    return subprocess.run(
        [PERL, REPOSITORY / "tests/foreign/agent.pl", *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


def test_an_agent_in_perl_joins_alerts_renews_its_lease_and_leaves(start, classes):  # noqa: F811
    server, port = server_at(start, classes)

    # The first RENEW comes 3.3 to 6.7 s after CLASSES.
    done = agent("127.0.0.1", port, classes.removeprefix("--classes="), "camel", 9)

    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    renewed = said.count("renewed")
    assert renewed >= 1
    assert said == [
        "offered",
        "granted 10",
        "leased",
        "signalled",
        "recorded",
        *["renewed"] * renewed,
        "bye",
    ]
    server.expect("camel left", seconds=3)
    # These and no others: it was never late, and is not mourned.
    joined, alert, left = (line for line in server.lines if "camel" in line)
    assert "camel (127.0.0.1) joined" in joined
    assert "alert perl.event from camel" in alert
    assert "camel left" in left
    assert server.end() == 0


def test_an_alert_from_perl_is_heard_once_though_it_and_its_receipt_are_lost(
    start,  # noqa: F811
    classes,  # noqa: F811
):
    server, port = server_at(start, classes)

    with relay(port, lost={SIGNALS, RECEIPT}) as (via, seen):
        done = agent("127.0.0.1", via, classes.removeprefix("--classes="), "camel", 3)

    assert (done.returncode, done.stderr) == (0, "")
    steps = ["offered", "granted 10", "leased", "signalled", "recorded", "bye"]
    assert done.stdout.splitlines() == steps
    assert seen.count(SIGNALS) >= 3
    assert seen.count(RECEIPT) >= 2
    server.expect("camel left", seconds=3)
    assert sum("alert perl.event" in line for line in server.lines) == 1
    assert server.end() == 0
