"""Metal and wood struck for alerts: what has no business in the theme it sounds in.

*Tubular bell*: a free bar of metal; its modes go with the squares of 3.011, 5, 7 and 9:
1, 2.756, 5.404, 8.933 times the lowest. They ring for half a second and more, the
higher the shorter. *Slit drum*: a hollow log with tongues cut into it. Wood damps in a
tenth of a second or less; the modes of a tongue lie near 1, 1.7, 2.4, 3.3 and 4.7 times
the lowest, beneath them the one of the hollow, and the knock of the stick and of the
log itself is in it. Two tongues, a fourth apart, tuned to nothing else. *Run*: a stick
drawn over a row of such logs.
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

TUBULAR = {
    "pitch_hz": Param(560.0, 300.0, 900.0),
    "second": Param(0.8, 0.5, 1.5),  # tube, times the first
    "ring_s": Param(0.5, 0.1, 0.8),
}
SLIT_DRUM = {
    "pitch_hz": Param(480.0, 280.0, 1000.0),
    "step": Param(0.75, 0.5, 1.6),  # each pair of knocks, times the one before
    "pairs": Param(2.0, 1.0, 3.0),
    "beats": Param(2.0, 1.0, 4.0),  # knocks in what is called a pair
    "gap_s": Param(0.1, 0.06, 0.3),
}

RUN = {
    "pitch_hz": Param(900.0, 400.0, 1200.0),
    "over": Param(0.45, 0.3, 3.0),  # the last log, times the first
    "slowing": Param(2.5, 0.3, 3.0),  # the last gap, times the first
    "knocks": Param(8.0, 4.0, 12.0),
    "run_s": Param(0.75, 0.3, 1.0),
}

_TUBE = (
    (1.0, 0.45, 1.0),
    (2.756, 1.0, 0.85),
    (5.404, 0.3, 0.4),
    (8.933, 0.08, 0.15),
)
_TONGUE = (
    (0.53, 0.3, 0.05),  # the hollow
    (1.0, 1.0, 0.1),
    (1.71, 0.25, 0.04),
    (2.42, 0.5, 0.03),
    (3.3, 0.2, 0.018),
    (4.7, 0.15, 0.01),
)


def tubular(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Strike two tubular bells, one after the other."""
    given = filled(params, TUBULAR)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.996, 1.004)
    first = _tube(rng, pitch_hz, given["ring_s"])
    second = _tube(rng, pitch_hz * given["second"], 1.1 * given["ring_s"])
    return outdoors(
        together([(0.0, 0.9 * first), (rng.uniform(0.22, 0.235), second)]), -16.0
    )


def _tube(rng: np.random.Generator, pitch_hz: float, ring_s: float) -> Floats:
    duration_s = 3.2 * ring_s
    length = frames(duration_s)
    partials = [
        (
            pitch_hz * ratio + beat_hz,
            half * level * rng.uniform(0.8, 1.2),
            ring_s * ring,
        )
        for ratio, level, ring in _TUBE
        for beat_hz, half in ((0.0, 0.8), (rng.uniform(1.0, 3.0), 0.2))
    ]
    hammer = noise(rng, length, 1200.0, 4000.0) * strike(length, 0.001, 0.004)
    ringing = modes(times(duration_s), partials, rng) + 0.2 * hammer
    return ringing * swell(length, 0.002, 0.5 * duration_s)


def slit_drum(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Knock on one tongue of the drum, then on the next."""
    given = filled(params, SLIT_DRUM)
    parts = []
    onset_s = 0.0
    for pair in range(round(given["pairs"])):
        pitch_hz = given["pitch_hz"] * given["step"] ** pair * rng.uniform(0.99, 1.01)
        for _ in range(round(given["beats"])):
            knock = rng.uniform(0.88, 1.0) * _tongue(rng, pitch_hz)
            parts.append((onset_s, knock))
            onset_s += given["gap_s"] * rng.uniform(0.97, 1.03)
        onset_s += 0.4 * given["gap_s"]
    return outdoors(together(parts), -13.0)


def run(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Run along a row of logs, ever slower and lower, or ever quicker and higher."""
    given = filled(params, RUN)
    knocks = round(given["knocks"])
    pitch_hz = given["pitch_hz"] * rng.uniform(0.985, 1.015)
    gaps = given["slowing"] ** np.linspace(-0.5, 0.5, knocks - 1)
    onsets_s = np.concatenate(([0.0], np.cumsum(given["run_s"] * gaps / gaps.sum())))
    parts = []
    for number, onset_s in enumerate(onsets_s):
        share = number / (knocks - 1)
        here_hz = pitch_hz * given["over"] ** share * rng.uniform(0.99, 1.01)
        strayed_s = float(onset_s) + rng.uniform(0.0, 0.006)
        parts.append((strayed_s, rng.uniform(0.85, 1.0) * _tongue(rng, here_hz)))
    return outdoors(together(parts), -13.0)


def _tongue(rng: np.random.Generator, pitch_hz: float) -> Floats:
    length = frames(0.4)
    body = [
        (
            pitch_hz * ratio * rng.uniform(0.98, 1.02),
            level * rng.uniform(0.6, 1.2),
            ring,
        )
        for ratio, level, ring in _TONGUE
    ]
    stick = noise(rng, length, 600.0, 2800.0) * strike(length, 0.001, 0.006)
    log = noise(rng, length, 0.5 * pitch_hz, 1.4 * pitch_hz) * strike(
        length, 0.003, 0.025
    )
    knocked = modes(times(0.4), body, rng) + 0.2 * stick + 0.3 * log
    return knocked * swell(length, 0.004, 0.15)
