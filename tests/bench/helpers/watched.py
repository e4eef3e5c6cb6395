"""What a process and its children take, as the kernel counts it: memory and CPU.

*resident* is every page that is mapped just now, the libraries' among them, which other
processes may share; *private* is what would come free if the process ended (the unique
set), and so depends on who else runs the same libraries; *own* is what no file holds:
the heap, and what else was written to. What a child shares with its parent is counted
twice.

Linux only: /proc.
"""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import NamedTuple

from helpers.processes import TICKS_PER_S

MB = 1e6


class Sample(NamedTuple):
    """One look at a process and its children."""

    at: float
    resident_bytes: int
    private_bytes: int
    own_bytes: int
    cpu_s: float  # since it began, with the children that it waited for
    processes: int


class Watched:
    """The samples of one process, in order."""

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.samples: list[Sample] = []

    def look(self, now: float) -> None:
        """Take a sample; OSError if the process is gone."""
        pids = family(self.pid)
        resident, private, own = (
            sum(each) for each in zip(*map(memory_bytes, pids), strict=True)
        )
        self.samples.append(
            Sample(
                now,
                resident,
                private,
                own,
                sum(cpu_s(pid) for pid in pids),
                len(pids),
            )
        )

    @property
    def resident_mb(self) -> float:
        """The median of what was resident."""
        return statistics.median(s.resident_bytes for s in self.samples) / MB

    @property
    def private_mb(self) -> float:
        """The median of what was private."""
        return statistics.median(s.private_bytes for s in self.samples) / MB

    @property
    def own_mb(self) -> float:
        """The median of what no file holds."""
        return statistics.median(s.own_bytes for s in self.samples) / MB

    @property
    def cpu_percent(self) -> float:
        """Of one core, between the first sample and the last."""
        first, last = self.samples[0], self.samples[-1]
        return 100 * (last.cpu_s - first.cpu_s) / (last.at - first.at)

    @property
    def busiest_percent(self) -> float:
        """Of one core, between two samples."""
        pairs = itertools.pairwise(self.samples)
        return 100 * max((b.cpu_s - a.cpu_s) / (b.at - a.at) for a, b in pairs)

    def told(self) -> str:
        """Return a row for people."""
        resident = max(s.resident_bytes for s in self.samples) / MB
        private = max(s.private_bytes for s in self.samples) / MB
        return (
            f"{self.name:<22} {self.resident_mb:7.1f} {resident:7.1f} "
            f"{self.private_mb:8.1f} {private:7.1f} {self.own_mb:7.1f} "
            f"{self.cpu_percent:8.3f} {self.busiest_percent:8.2f} "
            f"{self.samples[0].cpu_s:9.2f} {max(s.processes for s in self.samples):5}"
        )


HEAD = (
    f"{'':<22} {'resident MB':>15} {'private MB':>16} {'own MB':>7} "
    f"{'% of a core':>17}\n"
    f"{'':<22} {'median':>7} {'peak':>7} {'median':>8} {'peak':>7} {'median':>7} "
    f"{'mean':>8} {'busiest':>8} {'start, s':>9} {'procs':>5}"
)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def memory_bytes(pid: int) -> tuple[int, int, int]:
    """Return what a process has resident, and what of that is private, and its own."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount, *_ = line.split()
        fields[name] = int(amount) * 1024
    private = fields["Private_Clean:"] + fields["Private_Dirty:"]
    return fields["Rss:"], private, fields["Anonymous:"]


def cpu_s(pid: int) -> float:
    """Return user and system seconds of a process and the children it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_S
