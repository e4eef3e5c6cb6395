"""The listener itself, tried: what is right passes, and a planted fault is found."""

import struct
import zlib

import numpy as np
import pytest
from listening import apart, hours, mixes, repeats, sounds, standing, streams
from listening.hearing import ROOM_DBA, Hearing, heard, room_noise
from listening.page import written
from listening.pictures import HEIGHT, spectrogram
from listening.rendering import Made, Rendering, Told, made, render
from listening.script import CALM, STORM, bed, events, minutes
from listening.table import Line, at_least, at_most, printed, shown, within, yes

from peep.mixer.commands import PULSE_VOICE, Level, Play, Stop
from peep.mixer.outcomes import Cue
from peep.server.pipeline import Tally
from peep.signals import Event, State, Tier
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.samples import LEVELS_LUFS, Samples
from peep.theme import LayerSpec, SoundBank, SoundSpec, Theme, Variant, Voicing

PITCHES_HZ = {"low": 300.0, "middle": 800.0, "high": 2000.0}


def tone(hz, seconds=0.4, seed=0):
    """A tone that swells and dies away, its overtones as a seed will have them."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    shape = np.sin(np.pi * t_s / seconds) ** 3
    pitch = hz * (1 + 0.02 * rng.standard_normal())
    return shape * sum(
        share * np.sin(2 * np.pi * n * pitch * t_s + rng.uniform(0, 6))
        for n, share in ((1, 1.0), (2, 0.2 * rng.random()))
    )


def at_its_level(array, level="routine"):
    gain_db = LEVELS_LUFS[level] - sounds.loudest_lufs(array)
    return (array * 10 ** (gain_db / 20)).astype(np.float32)


def theme_of(arrays, directory, level="routine"):
    """A theme of recordings: sound → its forms."""
    text = f"{' '.join(arrays)}: all MIT"
    (directory / "CREDITS.md").write_text(text, encoding="utf-8")
    specs = {
        name: SoundSpec(name=name, files=("x.wav",) * len(forms), level=level)
        for name, forms in arrays.items()
    }
    bank = SoundBank(
        {
            name: tuple(Variant(len(form) / RATE_HZ, -20.0) for form in forms)
            for name, forms in arrays.items()
        }
    )
    families = {name: Voicing(sound=name) for name in arrays}
    samples = Samples(
        {(n, k): form for n, forms in arrays.items() for k, form in enumerate(forms)},
        bank,
    )
    theme = Theme(name="small", sounds=specs, families=families)
    return Made(theme, samples, directory)


def good():
    return {
        name: [at_its_level(tone(hz, seed=seed)) for seed in range(4)]
        for name, hz in PITCHES_HZ.items()
    }


def failed(lines):
    return {line.measure.partition(",")[0] for line in lines if not line.met}


# ---- the table ---------------------------------------------------------------------


def test_a_line_is_met_up_to_its_limit_and_never_by_what_is_no_number():
    assert at_most("m", 3.0, 3.0).met
    assert not at_most("m", 3.01, 3.0).met
    assert at_least("m", 3.0, 3.0).met
    assert not at_least("m", 2.99, 3.0).met
    assert within("m", -32.0, -30.0, 2.0).met
    assert not within("m", -32.1, -30.0, 2.0).met
    nan = float("nan")
    for line in (at_most("m", nan, 3), at_least("m", nan, 3), within("m", nan, 3, 1)):
        assert not line.met


def test_the_table_shows_target_beside_value_and_marks_what_fails():
    text = printed(
        "glass: sounds",
        [
            within("calm, LUFS", -29.594, -30.0, 2.0),
            at_most("cues", 7.0, 6, "frog"),
            yes("the same bytes", met=False),
        ],
    )
    title, calm, cues, same = text.splitlines()
    assert title == "glass: sounds"
    assert calm.split() == ["ok", "calm,", "LUFS", "-29.59", "-30", "+-2"]
    assert cues.split() == ["FAIL", "cues", "7", "<=", "6", "frog"]
    assert same.split() == ["FAIL", "the", "same", "bytes", "no", "yes"]
    assert shown(at_most("r", 0.01234, 0.9)) == "0.0123"


# ---- each sound by itself ----------------------------------------------------------


def test_sounds_without_a_fault_pass(tmp_path):
    assert not failed(sounds.alone(theme_of(good(), tmp_path)))


def edge(array):
    return array[round(0.05 * RATE_HZ) :]


def clipped(array):
    return np.clip(array, -0.5 * array.max(), 0.5 * array.max())


def late(array):
    return np.concatenate((array, np.zeros(RATE_HZ // 5, np.float32), array))


def hissing(array):
    return array + at_its_level(tone(6000.0)) / 2


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (lambda array: 1.2 * array, {"loudness off its class"}),
        (lambda array: 0.8 * array, {"loudness off its class"}),
        (edge, {"first and last 5 ms under the peak"}),
        (late, {"routine: last onset"}),
        (lambda array: np.pad(array, (0, RATE_HZ)), {"routine: length"}),
        (lambda array: at_its_level(hissing(array)), {"energy above 4 kHz"}),
        (
            lambda array: at_its_level(clipped(array)),
            {"samples in a row alike at the top"},
        ),
    ],
    ids=["loud", "soft", "edge", "late", "long", "hissing", "clipped"],
)
def test_a_planted_fault_in_one_form_of_one_sound_is_found(tmp_path, fault, found):
    arrays = good()
    arrays["middle"][2] = fault(arrays["middle"][2])
    lines = sounds.alone(theme_of(arrays, tmp_path))
    assert failed(lines) >= found
    assert all(
        line.note == "middle, variant 2"
        for line in lines
        if line.measure.partition(",")[0] in found
    )


def test_a_peak_between_samples_is_found(tmp_path):
    arrays = good()
    t_s = np.arange(RATE_HZ // 50) / RATE_HZ
    # At a quarter of the rate, all samples lie beside the crests.
    click = np.sin(2 * np.pi * 12_000 * t_s + np.pi / 4) * np.hanning(len(t_s))
    arrays["high"][0] = (0.9 * click / np.abs(click).max()).astype(np.float32)
    assert "true peak" in failed(sounds.alone(theme_of(arrays, tmp_path)))
    assert np.abs(arrays["high"][0]).max() < 1.0
    assert sounds.true_peak_dbtp(arrays["high"][0]) > 0.0


def test_dc_is_found(tmp_path):
    arrays = good()
    arrays["low"][0] = arrays["low"][0] + np.float32(0.001)
    assert "DC beside the peak" in failed(sounds.alone(theme_of(arrays, tmp_path)))


def test_too_few_forms_and_forms_that_are_alike_are_found(tmp_path):
    arrays = good()
    arrays["low"][3] = 0.99 * arrays["low"][0]
    assert failed(sounds.alone(theme_of(arrays, tmp_path))) == {"variants alike"}
    arrays["low"][2:] = []
    assert failed(sounds.alone(theme_of(arrays, tmp_path))) == {
        "variants of each sound"
    }


def test_a_form_of_another_pitch_is_found(tmp_path):
    arrays = good()
    arrays["low"][1] = at_its_level(tone(500.0))
    it = theme_of(arrays, tmp_path)
    assert "variants apart in pitch" in failed(sounds.alone(it))


def test_a_sound_without_credit_and_a_credit_without_a_licence_are_found(tmp_path):
    it = theme_of(good(), tmp_path)
    for text in ("low middle: MIT", "low middle high: mine"):
        (tmp_path / "CREDITS.md").write_text(text, encoding="utf-8")
        assert failed(sounds.alone(it)) == {"credits name all"}
    (tmp_path / "CREDITS.md").unlink()
    assert failed(sounds.alone(it)) == {"credits name all"}


# ---- telling apart -----------------------------------------------------------------


def test_three_pitches_are_told_apart_under_all_conditions(tmp_path):
    assert not failed(apart.lines(theme_of(good(), tmp_path)))


def test_two_sounds_alike_are_found(tmp_path):
    arrays = good()
    arrays["twin"] = [at_its_level(tone(800.0, seed=seed)) for seed in range(9, 13)]
    lines = apart.lines(theme_of(arrays, tmp_path))
    assert all(not line.met for line in lines if "clean" in line.measure)
    assert any("twin" in line.note and "middle" in line.note for line in lines)


def test_what_differs_above_4_khz_only_is_not_told_apart_below(tmp_path):
    arrays = {
        name: [
            at_its_level(tone(600.0, seed=seed) + tone(hz, seed=seed + 50))
            for seed in range(12)
        ]
        for name, hz in (("one", 6000.0), ("other", 7500.0))
    }
    it = theme_of(arrays, tmp_path)
    asked = apart.strangers(it)
    how = apart.CONDITIONS
    clean = apart.judged(apart.confusions(it, asked, how["clean"]))
    below = apart.judged(apart.confusions(it, asked, how["below 4 kHz"]))
    assert clean[0] > 0.95
    assert below[0] < 0.8


def test_shuffled_names_are_known_by_chance_only(tmp_path):
    it = theme_of(good(), tmp_path)
    asked = apart.strangers(it)
    rolled = [
        form._replace(sound=other.sound)
        for form, other in zip(asked, asked[4:] + asked[:4], strict=True)
    ]
    pairs = apart.confusions(it, rolled, Hearing())
    assert apart.judged(pairs)[0] < 0.1


def test_the_room_is_as_loud_as_it_says():
    noise = room_noise(np.random.default_rng(3), 10 * RATE_HZ)
    # Nearly all of its A-weighted power lies where A-weighting does little.
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octave = [
        10 * np.log10(power[(frequency > hz / 1.41) & (frequency < hz * 1.41)].sum())
        for hz in (500, 1000, 2000)
    ]
    # 5 dB less an octave in level density: a doubled width gives 3 back.
    assert np.diff(octave) == pytest.approx(-2.0, abs=0.5)
    assert 45 < 10 * np.log10(2 * np.mean(noise**2)) + 85 < ROOM_DBA + 12


def test_a_sound_under_the_noise_of_the_room_is_not_heard():
    rng = np.random.default_rng(1)
    faint = 0.001 * at_its_level(tone(800.0))
    silence = np.zeros_like(faint)
    how = Hearing(room=True)
    with_it = np.median([heard(faint, how, rng) for _ in range(9)], axis=0)
    without = np.median([heard(silence, how, rng) for _ in range(9)], axis=0)
    assert np.abs(with_it - without).max() < 6.0


def test_noise_that_is_softer_for_a_moment_does_not_change_what_is_heard():
    rng = np.random.default_rng(1)
    sound = at_its_level(tone(800.0))
    many = [heard(sound, Hearing(room=True), rng) for _ in range(9)]
    lowest, middle = np.min(many, axis=0), np.median(many, axis=0)
    assert np.max(middle - lowest) < 4.0


# ---- over the bed ------------------------------------------------------------------


def noise(lufs, seconds=6.0):
    rng = np.random.default_rng(2)
    sound = rng.standard_normal((round(seconds * RATE_HZ), 2))
    mono = sound[:, 0] / np.sqrt(np.mean(sound[:, 0] ** 2))
    return (sound * 10 ** ((lufs - sounds.loudest_lufs(mono) - 3) / 20)).astype("f")


def test_a_sound_stands_out_of_a_quiet_bed_and_not_of_a_loud_one(tmp_path):
    it = theme_of(good(), tmp_path)
    quiet = standing.lines(it, standing.by_moment(noise(-40.0)))
    loud = standing.lines(it, standing.by_moment(noise(-16.0)))
    assert not failed(quiet)
    assert len(failed(loud)) == 1
    assert quiet[0].value - loud[0].value == pytest.approx(24.0, abs=0.1)


def test_a_gain_that_the_theme_gives_counts(tmp_path):
    it = theme_of(good(), tmp_path)
    families = {**it.theme.families, "x": Voicing(sound="low", gain_db=-60.0)}
    theme = Theme(name="soft", sounds=it.theme.sounds, families=families)
    lines = standing.lines(it._replace(theme=theme), standing.by_moment(noise(-40.0)))
    assert [line.note for line in lines if not line.met] == ["low"]


# ---- minutes -----------------------------------------------------------------------


def rendering(sound, told=(), outcomes=(), tally=None):
    return Rendering(
        sound, list(told), list(outcomes), tally or Tally(), np.zeros((0, 2), "f")
    )


def test_minutes_that_are_loud_enough_pass_and_too_loud_ones_do_not():
    calm, storm = noise(-30.0), noise(-21.0)
    assert not failed(mixes.loudness(rendering(calm), rendering(storm)))
    too_loud = mixes.loudness(rendering(10 * calm), rendering(storm))
    assert [line.measure for line in too_loud[:2] if not line.met] == [
        "calm, LUFS",
        "calm, momentary, LUFS",
    ]
    much = mixes.loudness(rendering(calm), rendering(10 * storm))
    assert [line.met for line in much[2:]] == [False, False, False, True]


def test_a_clipped_mix_is_found():
    calm, storm = noise(-30.0), noise(-21.0)
    top = 0.5 * np.abs(storm).max()
    held = np.repeat(np.clip(storm, -top, top), 4, axis=0)
    lines = mixes.loudness(rendering(calm), rendering(held))
    assert not lines[-1].met


def test_streams_are_counted_for_as_long_as_they_are_heard(tmp_path):
    it = theme_of(good(), tmp_path)
    told = [
        Told(0.0, Level("wind", 0.2, 0.0, 0.0, 1.0)),
        Told(0.0, Level("wind", 0.4, 0.0, 0.0, 1.0)),
        Told(1.0, Play(0, "low", 0, 0.0, 0.0)),
        Told(1.0, Play(PULSE_VOICE, "low", 0, 0.0, 0.0)),
        Told(2.0, Play(1, "low", 1, 0.0, 0.0)),
        Told(2.1, Stop(1)),
        Told(3.0, Level("wind", None, 0.0, 0.0, 0.5)),
    ]
    silence = np.zeros((4 * RATE_HZ, 2), np.float32)
    count = streams.counted(it, rendering(silence, told))
    lasts = round(streams.heard_s(it.samples.arrays["low", 0]) / streams.MOMENT_S)
    expected = np.ones(200, int)
    expected[50 : 50 + lasts] += 1
    expected[100:105] += 1
    expected[175:] = 0
    assert count.tolist() == expected.tolist()
    # It swells for 0.4 s, and is 20 dB down where a sine is a tenth: near its end.
    assert 0.3 < lasts * streams.MOMENT_S < 0.4


def test_too_many_cues_and_too_many_streams_are_found(tmp_path):
    it = theme_of(good(), tmp_path)
    minute = np.zeros((60 * RATE_HZ, 2), np.float32)
    layers = [Told(0.0, Level(f"l{n}", 0.5, 0.0, 0.0, 1.0)) for n in range(4)]
    cues = [(float(n), Cue(Event(name="x"), "low", 0)) for n in range(7)]
    states = [(0.0, Cue(State(name="s", value=0.5), "l0", "l0"))] * 9
    six, three = cues[:6] + states, layers[:3]
    assert not failed(mixes.eventfulness(it, rendering(minute, three, six)))
    lines = mixes.eventfulness(it, rendering(minute, layers, cues))
    assert [line.met for line in lines] == [False, False]


def test_a_step_at_a_joint_of_blocks_is_found():
    smooth = np.stack([tone(300.0, 2.0)] * 2, axis=1)
    assert mixes.joints(smooth).met
    stepped = smooth.copy()
    stepped[100 * 256 :] += 0.05
    assert not mixes.joints(stepped).met


def test_a_signal_that_is_not_accounted_for_is_found():
    tally = Tally()
    tally.signals, tally.cues = 3, 3
    silence = np.zeros((8, 2), np.float32)
    assert not failed(mixes.accounts("calm", rendering(silence, tally=tally)))
    tally.signals = 4
    assert failed(mixes.accounts("calm", rendering(silence, tally=tally)))


# ---- what comes again --------------------------------------------------------------


def test_noise_does_not_come_again_and_five_seconds_that_do_are_found():
    bed = noise(-36.0, 40.0)
    assert repeats.line(bed).met
    again = bed.copy()
    # At no multiple of any frame, and a little softer.
    again[30 * RATE_HZ + 1234 : 35 * RATE_HZ + 1234] = (
        0.7 * again[7 * RATE_HZ + 77 : 12 * RATE_HZ + 77]
    )
    line = repeats.line(again)
    assert not line.met
    assert "s and 3" in line.note


def test_a_loop_under_other_sound_is_found_while_it_is_what_one_hears():
    other = noise(-51.0, 40.0)
    loop = np.tile(noise(-36.0, 8.0), (5, 1))
    assert not repeats.line(other + np.roll(loop, 5 * RATE_HZ, axis=0)).met


def test_what_is_alike_by_chance_does_not_hide_what_is_alike():
    rng = np.random.default_rng(4)
    # So few codes that thousands are there twice.
    code = rng.integers(1, 100_000, 20_000, dtype=np.uint32)
    code[12_000:12_400] = code[3_000:3_400]
    code[12_000:12_400:8] ^= 5
    assert len(repeats.candidates(code)) == repeats.COMPARED
    one, two = repeats.candidates(code)[0]
    assert two - one == 9000
    assert 3_000 <= one < 3_400


def test_silence_does_not_count_as_alike_and_hides_nothing():
    bed = noise(-36.0, 30.0)
    bed[6 * RATE_HZ : 20 * RATE_HZ] = 0.0
    assert repeats.line(bed).met
    bed[24 * RATE_HZ :] = bed[: 6 * RATE_HZ]
    assert not repeats.line(bed).met


def test_sound_that_is_too_short_to_come_again_is_met():
    assert repeats.line(noise(-36.0, 4.0)).met


def test_sound_is_shrunk_alike_in_one_piece_or_in_many():
    sound = noise(-36.0, 1.0)
    shrinking = repeats.Shrinking()
    parts = [shrinking.feed(part) for part in np.split(sound, 40)]
    assert np.array_equal(np.concatenate(parts), repeats.Shrinking().feed(sound))


# ---- scripts -----------------------------------------------------------------------


def test_calm_and_storm_are_as_eventful_as_they_say():
    for course, seconds, count in ((CALM, 300.0, 30), (STORM, 60.0, 600)):
        script = minutes(course, seconds)
        assert [at.at_s for at in script] == sorted(at.at_s for at in script)
        said = [at.signal for at in script if isinstance(at.signal, Event)]
        assert len(said) == count
        notable = sum(event.tier is Tier.NOTABLE for event in said)
        assert notable == pytest.approx(course.notable * count, abs=0.05 * count)
        assert not any(event.tier is Tier.ALERT for event in said)
        assert script == minutes(course, seconds)
        assert script != minutes(course, seconds, seed=2)


def test_states_wander_where_they_should():
    low, high = CALM.states
    values = [at.signal.value for at in bed(CALM, 600.0)]
    assert low <= min(values) < low + 0.1
    assert high - 0.1 < max(values) <= high


def test_scripts_know_every_family_of_the_shipped_rules():
    assert len({event.family for event in events()}) == 8


# ---- pictures and the page ---------------------------------------------------------


def test_a_picture_shows_a_tone_at_its_pitch():
    picture = spectrogram(tone(3000.0, 1.0), 100)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert height == HEIGHT
    assert 90 <= width <= 110
    length = struct.unpack(">I", picture[33:37])[0]
    rows = np.frombuffer(zlib.decompress(picture[41 : 41 + length]), np.uint8)
    bright = rows.reshape(height, -1)[:, 1:].sum(axis=1, dtype=int)
    row = HEIGHT * np.log(16_000 / 3000) / np.log(16_000 / 60)
    assert abs(int(bright.argmax()) - row) < 4


def test_the_page_holds_the_table_and_marks_what_fails(tmp_path):
    lines = [Line("a < b", 1.0, "<= 2", True), Line("c", 3.0, "<= 2", False)]
    text = written(tmp_path, {"small: sounds": lines}, ["<h2>small</h2>"]).read_text()
    assert "a &lt; b" in text
    assert '<tr class="fail"><td>c</td><td>3</td>' in text
    assert text.index("small: sounds") < text.index("<h2>small</h2>")


# ---- with the real engine ----------------------------------------------------------


@pytest.mark.audio
@pytest.mark.slow
@pytest.mark.timeout(60)
def test_seconds_of_the_default_theme_are_rendered_measured_and_accounted_for():
    it = made("wetland")
    storm = render(it, minutes(STORM, 4.0), 4.0, bed=True)
    assert len(storm.sound) == len(storm.bed) == 4 * RATE_HZ
    assert {type(told.command) for told in storm.told} >= {Level, Play}
    assert not failed(mixes.accounts("storm", storm))
    met = {line.measure: line.met for line in mixes.loudness(storm, storm)}
    assert met["storm, momentary, LUFS"]
    assert met["storm, true peak, dBTP"]
    # The bed goes on where an event covers it.
    assert 0.0 < np.abs(storm.bed).max() < np.abs(storm.sound).max()


def windy(directory):
    it = theme_of(good(), directory)
    theme = Theme(
        name="windy",
        sounds=it.theme.sounds,
        families={"default": Voicing(sound="low")},
        layers={"wind": LayerSpec(name="wind", recipe="wind")},
        states={"default": Voicing(sound="wind")},
    )
    return it._replace(theme=theme)


@pytest.mark.audio
@pytest.mark.slow
def test_the_same_seed_makes_the_same_bytes_and_a_fault_there_is_found(tmp_path):
    it = windy(tmp_path)
    assert mixes.same_bytes(it, seconds=1.0).met
    # Without anything that a seed changes, it is no proof that seeds are heeded.
    silent = Theme(name="silent")
    assert not mixes.same_bytes(it._replace(theme=silent), seconds=1.0).met


@pytest.mark.audio
@pytest.mark.slow
def test_a_live_bed_does_not_come_again(tmp_path):
    line = hours.repeated(windy(tmp_path), 12.0)
    assert line.met
    assert line.value < 0.5
