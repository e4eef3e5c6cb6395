"""The live engine: a process of its own, and what becomes of it when things break."""

import math
import os
import select
import shutil
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
import soundfile

from peep.clock import SystemClock
from peep.errors import EngineError
from peep.mixer.commands import Level, Play
from peep.sound import link
from peep.sound import live as live_module
from peep.sound.child import serve
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ, Engine, Meters
from peep.sound.live import MAX_OUTBOX, Lasting, LiveEngine
from peep.sound.outputs import NO_CARD
from peep.theme import LayerSpec, SoundSpec, Theme

pytestmark = pytest.mark.audio

PATIENCE_S = 10.0  # for what normally takes some milliseconds
CLOCK = SystemClock()
THEME = Theme(
    name="test",
    sounds={"frog": SoundSpec(name="frog", recipe="frog", variants=2)},
    layers={"wind": LayerSpec(name="wind", recipe="wind")},
)


@pytest.fixture
def live(tmp_path):
    """Make engines that are stopped whatever happens."""
    made = []

    def make(output="null", theme=THEME):
        made.append(LiveEngine(theme, tmp_path, output, 1))
        return made[-1]

    yield make
    for engine in made:
        engine.stop()


@pytest.fixture
def lasting():
    made = Lasting()
    yield made
    made.close()


@pytest.fixture
def no_sound_server(monkeypatch, tmp_path):
    """Leave no sound server to be found; what ALSA has is hidden as well."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    monkeypatch.setenv("ALSA_CONFIG_PATH", "/dev/null")


def until(engine, condition):
    """Wait, woken by the engine's own reports, until something holds."""
    deadline = CLOCK.now() + PATIENCE_S
    while not condition():
        left_s = deadline - CLOCK.now()
        assert left_s > 0, "it never happened"
        select.select([engine.fileno()], [], [], min(left_s, 0.2))


def process_of(engine):
    return psutil.Process(engine._process.pid)


def test_it_is_an_engine_that_makes_sound_of_commands(live):
    engine: Engine = live()
    bank = engine.start()
    assert len(bank.variants["frog"]) == 2
    assert engine.note is None
    assert engine.meters().momentary_lufs == -math.inf
    engine.send([Level("wind", 0.5, 0.0, 0.0, 0.1)])
    until(engine, lambda: engine.meters().momentary_lufs > -50)
    assert engine.failure() is None
    reading = engine.stop()
    assert reading.frames > 0.4 * SAMPLE_RATE_HZ
    assert reading.underruns == 0
    assert engine.stop() == reading


def test_its_frames_are_the_audio_time(live):
    engine = live()
    engine.start()
    until(engine, lambda: engine.frames > 0.3 * SAMPLE_RATE_HZ)
    assert engine.stop().frames % BLOCK_FRAMES == 0


def test_commands_that_name_nothing_known_are_counted(live):
    engine = live()
    engine.start()
    engine.send([Play(0, "unknown", 0, 0.0, 0.0)] * 3)
    until(engine, lambda: engine.meters() and engine.ignored == 3)
    assert engine.dropped == 0


def test_a_burst_of_commands_is_sent_in_parts_and_none_is_lost(live):
    engine = live()
    engine.start()
    for _ in range(100):
        engine.send([Play(0, "unknown", 0, 0.0, 0.0)] * 9)
    until(engine, lambda: engine.meters() and engine.ignored == 900)
    assert engine.dropped == 0


def test_a_file_is_closed_properly_and_holds_what_sounded(live, tmp_path):
    engine = live(f"file:{tmp_path / 'a.flac'}")
    engine.start()
    engine.send([Play(0, "frog", 0, 0.0, 0.0)])
    until(engine, lambda: engine.meters().momentary_lufs > -60)
    frames = engine.stop().frames
    sound, _ = soundfile.read(tmp_path / "a.flac")
    assert len(sound) == frames
    assert np.abs(sound).max() > 0.05
    assert np.abs(sound[-1]).max() < 1e-3  # it faded out


def test_a_full_disk_is_told_and_the_sound_goes_on(live, tmp_path):
    path = tmp_path / "full.flac"
    path.symlink_to("/dev/full")
    engine = live(f"file:{path}")
    engine.start()
    engine.send([Level("wind", 1.0, 0.0, 0.0, 0.1)])
    until(engine, lambda: engine.failure() is not None)
    line = f"{path} is incomplete and of no use: No space left on device"
    assert engine.failure() == line
    frames = engine.frames
    until(engine, lambda: engine.frames > frames)
    engine.stop()


def test_a_process_that_is_killed_is_reported_in_one_line(live):
    engine = live()
    engine.start()
    process_of(engine).kill()
    until(engine, lambda: engine.failure() is not None)
    assert engine.failure() == "the sound process died (signal 9)"
    engine.send([Play(0, "frog", 0, 0.0, 0.0)])
    engine.stop()
    assert engine.failure() == "the sound process died (signal 9)"


def test_a_process_that_hangs_is_noticed_never_waited_for_and_killed(live):
    engine = live()
    engine.start()
    process = process_of(engine)
    process.suspend()
    sent = 0
    while not engine.dropped:  # the kernel keeps some, the engine MAX_OUTBOX
        engine.send([Play(0, "frog", 0, 0.0, 0.0)] * 100)
        sent += 100
    engine.send([Play(0, "frog", 0, 0.0, 0.0)] * 100)
    assert engine.dropped > 100
    assert sent > MAX_OUTBOX
    until(engine, lambda: engine.failure() is not None)
    assert "has not answered for" in engine.failure()
    engine.stop()
    assert not process.is_running()
    assert "had to be killed" in engine.failure()


def test_it_ends_when_its_parent_is_killed_and_leaves_nothing_behind(tmp_path):
    script = (
        "import sys, pathlib, msgspec\n"
        "from peep.sound.live import LiveEngine\n"
        "from peep.theme import Theme\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "engine = LiveEngine(Theme(name='t'), here, 'null', 1)\n"
        "engine.start()\n"
        "print(engine._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    psutil.wait_procs([child], timeout=PATIENCE_S)
    assert not child.is_running()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_leaves_the_ending_to_its_parent(live, number):
    engine = live()
    engine.start()
    process_of(engine).send_signal(number)
    frames = engine.frames
    until(engine, lambda: engine.frames > frames + SAMPLE_RATE_HZ // 5)
    assert engine.failure() is None


def test_it_says_what_it_is_not_given(live, no_sound_server, tmp_path):
    with pytest.raises(EngineError, match="unknown output 'x'"):
        live("x")
    with pytest.raises(EngineError, match="no sound card"):
        live("device").start()
    with pytest.raises(EngineError, match="no sound card is called 'Nope'"):
        live("device:Nope").start()
    with pytest.raises(EngineError, match="must end in one of"):
        live(f"file:{tmp_path}/a.mp3").start()
    theme = Theme(name="t", sounds={"x": SoundSpec(name="x", recipe="nothing")})
    with pytest.raises(EngineError, match="sound x: "):
        live(theme=theme).start()


def test_without_a_sound_card_it_plays_to_nobody_and_says_so(live, no_sound_server):
    engine = live("auto")
    engine.start()
    assert engine.note == NO_CARD
    until(engine, lambda: engine.frames > 0)


def test_it_must_be_started_once_before_it_is_used(live):
    engine = live()
    with pytest.raises(EngineError, match="not running"):
        engine.send([])
    assert engine.failure() is None
    engine.start()
    with pytest.raises(EngineError, match="twice"):
        engine.start()
    engine.stop()
    with pytest.raises(EngineError, match="twice"):
        engine.start()
    assert live().stop() == Meters()


def test_without_its_packages_it_says_what_to_install(live, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyo", None)
    with pytest.raises(EngineError, match=r"needs pyo: pip install 'peep-auralizer\[s"):
        live().start()


def test_a_process_that_cannot_be_started_or_dies_at_once_is_an_error(
    live, monkeypatch
):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(EngineError, match="cannot be started: No such file"):
        live().start()
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(EngineError, match="died as it started"):
        live().start()


def test_a_process_that_never_gets_ready_is_not_waited_for_for_ever(
    live, monkeypatch, tmp_path
):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(live_module, "START_TIMEOUT_S", 0.2)
    with pytest.raises(EngineError, match=r"not ready within 0\.2 s"):
        live().start()


@pytest.mark.parametrize(
    ("code", "words"), [(-11, " (signal 11)"), (1, " (exit 1)"), (None, "")]
)
def test_how_a_process_died_is_told_as_far_as_it_is_known(code, words):
    assert live_module._how(code) == words


def test_a_sound_process_without_a_parent_ends_at_once(lasting):
    here, there = link.pair()
    here.close()
    with there:
        serve(there, lasting.ring, lasting.keeper)


def test_a_sound_process_answers_what_it_cannot_do(lasting):
    here, there = link.pair()
    setup = link.Setup(
        theme=Theme(name="t"), directory="/", output="file:/none/a.wav", seed=1
    )
    with here, there:
        link.send_long(here, setup)
        serve(there, lasting.ring, lasting.keeper)
        assert link.receive_answer(here) == link.Refused(
            "cannot write /none/a.wav: No such file or directory"
        )
        link.send_long(here, setup)
        here.close()
        serve(there, lasting.ring, lasting.keeper)  # and nobody hears it


def test_an_engine_that_is_stopped_as_it_starts_takes_no_answer_for_a_status(live):
    engine = live()
    engine.start()
    until(engine, lambda: engine.frames > 0)
    before = engine.meters()
    engine._hear(b"\x00" + b"part of a long answer")
    assert engine.meters().frames >= before.frames
    assert engine.failure() is None


def test_what_lasts_is_let_go_of_once():
    one = Lasting()
    one.close()
    other = os.open(os.devnull, os.O_RDONLY)  # gets the number that is free now
    one.close()
    os.close(other)


def test_a_message_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(link, "_MAX_PARTS", 3)
    here, there = link.pair()
    with here, there:
        for _ in range(4):
            here.send(b"\x01more")
        with pytest.raises(EOFError):
            link.receive_setup(there)


def test_an_end_that_was_reset_reads_as_ended():
    here, there = link.pair()
    with here:
        here.send(b"unread")
        there.close()
        assert link.poll(here) == b""


def test_a_theme_larger_than_a_packet_arrives_whole():
    here, there = link.pair()
    sounds = {
        f"sound-{k}": SoundSpec(name=f"sound-{k}", recipe="frog") for k in range(900)
    }
    setup = link.Setup(
        theme=Theme(name="large", sounds=sounds), directory="/", output="null", seed=1
    )
    with here, there:
        link.send_long(here, setup)
        assert link.receive_setup(there) == setup
        here.close()
        with pytest.raises(EOFError):
            link.receive_setup(there)


@pytest.mark.device
def test_a_sound_card_plays_is_lost_and_is_found_again(pulse, live):
    daemon = pulse.start()
    engine = live("auto")
    engine.start()
    assert engine.note is None
    engine.send([Level("wind", 1.0, 0.0, 0.0, 0.1)])
    recorder = pulse.record()
    until(engine, lambda: recorder.frames > 2 * SAMPLE_RATE_HZ)
    stereo = recorder.stop()[SAMPLE_RATE_HZ // 2 :]  # half a second to settle
    assert 0.002 < np.sqrt(np.square(stereo).mean()) < 0.3
    whole = stereo[: len(stereo) // 480 * 480]
    sounding = np.abs(whole).reshape(-1, 480, 2).max(axis=(1, 2)) > 1e-4
    assert sounding.mean() > 0.9  # all of it, on a machine that is not hogged

    daemon.kill()
    daemon.wait()
    until(engine, lambda: engine.failure() is not None)
    assert engine.failure().startswith("the sound card is gone")
    frames = engine.frames
    until(engine, lambda: engine.frames > frames)  # time goes on
    pulse.start()
    until(engine, lambda: engine.failure() is None)
    assert engine.stop().frames > frames


@pytest.mark.device
def test_a_sound_card_can_be_chosen_by_a_part_of_its_name(pulse, live):
    pulse.start()
    with pytest.raises(
        EngineError, match=r"no sound card is called 'Tuba'; there are: \w"
    ):
        live("device:Tuba").start()
    engine = live("device:null OUTPUT")
    engine.start()
    until(engine, lambda: engine.frames > SAMPLE_RATE_HZ // 2)
    assert engine.failure() is None
