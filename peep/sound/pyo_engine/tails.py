"""The ends of what was cut off, added to what pyo made, block by block."""

import numpy as np
from numpy.typing import NDArray

from peep.sound.engine import BLOCK_FRAMES, CHANNELS
from peep.sound.pyo_engine.voices import Tail


class Tails:
    """Tails that still sound. Each lasts three blocks, so they are never many."""

    def __init__(self) -> None:
        self._sounding: list[tuple[Tail, int]] = []

    def __bool__(self) -> bool:
        return bool(self._sounding)

    def add(self, tail: Tail | None) -> None:
        """Let a tail sound from the next block on."""
        if tail is not None:
            self._sounding.append((tail, 0))

    def mix(self, block: NDArray[np.float32]) -> None:
        """Add the next part of each to a block, shape (256, two for each bus)."""
        going_on = []
        for tail, at in self._sounding:
            part = tail.sound[at : at + BLOCK_FRAMES]
            first = tail.bus * CHANNELS
            block[: len(part), first : first + CHANNELS] += part
            if at + BLOCK_FRAMES < len(tail.sound):
                going_on.append((tail, at + BLOCK_FRAMES))
        self._sounding = going_on
