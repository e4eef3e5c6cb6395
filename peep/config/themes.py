"""Themes: `theme.yaml` in a directory of sounds becomes a checked `Theme`.

A theme may extend another: what it says itself is laid over the other's tables, entry
by entry. Every sound and layer that is named exists; every file lies in the directory
of the theme that names it. What a recipe is, and which parameters it has, only the
sound side knows.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from peep import paths
from peep.config.document import Node, load
from peep.config.problems import Problems, hint, shown
from peep.config.voicings import (
    beaten,
    check_zones,
    followed,
    gain_db,
    led,
    unknown_voicing,
    voicing,
    zone,
)
from peep.signals import name_problem
from peep.theme import LayerSpec, PulseSpec, SoundSpec, Theme, Voicing

LEVELS = ("routine", "notable", "alert", "pulse")
MAX_ABOUT = 100  # characters of a theme's own description: a line of a list
MAX_VARIANTS = 16  # more cannot be told apart, and each is kept in memory
THEME_FILE = "theme.yaml"
MAX_ANCESTORS = 8  # nobody's family goes further back, and circles end
_KEYS = (
    "theme",
    "about",
    "extends",
    "seed",
    "sounds",
    "layers",
    "families",
    "alerts",
    "endings",
    "events",
    "states",
    "heartbeats",
    "pulse",
    "unknown",
    "zones",
)

T = TypeVar("T")


def shipped_themes() -> tuple[str, ...]:
    """Return the names of the themes that come with Peep."""
    found = paths.data_dir("sounds").glob(f"*/{THEME_FILE}")
    return tuple(sorted(path.parent.name for path in found))


def own_themes() -> Path:
    """Return where a user's own themes lie, each in a directory of its name."""
    return paths.config_dir() / "themes"


def theme_names() -> tuple[str, ...]:
    """Return what themes can be named here: shipped ones, and the user's own."""
    own = {path.parent.name for path in own_themes().glob(f"*/{THEME_FILE}")}
    return tuple(sorted(own.union(shipped_themes())))


def load_theme(name_or_path: str) -> tuple[Theme, Path]:
    """Return a theme and its directory: one that is here by name, any by its path.

    Raises ConfigError with all that is wrong with it, and with what it extends.
    """
    problems = Problems()
    found = read_theme(name_or_path, problems)
    problems.raise_if_any()
    assert found is not None
    return found


def read_theme(name_or_path: str, problems: Problems) -> tuple[Theme, Path] | None:
    """Return a theme as far as it can be read, and its directory.

    What is wrong with it is written down; None is a theme that is not there at all.
    """
    directory = find_theme(name_or_path, Path())
    if directory is None:
        message = f"no theme of that name{hint(name_or_path, theme_names())}"
        problems.add(shown(name_or_path), 0, "", message)
        return None
    return _load(directory, problems, MAX_ANCESTORS), directory


def find_theme(name_or_path: str, beside: Path) -> Path | None:
    """Return a theme's directory; a path is relative to `beside`.

    A shipped name always means the shipped theme, so that what extends it may not be
    taken for it.
    """
    if name_or_path in shipped_themes():
        return paths.data_dir("sounds") / name_or_path
    if name_or_path in theme_names():
        return own_themes() / name_or_path
    path = beside / name_or_path
    path = path.parent if path.name == THEME_FILE else path
    return path if path.is_dir() else None


def _load(directory: Path, problems: Problems, ancestors: int) -> Theme:
    top = load(directory / THEME_FILE, problems).section(*_KEYS, required=True)
    base = _base(top["extends"], directory, problems, ancestors)
    sounds = _table(top["sounds"], lambda n, at: _sound(n, at, directory), base.sounds)
    layers = _table(top["layers"], _layer, base.layers)

    def heard(key: str, inherited: Mapping[str, Voicing]) -> Mapping[str, Voicing]:
        return _table(top[key], lambda _, at: voicing(at, sounds), inherited)

    states = _table(top["states"], lambda _, at: followed(at, layers), base.states)
    unknown = base.unknown
    if top["unknown"].given:
        unknown = unknown_voicing(top["unknown"], layers)
    if unknown is not None and unknown.sound in led(states):
        top["unknown"].problem("what is unknown needs a layer that no state leads")
    zones = _table(top["zones"], zone, {it.name: it for it in base.zones})
    check_zones(top["zones"], zones.values())
    return Theme(
        name=_named(top["theme"]),
        about=top["about"].text("", max_length=MAX_ABOUT),
        seed=top["seed"].integer(base.seed, low=0, high=2**32 - 1),
        sounds=sounds,
        layers=layers,
        families=heard("families", base.families),
        alerts=heard("alerts", base.alerts),
        endings=heard("endings", base.endings),
        events=heard("events", base.events),
        states=states,
        heartbeats=_table(
            top["heartbeats"], lambda _, at: beaten(at, sounds), base.heartbeats
        ),
        pulse=_pulse(top["pulse"], sounds) if top["pulse"].given else base.pulse,
        unknown=unknown,
        zones=tuple(zones.values()),
    )


def _base(node: Node, directory: Path, problems: Problems, ancestors: int) -> Theme:
    """Return what a theme is laid over: an empty theme, or the one it extends."""
    wanted = node.text("")
    if not wanted:
        return Theme(name="")
    found = find_theme(wanted, directory)
    if found is None:
        node.problem(f"no theme {shown(wanted)}{hint(wanted, theme_names())}")
        return Theme(name="")
    if not ancestors:
        node.problem("themes extend each other in a circle, or too far back")
        return Theme(name="")
    base = _load(found, problems, ancestors - 1)
    # Their files lie elsewhere; an absolute path stays what it is when joined.
    sounds = {
        name: replace(sound, files=tuple(str(found / file) for file in sound.files))
        for name, sound in base.sounds.items()
    }
    return replace(base, sounds=sounds)


def _table(
    node: Node, read: Callable[[str, Node], T], inherited: Mapping[str, T]
) -> dict[str, T]:
    """Return a table's entries over the inherited ones."""
    entries = dict(inherited)
    for name, at in node.items():
        problem = name_problem(name)
        if problem:
            at.problem(f"the name {shown(name)} is {problem}")
        entries[name] = read(name, at)
    return entries


def _named(node: Node) -> str:
    name = node.text()
    problem = name_problem(name) if name else None
    if problem:
        node.problem(f"{shown(name)} is {problem}")
    return name


def _sound(name: str, node: Node, directory: Path) -> SoundSpec:
    keys = node.section("recipe", "files", "variants", "level", "params", required=True)
    recipe = keys["recipe"].text("")
    files = keys["files"].texts(())
    if node.is_mapping and keys["recipe"].given == keys["files"].given:
        node.problem("a sound has either a recipe or files")
    each = keys["files"].nodes() if keys["files"].is_list else (keys["files"],)
    for file, at in zip(files, each, strict=False):
        _check_file(at, directory, file)
    variants = keys["variants"].integer(1, low=1, high=MAX_VARIANTS)
    if keys["files"].given:
        for key in ("variants", "params"):
            if keys[key].given:
                keys[key].problem("is for recipes; each file is a variant")
        if len(files) > MAX_VARIANTS:
            keys["files"].problem(f"more than {MAX_VARIANTS} files")
        variants = len(files)
    return SoundSpec(
        name=name,
        recipe=recipe,
        files=files,
        variants=variants,
        level=keys["level"].choice(LEVELS, "routine"),
        params={key: at.number() for key, at in keys["params"].items()},
    )


def _check_file(node: Node, directory: Path, file: str) -> None:
    path = (directory / file).resolve()
    if not path.is_relative_to(directory.resolve()):
        node.problem(f"{shown(file)} is not in the theme's directory")
    elif not path.is_file():
        node.problem(f"there is no file {shown(file)}")


def _layer(name: str, node: Node) -> LayerSpec:
    keys = node.section("recipe", "gain_db", required=True)
    return LayerSpec(
        name=name, recipe=keys["recipe"].text(), gain_db=gain_db(keys["gain_db"])
    )


def _pulse(node: Node, sounds: Collection[str]) -> PulseSpec:
    keys = node.section("sound", "every_s", "gain_db", required=True)
    return PulseSpec(
        sound=keys["sound"].choice(sounds),
        # Slower than a minute, nobody notices that it has stopped.
        every_s=keys["every_s"].number(10.0, low=1, high=60),
        gain_db=gain_db(keys["gain_db"]),
    )
