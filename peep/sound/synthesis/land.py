"""Far thunder, and something moving in the reeds: sounds made of noise.

*Thunder* far away is a dull blow and its reflections from hills and clouds: each a
burst of noise, later ones weaker and duller, since air and ground swallow the highs.
The blow reaches up to 600 Hz so that small speakers, which give nothing below 200,
tell of it too. *Rustle*: dry reed stems rub and click; some dozens of grains of 10 to
40 ms between 1 and 3.5 kHz, crowded in two brushes, each grain a different stem.
"""

from collections.abc import Mapping

import numpy as np

from peep.sound.synthesis.tools import (
    Floats,
    Param,
    filled,
    frames,
    noise,
    outdoors,
    strike,
    swell,
    together,
)

THUNDER = {
    "high_hz": Param(330.0, 200.0, 700.0),
    "claps": Param(5.0, 1.0, 9.0),
}
RUSTLE = {
    "pitch_hz": Param(1900.0, 900.0, 3000.0),
    "grains": Param(64.0, 10.0, 120.0),
}

_FIRST_BRUSH = 0.55  # share of the grains


def thunder(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Strike a dull blow that rolls away."""
    given = filled(params, THUNDER)
    high_hz = given["high_hz"] * rng.uniform(0.95, 1.05)
    parts = [(0.0, _burst(rng, 90.0, 1.7 * high_hz, 0.018, 0.09))]
    onset_s = 0.0
    claps = round(given["claps"])
    for clap in range(claps):
        onset_s += rng.uniform(0.05, 0.12)
        fading = 0.7 * 0.72**clap * rng.uniform(0.7, 1.2)
        upper_hz = max(180.0, high_hz * 0.86**clap)
        parts.append((onset_s, fading * _burst(rng, 70.0, upper_hz, 0.035, 0.12)))
    return outdoors(together(parts), -16.0)


def _burst(
    rng: np.random.Generator,
    low_hz: float,
    high_hz: float,
    rise_s: float,
    decay_s: float,
) -> Floats:
    length = frames(5.0 * decay_s)
    envelope = strike(length, rise_s, decay_s) * swell(length, 0.0, 2.0 * decay_s)
    return noise(rng, length, low_hz, high_hz) * envelope


def rustle(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Two brushes through dry reeds."""
    given = filled(params, RUSTLE)
    stems = round(given["grains"])
    second_s = rng.uniform(0.2, 0.25)
    onsets_s = np.where(
        rng.random(stems) < _FIRST_BRUSH,
        rng.normal(0.07, 0.028, stems),
        second_s + rng.normal(0.07, 0.035, stems),
    )
    # One long noise, cut into grains: far cheaper than noise for each.
    source = noise(rng, frames(0.6), 0.62 * given["pitch_hz"], 1.6 * given["pitch_hz"])
    parts = []
    for onset_s in np.clip(onsets_s, 0.0, 0.45):
        length = frames(rng.uniform(0.012, 0.04))
        start = rng.integers(0, len(source) - length)
        level = min(1.3, 0.4 * rng.pareto(4.0) + 0.4)
        shape = strike(length, 0.003, 0.01) * swell(length, 0.0, 0.004)
        parts.append((float(onset_s), level * source[start : start + length] * shape))
    return outdoors(together(parts), -13.0)
