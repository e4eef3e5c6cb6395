"""What sounds now, for people to read. Frozen values, made when asked for."""

import msgspec


class SoundingVoice(msgspec.Struct, frozen=True):
    """A one-shot on a voice: whose it is, how many it tells of, from when to when."""

    voice: int
    sound: str
    name: str
    host: str
    tier: int
    count: int
    since: float
    until: float
    number: int = 0


class SoundingLayer(msgspec.Struct, frozen=True):
    """A layer, its value and the state that leads it.

    The layer of what is unknown has no leader: `name` is empty, `count` says of how
    many origins nothing is known.
    """

    layer: str
    value: float
    name: str
    host: str
    count: int = 1


class SoundingBeat(msgspec.Struct, frozen=True):
    """A heartbeat, and whether it is overdue."""

    beat: int
    sound: str
    rate_hz: float
    name: str
    host: str
    overdue: bool = False


class Sounding(msgspec.Struct, frozen=True):
    """All that sounds. Times are seconds of the mixer's clock."""

    voices: tuple[SoundingVoice, ...] = ()
    layers: tuple[SoundingLayer, ...] = ()
    beats: tuple[SoundingBeat, ...] = ()
