"""Hours of a theme's bed: does any of it come again?

The default theme's bed is rendered whole; of the others one run of SAMPLED_S stands for
the hours, in which the states wander as far.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import numpy as np
from listening import repeats
from listening.rendering import HeldEngine, made, play
from listening.script import CALM, bed

if TYPE_CHECKING:
    from listening.rendering import Made
    from listening.table import Line
    from numpy.typing import NDArray

WHOLE = "wetland"
WHOLE_S = 8 * 3600.0
SAMPLED_S = 40 * 60.0
CALM_STATES = CALM._replace(states=(0.0, 1.0))
BLOCKS = 8 * repeats.SHRINK  # that are shrunk in one go


def report(name: str) -> list[Line]:
    """Return whether any five seconds of a theme's bed come again."""
    it = made(name)
    return [repeated(it, WHOLE_S if it.theme.name == WHOLE else SAMPLED_S)]


def repeated(it: Made, seconds: float) -> Line:
    """Return whether any five seconds of so much bed come again."""
    shrinking = repeats.Shrinking()
    waiting: list[NDArray[np.float32]] = []
    # Hours are hundreds of megabytes, even so.
    with tempfile.TemporaryFile() as kept:

        def take(block: NDArray[np.float32]) -> None:
            waiting.append(block)
            if len(waiting) == BLOCKS:
                kept.write(shrinking.feed(np.concatenate(waiting)).tobytes())
                waiting.clear()

        engine = HeldEngine(it, 1, lambda _: None, take)
        play(engine, it.theme, bed(CALM_STATES, seconds), seconds)
        kept.flush()
        return repeats.judged(np.memmap(kept, np.int16, "r"))
