"""Making a theme's sounds: from recipes, from files, and what is refused."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.errors import EngineError
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.levels import momentary_max_lufs, true_peak_dbtp
from peep.sound.samples import LEVELS_LUFS, make_samples, variant_seed
from peep.sound.synthesis import RECIPES
from peep.theme import SoundSpec, Theme


def theme(seed=1, **sounds):
    specs = {name: SoundSpec(name=name, **given) for name, given in sounds.items()}
    return Theme(name="test", seed=seed, sounds=specs)


def made(tmp_path, **given):
    return make_samples(theme(it=given), tmp_path)


def refused(tmp_path, **given):
    with pytest.raises(EngineError) as caught:
        made(tmp_path, **given)
    message = str(caught.value)
    assert message.startswith("sound it: ")
    assert "\n" not in message
    return message


def wave(hz=1000.0, seconds=0.5, rate_hz=RATE_HZ, level=0.3):
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return level * np.sin(2 * np.pi * hz * time)


def strongest_hz(samples):
    power = np.abs(np.fft.rfft(samples))
    return np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[np.argmax(power)]


def test_each_variant_of_a_recipe_becomes_an_array_and_a_line_in_the_bank(tmp_path):
    samples = made(tmp_path, recipe="drop", variants=3)
    assert sorted(samples.arrays) == [("it", 0), ("it", 1), ("it", 2)]
    assert len(samples.bank.variants["it"]) == 3
    for number, variant in enumerate(samples.bank.variants["it"]):
        array = samples.arrays["it", number]
        assert array.dtype == np.float32
        assert array.ndim == 1
        assert variant.duration_s == len(array) / RATE_HZ
        assert variant.loudness_lufs == pytest.approx(
            momentary_max_lufs(array), abs=0.01
        )


@pytest.mark.parametrize("level", sorted(LEVELS_LUFS))
def test_a_sound_comes_out_at_the_loudness_of_its_level(tmp_path, level):
    samples = made(tmp_path, recipe="curlew", level=level)
    assert momentary_max_lufs(samples.arrays["it", 0]) == pytest.approx(
        LEVELS_LUFS[level], abs=0.1
    )


def test_the_same_theme_makes_the_same_bytes_and_another_seed_others(tmp_path):
    one, again, other = (
        make_samples(theme(seed, it={"recipe": "frog"}), tmp_path).arrays["it", 0]
        for seed in (1, 1, 2)
    )
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_adding_a_sound_to_a_theme_changes_no_other(tmp_path):
    alone = make_samples(theme(owl={"recipe": "owl"}), tmp_path)
    joined = make_samples(
        theme(drop={"recipe": "drop"}, owl={"recipe": "owl", "variants": 2}), tmp_path
    )
    assert np.array_equal(alone.arrays["owl", 0], joined.arrays["owl", 0])


def test_the_seed_of_a_variant_is_the_same_in_every_process():
    assert variant_seed(1, "frog", 0) == 18275340617896435097


def test_two_sounds_of_one_recipe_are_not_the_same_samples(tmp_path):
    samples = make_samples(theme(a={"recipe": "drop"}, b={"recipe": "drop"}), tmp_path)
    assert not np.array_equal(samples.arrays["a", 0], samples.arrays["b", 0])


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_file_of_any_usual_kind_is_loaded(tmp_path, kind):
    soundfile.write(tmp_path / f"a.{kind}", wave(), RATE_HZ)
    samples = made(tmp_path, files=(f"a.{kind}",))
    assert strongest_hz(samples.arrays["it", 0]) == pytest.approx(1000, abs=3)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 44101, 96000, 192000])
def test_a_file_of_any_rate_keeps_its_pitch_and_its_length(tmp_path, rate_hz):
    soundfile.write(tmp_path / "a.wav", wave(rate_hz=rate_hz), rate_hz)
    array = made(tmp_path, files=("a.wav",)).arrays["it", 0]
    assert strongest_hz(array) == pytest.approx(1000, abs=3)
    assert len(array) / RATE_HZ == pytest.approx(0.51, abs=0.01)


def test_what_a_higher_rate_held_above_24_khz_does_not_fold_down(tmp_path):
    both = wave(1000, 0.5, 96000) + wave(30000, 0.5, 96000)
    soundfile.write(tmp_path / "a.wav", both, 96000)
    array = made(tmp_path, files=("a.wav",)).arrays["it", 0]
    power = np.abs(np.fft.rfft(array * np.hanning(len(array)))) ** 2
    frequency = np.fft.rfftfreq(len(array), 1 / RATE_HZ)
    assert power[frequency > 5000].sum() / power.sum() < 1e-6


def test_a_stereo_file_becomes_mono_of_both_sides(tmp_path):
    sides = np.stack((wave(700), wave(1900)), axis=1)
    soundfile.write(tmp_path / "a.wav", sides, RATE_HZ)
    array = made(tmp_path, files=("a.wav",)).arrays["it", 0]
    power = np.abs(np.fft.rfft(array)) ** 2
    frequency = np.fft.rfftfreq(len(array), 1 / RATE_HZ)
    left, right = (power[abs(frequency - hz) < 50].sum() for hz in (700, 1900))
    assert left == pytest.approx(right, rel=0.1)


def test_each_file_is_a_variant_in_the_order_given(tmp_path):
    for name, hz in (("b", 500), ("a", 2000)):
        soundfile.write(tmp_path / f"{name}.wav", wave(hz), RATE_HZ)
    samples = made(tmp_path, files=("b.wav", "a.wav"))
    found = [strongest_hz(samples.arrays["it", number]) for number in (0, 1)]
    assert found == pytest.approx([500, 2000], abs=4)


@st.composite
def wild_waves(draw):
    level, hz = draw(st.floats(0.01, 0.5)), draw(st.floats(200, 8000))
    sounding = wave(hz, draw(st.floats(0.01, 0.5)), level=level)
    silence = st.integers(0, 9000)
    return np.pad(sounding, (draw(silence), draw(silence))) + draw(st.floats(-0.4, 0.4))


@settings(max_examples=30)
@given(wild=wild_waves())
def test_whatever_a_file_holds_it_starts_at_once_softly_and_without_dc(
    tmp_path_factory, wild
):
    directory = tmp_path_factory.getbasetemp()
    soundfile.write(directory / "a.wav", wild, RATE_HZ, subtype="FLOAT")
    array = made(directory, files=("a.wav",)).arrays["it", 0]
    loudest = np.abs(array).max()
    edge = RATE_HZ * 5 // 1000
    assert np.abs(array[:edge]).max() <= 0.001 * loudest
    assert np.abs(array[-edge:]).max() <= 0.001 * loudest
    assert abs(float(array.mean())) <= 1e-5 * loudest
    assert true_peak_dbtp(array) <= -2.99
    assert momentary_max_lufs(array) <= LEVELS_LUFS["routine"] + 0.05


def test_a_sound_too_peaky_for_its_level_stays_below_it_and_the_bank_says_so(tmp_path):
    clicks = np.zeros(RATE_HZ // 2)
    clicks[[4000, 12000]] = 0.9
    soundfile.write(tmp_path / "a.wav", clicks, RATE_HZ)
    samples = made(tmp_path, files=("a.wav",))
    said = samples.bank.variants["it"][0].loudness_lufs
    assert true_peak_dbtp(samples.arrays["it", 0]) == pytest.approx(-3.0, abs=0.05)
    assert said < LEVELS_LUFS["routine"] - 1
    assert said == pytest.approx(momentary_max_lufs(samples.arrays["it", 0]), abs=0.05)


def test_an_unknown_recipe_is_refused_with_the_nearest_name(tmp_path):
    message = refused(tmp_path, recipe="frgo")
    assert message.endswith("no recipe is called 'frgo'; did you mean frog?")


def test_an_unknown_recipe_unlike_any_is_refused_with_all_names(tmp_path):
    assert f"there are {', '.join(sorted(RECIPES))}" in refused(tmp_path, recipe="zzz")


def test_an_unknown_parameter_is_refused_with_the_nearest_name(tmp_path):
    message = refused(tmp_path, recipe="frog", params={"pitch": 500.0})
    assert message.endswith("no parameter is called 'pitch'; did you mean pitch_hz?")


@pytest.mark.parametrize("value", [0.0, -700.0, 1e9, float("nan")])
def test_a_parameter_out_of_bounds_is_refused_with_the_bounds(tmp_path, value):
    message = refused(tmp_path, recipe="frog", params={"pitch_hz": value})
    assert message.endswith("must be 400 … 1200")


def test_an_unknown_level_is_refused_with_the_nearest_name(tmp_path):
    message = refused(tmp_path, recipe="frog", level="notible")
    assert message.endswith("did you mean notable?")


@pytest.mark.parametrize("variants", [0, 17])
def test_no_variants_or_too_many_are_refused(tmp_path, variants):
    assert "must be 1 … 16" in refused(tmp_path, recipe="frog", variants=variants)


def test_a_sound_of_nothing_or_of_both_is_refused(tmp_path):
    both = {"recipe": "frog", "files": ("a.wav",)}
    for given_ in ({}, both):
        assert "either a recipe or files" in refused(tmp_path, **given_)


def test_a_missing_file_is_named(tmp_path):
    assert "a.wav: no such file" in refused(tmp_path, files=("a.wav",))


@pytest.mark.parametrize("name", ["a.wav", "a.raw"])
def test_a_file_that_is_no_sound_is_refused_with_the_mend(tmp_path, name):
    (tmp_path / name).write_bytes(b"GIF89a, not a sound at all")
    message = refused(tmp_path, files=(name,))
    assert f"{name}: cannot be read" in message
    assert message.endswith("save it again as WAV, FLAC or OGG")


def test_an_empty_file_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE_HZ)
    assert "a.wav: is empty" in refused(tmp_path, files=("a.wav",))


@pytest.mark.parametrize(
    "silence",
    [np.zeros(5000), np.full(5000, 0.4), wave(5.0, 3.0)[: RATE_HZ // 5] * 1e-4],
    ids=["zeros", "only DC", "only rumble"],
)
def test_a_silent_file_is_refused(tmp_path, silence):
    soundfile.write(tmp_path / "a.wav", silence, RATE_HZ, subtype="FLOAT")
    assert "a.wav: is silent" in refused(tmp_path, files=("a.wav",))


def test_a_file_of_things_that_are_no_numbers_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", wave() * np.nan, RATE_HZ, subtype="FLOAT")
    assert "a.wav: holds samples that are not numbers" in refused(
        tmp_path, files=("a.wav",)
    )


def test_a_file_longer_than_half_a_minute_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(8000 * 31), 8000)
    assert "a.flac: longer than 30 s" in refused(tmp_path, files=("a.flac",))
