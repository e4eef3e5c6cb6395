"""What psutil says of this host, in real units: percent, bytes, °C, people.

What moves slowly, or is dear to ask for, is asked for every ten seconds only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SLOW_S = 10.0  # disks, people and temperatures hardly move in it
MAX_DISKS = 256  # a host of containers has thousands of mounts, of few disks


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What there is at one moment; times and bytes count up from boot.

    What was not asked for, or is not there, is 0 or empty; a `temperature` that nobody
    can measure is None.
    """

    at_s: float
    load: float = 0.0
    cores: int = 1
    cpu_s: float = 0.0
    idle_s: float = 0.0
    memory: float = 0.0
    swap: float = 0.0
    network_bytes: int = 0
    disks: dict[str, float] = {}
    users: int = 0
    temperature: float | None = None


class Reader:
    """Asks the system for what is wanted: names of fields, `cpu` and `network`."""

    def __init__(self, wanted: Collection[str], mounts: Iterable[str] = ()) -> None:
        """Read the disks, and of several mounts of one disk those in `mounts`."""
        self._wanted = frozenset(wanted)
        self._mounts = frozenset(mounts)
        self._slow = Reading(at_s=float("-inf"))

    def read(self, now: float) -> Reading:
        """Look."""
        if now - self._slow.at_s >= SLOW_S:
            self._slow = self._read_slow(now)
        wanted = self._wanted
        cpu_s, idle_s = _cpu() if "cpu" in wanted else (0.0, 0.0)
        return msgspec.structs.replace(
            self._slow,
            at_s=now,
            load=psutil.getloadavg()[0] if "load" in wanted else 0.0,
            cores=psutil.cpu_count() or 1,
            cpu_s=cpu_s,
            idle_s=idle_s,
            memory=psutil.virtual_memory().percent if "memory" in wanted else 0.0,
            swap=psutil.swap_memory().percent if "swap" in wanted else 0.0,
            network_bytes=_network_bytes() if "network" in wanted else 0,
        )

    def _read_slow(self, now: float) -> Reading:
        wanted = self._wanted
        return Reading(
            at_s=now,
            disks=_fills(psutil.disk_partitions(), self._mounts)
            if "disk" in wanted
            else {},
            users=len(psutil.users()) if "users" in wanted else 0,
            temperature=_hottest() if "temperature" in wanted else None,
        )


def writable(
    parts: Iterable[psutil._ntuples.sdiskpart],
) -> list[psutil._ntuples.sdiskpart]:
    """Return the disks that can fill up: images and CD-ROMs are full by nature."""
    return [part for part in parts if "ro" not in part.opts.split(",")]


def _fills(
    parts: Iterable[psutil._ntuples.sdiskpart], mounts: Collection[str]
) -> dict[str, float]:
    """Return how full each disk is, in percent, by where it is mounted."""
    found: dict[str, float] = {}
    devices: set[str] = set()
    for part in writable(parts):
        if part.mountpoint in mounts or part.device not in devices:
            devices.add(part.device)
            fill = _fill(part)
            if fill is not None and len(found) < MAX_DISKS:
                found[part.mountpoint] = fill
    return found


def _fill(part: psutil._ntuples.sdiskpart) -> float | None:
    try:
        return psutil.disk_usage(part.mountpoint).percent
    except OSError:  # unmounted since, or not for us to see
        return None


def _cpu() -> tuple[float, float]:
    times = psutil.cpu_times()
    twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return sum(times) - twice, times.idle + getattr(times, "iowait", 0.0)


def _network_bytes() -> int:
    # Loopback is the host talking to itself: our own signals, for one.
    return sum(
        nic.bytes_sent + nic.bytes_recv
        for name, nic in psutil.net_io_counters(pernic=True).items()
        if name != "lo"
    )


def _hottest() -> float | None:
    if not hasattr(psutil, "sensors_temperatures"):
        return None
    chips = psutil.sensors_temperatures().values()
    return max((sensor.current for chip in chips for sensor in chip), default=None)
