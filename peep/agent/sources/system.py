"""How the host is: states that one hears all the time, and events where it is too much.

Reading and judging are two steps: readings.py asks the system, `measured` turns two
readings into amounts in real units, so that it can be tried on any numbers. An amount
is heard as a state, linear between `low` and `high`; one that crosses `alarm` is an
event, and so is its return below `clear` (thresholds.py). Network rates alone are heard
by decades: 1 kB/s is nothing, 100 MB/s a full stream.

    amount       unit                   state    alarm, cleared, after
    load         per core               0…2
    cpu          % of all cores         0…100
    memory       % in use               50…100   95, 90, 30 s
    disk         % of the fullest       50…100   95, 93 (each disk for itself)
    network      bytes/s, loopback not  10³…10⁸
    swap         % in use               0…100    (the last three: where asked for)
    users        logged in              0…10
    temperature  °C of the hottest      40…90
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.processes import Census, Expected, check_expected
from peep.agent.sources.readings import Reader, Reading
from peep.agent.sources.thresholds import Alarm, Scale, Watch, read_alarm, read_scale
from peep.signals import Event, Signal, State, clamp_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from peep.clock import Clock
    from peep.config.document import Node

# Smaller changes than this are not heard, and not worth a datagram.
DEAD_BAND = 0.02
MAX_AMOUNT = 1e12  # a terabyte a second; no amount is more
MAX_MOUNTS = 256  # that are named by hand
# A scale that learns begins at a megabyte a second, and forgets a peak within days.
LEARNT_LEAST = 1e6
LEARNT_HALVES_S = 86_400.0
# Counting processes may take this share of a core, at most so long in one go.
COUNT_SHARE = 0.0025
COUNT_SLICE_S = 0.015


class Measure(msgspec.Struct, frozen=True):
    """What is made of an amount."""

    scale: Scale
    alarm: Alarm | None = None


DEFAULTS: Mapping[str, Measure] = {
    "load": Measure(Scale(0.0, 2.0)),  # twice the cores is as full as it sounds
    "cpu": Measure(Scale(0.0, 100.0)),
    "memory": Measure(Scale(50.0, 100.0), Alarm(95.0, 90.0, for_s=30.0)),
    "disk": Measure(Scale(50.0, 100.0), Alarm(95.0, 93.0)),
    "network": Measure(Scale(1e3, 1e8)),
}
ON_REQUEST: Mapping[str, Measure] = {
    "swap": Measure(Scale(0.0, 100.0)),
    "users": Measure(Scale(0.0, 10.0)),
    "temperature": Measure(Scale(40.0, 90.0)),
}
_FULL = ("memory", "disk", "swap")  # others are "high"
_UNITS = {"load": " per core", "network": " bytes/s", "users": "", "temperature": " °C"}
_KEYS = ("low", "high", "alarm", "clear", "for_s", "tier")


class SystemSpec(msgspec.Struct, frozen=True):
    """What to measure, and how often; `mounts` have alarms of their own.

    Mounts in `ignore` are not looked at. `learns`: the full scale of the network is the
    most that was seen.
    """

    interval_s: float = 2.0
    measures: Mapping[str, Measure] = msgspec.field(
        default_factory=lambda: dict(DEFAULTS)
    )
    mounts: Mapping[str, Alarm | None] = {}
    ignore: tuple[str, ...] = ()
    processes: tuple[Expected, ...] = ()
    learns: bool = False


def check(options: Node) -> SystemSpec:
    """Read `system`, or `{kind: system, interval_s: 5, disk: {alarm: 90}, …}`."""
    known = {**DEFAULTS, **ON_REQUEST}
    keys = options.section(
        "interval_s", "measures", "alarms", "processes", *known, short="interval_s"
    )
    names = keys["measures"].texts(tuple(DEFAULTS), empty=True)
    for name in names:
        if name not in known:
            keys["measures"].problem(f"{name!r} is none of {', '.join(known)}")
    alarms = keys["alarms"].flag(default=True)
    measures: dict[str, Measure] = {}
    mounts: Mapping[str, Alarm | None] = {}
    ignore: tuple[str, ...] = ()
    learns = False
    for name, default in known.items():
        if name not in names and not keys[name].given:
            continue
        more = {"disk": ("mounts", "ignore"), "network": ("learn",)}.get(name, ())
        at = keys[name].section(*_KEYS, *more)
        base = default.alarm if alarms else None
        measures[name] = Measure(
            read_scale(at["low"], at["high"], default.scale, MAX_AMOUNT),
            read_alarm(at, base, MAX_AMOUNT),
        )
        if name == "disk":
            mounts = _mounts(at["mounts"], measures[name].alarm or default.alarm)
            ignore = at["ignore"].texts(())
        elif name == "network":
            learns = at["learn"].flag(default=False)
            if measures[name].scale.low <= 0:
                at["low"].problem("must be above 0: rates are heard by decades")
    return SystemSpec(
        keys["interval_s"].number(2.0, low=0.5, high=300.0),
        measures,
        mounts,
        ignore,
        check_expected(keys["processes"]),
        learns,
    )


def _mounts(node: Node, default: Alarm | None) -> Mapping[str, Alarm | None]:
    found = node.items()
    if len(found) > MAX_MOUNTS:
        node.problem(f"more than {MAX_MOUNTS} mounts")
    return {
        path: read_alarm(at.section("alarm", "clear", "for_s", "tier"), default, 100.0)
        for path, at in found[:MAX_MOUNTS]
    }


def measured(last: Reading, this: Reading) -> dict[str, float]:
    """Return amounts by name from two readings; a temperature only if there is one."""
    passed_s = max(1e-3, this.at_s - last.at_s)
    cpu_s = this.cpu_s - last.cpu_s
    # Of one reading alone, nothing can be said about the CPU.
    busy = 1 - (this.idle_s - last.idle_s) / cpu_s if cpu_s > 0 else 0.0
    amounts = {
        "load": this.load / this.cores,
        "cpu": 100 * clamp_unit(busy),
        "memory": this.memory,
        "swap": this.swap,
        "disk": max(this.disks.values(), default=0.0),
        "network": max(0.0, (this.network_bytes - last.network_bytes) / passed_s),
        "users": float(this.users),
    }
    if this.temperature is not None:
        amounts["temperature"] = this.temperature
    return amounts


def moved(told: dict[str, float], values: dict[str, float]) -> list[str]:
    """Return what differs from what was told by the dead band, or was not told."""
    return [
        name
        for name, value in values.items()
        if abs(value - told.get(name, -1.0)) >= DEAD_BAND
    ]


class SystemSource:
    """Polled: returns the states that changed, and what was crossed."""

    has_rates = True

    def __init__(self, spec: SystemSpec, clock: Clock) -> None:
        self.interval_s = spec.interval_s
        self._spec = spec
        self._reader = Reader(spec.measures, spec.mounts)
        self._census = Census(spec.processes, clock)
        self._last: Reading | None = None
        self._told: dict[str, float] = {}
        self._watches: dict[tuple[str, str], Watch] = {}
        self._peak = LEARNT_LEAST

    def describe(self) -> str:
        """Return what an operator reads."""
        return f"the system, every {self.interval_s:g} s"

    def poll(self, now: float) -> Iterable[Signal]:
        """Return the states that have moved (at first, all of them), and events."""
        this = self._reader.read(now)
        if self._spec.ignore:
            kept = {m: f for m, f in this.disks.items() if m not in self._spec.ignore}
            this = msgspec.structs.replace(this, disks=kept)
        yield from self.judge(self._last or this, this)
        self._last = this
        yield from self._census.step(min(COUNT_SLICE_S, COUNT_SHARE * self.interval_s))

    def judge(self, last: Reading, this: Reading) -> Iterator[Signal]:
        """Return what two readings mean after all that came before."""
        passed_s = max(0.0, this.at_s - last.at_s)
        amounts = measured(last, this)
        asked = {n: m for n, m in self._spec.measures.items() if n in amounts}
        values = {
            f"system.{name}": measure.scale.value(amounts[name])
            if name != "network"
            else self._decades(measure.scale, amounts[name], passed_s)
            for name, measure in asked.items()
        }
        for name in moved(self._told, values):
            self._told[name] = values[name]
            yield State(name=name, value=values[name])
        for name, measure in asked.items():
            if name == "disk":
                yield from self._disks(this)
            elif measure.alarm and (
                event := self._watch(name, measure.alarm, amounts[name], this.at_s)
            ):
                yield event

    def _decades(self, scale: Scale, rate: float, passed_s: float) -> float:
        high = scale.high
        if self._spec.learns:
            faded = self._peak * 0.5 ** (passed_s / LEARNT_HALVES_S)
            self._peak = high = max(LEARNT_LEAST, 2 * scale.low, faded, rate)
        logs = Scale(math.log10(scale.low), math.log10(high))
        return logs.value(math.log10(max(scale.low, rate)))

    def _disks(self, this: Reading) -> Iterator[Event]:
        usual = self._spec.measures["disk"].alarm
        for mount, fill in this.disks.items():
            alarm = self._spec.mounts.get(mount, usual)
            if alarm and (event := self._watch("disk", alarm, fill, this.at_s, mount)):
                yield event
        # A disk that is mounted again later begins anew.
        for key in [k for k in self._watches if k[1] and k[1] not in this.disks]:
            del self._watches[key]

    def _watch(
        self, name: str, alarm: Alarm, amount: float, now: float, instance: str = ""
    ) -> Event | None:
        watch = self._watches.get((name, instance))
        if watch is None:
            event = f"{name}-full" if name in _FULL else f"{name}-high"
            watch = self._watches[name, instance] = Watch(alarm, name, event, instance)
        where = f"{name} {instance}".strip()
        return watch.feed(amount, now, f"{where}: {amount:.4g}{_UNITS.get(name, ' %')}")
