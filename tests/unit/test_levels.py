"""The meter, against other people's meters and against its own laws."""

import math

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from peep.sound.engine import BLOCK_FRAMES
from peep.sound.engine import SAMPLE_RATE_HZ as SECOND
from peep.sound.levels import (
    STEP_FRAMES,
    LoudnessMeter,
    measure,
    momentary_max_lufs,
    true_peak_dbtp,
)


def noise(seconds, level=0.1, seed=1):
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((round(seconds * SECOND), 2))).astype("f")


def sine(hz, seconds, level=1.0, phase=0.0):
    time = np.arange(round(seconds * SECOND)) / SECOND
    wave = level * np.sin(2 * np.pi * hz * time + phase)
    return np.stack((wave, wave), axis=1).astype("f")


def fed(samples, size=BLOCK_FRAMES):
    meter = LoudnessMeter()
    for start in range(0, len(samples), size):
        meter.feed(samples[start : start + size])
    return meter


def reference_lufs(samples):
    return pyloudnorm.Meter(SECOND, filter_class="DeMan").integrated_loudness(
        samples.astype("d")
    )


def test_a_meter_that_heard_nothing_reads_nothing():
    meter = LoudnessMeter()
    meter.feed(np.zeros((0, 2), "f"))
    assert meter.integrated_lufs == -math.inf
    assert meter.momentary_lufs == -math.inf
    assert meter.max_momentary_lufs == -math.inf
    assert meter.true_peak_dbtp == -math.inf


def test_silence_reads_nothing_however_long_it_lasts():
    meter = fed(np.zeros((2 * SECOND, 2), "f"))
    assert meter.integrated_lufs == -math.inf
    assert meter.momentary_lufs == -math.inf
    assert meter.true_peak_dbtp == -math.inf


def test_momentary_loudness_needs_four_hundred_milliseconds():
    block = noise(0.5)
    assert fed(block[: 4 * STEP_FRAMES - 1]).momentary_lufs == -math.inf
    assert fed(block[: 4 * STEP_FRAMES]).momentary_lufs > -40


def test_the_standards_sine_of_997_hz_at_full_scale_on_one_side_reads_minus_3_01():
    tone = sine(997, 3)
    tone[:, 1] = 0
    assert fed(tone).integrated_lufs == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("hz", [40, 100, 500, 1000, 2500, 6000, 12000])
def test_loudness_of_any_pitch_agrees_with_pyloudnorm(hz):
    tone = sine(hz, 3, level=0.2)
    assert fed(tone).integrated_lufs == pytest.approx(reference_lufs(tone), abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_gated_loudness_of_uneven_noise_agrees_with_pyloudnorm(seed):
    rng = np.random.default_rng(seed)
    levels = 10 ** (rng.uniform(-80, -20, 12) / 20)
    pieces = [noise(0.7, level, seed) for level in levels]
    samples = np.concatenate(pieces)
    assert fed(samples).integrated_lufs == pytest.approx(
        reference_lufs(samples), abs=0.1
    )


def test_what_lies_under_the_absolute_gate_does_not_count():
    assert fed(noise(2, level=1e-5)).integrated_lufs == -math.inf


def test_pauses_do_not_make_a_programme_quieter():
    loud = noise(4)
    paused = np.concatenate((loud, np.zeros((8 * SECOND, 2), "f")))
    assert fed(paused).integrated_lufs == pytest.approx(
        fed(loud).integrated_lufs, abs=0.5
    )


def test_loudness_beyond_the_histograms_top_is_still_measured():
    loud = noise(2, level=30.0)
    assert fed(loud).integrated_lufs == pytest.approx(reference_lufs(loud), abs=0.1)


def test_momentary_loudness_falls_when_the_sound_ends_and_the_maximum_stays():
    meter = fed(np.concatenate((noise(1), np.zeros((SECOND, 2), "f"))))
    assert meter.momentary_lufs < -100
    assert meter.max_momentary_lufs == pytest.approx(
        fed(noise(1)).max_momentary_lufs, abs=0.3
    )


@pytest.mark.parametrize("phase", [0.0, 0.4, math.pi / 4, 1.2])
@pytest.mark.parametrize("hz", [SECOND / 4, SECOND / 6, 997, 15000])
def test_a_peak_between_the_samples_is_found(hz, phase):
    tone = sine(hz, 0.2, 0.5, phase) * np.hanning(9600)[:, np.newaxis].astype("f")
    assert fed(tone).true_peak_dbtp == pytest.approx(-6.02, abs=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_true_peak_of_noise_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    band = signal.butter(6, (100, 16000), "band", fs=SECOND, output="sos")
    samples = signal.sosfilt(band, rng.standard_normal((SECOND, 2)), axis=0)
    fine = signal.resample_poly(np.pad(samples, ((64, 64), (0, 0))), 4, 1)
    expected_db = 20 * np.log10(np.abs(fine).max())
    samples = samples.astype("f")
    assert true_peak_dbtp(samples) == pytest.approx(expected_db, abs=0.2)


def test_a_single_sample_of_full_scale_has_a_true_peak_of_0_db():
    click = np.zeros(100, "f")
    click[50] = 1.0
    assert true_peak_dbtp(click) == pytest.approx(0.0, abs=0.01)


def test_a_peak_at_the_very_end_of_a_sound_is_found():
    assert true_peak_dbtp(np.array([0.0, 0.0, 0.5], "f")) >= -6.03


def test_what_is_not_a_number_does_not_poison_the_meter():
    bad = noise(0.1)
    bad[17] = (math.nan, math.inf)
    meter = LoudnessMeter()
    for block in (bad, noise(2)):
        meter.feed(block)
    assert meter.integrated_lufs == pytest.approx(
        fed(noise(2)).integrated_lufs, abs=0.2
    )
    assert math.isfinite(meter.true_peak_dbtp)


def test_memory_does_not_grow_with_time():
    meter = LoudnessMeter()

    def held():
        return len(meter._steps), meter._gate._counts.nbytes, meter._gate._powers.nbytes

    meter.feed(noise(1))
    before = held()
    meter.feed(noise(30))
    assert held() == before
    assert sum(before[1:]) <= 128 * 1024


@settings(max_examples=50)
@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 30000), max_size=12),
)
def test_splitting_a_signal_into_any_blocks_changes_nothing(seed, cuts):
    samples = noise(0.625, seed=seed)
    whole = LoudnessMeter()
    whole.feed(samples)
    split = LoudnessMeter()
    for block in np.split(samples, sorted(cuts)):
        split.feed(block)
    assert split.integrated_lufs == pytest.approx(whole.integrated_lufs, abs=1e-6)
    assert split.momentary_lufs == pytest.approx(whole.momentary_lufs, abs=1e-6)
    assert split.true_peak_dbtp == pytest.approx(whole.true_peak_dbtp, abs=1e-4)


@settings(max_examples=30)  # each measures a second of sound, and there is no branch
@given(gain_db=st.floats(-30, 20), seed=st.integers(0, 1000))
def test_a_gain_in_decibels_moves_every_reading_by_it(gain_db, seed):
    samples = noise(0.5, seed=seed)
    before = measure(samples)
    after = measure(samples * np.float32(10 ** (gain_db / 20)))
    for reading in ("integrated_lufs", "max_momentary_lufs", "true_peak_dbtp"):
        moved_db = getattr(after, reading) - getattr(before, reading)
        assert moved_db == pytest.approx(gain_db, abs=0.02)


@given(shift=st.integers(0, 20_000))
def test_where_a_short_sound_stands_does_not_change_its_momentary_maximum(shift):
    tone = sine(700, 0.3)[:, 0]
    alone = momentary_max_lufs(tone)
    assert momentary_max_lufs(np.pad(tone, (shift, 9600))) == pytest.approx(
        alone, abs=0.01
    )


@pytest.mark.parametrize("seconds", [0.05, 0.4, 1.5])
def test_the_momentary_maximum_is_what_pyloudnorm_finds_in_the_loudest_window(seconds):
    samples = noise(seconds) * np.hanning(round(seconds * SECOND))[:, None].astype("f")
    padded = np.pad(samples, ((19200, 19200), (0, 0)))
    found = max(
        reference_lufs(padded[start : start + 19200])
        for start in range(0, len(padded) - 19200, 480)
    )
    assert momentary_max_lufs(samples) == pytest.approx(found, abs=0.1)


def test_a_mono_sound_is_as_loud_as_through_a_pan_of_equal_power():
    mono = noise(1)[:, 0]
    left, right = math.cos(0.3), math.sin(0.3)
    panned = np.stack((left * mono, right * mono), axis=1).astype("f")
    assert momentary_max_lufs(mono) == pytest.approx(
        momentary_max_lufs(panned), abs=0.001
    )
    assert measure(mono).integrated_lufs == pytest.approx(
        measure(panned).integrated_lufs, abs=0.001
    )


def test_a_sound_of_nothing_has_no_loudness():
    assert momentary_max_lufs(np.zeros(100, "f")) == -math.inf
    assert measure(np.zeros((0, 2), "f")).true_peak_dbtp == -math.inf


def test_a_filter_that_falls_silent_comes_to_rest():
    meter = fed(np.concatenate((noise(0.1), np.zeros((12 * SECOND, 2), "f"))))
    assert not meter._weighting._state.any()
