"""What one core takes in: datagrams, signals, and signals that are recorded.

    python tests/bench/ingest.py [PART …]      driver admit goal journal statsd

driver, admit: a socket of the loopback is filled with datagrams and emptied again, in
turns by a loop of `recv` in C (helpers/drain.c, the floor) and by the real driver: with
a machine that does nothing, and with a server that opens, decodes and admits what real
agents sealed. Both are measured by their thread's CPU time: cores may be shared.

goal, journal: a whole server on one core (its engine a fake, the theme wetland), fifty
agents with sealed sessions on the other, twelve signals with a line of text each in a
datagram, one in a thousand an alert. The highest rate without any loss is looked for.

statsd: node's, if npm can install it, takes as many metrics on the same core.

The lines `RATIO name value target` are the results; above the target is within it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import statsd
from helpers.filled import HOST, compiled, fill, room
from helpers.served import describe, most, served
from helpers.speakers import CLASS, KEY, Speaker, speaker

from peep.clock import SystemClock
from peep.net.endpoint import Endpoint, Own
from peep.net.sockets import RECEIVE_BUFFER_BYTES
from peep.net.udp import UdpDriver
from peep.protocol.door import ServerConfig
from peep.protocol.server import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from peep.net.udp import Machine

CORE, OTHER_CORE = 0, 1
ROUNDS = 25
DATAGRAM_BYTES = 100
AGENTS = 100
SECONDS = 4.0
GOAL, JOURNALLED = 150_000, 50_000  # signals a second
DAY_SIGNALS, DAY_MB = 1_000_000, 300
STATSD_RATE = 60_000.0  # metrics a second, and signals, to compare
CLOCK = SystemClock()


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def spread(values: list[float], digits: int = 2) -> str:
    """Return the median, and the least and the most."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


class Null:
    """A machine that only counts."""

    def __init__(self) -> None:
        self.count = 0

    def receive_datagram(self, data: bytes, address: object, now: float) -> None:
        """Count."""
        self.count += 1

    def datagrams_to_send(self, now: float) -> list:
        """Return none."""
        return []

    def start(self, now: float) -> None:
        """Do nothing, as the rest."""

    stop = handle_timer = start

    def next_timer(self) -> None:
        """Return never."""

    next_event = next_timer


class Filled:
    """A socket to be read, another to fill it, and C's loop."""

    def __init__(self, drain: Callable[[int], int]) -> None:
        self.drain = drain
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.sock.bind((HOST, 0))
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.bind((HOST, 0))
        self.sender.connect(self.sock.getsockname())

    def room(self, size_bytes: int) -> int:
        """Return how many datagrams may be put in, with some to spare."""
        return room(self.sock, self.sender, size_bytes) * 95 // 100

    async def times(
        self,
        machine: Machine,
        batches: Iterable[list[bytes]],
        taken: Callable[[], int],
    ) -> tuple[list[float], list[float]]:
        """Return seconds a datagram, of C and of the driver; `taken` counts them."""
        in_c, driven = [], []
        endpoint = Endpoint([Own(self.sock.family, "", self.sock)])
        driver = UdpDriver(machine, endpoint, CLOCK, lambda event, now: None)
        driver.start()
        for batch in batches:
            fill(self.sender, batch)
            begin = time.thread_time()
            count = self.drain(self.sock.fileno())
            in_c.append((time.thread_time() - begin) / count)
            fill(self.sender, batch)
            goal = taken() + count
            begin = time.thread_time()
            while taken() < goal:  # noqa: ASYNC110 - what is measured is the loop
                await asyncio.sleep(0)
            driven.append((time.thread_time() - begin) / count)
        driver.close()
        self.sender.close()
        return in_c, driven


def told(what: str, in_c: list[float], driven: list[float]) -> float:
    """Say how two compare, and return the ratio of their rates."""
    ratios = [c / d for c, d in zip(in_c, driven, strict=True)]
    say(
        f"{what}: {1e6 * statistics.median(driven):.2f} us a datagram, in C "
        f"{1e6 * statistics.median(in_c):.2f}; ratio {spread(ratios, 3)}"
    )
    return statistics.median(ratios)


def driver(drain: Callable[[int], int]) -> None:
    """Measure the driver alone."""
    filled, machine = Filled(drain), Null()
    batch = [bytes(DATAGRAM_BYTES)] * filled.room(DATAGRAM_BYTES)
    batches = [batch] * ROUNDS
    times = asyncio.run(filled.times(machine, batches, lambda: machine.count))
    what = f"driver alone, {len(batch)} datagrams of {DATAGRAM_BYTES} bytes"
    say(f"RATIO ingest-driver {told(what, *times):.3f} 0.35")


def admitted(drain: Callable[[int], int], each: int, *, sealed: bool) -> float:
    """Measure driver and server; return the ratio of rates."""
    filled, rng = Filled(drain), random.Random(1)
    config = ServerConfig(
        server_id=b"server..",
        secret=bytes(32),
        classes=(CLASS,),
        keys=(KEY,) if sealed else (),
        lease_s=300,
    )
    server, now = ServerProtocol(config, rng), CLOCK.now()
    source = filled.sender.getsockname()

    def exchange(data: bytes) -> list[bytes]:
        server.receive_datagram(data, source, now)
        return [d.data for d in server.datagrams_to_send(now) if d.to == source]

    def joined() -> Speaker:
        address = filled.sock.getsockname()
        return speaker(rng, exchange, address, sealed=sealed, now=now)

    agents = [joined() for _ in range(AGENTS)]
    size = len(agents[0].datagram(each, now))
    count = filled.room(size) // AGENTS
    batches = (
        [agent.datagram(each, now) for _ in range(count) for agent in agents]
        for _ in range(ROUNDS)
    )
    sessions = list(server._registry.sessions.values())

    def taken() -> int:
        return sum(session.datagrams for session in sessions)

    # What C emptied never came to the server, which is no loss.
    times = asyncio.run(filled.times(server, batches, taken))
    how = "sealed" if sealed else "open"
    what = f"{how}, {each} signals in {size} bytes, {count * AGENTS} datagrams"
    return told(what, *times)


def admit(drain: Callable[[int], int]) -> None:
    """Measure opening, decoding and admission."""
    for each, sealed in ((12, True), (1, False), (12, False)):
        admitted(drain, each, sealed=sealed)
    say(f"RATIO ingest-admit {admitted(drain, 1, sealed=True):.3f} 0.12")


def goal() -> None:
    """Look for the highest rate from the socket to the mixer."""
    say(f"socket to mixer, no journal, trials of {SECONDS:.0f} s")
    with served(CORE, random.Random()) as server:
        single = server.trial(STATSD_RATE, SECONDS, 1)
        say(f"  one a datagram: {describe(single)}")
        best = most(server, GOAL, SECONDS, journalled=False)
        check(server.end())
    say(f"RATIO ingest-goal {best.rate / GOAL:.2f} 1")


def journal(directory: Path) -> None:
    """Look for the highest rate at which all is recorded, and measure the file."""
    say(f"socket to mixer and journal, trials of {SECONDS:.0f} s")
    path = directory / "journal.db"
    with served(CORE, random.Random(), path) as server:
        best = most(server, JOURNALLED, SECONDS, journalled=True)
        rows = server.standing()["rows"]
        check(server.end())
    each = path.stat().st_size / rows
    day_mb = each * DAY_SIGNALS / 1e6
    say(f"  {each:.0f} bytes a signal; a day of {DAY_SIGNALS:,} is {day_mb:.0f} MB")
    say(f"RATIO ingest-journal-size {DAY_MB / day_mb:.2f} 1")
    say(f"RATIO ingest-journal {best.rate / JOURNALLED:.2f} 1")


def check(summary: dict) -> None:
    """End unless every signal is accounted for."""
    cues, suppressed = summary["cues"], sum(summary["suppressions"].values())
    if summary["signals"] != cues + suppressed:
        sys.exit(f"signals are not accounted for: {summary}")


def peer(directory: Path) -> None:
    """Measure statsd."""
    script = statsd.installed(directory)
    if isinstance(script, str):
        say(f"node's statsd: not measured, {script}")
        return
    with statsd.running(script, CORE) as (pid, port):
        for each in (1, 12):
            used = [
                statsd.ns_a_metric(pid, port, each, STATSD_RATE, SECONDS)
                for _ in range(3)
            ]
            say(f"node's statsd, {each} a datagram: {spread(used, 0)} ns a metric")


def main() -> None:
    """Measure what was asked for."""
    parts = ("driver", "admit", "goal", "journal", "statsd")
    parser = argparse.ArgumentParser(description="what one core takes in")
    parser.add_argument("part", nargs="*", choices=[*parts, []], help=" ".join(parts))
    asked = parser.parse_args().part or parts
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    say(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.sched_setaffinity(0, {CORE})
        drain = compiled(directory)
        if "driver" in asked:
            driver(drain)
        if "admit" in asked:
            admit(drain)
        os.sched_setaffinity(0, {OTHER_CORE})
        if "statsd" in asked:
            peer(directory)
        if "goal" in asked:
            goal()
        if "journal" in asked:
            journal(directory)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
