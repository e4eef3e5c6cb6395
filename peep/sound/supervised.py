"""A live engine that comes back: watched by what it writes, made anew when it stops.

What proves that there is sound is the ring: its count of frames grows block by block.
An engine whose process has died, or whose count stands still, is killed and another is
started beside the caller, who asks `look` some twenty times a second and goes on
meanwhile. What the old one had been told is gone: when `look` returns a Gap, the
caller tells the new one again.

Time that a look itself came late is not held against the engine: a suspended laptop or
a stopped server has not lost its sound.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from peep.errors import EngineError
from peep.sound.engine import Gap, Meters
from peep.sound.live import Lasting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peep.clock import Clock
    from peep.mixer.commands import Command
    from peep.sound.live import LiveEngine
    from peep.sound.ring import Ring
    from peep.theme import SoundBank

STILL_S = 1.0  # without a block: far longer than a card takes to be found again
MOST_A_LOOK_S = 0.25  # of stillness that one look may notice
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0)  # before an engine that cannot start is tried


class Supervised:
    """Implements Engine, with a `look` between."""

    note: str | None = None

    def __init__(
        self, make: Callable[[Lasting, int], LiveEngine], clock: Clock
    ) -> None:
        """Watch over engines that `make` makes.

        Each is given what lasts, and how many there were before it.
        """
        self._lasting = Lasting()
        self.ring: Ring | None = self._lasting.ring
        self.restarts = 0
        self._make = make
        self._clock = clock
        self._engine = make(self._lasting, 0)
        self._meters = Meters()
        self._failure: str | None = None
        self._why = ""
        self._frames = 0
        self._looked_at = clock.now()
        self._still_s = 0.0
        self._gap_began: float | None = None
        self._failed_starts = 0
        self._try_at = 0.0
        self._successor: _Start | None = None

    def start(self) -> SoundBank:
        """Start the first. Raises EngineError: it may never have worked here."""
        bank = self._engine.start()
        self.note = self._engine.note
        self._looked_at = self._clock.now()
        return bank

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands; in a gap they are dropped, for all is told again after it."""
        if self._gap_began is None:
            self._engine.send(commands)

    def meters(self) -> Meters:
        """Return the latest reading."""
        if self._gap_began is None:
            self._meters = self._engine.meters()
        return self._meters

    def failure(self) -> str | None:
        """Say in one line why there is no sound, or where it does not go."""
        return self._engine.failure() if self._gap_began is None else self._failure

    def look(self) -> Gap | None:
        """Look after the engine; return the gap that has just ended, if one has."""
        now = self._clock.now()
        if self._gap_began is None:
            why = self._trouble(now)
            if why is not None:
                self._give_up(why, now)
        return None if self._gap_began is None else self._mend(now)

    def stop(self) -> Meters:
        """Stop what runs, and what was about to."""
        if self._successor is not None:
            self._successor.engine.stop()  # which ends its start, too
            self._successor.thread.join()
        self._meters = self._engine.stop()
        self._lasting.close()
        return self._meters

    def _trouble(self, now: float) -> str | None:
        assert self.ring is not None
        frames = self.ring.frames
        passed_s = min(now - self._looked_at, MOST_A_LOOK_S)
        self._looked_at = now
        self._still_s = 0.0 if frames != self._frames else self._still_s + passed_s
        self._frames = frames
        if self._engine.ended():
            return self._engine.failure()
        if self._still_s > STILL_S:
            return "the sound process has stopped making sound"
        return None

    def _give_up(self, why: str, now: float) -> None:
        self._meters = self._engine.meters()
        self._engine.kill()
        self._why, self._failure = why, f"{why}: starting another"
        self._gap_began = now - self._still_s
        self._failed_starts = 0
        self._try_at = now

    def _mend(self, now: float) -> Gap | None:
        if self._successor is None:
            if now >= self._try_at:
                self._successor = _Start(self._make(self._lasting, self.restarts + 1))
            return None
        if self._successor.thread.is_alive():
            return None
        successor, self._successor = self._successor, None
        if successor.problem is not None:
            pause_s = PAUSES_S[min(self._failed_starts, len(PAUSES_S) - 1)]
            self._failed_starts += 1
            self._try_at = now + pause_s
            self._failure = successor.problem
            return None
        assert self._gap_began is not None
        gap = Gap(self._gap_began, now, self._why)
        self._engine = successor.engine
        self._gap_began = None
        self._still_s = 0.0
        self.restarts += 1
        return gap


class _Start:
    """An engine that is being started, in a thread: it takes a while."""

    def __init__(self, engine: LiveEngine) -> None:
        self.engine = engine
        self.problem: str | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.engine.start()
        except EngineError as problem:
            self.problem = str(problem)
