"""The listener of the tests, tried on mixes so small that what is right is plain."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import releases, spectra
from listening.classic import EXPIRY_S, LONE_GAIN, QUEUE, VOICES, Voices, Wanted
from listening.judging import Care, Ear, passing, shuffled, sureness, threshold
from listening.matching import COLLAR_S, Onset, Score, f1, pairs, scores, total
from listening.reading import STEP, Heard, fitted, noticed, partial_rank
from listening.repertoire import learned
from listening.search import Found
from listening.table import at_least

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ

SECONDS = 12
EVEN = Care(1.0, 0.5)
SOUNDS = ("whistle", "rattle", "gong")


def form(sound, seed):
    """A form of one of three sounds: a sweep, a row of taps, a low tone."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(round(0.5 * RATE_HZ)) / RATE_HZ
    if sound == "whistle":
        wave = np.sin(2 * np.pi * (1800 + 900 * at_s) * at_s + rng.uniform(0, 6))
    elif sound == "rattle":
        wave = rng.standard_normal(len(at_s)) * (at_s * 12 % 1 < 0.3)
    else:
        wave = sum(
            np.sin(2 * np.pi * hz * at_s + rng.uniform(0, 6)) for hz in (300, 830)
        )
    return 0.1 * wave * np.minimum(1, 80 * at_s) * np.exp(-4 * at_s)


def mix(*placed, seed=1):
    """Noise, with sounds: (when, which, gain)."""
    rng = np.random.default_rng(seed)
    wave = 0.003 * rng.standard_normal(SECONDS * RATE_HZ)
    for number, (at_s, sound, gain) in enumerate(placed):
        one = form(sound, 50 + number)
        start = round(at_s * RATE_HZ)
        wave[start : start + len(one)] += gain * one
    return wave


@pytest.fixture(scope="module")
def ear():
    forms = ((sound, form(sound, seed)) for sound in SOUNDS for seed in range(3))
    return Ear(learned(forms, rates=(1.0,)), dict.fromkeys(SOUNDS, 100.0))


def found(at_s, sound="whistle", evidence=100.0):
    return Found(at_s, sound, 1.0, evidence)


def cue(at_s, sound="whistle"):
    return Onset(at_s, sound)


def test_each_sound_is_found_where_it_is(ear):
    heard = ear.hears(
        mix((1.0, "gong", 1.0), (4.0, "rattle", 1.0), (8.5, "whistle", 1.0))
    )
    assert [one.sound for one in heard] == ["gong", "rattle", "whistle"]
    for one, at_s in zip(heard, (1.0, 4.0, 8.5), strict=True):
        assert abs(one.at_s - at_s) <= 0.1


def test_a_bed_alone_holds_nothing(ear):
    assert ear.hears(mix()) == []


def test_sounds_at_once_are_all_found(ear):
    heard = ear.hears(
        mix((5.0, "gong", 1.0), (5.05, "whistle", 1.0), (5.2, "rattle", 0.5))
    )
    assert sorted(one.sound for one in heard) == sorted(SOUNDS)


def test_a_loud_sound_is_found_once(ear):
    assert len(ear.hears(mix((5.0, "whistle", 3.0)))) == 1


def test_what_one_sound_explains_is_not_taken_for_its_part(ear):
    at_s = np.arange(round(0.5 * RATE_HZ)) / RATE_HZ
    part = 0.1 * np.sin(2 * np.pi * 830 * at_s) * np.exp(-4 * at_s)
    forms = {**ear.repertoire, **learned([("hum", part)], rates=(1.0,))}
    both = Ear(forms, {**ear.least, "hum": 50.0})
    only = Ear({"hum": forms["hum"]}, {"hum": 50.0})
    whole = mix((5.0, "gong", 1.0))
    assert [one.sound for one in only.hears(whole)] == ["hum"]
    assert [one.sound for one in both.hears(whole)] == ["gong"]


def test_two_of_a_sound_are_found_where_they_are_far_enough_apart(ear):
    heard = ear.hears(mix((5.0, "rattle", 1.0), (5.4, "rattle", 1.0)))
    assert [round(one.at_s, 1) for one in heard] == [5.0, 5.4]


def test_a_soft_sound_is_found_as_the_same(ear):
    (one,) = ear.hears(mix((5.0, "gong", 0.2)))
    assert one.sound == "gong"


def test_a_sound_that_nobody_was_taught_is_not_taken_for_another(ear):
    rattles = Ear({"rattle": ear.repertoire["rattle"]}, {"rattle": 100.0})
    assert rattles.hears(mix((2.0, "gong", 1.0), (6.0, "whistle", 1.0))) == []


def test_the_place_of_a_sound_changes_nothing():
    wave = mix((5.0, "gong", 1.0))
    left = np.column_stack((wave, np.zeros_like(wave)))
    middle = np.column_stack((wave, wave)) / math.sqrt(2)
    assert spectra.powers(left) == pytest.approx(spectra.powers(middle), rel=1e-3)


def test_the_bed_is_not_raised_by_events_and_follows_the_bed():
    quiet, busy = spectra.powers(mix()), spectra.powers(mix((5.0, "rattle", 3.0)))
    rise_db = 10 * np.log10(spectra.bed(busy) / spectra.bed(quiet))
    assert np.abs(rise_db).max() < 3.0
    louder = np.concatenate((mix(), 10 * mix()))
    bed_db = 10 * np.log10(spectra.bed(spectra.powers(louder)).mean(axis=1))
    assert bed_db[-1] - bed_db[0] == pytest.approx(20.0, abs=1.0)


def test_powers_are_at_least_the_floor():
    power = spectra.powers(np.zeros(RATE_HZ))
    assert power.shape == (51, spectra.BANDS)
    assert power.min() == power.max() == pytest.approx(spectra.FLOOR)


times = st.lists(st.floats(0, 3), max_size=6)


@given(times, times)
def test_no_way_to_match_gives_more_pairs(true_s, found_s):
    matched = pairs(true_s, found_s)
    assert len({row for row, _ in matched}) == len(matched)
    assert len({column for _, column in matched}) == len(matched)
    for row, column in matched:
        assert abs(true_s[row] - found_s[column]) <= COLLAR_S
    assert len(matched) == most_pairs(sorted(true_s), sorted(found_s))


def most_pairs(true_s, found_s):
    """On a line the earliest that fits is always as good as another."""
    count = 0
    rest = list(found_s)
    for at_s in true_s:
        near = [one for one in rest if abs(one - at_s) <= COLLAR_S]
        if near:
            rest.remove(near[0])
            count += 1
    return count


def test_of_two_found_the_nearer_one_is_it():
    assert pairs([1.0], [0.85, 1.05]) == [(0, 1)]


def test_what_is_found_twice_is_wrong_once_and_calls_of_a_cue_are_not():
    cues = [cue(1.0), cue(5.0)]
    calls = [cue(1.0), cue(1.6), cue(5.0)]
    each = scores(cues, calls, [found(1.05), found(1.6), found(3.0)], SOUNDS)
    score = each["whistle"]
    assert (score.cues, len(score.right), len(score.wrong)) == (2, 1, 1)
    assert score.wrong[0].at_s == 3.0
    assert score.recall == 0.5
    assert f1(total(each)) == pytest.approx(2 / 4)
    assert math.isnan(each["gong"].recall)


def test_a_sound_found_in_the_place_of_another_is_a_miss_and_a_mistake():
    each = scores([cue(1.0, "gong")], [], [found(1.0)], SOUNDS)
    assert (each["gong"].recall, len(each["whistle"].wrong)) == (0.0, 1)


def test_shuffled_names_are_not_recognised():
    cues = [cue(float(at_s), str(at_s % 20)) for at_s in range(100)]
    hits = [found(one.at_s, one.sound) for one in cues]
    names = {one.sound for one in cues}
    assert total(scores(cues, [], hits, names)).recall == 1.0
    assert shuffled(cues, [], hits, names) < 0.1


def scored(right, wrong):
    return Score(
        len(right),
        tuple(found(0.0, evidence=one) for one in right),
        tuple(found(0.0, evidence=one) for one in wrong),
    )


def test_to_be_sure_is_between_the_false_and_the_true():
    told = [scored([1000.0, 2000.0], [50.0]), scored([900.0], [])]
    low, high = threshold(told, EVEN), threshold(told, Care(1.0, 0.75))
    assert 50.0 < low < high < 900.0
    assert low == pytest.approx(math.sqrt(50.0 * 900.0))


def test_one_true_sound_is_given_up_for_two_false_ones():
    least = threshold([scored([100.0, 1000.0], [200.0, 300.0])], EVEN)
    assert 300.0 < least < 1000.0


def test_no_true_sound_is_worth_a_false_one_where_that_is_dear():
    right, wrong = [100.0, 150.0, 200.0, 1000.0], [300.0]
    assert threshold([scored(right, wrong)], EVEN) < 100.0
    assert threshold([scored(right, wrong)], Care(100.0, 0.5)) > 300.0


def test_what_was_never_heard_needs_more_than_all_that_was_false():
    assert threshold([scored([], [500.0])], EVEN) > 500.0


@given(
    st.lists(st.floats(20, 1e4), max_size=8), st.lists(st.floats(20, 1e4), max_size=8)
)
def test_no_other_least_makes_fewer_mistakes(right, wrong):
    def mistakes(least):
        return sum(one < least for one in right) + sum(one >= least for one in wrong)

    # A hair's breadth off, for what is rounded.
    least = threshold([scored(right, wrong)], EVEN) * (1 - 1e-12)
    tried = [0.0, *right, *(one * 1.0001 for one in (*right, *wrong))]
    assert mistakes(least) <= min(mistakes(one) for one in tried)


def test_sureness_is_evidence_where_the_fit_is_good():
    assert sureness(Found(0.0, "gong", 0.5, 300.0)) == 150.0


def test_a_tail_far_below_passes_hardly_ever_and_a_near_one_often():
    assert passing([]) == 0.0
    assert passing([0.01, 0.012, 0.015, 0.011]) < 1e-5
    assert passing([0.3, 0.9, 0.5, 0.8]) > 0.5
    assert 0.0 < passing([0.1]) <= 0.1


# -- states --------------------------------------------------------------------------


def readings(seed, seconds=400.0):
    """Two layers that step, and features that follow them and noise."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(8.0, seconds, 0.5)
    levels = {}
    changes = {}
    for layer, first in (("wind", 0.0), ("rain", 13.0)):
        starts = np.arange(first, seconds, 26.0)
        values = [0.5 + STEP * (number % 2) for number in range(len(starts))]
        levels[layer] = np.array(
            [values[np.searchsorted(starts, at) - 1] for at in at_s]
        )
        steps = itertools.pairwise(zip(starts, values, strict=True))
        changes[layer] = [(at, new - old) for (_, old), (at, new) in steps]
    features = np.column_stack(
        (
            10 * levels["wind"] + 10 * levels["rain"],
            10 * levels["wind"] - 10 * levels["rain"],
            rng.standard_normal(len(at_s)),
        )
    )
    return Heard(
        at_s, features + 0.2 * rng.standard_normal(features.shape), levels, changes
    )


def test_a_reader_follows_each_of_two_layers_by_itself():
    taught, asked = readings(1), readings(2)
    read = fitted(taught, asked)
    for layer in asked.levels:
        assert partial_rank(asked.levels, layer, read[layer]) > 0.8
        right, of = noticed(asked, layer, read[layer])
        assert right == of > 10


def test_who_reads_the_other_layer_knows_nothing_of_this_one():
    asked = readings(2)
    rng = np.random.default_rng(3)
    other = asked.levels["rain"] + 0.1 * rng.standard_normal(len(asked.at_s))
    assert abs(partial_rank(asked.levels, "wind", other)) < 0.2


def test_what_another_layer_explains_is_no_credit():
    rng = np.random.default_rng(3)
    rain = rng.uniform(size=500)
    levels = {"rain": rain, "wind": rain + 0.3 * rng.standard_normal(500)}
    assert np.corrcoef(levels["wind"], rain)[0, 1] > 0.6
    assert abs(partial_rank(levels, "wind", rain + 0.05 * rng.uniform(size=500))) < 0.2


def test_steps_are_not_noticed_by_who_reads_nothing_or_the_wrong_way():
    asked = readings(2)
    count = len(asked.at_s)
    assert noticed(asked, "wind", np.full(count, 0.5))[0] == 0
    assert noticed(asked, "wind", 1.0 - asked.levels["wind"])[0] == 0


@pytest.mark.parametrize("loud", [0.1, 0.2, 0.5])
def test_who_reads_noise_notices_half_of_the_steps_at_best(loud):
    asked = readings(2)
    noise = np.random.default_rng(3).standard_normal((20, len(asked.at_s)))
    guesses = [noticed(asked, "wind", 0.5 + loud * one) for one in noise]
    right, of = map(sum, zip(*guesses, strict=True))
    assert right <= 0.55 * of


# -- classic -------------------------------------------------------------------------


def wanted(order, at_s, seconds=1.0):
    return Wanted(order, at_s, np.ones(round(seconds * RATE_HZ), np.float32), 0.0)


def test_the_gains_of_a_crowd_sink_as_the_law_says():
    voices = Voices()
    for _ in range(8):
        voices.take(0.0, wanted(0, 0.0))
    gains = [take.gain for take in voices.end(0.0)]
    known = (0.5, 0.26, 0.129, 0.061, 0.028, 0.012, 0.005, 0.002)
    assert gains == pytest.approx(known, abs=0.001)
    assert gains[0] == LONE_GAIN


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(-2, 0)), max_size=80))
def test_classic_never_passes_its_voices_nor_a_sum_of_one(events):
    voices = Voices()
    for at_s, order in sorted(events):
        voices.take(at_s, wanted(order, at_s))
    takes = voices.end(100.0)
    assert len(takes) <= len(events)
    for take in takes:
        others = [one for one in takes if one.at_s <= take.at_s < one.until_s]
        assert len(others) <= VOICES
        assert sum(one.gain for one in others) <= 1.0 + 1e-9


def test_an_alert_cuts_off_the_oldest_routine_sound_and_routine_ones_wait():
    voices = Voices()
    for number in range(VOICES):
        voices.take(0.01 * number, wanted(0, 0.01 * number, 2.0))
    voices.take(0.5, wanted(0, 0.5))
    voices.take(0.6, wanted(-2, 0.6))
    takes = voices.end(10.0)
    assert takes[0].until_s == 0.6
    (alert,) = [take for take in takes if take.order == -2]
    assert alert.at_s == 0.6
    late = max(takes, key=lambda take: take.at_s)
    assert late.at_s == pytest.approx(1.6)  # where the alert ended


def test_what_waits_too_long_or_in_too_long_a_queue_is_never_heard():
    voices = Voices()
    long_s = EXPIRY_S + 2.0
    for _ in range(VOICES):
        voices.take(0.0, wanted(0, 0.0, long_s))
    voices.take(0.5, wanted(0, 0.5))
    voices.take(long_s - 1, wanted(0, long_s - 1))
    assert len(voices.end(30.0)) == VOICES + 1
    voices = Voices()
    for number in range(VOICES + QUEUE + 5):
        voices.take(0.0, wanted(0, 0.0, 0.1 if number >= VOICES else 1.0))
    assert len(voices.end(30.0)) == VOICES + QUEUE


# -- the product ---------------------------------------------------------------------


@pytest.mark.audio
@pytest.mark.slow
def test_what_the_product_cues_is_heard_and_what_is_taken_out_is_not():
    from listening.performance import perform, without  # noqa: PLC0415 - loads pyo
    from listening.rendering import At, Made  # noqa: PLC0415

    from peep.signals import Event, State, Tier  # noqa: PLC0415
    from peep.sound.samples import make_samples  # noqa: PLC0415
    from peep.theme import LayerSpec, SoundSpec, Theme, Voicing  # noqa: PLC0415

    def sounds(seed):
        specs = {
            "drop": SoundSpec(name="drop", recipe="drop", variants=2),
            "frog": SoundSpec(name="frog", recipe="frog", variants=2),
            "bell": SoundSpec(name="bell", recipe="bell", variants=2, level="alert"),
        }
        theme = Theme(
            name="small",
            seed=seed,
            sounds=specs,
            layers={"wind": LayerSpec(name="wind", recipe="wind")},
            families={"web": Voicing(sound="drop"), "access": Voicing(sound="frog")},
            alerts={"default": Voicing(sound="bell")},
            states={"default": Voicing(sound="wind")},
        )
        return theme, make_samples(theme, None)

    theme, samples = sounds(1)
    arrays = [
        (name, array)
        for seed in (2, 3)
        for (name, _), array in sounds(seed)[1].arrays.items()
    ]
    ear = Ear(learned(arrays, rates=(1.0,)), {})
    rng = random.Random(1)
    script = [At(0.0, State(name="system.load", value=0.5, host="a"))]
    for number in range(8):
        family = rng.choice(("web", "access"))
        script.append(At(1.0 + number, Event(name=f"{family}.it", family=family)))
    script.append(At(9.5, Event(name="disk.failing", tier=Tier.ALERT)))
    it = Made(theme, samples, None)
    whole = perform(it, script, 11.0, seed=1)
    assert [one.alert for one in whole.cues] == [False] * 8 + [True]
    each = scores(whole.cues, whole.calls, ear.hears(whole.sound), theme.sounds)
    assert total(each).recall == 1.0
    assert total(each).wrong == ()
    muted = perform(without(it, ("frog",)), script, 11.0, seed=1)
    each = scores(muted.cues, muted.calls, ear.hears(muted.sound), theme.sounds)
    assert each["frog"].cues > 0
    assert each["frog"].recall == 0.0
    assert each["drop"].recall == each["bell"].recall == 1.0


# -- releases ------------------------------------------------------------------------


def test_what_fell_by_more_than_a_little_since_the_last_release_is_not_met(tmp_path):
    released = tmp_path / "released.json"
    released.write_text('{"wetland": {"F1": 0.98, "recall": 0.9}}', encoding="utf-8")
    now = [at_least("F1", 0.97, 0.85), at_least("recall", 0.86, 0.8)]
    line = releases.line("wetland", now, released)
    assert (line.met, line.note) == (False, "recall")
    assert line.value == pytest.approx(0.04)
    assert releases.line("wetland", now[:1], released).met
    assert releases.line("dry", now, released).met
