"""Glass and strings, in one chord (tuned.py): struck, bowed, plucked, blown.

*Bar*: a glass bar laid on felt, hollowed below as those of a marimba are, so that its
second mode is two octaves above the first (plain bars: 2.76 times); a soft mallet wakes
little else, and highs die first. *Goblet*, struck: a bowl's modes, nearly 1, 2.3, 4.2,
6.6 times the lowest, each split in two that beat, since no bowl is quite round. *Bowed*
glass (a wet finger on the rim) swells for a quarter second, almost a single mode, with
weak whole harmonics (the finger sticks and slips once a period), a breath of friction,
and the beating of a pair a hertz apart. *Plucked string*: harmonics of 1/n, those weak
that have a node where it is plucked (a fifth of its length), the nth dying n times as
fast, a little sharp from stiffness. *Muted string*: a hand upon it; it thuds. *Bottle*:
breath across a neck: noise at first, then a tone that noise makes rough. *Strum*: a
nail drawn over a row of strings. Nothing begins within less than 3 ms.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from peep.sound.synthesis.tools import (
    Floats,
    Param,
    drift,
    filled,
    frames,
    glide,
    modes,
    noise,
    outdoors,
    strike,
    swell,
    times,
    together,
    tone,
)
from peep.sound.synthesis.tuned import NOTE, drawn_hz, hz, note

_Body = tuple[tuple[float, float, float], ...]  # times the pitch, level, ring

# Notes that are 0 are not played; a call has up to three.
_THEN = Param(0.0, 0.0, 48.0)

GLASS_BAR = {
    "note": note(5),
    "second": _THEN,
    "third": _THEN,
    "ring_s": Param(0.16, 0.04, 0.4),
    "gap_s": Param(0.16, 0.06, 0.25),
}
GOBLET = {
    "note": note(16),
    "second": _THEN,
    "third": _THEN,
    "ring_s": Param(0.25, 0.05, 0.5),
    "gap_s": Param(0.16, 0.05, 0.25),
}
BOWED = {
    "note": note(4),
    "second": _THEN,
    "gap_s": Param(0.25, 0.0, 0.4),
    "breath_s": Param(0.7, 0.3, 1.4),
}
PLUCK = {
    "note": note(8),
    "second": _THEN,
    "third": _THEN,
    "ring_s": Param(0.3, 0.05, 0.5),
    "gap_s": Param(0.15, 0.06, 0.25),
}
MUTED = {
    "note": note(4),
    "thuds": Param(3.0, 1.0, 5.0),
    "gap_s": Param(0.12, 0.08, 0.2),
    "sinks": Param(1.0, 0.5, 1.0),  # the last, times the note: a string that slackens
}
BOTTLE = {"note": note(10), "second": _THEN, "gap_s": Param(0.22, 0.1, 0.35)}
STRUM = {
    "note": note(6),
    "strings": Param(7.0, 3.0, 9.0),
    "ring_s": Param(0.1, 0.05, 0.3),
    "gap_s": Param(0.045, 0.02, 0.06),
}

_BAR = ((1.0, 1.0, 1.0), (3.0, 0.07, 0.2), (4.0, 0.32, 0.4), (9.2, 0.08, 0.12))
_GOBLET = ((1.0, 1.0, 1.0), (2.32, 0.45, 0.5), (4.25, 0.25, 0.28), (6.63, 0.1, 0.14))
_SOFT_HZ = 3800.0
_DECAYS = 9.0  # e to the -9 is -78 dB: nothing is cut that could be heard


def glass_bar(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Strike up to three bars, one after the other."""
    given = filled(params, GLASS_BAR)
    return _row(rng, given, lambda at_hz: _struck(rng, at_hz, given["ring_s"], _BAR))


def goblet(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Strike up to three goblets, one after the other."""
    given = filled(params, GOBLET)
    return _row(rng, given, lambda at_hz: _struck(rng, at_hz, given["ring_s"], _GOBLET))


def pluck(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Pluck up to three strings, one after the other."""
    given = filled(params, PLUCK)
    return _row(rng, given, lambda at_hz: _string(rng, at_hz, given["ring_s"]))


def bottle(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Blow across a bottle, or across one and then another."""
    given = filled(params, BOTTLE)
    return _row(rng, given, lambda at_hz: _blown(rng, at_hz))


def bowed(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Bow a glass, or one and then another while the first still sounds."""
    given = filled(params, BOWED)
    return _row(rng, given, lambda at_hz: _rubbed(rng, at_hz, given["breath_s"]))


def _row(
    rng: np.random.Generator,
    given: Mapping[str, float],
    made: Callable[[float], Floats],
) -> Floats:
    """Return the notes of a call, as they follow each other in their place."""
    numbers = [given["note"], given.get("second", 0.0), given.get("third", 0.0)]
    played = [number for number in numbers if number >= NOTE[0]]
    parts = []
    onset_s = 0.0
    for number, after in zip(played, [*played[1:], 0.0], strict=True):
        sound = rng.uniform(0.9, 1.05) * made(hz(number))
        gap_s = given.get("gap_s", 0.0) * rng.uniform(0.95, 1.05)
        if number == after:
            # What is struck again is stilled by it; else both would beat at random.
            sound = sound[: frames(gap_s)] * swell(frames(gap_s), 0.0, 0.02)
        parts.append((onset_s, sound))
        onset_s += gap_s
    return outdoors(together(parts), -14.0)


def _struck(
    rng: np.random.Generator, pitch_hz: float, ring_s: float, body: _Body
) -> Floats:
    duration_s = 4.5 * ring_s
    length = frames(duration_s)
    time = times(duration_s)
    ringing = np.zeros(length)
    for ratio, level, ring in body:
        at_hz = drawn_hz(pitch_hz * ratio)
        # Where the mallet meets it decides how strongly each mode answers; a soft head
        # stays on the glass too long to wake the highest.
        strength = level * rng.uniform(0.6, 1.3) / (1.0 + (at_hz / _SOFT_HZ) ** 4)
        # No glass is quite round: each mode is two, that beat and die apart.
        for share, off_hz, lasts in (
            (0.72, 0.0, 1.0),
            (0.28, rng.uniform(1.5, 5.0) * rng.choice((-1.0, 1.0)), 0.7),
        ):
            phase = rng.uniform(0.0, 2.0 * math.pi)
            dying_s = lasts * ring * ring_s
            heard = time[: frames(_DECAYS * dying_s)]
            wave = np.sin(2.0 * math.pi * (at_hz + off_hz) * heard + phase)
            ringing[: len(heard)] += share * strength * np.exp(-heard / dying_s) * wave
    # The head itself, and the felt or table beneath.
    head = noise(rng, length, 1.2 * pitch_hz, 3200.0) * strike(length, 0.002, 0.006)
    felt = noise(rng, length, 220.0, 500.0) * strike(length, 0.004, 0.018)
    struck = ringing * swell(length, 0.004, 0.0) + 0.14 * head + 0.12 * felt
    return struck * swell(length, 0.0, 0.5 * duration_s)


def _string(rng: np.random.Generator, pitch_hz: float, ring_s: float) -> Floats:
    duration_s = 4.0 * ring_s
    length = frames(duration_s)
    place = rng.uniform(0.17, 0.23)
    time = times(duration_s)
    ringing = np.zeros(length)
    for number in range(1, 13):
        stiff = 1.0 + 0.00008 * number**2
        level = abs(math.sin(math.pi * number * place)) / number**1.5
        phase = rng.uniform(0.0, 2.0 * math.pi)
        dying_s = ring_s / number**0.9
        heard = time[: frames(_DECAYS * dying_s)]
        # It swings across and towards the hand, which is not quite one pitch.
        for share, off_hz in ((0.75, 0.0), (0.25, rng.uniform(0.4, 1.2))):
            at_hz = number * pitch_hz * stiff + off_hz
            wave = np.sin(2.0 * math.pi * at_hz * heard + phase)
            ringing[: len(heard)] += share * level * np.exp(-heard / dying_s) * wave
    finger = noise(rng, length, pitch_hz, 3.0 * pitch_hz) * strike(length, 0.002, 0.008)
    plucked = ringing * swell(length, 0.003, 0.0) + 0.08 * finger
    return plucked * swell(length, 0.0, 0.5 * duration_s)


def _blown(rng: np.random.Generator, pitch_hz: float) -> Floats:
    duration_s = rng.uniform(0.32, 0.36)
    length = frames(duration_s)
    pitch = pitch_hz * glide(duration_s, ((0.0, 0.965), (0.25, 1.0), (1.0, 0.992)))
    pitch *= 1.0 + 0.002 * drift(rng, length, 30.0)
    # Air at the lip: broad, and the weaker the higher.
    chiff = noise(rng, length, pitch_hz, 2.2 * pitch_hz)
    chiff += 0.5 * noise(rng, length, 1.5 * pitch_hz, 5.0 * pitch_hz)
    near = noise(rng, length, 0.93 * pitch_hz, 1.08 * pitch_hz)
    spoken = swell(length, 0.07, 0.16)
    rough = 1.0 + 0.12 * drift(rng, length, 60.0)
    sung = tone(pitch) + 0.14 * tone(2.0 * pitch) + 0.07 * tone(3.0 * pitch)
    blow = strike(length, 0.012, 0.05) + 0.15 * swell(length, 0.03, 0.2)
    return spoken * rough * (sung + 0.3 * near) + 0.22 * blow * chiff


def _rubbed(rng: np.random.Generator, pitch_hz: float, breath_s: float) -> Floats:
    duration_s = breath_s * rng.uniform(0.95, 1.05)
    length = frames(duration_s)
    # The glass takes a moment to find its pitch, from 12 cents below.
    pitch = pitch_hz * glide(duration_s, ((0.0, 0.993), (0.35, 1.0), (1.0, 0.999)))
    pitch *= 1.0 + 0.0012 * drift(rng, length, 9.0)
    pressed = swell(length, 0.3 * duration_s, 0.5 * duration_s)
    pressed *= 1.0 + 0.08 * drift(rng, length, 11.0)
    sung = np.zeros(length)
    for number, level in enumerate((1.0, 0.3, 0.18, 0.09, 0.04), start=1):
        # Pressed harder it grows brighter, and the finger catches now this, now that.
        own = pressed**number * (1.0 + 0.15 * drift(rng, length, 7.0))
        for share, off_hz in ((0.85, 0.0), (0.15, rng.uniform(1.0, 3.0))):
            phase = rng.uniform(0.0, 2.0 * math.pi)
            sung += share * level * own * tone(number * pitch + off_hz, phase)
    catching = 1.0 + 0.5 * drift(rng, length, 35.0)
    skin = noise(rng, length, 1.2 * pitch_hz, 3.0 * pitch_hz)
    skin += 0.5 * noise(rng, length, 2.0 * pitch_hz, 6.0 * pitch_hz)
    return sung + 0.025 * skin * catching * pressed**0.5


def muted(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Pluck a string that a hand lies on, again and again."""
    given = filled(params, MUTED)
    parts = []
    thuds = round(given["thuds"])
    for number in range(thuds):
        share = number / max(1, thuds - 1)
        pitch_hz = drawn_hz(hz(given["note"]) * given["sinks"] ** share)
        length = frames(0.25)
        partials = [
            (n * pitch_hz, rng.uniform(0.8, 1.1) / n**1.2, 0.06 / n**1.1)
            for n in range(1, 8)
        ]
        palm = noise(rng, length, 0.9 * pitch_hz, 3.0 * pitch_hz)
        palm *= strike(length, 0.006, 0.018)
        thud = modes(times(0.25), partials, rng) * swell(length, 0.005, 0.1)
        level = (1.0 - 0.3 * share) * rng.uniform(0.92, 1.05)
        onset_s = number * given["gap_s"] * rng.uniform(0.97, 1.03)
        parts.append((onset_s, level * (thud + 0.25 * palm * swell(length, 0.0, 0.1))))
    return outdoors(together(parts), -14.0)


def strum(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Brush over a few strings, upwards, and let go."""
    given = filled(params, STRUM)
    parts = []
    onset_s = 0.0
    at_hz = hz(given["note"])
    strings = round(given["strings"])
    for number in range(strings):
        # A nail that leaves each string sooner than the last.
        level = (1.0 - 0.45 * number / strings) * rng.uniform(0.85, 1.1)
        parts.append((onset_s, level * _string(rng, at_hz, given["ring_s"])))
        onset_s += given["gap_s"] * rng.uniform(0.85, 1.15)
        at_hz = _above_hz(at_hz)
    return outdoors(together(parts), -13.0)


def _above_hz(pitch_hz: float) -> float:
    """Return the next higher tone of the chord."""
    return next(
        drawn_hz(pitch_hz * step)
        for step in (1.12, 1.2, 1.33)
        if drawn_hz(pitch_hz * step) > 1.01 * pitch_hz
    )
