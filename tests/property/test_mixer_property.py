"""For any signals at any times: each becomes one cue or one suppression."""

import random

from hypothesis import given
from hypothesis import strategies as st

from peep.mixer.commands import BEATS, PULSE_VOICE, VOICES, Beat, Level, Play
from peep.mixer.mixer import Mixer
from peep.mixer.voices import BACKLOG_EVENTS
from peep.signals import Event, Heartbeat, State, Tier
from peep.theme import (
    LayerSpec,
    PulseSpec,
    SoundBank,
    SoundSpec,
    Theme,
    Variant,
    Voicing,
)

BANK = SoundBank(
    {"a": (Variant(0.3, -20.0), Variant(9.0, -20.0)), "p": (Variant(1, 0),)}
)
THEME = Theme(
    name="t",
    sounds={name: SoundSpec(name=name) for name in BANK.variants},
    layers={"wind": LayerSpec(name="wind", recipe="wind")},
    families={"f": Voicing(sound="a")},
    states={"s": Voicing(sound="wind")},
    heartbeats={"h": Voicing(sound="a")},
    pulse=PulseSpec(sound="p"),
)
events = st.builds(
    Event,
    name=st.sampled_from(["x", "y"]),
    tier=st.sampled_from(Tier),
    family=st.sampled_from(["f", "f", "f", "none"]),
    count=st.integers(1, 1000),
)
states = st.builds(
    State, name=st.sampled_from(["s", "s.x", "q"]), value=st.floats(0, 1)
)
beats = st.builds(
    Heartbeat,
    name=st.sampled_from([f"h.{n}" for n in range(12)]),
    rate_hz=st.floats(0, 9),
)
steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.0, 0.01, 1.0, 7.0]),
        st.one_of(events, events, events, states, beats),
        st.sampled_from(["one", "two"]),
        st.sampled_from([0.0, 0.0, 9.0]),
        st.integers(1, 50),
    ),
    max_size=40,
)


def within_bounds(command):
    match command:
        case Play(voice=voice, sound=sound, variant=variant):
            known = 0 <= voice < VOICES or voice == PULSE_VOICE
            return known and variant < len(BANK.variants[sound])
        case Level(value=value):
            return value is None or 0 <= value <= 1
        case Beat(beat=beat):
            return 0 <= beat < BEATS


@given(steps, st.booleans())
def test_every_signal_becomes_one_outcome_and_no_bound_is_passed(steps, forget):
    mixer = Mixer(THEME, BANK, random.Random(1))
    now, fed, told = 0.0, 0, 0
    sounding = {}
    for wait, signal, origin, age_s, times in steps:
        now += wait
        commands = mixer.handle_timer(now)
        for _ in range(times):
            commands += mixer.feed(signal, now, origin, age_s)
            fed += 1
        if forget:
            commands += mixer.forget("one")
        while (outcome := mixer.next_event()) is not None:
            told += 1
            if isinstance(outcome.signal, Event) and hasattr(outcome, "place"):
                busy, tier = sounding.get(outcome.place, (0.0, Tier.ROUTINE))
                assert busy <= now or tier <= outcome.signal.tier, "stolen by less"
        for command in commands:
            assert within_bounds(command)
        assert fed - told <= BACKLOG_EVENTS
        due = mixer.next_timer()
        assert due is not None
    mixer.drain()
    while mixer.next_event() is not None:
        told += 1
    assert told == fed
