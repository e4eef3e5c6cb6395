"""Those that match lines besides us: Google's mtail, and fail2ban-regex.

Both are told the same rules and lines, have one core, and are measured by the CPU time
of their whole process; what they take for an empty log is taken off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.rules import Rule

FAIL2BAN_FILTER = Path("/etc/fail2ban/filter.d/sshd.conf")
LIMIT_S = 180  # for one run
_COUNTED = re.compile(r"^Lines: (\d+) lines, \d+ ignored, (\d+) matched", re.MULTILINE)


class Used(NamedTuple):
    """CPU seconds of a process and what it waited for, and what it printed."""

    cpu_s: float
    wall_s: float
    printed: str


def needed(*programs: str) -> None:
    """End the bench unless these are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)} (Debian: mtail, fail2ban)")


def mtail(core: int, program: Path, log: Path) -> tuple[Used, Counter[str]]:
    """Let mtail read a log once; return what it counted of each rule, too."""
    used = _ran(
        core,
        ["mtail", "-one_shot", "-progs", program, "-logs", log],
        ["-log_dir", program.parent],
    )
    counted = Counter[str]()
    for name, (metric, *_) in json.loads(used.printed).items():
        counted[name] = metric["LabelValues"][0]["Value"]["Value"]
    return used, +counted


def mtail_program(rules: Sequence[Rule]) -> str:
    """Return a program that counts each rule's lines; the first that matches wins."""
    parts = [f"counter {_name(rule.event)}\n" for rule in rules]
    for rule in rules:
        pattern = rule.match.replace("/", r"\/")
        parts.append(f"/{pattern}/ {{\n  {_name(rule.event)}++\n  stop\n}}\n")
    return "".join(parts)


def as_mtail_counts(events: Counter[str]) -> Counter[str]:
    """Return counts of events by the names that they have there."""
    return Counter({_name(event): count for event, count in events.items()})


def fail2ban(core: int, log: Path) -> tuple[Used, int]:
    """Let fail2ban-regex read a log with its filter of sshd; return what it matched."""
    # As its server does it: the first that matches wins, and nothing is printed.
    options = ["--no-check-all", "--print-no-missed", "--maxlines", "1"]
    used = _ran(core, ["fail2ban-regex", *options, log, FAIL2BAN_FILTER])
    found = _COUNTED.search(used.printed)
    if found is None:
        sys.exit(f"fail2ban-regex said: {used.printed[-500:]}")
    return used, int(found[2])


def _name(event: str) -> str:
    return re.sub(r"\W", "_", event)


def _ran(core: int, *words: Sequence[str | Path]) -> Used:
    """Run a program on one core, to its end."""
    begun = os.times()
    command = [str(word) for part in words for word in part]
    done = subprocess.run(
        ["taskset", "-c", str(core), *command],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    ended = os.times()
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr[-500:]}")
    cpu_s = ended.children_user + ended.children_system
    cpu_s -= begun.children_user + begun.children_system
    return Used(cpu_s, ended.elapsed - begun.elapsed, done.stdout)
