"""How many streams there are at a time, from what the engine was told.

A stream is what an ear may follow by itself: each layer that a state leads and each
one-shot, from its beginning to where it has faded by FADED_DB for good: what decays
further is hidden by the bed. Pulse and heartbeats are left aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peep.mixer.commands import PULSE_VOICE, Level, Play, Stop
from peep.sound.engine import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listening.rendering import Made, Rendering
    from numpy.typing import NDArray

MOMENT_S = 0.02
FADED_DB = 20.0
Span = tuple[float, float]


def counted(it: Made, rendering: Rendering) -> NDArray[np.int_]:
    """Return how many streams there are in each MOMENT_S."""
    ends_s = len(rendering.sound) / SAMPLE_RATE_HZ
    count = np.zeros(int(ends_s / MOMENT_S), int)
    for spans in (_shots, _layers):
        for from_s, to_s in spans(it, rendering, ends_s):
            count[round(from_s / MOMENT_S) : round(to_s / MOMENT_S)] += 1
    return count


def heard_s(array: NDArray[np.floating]) -> float:
    """Return how long a sound is heard before it has faded."""
    step = round(MOMENT_S * SAMPLE_RATE_HZ)
    padded = np.pad(array, (0, -len(array) % step)).reshape(-1, step)
    power = np.mean(padded**2, axis=1)
    there = np.flatnonzero(power > 10 ** (-FADED_DB / 10) * power.max())
    return float(there[-1] + 1) * MOMENT_S


def _shots(it: Made, rendering: Rendering, ends_s: float) -> Iterator[Span]:
    """Yield when one-shots sound; each ends where its voice plays another."""
    sounding: dict[int, Span] = {}
    for at_s, command in rendering.told:
        if not isinstance(command, Play | Stop) or command.voice == PULSE_VOICE:
            continue
        from_s, to_s = sounding.pop(command.voice, (at_s, at_s))
        yield from_s, min(to_s, at_s)
        if isinstance(command, Play):
            lasts_s = heard_s(it.samples.arrays[command.sound, command.variant])
            sounding[command.voice] = at_s, at_s + lasts_s / command.rate
    for from_s, to_s in sounding.values():
        yield from_s, min(to_s, ends_s)


def _layers(_it: Made, rendering: Rendering, ends_s: float) -> Iterator[Span]:
    began: dict[str, float] = {}
    for at_s, command in rendering.told:
        if not isinstance(command, Level):
            continue
        if command.value is not None:
            began.setdefault(command.layer, at_s)
        elif command.layer in began:
            yield began.pop(command.layer), at_s + command.fade_s
    for from_s in began.values():
        yield from_s, ends_s
