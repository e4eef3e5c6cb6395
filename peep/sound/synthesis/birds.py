"""Birds that sing: a syrinx is a whistle whose pitch and level follow the breath.

Nearly all the power lies in the fundamental; the second harmonic is 15 to 30 dB
below. What tells species apart is the curve of pitch and the rhythm. *Owl*: hoots of
a quarter second or more at 370 to 400 Hz, soft at both ends, the last drawn out and
quavering at 11 Hz. *Cuckoo*: two notes, a falling third near 670 and 545 Hz.
A koel's two rise: a `third` above 1. *Curlew*: a low whistle that slides up by an
octave less a third and breaks off; mirrored, it slides down and dies away. *Raven*: one
or two rough croaks of a fifth of a second, a throat of 250 to 350 Hz whose harmonics a
bill and neck let through near 620, 1,150 and 2,000 Hz, no two breaths alike. *Whit*:
the spotted crake's note, a whip that flies up by a half within a tenth of a second,
again and again all night; a pipit says it twice, higher.
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
    hiss,
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
CUCKOO = {
    "pitch_hz": Param(670.0, 400.0, 900.0),
    "third": Param(0.815, 0.7, 1.4),  # the second note, times the first
    "note_s": Param(0.16, 0.08, 0.2),
}
CURLEW = {
    "pitch_hz": Param(1150.0, 600.0, 1800.0),
    "rise": Param(1.65, 1.2, 2.0),
    "call_s": Param(0.5, 0.3, 0.6),
    "mirror": Param(0.0, 0.0, 1.0),
}
RAVEN = {
    "pitch_hz": Param(290.0, 180.0, 420.0),
    "croaks": Param(2.0, 1.0, 3.0),
    "slide_semitones": Param(3.0, -7.0, 7.0),  # from the first to the last, and in each
}
SONGBIRD = {
    "pitch_hz": Param(2600.0, 1300.0, 4200.0),
    "individual": Param(1.0, 0.0, 65535.0),
    "mirror": Param(0.0, 0.0, 1.0),  # the same song from its end to its beginning
    "song_s": Param(0.45, 0.15, 0.45),  # no syllable begins later
}
WHIT = {
    "pitch_hz": Param(1700.0, 1000.0, 3200.0),  # where it ends
    "notes": Param(1.0, 1.0, 3.0),
}

_THROAT = ((620.0, 120.0), (1150.0, 180.0), (2000.0, 300.0))  # resonance, width, Hz

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
    """Call two notes, the second longer, and lower (or higher)."""
    given = filled(params, CUCKOO)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    third = given["third"] * rng.uniform(0.99, 1.01)
    note_s = given["note_s"]
    curve = ((0.0, 0.9), (0.35, 1.0), (1.0, 0.93))
    first = _note(rng, pitch_hz, 0.8 * note_s, curve)
    curve = ((0.0, 0.96), (0.3, 1.0), (1.0, 0.95))
    last = _note(rng, pitch_hz * third, 1.25 * note_s, curve)
    onset_s = 1.78 * note_s * rng.uniform(0.95, 1.05)
    return outdoors(together([(0.0, first), (onset_s, 0.9 * last)]), -13.0)


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
    duration_s = given["call_s"] * rng.uniform(0.92, 1.08)
    length = frames(duration_s)
    curve = ((0.0, 0.94), (0.15, 1.0), (0.45, 1.03), (0.85, rise), (1.0, 0.93 * rise))
    pitch = pitch_hz * _turned(given, glide(duration_s, curve))
    pitch *= 1.0 + 0.003 * drift(rng, length, 30.0)
    level = glide(duration_s, ((0.0, 0.55), (0.5, 0.7), (0.85, 1.0), (1.0, 0.8)))
    level = _turned(given, level)
    level *= swell(length, 0.05, 0.05) * (1.0 + 0.06 * drift(rng, length, 40.0))
    air = noise(rng, length, 0.9 * pitch_hz, 2.5 * pitch_hz)
    call = tone(pitch) + 0.16 * tone(2.0 * pitch) + 0.04 * tone(3.0 * pitch)
    return outdoors(level * (call + 0.02 * air), -13.0)


def _turned(given: Mapping[str, float], curve: Floats) -> Floats:
    return curve[::-1] if round(given["mirror"]) else curve


def raven(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Croak, once or a few times, higher (or lower) from croak to croak."""
    given = filled(params, RAVEN)
    croaks = round(given["croaks"])
    slide = 2.0 ** (given["slide_semitones"] / 12.0)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    parts = []
    onset_s = 0.0
    for croak in range(croaks):
        duration_s = rng.uniform(0.17, 0.21)
        up = slide ** (croak / max(1, croaks - 1))
        level = rng.uniform(0.85, 1.1)
        croaked = _croak(rng, pitch_hz, duration_s, (up, up * slide**0.5))
        parts.append((onset_s, level * croaked))
        onset_s += duration_s + rng.uniform(0.06, 0.09)
    return outdoors(together(parts), -13.0)


def _croak(
    rng: np.random.Generator,
    pitch_hz: float,
    duration_s: float,
    ends: tuple[float, float],
) -> Floats:
    """Croak once; the pitch, and how far the bill is open, go from end to end."""
    length = frames(duration_s)
    # The breath comes and goes, and the pitch with it.
    breath = glide(duration_s, ((0.0, 0.86), (0.3, 1.08), (1.0, 0.9)))
    slide = glide(duration_s, ((0.0, ends[0]), (1.0, ends[1])))
    pitch = pitch_hz * slide * breath
    # Rough: the cords do not close evenly.
    pitch *= 1.0 + 0.025 * drift(rng, length, 120.0)
    opening = slide * glide(duration_s, ((0.0, 0.85), (0.4, 1.1), (1.0, 0.95)))
    croak = np.zeros(length)
    for number in range(1, 14):
        here_hz = number * pitch
        passed = sum(
            (0.4**place) / (1.0 + ((here_hz - opening * hz) / width) ** 2)
            for place, (hz, width) in enumerate(_THROAT)
        )
        croak += (0.06 + passed) * tone(here_hz, rng.uniform(0.0, 6.28))
    flutter = 1.0 + 0.35 * drift(rng, length, 90.0)
    air = hiss(rng, length, 1100.0, below_db=9.0, above_db=12.0)
    return swell(length, 0.03, 0.09) * np.maximum(flutter, 0.0) * (croak + 0.35 * air)


def songbird(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Sing a short song, the individual's own, or the same from its end."""
    given = filled(params, SONGBIRD)
    song = np.random.default_rng(round(given["individual"]))
    pitch_hz = given["pitch_hz"] * rng.uniform(0.985, 1.015)
    parts = []
    onset_s = 0.0
    while onset_s < given["song_s"]:
        duration_s = song.uniform(0.045, 0.11)
        # Each syllable lies somewhere else, and bends from there.
        start, middle, end = song.uniform(0.8, 1.2) * song.uniform(0.85, 1.18, 3)
        level, shake = song.uniform(0.6, 1.0), song.choice((0.0, 0.0, 0.02))
        gap_s = song.uniform(0.018, 0.035)
        syllable = _syllable(rng, pitch_hz, duration_s, (start, middle, end), shake)
        parts.append((onset_s, level * rng.uniform(0.85, 1.15) * syllable))
        onset_s += duration_s + gap_s * rng.uniform(0.85, 1.2)
    # A whistle is as smooth at its end as at its beginning: turned, it is one still.
    return outdoors(_turned(given, together(parts)), -13.0)


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


def whit(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Whip up, once or a few times."""
    given = filled(params, WHIT)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    parts = []
    onset_s = 0.0
    for _ in range(round(given["notes"])):
        duration_s = rng.uniform(0.1, 0.125)
        length = frames(duration_s)
        curve = ((0.0, 0.64), (0.35, 0.72), (0.85, 1.0), (1.0, 0.96))
        pitch = pitch_hz * glide(duration_s, curve)
        pitch *= 1.0 + 0.003 * drift(rng, length, 60.0)
        whip = tone(pitch) + 0.14 * tone(2.0 * pitch) + 0.03 * tone(3.0 * pitch)
        breath = swell(length, 0.7 * duration_s, 0.3 * duration_s)
        air = hiss(rng, length, pitch_hz, below_db=12.0, above_db=12.0)
        parts.append((onset_s, rng.uniform(0.9, 1.05) * breath * (whip + 0.03 * air)))
        onset_s += duration_s + rng.uniform(0.07, 0.09)
    return outdoors(together(parts), -13.0)
