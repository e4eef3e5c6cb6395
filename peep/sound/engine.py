"""The seam: what the rest of Peep knows of whatever makes the sound.

Two engines stand behind it, drivers of one graph: `live.LiveEngine` (a process of
its own, paced by a sound card, or by the clock where the sound goes to a file or
nowhere) and `offline.OfflineEngine` (the same graph in this process, pulled as fast as
it goes). `fake.RecordingEngine` records what it is told.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from peep.mixer.commands import Command
from peep.theme import SoundBank

SAMPLE_RATE_HZ = 48_000
BLOCK_FRAMES = 256
CHANNELS = 2


class Meters(msgspec.Struct, frozen=True, kw_only=True):
    """What came out so far. Loudness is -inf LUFS until there is any."""

    frames: int = 0
    integrated_lufs: float = float("-inf")
    momentary_lufs: float = float("-inf")
    true_peak_dbtp: float = float("-inf")
    underruns: int = 0


class Engine(Protocol):
    """Makes sound of commands. Everything raised is an EngineError.

    `note` is a line for the operator, from `start` on, if there is something to say.
    """

    note: str | None

    def start(self) -> SoundBank:
        """Make every sound, build the graph, begin; say what was made."""

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands for the next block. Never blocks."""

    def meters(self) -> Meters:
        """Return the latest reading."""

    def failure(self) -> str | None:
        """Say in one line what went wrong with the output, if anything did."""

    def stop(self) -> Meters:
        """Finish what was begun, let go of everything, return the last reading."""
