"""Beasts of a wood at night, and what falls there.

*Roe deer*: a bark, hoarse: the voice breaks near 250 Hz, the throat rings at 650 and
1,250 Hz, 0.2 s, and once more, shorter. *Wolf*, far off: a howl of 400 to 600 Hz that
lingers, slides and falls away, its second and third harmonics 10 and 20 dB below; of
long way and many trunks nothing is left of what is higher. *Fox*: three quick yaps,
each a cracked arch up to 1 kHz. *Toad*: low calls that stumble, a creaking arch each.
*Acorn*: knocks against two or three branches (thin wood, each another pitch) and drops
into dead leaves. *Beetle* in old wood: five or six taps, eight a second. *Litter*:
something small among dead leaves, which are larger and duller than reeds. *Sough*: air
that sinks through the crowns, a breath without an edge: Peep's own pulse.
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
    modes,
    noise,
    outdoors,
    strike,
    swell,
    times,
    together,
    tone,
)

DEER = {"pitch_hz": Param(250.0, 180.0, 340.0), "barks": Param(2.0, 1.0, 3.0)}
HOWL = {
    "pitch_hz": Param(520.0, 380.0, 700.0),
    "slide_semitones": Param(-6.0, -9.0, 9.0),  # of its second half
    "howl_s": Param(1.3, 0.4, 1.8),
}
YAP = {"pitch_hz": Param(760.0, 500.0, 1000.0), "yaps": Param(3.0, 1.0, 4.0)}
TOAD = {"pitch_hz": Param(560.0, 400.0, 900.0), "calls": Param(2.0, 1.0, 3.0)}
ACORN = {"pitch_hz": Param(1250.0, 800.0, 1800.0), "branches": Param(3.0, 1.0, 4.0)}
BEETLE = {"pitch_hz": Param(1500.0, 900.0, 2500.0), "taps": Param(5.0, 2.0, 8.0)}
LITTER = {"pitch_hz": Param(1300.0, 800.0, 2500.0), "steps": Param(4.0, 2.0, 6.0)}
SOUGH = {"pitch_hz": Param(330.0, 220.0, 600.0), "breath_s": Param(0.9, 0.4, 1.4)}

_LEAVES = 16  # crushed by a step
_THROAT = ((650.0, 1.0, 90.0), (1250.0, 0.5, 140.0), (2300.0, 0.12, 250.0))
_TWIG = (
    (1.0, 1.0, 0.018),
    (1.38, 0.5, 0.015),
    (1.93, 0.45, 0.01),
    (2.75, 0.2, 0.005),
)
_TIMBER = (
    (0.42, 0.35, 0.02),
    (1.0, 1.0, 0.01),
    (1.45, 0.6, 0.008),
    (1.83, 0.3, 0.006),
    (2.3, 0.3, 0.004),
)


def deer(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Bark, and once more, shorter."""
    given = filled(params, DEER)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.95, 1.05)
    parts = []
    onset_s = 0.0
    for number in range(round(given["barks"])):
        duration_s = (0.21 if number == 0 else 0.15) * rng.uniform(0.92, 1.08)
        bark = _bark(rng, pitch_hz * (1.0 - 0.05 * number), duration_s)
        parts.append((onset_s, (1.0 if number == 0 else 0.7) * bark))
        onset_s += duration_s + rng.uniform(0.06, 0.09)
    return outdoors(together(parts), -12.0)


def _bark(rng: np.random.Generator, pitch_hz: float, duration_s: float) -> Floats:
    length = frames(duration_s)
    curve = ((0.0, 0.85), (0.25, 1.15), (1.0, 0.7))
    pitch = pitch_hz * glide(duration_s, curve)
    # Hoarse: the cords do not close alike twice.
    pitch *= 1.0 + 0.06 * drift(rng, length, 250.0)
    cords = _buzz(rng, pitch) + 0.35 * noise(rng, length, 400.0, 2500.0)
    envelope = strike(length, 0.015, 0.4 * duration_s) * swell(length, 0.0, 0.05)
    return envelope * _rung(cords, _THROAT)


def _buzz(rng: np.random.Generator, pitch_hz: Floats) -> Floats:
    """Return a voice before the throat: harmonics that fall by 6 dB an octave."""
    voiced = np.zeros(len(pitch_hz))
    for number in range(1, 13):
        # Of any phase: all together would be a click a period, which no throat makes.
        voiced += tone(number * pitch_hz, rng.uniform(0.0, 2.0 * math.pi)) / number
    return voiced


def _rung(cords: Floats, formants: Sequence[tuple[float, float, float]]) -> Floats:
    """Return what a throat makes of it: (frequency_hz, level, bandwidth_hz)."""
    spectrum = np.fft.rfft(cords, len(cords) * 2)
    frequency = np.fft.rfftfreq(len(cords) * 2, 1.0 / 48_000.0)
    gain = np.full(len(frequency), 0.02)
    for centre_hz, level, width_hz in formants:
        gain += level / (1.0 + ((frequency - centre_hz) / width_hz) ** 2)
    return np.asarray(np.fft.irfft(spectrum * gain)[: len(cords)], np.float64)


def howl(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Howl, far off: rise, linger, slide."""
    given = filled(params, HOWL)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    duration_s = given["howl_s"] * rng.uniform(0.95, 1.05)
    slide = 2.0 ** (given["slide_semitones"] / 12.0)
    length = frames(duration_s)
    # The voice breaks up to its note, and is held there.
    curve = ((0.0, 0.72), (0.14, 0.97), (0.4, 1.0), (0.55, 0.99), (1.0, slide))
    pitch = pitch_hz * glide(duration_s, curve)
    pitch *= 1.0 + 0.005 * drift(rng, length, 9.0) + 0.002 * drift(rng, length, 40.0)
    sung = tone(pitch) + 0.32 * tone(2.0 * pitch) + 0.12 * tone(3.0 * pitch)
    air = noise(rng, length, 0.8 * pitch_hz, 2.2 * pitch_hz)
    breath = swell(length, 0.14, 0.42 * duration_s)
    breath *= 1.0 + 0.09 * drift(rng, length, 12.0)
    return outdoors(breath * (sung + 0.03 * air), -8.0)


def yap(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Yap three times, as foxes do to each other."""
    given = filled(params, YAP)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.96, 1.04)
    parts = []
    onset_s = 0.0
    for number in range(round(given["yaps"])):
        duration_s = rng.uniform(0.095, 0.115)
        length = frames(duration_s)
        curve = ((0.0, 0.8), (0.4, 1.3), (1.0, 0.85))
        pitch = pitch_hz * glide(duration_s, curve)
        pitch *= 1.0 + 0.015 * drift(rng, length, 150.0)
        voiced = sum(
            level * tone(n * pitch, rng.uniform(0.0, 6.28))
            for n, level in enumerate((1.0, 0.55, 0.25, 0.1), start=1)
        )
        rasp = noise(rng, length, pitch_hz, 2.5 * pitch_hz)
        breath = swell(length, 0.02, 0.05) * (1.0 + 0.12 * drift(rng, length, 120.0))
        level = (0.8 + 0.1 * number) * rng.uniform(0.9, 1.1)
        parts.append((onset_s, level * breath * (voiced + 0.35 * rasp)))
        onset_s += rng.uniform(0.17, 0.19)
    return outdoors(together(parts), -12.0)


def toad(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Creak twice; the second sinks and comes late."""
    given = filled(params, TOAD)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    parts = []
    onset_s = 0.0
    for number in range(round(given["calls"])):
        duration_s = (0.16 + 0.06 * number) * rng.uniform(0.95, 1.05)
        length = frames(duration_s)
        lower = 0.78**number
        curve = ((0.0, 0.9), (0.3, 1.0), (1.0, 0.8))
        cords = 95.0 * glide(duration_s, curve) * lower
        cords *= 1.0 + 0.03 * drift(rng, length, 100.0)
        sac = ((pitch_hz * lower, 1.0, 70.0), (2.3 * pitch_hz * lower, 0.35, 150.0))
        creak = _rung(_buzz(rng, cords), sac) * swell(length, 0.03, 0.07)
        parts.append((onset_s, (1.0 - 0.15 * number) * creak))
        onset_s += duration_s + rng.uniform(0.05, 0.08)
    return outdoors(together(parts), -13.0)


def acorn(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Fall from branch to branch, and into dead leaves."""
    given = filled(params, ACORN)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    parts = []
    onset_s = 0.0
    for number in range(round(given["branches"])):
        length = frames(0.12)
        branch_hz = pitch_hz * (1.22, 1.0, 1.12, 0.9)[number] * rng.uniform(0.97, 1.03)
        wood = [
            (branch_hz * ratio, level * rng.uniform(0.7, 1.2), decay_s)
            for ratio, level, decay_s in _TWIG
        ]
        shell = noise(rng, length, 800.0, 3200.0) * strike(length, 0.002, 0.006)
        knock = modes(times(0.12), wood, rng) + 0.35 * shell
        knock *= swell(length, 0.003, 0.04)
        parts.append((onset_s, (0.8 + 0.15 * (number == 1)) * knock))
        # It falls faster and faster.
        onset_s += (0.17, 0.13, 0.1, 0.09)[number] * rng.uniform(0.95, 1.05)
    length = frames(0.22)
    ground = noise(rng, length, 260.0, 900.0) * strike(length, 0.004, 0.035)
    leaves = noise(rng, length, 900.0, 2600.0) * strike(length, 0.012, 0.04)
    thud = (0.5 * ground + 0.25 * leaves) * swell(length, 0.0, 0.05)
    parts.append((onset_s, thud))
    return outdoors(together(parts), -13.0)


def beetle(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Tap in old wood, evenly."""
    given = filled(params, BEETLE)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    parts = []
    onset_s = 0.0
    for _ in range(round(given["taps"])):
        length = frames(0.1)
        body = [
            (pitch_hz * ratio * rng.uniform(0.99, 1.01), level, decay_s)
            for ratio, level, decay_s in _TIMBER
        ]
        head = noise(rng, length, 700.0, 2800.0) * strike(length, 0.001, 0.003)
        tap = (modes(times(0.1), body, rng) + 0.3 * head) * swell(length, 0.001, 0.03)
        parts.append((onset_s, rng.uniform(0.8, 1.0) * tap))
        onset_s += 0.095 * rng.uniform(0.97, 1.03)
    return outdoors(together(parts), -13.0)


def litter(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Patter through dead leaves: a few steps, each a crush of leaves."""
    given = filled(params, LITTER)
    pitch_hz = given["pitch_hz"]
    parts = []
    onset_s = 0.0
    for _ in range(round(given["steps"])):
        weight = rng.uniform(0.75, 1.0)
        for _ in range(_LEAVES):
            # Each leaf has a pitch of its own; the larger, the slower it gives way.
            leaf_hz = pitch_hz * 2.0 ** rng.uniform(-0.9, 0.6)
            length = frames(0.035)
            crushed = noise(rng, length, 0.8 * leaf_hz, 1.25 * leaf_hz)
            shape = strike(length, 0.004, 9.0 / leaf_hz) * swell(length, 0.0, 0.01)
            at_s = onset_s + abs(rng.normal(0.0, 0.022))
            level = weight * min(1.2, 0.3 * rng.pareto(3.5) + 0.45)
            parts.append((at_s, level * crushed * shape))
        onset_s += rng.uniform(0.08, 0.13)
    return outdoors(together(parts), -14.0)


def sough(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """One soft breath of air through the crowns."""
    given = filled(params, SOUGH)
    duration_s = given["breath_s"] * rng.uniform(0.95, 1.05)
    length = frames(duration_s)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    air = np.zeros(length)
    # The narrower, the stronger: bands within bands have no edge that is heard.
    for width, level in ((1.12, 1.0), (1.35, 0.6), (1.8, 0.35), (2.6, 0.18)):
        air += level * noise(rng, length, pitch_hz / width**0.6, pitch_hz * width)
    bent = pitch_hz * glide(duration_s, ((0.0, 0.93), (0.5, 1.05), (1.0, 0.9)))
    bent *= 1.0 + 0.01 * drift(rng, length, 12.0)
    breath = np.sin(math.pi * np.linspace(0.0, 1.0, length)) ** 1.6
    return outdoors(breath * (air + 0.6 * tone(bent)), -12.0)
