"""What ten thousand agents cost one server: its share of a core, and its memory.

One real `peep server` process, its engine writing to null, hears many real agent
machines, which live in this process (helpers/crowd.py). In the steady state every
agent holds its lease, answers RENEW, repeats one state every 30 s, and sends an event
now and then. CPU is that of the server's own process, user and system time, without its
engine's; memory is what its resident set grew from before the first agent to the end.
Beside it, as a reference, stands a bare echo server in Python (blocking recvfrom,
sendto) that is sent datagrams of the same size at the same rate.

    python tests/bench/scale.py [AGENTS] [--window S] [--windows N] [--log FILE]

The last line is `RATIO scale-cpu <half a core / used> 1`: above 1 is within the target.
No lease may be lost, or there is no result.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from helpers.crowd import CLOCK, EVENT_EVERY_S, HOST, JOINS_PER_S, Crowd
from helpers.processes import cpu, drops, ending, free_port, rss_bytes, server

AGENTS = 10_000
TARGET = 0.5  # of one core
SETTLE_S = 40.0  # a lease and more: bursts are over, every agent was prompted
JOIN_LIMIT_S = 60.0
SLICE_S = 2.0  # in which the busiest moment is looked for; CPU is told in 10 ms
REFERENCE_S = 10.0
# Lines of the server that must not come.
BAD_LINE = re.compile(r"agent \S+ (is late|is lost|left|is heard again|.* is back)")
ECHO = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
while True:
    data, address = sock.recvfrom(2048)
    sock.sendto(data, address)
"""


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Reading(NamedTuple):
    """Counters at one moment, or what they grew by."""

    at: float
    user_s: float
    system_s: float
    sent: int
    sent_bytes: int
    received: int

    @classmethod
    def now(cls, pid: int, crowd: Crowd) -> Reading:
        """Read all counters."""
        counted = crowd.sent, crowd.sent_bytes, crowd.received
        return cls(CLOCK.now(), *cpu(pid), *counted)

    def since(self, before: Reading) -> Reading:
        """Return what the counters grew by."""
        return Reading(*(b - a for a, b in zip(before, self, strict=True)))

    @property
    def share(self) -> float:
        """Of one core; of what counters grew by."""
        return (self.user_s + self.system_s) / self.at


def spread(values: list[float], digits: int = 1) -> str:
    """Return the median, and the least and the most."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def reference(rate_per_s: float, size_bytes: int, windows: int) -> list[float]:
    """Return an echo server's shares of a core at that rate."""
    shares = []
    process = subprocess.Popen(
        [sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True
    )
    with (
        ending(process),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        assert process.stdout is not None, "it was asked for"
        sock.connect((HOST, int(process.stdout.readline())))
        sock.setblocking(False)
        for _ in range(windows):
            begin, used, sent = CLOCK.now(), sum(cpu(process.pid)), 0
            while (now := CLOCK.now()) < begin + REFERENCE_S:
                while sent < (now - begin) * rate_per_s:
                    sock.send(bytes(size_bytes))
                    sent += 1
                with contextlib.suppress(BlockingIOError):
                    while True:
                        sock.recv(2048)
                time.sleep(1 / rate_per_s)
            shares.append((sum(cpu(process.pid)) - used) / (CLOCK.now() - begin))
    return shares


def join(crowd: Crowd, agents: int, pid: int) -> None:
    """Let all agents join, and settle."""
    first = Reading.now(pid, crowd)
    deadline = first.at + agents / JOINS_PER_S + JOIN_LIMIT_S
    while crowd.joined() < agents and CLOCK.now() < deadline:
        crowd.run(CLOCK.now() + 0.25)
    used = Reading.now(pid, crowd).since(first)
    each_ms = 1000 * used.share * used.at / agents
    say(
        f"joined: {crowd.joined()} in {used.at:.0f} s, at {used.share:.1%} of a core, "
        f"{each_ms:.2f} ms each"
    )
    crowd.run(CLOCK.now() + SETTLE_S)


def steady(
    crowd: Crowd, pid: int, window_s: float, windows: int
) -> tuple[list[Reading], float]:
    """Return what each window used, and the server's share in the busiest moment."""
    readings, busiest = [Reading.now(pid, crowd)], 0.0
    for _ in range(windows):
        last, until = readings[-1], readings[-1].at + window_s
        while last.at < until:
            crowd.run(min(until, last.at + SLICE_S))
            reading = Reading.now(pid, crowd)
            if reading.at - last.at > SLICE_S / 2:
                busiest = max(busiest, reading.since(last).share)
            last = reading
        readings.append(last)
    return [b.since(a) for a, b in itertools.pairwise(readings)], busiest


def report(used: list[Reading], busiest: float) -> None:
    """Say what the steady state cost."""
    say(f"server's CPU, % of one core: {spread([100 * u.share for u in used])}")
    user = [100 * u.user_s / u.at for u in used]
    say(f"  user {spread(user)}; busiest {SLICE_S:.0f} s: {100 * busiest:.0f}")
    say(f"datagrams in, per s: {spread([u.sent / u.at for u in used], 0)}")
    say(f"datagrams out, per s: {spread([u.received / u.at for u in used], 0)}")
    each_us = [1e6 * u.share * u.at / max(1, u.sent) for u in used]
    say(f"CPU per datagram in, us: {spread(each_us, 0)}")


def any_lost(crowd: Crowd, agents: int, log: str) -> bool:
    """Say whether leases were lost, by either side's account."""
    bad = [line for line in log.splitlines() if BAD_LINE.match(line)]
    own = crowd.tally["Lapsed"] + crowd.tally["Gone"]
    say(
        f"leases lost: {own} by the agents' account, {len(bad)} lines of the server's "
        "(late, lost, left)"
    )
    other = {k: n for k, n in crowd.tally.items() if k.startswith(("drop", "stray"))}
    if other:
        say(f"what agents refused: {other}")
    for line in [*bad[:5], *log.splitlines()[-3:]]:
        say(f"  server: {line}")
    return bool(bad or own or crowd.joined() != agents)


def measure(options: argparse.Namespace, directory: Path) -> float:
    """Run it all, say what was found, and return the share of a core."""
    agents, windows = options.agents, options.windows
    class_name, port = f"scale-{secrets.token_hex(6)}", free_port()
    limit_s = agents / JOINS_PER_S + JOIN_LIMIT_S + SETTLE_S
    limit_s += windows * options.window + 60
    with (
        ending(server(port, class_name, directory, limit_s)) as process,
        contextlib.closing(
            Crowd(agents, (HOST, port), class_name, random.Random(1))
        ) as crowd,
    ):
        say(
            f"{agents} agents on loopback, each: lease of 30 s or as stretched, "
            f"1 state every 30 s, 1 event every {EVENT_EVERY_S:.0f} s"
        )
        before_bytes = rss_bytes(process.pid)
        join(crowd, agents, process.pid)
        settled_bytes = rss_bytes(process.pid)
        say(
            f"server {process.pid}; {windows} windows of {options.window:.0f} s; "
            f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        own_s = time.process_time()
        used, busiest = steady(crowd, process.pid, options.window, windows)
        own_s = time.process_time() - own_s
        end_bytes = rss_bytes(process.pid)
        lost, lost_here = drops(port), crowd.drops()
    log = (directory / "log").read_text()
    if options.log:
        options.log.write_text(log)
    report(used, busiest)
    say(
        f"memory, bytes per agent: {(end_bytes - before_bytes) / agents:.0f} "
        f"({before_bytes >> 20} MiB before, {settled_bytes >> 20} settled, "
        f"{end_bytes >> 20} at the end)"
    )
    say(f"kernel drops: {lost} at the server, {lost_here} at the agents")
    agents_share = own_s / sum(u.at for u in used)
    say(f"all agents together, % of one core: {100 * agents_share:.1f}")
    failed = any_lost(crowd, agents, log)
    rate = statistics.median(u.sent / u.at for u in used)
    size = round(sum(u.sent_bytes for u in used) / max(1, sum(u.sent for u in used)))
    echo = reference(rate, size, windows)
    share = statistics.median(u.share for u in used)
    say(
        f"reference, echo server in Python, {rate:.0f} datagrams of {size} bytes per s "
        f"in and out, % of one core: {spread([100 * e for e in echo])}; "
        f"peep / echo: {share / max(1e-4, statistics.median(echo)):.1f}"
    )
    if failed:
        sys.exit("leases were lost: no result")
    return share


def main() -> None:
    """Measure, and end with the ratio."""
    parser = argparse.ArgumentParser(description="ten thousand agents, one server")
    parser.add_argument("agents", type=int, nargs="?", default=AGENTS)
    parser.add_argument("--window", type=float, default=30.0, metavar="S")
    parser.add_argument("--windows", type=int, default=3, metavar="N")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep what it said")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as directory:
        share = measure(options, Path(directory))
    say(f"RATIO scale-cpu {TARGET / max(1e-4, share):.2f} 1")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
