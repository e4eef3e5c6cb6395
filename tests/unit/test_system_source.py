"""The system as states and events: judged on plain numbers, read on this host."""

import os

import msgspec
import pytest
from psutil._ntuples import sdiskpart

from peep.agent.sources import readings, system
from peep.agent.sources.readings import SLOW_S, Reader, Reading
from peep.agent.sources.system import (
    DEAD_BAND,
    DEFAULTS,
    LEARNT_HALVES_S,
    SystemSource,
    SystemSpec,
    check,
)
from peep.agent.sources.thresholds import Alarm, Scale
from peep.clock import ManualClock, SystemClock
from peep.config.document import parse
from peep.errors import ConfigError
from peep.signals import Event, State, name_problem

AT_REST = Reading(
    at_s=100.0,
    load=0.0,
    cores=4,
    cpu_s=1000.0,
    idle_s=900.0,
    memory=20.0,
    disks={"/": 10.0},
    network_bytes=5_000,
)


def changed(seconds: float = 2.0, **changes) -> Reading:
    return msgspec.structs.replace(AT_REST, **{"at_s": 100.0 + seconds, **changes})


def spec_of(text: str) -> SystemSpec:
    node = parse(text, "peep.yaml")
    _, options = node.kind(["system"])
    spec = check(options)
    node.problems.raise_if_any()
    return spec


def judged(text: str, *readings: Reading) -> list:
    """All that a source configured so says to readings, one after the other."""
    source, last, said = SystemSource(spec_of(text), ManualClock()), AT_REST, []
    for this in readings:
        said += source.judge(last, this)
        last = this
    return said


def state(name: str, seconds: float = 2.0, text: str = "system", **changes) -> float:
    found = judged(text, changed(seconds, **changes))
    return next(s.value for s in found if s.name == name)


def events(text: str, *readings: Reading) -> list[tuple[str, str]]:
    found = [s for s in judged(text, *readings) if isinstance(s, Event)]
    assert all(name_problem(event.name) is None for event in found)
    return [(event.name, event.instance) for event in found]


def test_a_host_at_rest_is_zero_throughout():
    values = judged("system", changed(cpu_s=1008.0, idle_s=908.0))
    assert {s.name: s.value for s in values} == {
        "system.load": 0.0,
        "system.cpu": 0.0,
        "system.memory": 0.0,
        "system.disk": 0.0,
        "system.network": 0.0,
    }
    assert all(name_problem(s.name) is None for s in values)


@pytest.mark.parametrize(("load", "value"), [(2, 0.25), (4, 0.5), (8, 1.0), (99, 1.0)])
def test_a_load_of_twice_the_cores_is_full(load, value):
    assert state("system.load", load=load) == value


@pytest.mark.parametrize(
    ("idle_s", "value"), [(900, 1.0), (902, 0.75), (908, 0.0), (920, 0.0), (890, 1.0)]
)
def test_the_cpu_is_what_was_not_idle_of_the_time_that_passed(idle_s, value):
    assert state("system.cpu", cpu_s=1008.0, idle_s=idle_s) == value


def test_a_first_reading_says_nothing_of_rates():
    amounts = system.measured(AT_REST, AT_REST)
    assert (amounts["cpu"], amounts["network"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fill", "value"), [(0.0, 0.0), (50.0, 0.0), (75.0, 0.5), (100.0, 1.0)]
)
def test_memory_and_the_fullest_disk_are_heard_from_half_full(fill, value):
    assert state("system.memory", memory=fill) == value
    assert state("system.disk", disks={"/": 1.0, "/srv": fill}) == value


@pytest.mark.parametrize(
    ("bytes_per_s", "value"),
    [(0, 0.0), (999, 0.0), (10_000, 0.2), (1_000_000, 0.6), (10**8, 1.0), (10**10, 1)],
)
def test_the_network_is_heard_by_decades_from_a_kilobyte_a_second(bytes_per_s, value):
    sent = AT_REST.network_bytes + 4 * bytes_per_s
    found = state("system.network", seconds=4.0, network_bytes=sent)
    assert found == pytest.approx(value)


def test_an_interface_that_vanished_with_its_counters_is_no_traffic():
    assert state("system.network", network_bytes=0) == 0.0


def test_two_readings_at_the_same_moment_are_no_fault():
    assert state("system.network", seconds=0.0, network_bytes=10**9) == 1.0


def test_a_network_of_a_given_size_is_full_at_that():
    text = "{kind: system, network: {low: 100, high: 10000}}"
    sent = AT_REST.network_bytes + 2 * 1000
    assert state("system.network", text=text, network_bytes=sent) == pytest.approx(0.5)


def test_a_scale_that_learns_knows_the_most_that_was_seen_and_forgets_it_slowly():
    text = "{kind: system, network: {learn: true}}"
    peak = changed(2.0, network_bytes=5_000 + 2 * 10**9)
    day = LEARNT_HALVES_S
    later = changed(2.0 + day, network_bytes=peak.network_bytes + int(5 * 10**8 * day))
    values = [s.value for s in judged(text, peak) if s.name == "system.network"]
    assert values == [1.0], "nothing was ever more"
    source = SystemSource(spec_of(text), ManualClock())
    list(source.judge(AT_REST, peak))
    assert source._peak == 1e9
    list(source.judge(peak, later))
    assert source._peak == pytest.approx(5e8)
    quiet = msgspec.structs.replace(later, at_s=later.at_s + 60 * day)
    list(source.judge(later, quiet))
    assert source._peak == system.LEARNT_LEAST


def test_what_was_not_asked_for_is_not_told():
    assert {s.name for s in judged("{kind: system, measures: [users]}", AT_REST)} == {
        "system.users"
    }
    assert judged("{kind: system, measures: []}", AT_REST) == []


def test_a_measure_with_options_is_asked_for_by_that():
    text = "{kind: system, measures: [], temperature: {low: 30, high: 50, alarm: 80}}"
    assert [s.value for s in judged(text, changed(temperature=40.0))] == [0.5]
    assert events(text, changed(temperature=81.0)) == [("system.temperature-high", "")]
    assert judged(text, changed(temperature=None)) == [], "where no sensor is"


def test_a_full_disk_is_told_of_each_disk_with_its_mount():
    full = changed(2.0, disks={"/": 96.0, "/srv": 20.0})
    fuller = changed(4.0, disks={"/": 94.0, "/srv": 99.0})
    freed = changed(6.0, disks={"/": 92.0, "/srv": 99.0})
    assert events("system", full, fuller, freed) == [
        ("system.disk-full", "/"),
        ("system.disk-full", "/srv"),
        ("system.disk-ok", "/"),
    ]


def test_a_disk_that_is_mounted_again_begins_anew():
    full, gone = changed(2.0, disks={"/usb": 99.0}), changed(4.0, disks={})
    again = changed(6.0, disks={"/usb": 99.0})
    assert events("system", full, gone, again) == [("system.disk-full", "/usb")] * 2


def test_a_mount_may_have_thresholds_of_its_own():
    text = "{kind: system, disk: {mounts: {/srv: {alarm: 50, clear: 40}, /big: {}}}}"
    fills = changed(disks={"/": 60.0, "/srv": 60.0, "/big": 96.0})
    assert events(text, fills) == [
        ("system.disk-full", "/srv"),
        ("system.disk-full", "/big"),
    ]


def test_without_alarms_only_those_that_are_written_remain():
    text = "{kind: system, alarms: no, load: {alarm: 2}, disk: {mounts: {/srv: {}}}}"
    bad = changed(load=8.0, memory=99.0, disks={"/": 99.0, "/srv": 99.0})
    assert events(text, bad) == [("system.load-high", ""), ("system.disk-full", "/srv")]


def test_memory_must_be_full_for_half_a_minute():
    full = [changed(at, memory=97.0) for at in (2.0, 20.0, 33.0)]
    assert events("system", *full[:2]) == []
    assert events("system", *full) == [("system.memory-full", "")]


def test_an_event_says_the_amount_in_its_unit():
    text = "{kind: system, load: {alarm: 2}, network: {alarm: 1000}}"
    said = judged(text, changed(load=10.0, network_bytes=10**6, disks={"/": 99.0}))
    assert [event.text for event in said if isinstance(event, Event)] == [
        "load: 2.5 per core",
        "disk /: 99 %",
        "network: 4.975e+05 bytes/s",
    ]


def test_this_host_gives_values_that_can_be():
    reading = Reader([*DEFAULTS, "swap", "users", "temperature"]).read(12.0)
    assert reading.at_s == 12.0
    assert reading.load >= 0
    assert reading.cores == os.cpu_count()
    assert 0 < reading.idle_s <= reading.cpu_s
    assert 0 < reading.memory <= 100
    assert 0 <= reading.swap <= 100
    assert all(0 <= fill <= 100 for fill in reading.disks.values())
    assert reading.network_bytes >= 0
    assert reading.users >= 0
    assert reading.temperature is None or -50 < reading.temperature < 200


def test_what_is_not_wanted_is_not_read():
    assert Reader([]).read(1.0) == Reading(at_s=1.0, cores=os.cpu_count())


def test_what_moves_slowly_is_asked_for_now_and_then_only():
    reader = Reader(["disk", "cpu"])
    first = reader.read(100.0)
    assert reader.read(100.0 + SLOW_S - 1).disks is first.disks
    assert reader.read(100.0 + SLOW_S).disks is not first.disks


def part(device: str, mount: str, options: str = "rw") -> sdiskpart:
    return sdiskpart(device, mount, "ext4", options)


def test_an_image_that_is_full_by_nature_is_no_full_disk():
    parts = [
        part("/dev/loop1", "/snap/core/1", "ro,nodev,relatime"),
        part("/dev/vda1", "/", "rw,relatime,errors=remount-ro"),
    ]
    assert readings.writable(parts) == parts[1:]


def test_a_disk_that_is_mounted_often_counts_once_unless_it_is_named():
    parts = [part("/dev/vda1", "/"), part("/dev/vda1", "/tmp"), part("/dev/x", "/proc")]
    assert list(readings._fills(parts, ())) == ["/", "/proc"]
    assert list(readings._fills(parts, ["/tmp"])) == ["/", "/tmp", "/proc"]


def test_a_disk_that_was_unmounted_since_is_left_out(monkeypatch):
    gone = part("/dev/gone", "/nonexistent/mount")
    assert readings._fills([gone, part("/dev/vda1", "/")], ()).keys() == {"/"}
    monkeypatch.setattr(readings, "MAX_DISKS", 0)
    assert readings._fills([part("/dev/vda1", "/")], ()) == {}


def test_a_system_without_sensors_has_no_temperature(monkeypatch):
    monkeypatch.delattr("psutil.sensors_temperatures", raising=False)
    assert readings._hottest() is None


def test_the_source_tells_every_state_at_first_and_then_what_moved():
    clock = SystemClock()
    source = SystemSource(SystemSpec(), clock)
    first = [s for s in source.poll(clock.now()) if isinstance(s, State)]
    assert {s.name for s in first} == {f"system.{name}" for name in DEFAULTS}
    told = {s.name: s.value for s in first}
    for s in source.poll(clock.now()):
        assert isinstance(s, Event) or abs(s.value - told[s.name]) >= DEAD_BAND


def test_mounts_that_are_to_be_ignored_are():
    source = SystemSource(
        msgspec.structs.replace(
            spec_of("{kind: system, disk: {alarm: 0, clear: 0}}"), ignore=("/",)
        ),
        ManualClock(),
    )
    told = [s.instance for s in source.poll(0.0) if isinstance(s, Event)]
    assert "/" not in told


@pytest.mark.parametrize(
    ("told", "value", "heard"),
    [
        ({}, 0.0, True),
        ({"x": 0.5}, 0.5, False),
        ({"x": 0.5}, 0.51, False),
        ({"x": 0.5}, 0.49, False),
        ({"x": 0.5}, 0.53, True),
        ({"x": 0.5}, 0.47, True),
        ({"y": 0.5}, 0.5, True),
    ],
)
def test_only_what_moved_by_the_dead_band_is_told(told, value, heard):
    assert system.moved(told, {"x": value}) == ["x"] * heard


def test_the_source_says_how_often_it_looks():
    source = SystemSource(SystemSpec(5.0), ManualClock())
    assert source.interval_s == 5.0
    assert source.describe() == "the system, every 5 s"


def test_without_options_all_is_as_it_always_was():
    assert spec_of("system") == SystemSpec() == spec_of("{kind: system}")
    assert spec_of("system: 5") == SystemSpec(5.0)


def test_options_are_read_in_real_units():
    spec = spec_of(
        "{kind: system, measures: [load], load: {low: 1, high: 4, alarm: 3, for_s: 60},"
        " disk: {ignore: [/mnt], mounts: {/srv: {alarm: 80}}}, processes: [cron]}"
    )
    assert set(spec.measures) == {"load", "disk"}
    assert spec.measures["load"].scale == Scale(1, 4)
    assert spec.measures["load"].alarm == Alarm(3, 2.85, 60)
    assert spec.mounts == {"/srv": Alarm(80, 76)}
    assert spec.ignore == ("/mnt",)
    assert [one.name for one in spec.processes] == ["cron"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{kind: system, measures: [lod]}", "measures: 'lod' is none of load, cpu"),
        ("{kind: system, network: {low: 0}}", "low: must be above 0"),
        ("{kind: system, disk: {learn: yes}}", "unknown key 'learn'"),
        ("{kind: system, disk: {mounts: {/a: {low: 1}}}}", "unknown key 'low'"),
        ("{kind: system, disk: 90}", "disk: expected a mapping"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(text, why):
    with pytest.raises(ConfigError, match=why):
        spec_of(text)


def test_only_so_many_mounts_are_named():
    mounts = ", ".join(f"/{n}: {{}}" for n in range(system.MAX_MOUNTS + 1))
    with pytest.raises(ConfigError, match="more than 256 mounts"):
        spec_of(f"{{kind: system, disk: {{mounts: {{{mounts}}}}}}}")
