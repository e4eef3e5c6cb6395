"""Recordings of others: whatever their headers say, they are read within bounds."""

import resource
import struct

import numpy as np
import pytest
import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.sound import recordings
from peep.sound.recordings import Recording, RecordingError, mono, read_recording


def refusal(path):
    with pytest.raises(RecordingError) as caught:
        read_recording(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) not in message
    return message


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_recording_is_read_as_it_lies_in_its_file(tmp_path, kind, rate_hz):
    samples = recorded.both(recorded.call(rate_hz=rate_hz))
    path = recorded.write(tmp_path / f"a.{kind}", samples, rate_hz)
    read = read_recording(path)
    assert read.rate_hz == rate_hz
    assert read.channels.shape == samples.shape
    assert np.abs(read.channels - samples).max() < 0.05
    assert len(mono(read)) == pytest.approx(len(samples) * 48_000 / rate_hz, abs=2)


def wav(rate_hz=48_000, channels=1, data_bytes=960, real=960):
    """Return a WAV file of 16 bits whose header may lie about how long it is."""
    form = struct.pack(
        "<HHIIHH", 1, channels, rate_hz, rate_hz * 2 * channels, 2 * channels, 16
    )
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", data_bytes)
    size = len(chunks) + data_bytes
    return b"RIFF" + struct.pack("<I", size & 0xFFFFFFFF) + chunks + b"\x10" * real


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ({"rate_hz": 2_000_000_000}, "2,000,000,000 samples a second"),
        ({"rate_hz": 1}, "1 samples a second, must be 8,000 … 192,000"),
        ({"channels": 6}, "6 channels; mix it to mono or stereo"),
        ({"real": 0, "data_bytes": 0}, "is empty"),
    ],
)
def test_a_header_that_promises_too_much_is_refused(tmp_path, header, problem):
    (tmp_path / "a.wav").write_bytes(wav(**header))
    assert problem in refusal(tmp_path / "a.wav")


def test_a_header_that_promises_hours_gives_what_is_there(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(data_bytes=0xFFFF_FF00))
    assert len(read_recording(tmp_path / "a.wav").channels) == 480


def test_hours_of_silence_in_a_few_bytes_are_left_after_half_a_minute(tmp_path):
    hour = np.zeros(192_000 * 60 * 5, np.int16)
    path = recorded.write(tmp_path / "bomb.flac", hour, 192_000)
    assert path.stat().st_size < 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(path) == "longer than 30 s; shorten it"
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 150 * 1024


def test_exactly_half_a_minute_is_taken(tmp_path):
    path = recorded.write(tmp_path / "a.flac", np.zeros(30 * 8_000), 8_000)
    assert len(read_recording(path).channels) == 30 * 8_000


def test_a_file_too_large_is_not_opened_by_a_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_FILE_BYTES", 1 << 20)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + bytes(1 << 20))
    assert refusal(tmp_path / "a.wav") == "larger than 1 MiB; shorten it"


def test_no_other_of_the_formats_that_the_decoder_knows_is_tried(tmp_path):
    path = recorded.write(tmp_path / "a.aiff", recorded.call())
    path.rename(tmp_path / "a.wav")
    assert "of another format" in refusal(tmp_path / "a.wav")


def test_a_file_of_nothing_is_empty(tmp_path):
    (tmp_path / "a.wav").touch()
    assert refusal(tmp_path / "a.wav") == "is empty; replace it"


@pytest.mark.parametrize(
    "head", [b"GIF", b"RIFF", b"OggS", b"fLaC\0\0", b"RIFF????WAVE"]
)
def test_a_file_that_only_begins_like_one_is_refused_with_the_mend(tmp_path, head):
    (tmp_path / "a.wav").write_bytes(head)
    assert refusal(tmp_path / "a.wav").endswith("save it again as WAV, FLAC or OGG")


@pytest.mark.parametrize("name", ["gone.wav", "."])
def test_what_is_no_file_is_refused(tmp_path, name):
    assert refusal(tmp_path / name) == "no such file; put it there"


def test_a_recording_loses_its_dc_and_becomes_one_channel():
    sides = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.1]])
    sounding = mono(Recording(sides, 48_000))
    assert sounding.shape == (3,)
    assert sounding.sum() == pytest.approx(0.0)


WELL = dict.fromkeys(("wav", "flac", "ogg"))


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(WELL)),
    at=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=16),
    keep=st.floats(0, 1),
)
def test_whatever_is_broken_in_a_file_it_is_read_or_refused(
    tmp_path_factory, kind, at, junk, keep
):
    directory = tmp_path_factory.getbasetemp()
    if WELL[kind] is None:
        path = recorded.write(directory / f"well.{kind}", recorded.call(), 22_050)
        WELL[kind] = path.read_bytes()
    data = bytearray(WELL[kind])
    begin = int(at * (len(data) - 1))
    data[begin : begin + len(junk)] = junk
    path = directory / f"broken.{kind}"
    path.write_bytes(data[: int(keep * len(data))])
    try:
        read = read_recording(path)
    except RecordingError:
        assert refusal(path)
    else:
        assert np.isfinite(read.channels).all()
        assert len(read.channels) <= 30 * read.rate_hz
