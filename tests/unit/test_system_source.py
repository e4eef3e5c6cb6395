"""The system as states: the judgement on plain numbers, the reading on this host."""

import os

import msgspec
import pytest
from psutil._ntuples import sdiskpart

from peep.agent.sources import system
from peep.agent.sources.system import DEAD_BAND, Reading, SystemSource, SystemSpec
from peep.clock import ManualClock, SystemClock
from peep.signals import State, name_problem

AT_REST = Reading(
    load=0.0,
    cores=4,
    cpu_s=1000.0,
    idle_s=900.0,
    memory=0.2,
    disk=0.1,
    network_bytes=5_000,
    at_s=100.0,
)


def judged(name: str, seconds: float = 2.0, **changed: float) -> float:
    """One state, where this has changed since a host at rest."""
    now = {"at_s": AT_REST.at_s + seconds, **changed}
    return system.judge(AT_REST, msgspec.structs.replace(AT_REST, **now))[name]


def test_a_host_at_rest_is_zero_throughout():
    now = msgspec.structs.replace(AT_REST, at_s=102.0, cpu_s=1008.0, idle_s=908.0)
    assert set(system.judge(AT_REST, now).values()) == {0.0}


def test_names_are_names_of_signals():
    for name in system.judge(AT_REST, AT_REST):
        assert name_problem(name) is None


@pytest.mark.parametrize(("load", "value"), [(2, 0.25), (4, 0.5), (8, 1.0), (99, 1.0)])
def test_a_load_of_twice_the_cores_is_full(load, value):
    assert judged("system.load", load=load) == value


@pytest.mark.parametrize(
    ("idle_s", "value"), [(900, 1.0), (902, 0.75), (908, 0.0), (920, 0.0), (890, 1.0)]
)
def test_the_cpu_is_what_was_not_idle_of_the_time_that_passed(idle_s, value):
    assert judged("system.cpu", cpu_s=1008.0, idle_s=idle_s) == value


def test_a_first_reading_says_nothing_of_rates():
    assert system.judge(AT_REST, AT_REST)["system.cpu"] == 0.0
    assert system.judge(AT_REST, AT_REST)["system.network"] == 0.0


@pytest.mark.parametrize("what", ["memory", "disk"])
@pytest.mark.parametrize(
    ("fill", "value"), [(0.0, 0.0), (0.5, 0.0), (0.75, 0.5), (1.0, 1.0)]
)
def test_memory_and_disks_are_heard_from_half_full(what, fill, value):
    assert judged(f"system.{what}", **{what: fill}) == value


@pytest.mark.parametrize(
    ("bytes_per_s", "value"),
    [(0, 0.0), (999, 0.0), (10_000, 0.2), (1_000_000, 0.6), (10**8, 1.0), (10**10, 1)],
)
def test_the_network_is_heard_by_decades_from_a_kilobyte_a_second(bytes_per_s, value):
    sent = AT_REST.network_bytes + 4 * bytes_per_s
    found = judged("system.network", seconds=4.0, network_bytes=sent)
    assert found == pytest.approx(value)


def test_an_interface_that_vanished_with_its_counters_is_no_traffic():
    assert judged("system.network", network_bytes=0) == 0.0


def test_two_readings_at_the_same_moment_are_no_fault():
    value = judged("system.network", seconds=0.0, network_bytes=10**9)
    assert value == 1.0


def test_this_host_gives_values_that_can_be():
    reading = system.read(12.0)
    assert reading.at_s == 12.0
    assert reading.load >= 0
    assert 1 <= reading.cores <= 4096
    assert reading.cores == os.cpu_count()
    assert 0 < reading.idle_s <= reading.cpu_s
    assert 0 < reading.memory <= 1
    assert 0 <= reading.disk <= 1
    assert reading.network_bytes >= 0
    later = system.read(14.0)
    assert later.cpu_s >= reading.cpu_s
    assert all(0 <= v <= 1 for v in system.judge(reading, later).values())


def test_an_image_that_is_full_by_nature_is_no_full_disk():
    parts = [
        sdiskpart("/dev/loop1", "/snap/core/1", "squashfs", "ro,nodev,relatime"),
        sdiskpart("/dev/vda1", "/", "ext4", "rw,relatime,errors=remount-ro"),
    ]
    assert system.writable(parts) == parts[1:]


def test_a_disk_that_was_unmounted_since_counts_as_empty():
    gone = sdiskpart("/dev/gone", "/nonexistent/mount", "ext4", "rw")
    assert system._fill(gone) == 0.0


def test_the_source_tells_every_state_at_first_and_then_what_moved():
    clock = SystemClock()
    source = SystemSource(SystemSpec(), clock)
    first = list(source.poll(clock.now()))
    assert {state.name for state in first} == set(system.judge(AT_REST, AT_REST))
    assert all(isinstance(state, State) for state in first)
    told = {state.name: state.value for state in first}
    for state in source.poll(clock.now()):
        assert abs(state.value - told[state.name]) >= DEAD_BAND


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


def test_small_steps_add_up_since_what_counts_is_what_was_told_last():
    source = SystemSource(SystemSpec(), ManualClock())
    assert len(list(source.poll(0.0))) == 5
    for name in source._told:
        source._told[name] = 2.0
    told = {state.name: state.value for state in source.poll(1.0)}
    assert source._told == told, "all of them are far from that"


def test_the_source_says_how_often_it_looks():
    source = SystemSource(SystemSpec(5.0), ManualClock())
    assert source.interval_s == 5.0
    assert source.describe() == "the system, every 5 s"
