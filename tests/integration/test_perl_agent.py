"""The manual page peep-protocol(7) suffices: an agent in another language lives by it.

tests/foreign/agent.pl was written from that page alone, with nothing but perl-base.
"""

import shutil
import subprocess

import pytest
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
    pytest.mark.timeout(40),
    pytest.mark.skipif(PERL is None, reason="perl is not installed"),
]


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
    port = free_port()
    server = start(
        "server",
        "--interfaces=lo",
        f"--port={port}",
        "--output=null",
        "--lease=10",
        classes,
    )
    server.expect("listening")

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
