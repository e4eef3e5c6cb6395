"""Things struck: wood, stone, glass. A body rings in modes that die by themselves.

A blow excites the modes of a body, each a sine that decays; a soft or short contact
decides how high it reaches. *Wood* damps fast (10 to 30 ms), a hollow trunk near 480,
1,150, 2,300 and 3,900 Hz; a woodpecker strikes it some twenty times a second, a little
faster towards the end, and weaker, and the wood across the clearing answers.
*Stone* on stone: many close modes from 1 kHz up, gone in 40 ms, with the click of the
contact; one knock, a pause, then two, is the pattern here. *Glass*, a bowl: the modes
of a shell of revolution, nearly 1, 2.3, 4.2 and 6.6 times the lowest, hence no harmonic
series, each split in two close ones that beat, and ringing for a second. *Marimba*,
bars of rosewood over tubes, cut so that their modes lie at 1, 4 and 10 times the
lowest, the upper ones gone in a tenth of a second. Nothing in a wetland or on a heath
sounds like glass or tuned wood: that is what an alert is for.
"""

from collections.abc import Mapping

import numpy as np

from peep.sound.synthesis.tools import (
    Floats,
    Param,
    filled,
    frames,
    modes,
    noise,
    outdoors,
    strike,
    swell,
    times,
    together,
)

WOODPECKER = {
    "pitch_hz": Param(480.0, 300.0, 900.0),
    "taps": Param(8.0, 3.0, 10.0),
    "tap_s": Param(0.055, 0.04, 0.12),
}
STONE = {"pitch_hz": Param(1350.0, 800.0, 2500.0), "knocks": Param(3.0, 1.0, 4.0)}
BELL = {
    "pitch_hz": Param(1046.0, 500.0, 1600.0),
    "second": Param(0.75, 0.5, 1.5),  # times the pitch: a fourth below
    "ring_s": Param(0.45, 0.1, 0.8),
}

MARIMBA = {
    "pitch_hz": Param(523.0, 250.0, 1000.0),  # the first
    "step_semitones": Param(-5.0, -9.0, 9.0),  # from bar to bar
    "bars": Param(3.0, 1.0, 3.0),
    "ring_s": Param(0.22, 0.08, 0.5),
}

_TRUNK = ((1.0, 1.0, 0.02), (2.4, 0.5, 0.011), (4.79, 0.22, 0.006), (8.1, 0.08, 0.003))
_PEBBLE = (
    (1.0, 1.0, 0.038),
    (1.31, 0.9, 0.032),
    (1.58, 0.35, 0.024),
    (1.94, 0.45, 0.018),
    (2.37, 0.2, 0.012),
    (2.86, 0.12, 0.008),
)
_BAR = ((1.0, 1.0, 1.0), (3.98, 0.3, 0.3), (9.8, 0.07, 0.12))
_BOWL = ((1.0, 1.0, 1.0), (2.32, 0.5, 0.6), (4.25, 0.22, 0.35), (6.63, 0.06, 0.15))


def woodpecker(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Drum a short roll on a hollow trunk."""
    given = filled(params, WOODPECKER)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    taps = round(given["taps"])
    parts = []
    onset_s = 0.0
    for tap in range(taps):
        length = frames(0.12)
        time = times(0.12)
        struck_hz = pitch_hz * rng.uniform(0.99, 1.01)
        body = [
            (struck_hz * ratio, level * rng.uniform(0.8, 1.2), decay_s)
            for ratio, level, decay_s in _TRUNK
        ]
        bill = noise(rng, length, 900.0, 4500.0) * strike(length, 0.0004, 0.0018)
        tapped = modes(time, body, rng) + 0.45 * bill
        tapped *= swell(length, 0.0006, 0.03)
        share = tap / taps
        level = (1.0 if tap else 0.75) * (1.0 - 0.5 * share) * rng.uniform(0.85, 1.1)
        parts.append((onset_s, level * tapped))
        onset_s += given["tap_s"] * (1.06 - 0.14 * share) * rng.uniform(0.97, 1.03)
    drummed = together(parts)
    # The wood on the other side answers, faint and dull.
    answer = 0.12 * np.convolve(drummed, np.full(24, 1.0 / 24.0))
    return outdoors(together([(0.0, drummed), (0.083, answer)]), -13.0)


def stone(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Two pebbles knocked together, once or a few times."""
    given = filled(params, STONE)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    parts = []
    onset_s = 0.0
    for knock in range(round(given["knocks"])):
        length = frames(0.15)
        # Each knock meets another spot, so the modes answer differently.
        body = [
            (
                pitch_hz * ratio * rng.uniform(0.995, 1.005),
                level * rng.uniform(0.6, 1.2),
                d,
            )
            for ratio, level, d in _PEBBLE
        ]
        contact = noise(rng, length, 1500.0, 5000.0) * strike(length, 0.0003, 0.0015)
        knocked = modes(times(0.15), body, rng) + 0.25 * contact
        knocked *= swell(length, 0.0005, 0.04)
        level = (1.0 if knock == 0 else 0.85) * rng.uniform(0.92, 1.08)
        parts.append((onset_s, level * knocked))
        onset_s += rng.uniform(0.15, 0.17) if knock == 0 else rng.uniform(0.085, 0.1)
    return outdoors(together(parts), -14.0)


def bell(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Two glass bowls struck one after the other, the second lower."""
    given = filled(params, BELL)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.995, 1.005)
    first = _bowl(rng, pitch_hz, given["ring_s"])
    second = _bowl(rng, pitch_hz * given["second"], 1.15 * given["ring_s"])
    onset_s = rng.uniform(0.2, 0.215)
    return outdoors(together([(0.0, 0.85 * first), (onset_s, second)]), -18.0)


def _bowl(rng: np.random.Generator, pitch_hz: float, ring_s: float) -> Floats:
    duration_s = 3.2 * ring_s
    length = frames(duration_s)
    pairs = [
        (
            pitch_hz * ratio + beat_hz,
            half * level * rng.uniform(0.85, 1.15),
            ring_s * ring,
        )
        for ratio, level, ring in _BOWL
        for beat_hz, half in ((0.0, 0.78), (rng.uniform(2.0, 4.0), 0.22))
    ]
    contact = noise(rng, length, 2000.0, 6000.0) * strike(length, 0.0005, 0.002)
    ringing = modes(times(duration_s), pairs, rng) + 0.15 * contact
    return ringing * swell(length, 0.002, 0.5 * duration_s)


def marimba(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Strike tuned bars one after the other, each higher (or lower) than the last."""
    given = filled(params, MARIMBA)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.995, 1.005)
    parts = []
    onset_s = 0.0
    for bar in range(round(given["bars"])):
        here_hz = pitch_hz * 2.0 ** (bar * given["step_semitones"] / 12.0)
        level = rng.uniform(0.92, 1.05)
        parts.append((onset_s, level * _bar(rng, here_hz, given["ring_s"])))
        onset_s += rng.uniform(0.15, 0.165)
    return outdoors(together(parts), -18.0)


def _bar(rng: np.random.Generator, pitch_hz: float, ring_s: float) -> Floats:
    duration_s = 5.0 * ring_s
    length = frames(duration_s)
    body = [
        (pitch_hz * ratio, level * rng.uniform(0.85, 1.15), ring_s * ring)
        for ratio, level, ring in _BAR
    ]
    mallet = noise(rng, length, 400.0, 2500.0) * strike(length, 0.001, 0.006)
    ringing = modes(times(duration_s), body, rng) + 0.2 * mallet
    return ringing * swell(length, 0.003, 0.5 * duration_s)
