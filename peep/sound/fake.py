"""An engine that makes no sound: it records what it is told.

It is what everything above the seam is tested with, and nothing but the sound is
missing from it.
"""

from collections.abc import Sequence

from peep.errors import EngineError
from peep.mixer.commands import Command
from peep.sound.engine import Gap, Meters
from peep.sound.ring import Ring
from peep.theme import SoundBank


class RecordingEngine:
    """Implements Engine; `commands` holds all that was sent, in order.

    `fail` makes `failure()` say a line, as an engine with a dead output would.
    """

    note: str | None = None
    ring: Ring | None = None

    def __init__(self, bank: SoundBank) -> None:
        self.commands: list[Command] = []
        self.running = False
        self._bank = bank
        self._failure: str | None = None

    def start(self) -> SoundBank:
        """Begin, and return the bank given at the making."""
        if self.running:
            raise EngineError("the sound engine was started twice")
        self.running = True
        return self._bank

    def send(self, commands: Sequence[Command]) -> None:
        """Record commands. Raises EngineError unless started."""
        if not self.running:
            raise EngineError("the sound engine is not running")
        self.commands.extend(commands)

    def fail(self, line: str) -> None:
        """Pretend that the output failed so."""
        self._failure = line

    def meters(self) -> Meters:
        """Return a reading of silence."""
        return Meters()

    def failure(self) -> str | None:
        """Return the line given to `fail`, if any."""
        return self._failure

    def look(self) -> Gap | None:
        """Return nothing: it is never made anew."""
        return None

    def stop(self) -> Meters:
        """Stop; may be called twice."""
        self.running = False
        return Meters()
