"""The seam: what the rest of Peep knows of whatever makes the sound.

Two engines stand behind it, drivers of one graph: `live.LiveEngine` (a process of
its own, paced by a sound card, or by the clock where the sound goes to a file or
nowhere) and `offline.OfflineEngine` (the same graph in this process, pulled as fast as
it goes). `fake.RecordingEngine` records what it is told. `supervised.Supervised` is a
live engine that is made anew whenever it dies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.mixer.commands import Command
    from peep.sound.ring import Ring
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


class Gap(msgspec.Struct, frozen=True):
    """Silence that is over: from and until when (the clock's seconds), and why."""

    began: float
    ended: float
    why: str


class Engine(Protocol):
    """Makes sound of commands. Everything raised is an EngineError.

    `note` is a line for the operator, from `start` on, if there is something to say.
    `ring` holds the last of what sounded, where it can be listened to.
    """

    note: str | None
    ring: Ring | None

    def start(self) -> SoundBank:
        """Make every sound, build the graph, begin; say what was made."""

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands for the next block. Never blocks."""

    def meters(self) -> Meters:
        """Return the latest reading."""

    def failure(self) -> str | None:
        """Say in one line what went wrong with the output, if anything did."""

    def look(self) -> Gap | None:
        """Look after the output; return a silence that has just ended, if one has.

        Whoever made sound before it is gone, and all that was told must be told again.
        """

    def stop(self) -> Meters:
        """Finish what was begun, let go of everything, return the last reading."""
