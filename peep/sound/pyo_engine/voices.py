"""Voices: what a one-shot sounds on. Built at boot, only set and triggered later.

A voice reads one table at a time, once for both sides, and starts at the beginning of
a block. It has two readers: what sounds as it was made is copied sample by sample; what
sounds a shade higher or lower is read in straight lines between the samples, which
takes six times as long.

Where a voice is cut off, because another sound takes its place or it is stopped, what
it would have sounded in the next 15 ms is its *tail*: read by numpy, faded out, and
added after pyo (tails.py). So it needs no second pair of readers and no envelope, which
would cost as much as the reading itself for all the time that nothing is cut off. Gains
are set only while a reader is silent: pyo applies them as a step.

A voice that does not sound is stopped, and a stopped pyo object costs nothing.
"""

import math
from typing import NamedTuple

import numpy as np
import pyo
from numpy.typing import NDArray

from peep.mixer.commands import Bus
from peep.sound.engine import CHANNELS, SAMPLE_RATE_HZ

CUT_FADE_S = 0.015
_FADE_FRAMES = round(CUT_FADE_S * SAMPLE_RATE_HZ)
# Half a cosine, so that neither end of the fade has a corner.
_FADE = (0.5 + 0.5 * np.cos(np.linspace(0, np.pi, _FADE_FRAMES))).astype(np.float32)

Gains = tuple[float, float]


class Recording(NamedTuple):
    """A sound as pyo reads it, silent to the end of its last block, and as an array."""

    table: pyo.DataTable
    array: NDArray[np.float32]


class Take(NamedTuple):
    """What a voice is to sound: how loud left and right, on which bus, how fast."""

    recording: Recording
    gains: Gains
    bus: Bus = Bus.EVENTS
    rate: float = 1.0


class Tail(NamedTuple):
    """The fading end of what was cut off: shape (720, 2), and its bus."""

    sound: NDArray[np.float32]
    bus: Bus


class Reader:
    """An object of pyo that reads a table, left and right of it, at rest."""

    def __init__(self, table: pyo.TableScan | pyo.TableRead) -> None:
        self.table = table
        # pyo computes in order of making: these after the table.
        self._sides = pyo.Sig([table, table], mul=[0.0, 0.0])
        self.stop()

    def play(self, take: Take) -> None:
        """Begin, at the beginning."""
        self._sides.setMul(list(take.gains))
        self.table.setTable(take.recording.table)
        self.table.play()
        self._sides.out(take.bus * CHANNELS)

    def stop(self) -> None:
        """Rest, which costs nothing."""
        self._sides.stop()
        self.table.stop()


class Voice:
    """Reads one table at a time, and knows where in time it is."""

    def __init__(self, nothing: Recording) -> None:
        self._copies = Reader(pyo.TableScan(nothing.table))
        self._shades = Reader(pyo.TableRead(nothing.table, loop=0))
        self._take = Take(nothing, (0.0, 0.0))
        self._began = 0
        self._ends_at = 0
        self._busy = False

    def play(self, take: Take, frame: int) -> Tail | None:
        """Sound it from now on; return the tail of what sounded until now, if any."""
        tail = self.stop(frame)
        if take.rate == 1.0:
            self._copies.play(take)
        else:
            self._shades.table.setFreq(take.recording.table.getRate() * take.rate)
            self._shades.play(take)
        self._take = take
        self._began = frame
        self._ends_at = frame + math.ceil(len(take.recording.array) / take.rate)
        self._busy = True
        return tail

    def stop(self, frame: int) -> Tail | None:
        """Sound no more; return the tail of what sounded, if anything did."""
        if not self.tick(frame):
            return None
        self._rest()
        take = self._take
        at = (frame - self._began + np.arange(_FADE_FRAMES)) * take.rate
        array = take.recording.array
        # As pyo reads: in straight lines between the samples.
        left = at.astype(np.int64)
        padded = np.concatenate(
            (array[left[0] : left[-1] + 2], np.zeros(2, np.float32))
        )
        left -= left[0]
        left = np.minimum(left, len(padded) - 2)
        part = (at - np.floor(at)).astype(np.float32)
        mono = padded[left] + part * (padded[left + 1] - padded[left])
        return Tail(
            (mono * _FADE)[:, np.newaxis] * np.array(take.gains, np.float32), take.bus
        )

    def tick(self, frame: int) -> bool:
        """Rest once the sound has ended; say whether anything sounds."""
        if self._busy and frame >= self._ends_at:
            self._rest()
        return self._busy

    def _rest(self) -> None:
        (self._copies if self._take.rate == 1.0 else self._shades).stop()
        self._busy = False
