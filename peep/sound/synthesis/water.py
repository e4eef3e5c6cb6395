"""Water: what sounds is the bubble of air that a drop leaves behind.

A bubble of radius r metres rings at about 3/r Hz (Minnaert) and dies in some tens of
milliseconds; as it nears the surface its pitch rises, 900 to 1,700 Hz for the classic
drip. The blow of the drop itself is only a tick, some 20 ms earlier. A large bubble
that rises slowly through deep water is Peep's own pulse: near 300 Hz, without any
edge, so soft that it is missed rather than noticed.
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

DROP = {
    "pitch_hz": Param(900.0, 400.0, 2000.0),
    "rise": Param(1.85, 1.2, 2.5),
}
PULSE = {
    "pitch_hz": Param(290.0, 200.0, 500.0),
    "breath_s": Param(0.55, 0.3, 0.9),
}


def drop(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """Drip into still water; the drop throws up a smaller one."""
    given = filled(params, DROP)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.94, 1.06)
    tick = noise(rng, frames(0.012), 1500.0, 4500.0) * strike(
        frames(0.012), 0.001, 0.002
    )
    parts = [
        (0.0, 0.1 * tick * swell(len(tick), 0.0, 0.004)),
        (rng.uniform(0.016, 0.026), _bubble(rng, pitch_hz, given["rise"])),
        (
            rng.uniform(0.15, 0.2),
            rng.uniform(0.25, 0.45)
            * _bubble(rng, pitch_hz * rng.uniform(1.2, 1.35), given["rise"]),
        ),
    ]
    return outdoors(together(parts), -13.0)


def _bubble(rng: np.random.Generator, pitch_hz: float, rise: float) -> Floats:
    duration_s = 0.16
    length = frames(duration_s)
    # Slow at first, then faster: the pitch goes with the nearness of the surface.
    share = np.linspace(0.0, 1.0, length)
    pitch = pitch_hz * (1.0 + (rise * rng.uniform(0.95, 1.05) - 1.0) * share**1.5)
    envelope = strike(length, 0.006, 0.042) * swell(length, 0.0, 0.05)
    return envelope * (tone(pitch) + 0.05 * tone(2.0 * pitch))


def pulse(rng: np.random.Generator, params: Mapping[str, float]) -> Floats:
    """One slow, soft bubble with a breath of air."""
    given = filled(params, PULSE)
    duration_s = given["breath_s"] * rng.uniform(0.95, 1.05)
    length = frames(duration_s)
    pitch_hz = given["pitch_hz"] * rng.uniform(0.98, 1.02)
    pitch = pitch_hz * glide(duration_s, ((0.0, 0.92), (0.6, 1.12), (1.0, 1.35)))
    pitch *= 1.0 + 0.004 * drift(rng, length, 20.0)
    level = swell(length, 0.12, duration_s - 0.14)
    air = noise(rng, length, 250.0, 700.0)
    return outdoors(
        level * (tone(pitch) + 0.06 * tone(2.0 * pitch) + 0.07 * air), -14.0
    )
