"""What an agent is to follow, and by which rules: as was said, or as it looks here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.agent.look import complaint, doubled_note, look_around
from peep.agent.packs import Choice, choose
from peep.agent.sources import from_text
from peep.agent.sources.stdin import StdinSpec
from peep.config.rulepacks import shipped_packs
from peep.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from peep.config.settings import AgentSettings


class Chosen(msgspec.Struct, frozen=True):
    """Specs of sources, and rule packs; `notes` are for the operator.

    `choices` say of each shipped pack why it is taken or not, if we chose.
    """

    sources: tuple[object, ...]
    packs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()


def chosen(args: argparse.Namespace, wanted: AgentSettings) -> Chosen:
    """Return what the options say, else the configuration, else this host."""
    packs = tuple(args.rules or wanted.rules)
    sources = wanted.sources
    if args.source:
        sources = tuple(from_text(text) for text in args.source)
        if sum(isinstance(spec, StdinSpec) for spec in sources) > 1:
            raise ConfigError(["--source -: standard input can be read only once"])
    if sources:
        # Whoever names sources may have anything in them.
        return Chosen(sources, packs or shipped_packs())
    seen = look_around()
    said = (complaint(seen.unreadable), doubled_note(seen.doubled))
    notes = tuple(note for note in said if note is not None)
    if packs:
        return Chosen(seen.sources, packs, notes)
    choices = tuple(
        choose(shipped_packs(), seen.logs, seen.system_logs, journal=seen.journal)
    )
    taken = tuple(choice.pack for choice in choices if choice.why)
    return Chosen(seen.sources, taken, notes, choices)


def rules_note(found: Chosen, rules: int) -> str:
    """Say in one line which packs were chosen; `rules` is how many rules they have."""
    return (
        f"rules: {len(found.packs)} of {len(found.choices)} packs "
        f"({', '.join(found.packs)}), {rules} rules; peep agent --check says why"
    )
