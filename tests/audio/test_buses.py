"""Buses are faded and summed without a step."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.mixer.commands import Bus, Fade
from peep.sound.buses import SUMMED, Buses
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ

ONES = np.ones((BLOCK_FRAMES, 2 * SUMMED), np.float32)


def heard(buses, seconds):
    blocks = math.ceil(seconds * SAMPLE_RATE_HZ / BLOCK_FRAMES)
    return np.concatenate([buses.mix(ONES) for _ in range(blocks)])


def test_all_buses_are_summed_as_they_are():
    block = np.arange(BLOCK_FRAMES * 6, dtype=np.float32).reshape(BLOCK_FRAMES, 6)
    pairs = block.reshape(BLOCK_FRAMES, 3, 2)
    assert np.array_equal(Buses().mix(block), pairs.sum(axis=1))


@pytest.mark.parametrize("bus", [Bus.BED, Bus.EVENTS, Bus.ALERTS])
def test_a_bus_is_brought_to_its_gain_and_the_others_stay(bus):
    buses = Buses()
    assert buses.fade(Fade(bus, -6.0, 0.05))
    after = heard(buses, 0.1)[-1]
    assert after == pytest.approx(SUMMED - 1 + 10 ** (-6 / 20))


def test_a_muted_master_is_exactly_silent_and_comes_back():
    buses = Buses()
    buses.fade(Fade(Bus.MASTER, None, 0.03))
    muted = heard(buses, 0.1)
    assert muted[0].all()
    assert not muted[round(0.03 * SAMPLE_RATE_HZ) :].any()
    buses.fade(Fade(Bus.MASTER, 0.0, 0.03))
    assert heard(buses, 0.1)[-1] == pytest.approx(SUMMED)


def test_a_gain_moves_in_a_straight_line_whatever_turns_it_takes():
    buses = Buses()
    buses.fade(Fade(Bus.MASTER, None, 0.1))
    parts = [heard(buses, 0.05)]
    buses.fade(Fade(Bus.MASTER, 0.0, 0.1))
    parts.append(heard(buses, 0.2))
    steps = np.abs(np.diff(np.concatenate(parts), axis=0))
    assert steps.max() < SUMMED * 1.01 / (0.1 * SAMPLE_RATE_HZ)


@pytest.mark.parametrize("gain_db", [math.nan, math.inf])
def test_what_is_no_number_is_refused(gain_db):
    buses = Buses()
    assert not buses.fade(Fade(Bus.BED, gain_db, 0.1))
    assert not buses.fade(Fade(Bus.BED, 0.0, gain_db))
    assert heard(buses, 0.01)[-1] == pytest.approx(SUMMED)


FADES = st.builds(
    Fade, st.sampled_from(Bus), st.none() | st.floats(-80, 20), st.floats(0, 0.05)
)


@given(st.lists(FADES, max_size=8))
def test_every_fade_ends_at_its_last_goal(fades):
    buses = Buses()
    goals = dict.fromkeys(Bus, 1.0)
    for fade in fades:
        buses.fade(fade)
        heard(buses, 0.001)
        db = fade.gain_db
        goals[fade.bus] = 0.0 if db is None else 10 ** (max(-60, min(db, 12)) / 20)
    whole = sum(goals[bus] for bus in list(Bus)[:SUMMED]) * goals[Bus.MASTER]
    assert heard(buses, 0.1)[-1] == pytest.approx(whole, rel=1e-4, abs=1e-7)
