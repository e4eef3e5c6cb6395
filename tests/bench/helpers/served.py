"""The sender's side: a server process on another core is offered signals at a rate."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from helpers.filled import offer
from helpers.processes import TICKS_PER_S, ending
from helpers.speakers import Speaker, speaker

from peep.clock import SystemClock

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("serving.py")
HOST = "127.0.0.1"
ANSWER_S = 0.02
SPEAKERS = 50
DRAIN_S = 0.05  # what still waits when the last was sent must be gone by then
LINE = "Failed password for root from 203.0.113.7"
CLOCK = SystemClock()


class Trial(msgspec.Struct, frozen=True):
    """What became of signals that were offered at a rate."""

    rate: float
    signals: int
    heard: int
    written: int
    dropped: int
    waiting_s: float  # what waited in the socket at the end, at this rate
    cpu_us: float  # of the server's process, a signal
    others: float  # share of the server's core that went to other processes

    def whole(self, *, journalled: bool) -> bool:
        """Say whether nothing was lost, and nothing put off."""
        kept = not journalled or self.written == self.signals
        heard = self.heard == self.signals and not self.dropped
        return heard and kept and self.waiting_s < DRAIN_S


class Server:
    """A server process, and agents that hold leases from it."""

    def __init__(
        self, process: subprocess.Popen[str], core: int, rng: random.Random
    ) -> None:
        self._process = process
        self._core = core
        self._port = int(self._line()["port"])
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((HOST, 0))
        self._sock.connect((HOST, self._port))
        self._sock.settimeout(ANSWER_S)
        self._agents = [self._join(rng) for _ in range(SPEAKERS)]

    def trial(self, rate: float, seconds: float, each: int) -> Trial:
        """Offer signals at a rate, so many to a datagram; say what became of them."""
        count = int(rate * seconds / each)
        agents, now = self._agents, CLOCK.now()
        datagrams = [
            agents[n % len(agents)].datagram(each, now, LINE) for n in range(count)
        ]
        before, busy = self.standing(), busy_s(self._core)
        begin = time.monotonic()
        offer(self._sock, datagrams, rate / each)
        lasted = time.monotonic() - begin
        at_end = self.standing()
        busy = busy_s(self._core) - busy - (at_end["cpu_s"] - before["cpu_s"])
        after = self._quiet()
        signals = count * each
        left = signals - (at_end["signals"] - before["signals"])
        grew = {key: after[key] - before[key] for key in after}
        return Trial(
            rate=signals / lasted,
            signals=signals,
            heard=int(grew["signals"]),
            written=int(grew["rows"]),
            dropped=int(grew["dropped"]),
            waiting_s=left / rate,
            cpu_us=grew["cpu_s"] / max(1.0, grew["signals"]) * 1e6,
            others=max(0.0, busy / lasted),
        )

    def standing(self) -> dict[str, float]:
        """Ask the server how it stands."""
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def end(self) -> dict[str, object]:
        """Stop the server; return its summary."""
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.close()
        return self._line()

    def _quiet(self) -> dict[str, float]:
        """Wait until nothing changes any more."""
        last, now = {}, self.standing()
        while any(last.get(k) != now[k] for k in ("signals", "rows", "queued_bytes")):
            time.sleep(0.3)
            last, now = now, self.standing()
        return now

    def _join(self, rng: random.Random) -> Speaker:
        server = (HOST, self._port)
        return speaker(rng, self._exchange, server, sealed=True, now=CLOCK.now())

    def _exchange(self, data: bytes) -> Iterator[bytes]:
        self._sock.send(data)
        with contextlib.suppress(TimeoutError):
            while True:
                yield self._sock.recv(2048)

    def _line(self) -> dict[str, float]:
        assert self._process.stdout is not None, "it was asked for"
        line = self._process.stdout.readline()
        if not line:
            sys.exit("the server ended")
        return msgspec.json.decode(line)


@contextlib.contextmanager
def served(
    core: int, rng: random.Random, journal: Path | None = None
) -> Iterator[Server]:
    """Run a server on one core."""
    more = [] if journal is None else [str(journal)]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(core), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ending(process):
        yield Server(process, core, rng)


def busy_s(core: int) -> float:
    """Return for how long a core was busy since it was booted."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _, _, irq, soft, *_ = map(int, ticks)
            return (user + nice + system + irq + soft) / TICKS_PER_S
    return 0.0


def most(server: Server, target: float, seconds: float, *, journalled: bool) -> Trial:
    """Return the highest rate at which nothing is lost, within a seventh.

    A rate is tried three times: others may have had the core.
    """
    # A little more than the target, since the clock runs until after the last.
    best, rate, up = None, 1.01 * target, True
    while 0.2 * target < rate < 2 * target:
        for _ in range(3):
            trial = server.trial(rate, seconds, 12)
            if trial.whole(journalled=journalled):
                break
        sys.stdout.write(f"  {describe(trial)}\n")
        sys.stdout.flush()
        if trial.whole(journalled=journalled):
            best = trial
            if not up:
                break
            rate *= 1.15
        elif best is not None:
            break
        else:
            up = False
            rate /= 1.15
    if best is None:
        sys.exit("signals were lost at every rate")
    return best


def describe(trial: Trial) -> str:
    """Say in a line what became of a trial."""
    return (
        f"{trial.rate:7.0f} signals/s: {trial.signals - trial.heard} of "
        f"{trial.signals} lost, {trial.dropped} datagrams dropped, "
        f"{1000 * trial.waiting_s:.0f} ms waiting at the end, "
        f"{trial.cpu_us:.2f} us of CPU each; others had {trial.others:.0%} of the core"
    )
