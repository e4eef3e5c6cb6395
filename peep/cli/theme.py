"""`peep theme list|show|check|import`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from peep.cli import common
from peep.cli.theme_check import check, known_events
from peep.config.meanings import meanings
from peep.config.problems import UNSAFE, Problems, safe, shown
from peep.config.themes import (
    load_theme,
    own_themes,
    read_theme,
    shipped_themes,
    theme_names,
)
from peep.errors import ConfigError
from peep.signals import name_problem

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from peep.config.meanings import Meaning
    from peep.config.settings import Settings

_VERBS = "say `list`, `show`, `check` or `import`, or --help"

_EXAMPLES = """\
  peep theme list
  peep theme show wetland                  what sounds for what
  peep theme check ./mine                  all that is wrong with it, by its lines
  peep theme import ~/birds --name birds   a folder of recordings becomes a theme

A theme of your own lies in {own}, in a directory of its name. To change a few
sounds of another, a theme.yaml there of three lines is enough:

  theme: mine
  extends: wetland
  families: {{mail: {{sound: cuckoo}}}}

Then: peep server --theme mine (or `theme: mine` in peep.yaml).

What import makes of a file, its name says, or that of its folder; a number at the end
is a variant (mail-1.flac, mail-2.wav). Words: access refusal mail web database system
network job default; alert, alert-mail and so on; agent-lost, agent-back, agent-joined,
agent-missing, server-deaf, server-hears; heartbeat, missed, pulse; an ending that the
other theme has (logout); the name of any event (ssh.login-failed).
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "theme",
        "List, show and check themes; make one of recordings.",
        _EXAMPLES.format(own=own_themes()),
    )
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="list the themes that are here")
    showing = verbs.add_parser("show", help="say what sounds for what")
    checking = verbs.add_parser("check", help="say all that is wrong with a theme")
    for verb in (showing, checking):
        verb.add_argument(
            "name", nargs="?", metavar="NAME", help="or a directory (default: in use)"
        )
    for verb in (listing, showing):
        verb.add_argument("--json", action="store_true", help="one JSON list")
    importing = verbs.add_parser("import", help="make a theme of recordings")
    importing.add_argument("folder", type=Path, metavar="DIR")
    importing.add_argument("--name", metavar="NAME", help="default: that of DIR")
    importing.add_argument(
        "--to", type=Path, metavar="DIR", help=f"default: {own_themes()}/NAME"
    )
    importing.add_argument(
        "--extends",
        default="wetland",
        metavar="THEME",
        help="where all else is from (default: wetland)",
    )
    importing.add_argument("--by", default="", help="who made the recordings")
    importing.add_argument(
        "--licence", default="", help="of them all, such as CC0 or 'own recording'"
    )
    for verb in (listing, showing, checking, importing):
        common.add_config(verb)
    return made


def run(argv: Sequence[str]) -> int:
    """Do what the verb says."""
    if not argv:
        raise ConfigError([_VERBS])
    args = parser().parse_args(argv)
    settings = common.settings(args.config)
    match args.verb:
        case "list":
            _list(settings, as_json=args.json)
        case "show":
            _show(args.name or settings.server.theme, as_json=args.json)
        case "check":
            check(args.name or settings.server.theme, settings)
        case _:
            return _import(args, settings)
    return 0


def _list(settings: Settings, *, as_json: bool) -> None:
    """Print the themes that are here; an asterisk stands before the one in use."""
    used = settings.server.theme
    names = list(theme_names())
    rows = []
    for name in names + ([] if used in names else [used]):
        found = read_theme(name, Problems())
        shipped = name in shipped_themes()
        rows.append(
            {
                "name": name,
                "about": found[0].about if found else "",
                "path": str(found[1]) if found else "",
                "shipped": shipped,
                "in_use": name == used,
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        mark = "*" if row["in_use"] else " "
        where = "" if row["shipped"] else f"  ({row['path']})"
        print(safe(f"{mark} {row['name']:<14} {row['about']}{where}").rstrip())


def _show(name: str, *, as_json: bool) -> None:
    """Print what sounds for what."""
    theme, directory = load_theme(name)
    found = meanings(theme)
    if as_json:
        print(json.dumps(msgspec.to_builtins(found), indent=2))
        return
    print(safe(f"{theme.name}: {theme.about or 'a theme'} ({directory})"))
    table = ""
    for it in found:
        if it.table != table:
            table = it.table
            print(f"\n{table}")
        row = f"  {it.name:<24} {it.sound or it.layer:<16} {_made(it):<28} {it.says}"
        print(row.rstrip())


def _made(it: Meaning) -> str:
    """Say how a meaning's sound is made, and how it is placed."""
    origin = it.recipe or f"{len(it.files)} files"
    if it.sound and it.recipe:
        origin = f"{it.recipe} x{it.variants}"
    return ", ".join([origin, *_placed(it)])


def _placed(it: Meaning) -> Iterator[str]:
    if it.level not in ("", "routine"):
        yield it.level
    if it.gain_db:
        yield f"{it.gain_db:+g} dB"
    if it.pan:
        side = "left" if it.pan < 0 else "right"
        yield f"{abs(it.pan):g} {side}"
    for value, layer in it.above:
        yield f"from {value:g} {layer}"
    if it.miss:
        yield f"missed: {it.miss}"
    if it.every_s:
        yield f"every {it.every_s:g} s"


def _import(args: argparse.Namespace, settings: Settings) -> int:
    """Make a theme of a folder; exit code 1 if there is something to mend in it."""
    from peep.sound.importing import (  # noqa: PLC0415 - list and show make no sound
        credits_text,
        gather,
        theme_text,
        write_theme,
    )

    folder = args.folder
    if not folder.is_dir():
        raise ConfigError([f"{folder}: there is no such folder"])
    name = _theme_name(args.name or _named_like(folder))
    for option in ("by", "licence"):
        if UNSAFE.search(getattr(args, option)) or "|" in getattr(args, option):
            raise ConfigError([f"--{option}: one line of plain text, please"])
    target = args.to or own_themes() / name
    if target.exists():
        raise ConfigError([f"{target} is there already: nothing is written over"])
    base, its_directory = load_theme(args.extends)
    extends = (
        args.extends if args.extends in theme_names() else str(its_directory.resolve())
    )
    found = gather(folder, base, known_events(settings), _Reading())
    for file, why in found.left_out:
        common.say(f"left out: {shown(file)}: {why}")
    if not found.slots:
        raise ConfigError([f"{folder}: no recording here says by its name what it is"])
    write_theme(
        target,
        theme_text(name, folder, extends, base, found.slots),
        credits_text(name, found.slots, args.by, args.licence),
        found.slots,
    )
    for slot in found.slots:
        print(f"  {slot.table:<10} {slot.name:<24} {len(slot.files)} files")
    print(safe(f"{name} is made: {target}"))
    try:
        check(str(target), settings)
    except ConfigError as refused:
        for line in refused.problems:
            common.say(line)
        common.say(f"to mend: see above, then peep theme check {target}")
        return 1
    return 0


class _Reading:
    """How many recordings were read; on a terminal only, in place."""

    def __call__(self, count: int) -> None:
        if sys.stderr.isatty():
            print(f"\rreading: {count + 1}\r", end="", file=sys.stderr, flush=True)


def _named_like(folder: Path) -> str:
    """Return a theme's name that is like a folder's."""
    name = folder.resolve().name.lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "imported"


def _theme_name(name: str) -> str:
    problem = name_problem(name)
    if problem:
        raise ConfigError([f"--name: {shown(name)} is {problem}"])
    if name in shipped_themes():
        raise ConfigError([f"--name: {name} is the name of a shipped theme"])
    return name
