"""A real server plays through the real sound card driver for as long as is asked.

    python tests/soak.py [MINUTES]          60 of them, unless told otherwise

Into PulseAudio's null sink, with traffic that repeats itself every 20 seconds: a real
agent follows a log in which calm and storms alternate, with an alert in each round;
another sends states and heartbeats. All of what the sink is given is recorded and
looked at, and a listener hears the ring. In the end it is said, and any miss exits 1:

- underruns, as the driver counted them: none;
- gaps, in the recording (a millisecond of exact silence: the bed always sounds) and in
  the ring's numbers: none;
- how often the machine itself stood still: a sleeper on each processor, of a higher
  priority than all sound, woke late, or took long to touch its few pages, for a guest's
  host may take away processors and pages. What happened about a stall as long as what
  a card holds can bridge is told apart;
- the loudness of the last fifth against the first: 1 dB;
- what the server and its sound process have grown by since they were warm: 5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import psutil
from homes import Home
from listeners import Server, living
from lives import wait_until
from pulse import Pulse, missing
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from peep.clock import SystemClock
from peep.net.sockets import agent_endpoint
from peep.net.udp import UdpDriver
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.packets import ID_BYTES
from peep.signals import Heartbeat, State
from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.levels import LoudnessMeter

NICE = -10
ROUND_S = 20.0  # after which traffic repeats itself
LEAD_S = 10.0  # until the bed has faded in
WARM_SHARE, MOST_WARM_S = 0.4, 600.0  # caches and the journal's pages have filled
SETTLED_SHARE = 0.1  # over which a size is averaged
GAP_FRAMES = SAMPLE_RATE_HZ // 1000
NEAR_S = 0.2  # what was held is heard first; a recording's time is an estimate
BRIDGED_S = 0.020  # by what a card holds; a request is already on its way
SLEEPER = """
import os, sys, time
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
except PermissionError:
    sys.exit(print("refused"))
os.sched_setaffinity(0, {int(sys.argv[1])})
memory = bytearray(4 << 20)
due = time.monotonic()
while True:
    due += 0.005
    time.sleep(max(0.0, due - time.monotonic()))
    memory[::4096]  # 0.03 ms, unless a host has taken the pages away
    late = time.monotonic() - due
    if late >= 0.005:
        due = time.monotonic()
        print(due, late, flush=True)
"""
ALLOWED_DRIFT_DB = 1.0
ALLOWED_GROWTH = 0.05
FAMILIES = ("access", "refusal", "mail", "web", "database", "system", "network", "job")
RULES = [
    {
        "name": family,
        "match": f"soak {family}(?P<instance>[0-9]*)$",
        "event": f"soak.{family}",
        "family": family,
    }
    for family in FAMILIES
] + [{"name": "alarm", "match": "soak alarm$", "event": "alarm.soak", "tier": "alert"}]


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


# ---- what is sent ------------------------------------------------------------------


def script() -> list[tuple[float, str]]:
    """Return a round's lines, and when in it each is written."""
    calm = [(0.7 * n, FAMILIES[n % 8]) for n in range(28)]
    storm = [(15.0 + 0.05 * n, f"{FAMILIES[n % 3]}{n}") for n in range(60)]
    return sorted([*calm, *storm, (12.0, "alarm")])


async def speak(class_name: str) -> None:
    """Be an agent that sends states and heartbeats, until killed."""
    endpoint, _ = agent_endpoint(["lo"])
    config = AgentConfig(
        agent_id=os.urandom(ID_BYTES),
        host="soak",
        classes=(class_name,),
        near=endpoint.networks(),
    )
    clock = SystemClock()
    machine = AgentProtocol(config, random.Random(), os.urandom)
    driver = UdpDriver(machine, endpoint, clock, lambda *_: None)
    driver.start()
    for value in itertools.cycle((0.3, 0.6, 0.9, 0.6)):
        now = clock.now()
        machine.send(State(name="system.load", value=value), now)
        machine.send(State(name="system.network", value=1.0 - value), now)
        machine.send(Heartbeat(name="soak.beat", rate_hz=2 * value), now)
        driver.kick()
        await asyncio.sleep(ROUND_S / 4)


class Writer(threading.Thread):
    """Writes the script into a log, round after round."""

    def __init__(self, log) -> None:
        super().__init__(daemon=True)
        self._log = log
        self.over = threading.Event()

    def run(self) -> None:
        """Write until it is over."""
        begin = time.monotonic()
        with self._log.open("ab", buffering=0) as file:
            for number in itertools.count():
                for at_s, word in script():
                    due = begin + number * ROUND_S + at_s
                    if self.over.wait(max(0.0, due - time.monotonic())):
                        return
                    file.write(f"Nov 21 12:00:00 soak soak {word}\n".encode())


# ---- what is heard -----------------------------------------------------------------


class Ear:
    """Looks at the recording as it comes: gaps, and the loudness of each round."""

    def __init__(self) -> None:
        self.frames = 0
        self.began = math.inf  # monotonic
        self.gaps: list[tuple[int, int]] = []  # first frame and length
        self.loudness: list[float] = []
        self._rest = b""
        self._silent = 0
        self._meter = LoudnessMeter()

    def take(self, part: bytes) -> None:
        """Take the next of what was recorded."""
        data = self._rest + part
        whole = len(data) // 8 * 8
        self._rest = data[whole:]
        stereo = np.frombuffer(data[:whole], np.float32).reshape(-1, 2)
        begin = self.frames
        self.frames += len(stereo)
        # By the quickest arrival, as others may be late.
        began = time.monotonic() - self.frames / SAMPLE_RATE_HZ
        self.began = min(self.began, began)
        lead = round(LEAD_S * SAMPLE_RATE_HZ)
        if begin < lead:
            return
        self._look_for_gaps(stereo, begin)
        a_round = round(ROUND_S * SAMPLE_RATE_HZ)
        ends = a_round - (begin - lead) % a_round
        self._meter.feed(stereo[:ends])
        if len(stereo) >= ends:
            self.loudness.append(self._meter.integrated_lufs)
            self._meter = LoudnessMeter()
            self._meter.feed(stereo[ends:])

    def _look_for_gaps(self, stereo: np.ndarray, begin: int) -> None:
        sounding = np.flatnonzero(np.abs(stereo).max(axis=1) > 0)
        edges = np.concatenate(([-1 - self._silent], sounding, [len(stereo)]))
        lengths = np.diff(edges) - 1
        # The last may go on: it is counted when it has ended.
        for edge, frames in zip(edges.tolist(), lengths[:-1].tolist(), strict=False):
            if frames >= GAP_FRAMES:
                self.gaps.append((begin + edge + 1, frames))
        self._silent = int(lengths[-1])


class Listener(threading.Thread):
    """Hears the ring as a browser does, and counts what is missing in its numbers."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        url = server.url.replace("http", "ws") + "listen"
        self._held = contextlib.ExitStack()
        self._socket = self._held.enter_context(
            connect(url, compression=None, proxy=None)
        )
        self.packets = 0
        self.gaps = 0

    def run(self) -> None:
        """Listen until the end."""
        expected = None
        try:
            for packet in self._socket:
                number = int.from_bytes(packet[:8], "little")
                self.gaps += expected is not None and number != expected
                expected = number + (len(packet) - 8) // 4
                self.packets += 1
        except ConnectionClosed:
            pass

    def end(self) -> None:
        """Hang up."""
        self._held.close()
        self.join(5.0)


class Stalls:
    """When each processor did not run what was in the greatest hurry, and how long."""

    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []  # (monotonic end, seconds)
        self.known = True  # False where no priority is granted, and nothing is found
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", SLEEPER, str(processor)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for processor in os.sched_getaffinity(0)
        ]
        for process in self._processes:
            threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None, "it was asked for"
        for line in process.stdout:
            if line == "refused\n":
                self.known = False
                return
            at_s, late_s = map(float, line.split())
            self.found.append((at_s, late_s))

    def longest_s(self, begin_s: float, end_s: float) -> float:
        """Return the longest stall that overlaps a time."""
        late = [
            late_s
            for at_s, late_s in list(self.found)
            if at_s >= begin_s and at_s - late_s <= end_s
        ]
        return max(late, default=0.0)

    def end(self) -> None:
        """Sleep no more."""
        for process in self._processes:
            process.kill()
            process.wait()


# ---- what is measured --------------------------------------------------------------


class Size:
    """The memory of a process, over time."""

    def __init__(self, name: str, process: psutil.Process) -> None:
        self.name = name
        self._process = process
        self.samples: list[tuple[float, float]] = []

    def look(self, at_s: float) -> None:
        """Take a sample."""
        self.samples.append((at_s, self._process.memory_info().rss / 1e6))

    def around(self, begin_s: float, end_s: float) -> float:
        """Return the median between two times, MB."""
        return statistics.median(
            mb for at, mb in self.samples if begin_s <= at <= end_s
        )


def metric(server: Server, name: str) -> int:
    """Return what the server has counted."""
    done = server.home.peep("metrics", "--of", "server")
    rows = [row.split() for row in done.stdout.splitlines() if row.startswith(name)]
    return int(sum(float(row[-1]) for row in rows))


class Results:
    """What came out, line by line."""

    def __init__(self) -> None:
        self.missed = False

    def tell(self, what: str, found: str, allowed: str, *, good: bool) -> None:
        """Print a result."""
        say(f"{'ok    ' if good else 'MISSED'} {what}: {found} (allowed: {allowed})")
        self.missed = self.missed or not good


def soak(minutes: float, pulse: Pulse, home: Home) -> bool:
    """Soak; return whether anything was missed."""
    home.env["PULSE_SERVER"] = f"unix:{pulse.directory}/pulse/native"
    home.env["PULSE_SINK"] = "peep"
    # Both classes are its own, so that nobody else on this machine joins in.
    open_class = f"soak-{os.getpid()}"
    server = Server(home, "device", open_class)
    try:
        return _soak(minutes, pulse, server, open_class)
    finally:
        server.life.end(signal.SIGTERM)


def _soak(minutes: float, pulse: Pulse, server: Server, open_class: str) -> bool:
    home = server.home
    log = home.directory / "soak.log"
    log.write_text("")
    rules = home.directory / "rules.yaml"
    rules.write_text(json.dumps(RULES))
    network = ("--interfaces", "lo", "--classes", server.class_name)
    agent = ("agent", *network, "--source", f"tail:{log}", "--rules", rules)
    own = psutil.Process(server.life.process.pid)
    (child,) = own.children()
    sizes = [Size("server", own), Size("sound process", child)]
    with living(home, agent) as follower:
        wait_until(lambda: follower.has_said("heard by"), 20)
        speaker = psutil.Popen(
            [sys.executable, __file__, "--speak", open_class], env=home.env
        )
        writer, ear, listener = Writer(log), Ear(), Listener(server)
        stalls = Stalls()
        try:
            writer.start()
            listener.start()
            recorder = pulse.record(ear.take)
            wait_until(lambda: ear.frames > LEAD_S * SAMPLE_RATE_HZ, 3 * LEAD_S)
            underruns = metric(server, "peep_underruns_total")
            heard = _watch(minutes, server, ear, sizes, stalls)
            underruns = metric(server, "peep_underruns_total") - underruns
            recorder.stop()
        finally:
            writer.over.set()
            stalls.end()
            speaker.kill()
            speaker.wait()
        listener.end()
        restarts = sum("the sound is back" in line for _, line in server.life.said)
    return _results(
        60 * minutes, heard, underruns, restarts, ear, listener, sizes, stalls
    )


def _watch(
    minutes: float, server: Server, ear: Ear, sizes: list[Size], stalls: Stalls
) -> Counter[str]:
    """Let the time pass; return how much was heard."""
    begin = time.monotonic()
    told = 0
    while (at_s := time.monotonic() - begin) < 60 * minutes:
        for size in sizes:
            size.look(at_s)
        if at_s >= 60 * (told + 1):
            told += 1
            loud = f"{ear.loudness[-1]:.1f} LUFS" if ear.loudness else "-"
            memory = ", ".join(f"{s.name} {s.samples[-1][1]:.0f} MB" for s in sizes)
            say(
                f"{told} min: {metric(server, 'peep_underruns_total')} underruns, "
                f"{len(ear.gaps)} gaps, {loud}, {memory}, load "
                f"{os.getloadavg()[0]:.1f}, longest stall of the machine "
                f"{1000 * stalls.longest_s(begin + at_s - 60, math.inf):.0f} ms"
            )
        time.sleep(1.0)
    names = ("peep_signals_total", "peep_cues_total", "peep_suppressions_total")
    return Counter({name: metric(server, name) for name in names})


def _results(  # noqa: PLR0917 - all that was found
    seconds: float,
    heard: Counter[str],
    underruns: int,
    restarts: int,
    ear: Ear,
    listener: Listener,
    sizes: list[Size],
    stalls: Stalls,
) -> bool:
    results = Results()
    signals = heard["peep_signals_total"]
    results.tell("signals", str(signals), "more than 0", good=signals > 0)
    _tell_gaps(results, underruns, ear, stalls)
    results.tell("gaps in the ring", str(listener.gaps), "0", good=not listener.gaps)
    heard_s = listener.packets / 50
    results.tell(
        "heard from the ring",
        f"{heard_s:.0f} s",
        f"{0.98 * seconds:.0f} s or more",
        good=heard_s >= 0.98 * seconds,
    )
    results.tell("other sound processes", str(restarts), "0", good=not restarts)
    fifth = max(1, len(ear.loudness) // 5)
    first, last = _mean(ear.loudness[:fifth]), _mean(ear.loudness[-fifth:])
    results.tell(
        "level drift",
        f"{last - first:+.2f} dB ({first:.1f} to {last:.1f} LUFS)",
        f"{ALLOWED_DRIFT_DB:g} dB",
        good=abs(last - first) <= ALLOWED_DRIFT_DB,
    )
    warm_s = min(WARM_SHARE * seconds, MOST_WARM_S)
    settled_s = SETTLED_SHARE * seconds
    for size in sizes:
        before = size.around(warm_s, warm_s + settled_s)
        after = size.around(seconds - settled_s, seconds)
        results.tell(
            f"growth of the {size.name}",
            f"{after / before - 1:+.1%} ({before:.1f} to {after:.1f} MB)",
            f"{ALLOWED_GROWTH:.0%}",
            good=after <= before * (1 + ALLOWED_GROWTH),
        )
    return results.missed


def _tell_gaps(results: Results, underruns: int, ear: Ear, stalls: Stalls) -> None:
    """Tell what tore the sound, and what of it the machine did by standing still."""
    excused = 0
    for first, frames in ear.gaps:
        begin_s = ear.began + first / SAMPLE_RATE_HZ
        seconds = frames / SAMPLE_RATE_HZ
        near_s = stalls.longest_s(begin_s - NEAR_S, begin_s + seconds + NEAR_S)
        excused += near_s >= BRIDGED_S
        say(
            f"  gap of {1000 * seconds:.1f} ms, {begin_s - ear.began:.1f} s after the "
            f"begin; the machine stood still for {1000 * near_s:.1f} ms"
        )
    long = [1000 * late_s for _, late_s in stalls.found if late_s >= BRIDGED_S]
    known = f"{len(long)} times" if stalls.known else "nobody knows how often"
    say(
        f"  the machine stood still for {1000 * BRIDGED_S:g} ms or longer {known}"
        f" (longest {max(long, default=0.0):.0f} ms)"
    )
    own = len(ear.gaps) - excused
    results.tell(
        "gaps in the recording",
        f"{len(ear.gaps)}, {own} of them while the machine ran",
        "0 of these",
        good=not own,
    )
    results.tell(
        "underruns",
        f"{underruns}, {max(0, underruns - excused)} of them as it ran",
        "0 of these",
        good=underruns <= excused,
    )


def _mean(lufs: list[float]) -> float:
    return 10 * float(np.log10(np.mean([10 ** (one / 10) for one in lufs])))


def main() -> None:
    """Soak for so many minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=60.0)
    parser.add_argument("--speak", metavar="CLASS", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.speak:
        asyncio.run(speak(args.speak))
        return
    problem = missing()
    if problem is not None:
        sys.exit(problem)
    # Ended from outside, it leaves nothing behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("the soak was ended"))
    # So that what strangers do on this machine counts less: all of it, alike.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    pulse, home = Pulse(), Home()
    try:
        pulse.start()
        missed = soak(args.minutes, pulse, home)
    finally:
        pulse.close()
        home.close()
    sys.exit(missed)


if __name__ == "__main__":
    main()
