"""What is to be recognised in a rendering: when which sound began.

A *cue* is what the mixer says of an event at the moment when it sounds, so its time is
exact; the sound follows within a block. A cue that carries many counts once. Its calls
to come (a flurry's), and a heartbeat that is missed, are *calls*: a listener may hear
them, and need not.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening.matching import Onset
from listening.rendering import At, Made, Told, render

from peep.mixer.commands import PULSE_VOICE, Play
from peep.mixer.outcomes import Cue
from peep.server.pipeline import Pipeline
from peep.signals import Event, Tier
from peep.sound.fake import RecordingEngine
from peep.sound.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from listening.rendering import Rendering
    from numpy.typing import NDArray

    from peep.mixer.outcomes import Outcome
    from peep.theme import SoundBank, Theme

TAIL_S = 3.0  # longer than any one-shot


class Performance(NamedTuple):
    """A mix, shape (n, 2) at 48 kHz, its cues, and all its calls, the cues' too."""

    sound: NDArray[np.float32]
    cues: list[Onset]
    calls: list[Onset]


def perform(
    it: Made, script: Sequence[At], seconds: float, *, seed: int
) -> Performance:
    """Render a script for so long, and TAIL_S more."""
    rendering = render(it, script, seconds + TAIL_S, seed=seed)
    return Performance(rendering.sound, _cues(rendering.outcomes), _calls(rendering))


def without(it: Made, sounds: Collection[str]) -> Made:
    """Return a theme in which some sounds are silent, as long as they are."""
    arrays = {
        key: np.zeros_like(array) if key[0] in sounds else array
        for key, array in it.samples.arrays.items()
    }
    return it._replace(samples=Samples(arrays, it.samples.bank))


def day_of(
    theme: Theme, bank: SoundBank, script: Iterable[At], *, seed: int
) -> list[Told]:
    """Return what an engine would be told, without making any sound."""
    engine = RecordingEngine(bank)
    engine.start()
    pipeline = Pipeline(theme, engine, bank, random.Random(seed))
    told: list[Told] = []

    def keep(now_s: float) -> None:
        told.extend(Told(now_s, command) for command in engine.commands)
        engine.commands.clear()

    for at_s, signal in script:
        while (due := pipeline.next_timer()) is not None and due <= at_s:
            now_s = max(0.0, due)
            pipeline.handle_timer(now_s)
            keep(now_s)
        pipeline.feed(signal, at_s, signal.host)
        keep(at_s)
    return told


def _cues(outcomes: Iterable[tuple[float, Outcome]]) -> list[Onset]:
    return [
        Onset(at_s, cue.sound, cue.signal.tier is Tier.ALERT)
        for at_s, cue in outcomes
        if isinstance(cue, Cue) and isinstance(cue.signal, Event)
    ]


def _calls(rendering: Rendering) -> list[Onset]:
    return [
        Onset(at_s, command.sound)
        for at_s, command in rendering.told
        if isinstance(command, Play) and command.voice != PULSE_VOICE
    ]
