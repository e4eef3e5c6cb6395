"""The offline engine: a theme, commands and times become a file."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from peep.errors import EngineError
from peep.mixer.commands import Beat, Level, Play
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ, Engine, Meters
from peep.sound.levels import true_peak_dbtp
from peep.sound.offline import OfflineEngine
from peep.theme import LayerSpec, SoundSpec, Theme

pytestmark = pytest.mark.audio

THEME = Theme(
    name="test",
    sounds={
        "frog": SoundSpec(name="frog", recipe="frog", variants=3),
        "bell": SoundSpec(name="bell", recipe="bell", variants=2),
    },
    layers={name: LayerSpec(name=name, recipe=name) for name in ("wind", "stream")},
)
BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ


def engine(out, seed=1):
    return OfflineEngine(THEME, Path("/nonexistent"), out, seed)


def render(out, script, until_s, seed=1):
    """Send each (moment, command) at its moment; return the sound and the reading."""
    made = engine(out, seed)
    made.start()
    for moment_s, command in script:
        made.advance(moment_s)
        made.send([command])
    made.advance(until_s)
    reading = made.stop()
    sound, _ = soundfile.read(out, dtype="float32")
    return sound, reading


def test_an_event_sounds_at_its_moment_in_the_file_to_the_block(tmp_path):
    script = [(1.0, Play(0, "frog", 0, 0.0, -1.0)), (2.5, Play(1, "frog", 1, 0.0, 1.0))]
    sound, reading = render(tmp_path / "a.wav", script, 4.0)
    for side, moment_s in ((0, 1.0), (1, 2.5)):
        loud = np.flatnonzero(np.abs(sound[:, side]) > 1e-6)
        assert 0 <= loud[0] / SAMPLE_RATE_HZ - moment_s + BLOCK_S / 2 < 2 * BLOCK_S
    assert len(sound) == reading.frames == 4 * SAMPLE_RATE_HZ


def test_an_event_at_the_beginning_and_one_at_the_end_are_both_in_the_file(tmp_path):
    script = [(0.0, Play(0, "frog", 0, 0.0, 0.0)), (1.0, Play(1, "frog", 1, 0.0, 0.0))]
    sound, _ = render(tmp_path / "a.wav", script, 1.1)
    assert np.abs(sound[:2400]).max() > 0.01
    assert np.abs(sound[-2400:]).max() > 0.01


def test_the_same_commands_give_the_same_bytes(tmp_path):
    script = [
        (0.0, Level("wind", 0.6, 0.0, 0.0, 0.5)),
        (0.0, Beat(0, "frog", 3.0, -6.0, 0.2)),
        (0.7, Play(0, "bell", 1, 0.0, 0.4)),
        (0.9, Play(0, "bell", 0, 0.0, -0.4)),
    ]
    for name in ("a.flac", "b.flac"):
        render(tmp_path / name, script, 2.0)
    render(tmp_path / "c.flac", script, 2.0, seed=2)
    first, again, other = (
        (tmp_path / name).read_bytes() for name in ("a.flac", "b.flac", "c.flac")
    )
    assert first == again
    assert first != other


def test_twenty_busy_seconds_of_all_voices_are_clean(tmp_path):
    script = [
        (0.0, Level("wind", 1.0, 0.0, 0.0, 1.0)),
        (0.0, Level("stream", 1.0, 0.0, 0.0, 1.0)),
    ]
    script += [
        (k * 0.05, Play(k % 32, ("frog", "bell")[k % 2], 0, 0.0, math.sin(k)))
        for k in range(20, 400)
    ]
    sound, reading = render(tmp_path / "a.wav", script, 20.0)
    assert np.isfinite(sound).all()
    assert true_peak_dbtp(sound) <= -0.9
    assert reading.true_peak_dbtp == pytest.approx(true_peak_dbtp(sound), abs=0.05)
    # no gaps: every twentieth of a second sounds
    assert np.abs(sound[24_000:].reshape(-1, 2400, 2)).max(axis=(1, 2)).min() > 0.01
    # no clipped runs: three samples alike at the ceiling
    loud = np.abs(sound) > 0.8
    alike = (np.diff(sound, axis=0) == 0)[1:] & (np.diff(sound, axis=0) == 0)[:-1]
    assert not (alike & loud[2:]).any()


def test_it_is_an_engine_with_meters_that_read_what_was_rendered(tmp_path):
    made: Engine = engine(tmp_path / "a.wav")
    bank = made.start()
    assert len(bank.variants["frog"]) == 3
    assert made.meters() == Meters()
    made.send([Level("stream", 0.5, 0.0, 0.0, 0.05)])
    made.advance(10.0)
    reading = made.meters()
    assert reading.integrated_lufs == pytest.approx(-36, abs=1)
    assert reading.momentary_lufs == pytest.approx(-36, abs=3)
    assert made.failure() is None
    assert made.stop().integrated_lufs == pytest.approx(
        reading.integrated_lufs, abs=0.1
    )
    assert made.stop() == made.meters()


def test_a_file_of_nothing_is_a_file(tmp_path):
    sound, reading = render(tmp_path / "a.wav", [], 0.0)
    assert len(sound) == reading.frames == 0


def test_time_does_not_go_back(tmp_path):
    made = engine(tmp_path / "a.wav")
    made.start()
    made.advance(1.0)
    made.advance(0.5)
    assert made.stop().frames == pytest.approx(SAMPLE_RATE_HZ, abs=BLOCK_FRAMES)


def test_it_must_be_started_once_before_it_is_used(tmp_path):
    made = engine(tmp_path / "a.wav")
    assert made.stop() == Meters()
    with pytest.raises(EngineError, match="not running"):
        made.send([])
    with pytest.raises(EngineError, match="not running"):
        made.advance(1.0)
    made.start()
    with pytest.raises(EngineError, match="twice"):
        made.start()
    made.stop()


def test_a_file_name_that_will_not_do_is_told_at_the_start(tmp_path):
    with pytest.raises(EngineError, match=r"must end in one of"):
        engine(tmp_path / "a.mp3").start()
    with pytest.raises(EngineError, match="No such file or directory"):
        engine(tmp_path / "none" / "a.wav").start()


def test_a_theme_that_cannot_be_made_leaves_an_earlier_file_alone(tmp_path):
    (tmp_path / "a.wav").write_text("dear")
    theme = Theme(name="t", layers={"x": LayerSpec(name="x", recipe="x")})
    made = OfflineEngine(theme, tmp_path, tmp_path / "a.wav", 1)
    with pytest.raises(EngineError, match="no recipe 'x'"):
        made.start()
    assert (tmp_path / "a.wav").read_text() == "dear"


@pytest.mark.parametrize("name", ["full.wav", "full.flac"])
def test_a_full_disk_is_an_error_that_says_the_file_is_of_no_use(tmp_path, name):
    out = tmp_path / name
    out.symlink_to("/dev/full")
    made = engine(out)
    made.start()
    made.send([Level("wind", 1.0, 0.0, 0.0, 0.1)])
    line = f"{out} is incomplete and of no use: No space left on device"
    with pytest.raises(EngineError, match=line):
        made.advance(20.0)
    assert made.failure() == line
    assert made.stop().frames > 0


def test_a_disk_that_is_full_at_the_very_end_is_an_error_of_stop(tmp_path):
    out = tmp_path / "full.wav"
    out.symlink_to("/dev/full")
    made = engine(out)
    made.start()
    made.advance(0.0)
    with pytest.raises(EngineError, match="No space left"):
        made.stop()
    assert made.failure() is not None


def test_the_engine_says_nothing_on_standard_output_even_without_tk():
    # pyo prints a banner where it finds neither wx nor Tk, as on a minimal machine.
    code = (
        "import sys; sys.modules['tkinter'] = None; sys.modules['wx'] = None\n"
        "import peep.sound.pyo_engine.graph"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
