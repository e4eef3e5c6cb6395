"""A real server plays through the real sound card driver for as long as is asked.

    python tests/soak.py [MINUTES]          60 of them, unless told otherwise

Into PulseAudio's null sink, with traffic that repeats itself every 20 seconds: a real
agent follows a log in which calm and storms alternate, with an alert in each round;
another sends states and heartbeats. All of what the sink is given is recorded and
looked at, and a listener hears the ring. In the end it is said, and any miss exits 1:

- underruns, as the driver counted them: none;
- gaps, in the recording (a millisecond of exact silence: the bed always sounds) and in
  the ring's numbers: none;
- the loudness of the last fifth against the first: 1 dB;
- what the server and its sound process have grown by since they were warm: 5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
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

ROUND_S = 20.0  # after which traffic repeats itself
LEAD_S = 10.0  # until the bed has faded in
WARM_SHARE, MOST_WARM_S = 0.4, 600.0  # caches and the journal's pages have filled
SETTLED_SHARE = 0.1  # over which a size is averaged
GAP_FRAMES = SAMPLE_RATE_HZ // 1000
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
        self.gaps = 0
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
        lead = round(LEAD_S * SAMPLE_RATE_HZ)
        if begin < lead:
            return
        self._look_for_gaps(stereo)
        a_round = round(ROUND_S * SAMPLE_RATE_HZ)
        ends = a_round - (begin - lead) % a_round
        self._meter.feed(stereo[:ends])
        if len(stereo) >= ends:
            self.loudness.append(self._meter.integrated_lufs)
            self._meter = LoudnessMeter()
            self._meter.feed(stereo[ends:])

    def _look_for_gaps(self, stereo: np.ndarray) -> None:
        sounding = np.flatnonzero(np.abs(stereo).max(axis=1) > 0)
        edges = np.concatenate(([-1 - self._silent], sounding, [len(stereo)]))
        lengths = np.diff(edges) - 1
        # The last may go on: it is counted when it has ended.
        self.gaps += int((lengths[:-1] >= GAP_FRAMES).sum())
        self._silent = int(lengths[-1])


class Listener(threading.Thread):
    """Hears the ring as a browser does, and counts what is missing in its numbers."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        url = server.url.replace("http", "ws") + "listen"
        self._socket = connect(url, compression=None, proxy=None)
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
        self._socket.close()
        self.join(5.0)


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
    server = Server(home, "device")
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
            [sys.executable, __file__, "--speak", server.class_name], env=home.env
        )
        writer, ear, listener = Writer(log), Ear(), Listener(server)
        try:
            writer.start()
            listener.start()
            recorder = pulse.record(ear.take)
            wait_until(lambda: ear.frames > LEAD_S * SAMPLE_RATE_HZ, 3 * LEAD_S)
            underruns = metric(server, "peep_underruns_total")
            heard = _watch(minutes, server, ear, sizes)
            underruns = metric(server, "peep_underruns_total") - underruns
            recorder.stop()
        finally:
            writer.over.set()
            speaker.kill()
            speaker.wait()
        listener.end()
        restarts = sum("the sound is back" in line for _, line in server.life.said)
    server.life.end(15)
    return _results(60 * minutes, heard, underruns, restarts, ear, listener, sizes)


def _watch(minutes: float, server: Server, ear: Ear, sizes: list[Size]) -> Counter[str]:
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
                f"{ear.gaps} gaps, {loud}, {memory}, load {os.getloadavg()[0]:.1f}"
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
) -> bool:
    results = Results()
    signals = heard["peep_signals_total"]
    results.tell("signals", str(signals), "more than 0", good=signals > 0)
    results.tell("underruns", str(underruns), "0", good=not underruns)
    results.tell("gaps in the recording", str(ear.gaps), "0", good=not ear.gaps)
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
