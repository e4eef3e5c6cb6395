"""What the mixer tells the engine. The whole vocabulary is here.

Voices are numbered 0 … VOICES-1 for events; PULSE_VOICE is Peep's own. Beats are
numbered apart from voices, since the engine keeps their time itself.

All that sounds is summed on one of three *buses*: the bed (layers and beats), events
(routine and notable ones, and the pulse) and alerts. Each has a gain, and what they sum
to has one more: the master's.
"""

import enum
import math

import msgspec

VOICES = 32
PULSE_VOICE = VOICES
BEATS = 8


class Bus(enum.IntEnum):
    """Where voices sum; MASTER is the sum of them all."""

    BED = 0
    EVENTS = 1
    ALERTS = 2
    MASTER = 3


class Play(msgspec.Struct, frozen=True, gc=False, tag=0, array_like=True):
    """Sound a one-shot on a voice; what sounds there ends in a short fade.

    `rate` is how fast it is played: a shade higher or lower tells one place from
    another in mono, too.
    """

    voice: int
    sound: str
    variant: int
    gain_db: float
    pan: float
    bus: Bus = Bus.EVENTS
    rate: float = 1.0


class Level(msgspec.Struct, frozen=True, gc=False, tag=1, array_like=True):
    """Set a layer's value (0…1), reached in `fade_s`; None lets it fall silent."""

    layer: str
    value: float | None
    gain_db: float
    pan: float
    fade_s: float


class Beat(msgspec.Struct, frozen=True, gc=False, tag=2, array_like=True):
    """Sound a one-shot `rate_hz` times a second until told otherwise; 0 stops."""

    beat: int
    sound: str
    rate_hz: float
    gain_db: float
    pan: float


class Stop(msgspec.Struct, frozen=True, gc=False, tag=3, array_like=True):
    """End what sounds, or waits, on a voice, in a short fade."""

    voice: int


class Fade(msgspec.Struct, frozen=True, gc=False, tag=4, array_like=True):
    """Bring a bus to a gain within `fade_s`; None is silence."""

    bus: Bus
    gain_db: float | None
    fade_s: float


Command = Play | Level | Beat | Stop | Fade


def clamp_pan(pan: float) -> float:
    """Bring a place into -1…1, left to right."""
    return pan if -1.0 <= pan <= 1.0 else math.copysign(1.0, pan)
