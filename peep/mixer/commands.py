"""What the mixer tells the engine. The whole vocabulary is here.

Voices are numbered 0 … VOICES-1 for events; PULSE_VOICE is Peep's own. Beats are
numbered apart from voices, since the engine keeps their time itself.
"""

import math

import msgspec

VOICES = 32
PULSE_VOICE = VOICES
BEATS = 8


class Play(msgspec.Struct, frozen=True, gc=False, tag=0, array_like=True):
    """Sound a one-shot on a voice; what sounds there ends in a short fade."""

    voice: int
    sound: str
    variant: int
    gain_db: float
    pan: float


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


Command = Play | Level | Beat


def clamp_pan(pan: float) -> float:
    """Bring a place into -1…1, left to right."""
    return pan if -1.0 <= pan <= 1.0 else math.copysign(1.0, pan)
