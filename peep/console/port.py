"""What the console needs of a server, and nothing more.

A server hands it an object of this shape; the console imports no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from peep.sound.ring import Ring


class CueSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A cue for people: `number` counts cues, `at` is Unix seconds.

    `others` are those that the same cue told of, beside the one that is named.
    """

    number: int
    at: float
    name: str
    tier: str
    host: str
    sound: str
    text: str
    count: int = 1
    others: int = 0
    late: bool = False


class LayerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that sounds, its value (0…1), and the state that it follows."""

    layer: str
    value: float
    name: str
    host: str


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What is sounding at `at` (Unix seconds).

    `voices` are the sounds of the one-shots that sound; `age_s` is how long ago the
    last block was made. Loudness is None where there is silence. `held` are the
    operator's controls in words, such as "mute host web1".
    """

    at: float
    theme: str
    output: str
    agents: int
    age_s: float
    failure: str | None
    momentary_lufs: float | None
    true_peak_dbtp: float | None
    voices: tuple[str, ...]
    layers: tuple[LayerSeen, ...]
    held: tuple[str, ...]
    cues: tuple[CueSeen, ...]


class Port(Protocol):
    """A server, as the console knows it."""

    ring: Ring

    def now(self, after: int) -> Now:
        """Return what is sounding, and the cues with numbers above `after`."""
