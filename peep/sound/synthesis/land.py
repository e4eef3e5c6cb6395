"""Far thunder, hooves, pods, something moving in the reeds: sounds made of noise.

*Thunder* far away is a dull blow and its reflections from hills and clouds: each a
burst of noise, strongest at 120 to 250 Hz and falling off above, later ones weaker and
duller, since air and ground swallow the highs. The blow reaches up to 2 kHz so that
small speakers, which give nothing below 200 Hz, tell of it too. Mirrored, it rolls
nearer: each clap is brighter than the last, and the blow ends it. *Hooves* on dry turf:
a thud whose 90 to 300 Hz sink as the ground gives way and are gone in 60 ms, with a
scuff of grass; three to a bound, two close and one late. They go away, or mirrored come
nearer (louder, brighter). *Pod*: gorse in the sun, a dry pod that twists open with two
cracks of 1.5 to 3 kHz and throws its seeds. *Rustle*: dry reed stems rub and click;
some dozens of grains of 10 to 40 ms between 1 and 3.5 kHz, crowded in two brushes, each
grain a different stem.
"""

from collections.abc import Mapping

import numpy as np

from peep.sound.synthesis.tools import (
    Floats,
    Param,
    filled,
    frames,
    glide,
    hiss,
    outdoors,
    strike,
    swell,
    together,
    tone,
)

THUNDER = {
    "high_hz": Param(330.0, 200.0, 700.0),
    "claps": Param(7.0, 1.0, 12.0),
    "roll_s": Param(0.38, 0.1, 0.45),  # from the first clap to the last
    "mirror": Param(0.0, 0.0, 1.0),
}
HOOVES = {
    "pitch_hz": Param(150.0, 90.0, 300.0),
    "bounds": Param(2.0, 1.0, 2.0),
    "mirror": Param(0.0, 0.0, 1.0),
}
POD = {"pitch_hz": Param(2000.0, 1200.0, 3200.0), "seeds": Param(9.0, 2.0, 16.0)}
RUSTLE = {
    "pitch_hz": Param(1900.0, 900.0, 3000.0),
    "grains": Param(64.0, 10.0, 120.0),
}

_BOUND = 3  # hooves; the fourth falls with another
_FIRST_BRUSH = 0.55  # share of the grains


def thunder(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Strike a dull blow that rolls away, or roll nearer and strike."""
    given = filled(params, THUNDER)
    high_hz = given["high_hz"] * rng.uniform(0.95, 1.05)
    claps, roll_s = round(given["claps"]), given["roll_s"]
    parts = [(0.0, 1.4 * _burst(rng, 0.75 * high_hz, 8.0, 0.012, 0.11))]
    for clap, onset_s in enumerate(np.sort(rng.uniform(0.04, roll_s, claps))):
        far = (clap + 1) / claps
        fading = (0.75 - 0.6 * far) * rng.uniform(0.7, 1.15)
        centre_hz = high_hz * (0.7 - 0.3 * far)
        burst = _burst(rng, centre_hz, 10.0 + 5.0 * far, 0.03, 0.1)
        parts.append((float(onset_s), fading * burst))
    if round(given["mirror"]):
        # Only the order turns: a burst that swelled and broke off would be no thunder.
        parts = [(roll_s - at_s, burst) for at_s, burst in parts]
    return outdoors(together(parts), -16.0)


def _burst(
    rng: np.random.Generator,
    centre_hz: float,
    above_db: float,
    rise_s: float,
    decay_s: float,
) -> Floats:
    length = frames(5.0 * decay_s)
    envelope = strike(length, rise_s, decay_s) * swell(length, 0.0, 2.0 * decay_s)
    return hiss(rng, length, centre_hz, below_db=12.0, above_db=above_db) * envelope


def hooves(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Bound away over the turf, or nearer."""
    given = filled(params, HOOVES)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.95, 1.05)
    beats = _BOUND * round(given["bounds"])
    parts = []
    onset_s = 0.0
    for beat in range(beats):
        far = beat / (beats - 1)
        near = far if round(given["mirror"]) else 1.0 - far
        is_last = beat % _BOUND == _BOUND - 1
        here_hz = pitch_hz * rng.uniform(0.9, 1.1) * (1.3 if is_last else 1.0)
        level = (0.4 + 0.6 * near) * rng.uniform(0.9, 1.1)
        parts.append((onset_s, level * _thud(rng, here_hz, near)))
        onset_s += (0.12 if is_last else 0.075) * rng.uniform(0.93, 1.07)
    return outdoors(together(parts), -15.0)


def _thud(rng: np.random.Generator, pitch_hz: float, near: float) -> Floats:
    length = frames(0.22)
    sinking = pitch_hz * glide(0.22, ((0.0, 1.6), (0.2, 1.0), (1.0, 0.7)))
    thud = tone(sinking) * strike(length, 0.006, 0.038)
    body = hiss(rng, length, 1.4 * pitch_hz, below_db=12.0, above_db=12.0)
    scuff = hiss(rng, length, 900.0, below_db=9.0, above_db=9.0)
    blow = thud + 0.4 * body * strike(length, 0.005, 0.03)
    blow += (0.05 + 0.12 * near) * scuff * strike(length, 0.005, 0.02)
    return np.asarray(blow * swell(length, 0.0, 0.08), np.float64)


def pod(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Crack open and throw seeds."""
    given = filled(params, POD)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.93, 1.07)
    twisted_s = rng.uniform(0.045, 0.065)
    parts = [
        (0.0, _crack(rng, pitch_hz, 0.03)),
        (twisted_s, 0.85 * _crack(rng, 0.75 * pitch_hz, 0.042)),
    ]
    for _ in range(round(given["seeds"])):
        at_s = twisted_s + rng.uniform(0.07, 0.32)
        here_hz = pitch_hz * rng.uniform(0.8, 1.3)
        parts.append((at_s, rng.uniform(0.15, 0.4) * _crack(rng, here_hz, 0.009)))
    return outdoors(together(parts), -14.0)


def _crack(rng: np.random.Generator, pitch_hz: float, decay_s: float) -> Floats:
    length = frames(8.0 * decay_s)
    shell = tone(np.full(length, pitch_hz), rng.uniform(0.0, 6.28))
    split = hiss(rng, length, pitch_hz, below_db=12.0, above_db=18.0)
    envelope = strike(length, 0.001, decay_s) * swell(length, 0.0, 2.0 * decay_s)
    return np.asarray((split + 0.9 * shell) * envelope, np.float64)


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
    # A few long noises, each of another thickness of stem, cut into grains: far cheaper
    # than noise for each grain.
    sources = [
        hiss(rng, frames(0.3), ratio * given["pitch_hz"], below_db=15.0, above_db=24.0)
        for ratio in (0.75, 1.0, 1.3)
    ]
    parts = []
    for onset_s in np.clip(onsets_s, 0.0, 0.45):
        source = sources[rng.integers(len(sources))]
        length = frames(rng.uniform(0.012, 0.04))
        start = rng.integers(0, len(source) - length)
        level = min(1.3, 0.4 * rng.pareto(4.0) + 0.4)
        shape = strike(length, 0.003, 0.01) * swell(length, 0.0, 0.004)
        parts.append((float(onset_s), level * source[start : start + length] * shape))
    return outdoors(together(parts), -13.0)
