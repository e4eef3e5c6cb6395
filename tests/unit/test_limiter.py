"""The limiter: nothing too loud goes out, and what is not too loud is left be."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from peep.sound.engine import BLOCK_FRAMES
from peep.sound.limiter import CEILING_DBTP, Limiter

TOLERANCE_DB = 0.1


def limited(sound, gain_db=0.0):
    """What comes out, with the delay taken off; sound is a whole number of blocks."""
    limiter = Limiter(gain_db)
    silence = np.zeros((BLOCK_FRAMES, 2), np.float32)
    blocks = [*sound.reshape(-1, BLOCK_FRAMES, 2), silence]
    return np.concatenate([limiter.process(block) for block in blocks])[BLOCK_FRAMES:]


def true_peak_dbtp(sound):
    padded = np.pad(sound.astype(float), ((64, 64), (0, 0)))
    peak = np.abs(resample_poly(padded, 4, 1, axis=0)).max()
    return 20 * math.log10(max(peak, 1e-12))


def sine(hz, level, blocks=40):
    t_s = np.arange(blocks * BLOCK_FRAMES) / 48_000
    wave = level * np.sin(2 * np.pi * hz * t_s)
    return np.stack((wave, wave), axis=1).astype(np.float32)


@st.composite
def sounds(draw):
    """Bursts, clicks, tones and noises, from silence to absurd, side by side."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pieces = []
    for _ in range(draw(st.integers(1, 6))):
        frames = BLOCK_FRAMES * draw(st.integers(1, 4))
        level = 10 ** draw(st.floats(-4, 3))
        hz = draw(st.floats(20, 24_000))
        piece = {
            "noise": lambda n=frames: rng.standard_normal((n, 2)),
            "click": lambda n=frames: (rng.random((n, 2)) > 0.995).astype(float),
            "tone": lambda n=frames, f=hz: sine(f, 1.0, n // BLOCK_FRAMES),
            "square": lambda n=frames, f=hz: np.sign(sine(f, 1.0, n // BLOCK_FRAMES)),
            "one side": lambda n=frames: rng.standard_normal((n, 2)) * [1, 0],
        }[draw(st.sampled_from(["noise", "click", "tone", "square", "one side"]))]
        # cut anywhere, so that edges fall within blocks
        shift = draw(st.integers(0, BLOCK_FRAMES))
        pieces.append(np.roll(piece() * level, shift, axis=0))
    return np.concatenate(pieces).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(sounds())
def test_whatever_comes_in_the_true_peak_stays_below_the_ceiling(sound):
    assert true_peak_dbtp(limited(sound)) <= CEILING_DBTP + TOLERANCE_DB


@settings(max_examples=50, deadline=None)
@given(sounds(), st.sampled_from([np.nan, np.inf, -np.inf, 3e38]), st.data())
def test_what_is_not_a_number_or_is_absurd_does_no_harm(sound, bad, data):
    for _ in range(data.draw(st.integers(1, 5))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = bad
    out = limited(sound)
    assert np.isfinite(out).all()
    assert true_peak_dbtp(out) <= CEILING_DBTP + TOLERANCE_DB


@settings(max_examples=50, deadline=None)
@given(sounds())
def test_a_sound_below_the_ceiling_passes_bit_for_bit_one_block_late(sound):
    peak_db = max(true_peak_dbtp(sound), 20 * math.log10(np.abs(sound).max() + 1e-9))
    quiet = sound * np.float32(10 ** ((CEILING_DBTP - 3 - peak_db) / 20))
    assert np.array_equal(limited(quiet), quiet)


def test_a_sound_right_under_the_ceiling_passes_bit_for_bit():
    sound = sine(997, 10 ** (-1.5 / 20))
    assert np.array_equal(limited(sound), sound)


def test_the_master_gain_is_applied_before_limiting():
    sound = sine(997, 0.1)
    assert np.allclose(limited(sound, 6.0), sound * 10 ** (6 / 20), rtol=1e-6)
    assert true_peak_dbtp(limited(sine(997, 0.9), 12.0)) <= CEILING_DBTP + TOLERANCE_DB


def test_a_loud_tone_comes_out_at_the_ceiling_and_not_far_below():
    out = limited(sine(997, 3.0))[20 * BLOCK_FRAMES :]
    assert CEILING_DBTP - 0.5 < true_peak_dbtp(out) <= CEILING_DBTP + TOLERANCE_DB


def test_both_sides_get_the_same_gain_so_that_nothing_moves():
    sound = sine(300, 2.0) * np.array([1.0, 0.25], np.float32)
    out = limited(sound)
    assert np.allclose(out[:, 0] * 0.25, out[:, 1], atol=1e-6)


def test_limiting_bends_the_gain_and_does_not_click():
    at = np.arange(60 * BLOCK_FRAMES)
    level = np.interp(at, [4000, 4500, 9000, 9500], [0.5, 2.5, 2.5, 0.5])
    sound = (sine(100, 1.0, 60) * level[:, np.newaxis]).astype(np.float32)
    corner = np.abs(np.diff(limited(sound), 2, axis=0)).max()
    assert corner < 4 * np.abs(np.diff(sound, 2, axis=0)).max()


def test_after_a_burst_the_gain_comes_back_and_the_bits_are_left_be_again():
    quiet = sine(500, 0.3, 400)
    sound = quiet.copy()
    sound[5000:5200] *= 10
    out = limited(sound)
    assert np.abs(out[6000:6400]).max() < 0.25
    assert np.array_equal(out[-10 * BLOCK_FRAMES :], quiet[-10 * BLOCK_FRAMES :])
