"""The only module that reads a clock.

`now()` counts seconds that never step and do count suspend (CLOCK_BOOTTIME): a
lease must run out while a laptop sleeps. `wall()` is for people: what agents
stamp, what summaries print. Machines never read either; they are told.
"""

import sys
import time
from typing import Protocol


class Clock(Protocol):
    """What drivers need of a clock."""

    def now(self) -> float:
        """Seconds since some fixed moment; never steps."""

    def wall(self) -> float:
        """Unix seconds; may step."""


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        # Where CLOCK_BOOTTIME is missing (not Linux), suspend goes uncounted.
        self._id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> float:
        """Seconds since boot, suspend included."""
        return time.clock_gettime(self._id)

    def wall(self) -> float:
        """Unix seconds."""
        return time.time()


class ManualClock:
    """A clock that moves only by hand: for rendering, and for tests."""

    def __init__(self, now: float = 0.0, wall: float = 0.0) -> None:
        self._now = now
        self._wall = wall

    def now(self) -> float:
        """Seconds as last set."""
        return self._now

    def wall(self) -> float:
        """Unix seconds as last set."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now += seconds
        self._wall += seconds


def cpu_s(pid: int = 0) -> float:
    """Return the processor time of a child that is not waited for yet; else our own.

    0 for a child where the system has no such clock, or there is no such child.
    """
    if not pid:
        return time.process_time()
    if sys.platform != "linux":
        return 0.0
    try:
        # The number of a process's clock, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0
