"""Frogs: a sac that rings, struck by the pulses of the vocal cords.

A pond frog's croak is a train of pulses, 38 to 60 a second. Each pulse makes the
vocal sac ring at 550 to 950 Hz, with weaker resonances near 2.02 and 3.1 times that,
and dies before the next. Pressure builds up through the call, so level and pulse rate
rise, and it ends sharply. One that slides upwards is a chorus frog's; one that slides
down is its counterpart, which begins strong and gives out. A spring peeper is the other
kind: one pure whistle of a tenth of a second that rises by a fifth of its pitch.
"""

from collections.abc import Mapping

import numpy as np

from peep.sound.synthesis.tools import (
    Floats,
    Param,
    drift,
    filled,
    frames,
    glide,
    noise,
    outdoors,
    strike,
    swell,
    together,
    tone,
)

FROG = {
    "pitch_hz": Param(700.0, 400.0, 1200.0),
    "pulse_hz": Param(46.0, 25.0, 70.0),
    "call_s": Param(0.32, 0.1, 0.45),
    "slide_semitones": Param(1.6, -9.0, 9.0),  # over the call; downwards it gives out
}
PEEPER = {
    "pitch_hz": Param(2300.0, 1200.0, 3200.0),
    "peeps": Param(2.0, 1.0, 3.0),
}

_SAC = ((1.0, 1.0), (2.02, 0.42), (3.1, 0.16))  # times the pitch, level


def frog(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Croak once."""
    given = filled(params, FROG)
    call_s = given["call_s"] * rng.uniform(0.85, 1.1)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    pulse_hz = given["pulse_hz"] * rng.uniform(0.95, 1.05)
    slide = given["slide_semitones"]
    breath = noise(rng, frames(0.4), 600.0, 2400.0)
    parts = []
    onset_s = 0.0
    while onset_s < call_s:
        share = onset_s / call_s
        pressure = share if slide > 0 else 1.0 - share
        # The first pulses are weak, the last strongest.
        level = 0.25 + 0.75 * np.sin(0.5 * np.pi * min(1.0, 1.6 * pressure))
        level *= rng.uniform(0.85, 1.0)
        here_hz = pitch_hz * 2.0 ** (slide * (share - 0.6) / 12.0)
        parts.append((onset_s, level * _croak_pulse(rng, here_hz, breath)))
        onset_s += rng.uniform(0.96, 1.04) / (pulse_hz * (0.88 + 0.24 * pressure))
    return outdoors(together(parts), -14.0)


def _croak_pulse(rng: np.random.Generator, pitch_hz: float, breath: Floats) -> Floats:
    """One ringing of the sac."""
    length = frames(0.045)
    here_hz = pitch_hz * rng.uniform(0.99, 1.01)
    # The sac gives way as the pulse passes: the ring sinks a little.
    sinking = glide(0.045, ((0.0, 1.04), (1.0, 0.98))) * here_hz
    ringing = np.zeros(length)
    for times_pitch, level in _SAC:
        decay_s = 0.011 / times_pitch**0.5
        ringing += (
            level
            * strike(length, 0.003, decay_s)
            * tone(sinking * times_pitch, rng.uniform(0.0, 6.28))
        )
    start = rng.integers(0, len(breath) - length)
    air = breath[start : start + length] * strike(length, 0.002, 0.006)
    return (ringing + 0.12 * air) * swell(length, 0.0, 0.01)


def peeper(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Peep once or several times, the later ones stronger."""
    given = filled(params, PEEPER)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.985, 1.015)
    parts = []
    onset_s = 0.0
    for peep in range(round(given["peeps"])):
        duration_s = rng.uniform(0.105, 0.13)
        length = frames(duration_s)
        curve = glide(duration_s, ((0.0, 0.86), (0.7, 1.0), (1.0, 1.03)))
        shiver = 1.0 + 0.002 * drift(rng, length, 60.0)
        whistle = tone(pitch_hz * curve * shiver)
        whistle += 0.03 * tone(2.0 * pitch_hz * curve * shiver)
        level = (0.6 + 0.25 * peep) * rng.uniform(0.9, 1.1)
        parts.append((onset_s, level * whistle * swell(length, 0.035, 0.03)))
        onset_s += rng.uniform(0.19, 0.22)
    return outdoors(together(parts), -13.0)
