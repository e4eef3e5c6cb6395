"""What a theme has a sound for: its meanings, as a list that people and programs read.

Commands show them and let them be heard one by one.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from peep.signals import Event
from peep.theme import LayerSpec, SoundSpec, Theme, Voicing

# What the families of the shipped rule packs stand for.
FAMILIES = {
    "access": "somebody came in",
    "refusal": "somebody was not let in",
    "mail": "a message",
    "web": "a request, one of many",
    "database": "something was stored or asked for",
    "system": "the machine itself",
    "network": "links and neighbours",
    "job": "work that was planned",
}
PEEPS_OWN = {
    "peep.agent-joined": "an agent is here for the first time",
    "peep.agent-back": "a lost agent is back",
    "peep.agent-lost": "an agent is gone",
    "peep.agent-missing": "an agent did not come back",
    "peep.server-hears": "the server hears agents again",
    "peep.server-deaf": "the server hears no agent at all",
    "peep.lines-skipped": "an agent skipped lines",
    "peep.alerts-dropped": "an agent had no room for alerts",
    "peep.events-dropped": "an agent had no room for events",
}
_EVENTS = ("families", "alerts", "endings", "events")  # tables of one-shots


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a theme: what sounds for what.

    `table` is families, alerts, endings, events, states, heartbeats, unknown or pulse;
    or sounds or layers, for one by itself. States, layers and `unknown` have a layer
    and `above`, all others a sound.
    """

    table: str
    name: str
    says: str = ""
    sound: str = ""
    layer: str = ""
    above: tuple[tuple[float, str], ...] = ()
    miss: str = ""
    recipe: str = ""
    files: tuple[str, ...] = ()
    variants: int = 1
    level: str = ""
    gain_db: float = 0.0
    pan: float = 0.0
    every_s: float = 0.0


def meanings(theme: Theme) -> list[Meaning]:
    """Return all of a theme's meanings, in the order in which one would learn them."""
    found = [
        _sounding(theme, table, name, voicing)
        for table in _EVENTS
        for name, voicing in _sorted(getattr(theme, table))
    ]
    found += [
        _following(theme, "states", name, voicing)
        for name, voicing in theme.states.items()
    ]
    found += [
        _sounding(theme, "heartbeats", name, voicing)
        for name, voicing in theme.heartbeats.items()
    ]
    if theme.unknown is not None:
        found.append(_following(theme, "unknown", "unknown", theme.unknown))
    if theme.pulse is not None:
        pulse = Voicing(sound=theme.pulse.sound, gain_db=theme.pulse.gain_db)
        made = _sounding(theme, "pulse", "pulse", pulse)
        found.append(msgspec.structs.replace(made, every_s=theme.pulse.every_s))
    return found


def named(theme: Theme, name: str, known: Mapping[str, Event]) -> list[Meaning]:
    """Return what a name stands for: meanings, the event of a rule, sound or layer.

    `known` are the events of the rules by name.
    """
    found = [it for it in meanings(theme) if it.name == name]
    voicing = theme.for_event(known[name]) if name in known else None
    if not found and voicing is not None:
        found.append(_sounding(theme, "events", name, voicing))
    if name in theme.sounds:
        found.append(_sounding(theme, "sounds", name, Voicing(sound=name)))
    if name in theme.layers:
        found.append(_following(theme, "layers", name, Voicing(sound=name)))
    return found


def pair_of(theme: Theme, meaning: Meaning) -> str:
    """Return the sound that begins what this one ends; "" if it ends nothing.

    It is that of its family, or the one whose name it goes on from: frog, frog-off.
    """
    if meaning.table != "endings":
        return ""
    family = theme.families.get(meaning.name.rpartition(".")[0])
    stems = [name for name in theme.sounds if meaning.sound.startswith(f"{name}-")]
    begins = max(stems, key=len, default=family.sound if family else "")
    return begins if begins != meaning.sound else ""


def heard_sounds(theme: Theme) -> tuple[str, ...]:
    """Return the one-shots that sound for anything, each once."""
    return sounds_of(theme, meanings(theme))


def sounds_of(theme: Theme, rows: Iterable[Meaning]) -> tuple[str, ...]:
    """Return the one-shots that meanings need, each once."""
    names = [name for it in rows for name in (it.sound, it.miss, pair_of(theme, it))]
    return tuple(dict.fromkeys(filter(None, names)))


def _sounding(theme: Theme, table: str, name: str, voicing: Voicing) -> Meaning:
    # A theme that was refused may name what is not there.
    spec = theme.sounds.get(voicing.sound, SoundSpec(name=voicing.sound))
    return Meaning(
        table=table,
        name=name,
        says=_says(table, name),
        sound=voicing.sound,
        miss=voicing.miss,
        recipe=spec.recipe,
        files=spec.files,
        variants=spec.variants,
        level=spec.level,
        gain_db=voicing.gain_db,
        pan=voicing.pan,
    )


def _following(theme: Theme, table: str, name: str, voicing: Voicing) -> Meaning:
    spec = theme.layers.get(voicing.sound, LayerSpec(name=voicing.sound, recipe=""))
    return Meaning(
        table=table,
        name=name,
        says=_says(table, name),
        layer=voicing.sound,
        above=voicing.above,
        recipe=spec.recipe,
        gain_db=voicing.gain_db,
        pan=voicing.pan,
    )


def _says(table: str, name: str) -> str:
    match table:
        case "alerts":
            about = FAMILIES.get(name, "")
            return f"an alert: {about}" if about else "an alert"
        case "families":
            return FAMILIES.get(name, "any other event" if name == "default" else "")
        case "unknown":
            return "states that nobody knows any more"
        case "pulse":
            return "Peep itself is alive"
        case _:
            return PEEPS_OWN.get(name, "")


def _sorted(table: Mapping[str, Voicing]) -> Iterator[tuple[str, Voicing]]:
    """Give known families in their order, then as the theme has it, `default` last."""
    order = [*FAMILIES, *(n for n in table if n not in FAMILIES and n != "default")]
    for name in [*order, "default"]:
        if name in table:
            yield name, table[name]
