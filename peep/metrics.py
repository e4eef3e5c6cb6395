"""Counters and gauges of one process, and how Prometheus reads them.

Nothing is counted here: what is counted where it happens is read when somebody asks,
so a metric costs nothing until then. The text is Prometheus' exposition format 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/):

    # HELP peep_suppressions_total Signals that were not heard.
    # TYPE peep_suppressions_total counter
    peep_suppressions_total{reason="stale"} 3
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

Number = int | float
# What a metric with labels reads: by the label's value, or by a tuple of them.
Readings = Mapping[str, Number] | Mapping[tuple[str, ...], Number]

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One number, written as it is read; JSON knows no infinity."""

    labels: tuple[tuple[str, str], ...]
    value: str


class Family(msgspec.Struct, frozen=True):
    """All samples of one metric."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


class _Metric(msgspec.Struct, frozen=True):
    """A metric, and where its numbers are."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[], Number | Readings]


class Metrics:
    """The metrics of a process, in the order in which they were added."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}

    def counter(
        self,
        name: str,
        about: str,
        read: Callable[[], Number | Readings],
        labels: tuple[str, ...] = (),
    ) -> None:
        """Add what only grows; its name ends in _total. See `gauge`."""
        if not name.endswith("_total"):
            raise ValueError(f"{name}: a counter's name ends in _total")
        self._add(name, "counter", about, read, labels)

    def gauge(
        self,
        name: str,
        about: str,
        read: Callable[[], Number | Readings],
        labels: tuple[str, ...] = (),
    ) -> None:
        """Add what goes up and down.

        `read` returns its number; with labels, a number for each of their values that
        there are: by a text, or by a tuple of as many as there are labels. ValueError
        for a name that Prometheus does not take, or that is taken.
        """
        self._add(name, "gauge", about, read, labels)

    def collect(self) -> list[Family]:
        """Read all metrics; one without any sample is left out."""
        families = (
            Family(one.name, one.kind, one.help, tuple(_samples(one)))
            for one in self._metrics.values()
        )
        return [family for family in families if family.samples]

    def text(self) -> str:
        """Read all metrics as text."""
        return exposition(self.collect())

    def _add(
        self,
        name: str,
        kind: str,
        about: str,
        read: Callable[[], Number | Readings],
        labels: tuple[str, ...],
    ) -> None:
        if not _NAME.fullmatch(name) or name in self._metrics:
            raise ValueError(f"{name!r} is no name of a metric, or taken")
        if not all(map(_LABEL.fullmatch, labels)) or len(set(labels)) < len(labels):
            raise ValueError(f"{name}: labels {labels!r}")
        self._metrics[name] = _Metric(name, kind, about, labels, read)


def exposition(families: Iterable[Family]) -> str:
    """Return families as Prometheus reads them."""
    lines = []
    for family in families:
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [f"{family.name}{_braced(s.labels)} {s.value}" for s in family.samples]
    return "".join(f"{line}\n" for line in lines)


def merged(processes: Mapping[str, Iterable[Family]]) -> list[Family]:
    """Return the metrics of several processes as one, told apart by `process`."""
    found: dict[str, Family] = {}
    for process, families in processes.items():
        for family in families:
            here = found.get(family.name)
            told = tuple(
                Sample((("process", process), *sample.labels), sample.value)
                for sample in family.samples
            )
            found[family.name] = msgspec.structs.replace(
                family, samples=told if here is None else here.samples + told
            )
    return list(found.values())


def _samples(metric: _Metric) -> Iterable[Sample]:
    read = metric.read()
    if isinstance(read, Mapping):
        for values, number in read.items():
            texts = (values,) if isinstance(values, str) else values
            labels = zip(metric.labels, map(_sound, texts), strict=True)
            yield Sample(tuple(labels), _number(number))
    else:
        assert not metric.labels, "labels have values"
        yield Sample((), _number(read))


def _number(value: Number) -> str:
    if isinstance(value, float):
        special = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
        return special.get(repr(value), repr(value))
    return str(int(value))


def _sound(text: str) -> str:
    """Return text that UTF-8 can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _braced(labels: Iterable[tuple[str, str]]) -> str:
    quoted = (f'{name}="{_quoted(value)}"' for name, value in labels)
    inside = ",".join(quoted)
    return f"{{{inside}}}" if inside else ""


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')
