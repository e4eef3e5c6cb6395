"""How loudly to look for one another: presets that differ by a few lines."""

import msgspec


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The rhythm of discovery and of prompts."""

    # Pauses between the REQUESTs of a burst; after the last, silence.
    seek_gaps_s: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    # Likewise for the ANNOUNCEs of a server's start.
    announce_gaps_s: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    # And from then on; None: never again. A healed network is back in one of these.
    announce_every_s: float | None = 120.0
    # The share of the lease after which the server prompts.
    prompt_at: float = 2 / 3
    lease_s: int = 30


PEEP = Profile()
# As in 2001: each side broadcasts exactly once, then both keep lists and talk directly.
CLASSIC = Profile(
    seek_gaps_s=(),
    announce_gaps_s=(),
    announce_every_s=None,
    prompt_at=0.9,
    lease_s=300,
)
PROFILES = {"peep": PEEP, "classic": CLASSIC}
