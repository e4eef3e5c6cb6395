"""Starting processes that are measured, ending them, and what the kernel says of them.

Linux only: /proc.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> tuple[float, float]:
    """Return user and system seconds of a process, its children apart."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Return the resident set of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def drops(port: int) -> int:
    """Return how many datagrams the kernel dropped at a UDP port."""
    total = 0
    for table in ("udp", "udp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                total += int(fields[-1])
    return total


def free_port() -> int:
    """Return a UDP port that nobody has just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process, whatever happens."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def server(
    port: int, class_name: str, directory: Path, seconds: float
) -> subprocess.Popen[str]:
    """Start a server that would end by itself; return when it listens."""
    environ = {
        **os.environ,
        "XDG_CONFIG_HOME": str(directory),
        "XDG_STATE_HOME": str(directory),
        "XDG_RUNTIME_DIR": str(directory),
    }
    options = (
        f"--interfaces lo --port {port} --output null --classes {class_name} "
        f"--seconds {seconds}"
    )
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "peep", "server", *options.split()],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        while "listening on" not in (directory / "log").read_text():
            if process.poll() is not None:
                sys.exit("the server ended: " + (directory / "log").read_text())
            time.sleep(0.1)
    except BaseException:
        process.terminate()
        raise
    return process
