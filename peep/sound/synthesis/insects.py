"""Crickets: a file drawn over a scraper makes one wing ring.

A chirp is a burst of pulses, one for each closing of the wings, 28 to 58 a second;
each is a nearly pure tone of some 18 ms with a weak second harmonic, and they grow
through the burst. Field crickets sing at 4 to 5 kHz; tree crickets near 3 kHz, which
is chosen here, since old ears hear it too.
"""

from collections.abc import Mapping

import numpy as np

from peep.sound.synthesis.tools import (
    Floats,
    Param,
    filled,
    frames,
    glide,
    outdoors,
    swell,
    together,
    tone,
)

CRICKET = {
    "pitch_hz": Param(3300.0, 2000.0, 5200.0),
    "pulse_hz": Param(36.0, 28.0, 58.0),
    "pulses": Param(4.0, 2.0, 9.0),
}

_PULSE_S = 0.018


def cricket(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Chirp once."""
    given = filled(params, CRICKET)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.99, 1.01)
    pulse_hz = given["pulse_hz"] * rng.uniform(0.95, 1.05)
    count = round(given["pulses"])
    length = frames(_PULSE_S)
    parts = []
    for pulse in range(count):
        # The wing slows as it closes, and the pitch with it.
        pitch = pitch_hz * glide(_PULSE_S, ((0.0, 1.012), (1.0, 0.985)))
        pulse_tone = tone(pitch) + 0.12 * tone(2.0 * pitch)
        grown = 0.3 + 0.7 * (pulse + 1) / count
        level = grown * rng.uniform(0.9, 1.1)
        onset_s = pulse / pulse_hz * rng.uniform(0.985, 1.015)
        parts.append(
            (
                onset_s,
                level * pulse_tone * swell(length, 0.45 * _PULSE_S, 0.55 * _PULSE_S),
            )
        )
    return outdoors(together(parts), -14.0)
