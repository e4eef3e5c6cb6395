"""What one core does with lines: from the file to sealed datagrams; and what others do.

    python tests/bench/match.py [PART …]      rules fail2ban

A whole agent (helpers/following.py) follows a log on one core: blocks are read, lines
matched with redaction on, events packed, sealed with ChaCha20 and sent over the
loopback, where a socket on the other core keeps them; each match is sent, for storms
are not folded. Afterwards a server's machine opens the datagrams and counts the events.

rules: fifty and two hundred rules of a seed, and lines of about 128 bytes of which they
take half (helpers/rulebook.py), against mtail with a program of the same rules, the
first that matches winning. mtail only counts. Counts of every rule must be the same.

fail2ban: lines of sshd, and the pack of that name, against fail2ban-regex with its own
filter of sshd. It only counts, and takes other lines for failures than we for events.

All have the same core in turns, and are measured by the CPU time of their process, for
the core may be shared. Starting up does not count: what others take for an empty log is
taken off, and our agent is there before its log is, and its automata warm up on the
first lines. `RATIO name value target` are the results, above the target is within it.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from helpers import matchers, rulebook
from helpers.followed import followed

if TYPE_CHECKING:
    from collections.abc import Callable

    from helpers.followed import Run

CORE, OTHER_CORE = 0, 1
ROUNDS = 5
LINES = 120_000
SSHD_LINES = 60_000
TARGETS = {200: 12, 50: 4}
FAIL2BAN_TARGET = 10
SEED = 7


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def spread(values: list[float], digits: int = 0) -> str:
    """Return the median, and the least and the most."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def in_turns(
    ours: Callable[[], Run], theirs: Callable[[], float], name: str, lines: int
) -> float:
    """Let both read so many lines; say how fast they were, and return the ratio."""
    runs, rates, ratios = [], [], []
    for _ in range(ROUNDS):
        rates.append(lines / theirs())
        runs.append(ours())
        ratios.append(runs[-1].rate / rates[-1])
    last = runs[-1]
    say(f"  peep: {spread([run.rate for run in runs])} lines a second of CPU")
    say(
        f"    {last.events.total()} events in {last.datagrams} datagrams, "
        f"{last.sealed_bytes / last.datagrams:.0f} bytes each; by the wall's clock "
        f"{spread([lines / run.wall_s for run in runs])} lines a second in all"
    )
    say(f"  {name}: {spread(rates)} lines a second of CPU")
    say(f"  ratio: {spread(ratios, 2)}, {ROUNDS} rounds")
    return statistics.median(ratios)


def against_mtail(count: int, directory: Path) -> float:
    """Measure so many rules of both; return the ratio."""
    rng = random.Random(SEED)
    rules, kinds = rulebook.made(count, rng)
    program, log = directory / f"{count}.mtail", directory / f"{count}.log"
    ruled, empty = directory / f"{count}.json", directory / "empty.log"
    lines = rulebook.lines(rules, kinds, LINES, rng)
    log.write_text("\n".join(lines) + "\n")
    empty.write_text("")
    ruled.write_bytes(msgspec.json.encode(rules))
    program.write_text(matchers.mtail_program(rules))
    size = log.stat().st_size / LINES
    say(f"{count} rules, {LINES} lines of {size:.0f} bytes, half of them taken")
    counted: list[Counter[str]] = []

    def ours() -> Run:
        run = followed(CORE, str(ruled), log, LINES)
        counted.append(matchers.as_mtail_counts(run.events))
        return run

    def theirs() -> float:
        idle, _ = matchers.mtail(CORE, program, empty)
        used, found = matchers.mtail(CORE, program, log)
        counted.append(found)
        return used.cpu_s - idle.cpu_s

    ratio = in_turns(ours, theirs, "mtail", LINES)
    if counted[0].total() != LINES // 2 or any(one != counted[0] for one in counted):
        sys.exit(f"counts differ, or are not half of {LINES}: no result")
    say(f"  both counted {counted[0].total()} lines, the same of each of {count} rules")
    return ratio


def against_fail2ban(directory: Path) -> float:
    """Measure lines of sshd; return the ratio."""
    log, empty = directory / "auth.log", directory / "empty.log"
    lines = rulebook.sshd_lines(SSHD_LINES, random.Random(SEED))
    log.write_text("\n".join(lines) + "\n")
    empty.write_text("")
    size = log.stat().st_size / SSHD_LINES
    say(f"sshd, {SSHD_LINES} lines of {size:.0f} bytes")
    matched = Counter[str]()

    def ours() -> Run:
        run = followed(CORE, "sshd", log, SSHD_LINES)
        matched["peep"] = run.events.total()
        return run

    def theirs() -> float:
        idle, _ = matchers.fail2ban(CORE, empty)
        used, matched["fail2ban"] = matchers.fail2ban(CORE, log)
        return used.cpu_s - idle.cpu_s

    ratio = in_turns(ours, theirs, "fail2ban-regex", SSHD_LINES)
    say(
        f"  {matched['fail2ban']} lines are fail2ban's failures, "
        f"{matched['peep']} are events here"
    )
    if not all(matched.values()):
        sys.exit("one of them took nothing: no result")
    return ratio


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description="what one core does with lines")
    parser.add_argument("part", nargs="*", choices=["rules", "fail2ban", []])
    asked = parser.parse_args().part or ["rules", "fail2ban"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    matchers.needed("mtail", "fail2ban-regex", "taskset")
    say(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    os.sched_setaffinity(0, {OTHER_CORE})
    results = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if "rules" in asked:
            for count, target in TARGETS.items():
                ratio = against_mtail(count, directory)
                results.append(f"RATIO match-mtail-{count} {ratio:.2f} {target}")
        if "fail2ban" in asked:
            ratio = against_fail2ban(directory)
            results.append(f"RATIO match-fail2ban {ratio:.2f} {FAIL2BAN_TARGET}")
    for line in results:
        say(line)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
