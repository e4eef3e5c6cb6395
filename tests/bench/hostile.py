"""For how long hostile logs hold an agent's loop: 20 ms is what is allowed.

    python tests/bench/hostile.py [--runs N] [--mib N] [NAME …]

For each kind of log (tests/hostile_logs.py) a whole agent (its application with store,
redaction, the shipped rules and some that are slow on purpose, one of them with
`engine: re`) reads a file of it from the start, without `cpu_max`. Meanwhile a task of
the same loop sleeps for a millisecond, over and over: by how much it is late is how
long something held the loop.

On a machine with few cores it is late, too, because others run. So it is told beside it
how much of its lateness this thread spent computing (its CPU time), and how late the
same task is in a loop that does nothing (idle). The last line is `RATIO hostile-loop
<20 ms / the worst hold> 1`, the worst of all kinds, the median over the runs: above 1
is within the target.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile_logs import BOMB_PACK, MIB, hostile, lines_in, names

from peep.agent.app import AgentApp
from peep.agent.guarded import Guardian
from peep.agent.plan import AgentPlan
from peep.agent.sources.tail import TailSpec
from peep.agent.weight import settle
from peep.clock import SystemClock
from peep.config.rulepacks import load_rules, shipped_packs
from peep.journal.store import Store
from peep.protocol.agent import AgentConfig
from peep.rules import Redactor, RuleSet

ALLOWED_S = 0.020
BEAT_S = 0.001
LOOK_S = 0.05  # whether all is read
RUNS = 5
IDLE_S = 2.0
LIMIT_S = 300.0  # for one log; it is a bench, and no hurry
MAX_BYTES = {"alerts": MIB // 4, "regex bombs": MIB // 2}  # slow by their nature
CLOCK = SystemClock()


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Held(NamedTuple):
    """The worst lateness, seconds, and what of it this thread computed."""

    wall_s: float
    cpu_s: float


class Heart:
    """Beats until it is stopped, and remembers when it was latest."""

    def __init__(self) -> None:
        self.worst_s = self.worst_cpu_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        assert self._task is not None, "it was begun"
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            wall, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(BEAT_S)
            late_s = time.perf_counter() - wall - BEAT_S
            self.worst_s = max(self.worst_s, late_s)
            self.worst_cpu_s = max(self.worst_cpu_s, time.thread_time() - cpu)

    @property
    def held(self) -> Held:
        """Return the worst so far."""
        return Held(self.worst_s, self.worst_cpu_s)


async def idle() -> Held:
    """Return how late a loop is that does nothing."""
    async with Heart() as heart:
        await asyncio.sleep(IDLE_S)
    return heart.held


async def read(log: Path, lines: int, rules: RuleSet, store: Store) -> Held:
    """Let an agent read a log; return for how long the loop was held."""
    config = AgentConfig(agent_id=b"\x01" * 8, host="bench", classes=("bench",))
    spec = TailSpec(str(log), from_start=True)
    plan = AgentPlan(config=config, interfaces=("lo",), sources=(spec,))
    said: list[str] = []
    app = AgentApp(
        plan,
        rules,
        clock=CLOCK,
        rng=random.Random(1),
        say=said.append,
        store=store,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    until = time.monotonic() + LIMIT_S
    async with Heart() as heart:
        # Nobody tells of it.
        while app.matching.lines < lines and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
    stop.set()
    await task
    if app.matching.lines != lines:
        sys.exit(f"{log.name}: {app.matching.lines} of {lines} lines: {said}")
    return heart.held


def measured(name: str, size_bytes: int) -> Held:
    """Return how long one kind of log holds an agent."""
    data = hostile(name, min(size_bytes, MAX_BYTES.get(name, size_bytes)))
    with tempfile.TemporaryDirectory(prefix="peep-bench-") as directory:
        log, pack = Path(directory) / "hostile.log", Path(directory) / "bombs.yaml"
        log.write_bytes(data)
        pack.write_text(BOMB_PACK)
        rules = load_rules([str(pack), *shipped_packs()])
        store = Store(
            Path(directory) / "agent.db", say=say, max_alerts=10_000, max_bytes=64 * MIB
        )
        with Guardian(rules, CLOCK, lambda _: None) as guard:
            compiled = RuleSet(rules, redactor=Redactor(), guard=guard)
            settle()  # as an agent does
            return asyncio.run(read(log, lines_in(data), compiled, store))


def main() -> None:
    """Measure each kind, several times."""
    parser = argparse.ArgumentParser(description="For how long hostile logs hold.")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--mib", type=float, default=2.0, help="of each log")
    parser.add_argument("names", nargs="*", default=names(), metavar="NAME")
    args = parser.parse_args()
    found: dict[str, list[Held]] = {}
    for _ in range(args.runs):
        found.setdefault("(idle)", []).append(asyncio.run(idle()))
        for name in args.names:
            held = measured(name, int(args.mib * MIB))
            found.setdefault(name, []).append(held)
    for name, each in found.items():
        walls = sorted(1000 * held.wall_s for held in each)
        cpu = statistics.median(1000 * held.cpu_s for held in each)
        say(
            f"{name:<20} held for {statistics.median(walls):6.1f} ms at worst "
            f"({walls[0]:.1f} to {walls[-1]:.1f}), computing {cpu:6.1f}"
        )
    worst = [
        max(found[name][run].wall_s for name in args.names) for run in range(args.runs)
    ]
    say(f"RATIO hostile-loop {ALLOWED_S / statistics.median(worst):.2f} 1")


if __name__ == "__main__":
    main()
