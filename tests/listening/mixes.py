"""Minutes of a theme, rendered and measured: calm, a storm, and what repeats itself.

Loudness of a storm. The target speaks of events a hundred times as many. The states
wander higher, too: when it storms, hosts work.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from listening import repeats
from listening.rendering import made, render
from listening.script import CALM, STORM, minutes
from listening.sounds import flat_run
from listening.streams import counted
from listening.table import Line, at_most, within, yes

from peep.mixer.commands import Level
from peep.mixer.outcomes import Cue
from peep.signals import Event
from peep.sound.engine import BLOCK_FRAMES
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.levels import LoudnessMeter

if TYPE_CHECKING:
    from listening.rendering import Made, Rendering
    from numpy.typing import NDArray

CALM_S = 300.0
STORM_S = 120.0
AGAIN_S = 8.0  # rendered twice, to be the same bytes
MOST_STREAMS = 3
PIECE = 128 * BLOCK_FRAMES


def report(name: str) -> list[Line]:
    """Return the lines about a theme's calm and stormy minutes."""
    it = made(name)
    calm = render(it, minutes(CALM, CALM_S), CALM_S, bed=True)
    storm = render(it, minutes(STORM, STORM_S), STORM_S)
    return [
        *loudness(calm, storm),
        *eventfulness(it, calm),
        repeats.line(calm.bed),
        joints(calm.bed),
        *accounts("calm", calm),
        *accounts("storm", storm),
        same_bytes(it),
    ]


def loudness(calm: Rendering, storm: Rendering) -> list[Line]:
    """Return how loud calm and storm are, and what they come to at most."""
    quiet, loud = metered(calm.sound), metered(storm.sound)
    clipped = max(flat_run(side) for side in (*calm.sound.T, *storm.sound.T))
    louder = loud.integrated_lufs - quiet.integrated_lufs
    return [
        within("calm, LUFS", quiet.integrated_lufs, -30.0, 2.0),
        at_most("calm, momentary, LUFS", quiet.max_momentary_lufs, -20.0),
        at_most("storm over calm, LU", louder, 10.0),
        at_most("storm, momentary, LUFS", loud.max_momentary_lufs, -16.0),
        at_most("storm, true peak, dBTP", loud.true_peak_dbtp, -1.0),
        at_most("samples in a row alike at the top", clipped, 3),
    ]


def metered(sound: NDArray[np.float32]) -> LoudnessMeter:
    """Return a meter that has heard a sound, shape (n, 2)."""
    meter = LoudnessMeter()
    # In one go it would take gigabytes.
    for start in range(0, len(sound), PIECE):
        meter.feed(sound[start : start + PIECE])
    return meter


def eventfulness(it: Made, rendering: Rendering) -> list[Line]:
    """Return how many foreground cues there are, and how often too many streams."""
    seconds = len(rendering.sound) / RATE_HZ
    cues = sum(
        isinstance(outcome, Cue) and isinstance(outcome.signal, Event)
        for _, outcome in rendering.outcomes
    )
    count = counted(it, rendering)
    layers = {told.layer for _, told in rendering.told if isinstance(told, Level)}
    return [
        at_most("calm, foreground cues a minute", 60 * cues / seconds, 6),
        at_most(
            f"calm, more than {MOST_STREAMS} streams, share of time",
            float(np.mean(count > MOST_STREAMS)),
            0.05,
            f"{np.mean(count):.1f} on average; layers: {', '.join(sorted(layers))}",
        ),
    ]


def joints(bed: NDArray[np.floating]) -> Line:
    """Return how much a bed bends where blocks join, beside where it bends most else.

    Nothing of it loops, so blocks are the only joints that there are.
    """
    bends = np.abs(np.diff(bed, 2, axis=0)).max(axis=1)
    whole = bends[: len(bends) // BLOCK_FRAMES * BLOCK_FRAMES]
    blocks = whole.reshape(-1, BLOCK_FRAMES)
    # The last two of a block reach over into the next one.
    inside = blocks[:, :-2].max(initial=1e-9)
    ratio = float(blocks[:, -2:].max(initial=0.0) / inside)
    return at_most("second difference at the bed's joints, ratio", ratio, 8.0)


def accounts(what: str, rendering: Rendering) -> list[Line]:
    """Return whether each signal became one cue or one suppression."""
    tally = rendering.tally
    ended = tally.cues + sum(tally.suppressions.values())
    lost = abs(tally.signals - ended)
    return [at_most(f"{what}, signals less cues and suppressions", lost, 0)]


def same_bytes(it: Made, seconds: float = AGAIN_S) -> Line:
    """Return whether a seed makes the same bytes again, and another one does not."""
    script = minutes(STORM, seconds)
    one, two, other = (
        hashlib.sha256(render(it, script, seconds, seed=seed).sound.tobytes()).digest()
        for seed in (1, 1, 2)
    )
    return yes("the same bytes of the same seed only", met=one == two != other)
