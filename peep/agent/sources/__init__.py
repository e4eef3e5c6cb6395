"""Where an agent gets lines and samples; one file a source.

A *stream* yields batches of log lines; a *poller* is asked for signals at an interval,
and so is a *prober*, which takes its time. A source is named by a kind and checks its
own options. On the command line it is `KIND` or `KIND:VALUE`, in YAML any form that
`Node.kind` takes. A kind that is not built in is looked for among plug-ins.

What a source needs is loaded when it is used: an agent should cost what it does.
"""

import math
import re
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import msgspec
import yaml

from peep.agent.sources import plugins
from peep.clock import Clock
from peep.config.document import Node, parse
from peep.config.problems import safe
from peep.errors import ConfigError
from peep.loglines import Batch, Mark
from peep.signals import Signal


class Stream(Protocol):
    """A source of log lines."""

    def describe(self) -> str:
        """Return what an operator reads."""

    def batches(self) -> AsyncIterator[Batch]:
        """Yield lines as they come; SourceError if there can be none."""


@runtime_checkable
class Ending(Protocol):
    """A stream that can also be read up to where it ends now (`peep agent --once`)."""

    def describe(self) -> str:
        """Return what an operator reads."""

    def so_far(self) -> AsyncIterator[Batch]:
        """Yield the lines that are there, and end; SourceError if there can be none."""


@runtime_checkable
class Poller(Protocol):
    """A source of samples; one with a true `has_rates` needs two looks for some."""

    interval_s: float

    def describe(self) -> str:
        """Return what an operator reads."""

    def poll(self, now: float) -> Iterable[Signal]:
        """Look now; SourceError if nothing can be seen."""


@runtime_checkable
class Prober(Protocol):
    """A source of samples that must wait for them: it holds up nobody meanwhile."""

    interval_s: float

    def describe(self) -> str:
        """Return what an operator reads."""

    async def probe(self, now: float) -> Iterable[Signal]:
        """Look now; SourceError if nothing can be seen."""


Source = Stream | Poller | Prober


class Kind(msgspec.Struct, frozen=True):
    """A kind that is built in: `check` in its module makes a spec, of that a source.

    `resumes` says that the source takes marks, and goes on where it was; `lags`, that
    it may fall behind, and takes a bound for that.
    """

    module: str
    source: str
    resumes: bool = False
    lags: bool = False

    def check(self, options: Node) -> Any:  # noqa: ANN401 - each kind has its own spec
        """Return the spec that options ask for; what is wrong goes into the node."""
        return self._loaded().check(options)

    def made(self, spec: object) -> bool:
        """Say whether a spec is of this kind."""
        return type(spec).__module__ == self._name()

    def open(
        self, spec: object, clock: Clock, marks: Sequence[Mark], lag_max_bytes: int
    ) -> Source:
        """Make the source that a spec describes."""
        make: Callable[..., Source] = getattr(self._loaded(), self.source)
        bound = {"lag_max_bytes": lag_max_bytes} if self.lags else {}
        known = (marks,) if self.resumes else ()
        return make(spec, clock, *known, **bound)

    def owned(self, specs: Sequence[object]) -> Callable[[Mark], bool]:
        """Return what says whether a mark is of one of these specs."""
        made: Callable[[Mark], bool] = self._loaded().owned(specs)
        return made

    def _name(self) -> str:
        return f"{__name__}.{self.module}"

    def _loaded(self) -> Any:  # noqa: ANN401 - a module
        return import_module(self._name())


_BUILT_IN: Mapping[str, Kind] = {
    "tail": Kind("tail", "TailSource", resumes=True, lags=True),
    "journald": Kind("journald", "JournaldSource", resumes=True),
    "syslog": Kind("syslog", "SyslogSource"),
    "system": Kind("system", "SystemSource"),
    "ping": Kind("ping", "PingSource"),
    "command": Kind("command", "open_command"),
    "stdin": Kind("stdin", "StdinSource"),
}


class _Kinds(Mapping[str, Kind | plugins.Plugin]):
    """What is built in, and what is installed beside it."""

    def __getitem__(self, name: str) -> Kind | plugins.Plugin:
        return _BUILT_IN.get(name) or plugins.found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*_BUILT_IN, *plugins.found())))

    def __len__(self) -> int:
        return len(tuple(iter(self)))


class _Checks(Mapping[str, Callable[[Node], object]]):
    """The checker of each kind."""

    def __getitem__(self, name: str) -> Callable[[Node], object]:
        return KINDS[name].check

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


KINDS: Mapping[str, Kind | plugins.Plugin] = _Kinds()
CHECKS: Mapping[str, Callable[[Node], object]] = _Checks()
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def open_source(
    spec: object,
    clock: Clock,
    marks: Sequence[Mark] = (),
    *,
    lag_max_bytes: int = 0,
) -> Source:
    """Make the source that a spec describes.

    `marks` are all that were kept, of whatever source: it finds its own among them.
    More than `lag_max_bytes` unread of one log are skipped; 0 is no bound.
    """
    if isinstance(spec, plugins.Plugged):
        made: Source = spec.plugin.open(spec.spec, clock, marks)
        return made
    kind = next(kind for kind in _BUILT_IN.values() if kind.made(spec))
    return kind.open(spec, clock, marks, lag_max_bytes)


def followed(specs: Sequence[object]) -> Callable[[Mark], bool]:
    """Return what says whether a mark is of what one of these follows, or may again.

    What plug-ins keep in marks is their own: where there is one, every mark may be.
    """
    if any(isinstance(spec, plugins.Plugged) for spec in specs):
        return lambda _: True
    owners = []
    for kind in _BUILT_IN.values():
        ours = [spec for spec in specs if kind.resumes and kind.made(spec)]
        if ours:
            owners.append(kind.owned(ours))
    return lambda mark: any(owns(mark) for owns in owners)


def from_text(text: str) -> object:
    """Return the spec of `KIND`, `KIND:VALUE`, or `-` for stdin; else ConfigError."""
    name, colon, value = ("stdin", "", "") if text == "-" else text.partition(":")
    # A number must stand there without quotes, and on the same line, to be one.
    plain: float | str = value
    if _NUMBER.fullmatch(value):
        plain = int(value) if value.isdecimal() else float(value)
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
