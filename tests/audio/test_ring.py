"""What sounded last, shared with whoever listens."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.kept import has_kept, keep, kept, make_keeper
from peep.sound.ring import RING_FRAMES, Ring, make_ring
from peep.sound.samples import Samples
from peep.theme import SoundBank, Variant


@pytest.fixture
def ring():
    made = make_ring()
    yield made
    made.close()


def numbered(begin):
    """A block whose samples tell which frames they are."""
    frames = (np.arange(begin, begin + BLOCK_FRAMES) % 30_000) / 32_767
    return np.stack((frames, -frames), axis=1).astype(np.float32)


def fill(ring, frames):
    for _ in range(frames // BLOCK_FRAMES):
        ring.write(numbered(ring.frames))


def test_what_was_written_is_read_by_whoever_attaches(ring):
    fill(ring, 1024)
    begin, pcm = Ring(ring.fd).read(0, 4096)
    assert begin == 0
    assert pcm.shape == (1024, 2)
    assert np.abs(pcm[:, 0] - np.arange(1024)).max() <= 1
    assert np.abs(pcm[:, 1] + np.arange(1024)).max() <= 1


def test_there_is_nothing_to_read_before_it_was_written(ring):
    begin, pcm = ring.read(512, 100)
    assert (begin, len(pcm)) == (512, 0)


def test_what_has_been_overwritten_is_left_out_and_that_is_told(ring):
    fill(ring, RING_FRAMES + 10 * BLOCK_FRAMES)
    begin, pcm = ring.read(0, 100)
    assert begin == 10 * BLOCK_FRAMES + SAMPLE_RATE_HZ // 10
    assert abs(pcm[0, 0] - begin % 30_000) <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2 * RING_FRAMES), st.integers(0, 5000))
def test_any_part_is_read_as_it_was_written(begin, most):
    ring = Ring(FULL.fd)
    at, pcm = ring.read(begin, most)
    assert at >= begin
    assert len(pcm) == max(0, min(most, ring.frames - at))
    want = np.arange(at, at + len(pcm)) % 30_000
    assert np.abs(pcm[:, 0] - want).max(initial=0) <= 1


FULL = make_ring()
fill(FULL, RING_FRAMES + 77 * BLOCK_FRAMES)


def test_what_is_louder_than_full_scale_is_cut_not_wrapped(ring):
    ring.write(np.full((BLOCK_FRAMES, 2), 3.0, np.float32))
    ring.write(np.full((BLOCK_FRAMES, 2), -3.0, np.float32))
    _, pcm = ring.read(0, 2 * BLOCK_FRAMES)
    assert (pcm.max(), pcm.min()) == (32_767, -32_767)


def test_what_is_no_ring_is_refused(tmp_path):
    short = os.open(tmp_path / "short", os.O_RDWR | os.O_CREAT)
    with pytest.raises(ValueError, match="wrong size"):
        Ring(short)
    ring = make_ring()
    os.pwrite(ring.fd, b"NORING!!", 0)
    with pytest.raises(ValueError, match="not a ring"):
        Ring(ring.fd)
    ring.close()
    os.close(short)


def test_samples_are_kept_as_they_were_made():
    rng = np.random.default_rng(1)
    samples = Samples(
        {
            ("frog", 0): rng.normal(size=700).astype(np.float32),
            ("frog", 1): rng.normal(size=3).astype(np.float32),
        },
        SoundBank({"frog": (Variant(0.1, -21.0), Variant(0.2, -20.5))}),
    )
    fd = make_keeper()
    assert kept(fd) is None
    assert not has_kept(fd)
    keep(fd, samples)
    assert has_kept(fd)
    again = kept(fd)
    assert again is not None
    assert again.bank == samples.bank
    assert again.arrays.keys() == samples.arrays.keys()
    for key, array in samples.arrays.items():
        assert np.array_equal(again.arrays[key], array)
    os.close(fd)


def test_samples_that_were_not_kept_to_the_end_are_made_again():
    fd = make_keeper()
    os.pwrite(fd, bytes(8) + b"half a table", 0)
    assert kept(fd) is None
    assert not has_kept(fd)
    os.close(fd)
