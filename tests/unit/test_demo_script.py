"""The demo's course: what is written when, and what the shipped rules make of it."""

import datetime as dt
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.agent.sources import CHECKS, KINDS, open_source, plugins
from peep.clock import ManualClock
from peep.config.rulepacks import load_rules
from peep.config.settings import load_settings
from peep.config.themes import load_theme
from peep.errors import SourceError
from peep.lab import demo_levels, demo_lines
from peep.lab.demo_agents import Home
from peep.lab.demo_script import (
    LEASE_S,
    MAX_AGENTS,
    MINUTES,
    Back,
    Kill,
    Line,
    Plan,
    Say,
    course,
    opening,
    scenes,
)
from peep.loglines import LogLine
from peep.protocol.keys import SECRET_BYTES, ClassKey
from peep.protocol.lease import LOST_AT
from peep.rules import RuleSet
from peep.signals import State, Tier
from peep.theme import Theme

START = dt.datetime(2024, 3, 3, 8, 14, 7, tzinfo=dt.UTC)
RULES = RuleSet(load_rules(demo_lines.PACKS))
WETLAND, _ = load_theme("wetland")
KEY = ClassKey("demo-test", bytes(range(SECRET_BYTES)))
PLANS = st.builds(
    Plan,
    agents=st.integers(1, MAX_AGENTS),
    minutes=st.floats(MINUTES[0], 2.5),
    seed=st.integers(),
)
some = settings(max_examples=25, deadline=None)  # a course is thousands of lines


def written(plan, start=START):
    steps = course(plan, start, WETLAND)
    return [s for s in steps if isinstance(s, Line) and s.file != demo_lines.LEVELS]


def only(plan, kind):
    return [s for s in course(plan, START, WETLAND) if isinstance(s, kind)]


def judged(line, file, host="web1"):
    return RULES.event(LogLine(f"/tmp/demo/{host}/log/{file}", 0, line.encode()))


@some
@given(PLANS)
def test_every_line_is_taken_by_the_shipped_rules_as_it_is_meant(plan):
    for step in written(plan):
        event = judged(step.line, step.file, step.host)
        assert event is not None, step
        assert (event.name, event.tier) == (step.event, step.tier), step


@pytest.mark.parametrize("name", demo_lines.KINDS)
@pytest.mark.parametrize("hours", [None, 0, 1, -3.5])
def test_a_kind_means_the_same_whatever_it_is_filled_with_and_in_every_zone(
    name, hours
):
    kind = demo_lines.KINDS[name]
    zone = dt.timezone(dt.timedelta(hours=hours or 0), *(["CET"] * (hours is None)))
    for seed in range(20):
        when = START.astimezone(zone) + dt.timedelta(days=17 * seed)
        line = demo_lines.written(kind, "mail1", when, random.Random(seed))
        event = judged(line, kind.file, "mail1")
        assert event is not None, line
        assert (event.name, event.tier, event.family) == (
            kind.event,
            kind.tier,
            kind.family,
        ), line


@some
@given(PLANS)
def test_the_same_seed_is_the_same_course_and_another_seed_another(plan):
    again = Plan(agents=plan.agents, minutes=plan.minutes, seed=plan.seed + 1)
    once = course(plan, START, WETLAND)
    assert once == course(plan, START, WETLAND)
    assert once != course(again, START, WETLAND)


@some
@given(PLANS)
def test_steps_come_in_their_order_and_scenes_one_after_the_other(plan):
    steps = course(plan, START, WETLAND)
    assert all(a.at_s <= b.at_s for a, b in pairwise(steps))
    assert steps[0].at_s == 0.0
    parts = scenes(plan)
    assert [part.name for part in parts] == ["calm", "fault", "storm", "relief"]
    assert (parts[0].from_s, parts[-1].to_s) == (0.0, plan.seconds)
    assert all(a.to_s == b.from_s and a.from_s < a.to_s for a, b in pairwise(parts))


@some
@given(PLANS)
def test_lines_bear_the_time_at_which_they_are_written(plan):
    mails = [s for s in written(plan) if s.file == "mail.log"]
    for step in mails:
        when = START + dt.timedelta(seconds=step.at_s)
        assert step.line.startswith(f"{when:%b}  {when.day} {when:%H:%M:%S} mail")


@some
@given(PLANS)
def test_an_agent_is_killed_in_the_fault_and_stays_away_until_it_is_lost(plan):
    (kill,), (back,) = only(plan, Kill), only(plan, Back)
    fault = scenes(plan)[1]
    assert kill.host == back.host == plan.killed
    assert fault.from_s < kill.at_s < fault.to_s
    assert back.at_s - kill.at_s > LOST_AT * LEASE_S
    assert back.at_s < plan.seconds


@pytest.mark.parametrize("minutes", [2.0, 5.0, MINUTES[1]])
def test_with_two_minutes_and_more_it_is_back_before_the_storm(minutes):
    plan = Plan(minutes=minutes)
    (back,) = only(plan, Back)
    assert back.at_s < scenes(plan)[2].from_s


@some
@given(PLANS)
def test_who_is_away_writes_nothing(plan):
    (kill,), (back,) = only(plan, Kill), only(plan, Back)
    away = [
        step
        for step in written(plan)
        if step.host == plan.killed and kill.at_s <= step.at_s < back.at_s
    ]
    assert away == []


@some
@given(PLANS)
def test_a_course_has_three_alerts_from_logs_and_nothing_alarming_in_the_calm(plan):
    alerts = [step for step in written(plan) if step.tier is Tier.ALERT]
    assert sorted(step.event for step in alerts) == [
        "kernel.io-error",
        "kernel.oom",
        "kernel.raid-failing",
    ]
    calm = scenes(plan)[0]
    tiers = {step.tier for step in written(plan) if step.at_s < calm.to_s}
    assert tiers <= {Tier.ROUTINE}


@some
@given(st.integers(3, MAX_AGENTS), st.integers())
def test_the_storm_is_ten_times_the_calm_and_swells(agents, seed):
    plan = Plan(agents=agents, minutes=4.0, seed=seed)
    calm, _, storm, _ = scenes(plan)
    times = [step.at_s for step in written(plan)]

    def rate(from_s, to_s):
        inside = sum(from_s <= at_s < to_s for at_s in times)
        return inside / (to_s - from_s)

    fifth = (storm.to_s - storm.from_s) / 5
    crest = rate(storm.from_s + 2 * fifth, storm.to_s - 2 * fifth)
    assert 0.1 < rate(calm.from_s, calm.to_s) < 0.8
    assert crest > 10 * rate(calm.from_s, calm.to_s)
    assert crest > 2 * rate(storm.from_s, storm.from_s + fifth)
    assert crest < 15.0


def test_hosts_have_their_parts_and_one_alone_plays_them_all():
    plan = Plan(agents=MAX_AGENTS)
    assert plan.hosts[:4] == ("web1", "db1", "mail1", "web2")
    assert len(set(plan.hosts)) == MAX_AGENTS
    assert (plan.broken, plan.killed) == ("db1", "mail1")
    assert (Plan(agents=2).broken, Plan(agents=2).killed) == ("db1", "db1")
    assert (Plan(agents=1).broken, Plan(agents=1).killed) == ("web1", "web1")


@some
@given(PLANS)
def test_levels_are_states_between_nothing_and_all(plan):
    lines = [s for s in only(plan, Line) if s.file == demo_lines.LEVELS]
    assert {step.host for step in lines} == set(plan.hosts)
    for step in lines:
        name, _, value = step.line.partition(" ")
        assert demo_levels.level(step.line.encode()) == State(
            name=name, value=float(value)
        )
        assert 0.0 <= float(value) <= 1.0


@some
@given(PLANS)
def test_before_the_first_step_all_states_are_as_in_a_calm(plan):
    lines = opening(plan)
    assert {line.host for line in lines} == set(plan.hosts)
    assert {line.file for line in lines} == {demo_lines.LEVELS}
    for line in lines:
        assert 0.0 < demo_levels.level(line.line.encode()).value <= 0.25


def test_what_is_announced_is_named_as_the_theme_has_it():
    said = " ".join(step.line for step in only(Plan(), Say))
    for sound in (
        "wind",
        "stream",
        "drop",
        "songbird",
        "bell",
        "marimba",
        "woodpecker",
    ):
        assert sound in said
    bare = course(Plan(), START, Theme(name="bare"))
    assert any("the silence" in step.line for step in bare if isinstance(step, Say))


# ---- states from a file ---------------------------------------------------------


@pytest.fixture
def levels(tmp_path):
    path = tmp_path / "levels"
    path.touch()

    def write(data):
        with path.open("ab") as file:
            file.write(data)

    spec = demo_levels.LevelsSpec(str(path))
    return write, demo_levels.open_source(spec, ManualClock(), ())


def test_what_was_written_last_holds(levels):
    write, source = levels
    write(b"system.load 0.1\nsystem.network 0.5\nsystem.load 0.9\n")
    assert source.poll(0.0) == [
        State(name="system.load", value=0.9),
        State(name="system.network", value=0.5),
    ]
    assert source.poll(1.0) == []
    assert "levels written to" in source.describe()


def test_half_a_line_waits_for_its_end_and_one_without_an_end_is_bounded(levels):
    write, source = levels
    write(b"system.load 0.")
    assert source.poll(0.0) == []
    write(b"25\n")
    assert source.poll(1.0) == [State(name="system.load", value=0.25)]
    for _ in range(3):
        write(bytes(demo_levels.MAX_READ_BYTES))
        assert source.poll(2.0) == []
    assert len(source._rest) <= demo_levels.MAX_READ_BYTES + demo_levels.MAX_LINE_BYTES


@given(st.binary())
def test_no_bytes_make_it_fail(data):
    found = demo_levels.level(data)
    assert found is None or 0.0 <= found.value <= 1.0


@pytest.mark.parametrize(
    "line", [b"", b"system.load", b"system.load x", b"System 1", b"0.5"]
)
def test_a_line_that_tells_no_state_is_passed_over(line):
    assert demo_levels.level(line) is None


def test_a_file_that_is_not_there_is_said(tmp_path):
    spec = demo_levels.LevelsSpec(str(tmp_path / "none"))
    source = demo_levels.open_source(spec, ManualClock(), ())
    with pytest.raises(SourceError, match="none: No such file"):
        source.poll(0.0)


# ---- a place of its own ---------------------------------------------------------


def test_a_hosts_configuration_is_one_that_an_agent_takes(tmp_path, monkeypatch):
    home = Home(tmp_path, KEY)
    for known in (plugins._found, plugins._loaded):
        known.cache_clear()
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    try:
        assert demo_levels.KIND in KINDS
        home.furnish("web1")
        agent = load_settings(home.configuration("web1"), CHECKS).agent
        assert agent.rules == demo_lines.PACKS
        opened = [open_source(spec, ManualClock()) for spec in agent.sources]
        said = " ".join(source.describe() for source in opened)
    finally:
        for known in (plugins._found, plugins._loaded):
            known.cache_clear()
    for kind in demo_lines.KINDS.values():
        assert f"web1/log/{kind.file}" in said
    assert "web1/log/levels" in said


def test_an_agents_directories_are_the_demos_own(tmp_path):
    home = Home(tmp_path, KEY)
    base = {"PATH": "/bin", "PYTHONPATH": "/mine", "NOTIFY_SOCKET": "/run/x"}
    environment = home.environment("db1", base)
    assert environment["PYTHONPATH"] == f"{tmp_path}/plugins:/mine"
    assert environment["STATE_DIRECTORY"] == f"{tmp_path}/db1"
    assert environment["CONFIGURATION_DIRECTORY"] == f"{tmp_path}/config"
    assert environment["RUNTIME_DIRECTORY"].startswith(str(tmp_path))
    assert "NOTIFY_SOCKET" not in environment
    assert home.environment("db1", {})["PYTHONPATH"] == f"{tmp_path}/plugins"


def test_lines_are_appended_to_the_hosts_log(tmp_path):
    home = Home(tmp_path, KEY)
    home.furnish("web1")
    home.write("web1", "auth.log", "one")
    home.write("web1", "auth.log", "two")
    assert (tmp_path / "web1" / "log" / "auth.log").read_text() == "one\ntwo\n"
