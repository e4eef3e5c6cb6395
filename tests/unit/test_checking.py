"""What `peep theme check` hears in a recording, and in what was made of it."""

import numpy as np
import pytest
import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.config.themes import load_theme
from peep.sound.checking import (
    LONGEST_S,
    apart,
    check_sounds,
    click,
    flat_tops,
    picture,
    recording_problems,
    sound_problems,
)
from peep.sound.recordings import Recording
from peep.sound.samples import make_sound
from peep.theme import SoundSpec

RATES_HZ = [22_050, 44_100, 96_000]


def problems(samples, rate_hz=48_000, level="routine"):
    columns = samples if samples.ndim == 2 else samples[:, np.newaxis]
    return list(recording_problems(Recording(columns, rate_hz), level))


def found(directory, *specs, heard=()):
    return list(check_sounds(specs, 1, directory, heard))


def of_files(name, *files, level="routine"):
    return SoundSpec(name=name, files=files, variants=len(files), level=level)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_nothing_is_wrong_with_a_recording_that_is_well(tmp_path, kind, rate_hz):
    samples = recorded.both(recorded.call(rate_hz=rate_hz))
    recorded.write(tmp_path / f"a.{kind}", samples, rate_hz)
    assert found(tmp_path, of_files("mine", f"a.{kind}"), heard=["mine"]) == []


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("full", [1.0, 0.5])
def test_a_clipped_recording_is_heard_also_where_it_was_made_softer(rate_hz, full):
    clipped = full * np.clip(recorded.call(rate_hz=rate_hz, level=2.0), -1, 1)
    (problem,) = problems(clipped, rate_hz)
    assert problem.startswith("is clipped in ")
    assert problem.endswith("record it at a lower level")
    side = np.stack((recorded.call(rate_hz=rate_hz), clipped), axis=1)
    assert problems(side, rate_hz) == [problem]


def test_a_clipped_recording_of_16_bits_is_heard_at_its_file(tmp_path):
    clipped = np.clip(recorded.call(level=3.0), -1, 1)
    recorded.write(tmp_path / "a.flac", clipped, subtype="PCM_16")
    (finding,) = found(tmp_path, of_files("mine", "a.flac"))
    assert (finding.sound, finding.file) == ("mine", "a.flac")
    assert "clipped" in finding.message


@settings(max_examples=40)
@given(
    hz=st.floats(60, 9_000),
    level=st.floats(0.01, 0.99),
    rate_hz=st.sampled_from([22_050, 48_000, 192_000]),
    bits=st.sampled_from([16, 24]),
    beat_hz=st.sampled_from([0.0, 11.0, 47.0]),
)
def test_no_round_wave_is_taken_for_a_clipped_one_or_a_click(
    hz, level, rate_hz, bits, beat_hz
):
    steps = 2.0 ** (bits - 1)
    wave = recorded.call(hz, 0.2, rate_hz, level, beat_hz)
    coarse = np.round(wave * steps) / steps
    assert flat_tops(coarse) < 2
    assert click(coarse) is None


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), level=st.floats(0.001, 1.0))
def test_noise_neither_clips_nor_clicks(seed, level):
    noise = level * np.random.default_rng(seed).uniform(-1, 1, 20_000)
    assert flat_tops(noise) < 2
    assert click(noise) is None


@pytest.mark.parametrize("name", ["wetland", "dry"])
def test_no_natural_onset_of_a_shipped_theme_is_taken_for_a_click(name):
    theme, directory = load_theme(name)
    for spec in theme.sounds.values():
        for made, _ in make_sound(spec, theme.seed, directory):
            assert click(made.astype(float)) is None, spec.name
            assert flat_tops(made.astype(float)) < 2, spec.name


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_dc_is_heard_and_how_much_of_it(rate_hz):
    samples = recorded.call(rate_hz=rate_hz) + 0.05
    said = problems(samples, rate_hz)
    assert any("its middle is 11 % of the peak off zero (DC)" in it for it in said)


def test_what_begins_or_ends_in_the_middle_of_a_sound_is_a_seam():
    whole = recorded.call(seconds=1.0)
    middle = len(whole) // 2
    begin = next(n for n in range(middle, len(whole)) if abs(whole[n]) > 0.35)
    (problem,) = problems(whole[begin:])
    assert problem == "begins in the middle of a sound: fade it in over some 5 ms"
    (problem,) = problems(whole[:begin])
    assert problem == "ends in the middle of a sound: fade it out over some 50 ms"


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_click_is_heard_where_it_is(rate_hz):
    samples = recorded.call(600, rate_hz=rate_hz)
    at = round(0.3 * rate_hz)
    samples[at] += 0.3
    assert any("clicks at 0.300 s" in it for it in problems(samples, rate_hz))


def test_a_splice_is_heard_as_a_click():
    samples = recorded.call(500)
    samples[9_000:] *= -1
    (problem,) = problems(samples)
    assert problem.startswith("clicks at 0.18")


def test_what_is_so_soft_that_its_noise_would_be_heard_is_said():
    samples = recorded.call(level=0.001)
    (problem,) = problems(samples)
    assert "dB would be added, and its noise be heard" in problem
    assert problems(samples, level="pulse") == []


def test_a_silent_recording_has_nothing_else_wrong_with_it(tmp_path):
    recorded.write(tmp_path / "a.wav", np.zeros(5_000))
    (finding,) = found(tmp_path, of_files("mine", "a.wav"))
    assert (finding.file, finding.message) == ("a.wav", "is silent; replace it")


@pytest.mark.parametrize("level", sorted(LONGEST_S))
def test_each_level_has_a_longest(level):
    def made(seconds):
        (array, _), *_ = make_sound(
            SoundSpec(name="x", recipe="curlew", level=level), 1, None
        )
        return np.resize(array, round(seconds * 48_000))

    assert list(sound_problems([made(LONGEST_S[level])], level)) == []
    (problem,) = sound_problems([made(0.5), made(LONGEST_S[level] + 0.1)], level)
    assert f"at level {level} at most {LONGEST_S[level]:g} s" in problem


def test_a_recording_too_short_to_be_as_loud_as_its_level_is_said(tmp_path):
    recorded.write(tmp_path / "a.wav", recorded.call(2_000, 0.01))
    (finding,) = found(tmp_path, of_files("mine", "a.wav", level="alert"))
    assert "LU below its level (alert), being so short or peaky" in finding.message


def test_a_recording_that_lasts_too_long_is_said_with_its_length(tmp_path):
    recorded.write(tmp_path / "a.ogg", recorded.call(seconds=2.0))
    (finding,) = found(tmp_path, of_files("mine", "a.ogg"))
    assert finding.message.startswith("lasts 1.9")


def test_a_bad_file_does_not_hide_the_next(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound at all")
    recorded.write(tmp_path / "long.wav", np.zeros(31 * 8_000), 8_000)
    recorded.write(tmp_path / "dc.wav", recorded.call() + 0.2)
    spec = of_files("mine", "bad.wav", "gone.wav", "long.wav", "dc.wav")
    assert [it.file for it in found(tmp_path, spec)] == [
        "bad.wav",
        "long.wav",
        "dc.wav",
        "dc.wav",
        "dc.wav",
    ]


def test_a_recipe_that_is_not_there_is_said_by_its_sound():
    (finding,) = found(None, SoundSpec(name="mine", recipe="frgo"))
    assert finding.sound == "mine"
    assert finding.message == "no recipe is called 'frgo'; did you mean frog?"


def test_how_far_it_is_is_told(tmp_path):
    told = []
    specs = [SoundSpec(name=name, recipe="frog") for name in "ab"]
    list(check_sounds(specs, 1, tmp_path, (), told.append))
    assert told == [1, 2]


def test_one_recording_for_two_meanings_is_too_alike_if_both_are_heard(tmp_path):
    recorded.write(tmp_path / "a.wav", recorded.call())
    again = 0.5 * recorded.call(rate_hz=22_050, level=0.3)
    recorded.write(tmp_path / "b.flac", np.pad(again, (4_000, 0)), 22_050)
    specs = of_files("one", "a.wav"), of_files("two", "b.flac")
    (finding,) = found(tmp_path, *specs, heard=["one", "two"])
    assert finding.sound == "two"
    assert finding.message.startswith("sounds too much like one")
    assert found(tmp_path, *specs, heard=["one"]) == []


def test_other_pitch_or_other_rhythm_is_another_sound(tmp_path):
    recorded.write(tmp_path / "a.wav", recorded.call())
    recorded.write(tmp_path / "b.wav", recorded.call(1_400))
    recorded.write(tmp_path / "c.wav", np.tile(recorded.call(seconds=0.06), 4))
    specs = [of_files(name, f"{name}.wav") for name in "abc"]
    assert found(tmp_path, *specs, heard="abc") == []


@pytest.mark.parametrize(
    ("pitch_hz", "alike"), [(710, True), (740, True), (850, False), (1000, False)]
)
def test_two_frogs_are_told_apart_by_their_pitch(pitch_hz, alike):
    specs = [
        SoundSpec(name=f"{hz}", recipe="frog", variants=3, params={"pitch_hz": hz})
        for hz in (700.0, float(pitch_hz))
    ]
    said = found(None, *specs, heard=[spec.name for spec in specs])
    assert bool(said) == alike


@settings(max_examples=30)
@given(
    hz=st.floats(200, 4_000), other=st.floats(200, 4_000), seconds=st.floats(0.01, 1)
)
def test_how_far_apart_goes_from_nothing_to_one_and_both_ways(hz, other, seconds):
    one, two = (
        picture(recorded.call(it, seconds).astype(np.float32)) for it in (hz, other)
    )
    assert apart(one, one) == 0.0
    assert 0.0 <= apart(one, two) <= 1.0
    assert apart(one, two) == pytest.approx(apart(two, one))


def test_the_forms_of_a_shipped_sound_are_nearer_to_each_other_than_to_others():
    theme, directory = load_theme("wetland")
    specs = [theme.sounds[name] for name in ("frog", "woodpecker", "curlew", "bell")]
    known = {
        it.name: [picture(array) for array, _ in make_sound(it, theme.seed, directory)]
        for it in specs
    }
    for name, forms in known.items():
        for one in forms[1:]:
            far = {other: apart(one, them[0]) for other, them in known.items()}
            assert min(far, key=far.get) == name
