"""Node's statsd: the peer that takes metrics as Peep takes signals."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from helpers.filled import offer
from helpers.processes import cpu, drops, ending, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSTALL_S = 180
CONFIG = """{{ port: {port}, mgmt_port: {admin}, address: "127.0.0.1",
  mgmt_address: "127.0.0.1", backends: [], flushInterval: 10000 }}
"""


def installed(directory: Path) -> Path | str:
    """Return where npm put statsd, or why it could not."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "there is no npm here"
    asked = ["npm", "install", "--silent", "--ignore-scripts", "statsd"]
    try:
        subprocess.run(asked, cwd=directory, check=True, timeout=INSTALL_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        return f"npm could not install it: {problem}"
    return directory / "node_modules/statsd/stats.js"


@contextlib.contextmanager
def running(script: Path, core: int) -> Iterator[tuple[int, int]]:
    """Run statsd on one core; give its process id and port."""
    port, admin = free_port(), free_port()
    config = script.parents[2] / "config.js"
    config.write_text(CONFIG.format(port=port, admin=admin))
    process = subprocess.Popen(
        ["node", str(script), str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with ending(process):
        os.sched_setaffinity(process.pid, {core})
        while True:
            time.sleep(0.1)
            with contextlib.suppress(OSError), socket.socket() as asking:
                asking.connect(("127.0.0.1", admin))
                break
        yield process.pid, port


def metrics(count: int, each: int) -> list[bytes]:
    """Return so many counters of a hundred hosts, some to a datagram."""
    lines = [b"host%d.ssh.login-failed:1|c" % (n % 100) for n in range(count)]
    return [b"\n".join(lines[n : n + each]) for n in range(0, count, each)]


def ns_a_metric(pid: int, port: int, each: int, rate: float, seconds: float) -> float:
    """Return the CPU time of a metric at a rate; what it lost does not count."""
    count = int(rate * seconds) // each * each
    datagrams = metrics(count, each)
    lost, used = drops(port), sum(cpu(pid))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        offer(sender, datagrams, rate / each)
        time.sleep(0.5)
    taken = count - (drops(port) - lost) * each
    return (sum(cpu(pid)) - used) / taken * 1e9
