"""Which sound a signal makes.

Families are mapped first and single names where the theme wants to, so that a rule
pack written tomorrow sounds in every theme. An event is looked up by its name, then
by ever shorter dotted beginnings of it ("ssh.login-failed", "ssh"). If it is not there,
an alert is looked up in `alerts`, by family; any other event by its *ending*: what
follows the last dot of its name, or a hyphen in that ("session-closed", "closed"), of
its family alone ("access.closed") or of all. So what begins and what ends sound as a
pair, in rule packs of tomorrow too. Then by family, then by `default`. States and
heartbeats are looked up by name, dotted beginnings, then `default`.

A *sound* is a one-shot with several variants; a *layer* is a continuous sound that is
synthesised live and follows a value. What each lasts and how loud it is stands in the
SoundBank, which the sound side makes and the mixer only reads.

A *zone* is a place in the mix. Hosts and classes that a theme names are in their zone,
all others in none; where no zone names anybody, hosts are spread by their names.
"""

from collections.abc import Mapping

import msgspec

from peep.signals import Event, Heartbeat, State, Tier

MAX_ZONES = 5  # more places are not told apart
RATES = (0.94, 1.06)  # a shade: any more, and it is another sound


class SoundSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A one-shot: a synthesis recipe with parameters, or files."""

    name: str
    recipe: str = ""
    files: tuple[str, ...] = ()
    variants: int = 1
    level: str = "routine"  # the loudness class: routine, notable, alert, pulse
    params: Mapping[str, float] = {}


class LayerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A continuous sound, synthesised live."""

    name: str
    recipe: str
    gain_db: float = 0.0


class Voicing(msgspec.Struct, frozen=True, kw_only=True):
    """How a signal sounds: which sound or layer, and how it is placed."""

    sound: str
    gain_db: float = 0.0
    pan: float = 0.0
    fade_s: float = 2.0  # states only: how long a change of level takes
    # States only: from these values on other layers take over, in ascending order.
    above: tuple[tuple[float, str], ...] = ()
    # States and heartbeats: not told again for so long, they are unknown, or missed;
    # 0: they hold for as long as their origin is heard.
    overdue_s: float = 0.0
    miss: str = ""  # heartbeats only: the sound of one that is missed


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the mix: where, a shade of timbre (how fast), and who is there."""

    name: str
    pan: float = 0.0
    rate: float = 1.0
    hosts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


class PulseSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Peep's own pulse: its absence says that Peep itself is dead."""

    sound: str
    every_s: float = 10.0
    gain_db: float = 0.0


class Theme(msgspec.Struct, frozen=True, kw_only=True):
    """A whole theme, checked: every name that it uses exists."""

    name: str
    about: str = ""  # what it is, in a line
    seed: int = 1
    sounds: Mapping[str, SoundSpec] = {}
    layers: Mapping[str, LayerSpec] = {}
    events: Mapping[str, Voicing] = {}
    alerts: Mapping[str, Voicing] = {}
    endings: Mapping[str, Voicing] = {}
    families: Mapping[str, Voicing] = {}
    states: Mapping[str, Voicing] = {}
    heartbeats: Mapping[str, Voicing] = {}
    pulse: PulseSpec | None = None
    unknown: Voicing | None = None  # the layer that says: these states are not known
    zones: tuple[Zone, ...] = ()  # at most MAX_ZONES; see mixer/place.py

    def for_event(self, event: Event) -> Voicing | None:
        """Return how an event sounds, or None if it does not."""
        named = _by_name(self.events, event.name)
        if named is not None:
            return named
        if event.tier is Tier.ALERT:
            found = self.alerts.get(event.family) or self.alerts.get("default")
        else:
            found = _by_ending(self.endings, event.family, event.name)
        if found is not None:
            return found
        return self.families.get(event.family) or self.families.get("default")

    def for_state(self, state: State) -> Voicing | None:
        """Return the layer that follows a state, or None."""
        return _by_name(self.states, state.name) or self.states.get("default")

    def for_heartbeat(self, heartbeat: Heartbeat) -> Voicing | None:
        """Return the sound that beats, or None."""
        return _by_name(self.heartbeats, heartbeat.name) or self.heartbeats.get(
            "default"
        )


class Variant(msgspec.Struct, frozen=True):
    """One form of a sound, as made: how long, and how loud (LUFS, padded)."""

    duration_s: float
    loudness_lufs: float


class SoundBank(msgspec.Struct, frozen=True):
    """What was made of a theme: sound → its variants, in order."""

    variants: Mapping[str, tuple[Variant, ...]]


def _by_name(table: Mapping[str, Voicing], name: str) -> Voicing | None:
    while name:
        found = table.get(name)
        if found is not None:
            return found
        name = name.rpartition(".")[0]
    return None


def _by_ending(table: Mapping[str, Voicing], family: str, name: str) -> Voicing | None:
    ending = name.rpartition(".")[2]
    while ending:
        found = table.get(f"{family}.{ending}") or table.get(ending)
        if found is not None:
            return found
        ending = ending.partition("-")[2]
    return None
