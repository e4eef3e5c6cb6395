"""Kinds of sources that are installed beside Peep.

A package offers some in its metadata, in the group `peep.sources`: a kind's name, and
the module (or any object) that has

    check(options: Node) -> spec            what is wrong goes into the node
    open_source(spec, clock, marks) -> a Stream, a Poller or a Prober

Which kinds there are is read from the files of metadata directly: the library for that
costs an agent three megabytes and ten milliseconds, and is loaded where a plug-in is.
A plug-in is a program of the administrator's, trusted as Peep itself is.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from peep.config.problems import safe
from peep.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from peep.clock import Clock
    from peep.config.document import Node
    from peep.loglines import Mark

GROUP = "peep.sources"

_METADATA = (".dist-info", ".egg-info")
_SECTION = re.compile(
    r"^\[" + re.escape(GROUP) + r"\]\s*$(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL
)
_ENTRY = re.compile(r"^([a-z][a-z0-9_-]*)\s*=\s*\S", re.MULTILINE)
_MAX_METADATA_BYTES = 256 * 1024  # of one package; a long list has a few thousand


class Plugin(msgspec.Struct, frozen=True):
    """A kind by its name; its code is loaded when something asks for it."""

    name: str

    def check(self, options: Node) -> object:
        """Return what `open_source` opens; a plug-in that fails is a problem."""
        try:
            return Plugged(self, _loaded(self.name).check(options))
        except Exception as fault:  # noqa: BLE001 - it is not our code
            options.problem(f"plug-in {self.name}: {_told(fault)}")
            return None

    def open(self, spec: object, clock: Clock, marks: Sequence[Mark]) -> Any:  # noqa: ANN401 - a source, if the plug-in keeps its word
        """Make the source that a spec describes; SourceError if it cannot."""
        try:
            return _loaded(self.name).open_source(spec, clock, marks)
        except Exception as fault:
            raise SourceError(f"plug-in {self.name}: {_told(fault)}") from fault


class Plugged(msgspec.Struct, frozen=True):
    """A spec of a plug-in's, and whose it is."""

    plugin: Plugin
    spec: object


def found() -> Mapping[str, Plugin]:
    """Return the kinds that are installed, by name."""
    return _found(tuple(sys.path))


@cache
def _found(path: tuple[str, ...]) -> Mapping[str, Plugin]:
    names = (name for place in path for name in _offered(place))
    return {name: Plugin(name) for name in sorted(set(names))}


def _offered(place: str) -> Iterator[str]:
    """Return the names of kinds that the packages in a directory offer."""
    try:
        with os.scandir(place or ".") as entries:
            packages = [e.path for e in entries if e.name.endswith(_METADATA)]
    except OSError:  # an archive, or not there at all
        return
    for package in packages:
        try:
            with (Path(package) / "entry_points.txt").open("rb") as file:
                text = file.read(_MAX_METADATA_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        for section in _SECTION.findall(text):
            yield from _ENTRY.findall(section)


@cache
def _loaded(name: str) -> Any:  # noqa: ANN401 - whatever it is
    from importlib.metadata import entry_points  # noqa: PLC0415 - see above

    return next(iter(entry_points(group=GROUP, name=name))).load()


def _told(fault: Exception) -> str:
    said = " ".join(str(fault).split())
    return safe(f"{type(fault).__name__}: {said}")
