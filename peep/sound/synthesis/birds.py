"""Birds that sing: a syrinx is a whistle whose pitch and level follow the breath.

Nearly all the power lies in the fundamental; the second harmonic is 15 to 30 dB
below. What tells species apart is the curve of pitch and the rhythm. *Owl*: hoots of
a quarter second or more at 370 to 400 Hz, soft at both ends, the last drawn out and
quavering at 11 Hz. *Cuckoo*: two notes, a falling third near 670 and 545 Hz.
*Curlew*: a low whistle that slides up by an octave less a third and breaks off.
*Songbird*: four to six sweeps and arches of 50 to 110 ms; which ones, and in what
order, is the individual's own and stays the same from song to song, while pitch,
level and timing stray a little. Sung an octave below most warblers, since ageing ears
lose what lies above 4 kHz.
"""

import math
from collections.abc import Mapping, Sequence

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
    swell,
    times,
    together,
    tone,
)

OWL = {
    "pitch_hz": Param(390.0, 250.0, 700.0),
    "slide_semitones": Param(-3.0, -7.0, 7.0),  # of the last hoot against the first
    "hoot_s": Param(0.26, 0.12, 0.4),
    "quaver": Param(0.3, 0.0, 0.8),  # depth, of the last hoot
}
CUCKOO = {"pitch_hz": Param(670.0, 500.0, 900.0), "third": Param(0.815, 0.75, 0.9)}
CURLEW = {"pitch_hz": Param(1150.0, 800.0, 1800.0), "rise": Param(1.65, 1.2, 2.0)}
SONGBIRD = {
    "pitch_hz": Param(2600.0, 1800.0, 4200.0),
    "individual": Param(1.0, 0.0, 65535.0),
}

_SONG_S = 0.45  # no syllable begins later

_Curve = Sequence[tuple[float, float]]


def owl(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Hoot twice; the second is longer, quavers, and sinks (or rises)."""
    given = filled(params, OWL)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.985, 1.015)
    first_s = given["hoot_s"] * rng.uniform(0.92, 1.08)
    last_s = 1.9 * given["hoot_s"] * rng.uniform(0.95, 1.05)
    slide = 2.0 ** (given["slide_semitones"] / 12.0)
    halfway = math.sqrt(slide)
    first = _hoot(rng, pitch_hz, first_s, ((0.0, 0.95), (0.4, 1.0), (1.0, 0.96)), 0.0)
    last = _hoot(
        rng,
        pitch_hz,
        last_s,
        ((0.0, 0.97), (0.25, 1.0), (0.65, halfway), (1.0, slide)),
        given["quaver"],
    )
    gap_s = rng.uniform(0.08, 0.11)
    return outdoors(together([(0.0, 0.8 * first), (first_s + gap_s, last)]), -12.0)


def _hoot(
    rng: np.random.Generator,
    pitch_hz: float,
    duration_s: float,
    curve: _Curve,
    quaver: float,
) -> Floats:
    time = times(duration_s)
    pitch = pitch_hz * glide(duration_s, curve)
    pitch *= 1.0 + 0.003 * drift(rng, len(time), 25.0)
    # The quaver sets in with the second half of the hoot.
    depth = quaver * np.clip(2.0 * time / duration_s - 0.7, 0.0, 1.0)
    breath = 1.0 - depth * (0.5 - 0.5 * np.cos(2.0 * math.pi * 11.0 * time))
    breath *= swell(len(time), 0.07, 0.11) * (1.0 + 0.05 * drift(rng, len(time), 30.0))
    air = noise(rng, len(time), 0.8 * pitch_hz, 2.6 * pitch_hz)
    phase = rng.uniform(0.0, 2.0 * math.pi)
    hoot = tone(pitch, phase) + 0.09 * tone(2.0 * pitch) + 0.05 * tone(3.0 * pitch)
    return breath * (hoot + 0.03 * air)


def cuckoo(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Call two notes, the second lower and longer."""
    given = filled(params, CUCKOO)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    third = given["third"] * rng.uniform(0.99, 1.01)
    high = _note(rng, pitch_hz, 0.13, ((0.0, 0.93), (0.35, 1.0), (1.0, 0.95)))
    low = _note(rng, pitch_hz * third, 0.2, ((0.0, 0.98), (0.3, 1.0), (1.0, 0.97)))
    onset_s = rng.uniform(0.27, 0.3)
    return outdoors(together([(0.0, high), (onset_s, 0.9 * low)]), -13.0)


def _note(
    rng: np.random.Generator, pitch_hz: float, duration_s: float, curve: _Curve
) -> Floats:
    length = frames(duration_s)
    pitch = pitch_hz * glide(duration_s, curve)
    pitch *= 1.0 + 0.002 * drift(rng, length, 40.0)
    air = noise(rng, length, pitch_hz, 2.0 * pitch_hz)
    note = tone(pitch) + 0.1 * tone(2.0 * pitch) + 0.02 * tone(3.0 * pitch)
    # The breath wells up and ebbs: no plateau, or it sounds like an organ pipe.
    breath = swell(length, 0.3 * duration_s, 0.7 * duration_s) ** 0.7
    breath *= 1.0 + 0.04 * drift(rng, length, 40.0)
    return breath * (note + 0.02 * air)


def curlew(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Whistle; linger, slide up and break off."""
    given = filled(params, CURLEW)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    rise = given["rise"] * rng.uniform(0.96, 1.04)
    duration_s = rng.uniform(0.46, 0.54)
    length = frames(duration_s)
    curve = ((0.0, 0.94), (0.15, 1.0), (0.45, 1.03), (0.85, rise), (1.0, 0.93 * rise))
    pitch = pitch_hz * glide(duration_s, curve)
    pitch *= 1.0 + 0.003 * drift(rng, length, 30.0)
    level = glide(duration_s, ((0.0, 0.55), (0.5, 0.7), (0.85, 1.0), (1.0, 0.8)))
    level *= swell(length, 0.05, 0.05) * (1.0 + 0.06 * drift(rng, length, 40.0))
    air = noise(rng, length, 0.9 * pitch_hz, 2.5 * pitch_hz)
    call = tone(pitch) + 0.16 * tone(2.0 * pitch) + 0.04 * tone(3.0 * pitch)
    return outdoors(level * (call + 0.02 * air), -13.0)


def songbird(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Sing a short song, the individual's own."""
    given = filled(params, SONGBIRD)
    song = np.random.default_rng(round(given["individual"]))
    pitch_hz = given["pitch_hz"] * rng.uniform(0.985, 1.015)
    parts = []
    onset_s = 0.0
    while onset_s < _SONG_S:
        duration_s = song.uniform(0.045, 0.11)
        # Each syllable lies somewhere else, and bends from there.
        start, middle, end = song.uniform(0.8, 1.2) * song.uniform(0.85, 1.18, 3)
        level, shake = song.uniform(0.6, 1.0), song.choice((0.0, 0.0, 0.02))
        gap_s = song.uniform(0.018, 0.035)
        syllable = _syllable(rng, pitch_hz, duration_s, (start, middle, end), shake)
        parts.append((onset_s, level * rng.uniform(0.85, 1.15) * syllable))
        onset_s += duration_s + gap_s * rng.uniform(0.85, 1.2)
    return outdoors(together(parts), -13.0)


def _syllable(
    rng: np.random.Generator,
    pitch_hz: float,
    duration_s: float,
    shape: tuple[float, float, float],
    shake: float,
) -> Floats:
    time = times(duration_s)
    start, middle, end = np.array(shape) * rng.uniform(0.985, 1.015, 3)
    pitch = pitch_hz * glide(duration_s, ((0.0, start), (0.5, middle), (1.0, end)))
    # Some syllables buzz: the pitch is shaken 45 times a second.
    pitch *= 1.0 + shake * np.sin(2.0 * math.pi * 45.0 * time)
    whistle = tone(pitch) + 0.1 * tone(2.0 * pitch)
    breath = swell(len(time), 0.35 * duration_s, 0.65 * duration_s) ** 0.8
    return whistle * breath * (1.0 + 0.06 * drift(rng, len(time), 60.0))
