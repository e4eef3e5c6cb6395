"""Where in its files a theme says what it says, so that a check can name the line."""

from collections.abc import Mapping
from pathlib import Path

from peep.config.document import Node, load
from peep.config.problems import Problems
from peep.config.themes import MAX_ANCESTORS, THEME_FILE, find_theme

TABLES = (
    "sounds",
    "layers",
    "families",
    "alerts",
    "endings",
    "events",
    "states",
    "heartbeats",
)

# (table, name) → file and line; a sound's files: ("files", "sound/file").
Places = Mapping[tuple[str, str], tuple[str, int]]


def theme_places(directory: Path) -> Places:
    """Return where each entry of a theme stands, in it or in what it extends.

    What is wrong with the files is passed over: whoever loads the theme says that.
    """
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for node in reversed(_chain(directory)):
        for table in TABLES:
            for name, at in dict(node).get(table, _nothing()).items():
                found[table, name] = (at.file, at.line)
                if table == "sounds":
                    found |= _files(name, at)
    return found


def _files(sound: str, node: Node) -> dict[tuple[str, str], tuple[str, int]]:
    files = dict(node.items()).get("files") if node.is_mapping else None
    if files is None:
        return {}
    each = files.nodes() if files.is_list else (files,)
    return {("files", f"{sound}/{at.text('')}"): (at.file, at.line) for at in each}


def _chain(directory: Path) -> list[tuple[tuple[str, Node], ...]]:
    """Return the entries of a theme and of those that it extends, it first."""
    chain: list[tuple[tuple[str, Node], ...]] = []
    at: Path | None = directory
    while at is not None and len(chain) <= MAX_ANCESTORS:
        top = load(at / THEME_FILE, Problems()).items()
        chain.append(top)
        wanted = dict(top).get("extends", _nothing()).text("")
        at = find_theme(wanted, at) if wanted else None
    return chain


def _nothing() -> Node:
    return Node("", Problems(), silent=True)
