"""The table of measures: a target beside each value, and whether it is met.

A *line* is one measure of one theme. What measures returns lines, in the order in which
they are to be read; who runs them prints the table, and fails where a line fails.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Line(NamedTuple):
    """One measure, with its unit in its name: what it came to, what it should be.

    `note` says where: the worst sound, the pair that is mixed up, the second.
    """

    measure: str
    value: float
    target: str
    met: bool
    note: str = ""


def at_most(measure: str, value: float, limit: float, note: str = "") -> Line:
    """Return a line that is met up to a limit; nothing is met by NaN."""
    return Line(measure, value, f"<= {limit:g}", value <= limit, note)


def at_least(measure: str, value: float, limit: float, note: str = "") -> Line:
    """Return a line that is met from a limit on."""
    return Line(measure, value, f">= {limit:g}", value >= limit, note)


def within(
    measure: str, value: float, middle: float, by: float, note: str = ""
) -> Line:
    """Return a line that is met no further than `by` from the middle."""
    return Line(measure, value, f"{middle:g} +-{by:g}", abs(value - middle) <= by, note)


def yes(measure: str, *, met: bool, note: str = "") -> Line:
    """Return a line that is met or not: 1 or 0."""
    return Line(measure, float(met), "yes", met, note)


def printed(title: str, lines: Iterable[Line]) -> str:
    """Return lines as text, under a title: what fails is marked, to be seen at once."""
    rows = [(line, shown(line)) for line in lines]
    measure = max((len(line.measure) for line, _ in rows), default=0)
    value = max((len(text) for _, text in rows), default=0)
    target = max((len(line.target) for line, _ in rows), default=0)
    text = [title]
    for line, number in rows:
        mark = "ok  " if line.met else "FAIL"
        columns = f"{line.measure:{measure}}  {number:>{value}}  {line.target:{target}}"
        text.append(f"  {mark} {columns}  {line.note}".rstrip())
    return "\n".join(text)


def shown(line: Line) -> str:
    """Return a line's value as it is read: three digits, or yes and no."""
    if line.target == "yes":
        return "yes" if line.met else "no"
    if math.isfinite(line.value) and line.value == int(line.value):
        return f"{line.value:.0f}"
    return f"{line.value:.3g}" if abs(line.value) < 1 else f"{line.value:.2f}"
