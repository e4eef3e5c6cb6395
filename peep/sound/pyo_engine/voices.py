"""Voices: what a one-shot sounds on. Built at boot, only set and triggered later.

A voice has two slots and alternates between them, so that a new sound starts at once
while the one it steals from ends in a short fade on the other. A slot's gains are set
only while it is silent, since pyo applies them as a step. A slot that does not sound
is stopped, and a stopped pyo object costs nothing.
"""

import math

import pyo

from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ

STEAL_FADE_S = 0.015
_ATTACK_S = 0.0005  # pyo's Fader makes a NaN of an attack of nothing
_FADE_FRAMES = math.ceil(STEAL_FADE_S * SAMPLE_RATE_HZ) + BLOCK_FRAMES

Gains = tuple[float, float]


class Slot:
    """A stereo reader of one table at a time."""

    def __init__(self, table: pyo.DataTable) -> None:
        self.ends_at = 0
        self.busy = False
        # The fader first: pyo computes in order of making.
        self._fader = pyo.Fader(fadein=_ATTACK_S, fadeout=STEAL_FADE_S, mul=[0.0, 0.0])
        self._reader = pyo.TableRead([table, table], loop=0, mul=self._fader)
        self._reader.stop()

    def start(self, table: pyo.DataTable, gains: Gains, frame: int) -> None:
        """Sound a table from its beginning; the slot must be silent."""
        self._fader.setMul(list(gains))
        self._reader.setTable(table)
        self._reader.setFreq(table.getRate())
        self._reader.out()
        self._fader.play()
        self.ends_at = frame + table.getSize()
        self.busy = True

    def fade(self, frame: int) -> None:
        """Let what sounds end in a few milliseconds."""
        if self.ends_at - frame > _FADE_FRAMES:
            self._fader.stop()
            self.ends_at = frame + _FADE_FRAMES

    def tick(self, frame: int) -> None:
        """Rest, if what was sounding has ended by this frame."""
        if self.busy and frame >= self.ends_at:
            self._reader.stop()
            self._fader.stop()
            self.busy = False


class Voice:
    """Two slots, of which at most one is not fading."""

    def __init__(self, table: pyo.DataTable) -> None:
        self._sounding = Slot(table)
        self._fading = Slot(table)
        self._waiting: tuple[pyo.DataTable, Gains] | None = None

    def play(self, table: pyo.DataTable, gains: Gains, frame: int) -> None:
        """Sound a table now; within a fade of the last two plays, right after it."""
        if not self._sounding.busy:
            self._sounding.start(table, gains, frame)
            return
        self._sounding.fade(frame)
        if self._fading.busy:
            self._waiting = (table, gains)
            return
        self._sounding, self._fading = self._fading, self._sounding
        self._sounding.start(table, gains, frame)

    def tick(self, frame: int) -> bool:
        """Let go of what has ended; say whether anything sounds or waits."""
        self._sounding.tick(frame)
        self._fading.tick(frame)
        if self._waiting is not None and not (
            self._fading.busy and self._sounding.busy
        ):
            table, gains = self._waiting
            self._waiting = None
            self.play(table, gains, frame)
        return self._sounding.busy or self._fading.busy
