"""Processes that must run and processes that must not: real ones, counted."""

import contextlib
import subprocess
import sys

import pytest
import re2

from peep.agent.sources import processes
from peep.agent.sources.processes import COUNT_S, Census, Expected, check_expected
from peep.clock import ManualClock
from peep.config.document import parse
from peep.errors import ConfigError
from peep.signals import Tier

MARK = "peep-census-{}"


@contextlib.contextmanager
def running(mark: str):
    """A real process with this in its command line, until the block ends."""
    code = "print('here', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        yield process
        process.communicate(b"\n")


class Counting:
    """A census that is always asked when it is due."""

    def __init__(self, *expected: Expected) -> None:
        self.clock = ManualClock(now=100.0)
        self.census = Census(expected, self.clock)

    def told(self, after_s: float = COUNT_S) -> list[tuple[str, str]]:
        self.clock.advance(after_s)
        events = self.census.step(budget_s=1.0)
        return [(event.name, event.instance) for event in events]


def wanted(mark: str, **limits: int) -> Expected:
    return Expected(label=mark, command=re2.escape(mark), **limits)


def test_what_is_missing_is_told_once_when_a_second_count_misses_it_too():
    counting = Counting(wanted(MARK.format("none")))
    assert counting.told() == []
    assert counting.told(0.0) == [("system.process-missing", MARK.format("none"))]
    assert counting.told() == []


def test_what_comes_back_is_told_at_once():
    mark = MARK.format("back")
    counting = Counting(wanted(mark))
    counting.told()
    counting.told()
    with running(mark):
        assert counting.told() == [("system.process-back", mark)]
        assert counting.told() == []


def test_what_is_restarted_between_two_counts_was_never_missed():
    mark = MARK.format("restarted")
    counting = Counting(wanted(mark))
    with running(mark):
        assert counting.told() == []
    assert counting.told() == []
    with running(mark):
        assert counting.told(0.0) == []
    assert counting.told() == []


def test_what_must_not_run_is_told_when_it_does():
    mark = MARK.format("forbidden")
    counting = Counting(wanted(mark, least=0, most=0))
    with running(mark):
        assert counting.told() == []
        assert counting.told() == [("system.process-too-many", mark)]
    assert counting.told() == [("system.process-back", mark)]


def test_too_many_after_too_few_is_told_as_well():
    mark = MARK.format("both")
    counting = Counting(wanted(mark, least=1, most=1))
    assert counting.told() + counting.told() == [("system.process-missing", mark)]
    with running(mark), running(mark):
        assert counting.told() + counting.told() == [("system.process-too-many", mark)]


def test_a_name_is_the_whole_name():
    with running("x") as process:
        name = processes.psutil.Process(process.pid).name()
        counting = Counting(
            Expected(label="it", name=name), Expected(label="part", name=name[1:])
        )
        assert counting.told() + counting.told() == [("system.process-missing", "part")]


def test_name_and_command_must_both_be_right():
    mark = MARK.format("named")
    counting = Counting(Expected(label="both", name="nginx", command=mark))
    with running(mark):
        assert counting.told() + counting.told() == [("system.process-missing", "both")]


def test_a_count_goes_on_where_its_time_ran_out():
    class Hasty(ManualClock):
        def now(self) -> float:
            self.advance(1.0)
            return super().now()

    census = Census([wanted(MARK.format("slices"))], Hasty())
    pids = len(processes.psutil.pids())
    steps, told = 0, []
    while not told:
        told = list(census.step(budget_s=0.5))
        steps += 1
        assert steps < 5 * pids + 100
    assert steps > pids / 2, "one process a step"
    assert told[0].name == "system.process-missing"


def test_between_counts_nothing_is_looked_at():
    clock = ManualClock()
    census = Census([Expected(label="self", name="", command=".")], clock)
    assert census.step(1.0) == []
    assert census.step(1.0) == ()
    clock.advance(COUNT_S)
    assert census.step(1.0) == []


def test_nothing_is_counted_where_nothing_is_expected():
    assert Census([], ManualClock()).step(1.0) == ()


def test_a_command_that_is_no_text_is_no_trouble():
    counting = Counting(wanted("\ufffd", least=0))
    counting.census._counts = [0]
    counting.census._add("odd", "\udcff")
    assert counting.census._counts == [0]
    counting.census._add("odd", "\ufffd")
    assert counting.census._counts == [1]


def test_an_event_says_how_many_there_are_and_ought_to_be():
    one = Expected(label="web", name="nginx", least=1, most=8)
    event = processes._event(one, 0, "missing")
    assert event.text == "web: 0 running, at least 1 and at most 8 wanted"
    assert (event.tier, event.family) == (Tier.ALERT, "system")
    free = Expected(label="web", name="nginx")
    assert processes._event(free, 3, "").text == "web: 3 running, at least 1 wanted"


def read(text: str) -> tuple[Expected, ...]:
    node = parse(text, "peep.yaml")
    found = check_expected(node)
    node.problems.raise_if_any()
    return found


def test_names_alone_must_run():
    assert read("[cron, sshd]") == (
        Expected(label="cron", name="cron"),
        Expected(label="sshd", name="sshd"),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{name: telnetd, max: 0}",
            Expected(label="telnetd", name="telnetd", least=0, most=0),
        ),
        ("{command: 'a b', label: it}", Expected(label="it", command="a b")),
        ("{name: n, min: 2, max: 9}", Expected(label="n", name="n", least=2, most=9)),
    ],
)
def test_limits_may_be_given(text, expected):
    assert read(f"[{text}]") == (expected,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{label: x}", "which process"),
        ("{command: '(?=x)'}", "is no pattern"),
        ("{name: x, min: 3, max: 2}", "must not be above `max`, which is 2"),
        ("{nmae: x}", "unknown key 'nmae'"),
    ],
)
def test_what_cannot_be_counted_is_refused(text, why):
    with pytest.raises(ConfigError, match=why.replace("?", ".")):
        read(f"[{text}]")


def test_only_so_many_are_expected():
    with pytest.raises(ConfigError, match="more than 256 processes"):
        read(str(["p"] * 257))
