"""Mute silences what sounds within a tenth of a second: the real mixer and chain."""

import random

import numpy as np
import pytest

from peep.config.themes import load_theme
from peep.mixer import controls
from peep.mixer.controls import ALL, Mute, Scope, Snooze, Solo
from peep.mixer.mixer import Mixer
from peep.signals import Event, Heartbeat, State, Tier
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.master import Master
from peep.sound.pyo_engine.graph import Graph
from peep.sound.samples import make_samples

pytestmark = [pytest.mark.audio, pytest.mark.slow]

WITHIN_S = 0.1
SILENCE = 10 ** (-80 / 20)
BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
FAMILIES = ("access", "refusal", "mail", "web", "database", "system", "network", "job")


@pytest.fixture(scope="module")
def made():
    theme, directory = load_theme("wetland")
    return theme, make_samples(theme, directory)


class Room:
    """A mixer and an engine, heard block by block."""

    def __init__(self, made):
        theme, samples = made
        self.mixer = Mixer(theme, samples.bank, random.Random(1))
        self._master = Master(Graph(theme, samples, 1))
        self.now = 0.0

    def hear(self, seconds):
        """Let time pass; return what is heard."""
        blocks = []
        for _ in range(round(seconds / BLOCK_S)):
            due = self.mixer.next_timer()
            if due is not None and due <= self.now:
                self._master.apply(self.mixer.handle_timer(self.now))
            blocks.append(self._master.block())
            self.now += BLOCK_S
        return np.concatenate(blocks)

    def feed(self, signal, origin="a"):
        self._master.apply(self.mixer.feed(signal, self.now, origin, class_name="c"))

    def act(self, act):
        self._master.apply(self.mixer.control(act, self.now))

    def full(self, host="h"):
        """Let one-shots of all tiers and families, a state and a heartbeat sound."""
        self.feed(State(name="system.load", value=0.9, host=host))
        self.feed(Heartbeat(name="beat.b", rate_hz=7.0, host=host))
        self.hear(1.0)
        for n, family in enumerate(FAMILIES):
            self.feed(Event(name=f"x.{family}", family=family, host=host))
            tier = Tier.ALERT if n % 2 else Tier.NOTABLE
            self.feed(Event(name=f"y.{family}", family=family, host=host, tier=tier))
        return self.hear(0.1)


def rms(sound):
    return float(np.sqrt(np.square(sound, dtype=float).mean()))


@pytest.mark.parametrize(
    "act",
    [
        Mute(ALL),
        Snooze(ALL, 60.0),
        Mute(Scope("host", "h")),
        Mute(Scope("class", "c")),
        Solo(Scope("host", "nobody")),
    ],
    ids=["mute", "snooze", "mute-host", "mute-class", "solo-another"],
)
def test_all_that_a_mute_covers_is_silent_within_a_tenth_of_a_second(made, act):
    room = Room(made)
    if act.scope != ALL:  # only a mute of all is one of Peep's own pulse
        room.mixer._pulse = None
    assert rms(room.full()) > 100 * SILENCE
    room.act(act)
    room.hear(WITHIN_S)
    assert np.abs(room.hear(3.0)).max() <= SILENCE


def test_what_a_mute_does_not_cover_sounds_on(made):
    room = Room(made)
    room.full()
    room.act(Mute(Scope("host", "another")))
    room.hear(WITHIN_S)
    assert rms(room.hear(0.2)) > 100 * SILENCE


def test_a_mute_of_some_takes_nothing_from_the_others_than_their_own_sound(made):
    room = Room(made)
    room.mixer._pulse = None
    room.feed(Event(name="alarm.a", family="job", host="h", tier=Tier.ALERT))
    room.feed(Event(name="x.a", family="system", host="i"))
    room.hear(0.1)
    room.act(Mute(Scope("tier", "routine")))
    room.hear(WITHIN_S)
    assert rms(room.hear(0.2)) > 100 * SILENCE
    room.act(Mute(Scope("tier", "alert")))
    room.hear(WITHIN_S)
    assert np.abs(room.hear(1.0)).max() <= SILENCE


def test_what_comes_while_all_is_muted_is_not_heard_either(made):
    room = Room(made)
    room.act(Mute(ALL))
    room.hear(WITHIN_S)
    room.full()
    assert np.abs(room.hear(2.0)).max() <= SILENCE


def test_when_a_mute_ends_states_are_back_where_they_were(made):
    room = Room(made)
    room.feed(State(name="system.load", value=0.9))
    room.hear(4.0)
    before = rms(room.hear(2.0))
    room.act(Mute(ALL))
    assert rms(room.hear(1.0)[SAMPLE_RATE_HZ // 2 :]) <= SILENCE
    room.act(controls.Unmute(ALL))
    room.hear(1.0)
    after = rms(room.hear(2.0))
    assert 20 * np.log10(after / before) == pytest.approx(0.0, abs=6.0)  # gusts
