"""All that is wrong with a theme, by the lines that say it: `peep theme check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from peep.cli import common
from peep.config.credits import check_credits
from peep.config.meanings import heard_sounds
from peep.config.problems import Problems, hint, shown
from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.theme_places import theme_places
from peep.config.themes import THEME_FILE, read_theme
from peep.config.unheard import unheard
from peep.signals import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peep.config.settings import Settings
    from peep.config.theme_places import Places
    from peep.theme import Theme


def check(name: str, settings: Settings) -> None:
    """Say that a theme is well, or raise ConfigError with a line for each problem."""
    problems = Problems()
    found = read_theme(name, problems)
    if found is None:
        problems.raise_if_any()
    assert found is not None
    theme, directory = found
    places = theme_places(directory)
    known = known_events(settings)
    families = {event.family for event in known.values()}
    for table, entry, message in unheard(theme, families, known):
        problems.add(*places[table, entry], f"{table}.{entry}", message)
    _check_credits(theme, places, problems)
    _check_layers(theme, places, problems)
    count = _check_sounds(theme, directory, places, problems)
    problems.raise_if_any()
    common.say(f"{directory / THEME_FILE}: ok, {count} sounds")


def known_events(settings: Settings) -> Mapping[str, Event]:
    """Return the events of all shipped rules, and of those in use, by name."""
    packs = dict.fromkeys((*shipped_packs(), *settings.agent.rules))
    packs.pop("all", None)
    return {
        rule.event: Event(name=rule.event, tier=rule.tier, family=rule.family)
        for rule in load_rules(tuple(packs))
    }


def _check_credits(theme: Theme, places: Places, problems: Problems) -> None:
    """Hold each theme's CREDITS.md to the files that it brings."""
    files: dict[Path, list[tuple[str, str, tuple[str, int]]]] = {}
    for spec in theme.sounds.values():
        where = places["sounds", spec.name]
        for file in spec.files:
            owner, plain = Path(where[0]).parent, _plain(file, where[0])
            at = places.get(("files", f"{spec.name}/{plain}"), where)
            files.setdefault(owner, []).append((spec.name, plain, at))
    for owner, named in files.items():
        check_credits(owner, named, problems)


def _check_layers(theme: Theme, places: Places, problems: Problems) -> None:
    # It brings pyo, which takes a while, and which sounds made of files do without.
    from peep.sound.pyo_engine.layers import RECIPES  # noqa: PLC0415

    for spec in theme.layers.values():
        if spec.recipe and spec.recipe not in RECIPES:
            problems.add(
                *places["layers", spec.name],
                f"layers.{spec.name}.recipe",
                f"no layer is made so{hint(spec.recipe, RECIPES)}",
            )


def _check_sounds(
    theme: Theme, directory: Path, places: Places, problems: Problems
) -> int:
    """Make the sounds and judge them; return how many there are.

    What is inherited, and sounds for nothing, is the other theme's business.
    """
    from peep.sound.checking import check_sounds  # noqa: PLC0415 - it brings numpy

    heard, own = heard_sounds(theme), str(directory / THEME_FILE)
    specs = [
        it
        for it in theme.sounds.values()
        # What was refused as such cannot be made, and was said.
        if bool(it.recipe) != bool(it.files)
        and (it.name in heard or places["sounds", it.name][0] == own)
    ]
    progress = _Progress(len(specs))
    for found in check_sounds(specs, theme.seed, directory, heard, progress):
        file = _plain(found.file, places["sounds", found.sound][0])
        where = places["sounds", found.sound]
        at = places.get(("files", f"{found.sound}/{file}"), where)
        message = f"{shown(file)} {found.message}" if file else found.message
        problems.add(*at, f"sounds.{found.sound}", message)
    return len(specs)


def _plain(file: str, theme_file: str) -> str:
    """Return a sound's file as the theme that names it says it."""
    owner = Path(theme_file).parent
    path = Path(file)
    return str(path.relative_to(owner)) if path.is_relative_to(owner) else file


class _Progress:
    """How much is heard; on a terminal only, rewritten in place."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, done: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == self._count else ""
            print(
                f"\r{done} of {self._count} sounds",
                end=end,
                file=sys.stderr,
                flush=True,
            )
