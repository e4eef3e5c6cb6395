"""The glass theme's one chord, and the night's voices beside what is known of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.config.themes import load_theme
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.samples import make_samples
from peep.sound.synthesis import RECIPES
from peep.sound.synthesis.tools import frames
from peep.sound.synthesis.tuned import CHORD, ROOT_HZ, drawn_hz, hz
from peep.theme import Theme

NEAR_CENTS = 45.0  # a finger strays, and two modes of a glass are never quite alike
WOOD = {"slit-drum", "run"}
# Breath, palm and felt are noise, of which 0.3 would lie in the chord, too.
NOISY = {"bars", "bottle", "bottle-off", "muted", "slack"}


def made(name, seed=1, **params):
    return RECIPES[name](np.random.default_rng(seed), params)


def spectrum(samples):
    power = np.abs(np.fft.rfft(samples, 2**18)) ** 2
    return np.fft.rfftfreq(2**18, 1 / RATE_HZ), power


def strongest_hz(samples, low_hz=0.0, high_hz=20_000.0):
    frequency, power = spectrum(samples)
    inside = (frequency >= low_hz) & (frequency <= high_hz)
    return float(frequency[inside][np.argmax(power[inside])])


def envelope(samples, window_s):
    window = np.hanning(frames(window_s))
    return np.sqrt(np.convolve(samples**2, window / window.sum(), "same"))


def rate_hz(samples, low_hz, high_hz):
    """How often the level comes and goes."""
    beat = envelope(samples, 0.008) ** 2
    return strongest_hz(beat - beat.mean(), low_hz, high_hz)


def onsets_s(samples, apart_s=0.04):
    level = envelope(np.pad(samples, (480, 0)), 0.008)[:: frames(0.002)]
    rising = (level[4:] > 1.5 * level[:-4]) & (level[4:] > 0.2 * level.max())
    found: list[float] = []
    for at_s in np.flatnonzero(rising) * 0.002:
        if not found or at_s - found[-1] > apart_s:
            found.append(at_s)
    return found


def cents_off(frequency):
    octaves = np.log2(np.maximum(frequency, 1.0) / ROOT_HZ)[:, np.newaxis]
    away = (octaves - np.log2(CHORD) + 0.5) % 1.0 - 0.5
    return 1200 * np.abs(away).min(axis=1)


THEME, DIRECTORY = load_theme("glass")
TUNED = sorted(n for n, spec in THEME.sounds.items() if spec.recipe not in WOOD)


def forms(name):
    alone = Theme(name="alone", seed=THEME.seed, sounds={name: THEME.sounds[name]})
    return list(make_samples(alone, DIRECTORY).arrays.values())


def share_in_chord(array):
    frequency, power = spectrum(array)
    return power[cents_off(frequency) < NEAR_CENTS].sum() / power.sum()


@pytest.mark.parametrize("name", TUNED)
def test_whatever_is_of_glass_or_string_lies_in_one_chord(name):
    for array in forms(name):
        assert share_in_chord(array) > (0.8 if name in NOISY else 0.9)


def test_alerts_of_glass_are_wood_and_in_no_chord():
    voicings = [*THEME.alerts.values(), THEME.events["peep.agent-lost"]]
    for sound in {voicing.sound for voicing in voicings}:
        assert THEME.sounds[sound].recipe in WOOD
        assert max(share_in_chord(array) for array in forms(sound)) < 0.75


def test_no_place_of_glass_is_a_shade_out_of_tune():
    assert {zone.rate for zone in THEME.zones} == {1.0}


@given(st.floats(100.0, 8000.0))
def test_a_pitch_is_drawn_to_the_nearest_tone_of_the_chord(pitch_hz):
    tone_hz = drawn_hz(pitch_hz)
    assert cents_off(np.array([tone_hz]))[0] < 0.01
    away = abs(math.log2(tone_hz / pitch_hz))
    assert away <= math.log2(4 / 3) / 2 + 1e-9  # half its widest step
    assert drawn_hz(tone_hz) == pytest.approx(tone_hz)


def test_notes_are_whole_multiples_of_the_root():
    assert hz(6) == pytest.approx(440.0)
    assert [hz(n) / ROOT_HZ for n in (4, 5, 8, 9, 12)] == [4, 5, 8, 9, 12]
    assert hz(7) / ROOT_HZ in (6, 8)


@pytest.mark.parametrize("name", ["bowed", "bottle", "glass-bar", "goblet", "pluck"])
def test_nothing_of_glass_begins_with_a_blow(name):
    level = np.abs(made(name))
    assert level[: frames(0.001)].max() < 0.5 * level.max()


def test_what_is_struck_twice_on_one_glass_sounds_twice():
    heard = made("goblet", note=16, second=16, ring_s=0.15, gap_s=0.2)
    assert np.diff(onsets_s(heard, 0.1)) == pytest.approx([0.2], abs=0.03)


def test_a_glass_bar_is_tuned_to_two_octaves():
    bar = made("glass-bar", note=5)
    assert strongest_hz(bar) == pytest.approx(hz(5), rel=0.01)
    assert strongest_hz(bar, 700, 3000) == pytest.approx(hz(20), rel=0.01)


def test_a_tubular_bell_has_the_modes_of_a_free_bar():
    bell = made("tubular", pitch_hz=500, second=1.0)
    for ratio in (2.756, 5.404):
        near = strongest_hz(bell, 500 * ratio * 0.9, 500 * ratio * 1.1)
        assert near == pytest.approx(500 * ratio, rel=0.01)


@pytest.mark.parametrize(("over", "slowing"), [(0.5, 2.0), (2.0, 0.5)])
def test_a_run_slows_as_it_falls_and_quickens_as_it_rises(over, slowing):
    heard = made("run", over=over, slowing=slowing, knocks=6, run_s=0.98)
    gaps = np.diff(onsets_s(heard, 0.06))
    assert len(gaps) == 5
    assert (gaps[-1] > gaps[0]) == (slowing > 1)
    first, last = heard[: frames(0.08)], heard[frames(1.0) : frames(1.08)]
    assert (strongest_hz(last, 300) > strongest_hz(first, 300)) == (over > 1)


def test_a_tawny_owl_hoots_between_700_and_900_hz_and_quavers():
    for seed in range(3):
        hoot = made("hoot", seed)
        assert 700 < strongest_hz(hoot) < 900
        assert rate_hz(hoot[frames(0.06) : frames(0.45)], 8, 30) == pytest.approx(
            15, abs=3
        )


def test_its_mate_leaps_up_by_half_an_octave():
    call = made("kewick")
    start, top = call[frames(0.1) : frames(0.15)], call[frames(0.2) : frames(0.25)]
    assert strongest_hz(top, 800, 2000) > 1.3 * strongest_hz(start, 800, 2000)


def test_a_nightjar_churrs_near_1_9_khz_at_38_pulses_a_second():
    churr = made("nightjar")
    assert 1800 < strongest_hz(churr) < 2000
    assert rate_hz(churr, 25, 60) == pytest.approx(38, abs=3)


def test_a_nightjar_that_turns_its_head_churrs_lower_and_slower():
    churr = made("nightjar", turn=0.7)
    before, after = churr[: frames(0.15)], churr[frames(0.28) : frames(0.46)]
    assert strongest_hz(after) < 0.8 * strongest_hz(before)


def test_an_eagle_owl_says_the_short_note_first_where_it_rises():
    up, down = made("eagle-owl", second=1.2), made("eagle-owl", second=0.85)
    half = frames(0.2)
    assert strongest_hz(up[half:]) > 1.1 * strongest_hz(up[:half])
    half = frames(0.3)
    assert strongest_hz(down[half:]) < 0.92 * strongest_hz(down[:half])


@pytest.mark.parametrize(("slide", "falls"), [(-6.0, True), (6.0, False)])
def test_a_howl_slides_as_it_is_told(slide, falls):
    howl = made("howl", slide_semitones=slide, howl_s=1.2)
    middle, end = howl[frames(0.4) : frames(0.6)], howl[frames(0.9) : frames(1.1)]
    assert (strongest_hz(end) < strongest_hz(middle)) == falls


@pytest.mark.parametrize(
    ("name", "params", "times"),
    [
        ("beetle", {"taps": 5}, 5),
        ("yap", {"yaps": 3}, 3),
        ("nightingale", {"swelling": 0}, 5),
        ("acorn", {"branches": 3}, 4),
    ],
)
def test_what_comes_several_times_is_heard_so_often(name, params, times):
    for seed in range(3):
        assert len(onsets_s(made(name, seed, **params), 0.07)) == times


def test_a_woodcock_croaks_in_pulses_and_as_often_as_it_is_told():
    for croaks in (2, 3):
        heard = np.pad(made("woodcock", croaks=croaks), 2400)
        level = envelope(heard, 0.05)
        above = level > 0.5 * level.max()
        assert np.sum(above[1:] & ~above[:-1]) == croaks
    assert rate_hz(made("woodcock")[: frames(0.08)], 50, 120) == pytest.approx(
        78, abs=8
    )


def test_a_woodcock_ends_its_round_with_a_tsip():
    with_, without = made("woodcock", tsip=1.0), made("woodcock")
    assert strongest_hz(with_[frames(0.43) :], 2000) == pytest.approx(3100, abs=400)
    assert len(with_) > len(without)


def test_a_nightingales_row_swells_or_dies_away():
    swells, dies = made("nightingale"), made("nightingale", swelling=-1.0)
    early, late = slice(0, frames(0.1)), slice(frames(0.4), frames(0.5))
    assert np.std(swells[late]) > 2 * np.std(swells[early])
    assert np.std(dies[early]) > 2 * np.std(dies[late])


@pytest.mark.parametrize("seed", range(3))
def test_most_of_the_night_lies_below_2_khz(seed):
    for name in ("deer", "eagle-owl", "hoot", "howl", "litter", "sough", "toad"):
        frequency, power = spectrum(made(name, seed))
        assert power[frequency < 2000].sum() / power.sum() > 0.8, name
