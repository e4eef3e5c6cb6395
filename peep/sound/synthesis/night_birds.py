"""Birds of a wood at night.

*Tawny owl*: a pair calls in turn. She says ke-wick, sharp, from 1 kHz up to 1.7 kHz
and a little back, in 0.2 s and rich in harmonics; he answers with a hoot of 700 to
900 Hz that quavers some 15 times a second. *Eagle owl*: a deep oo-hu of two notes, 300
to 370 Hz, the first the longer one; nothing else in the wood lies so low. *Nightjar*:
sits and churrs: pulses near 1.9 kHz, 35 to 40 a second; as it turns its head they come
slower and lower. *Nightingale*: of all it sings the swelling row of whistles, five a
half second, each from above 2 kHz and bent, which no other bird has. *Woodcock*: on
its round at dusk it croaks three or four times, 80 ms each and as many apart, pulsed
like a frog's call but duller, and ends in a sharp high tsip.
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
    strike,
    swell,
    times,
    together,
    tone,
)

KEWICK = {"pitch_hz": Param(1050.0, 700.0, 1400.0), "rise": Param(1.65, 1.2, 2.0)}
HOOT = {
    "pitch_hz": Param(790.0, 600.0, 1000.0),
    "quaver": Param(0.55, 0.0, 0.8),  # depth
}
EAGLE_OWL = {
    "pitch_hz": Param(340.0, 280.0, 450.0),
    "second": Param(0.86, 0.7, 1.4),  # note, times the first
}
NIGHTJAR = {
    "pitch_hz": Param(1900.0, 1300.0, 2400.0),
    "pulse_hz": Param(38.0, 25.0, 45.0),
    "turn": Param(1.0, 0.6, 1.6),  # times the pitch, towards the end
}
NIGHTINGALE = {
    "pitch_hz": Param(2350.0, 1600.0, 3000.0),
    "bend": Param(1.2, 0.7, 1.4),  # of each whistle: its end, times its beginning
    "swelling": Param(1.0, -1.0, 1.0),  # -1: the row dies away instead
}
WOODCOCK = {
    "pitch_hz": Param(720.0, 500.0, 1000.0),
    "croaks": Param(3.0, 1.0, 4.0),
    "tsip": Param(0.0, 0.0, 1.0),  # how strong
}

_HARMONICS = (1.0, 0.34, 0.13, 0.04)  # of the kewick

_CHURR_S = 0.46  # no pulse begins later

_Curve = Sequence[tuple[float, float]]


def kewick(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Call sharply: a short low syllable, and at once one that leaps up."""
    given = filled(params, KEWICK)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    top = given["rise"] * rng.uniform(0.97, 1.03)
    ke = _cry(rng, pitch_hz, 0.06, ((0.0, 0.9), (0.5, 1.0), (1.0, 0.95)))
    wick = _cry(
        rng,
        pitch_hz,
        rng.uniform(0.19, 0.22),
        ((0.0, 0.95), (0.3, 1.1), (0.7, top), (1.0, 0.8 * top)),
    )
    return outdoors(
        together([(0.0, 0.45 * ke), (rng.uniform(0.09, 0.11), wick)]), -12.0
    )


def _cry(
    rng: np.random.Generator, pitch_hz: float, duration_s: float, curve: _Curve
) -> Floats:
    length = frames(duration_s)
    pitch = pitch_hz * glide(duration_s, curve)
    pitch *= 1.0 + 0.006 * drift(rng, length, 90.0)
    voiced = np.zeros(length)
    for number, level in enumerate(_HARMONICS, start=1):
        voiced += level * rng.uniform(0.8, 1.2) * tone(number * pitch)
    rasp = noise(rng, length, pitch_hz, 2.2 * pitch_hz)
    breath = swell(length, 0.25 * duration_s, 0.4 * duration_s)
    # A throat under pressure does not swing evenly.
    breath *= 1.0 + 0.15 * drift(rng, length, 120.0)
    return breath * (voiced + 0.14 * rasp)


def hoot(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Hoot once, long, with a quaver that sets in and dies away."""
    given = filled(params, HOOT)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    duration_s = rng.uniform(0.48, 0.53)
    time = times(duration_s)
    curve = ((0.0, 0.88), (0.2, 1.0), (0.6, 0.98), (1.0, 0.9))
    pitch = pitch_hz * glide(duration_s, curve)
    beats = np.cumsum(15.0 + 1.2 * drift(rng, len(time), 8.0)) * (
        duration_s / len(time)
    )
    wave = 0.5 - 0.5 * np.cos(2.0 * math.pi * beats)
    depth = given["quaver"] * np.sin(math.pi * np.clip(time / duration_s, 0.0, 1.0))
    # Pitch and breath quaver together.
    pitch *= 1.0 - 0.02 * depth * wave + 0.003 * drift(rng, len(time), 30.0)
    breath = (1.0 - depth * wave) * swell(len(time), 0.09, 0.2)
    breath *= 1.0 + 0.05 * drift(rng, len(time), 40.0)
    air = noise(rng, len(time), 0.8 * pitch_hz, 1.8 * pitch_hz)
    sung = tone(pitch) + 0.1 * tone(2.0 * pitch) + 0.05 * tone(3.0 * pitch)
    return outdoors(breath * (sung + 0.035 * air), -11.0)


def eagle_owl(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Say oo-hu, far down: a long note and a short one, the lower one last or first."""
    given = filled(params, EAGLE_OWL)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    second = given["second"] * rng.uniform(0.99, 1.01)
    # He says the long note first and sinks; she the short one, and rises.
    lengths_s = (0.29, 0.17) if second < 1.0 else (0.16, 0.32)
    first_s, last_s = (length_s * rng.uniform(0.94, 1.06) for length_s in lengths_s)
    first = _deep(rng, pitch_hz, first_s)
    last = _deep(rng, pitch_hz * second, last_s)
    onset_s = first_s + rng.uniform(0.03, 0.05)
    weak, strong = 0.7, 1.0
    levels = (strong, weak) if second < 1.0 else (weak, strong)
    return outdoors(
        together([(0.0, levels[0] * first), (onset_s, levels[1] * last)]), -11.0
    )


def _deep(rng: np.random.Generator, pitch_hz: float, duration_s: float) -> Floats:
    length = frames(duration_s)
    top = rng.uniform(0.3, 0.45)
    curve = ((0.0, 0.84), (top, 1.0), (1.0, rng.uniform(0.86, 0.9)))
    pitch = pitch_hz * glide(duration_s, curve)
    pitch *= 1.0 + 0.005 * drift(rng, length, 25.0)
    breath = swell(length, 0.35 * duration_s, 0.5 * duration_s)
    breath *= 1.0 + 0.08 * drift(rng, length, 35.0)
    # The harder it blows, the more harmonics; else it would be an organ pipe.
    sung = tone(pitch) + breath * 0.25 * tone(2.0 * pitch, rng.uniform(0.0, 6.28))
    sung += breath**2 * 0.12 * tone(3.0 * pitch, rng.uniform(0.0, 6.28))
    air = noise(rng, length, pitch_hz, 2.0 * pitch_hz)
    return breath * (sung + 0.05 * air)


def nightjar(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Churr for half a second; where it turns its head, pitch and pace change."""
    given = filled(params, NIGHTJAR)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    pulse_hz = given["pulse_hz"] * rng.uniform(0.95, 1.05)
    turns_s = rng.uniform(0.15, 0.2)
    parts = []
    onset_s = 0.0
    while onset_s < _CHURR_S:
        # It turns its head within some three pulses.
        turning = min(1.0, max(0.0, (onset_s - turns_s) / 0.07))
        turned = given["turn"] ** turning
        level = 0.5 + 0.5 * math.sin(math.pi * min(1.0, 0.12 + onset_s / _CHURR_S))
        pulse = _churr_pulse(rng, pitch_hz * turned)
        parts.append((onset_s, level * rng.uniform(0.85, 1.1) * pulse))
        onset_s += rng.uniform(0.97, 1.03) / (pulse_hz * math.sqrt(turned))
    return outdoors(together(parts), -13.0)


def _churr_pulse(rng: np.random.Generator, pitch_hz: float) -> Floats:
    duration_s = 0.021
    length = frames(duration_s)
    here_hz = pitch_hz * rng.uniform(0.985, 1.015)
    pitch = here_hz * glide(duration_s, ((0.0, 0.93), (0.4, 1.03), (1.0, 0.97)))
    rasp = noise(rng, length, 0.8 * pitch_hz, 1.25 * pitch_hz)
    shape = swell(length, 0.006, 0.014)
    phase = rng.uniform(0.0, 2.0 * math.pi)
    return shape * (tone(pitch, phase) + 0.04 * tone(2.0 * pitch) + 0.22 * rasp)


def nightingale(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Whistle a row of like notes that swells (or dies away)."""
    given = filled(params, NIGHTINGALE)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    parts = []
    onset_s = 0.0
    count = 5
    for number in range(count):
        duration_s = 0.075 * rng.uniform(0.95, 1.06)
        length = frames(duration_s)
        bend = math.sqrt(given["bend"] * rng.uniform(0.98, 1.02))
        curve = ((0.0, 1.0 / bend), (0.25, 1.0 / bend), (1.0, bend))
        pitch = pitch_hz * rng.uniform(0.99, 1.01) * glide(duration_s, curve)
        pitch *= 1.0 + 0.004 * drift(rng, length, 60.0)
        whistle = tone(pitch) + 0.06 * tone(2.0 * pitch)
        share = number / (count - 1)
        rising = 0.5 + given["swelling"] * (share - 0.5)
        level = 0.25 + 0.75 * rising
        breath = swell(length, 0.03, 0.028) * (1.0 + 0.08 * drift(rng, length, 70.0))
        parts.append((onset_s, level * rng.uniform(0.9, 1.1) * breath * whistle))
        onset_s += 0.1 * rng.uniform(0.96, 1.04)
    return outdoors(together(parts), -12.0)


def woodcock(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Croak on its round; at its end, if asked, a sharp tsip."""
    given = filled(params, WOODCOCK)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.97, 1.03)
    parts = []
    onset_s = 0.0
    for number in range(round(given["croaks"])):
        level = (0.75 + 0.12 * number) * rng.uniform(0.9, 1.1)
        parts.append((onset_s, level * _croak(rng, pitch_hz)))
        onset_s += rng.uniform(0.135, 0.15)
    if given["tsip"] > 0:
        parts.append((onset_s, 0.5 * given["tsip"] * _tsip(rng)))
    return outdoors(together(parts), -13.0)


def _croak(rng: np.random.Generator, pitch_hz: float) -> Floats:
    duration_s = rng.uniform(0.075, 0.09)
    parts = []
    onset_s = 0.0
    while onset_s < duration_s:
        length = frames(0.02)
        here_hz = pitch_hz * rng.uniform(0.96, 1.04)
        rings = np.full(length, here_hz)
        ringing = tone(rings) + 0.5 * tone(1.9 * rings) + 0.15 * tone(2.9 * rings)
        air = noise(rng, length, 0.7 * pitch_hz, 2.6 * pitch_hz)
        pulse = (ringing + 0.3 * air) * strike(length, 0.002, 0.006)
        share = onset_s / duration_s
        level = 0.5 + 0.5 * math.sin(math.pi * (0.15 + 0.7 * share))
        parts.append((onset_s, level * pulse * swell(length, 0.0, 0.006)))
        onset_s += rng.uniform(0.95, 1.05) / 78.0
    return together(parts)


def _tsip(rng: np.random.Generator) -> Floats:
    duration_s = 0.06
    length = frames(duration_s)
    pitch = 3000.0 * rng.uniform(0.98, 1.02)
    curve = pitch * glide(duration_s, ((0.0, 0.9), (0.5, 1.1), (1.0, 1.0)))
    hiss = noise(rng, length, 2500.0, 3800.0)
    return swell(length, 0.012, 0.04) * (tone(curve) + 0.2 * hiss)
