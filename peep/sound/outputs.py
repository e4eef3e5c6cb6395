"""Where the sound goes: a sound card, a file, or nowhere.

An output is a loop that pulls blocks from a Feed until the feed is over. The sound
card's loop is paced by the card; the others are paced by the clock, and so is the
sound card's while there is no card: what is missed then is not heard, but time, beats
and meters go on, and the card is looked for again.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from peep.clock import Clock, SystemClock
from peep.errors import EngineError
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.files import SoundWriter

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
MOST_BEHIND_S = 0.25  # more lateness than this (a suspend, a stall) is let go
NO_CARD = (
    "no sound card here: nothing will be heard;"
    " write the sound to a file with --out FILE"
)
FORMS = "auto, null, device, device:NAME or file:PATH"


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


class OutputSpec(msgspec.Struct, frozen=True):
    """What was asked for: kind is auto, null, device or file."""

    kind: str
    argument: str = ""


def parse_output(text: str) -> OutputSpec:
    """Read an output as people write it. Raises EngineError that lists the forms."""
    kind, colon, argument = text.partition(":")
    plain = kind in {"auto", "null", "device"} and not colon
    if plain or (kind in {"device", "file"} and argument):
        return OutputSpec(kind, argument)
    raise EngineError(f"unknown output {text!r}; write {FORMS}")


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


def open_output(text: str) -> Output:
    """Open an output as people write it. Raises EngineError, one line."""
    spec = parse_output(text)
    if spec.kind == "null":
        return TimedOutput()
    if spec.kind == "file":
        return TimedOutput(SoundWriter(Path(spec.argument)))
    from peep.sound.device import CardOutput, open_card  # noqa: PLC0415 - loads a C library that files do without

    try:
        open_card(spec.argument).close()
    except EngineError:
        if spec.kind == "device":
            raise
        return TimedOutput(note=NO_CARD)
    return CardOutput(spec.argument)
