"""Outputs as loops that pull blocks, and the one that the clock paces.

An output pulls blocks from a Feed until the feed is over. Sound that goes to a file or
nowhere is paced by the clock, and so is a sound card's while there is none: what is
missed then is not heard, but time, beats and meters go on.
"""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from peep.clock import Clock, SystemClock
from peep.errors import EngineError
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.files import SoundWriter

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
MOST_BEHIND_S = 0.25  # more lateness than this (a suspend, a stall) is let go


class Feed(Protocol):
    """What an output plays, and whom it tells what goes wrong."""

    underruns: int
    failure: str | None

    def pull(self) -> NDArray[np.float32]:
        """Make the next block, shape (256, 2)."""

    def over(self, wait_s: float = 0.0) -> bool:
        """Say whether no more blocks are wanted, waiting up to a while for that."""


class Output(Protocol):
    """Plays a feed."""

    note: str | None

    def run(self, feed: Feed) -> None:
        """Play until the feed is over."""


class TimedOutput:
    """Paced by the clock; into a file if there is one.

    A file that cannot be written any more is given up and the failure told once; the
    sound goes on without it.
    """

    def __init__(
        self,
        writer: SoundWriter | None = None,
        note: str | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.note = note
        self._writer = writer
        self._clock = clock or SystemClock()
        self._sleep = sleep

    def run(self, feed: Feed, for_s: float = float("inf")) -> None:
        """Play until the feed is over, or for a while."""
        start = self._clock.now()
        played_s = 0.0
        while played_s < for_s and not feed.over():
            early_s = start + played_s - self._clock.now()
            if early_s > 0:
                self._sleep(early_s)
            elif -early_s > MOST_BEHIND_S:
                start -= early_s
                feed.underruns += 1
            self._write(feed)
            played_s += BLOCK_S
        self._attempt(feed, lambda writer: writer.close())

    def _write(self, feed: Feed) -> None:
        block = feed.pull()
        self._attempt(feed, lambda writer: writer.write(block))

    def _attempt(self, feed: Feed, act: Callable[[SoundWriter], None]) -> None:
        if self._writer is None:
            return
        try:
            act(self._writer)
        except EngineError as error:
            feed.failure = str(error)
            self._writer = None
