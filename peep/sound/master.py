"""From the graph to what goes out: buses, the limiter, and the meters after it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from peep.mixer.commands import Command, Fade
from peep.sound.buses import Buses
from peep.sound.engine import BLOCK_FRAMES, CHANNELS, Meters
from peep.sound.levels import LoudnessMeter
from peep.sound.limiter import Limiter
from peep.sound.pyo_engine.graph import Graph

_METERED_BLOCKS = 8  # at a time: costs a third of metering each block, and lags 43 ms


class Master:
    """A graph with the end of its chain: makes the blocks that are heard."""

    def __init__(self, graph: Graph, frames: int = 0) -> None:
        """Count on from `frames`."""
        self.frames = frames
        self.ignored = 0  # commands that made no sense
        self._graph = graph
        self._buses = Buses()
        self._limiter = Limiter()
        self._meter = LoudnessMeter()
        shape = (_METERED_BLOCKS, BLOCK_FRAMES, CHANNELS)
        self._unmetered = np.zeros(shape, np.float32)
        self._count = 0

    def apply(self, commands: Sequence[Command]) -> None:
        """Take commands for the next block."""
        for command in commands:
            if isinstance(command, Fade):
                done = self._buses.fade(command)
            else:
                done = self._graph.apply(command)
            self.ignored += not done

    def block(self) -> NDArray[np.float32]:
        """Make the next block, shape (256, 2): a new array."""
        block = self._limiter.process(self._buses.mix(self._graph.block()))
        self.frames += BLOCK_FRAMES
        self._unmetered[self._count] = block
        self._count += 1
        if self._count == _METERED_BLOCKS:
            self._feed()
        return block

    def meters(self, underruns: int = 0) -> Meters:
        """Read the meters, up to the last block made."""
        self._feed()
        return Meters(
            frames=self.frames,
            integrated_lufs=self._meter.integrated_lufs,
            momentary_lufs=self._meter.momentary_lufs,
            true_peak_dbtp=self._meter.true_peak_dbtp,
            underruns=underruns,
        )

    def _feed(self) -> None:
        self._meter.feed(self._unmetered[: self._count].reshape(-1, CHANNELS))
        self._count = 0
