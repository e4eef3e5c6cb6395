"""A sound process that dies, hangs or cannot start is replaced, and it is told."""

import itertools
import os
import signal
import threading

import psutil
import pytest

from peep.clock import ManualClock, SystemClock
from peep.errors import EngineError
from peep.mixer.commands import Level, Play
from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.live import LiveEngine
from peep.sound.outputs import next_output
from peep.sound.supervised import PAUSES_S, Supervised
from peep.theme import LayerSpec, SoundSpec, Theme

pytestmark = pytest.mark.audio

CLOCK = SystemClock()
THEME = Theme(
    name="test",
    sounds={"frog": SoundSpec(name="frog", recipe="frog", variants=2)},
    layers={"wind": LayerSpec(name="wind", recipe="wind")},
)
WAKE = threading.Event()  # nobody sets it: a pause that is no sleep


@pytest.fixture
def supervised(tmp_path):
    made = []

    def make(clock=CLOCK, directory=tmp_path):
        def engine(lasting, restarts):
            output = next_output("null", restarts)
            return LiveEngine(THEME, directory, output, 1, lasting=lasting)

        made.append(Supervised(engine, clock))
        return made[-1]

    yield make
    for engine in made:
        engine.stop()


def until(condition, what, patience_s=10.0):
    deadline = CLOCK.now() + patience_s
    while not (found := condition()):
        assert CLOCK.now() < deadline, f"never: {what}"
        WAKE.wait(0.01)
    return found


def sounds_on(engine, frames):
    until(lambda: engine.ring.frames > frames + SAMPLE_RATE_HZ // 4, "sound again")


def pid_of(engine):
    return engine._engine._process.pid


def test_an_engine_that_is_killed_is_replaced_and_sounds_on(supervised):
    engine = supervised()
    bank = engine.start()
    assert set(bank.variants) == {"frog"}
    before = until(lambda: engine.ring.frames > SAMPLE_RATE_HZ // 4, "sound")
    for times in range(1, 4):
        old = pid_of(engine)
        before = engine.ring.frames
        os.kill(old, signal.SIGKILL)
        gap = until(engine.look, "another engine")
        assert gap.why == "the sound process died (signal 9)"
        assert gap.began < gap.ended
        assert engine.restarts == times
        assert pid_of(engine) != old
        assert engine.failure() is None
        sounds_on(engine, before)
        assert engine.look() is None


def test_an_engine_that_hangs_is_killed_and_replaced(supervised):
    engine = supervised()
    engine.start()
    until(lambda: engine.look() is None and engine.ring.frames, "sound")
    old = psutil.Process(pid_of(engine))
    old.suspend()
    gap = until(engine.look, "another engine")
    assert gap.why == "the sound process has stopped making sound"
    assert not old.is_running()


def test_audio_time_goes_on_where_it_stopped(supervised):
    engine = supervised()
    engine.start()
    until(lambda: engine.meters().frames > SAMPLE_RATE_HZ // 2, "half a second")
    frames = engine.meters().frames
    os.kill(pid_of(engine), signal.SIGKILL)
    until(engine.look, "another engine")
    until(lambda: engine.meters().frames > frames, "more than that")


def test_in_a_gap_it_says_so_takes_no_commands_and_keeps_its_last_reading(supervised):
    engine = supervised()
    engine.start()
    until(lambda: engine.meters().frames, "sound")
    os.kill(pid_of(engine), signal.SIGKILL)
    until(lambda: engine.look() is not None or engine.failure(), "a failure")
    until(lambda: engine.look() or engine._gap_began is not None, "a gap")
    if engine._gap_began is not None:
        assert engine.failure() == (
            "the sound process died (signal 9): starting another"
        )
        engine.send([Play(0, "frog", 0, 0.0, 0.0)])
        assert engine.meters().frames
        until(engine.look, "another engine")
    engine.send([Level("wind", 0.5, 0.0, 0.0, 0.1)])


def test_a_clock_that_leaps_over_a_suspend_is_no_reason_to_restart(supervised):
    clock = ManualClock(1000.0)
    engine = supervised(clock)
    engine.start()
    os.kill(pid_of(engine), signal.SIGSTOP)
    until(lambda: psutil.Process(pid_of(engine)).status() == "stopped", "a stop")
    engine.look()
    clock.advance(7 * 3600.0)
    assert engine.look() is None
    assert engine.failure() is None or "answered" in engine.failure()
    assert engine._gap_began is None
    os.kill(pid_of(engine), signal.SIGCONT)


def test_an_engine_that_cannot_start_again_is_tried_with_growing_pauses(
    supervised, tmp_path
):
    clock = ManualClock(1000.0)
    tries = []

    class Never:
        def start(self):
            raise EngineError("no sound today")

        def stop(self):
            pass

    def engine(lasting, restarts):
        if restarts:
            tries.append(clock.now())
            return Never()
        return LiveEngine(THEME, tmp_path, "null", 1, lasting=lasting)

    one = Supervised(engine, clock)
    one.start()
    os.kill(pid_of(one), signal.SIGKILL)
    until(lambda: one.look() or one._gap_began is not None, "a gap")
    for _ in range(400):
        one.look()
        if one._successor is not None:
            one._successor.thread.join()
        clock.advance(0.05)
    assert one.failure() == "no sound today"
    pauses = [round(b - a, 1) for a, b in itertools.pairwise(tries)]
    assert pauses[:4] == pytest.approx([0.1, 0.6, 1.1, 2.1], abs=0.11)
    assert max(pauses) <= PAUSES_S[-1] + 0.2
    one.stop()


def test_a_recording_is_never_written_over():
    assert next_output("file:/a/night.flac", 0) == "file:/a/night.flac"
    assert next_output("file:/a/night.flac", 1) == "file:/a/night-2.flac"
    assert next_output("device:USB", 3) == "device:USB"
