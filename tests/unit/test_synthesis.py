"""Recipes as recipes: the same for the same seed, alive, and true to their bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.synthesis import PARAMS, RECIPES
from peep.sound.synthesis.tools import (
    drift,
    fast_size,
    filled,
    frames,
    glide,
    hiss,
    noise,
    outdoors,
    strike,
    swell,
    together,
    tone,
)

NAMES = sorted(RECIPES)


def made(name, seed=1, **params):
    return RECIPES[name](np.random.default_rng(seed), params)


def spectrum(samples):
    power = np.abs(np.fft.rfft(samples)) ** 2
    return np.fft.rfftfreq(len(samples), 1 / RATE_HZ), power


def strongest_hz(samples):
    frequency, power = spectrum(samples)
    return frequency[np.argmax(power)]


def envelope(samples, window_s=0.006):
    window = frames(window_s)
    return np.sqrt(np.convolve(samples**2, np.full(window, 1 / window), "same"))


def test_every_recipe_says_what_may_be_set_of_it():
    assert sorted(PARAMS) == NAMES
    for known in PARAMS.values():
        for param in known.values():
            assert param.low <= param.default <= param.high


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_samples(name):
    assert np.array_equal(made(name), made(name))


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_makes_another_form_of_the_sound(name):
    one, two = made(name, 1), made(name, 2)
    length = min(len(one), len(two))
    likeness = np.corrcoef(one[:length], two[:length])[0, 1]
    assert abs(likeness) < 0.9


@settings(max_examples=60)
@given(data=st.data(), name=st.sampled_from(NAMES), seed=st.integers(0, 2**32))
def test_any_parameters_within_their_bounds_make_a_sound_of_bounded_length(
    data, name, seed
):
    params = {
        key: data.draw(st.sampled_from([p.low, p.high]) | st.floats(p.low, p.high))
        for key, p in PARAMS[name].items()
    }
    samples = made(name, seed, **params)
    assert samples.ndim == 1
    assert 0.05 <= len(samples) / RATE_HZ <= 4.0
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() < 30.0


@pytest.mark.parametrize(
    "name",
    [
        "bell",
        "cricket",
        "cuckoo",
        "curlew",
        "drop",
        "frog",
        "marimba",
        "owl",
        "peeper",
    ],
)
def test_a_voice_with_a_pitch_follows_the_one_it_is_given(name):
    low, default = PARAMS[name]["pitch_hz"].low, PARAMS[name]["pitch_hz"].default
    ratio = strongest_hz(made(name, pitch_hz=default)) / strongest_hz(
        made(name, pitch_hz=low)
    )
    assert ratio == pytest.approx(default / low, rel=0.12)


@pytest.mark.parametrize(
    ("name", "low_hz", "high_hz"),
    [
        ("bell", 500, 4600),
        ("cricket", 2900, 3700),
        ("cuckoo", 450, 800),
        ("curlew", 950, 2300),
        ("drop", 750, 2300),
        ("frog", 550, 2300),
        ("hooves", 80, 900),
        ("marimba", 250, 2300),
        ("owl", 280, 450),
        ("pod", 900, 4600),
        ("raven", 180, 2600),
        ("whit", 1000, 2000),
        ("peeper", 1800, 2600),
        ("pulse", 200, 600),
        ("rustle", 900, 4200),
        ("songbird", 1500, 4000),
        ("stone", 1200, 4200),
        ("thunder", 60, 1000),
        ("woodpecker", 380, 4500),
    ],
)
def test_nine_tenths_of_a_sounds_power_lie_in_its_band(name, low_hz, high_hz):
    for seed in range(3):
        frequency, power = spectrum(made(name, seed))
        inside = power[(frequency > low_hz) & (frequency < high_hz)].sum()
        assert inside / power.sum() > 0.9


@pytest.mark.parametrize(("name", "blows"), [("woodpecker", 8), ("stone", 3)])
def test_every_blow_is_heard_as_one(name, blows):
    # A blow is a rise by half within 4 ms, of which there is one in 30 ms.
    for seed in range(4):
        level = envelope(np.pad(made(name, seed), (480, 0)), 0.004)[:: frames(0.002)]
        rising = (level[2:] > 1.5 * level[:-2]) & (level[2:] > 0.2 * level.max())
        onsets = np.flatnonzero(rising)
        assert 1 + np.sum(np.diff(onsets) > 15) == blows


def test_a_frog_croaks_in_pulses_of_its_own_rate():
    beat = envelope(made("frog", pulse_hz=46), 0.002) ** 2
    croak = beat[frames(0.08) : frames(0.28)]
    frequency, power = spectrum(croak - croak.mean())
    near = (frequency > 25) & (frequency < 100)
    assert frequency[near][np.argmax(power[near])] == pytest.approx(46, abs=8)


def final_hz(samples):
    loud = np.flatnonzero(envelope(samples, 0.02) > 0.4 * np.abs(samples).max() * 0.7)
    end = loud[-1]
    return strongest_hz(np.pad(samples[end - frames(0.08) : end], (0, RATE_HZ)))


def test_an_owls_last_hoot_sinks_or_rises_as_it_is_told():
    down = made("owl", pitch_hz=400, slide_semitones=-5)
    up = made("owl", pitch_hz=400, slide_semitones=5, quaver=0)
    assert final_hz(down) < 370
    assert final_hz(up) > 430


def test_a_songbird_sings_its_own_tune_each_time_and_another_bird_another():
    def tune(individual, seed):
        samples = made("songbird", seed, individual=individual)
        samples = np.pad(samples, (0, RATE_HZ))[: frames(0.5)]
        windows = samples.reshape(-1, frames(0.02)) * np.hanning(frames(0.02))
        return np.log(np.abs(np.fft.rfft(windows, axis=1))[:, 25:90] + 1e-2)

    def apart(one, two):
        return np.mean((one - two) ** 2)

    same = max(apart(tune(7, 1), tune(7, seed)) for seed in range(2, 6))
    others = min(apart(tune(7, 1), tune(other, 1)) for other in range(8, 14))
    assert same < others


def test_a_drops_pitch_rises():
    samples = made("drop", pitch_hz=900, rise=1.85)
    early = samples[frames(0.02) : frames(0.06)]
    late = samples[frames(0.1) : frames(0.14)]
    assert strongest_hz(np.pad(late, (0, 48000))) > 1.15 * strongest_hz(
        np.pad(early, (0, 48000))
    )


def test_a_bell_has_no_harmonic_series():
    frequency, power = spectrum(made("bell", pitch_hz=1000, second=1.0))
    for ratio in (2.32, 4.25):
        near = abs(frequency - 1000 * ratio) < 40
        harmonic = abs(frequency - 1000 * round(ratio)) < 40
        assert power[near].max() > 10 * power[harmonic].max()


def rise_octaves(samples):
    """How far a sound's strongest pitch rises from its first half to its second."""
    heard = samples[np.flatnonzero(envelope(samples, 0.02) > 0.1 * samples.max())]
    first, second = np.array_split(heard, 2)
    low, high = (strongest_hz(np.pad(half, (0, RATE_HZ))) for half in (first, second))
    return np.log2(high / low)


@pytest.mark.parametrize(
    ("name", "rising", "falling"),
    [
        ("bell", {"second": 1.4}, {"second": 0.75}),
        ("cuckoo", {"third": 1.23}, {"third": 0.8}),
        ("curlew", {}, {"mirror": 1}),
        ("frog", {"slide_semitones": 6}, {"slide_semitones": -6}),
        ("marimba", {"step_semitones": 5}, {"step_semitones": -5}),
    ],
)
def test_a_sound_rises_or_falls_as_it_is_told(name, rising, falling):
    for seed in range(3):
        assert rise_octaves(made(name, seed, **rising)) > 0.15
        assert rise_octaves(made(name, seed, **falling)) < -0.15


def test_a_song_that_is_mirrored_is_the_same_song_from_its_end():
    there, back = (made("songbird", 1, individual=7, mirror=turn) for turn in (0, 1))
    length = frames(0.55)  # the echo of a place comes after the song, either way
    there, back = (np.abs(np.fft.rfft(song[:length])) for song in (there, back))
    assert np.corrcoef(there, back)[0, 1] > 0.9


def middle_s(samples):
    power = np.cumsum(samples**2)
    return np.searchsorted(power, power[-1] / 2) / RATE_HZ


@pytest.mark.parametrize("name", ["thunder", "hooves"])
def test_what_is_mirrored_comes_nearer_instead_of_going_away(name):
    for seed in range(3):
        assert middle_s(made(name, seed, mirror=1)) > middle_s(made(name, seed)) + 0.15


@pytest.mark.parametrize(
    ("name", "param", "how_many"),
    [("raven", "croaks", 2), ("hooves", "bounds", 2), ("whit", "notes", 3)],
)
def test_a_sound_of_more_parts_is_longer(name, param, how_many):
    one, more = (len(made(name, **{param: count})) for count in (1, how_many))
    assert more > one + 0.1 * RATE_HZ


def test_a_pod_throws_as_many_seeds_as_it_is_told():
    few, many = (made("pod", 3, seeds=count)[frames(0.14) :] for count in (2, 16))
    assert np.sum(many**2) > 2 * np.sum(few**2)


def test_what_the_theme_leaves_open_is_filled_by_defaults():
    known = PARAMS["drop"]
    assert filled({"rise": 2.0}, known) == {
        "pitch_hz": known["pitch_hz"].default,
        "rise": 2.0,
    }


def test_noise_keeps_to_its_band_and_has_unit_power():
    samples = noise(np.random.default_rng(1), RATE_HZ, 500.0, 1000.0)
    frequency, power = spectrum(samples * np.hanning(RATE_HZ))
    outside = power[(frequency < 330) | (frequency > 1500)].sum()
    assert outside / power.sum() < 1e-6
    assert np.mean(samples**2) == pytest.approx(1.0)


def test_hiss_falls_off_on_both_sides_and_has_unit_power():
    samples = hiss(np.random.default_rng(1), RATE_HZ, 4000.0, below_db=6.0, above_db=12)
    frequency, power = spectrum(samples)

    def level_db(hz):
        near = (frequency > 0.75 * hz) & (frequency < 1.15 * hz)
        return 10 * np.log10(power[near].mean())

    assert level_db(10000) - level_db(20000) == pytest.approx(12, abs=1)
    assert level_db(1000) - level_db(500) == pytest.approx(6, abs=1)
    assert np.mean(samples**2) == pytest.approx(1.0)


def test_a_tone_follows_its_pitch():
    assert strongest_hz(tone(np.full(RATE_HZ, 441.0))) == pytest.approx(441.0, abs=1)


def test_a_glide_passes_through_its_points():
    curve = glide(1.0, ((0.0, 1.0), (0.5, 3.0), (1.0, 2.0)))
    assert curve[0] == 1.0
    assert curve[RATE_HZ // 2] == pytest.approx(3.0, abs=1e-3)
    assert curve[-1] == pytest.approx(2.0)


@given(length=st.integers(1, 5000), rate_hz=st.floats(1, 100))
def test_drift_is_as_long_as_asked(length, rate_hz):
    assert len(drift(np.random.default_rng(0), length, rate_hz)) == length


@given(length=st.integers(0, 3000), rise_s=st.floats(0, 0.1), fall_s=st.floats(0, 0.1))
def test_envelopes_stay_between_nothing_and_one(length, rise_s, fall_s):
    for shape in (swell(length, rise_s, fall_s), strike(length, rise_s, 0.01)):
        assert len(shape) == length
        assert ((shape >= 0.0) & (shape <= 1.0)).all()


@given(length=st.integers(1, 2_000_000))
def test_a_fast_size_holds_the_sound_and_less_than_twice_as_much(length):
    assert length <= fast_size(length) < 2 * length + 1


def test_parts_sound_together_where_they_begin():
    summed = together([(0.001, np.ones(10)), (0.0, np.ones(50))])
    assert summed[47] == 1.0
    assert summed[48] == 2.0
    assert len(summed) == 58


def test_a_place_adds_reflections_and_leaves_the_sound_itself_alone():
    dry = np.zeros(frames(0.05))
    dry[0] = 1.0
    wet = outdoors(dry, -12.0)
    assert wet[0] == pytest.approx(1.0, abs=0.02)
    assert np.sum(wet[frames(0.004) :] ** 2) == pytest.approx(0.03, abs=0.03)
    assert np.abs(wet[: frames(0.004)][1:]).max() < 0.02
