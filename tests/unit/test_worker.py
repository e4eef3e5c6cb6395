"""One source at work: it is opened when it can be, and tried again."""

import asyncio

import pytest

from peep.agent import worker
from peep.agent.worker import Worker
from peep.clock import ManualClock
from peep.errors import SourceError
from peep.loglines import Batch, LogLine
from peep.signals import State


class Stage:
    """A worker, and what it does."""

    def __init__(self, opened, name="tail"):
        self.said, self.lines, self.signals = [], [], []
        self.worker = Worker(
            name,
            opened,
            clock=ManualClock(),
            say=self.said.append,
            take=self._take,
            send=self.signals.append,
        )

    async def _take(self, batch):
        self.lines += [line.text for line in batch.lines]

    def run(self):
        asyncio.run(self.worker.run())

    def run_once(self):
        return asyncio.run(self.worker.run_once())


class Lines:
    """A stream that ends."""

    def describe(self):
        return "some lines"

    async def batches(self):
        yield Batch("x", (LogLine("x", 0, b"one"),))


class SoFar(Lines):
    """One that never ends, but can be read as far as it goes."""

    async def batches(self):
        raise AssertionError("it would wait for ever")
        yield

    async def so_far(self):
        yield Batch("x", (LogLine("x", 0, b"there"),))


class Samples:
    """A poller."""

    interval_s = 0.0
    has_rates = False

    def describe(self):
        return "samples"

    def poll(self, now):
        yield State(name="x", value=0.5)


class Probes:
    """A prober that finds nothing it can look at."""

    interval_s = 0.0

    def describe(self):
        return "probes"

    async def probe(self, now):
        raise SourceError("probes: nobody is there")


def failing(*failures, then):
    """What opens a source after some failures."""
    left = list(failures)

    def opened():
        if left:
            raise left.pop(0)
        return then

    return opened


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(worker, "RETRY_S", (0.0,))
    monkeypatch.setattr(worker, "RATES_S", 0.0)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (SourceError("x: no directory"), "x: no directory"),
        (OSError(13, "Permission denied"), "tail: Permission denied"),
        (ValueError("odd"), "tail: ValueError: odd"),
    ],
)
def test_a_source_that_cannot_be_opened_is_said_once_and_tried_again(failure, said):
    stage = Stage(failing(*[failure] * 4, then=Lines()))
    assert stage.worker.describe() == ""
    stage.run()
    assert stage.said == [f"cannot follow {said}; trying again"]
    assert stage.lines == [b"one"]
    assert stage.worker.describe() == "some lines"


def test_a_source_that_fails_only_before_the_start_is_not_spoken_of():
    stage = Stage(failing(ValueError("not yet"), then=Lines()))
    stage.run()
    assert (stage.said, stage.lines) == ([], [b"one"])


def test_once_reads_what_is_there_and_ends():
    stage = Stage(SoFar)
    assert stage.run_once()
    assert (stage.said, stage.lines) == ([], [b"there"])


def test_once_takes_one_sample_and_two_where_there_are_rates():
    one, two = Samples(), Samples()
    two.has_rates = True
    for source, count in ((one, 1), (two, 2)):
        stage = Stage(lambda source=source: source)
        assert stage.run_once()
        assert len(stage.signals) == count


def test_once_passes_over_what_only_waits():
    stage = Stage(Lines)
    assert stage.run_once()
    assert stage.lines == []
    assert stage.said == ["some lines: passed over, nothing is there to be read"]


@pytest.mark.parametrize(
    ("opened", "said"),
    [
        (Probes, "probes: nobody is there"),
        (failing(*[OSError(2, "No such file")] * 2, then=None), "tail: No such file"),
    ],
)
def test_once_says_what_cannot_be_read(opened, said):
    stage = Stage(opened)
    assert not stage.run_once()
    assert stage.said == [f"cannot read {said}"]
