"""The graph rendered to a file as fast as it goes, in this process.

What a live engine does at a moment, this one does when it has been advanced to that
moment: the file's time is the caller's, to the block (5.3 ms). The same theme, seed
and commands give the same bytes on the same machine (OGG: the same sound).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from peep.errors import EngineError
from peep.mixer.commands import Command
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ, Gap, Meters
from peep.sound.files import SoundWriter
from peep.sound.master import Master
from peep.sound.pyo_engine.graph import Graph
from peep.sound.ring import Ring
from peep.sound.samples import make_samples
from peep.theme import SoundBank, Theme


class OfflineEngine:
    """Implements Engine; time passes only in `advance`.

    One graph lives in a process: starting one ends the sound of any other.
    """

    note: str | None = None
    ring: Ring | None = None

    def __init__(self, theme: Theme, directory: Path, out: Path, seed: int) -> None:
        """Render a theme, whose files lie in a directory, into `out`."""
        self._theme = theme
        self._directory = directory
        self._out = out
        self._seed = seed
        self._master: Master | None = None
        self._writer: SoundWriter | None = None
        self._blocks = 0
        self._failure: str | None = None
        self._last = Meters()

    def start(self) -> SoundBank:
        """Make every sound, open the file. Raises EngineError."""
        if self._master is not None:
            raise EngineError("the sound engine was started twice")
        samples = make_samples(self._theme, self._directory)
        graph = Graph(self._theme, samples, self._seed)
        # The file last, so that a theme that fails spoils no earlier recording.
        self._writer = SoundWriter(self._out)
        self._master = Master(graph)
        return samples.bank

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands for the present moment. Raises EngineError unless started."""
        self._running().apply(commands)

    def advance(self, to_s: float) -> None:
        """Render up to a moment, rounded to a block; going back does nothing.

        Raises EngineError where the file cannot be written; it is then of no use.
        """
        master = self._running()
        goal = round(to_s * SAMPLE_RATE_HZ / BLOCK_FRAMES)
        while self._blocks < goal:
            block = master.block()
            # The limiter gives each block one late; `stop` fetches the last.
            if self._blocks:
                self._write(block)
            self._blocks += 1

    def meters(self) -> Meters:
        """Return the reading of all that was rendered."""
        if self._master is not None:
            self._last = self._master.meters()
        return self._last

    def failure(self) -> str | None:
        """Say in one line why the file could not be written, if so."""
        return self._failure

    def look(self) -> Gap | None:
        """Return nothing: it is never made anew."""
        return None

    def stop(self) -> Meters:
        """Close the file. Raises EngineError if it cannot be finished."""
        master, self._master = self._master, None
        if master is not None:
            if self._blocks and self._failure is None:
                self._write(master.block())
            self._last = msgspec.structs.replace(
                master.meters(), frames=self._blocks * BLOCK_FRAMES
            )
            self._close()
        return self._last

    def _write(self, block: NDArray[np.float32]) -> None:
        assert self._writer is not None
        try:
            self._writer.write(block)
        except EngineError as error:
            self._failure = str(error)
            raise

    def _close(self) -> None:
        assert self._writer is not None
        try:
            self._writer.close()
        except EngineError as error:
            self._failure = str(error)
            raise

    def _running(self) -> Master:
        if self._master is None:
            raise EngineError("the sound engine is not running")
        return self._master
