"""Where an agent gets lines and samples; one file a source.

A *stream* yields batches of log lines, a *poller* is asked for signals at an interval.
A source is named by a kind and checks its own options. On the command line it is
`KIND` or `KIND:VALUE`, in YAML any form that `Node.kind` takes.
"""

import math
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec
import yaml

from peep.agent.sources import stdin, system, tail
from peep.clock import Clock
from peep.config.document import Node, parse
from peep.config.problems import safe
from peep.errors import ConfigError
from peep.loglines import Batch
from peep.signals import Signal


class Stream(Protocol):
    """A source of log lines."""

    def describe(self) -> str:
        """Return what an operator reads."""

    def batches(self) -> AsyncIterator[Batch]:
        """Yield lines as they come; SourceError if there can be none."""


@runtime_checkable
class Poller(Protocol):
    """A source of samples."""

    interval_s: float

    def describe(self) -> str:
        """Return what an operator reads."""

    def poll(self, now: float) -> Iterable[Signal]:
        """Look now; SourceError if nothing can be seen."""


Source = Stream | Poller


class Kind(msgspec.Struct, frozen=True):
    """How options become a spec, and a spec a source."""

    check: Callable[[Node], Any]
    spec: type
    open: Callable[[Any, Clock], Source]


KINDS: Mapping[str, Kind] = {
    "tail": Kind(tail.check, tail.TailSpec, tail.TailSource),
    "system": Kind(system.check, system.SystemSpec, system.SystemSource),
    "stdin": Kind(stdin.check, stdin.StdinSpec, stdin.StdinSource),
}
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
CHECKS = {name: kind.check for name, kind in KINDS.items()}


def open_source(spec: object, clock: Clock) -> Source:
    """Make the source that a spec describes."""
    kind = next(kind for kind in KINDS.values() if isinstance(spec, kind.spec))
    return kind.open(spec, clock)


def from_text(text: str) -> object:
    """Return the spec of `KIND`, `KIND:VALUE`, or `-` for stdin; else ConfigError."""
    name, colon, value = ("stdin", "", "") if text == "-" else text.partition(":")
    # A number must stand there without quotes, and on the same line, to be one.
    plain = float(value) if _NUMBER.fullmatch(value) else value
    written = yaml.safe_dump({name: plain} if colon else name, width=math.inf)
    node = parse(written, "--source")
    kind, options = node.kind(KINDS)
    spec = KINDS[kind].check(options) if kind else None
    if len(node.problems):
        try:
            node.problems.raise_if_any()
        except ConfigError as refused:
            why = [line.rpartition("--source:1: ")[2] for line in refused.problems]
            raise ConfigError(
                [f"--source {safe(text)}: {line}" for line in why]
            ) from None
    return spec
