"""What a sound card is given is what is rendered: PulseAudio's null sink, recorded."""

import re
import select

import numpy as np
import psutil
import pytest
import soundfile
from onsets import found_at, likeness

from peep.clock import SystemClock
from peep.mixer.commands import Beat, Level, Play
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.live import LiveEngine
from peep.sound.offline import OfflineEngine
from peep.sound.samples import make_samples
from peep.theme import LayerSpec, SoundSpec, Theme

pytestmark = [
    pytest.mark.audio,
    pytest.mark.device,
    pytest.mark.slow,
    pytest.mark.timeout(120),
]

CLOCK = SystemClock()
PATIENCE_S = 15.0
SEED = 3
TRIES = 4  # on a machine that is hogged, a recording may have gaps
NAMES = ("frog", "drop", "bell", "stone")
HEAD_FRAMES = SAMPLE_RATE_HZ // 10  # what no later sound lies upon
THEME = Theme(
    name="test",
    sounds={n: SoundSpec(name=n, recipe=n, variants=2) for n in NAMES},
    layers={"wind": LayerSpec(name="wind", recipe="wind")},
)
SETTLING_S = 1.0
NOTICED_S = 2.2  # until a gap is counted


@pytest.fixture
def live(tmp_path):
    made = []

    def make():
        made.append(LiveEngine(THEME, tmp_path, "device", SEED))
        made[-1].start()
        return made[-1]

    yield make
    for engine in made:
        engine.stop()


@pytest.fixture
def arrays(tmp_path):
    return make_samples(THEME, tmp_path).arrays


def until(engine, condition):
    """Wait, woken by the engine's own reports, until something holds."""
    deadline = CLOCK.now() + PATIENCE_S
    while not condition():
        assert CLOCK.now() < deadline, "it never happened"
        select.select([engine.fileno()], [], [], 0.1)


def played(engine, seconds):
    """Let the card play for so long."""
    goal = engine.frames + round(seconds * SAMPLE_RATE_HZ)
    until(engine, lambda: engine.frames >= goal)


def first_sound(sound):
    return int(np.argmax(np.abs(sound).max(axis=1) > 1e-4))


def test_a_card_is_given_what_is_rendered_sample_for_sample(pulse, live, tmp_path):
    # Beats: the engine itself keeps their time, so nothing depends on when we ask.
    commands = [
        Beat(0, "frog", 1.9, -6.0, -0.7),
        Beat(1, "drop", 2.6, -9.0, 0.5),
        Beat(2, "bell", 0.6, -12.0, 0.0),
    ]
    offline = OfflineEngine(THEME, tmp_path, tmp_path / "a.wav", SEED)
    offline.start()
    offline.send(commands)
    offline.advance(5.0)
    offline.stop()
    rendered, _ = soundfile.read(tmp_path / "a.wav")
    rendered = rendered[first_sound(rendered) :]

    pulse.start()
    for _ in range(TRIES):
        engine = live()
        recorder = pulse.record()
        played(engine, SETTLING_S)
        before = engine.meters().underruns
        engine.send(commands)
        played(engine, 5.0 + NOTICED_S)
        underruns = engine.stop().underruns - before
        heard = recorder.stop()
        heard = heard[first_sound(heard) :][: len(rendered)]
        differs = np.abs(heard - rendered[: len(heard)]).max()
        if differs < 1e-3:  # a file of 16 bits is not finer
            break
        assert underruns
    assert len(heard) == len(rendered)
    assert differs < 1e-3


def test_cues_are_where_they_were_asked_for_in_their_order(pulse, live, arrays):
    pulse.start()
    engine = live()  # one, for its reserve grows where the machine is hogged
    for _ in range(TRIES):
        recorder = pulse.record()
        played(engine, NOTICED_S)
        before_all = engine.meters().underruns
        asked = []
        for n in range(10):
            name, variant = NAMES[n * 3 % 4], n // 4 % 2
            before = engine.ring.frames
            engine.send([Play(n, name, variant, -6.0, (n - 5) / 5)])
            asked.append((arrays[name, variant][:HEAD_FRAMES], before))
            asked[-1] += (engine.ring.frames,)
            played(engine, 0.5)
        played(engine, NOTICED_S)
        underruns = engine.meters().underruns - before_all
        heard = recorder.stop().sum(axis=1)
        if not underruns:
            break
    assert not underruns, "this machine is too busy for sound"
    # The recording began at another time than the engine: by how much, is the same for
    # all. Each is looked for from where the last one was.
    begin, places = 0, []
    for sound, before, after in asked:
        at = found_at(heard[begin:], sound)
        assert at is not None, f"number {len(places) + 1} is not heard"
        begin += at
        places.append((begin, before, after))
    # A command acts at the next block that is made: after all that was made before it
    # was sent, and at most a block after what was made when it had been.
    earliest = max(at - after - BLOCK_FRAMES for at, _, after in places)
    latest = min(at - before for at, before, _ in places)
    assert earliest <= latest + BLOCK_FRAMES


def test_a_sound_that_was_not_played_is_not_found(arrays):
    frog, *others = (arrays[name, 0][:HEAD_FRAMES] for name in NAMES)
    heard = np.concatenate((np.zeros(5000), frog, np.zeros(5000)))
    assert found_at(heard, frog) == 5000
    assert [found_at(heard, other) for other in others] == [None] * 3
    assert likeness(heard, frog).max() == pytest.approx(1.0)


def test_after_the_sound_server_was_killed_and_started_all_sounds_again(
    pulse, live, arrays
):
    daemon = pulse.start()
    engine = live()
    engine.send([Beat(0, "frog", 2.0, 0.0, 0.0), Level("wind", 0.3, -12.0, 0.0, 0.1)])
    assert strokes(pulse, engine, arrays) >= 4
    daemon.kill()
    daemon.wait()
    until(engine, lambda: engine.failure() is not None)
    pulse.start()
    until(engine, lambda: engine.failure() is None)
    assert strokes(pulse, engine, arrays) >= 4


def test_a_card_that_was_torn_thrice_is_opened_again_and_holds_more(pulse, live):
    pulse.start()
    engine = live()
    played(engine, SETTLING_S + 1.0)
    process = psutil.Process(engine._process.pid)
    before, reserve_ms = streams(pulse), held_ms(pulse)
    for _ in range(2 * TRIES):
        process.suspend()
        select.select([], [], [], 0.3)
        process.resume()
        played(engine, 2.5)  # what is opened anew is looked at after a second
        if streams(pulse) != before:
            break
    assert engine.meters().underruns >= 3
    assert len(streams(pulse) - before) == 1
    assert held_ms(pulse) > reserve_ms
    assert engine.failure() is None


def streams(pulse):
    """The numbers of what plays into the sound server."""
    return set(
        re.findall(r"^Sink Input #(\d+)", pulse.asked("sink-inputs"), re.MULTILINE)
    )


def held_ms(pulse):
    """What the sound server holds of the only stream at most, in a few looks."""
    return max(
        int(us) / 1000
        for _ in range(10)
        for us in re.findall(r"Buffer Latency: (\d+) usec", pulse.asked("sink-inputs"))
    )


def strokes(pulse, engine, arrays):
    """Record three seconds; return how many frogs are in them, over the wind."""
    recorder = pulse.record()
    until(engine, lambda: recorder.frames > 3.5 * SAMPLE_RATE_HZ)
    heard = recorder.stop().sum(axis=1)[SAMPLE_RATE_HZ // 2 :]
    quiet = np.abs(heard[: len(heard) // 480 * 480].reshape(-1, 480)).max(axis=1)
    assert np.median(quiet) > 1e-5  # the wind
    found = 0
    for variant in range(2):
        values = likeness(heard, arrays["frog", variant])
        there = np.flatnonzero(values > 0.7)
        found += len(there) and 1 + int((np.diff(there) > SAMPLE_RATE_HZ // 5).sum())
    return found
