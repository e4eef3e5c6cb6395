"""The graph of pyo objects, heard block by block."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.errors import EngineError
from peep.mixer.commands import BEATS, PULSE_VOICE, Beat, Bus, Level, Play, Stop
from peep.sound.buses import SUMMED
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.pyo_engine.graph import Graph
from peep.sound.samples import Samples
from peep.theme import LayerSpec, SoundBank, Theme

pytestmark = pytest.mark.audio

LAYERS = {name: LayerSpec(name=name, recipe=name) for name in ("wind", "stream")}
THEME = Theme(name="test", layers=LAYERS)


def tone(hz, seconds, level=0.5):
    t_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    edges = np.minimum(1, np.minimum(t_s, t_s[::-1]) / 0.01)
    return (level * edges * np.sin(2 * np.pi * hz * t_s)).astype(np.float32)


SAMPLES = Samples(
    {
        ("long", 0): tone(220, 2.0),
        ("short", 0): tone(700, 0.05),
        ("short", 1): tone(900, 0.05),
    },
    SoundBank({}),
)


def graph(seed=1):
    return Graph(THEME, SAMPLES, seed)


def summed(made):
    """The next block of all buses together, at full gain."""
    return made.block().reshape(BLOCK_FRAMES, SUMMED, 2).sum(axis=1)


def heard(made, seconds):
    count = math.ceil(seconds * SAMPLE_RATE_HZ / BLOCK_FRAMES)
    return np.concatenate([summed(made) for _ in range(count)])


def play(voice=0, sound="long", variant=0, gain_db=0.0, pan=0.0):
    return Play(voice, sound, variant, gain_db, pan)


def first_sound(sound):
    return int(np.flatnonzero(np.abs(sound).max(axis=1) > 1e-4)[0])


def bend(sound):
    """The sharpest corner in a sound: clicks have one, tones have not."""
    return float(np.abs(np.diff(sound, 2, axis=0)).max())


def centroid_hz(sound):
    power = np.abs(np.fft.rfft(sound, axis=0)).sum(axis=1) ** 2
    return float((power * np.fft.rfftfreq(len(sound), 1 / 48_000)).sum() / power.sum())


def onsets(sound):
    """Where strokes of a short sound begin: loud after 60 ms of silence."""
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > 0.01)
    gaps = np.diff(loud, prepend=-SAMPLE_RATE_HZ)
    return loud[gaps > 0.02 * SAMPLE_RATE_HZ]


def test_a_graph_that_was_told_nothing_is_exactly_silent():
    assert not heard(graph(), 0.2).any()


def test_a_play_sounds_from_the_next_block_on_as_it_was_made():
    made = graph()
    heard(made, 0.1)
    made.apply(play(gain_db=-6.0, pan=-1.0))
    sound = heard(made, 2.2)
    want = SAMPLES.arrays["long", 0] * 10 ** (-6 / 20)
    # but for the half millisecond of attack
    assert np.abs(sound[30 : len(want), 0] - want[30:]).max() < 1e-4
    assert not sound[len(want) :].any()  # nor does it begin again


@pytest.mark.parametrize("pan", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_a_pan_moves_a_play_and_keeps_its_power(pan):
    made = graph()
    made.apply(play(pan=pan))
    left, right = np.square(heard(made, 1.0)).mean(axis=0)
    angle = math.atan2(math.sqrt(right), math.sqrt(left))
    assert angle == pytest.approx((pan + 1) * math.pi / 4, abs=0.01)
    power = np.square(SAMPLES.arrays["long", 0][:SAMPLE_RATE_HZ]).mean()
    assert left + right == pytest.approx(power, rel=0.02)


def test_a_stolen_voice_ends_in_a_fade_and_the_new_sound_starts_at_once():
    made = graph()
    made.apply(play())
    before = heard(made, 0.5)
    made.apply(play(sound="short", pan=1.0))
    after = heard(made, 0.3)
    both = np.concatenate((before, after))
    assert first_sound(after[:, 1:] - before[-1, 1]) < 10
    assert bend(both) < 3 * bend(tone(700, 0.05))
    assert not after[SAMPLE_RATE_HZ // 10 :].any()


def test_a_voice_stolen_again_and_again_never_clicks_and_the_last_sound_is_heard():
    made = graph()
    made.apply(play())
    sound = [heard(made, 0.3)]
    for _ in range(6):
        made.apply(play(pan=0.5))
        sound.append(summed(made))
    made.apply(play(sound="short"))
    sound.append(heard(made, 0.5))
    assert bend(np.concatenate(sound)) < 3 * bend(tone(700, 0.05))
    assert np.abs(sound[-1][:3000]).max() > 0.2
    assert not sound[-1][SAMPLE_RATE_HZ // 5 :].any()


@pytest.mark.parametrize("bus", [Bus.BED, Bus.EVENTS, Bus.ALERTS])
def test_a_play_sounds_on_its_bus_alone(bus):
    made = graph()
    made.apply(msgspec.structs.replace(play(), bus=bus))
    block = made.block().reshape(BLOCK_FRAMES, SUMMED, 2)
    assert [bool(block[:, n].any()) for n in range(SUMMED)] == [
        n == bus for n in range(SUMMED)
    ]


def test_layers_and_beats_are_the_bed():
    made = graph()
    made.apply(Level("wind", 0.5, 0.0, 0.0, 0.03))
    made.apply(Beat(0, "short", 2.0, 0.0, 0.0))
    blocks = [made.block().copy() for _ in range(20)]
    assert np.array(blocks)[:, :, :2].any()
    assert not np.array(blocks)[:, :, 2:].any()


@pytest.mark.parametrize("rate", [0.5, 0.94, 1.06, 9.0])
def test_a_rate_makes_a_play_higher_and_shorter(rate):
    made = graph()
    made.apply(msgspec.structs.replace(play(), rate=rate))
    sound = heard(made, 4.5)
    rate = min(rate, 2.0)
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > 1e-4)
    assert loud[-1] / SAMPLE_RATE_HZ == pytest.approx(2.0 / rate, abs=0.02)
    assert centroid_hz(sound) == pytest.approx(220 * rate, rel=0.01)


def test_a_stopped_voice_is_silent_within_a_tenth_of_a_second_and_makes_no_step():
    made = graph()
    made.apply(play())
    steady = heard(made, 0.5)
    made.apply(Stop(0))
    end = heard(made, 0.3)
    assert not end[round(0.03 * SAMPLE_RATE_HZ) :].any()
    assert bend(end) < 8 * bend(steady[1000:])


def test_what_waits_for_a_stopped_voice_is_not_heard():
    made = graph()
    for _ in range(3):  # one sounds, one fades, one waits
        made.apply(play())
    made.apply(Stop(0))
    assert not heard(made, 0.3)[round(0.05 * SAMPLE_RATE_HZ) :].any()


def test_a_voice_can_be_used_any_number_of_times():
    made = graph()
    for _ in range(20):
        made.apply(play(voice=PULSE_VOICE, sound="short"))
        assert np.abs(heard(made, 0.08)).max() > 0.3


def test_all_voices_sound_together():
    made = graph()
    for voice in range(PULSE_VOICE + 1):
        made.apply(play(voice=voice, gain_db=-40, pan=-1))
    sound = heard(made, 0.5)[-4800:, 0]
    one = SAMPLES.arrays["long", 0][24_000 - 4800 : 24_000] * 0.01
    assert np.abs(sound).max() == pytest.approx(33 * np.abs(one).max(), rel=0.01)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    def take(seed):
        made = graph(seed)
        for layer in LAYERS:
            made.apply(Level(layer, 0.5, 0.0, 0.0, 0.1))
        made.apply(Beat(0, "short", 4.0, 0.0, 0.0))
        return heard(made, 1.0)

    first = take(7)
    assert np.array_equal(first, take(7))
    assert not np.array_equal(first, take(8))


@pytest.mark.parametrize(
    "command",
    [
        play(sound="unknown"),
        play(variant=9),
        play(voice=PULSE_VOICE + 1),
        play(voice=-1),
        play(gain_db=math.nan),
        play(pan=math.inf),
        Play(0, "long", 0, 0.0, 0.0, Bus.MASTER),
        Play(0, "long", 0, 0.0, 0.0, Bus.EVENTS, math.nan),
        Stop(-1),
        Stop(PULSE_VOICE + 1),
        Level("unknown", 0.5, 0.0, 0.0, 1.0),
        Level("wind", math.nan, 0.0, 0.0, 1.0),
        Level("wind", 0.5, 0.0, 0.0, math.inf),
        Beat(0, "unknown", 1.0, 0.0, 0.0),
        Beat(BEATS, "short", 1.0, 0.0, 0.0),
        Beat(0, "short", -1.0, 0.0, 0.0),
        Beat(0, "short", math.nan, 0.0, 0.0),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(command):
    made = graph()
    assert not made.apply(command)
    assert not heard(made, 0.02).any()


NUMBERS = st.floats(width=32) | st.sampled_from([0.0, 0.5, 1.0, -1.0, 3.0])
COMMANDS = st.one_of(
    st.builds(
        Play,
        st.integers(-1, PULSE_VOICE + 1),
        st.sampled_from(["long", "short", ""]),
        st.integers(-1, 2),
        NUMBERS,
        NUMBERS,
        st.sampled_from(Bus),
        NUMBERS,
    ),
    st.builds(Stop, st.integers(-1, PULSE_VOICE + 1)),
    st.builds(
        Level,
        st.sampled_from(["wind", "stream", ""]),
        st.none() | NUMBERS,
        NUMBERS,
        NUMBERS,
        NUMBERS,
    ),
    st.builds(
        Beat,
        st.integers(-1, BEATS),
        st.sampled_from(["short", ""]),
        NUMBERS,
        NUMBERS,
        NUMBERS,
    ),
)


def test_no_commands_whatever_break_it():
    made = graph()

    @settings(max_examples=60, deadline=None)
    @given(st.lists(COMMANDS, max_size=12))
    def check(commands):
        for command in commands:
            made.apply(command)
        assert np.isfinite(made.block()).all()

    check()


def test_a_new_graph_takes_over_from_the_one_before():
    old = graph()
    old.apply(play())
    new = graph()
    assert not heard(new, 0.1).any()
    new.apply(play(sound="short"))
    assert heard(new, 0.1).any()


def test_a_layer_of_an_unknown_recipe_is_refused_by_name():
    theme = Theme(name="t", layers={"sea": LayerSpec(name="sea", recipe="whale")})
    with pytest.raises(
        EngineError, match=r"layer sea: no recipe 'whale'.*rain, .*stream"
    ):
        Graph(theme, SAMPLES, 1)


def test_a_layer_takes_its_fade_to_get_there():
    made = graph()
    made.apply(Level("stream", 1.0, 0.0, 0.0, 2.0))
    power = np.square(heard(made, 3.0)).mean(axis=1)
    early, halfway, there = (
        power[at : at + 9600].mean() for at in (0, 48_000, 120_000)
    )
    assert early < 0.02 * there
    assert 0.1 * there < halfway < 0.6 * there


def test_a_layer_without_a_value_falls_silent_and_can_be_woken():
    made = graph()
    made.apply(Level("wind", 0.5, 0.0, 0.0, 0.05))
    assert heard(made, 0.5)[-9600:].any()
    made.apply(Level("wind", None, 0.0, 0.0, 5.0))
    assert heard(made, 0.2)[-256:].any()
    made.apply(Level("wind", None, 0.0, 0.0, 0.05))  # sooner, after all
    made.apply(Level("wind", None, 0.0, 0.0, 60.0))  # not later again
    assert not heard(made, 0.2)[-4800:].any()
    made.apply(Level("wind", 0.5, 0.0, 0.0, 0.05))
    assert heard(made, 0.5)[-9600:].any()


def test_a_layer_can_be_placed_and_turned_down():
    made = graph()
    made.apply(Level("stream", 0.5, 0.0, 0.0, 0.05))
    middle = np.square(heard(made, 2.0)[9600:]).mean(axis=0)
    made = graph()
    made.apply(Level("stream", 0.5, -20.0, -1.0, 0.05))
    left = np.square(heard(made, 2.0)[9600:]).mean(axis=0)
    assert left[1] < 1e-9 * left[0]
    assert left[0] == pytest.approx(2 * middle[0] / 100, rel=0.02)


@pytest.mark.parametrize("rate_hz", [0.9, 2.0, 5.0])
def test_a_beat_keeps_its_rate_with_a_human_hand(rate_hz):
    made = graph()
    made.apply(Beat(3, "short", rate_hz, -6.0, 0.3))
    strokes = onsets(heard(made, 10.0))
    assert strokes[0] < BLOCK_FRAMES
    assert len(strokes) == pytest.approx(10 * rate_hz, abs=1)
    periods = np.diff(strokes) / SAMPLE_RATE_HZ
    assert np.abs(periods * rate_hz - 1).max() < 0.08 + 0.02 * rate_hz
    assert len(set(periods)) > 3


def test_a_beat_stops_at_rate_zero_and_begins_again_at_once():
    made = graph()
    made.apply(Beat(0, "short", 4.0, 0.0, 0.0))
    heard(made, 1.0)
    made.apply(Beat(0, "", 0.0, 0.0, 0.0))
    assert not heard(made, 1.0)[9600:].any()
    made.apply(Beat(0, "short", 4.0, 0.0, 0.0))
    assert first_sound(heard(made, 0.1)) < BLOCK_FRAMES


def test_a_beat_told_the_same_again_does_not_stumble():
    made = graph()
    sound = []
    for _ in range(40):
        made.apply(Beat(0, "short", 2.0, 0.0, 0.0))
        sound.append(heard(made, 0.1))
    assert len(onsets(np.concatenate(sound))) == pytest.approx(8, abs=1)


def test_a_beat_that_quickens_does_so_at_once_and_without_a_burst():
    made = graph()
    made.apply(Beat(0, "short", 0.1, 0.0, 0.0))
    heard(made, 5.0)
    made.apply(Beat(0, "short", 4.0, 0.0, 0.0))
    strokes = onsets(heard(made, 2.0))
    assert strokes[0] < SAMPLE_RATE_HZ // 4
    assert len(strokes) == pytest.approx(8, abs=1)


def test_a_beat_is_no_faster_than_can_be_heard():
    made = graph()
    made.apply(Beat(0, "short", 1e6, 0.0, 0.0))
    sound = heard(made, 1.0)
    assert 0.1 < np.abs(sound).max() < 1.3
