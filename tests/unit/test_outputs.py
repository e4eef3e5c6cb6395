"""Outputs paced by the clock, and sound files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from peep.clock import ManualClock
from peep.errors import EngineError
from peep.sound import files
from peep.sound.device import Pull, Reserve, card_names
from peep.sound.engine import BLOCK_FRAMES
from peep.sound.files import SoundWriter
from peep.sound.outputs import OutputSpec, open_output, parse_output
from peep.sound.timed import BLOCK_S, TimedOutput


class Noise:
    """A feed of a number of blocks; stalls, when told to, at one of them."""

    def __init__(self, blocks, clock=None, stall=(-1, 0.0)):
        self.underruns = 0
        self.failure = None
        self.pulled = []
        self._rng = np.random.default_rng(1)
        self._blocks = blocks
        self._clock = clock
        self._stall_at, self._stall_s = stall

    def pull(self):
        if len(self.pulled) == self._stall_at:
            self._clock.advance(self._stall_s)
        block = self._rng.uniform(-0.5, 0.5, (BLOCK_FRAMES, 2)).astype(np.float32)
        self.pulled.append(block)
        return block

    def over(self, wait_s=0.0):
        return len(self.pulled) >= self._blocks


def timed(clock, writer=None):
    return TimedOutput(writer, clock=clock, sleep=clock.advance)


def written(path, blocks=100):
    feed = Noise(blocks)
    timed(ManualClock(), SoundWriter(path)).run(feed)
    return feed


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("auto", OutputSpec("auto")),
        ("null", OutputSpec("null")),
        ("device", OutputSpec("device")),
        ("device:USB: left", OutputSpec("device", "USB: left")),
        ("file:/tmp/a:b.wav", OutputSpec("file", "/tmp/a:b.wav")),
    ],
)
def test_an_output_is_read_as_written(text, spec):
    assert parse_output(text) == spec


@pytest.mark.parametrize("text", ["", "file", "file:", "device:", "nul", "null:x"])
def test_an_output_that_is_none_is_refused_with_the_forms_there_are(text):
    with pytest.raises(EngineError, match="auto, null, stream, device, device:NAME or"):
        parse_output(text)


@given(st.text().filter(lambda text: text not in {"auto", "null", "device"}))
def test_any_other_text_is_refused_in_one_line(text):
    with pytest.raises(EngineError) as refusal:
        parse_output(text.replace("file:", "").replace("device:", ""))
    assert len(str(refusal.value).splitlines()) == 1


def test_a_timed_output_plays_in_real_time():
    clock = ManualClock()
    feed = Noise(1000)
    timed(clock).run(feed)
    assert clock.now() == pytest.approx(999 * BLOCK_S)
    assert feed.underruns == 0


def test_a_timed_output_plays_for_as_long_as_it_is_told():
    clock = ManualClock()
    feed = Noise(1000)
    timed(clock).run(feed, for_s=0.5)
    assert len(feed.pulled) == pytest.approx(0.5 / BLOCK_S, abs=1)


def test_a_short_stall_is_caught_up_with():
    clock = ManualClock()
    feed = Noise(1000, clock, stall=(500, 0.2))
    timed(clock).run(feed)
    assert clock.now() == pytest.approx(999 * BLOCK_S)
    assert feed.underruns == 0


def test_a_long_stall_is_let_go_counted_and_not_followed_by_a_burst():
    clock = ManualClock()
    feed = Noise(1000, clock, stall=(500, 3600.0))
    timed(clock).run(feed)
    assert clock.now() == pytest.approx(3600 + 999 * BLOCK_S, abs=0.02)
    assert feed.underruns == 1


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "A.FLAC"])
def test_a_file_holds_what_was_played_and_the_same_sound_is_the_same_bytes(
    tmp_path, name
):
    feed = written(tmp_path / name)
    written(tmp_path / f"again-{name}")
    sound, rate_hz = soundfile.read(tmp_path / name)
    assert rate_hz == 48_000
    assert np.abs(sound - np.concatenate(feed.pulled)).max() < 1e-6
    first, again = (
        hashlib.sha256((tmp_path / each).read_bytes()).digest()
        for each in (name, f"again-{name}")
    )
    assert first == again


def test_an_ogg_file_holds_the_same_sound_each_time(tmp_path):
    written(tmp_path / "a.ogg")
    written(tmp_path / "b.ogg")
    first, again = (soundfile.read(tmp_path / each)[0] for each in ("a.ogg", "b.ogg"))
    assert len(first) == 100 * BLOCK_FRAMES
    assert np.array_equal(first, again)


def test_a_file_of_an_unknown_kind_is_refused_with_those_that_work(tmp_path):
    with pytest.raises(EngineError, match=r"must end in one of \.flac, \.wav, \.ogg"):
        SoundWriter(tmp_path / "a.mp3")


@pytest.mark.parametrize("place", ["nowhere/a.wav", "."])
def test_a_file_that_cannot_be_made_is_refused_in_one_line(tmp_path, place):
    (tmp_path / "folder.wav").mkdir()
    path = tmp_path / "folder.wav" if place == "." else tmp_path / place
    with pytest.raises(EngineError, match=r"^cannot write .*\.wav: [^\n]*$"):
        SoundWriter(path)


@pytest.mark.parametrize("name", ["full.wav", "full.flac", "full.ogg"])
def test_a_full_disk_is_told_once_and_the_sound_goes_on(tmp_path, name):
    path = tmp_path / name
    path.symlink_to("/dev/full")
    feed = written(path, blocks=2000)
    assert len(feed.pulled) == 2000
    assert (
        feed.failure == f"{path} is incomplete and of no use: No space left on device"
    )


def test_a_closed_file_may_be_closed_again_and_takes_nothing(tmp_path):
    writer = SoundWriter(tmp_path / "a.wav")
    writer.close()
    writer.close()
    with pytest.raises(EngineError, match="is closed"):
        writer.write(np.zeros((1, 2), np.float32))


def test_a_writer_that_failed_takes_nothing_more(tmp_path):
    path = tmp_path / "full.wav"
    path.symlink_to("/dev/full")
    block = np.zeros((48_000, 2), np.float32)
    writer = SoundWriter(path)
    with pytest.raises(EngineError, match="No space left"):
        writer.write(block)
    with pytest.raises(EngineError, match="is closed"):
        writer.write(block)
    writer.close()


def test_a_wav_file_ends_before_it_overflows_and_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_WAV_FRAMES", 50 * BLOCK_FRAMES)
    feed = written(tmp_path / "a.wav", blocks=60)
    assert feed.failure is not None
    assert feed.failure.endswith("is full: a WAV file holds 4 hours; use .flac")
    sound, _ = soundfile.read(tmp_path / "a.wav")
    assert len(sound) == 50 * BLOCK_FRAMES


def pulled(generator, lengths):
    return np.concatenate(
        [
            np.frombuffer(generator.send(length), np.float32).reshape(-1, 2)
            for length in lengths
        ]
    )


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=20))
def test_a_card_gets_the_blocks_in_whatever_lengths_it_asks_for(lengths):
    feed = Noise(10_000)
    pull = Pull(feed, ManualClock())
    sound = pulled(pull.blocks(), lengths)
    assert len(sound) == pull.frames == sum(lengths)
    begun = lengths[0]
    fed = np.concatenate(feed.pulled)[: len(sound)]
    assert np.array_equal(sound[begun:], fed[begun:])
    rising = np.linspace(0, 1, begun)[:, np.newaxis]
    assert sound[:begun] == pytest.approx(fed[:begun] * rising, abs=1e-6)
    assert feed.underruns == 0


def played(clock, generator, seconds, *, takes_s=0.01):
    """A card takes 10 ms at a time, and each time so many seconds pass."""
    for _ in range(round(seconds / 0.01)):
        pulled(generator, [480])
        clock.advance(takes_s)


def test_a_card_that_took_too_little_for_the_time_counts_as_an_underrun():
    clock, feed = ManualClock(), Noise(100_000)
    pull = Pull(feed, clock)
    generator = pull.blocks()
    played(clock, generator, 3.0)
    clock.advance(0.005)
    played(clock, generator, 2.1)
    assert feed.underruns == pull.gaps == 1
    clock.advance(0.5)
    played(clock, generator, 2.1)
    assert feed.underruns == pull.gaps == 2


def test_a_card_that_fills_its_reserve_and_then_waits_has_no_underrun():
    clock, feed = ManualClock(), Noise(100_000)
    pull = Pull(feed, clock)
    generator = pull.blocks()
    pulled(generator, [480] * 4)
    clock.advance(0.07)
    played(clock, generator, 3.0)
    assert feed.underruns == pull.gaps == 0


def test_a_card_that_was_late_and_caught_up_has_no_underrun():
    clock, feed = ManualClock(), Noise(100_000)
    generator = Pull(feed, clock).blocks()
    for _ in range(5):
        played(clock, generator, 1.0)
        clock.advance(0.04)
        pulled(generator, [480] * 4)
    assert feed.underruns == 0


def test_a_card_whose_second_is_a_little_long_has_no_underruns():
    clock, feed = ManualClock(), Noise(100_000)
    played(clock, Pull(feed, clock).blocks(), 100.0, takes_s=0.01002)
    assert feed.underruns == 0


def test_the_reserve_grows_where_it_did_not_suffice_thrice_within_ten_minutes():
    reserve = Reserve()
    begin_ms = reserve.ms
    # The first is so long ago, when the third comes, that it does not count.
    assert not any(map(reserve.torn, (1000.0, 1300.0, 1601.0)))
    assert reserve.ms == begin_ms
    assert reserve.torn(1700.0)
    assert reserve.ms > begin_ms
    assert not any(map(reserve.torn, (1701.0, 1702.0)))  # of the larger one


def test_the_reserve_has_a_bound():
    reserve = Reserve()
    assert sum(reserve.torn(float(n)) for n in range(100)) == 4
    assert reserve.ms == 200


def test_a_card_that_is_left_while_it_plays_fades_out_and_gets_nothing_more():
    feed = Noise(10_000)
    pull = Pull(feed, ManualClock())
    generator = pull.blocks()
    pulled(generator, [480])
    pull.fade()  # it waits for the last of it, for a tenth of a second at most
    last = pulled(generator, [240])
    fed = np.concatenate(feed.pulled)[pull.frames - 240 : pull.frames]
    falling = np.linspace(1, 0, 240)[:, np.newaxis]
    assert last == pytest.approx(fed * falling, abs=1e-6)
    with pytest.raises(StopIteration):
        generator.send(240)


def test_a_card_that_was_given_up_gets_nothing_more():
    feed = Noise(10_000)
    pull = Pull(feed, ManualClock())
    generator = pull.blocks()
    pulled(generator, [480])
    pull.end()
    with pytest.raises(StopIteration):
        generator.send(480)
    assert len(feed.pulled) == 2


def test_where_there_is_no_sound_server_there_are_no_cards(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    monkeypatch.setenv("ALSA_CONFIG_PATH", "/dev/null")
    assert card_names() == []


def test_a_file_output_is_opened_by_name(tmp_path):
    output = open_output(f"file:{tmp_path / 'a.wav'}")
    feed = Noise(3)
    output.run(feed)
    assert soundfile.info(tmp_path / "a.wav").frames == 3 * BLOCK_FRAMES
    assert output.note is None
    assert Path(tmp_path / "a.wav").stat().st_size < 10_000
