"""The shipped theme, measured: what each of its sounds is, and that all differ.

The listener is a crude one: it knows each sound by the shipped variants and takes the
nearest in level over pitch and time. It is asked about other individuals' forms, made
with other seeds, that it has not heard.
"""

from collections import Counter
from itertools import combinations

import numpy as np
import pyloudnorm
import pytest
from scipy import signal

from peep.config.themes import load_theme
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.samples import LEVELS_LUFS, make_samples
from peep.theme import Theme

EDGE = RATE_HZ * 5 // 1000
THEME, DIRECTORY = load_theme("wetland")
NAMES = sorted(THEME.sounds)
FAMILIES = (
    "access",
    "refusal",
    "mail",
    "web",
    "database",
    "system",
    "network",
    "job",
)
ROUTINE = sorted({voicing.sound for voicing in THEME.families.values()})


@pytest.fixture(scope="module")
def shipped():
    return make_samples(THEME, DIRECTORY)


@pytest.fixture(scope="module")
def strangers():
    """Forms that no listener was taught: other seeds, (sound, samples)."""
    found = []
    for seed in range(2, 5):
        theme = Theme(name="other", seed=seed, sounds=THEME.sounds)
        samples = make_samples(theme, DIRECTORY)
        found += [(name, array) for (name, _), array in samples.arrays.items()]
    return found


def variants_of(samples, name):
    return [
        samples.arrays[name, number]
        for number in range(len(samples.bank.variants[name]))
    ]


def power_spectrum(array):
    return (
        np.fft.rfftfreq(len(array), 1 / RATE_HZ),
        np.abs(np.fft.rfft(array)) ** 2,
    )


def centroid_hz(array):
    frequency, power = power_spectrum(array)
    return float((frequency * power).sum() / power.sum())


def bands():
    """Edges of 24 bands, even on the mel scale, 80 to 8,000 Hz."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (80, 8000))
    return 700 * (10 ** (np.linspace(low, high, 25) / 2595) - 1)


def features(array, lowest_hz=0.0, highest_hz=24_000.0):
    """Level by mel band and 40 ms, in dB under the loudest, down to -40."""
    padded = np.zeros(RATE_HZ)
    padded[: min(len(array), RATE_HZ)] = array[:RATE_HZ]
    frequency, _, spectra = signal.stft(padded, RATE_HZ, nperseg=1920, noverlap=0)
    power = np.abs(spectra) ** 2
    rows = [
        power[(frequency >= low) & (frequency < high)].sum(axis=0)
        for low, high in zip(bands()[:-1], bands()[1:], strict=True)
        if low >= lowest_hz and high <= highest_hz
    ]
    levels = 10 * np.log10(np.array(rows) + 1e-12)
    return np.maximum(levels - levels.max(), -40.0)


def confusions(shipped, strangers, **hearing):
    known = [
        (name, features(array, **hearing))
        for (name, _), array in shipped.arrays.items()
    ]
    pairs = Counter()
    for name, array in strangers:
        heard = features(array, **hearing)
        nearest = min(known, key=lambda pair: float(np.sum((pair[1] - heard) ** 2)))
        pairs[name, nearest[0]] += 1
    return pairs


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_is_at_the_loudness_of_its_level(shipped, name):
    meter = pyloudnorm.Meter(RATE_HZ, filter_class="DeMan")
    for array in variants_of(shipped, name):
        padded = np.pad(array, 19_200).astype("d")
        loudest = max(
            meter.integrated_loudness(padded[start : start + 19_200])
            for start in range(0, len(padded) - 19_200, 960)
        )
        assert abs(loudest - LEVELS_LUFS[THEME.sounds[name].level]) <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_no_variant_passes_a_true_peak_of_minus_3_dbtp(shipped, name):
    for array in variants_of(shipped, name):
        fine = signal.resample_poly(array.astype("d"), 4, 1)
        assert 20 * np.log10(np.abs(fine).max()) <= -3.0


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_begins_and_ends_softly_and_has_no_dc(shipped, name):
    for array in variants_of(shipped, name):
        loudest = np.abs(array).max()
        for edge in (array[:EDGE], array[-EDGE:]):
            assert np.abs(edge).max() <= 0.001 * loudest
        assert abs(float(array.mean())) <= 1e-5 * loudest


@pytest.mark.parametrize("name", ROUTINE)
def test_a_routine_sound_has_its_last_onset_in_half_a_second_and_is_gone_in_1_2(
    shipped, name
):
    for array in variants_of(shipped, name):
        assert len(array) <= 1.2 * RATE_HZ
        step = RATE_HZ // 50
        level = np.sqrt(
            np.mean(array[: len(array) // step * step].reshape(-1, step) ** 2, axis=1)
        )
        # An onset: twice as loud as 20 ms ago, and to be heard beside the loudest.
        onsets = (level[1:] > 2 * level[:-1]) & (level[1:] > 0.1 * level.max())
        assert np.flatnonzero(onsets).max(initial=0) * 0.02 <= 0.5


@pytest.mark.parametrize("name", NAMES)
def test_variants_are_different_forms_of_one_sound(shipped, name):
    arrays = variants_of(shipped, name)
    assert len(arrays) >= 3
    centroids = [centroid_hz(array) for array in arrays]
    assert max(centroids) / min(centroids) < 1.2
    for one, two in combinations(arrays, 2):
        length = min(len(one), len(two))
        assert abs(np.corrcoef(one[:length], two[:length])[0, 1]) < 0.9


@pytest.mark.parametrize("name", NAMES)
def test_hardly_anything_lies_where_ageing_ears_hear_nothing(shipped, name):
    for array in variants_of(shipped, name):
        frequency, power = power_spectrum(array)
        assert power[frequency > 4000].sum() / power.sum() < 0.05


def test_every_family_has_a_sound_of_its_own():
    sounds = [THEME.families[family].sound for family in FAMILIES]
    assert len(set(sounds)) == len(FAMILIES)
    assert THEME.families["default"].sound not in sounds


def test_families_differ_in_pitch_or_else_in_shape(shipped):
    def middle(measure, family):
        arrays = variants_of(shipped, THEME.families[family].sound)
        return float(np.median([measure(array) for array in arrays]))

    def crest_db(array):
        return 20 * np.log10(np.abs(array).max() / np.sqrt(np.mean(array**2)))

    for one, two in combinations(FAMILIES, 2):
        low, high = sorted(middle(centroid_hz, family) for family in (one, two))
        shapes = abs(middle(crest_db, one) - middle(crest_db, two))
        assert high / low > 1.2 or shapes > 4, (one, two)


def test_most_meanings_lie_below_2_khz(shipped):
    centroids = [
        centroid_hz(shipped.arrays[THEME.families[family].sound, 0])
        for family in FAMILIES
    ]
    assert sum(hz < 2000 for hz in centroids) >= 6
    assert max(centroids) < 4000


@pytest.mark.parametrize(
    "hearing",
    [{}, {"highest_hz": 4000.0}, {"lowest_hz": 250.0, "highest_hz": 7000.0}],
    ids=["clean", "below 4 kHz", "small speaker"],
)
def test_a_listener_tells_all_sounds_apart(shipped, strangers, hearing):
    pairs = confusions(shipped, strangers, **hearing)
    asked = Counter(name for name, _ in strangers)
    right = sum(count for (said, heard), count in pairs.items() if said == heard)
    assert right / len(strangers) >= 0.95
    wrong = {
        pair: count / asked[pair[0]]
        for pair, count in pairs.items()
        if pair[0] != pair[1]
    }
    assert max(wrong.values(), default=0.0) <= 0.05, wrong


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_stands_out_of_a_bed_of_minus_36_lufs(shipped, name):
    if THEME.sounds[name].level == "pulse":
        pytest.skip("the pulse is to be felt, not to stand out")
    # Wind and water together: pink noise, 200 to 6,000 Hz.
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(10 * RATE_HZ))
    frequency = np.fft.rfftfreq(10 * RATE_HZ, 1 / RATE_HZ)
    inside = (frequency > 200) & (frequency < 6000)
    bed = np.fft.irfft(np.where(inside, spectrum / np.sqrt(frequency + 1.0), 0.0))
    loudness = pyloudnorm.Meter(RATE_HZ).integrated_loudness(bed)
    bed *= 10 ** ((-36.0 - loudness) / 20)
    wanted_db = 20.0 if THEME.sounds[name].level == "alert" else 15.0
    octaves = [
        signal.butter(4, (hz / 2**0.5, hz * 2**0.5), "band", fs=RATE_HZ, output="sos")
        for hz in (250, 500, 1000, 2000, 4000)
    ]
    under = [np.mean(signal.sosfilt(octave, bed) ** 2) for octave in octaves]
    for array in variants_of(shipped, name):
        padded = np.pad(array, RATE_HZ // 5)
        above_db = []
        for octave, beneath in zip(octaves, under, strict=True):
            so_far = np.cumsum(signal.sosfilt(octave, padded) ** 2)
            window = RATE_HZ // 5
            loudest = np.max(so_far[window:] - so_far[:-window]) / window
            above_db.append(10 * np.log10(loudest / beneath))
        assert max(above_db) >= wanted_db


def test_agents_lost_back_and_joined_have_sounds_of_their_own():
    sounds = {
        THEME.events[name].sound
        for name in ("peep.agent-lost", "peep.agent-back", "peep.agent-joined")
    }
    assert len(sounds) == 3
    assert not sounds & set(ROUTINE)


def test_credits_name_every_sound_and_layer():
    text = (DIRECTORY / "CREDITS.md").read_text(encoding="utf-8")
    for name in (*THEME.sounds, *THEME.layers):
        assert name in text
    assert "MIT" in text


def test_the_theme_makes_the_same_bytes_each_time(shipped):
    again = make_samples(THEME, DIRECTORY)
    for key, array in shipped.arrays.items():
        assert again.arrays[key].tobytes() == array.tobytes()
