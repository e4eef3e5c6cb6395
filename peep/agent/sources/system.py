"""How the host is: load, CPU, memory, disks and network as states, by psutil.

Reading and judging are two functions: `read` asks the system, `judge` turns two
readings into values 0…1, so that it can be tried on any numbers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import psutil

from peep.signals import Signal, State, clamp_unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.clock import Clock
    from peep.config.document import Node

# Smaller changes than this are not heard, and not worth a datagram.
DEAD_BAND = 0.02
# Network rates are heard as decades: 1 kB/s is nothing, 100 MB/s a full stream.
QUIET_BYTES_PER_S = 1e3
FULL_BYTES_PER_S = 1e8
# Filled disks and memory are normal up to here.
NORMAL_FILL = 0.5


class SystemSpec(msgspec.Struct, frozen=True):
    """How often to look."""

    interval_s: float = 2.0


def check(options: Node) -> SystemSpec:
    """Read `system`, or `{kind: system, interval_s: 5}`."""
    section = options.section("interval_s", short="interval_s")
    return SystemSpec(section["interval_s"].number(2.0, low=0.5, high=300.0))


class Reading(msgspec.Struct, frozen=True):
    """What psutil says at one moment; times and bytes count up from boot."""

    load: float
    cores: int
    cpu_s: float
    idle_s: float
    memory: float
    disk: float
    network_bytes: int
    at_s: float


def read(now: float) -> Reading:
    """Ask the system."""
    cpu = psutil.cpu_times()
    total_s = sum(cpu) - getattr(cpu, "guest", 0.0) - getattr(cpu, "guest_nice", 0.0)
    counters = psutil.net_io_counters(pernic=True)
    # Loopback is the host talking to itself: our own signals, for one.
    network = sum(
        nic.bytes_sent + nic.bytes_recv
        for name, nic in counters.items()
        if name != "lo"
    )
    return Reading(
        load=psutil.getloadavg()[0],
        cores=psutil.cpu_count() or 1,
        cpu_s=total_s,
        idle_s=cpu.idle + getattr(cpu, "iowait", 0.0),
        memory=psutil.virtual_memory().percent / 100,
        disk=max(
            (_fill(part) for part in writable(psutil.disk_partitions())), default=0.0
        ),
        network_bytes=network,
        at_s=now,
    )


def judge(last: Reading, this: Reading) -> dict[str, float]:
    """Return states by name, 0…1, from two readings."""
    passed_s = max(1e-3, this.at_s - last.at_s)
    cpu_s = this.cpu_s - last.cpu_s
    # Of one reading alone, nothing can be said about the CPU.
    busy = 1 - (this.idle_s - last.idle_s) / cpu_s if cpu_s > 0 else 0.0
    rate = max(0.0, (this.network_bytes - last.network_bytes) / passed_s)
    decades = math.log10(FULL_BYTES_PER_S / QUIET_BYTES_PER_S)
    return {
        # A load of twice the cores is as full as it sounds.
        "system.load": clamp_unit(this.load / this.cores / 2),
        "system.cpu": clamp_unit(busy),
        "system.memory": clamp_unit((this.memory - NORMAL_FILL) / (1 - NORMAL_FILL)),
        "system.disk": clamp_unit((this.disk - NORMAL_FILL) / (1 - NORMAL_FILL)),
        "system.network": clamp_unit(
            math.log10(max(1.0, rate / QUIET_BYTES_PER_S)) / decades
        ),
    }


def writable(
    parts: Iterable[psutil._ntuples.sdiskpart],
) -> list[psutil._ntuples.sdiskpart]:
    """Return the disks that can fill up: images and CD-ROMs are full by nature."""
    return [part for part in parts if "ro" not in part.opts.split(",")]


def moved(told: dict[str, float], values: dict[str, float]) -> list[str]:
    """Return what differs from what was told by the dead band, or was not told."""
    return [
        name
        for name, value in values.items()
        if abs(value - told.get(name, -1.0)) >= DEAD_BAND
    ]


class SystemSource:
    """Polled: returns the states that changed."""

    def __init__(self, spec: SystemSpec, _clock: Clock) -> None:
        self.interval_s = spec.interval_s
        self._last: Reading | None = None
        self._told: dict[str, float] = {}

    def describe(self) -> str:
        """Return what an operator reads."""
        return f"the system, every {self.interval_s:g} s"

    def poll(self, now: float) -> Iterable[Signal]:
        """Return the states that have moved; at first, all of them."""
        this = read(now)
        values = judge(self._last or this, this)
        self._last = this
        for name in moved(self._told, values):
            self._told[name] = values[name]
            yield State(name=name, value=values[name])


def _fill(part: psutil._ntuples.sdiskpart) -> float:
    try:
        return psutil.disk_usage(part.mountpoint).percent / 100
    except OSError:  # unmounted since, or not for us to see
        return 0.0
