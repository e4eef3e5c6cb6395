"""Processes that must run, and processes that must not.

Looking at a process costs some 60 µs. A host may have thousands of them, so a count is
taken in slices, each no longer than its caller allows, and begins again only a while
after the last one ended. What a count finds wrong is told when the next one, taken at
once, finds it too: a service that is being restarted is not missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import psutil
import re2

from peep.config.problems import shown
from peep.signals import Event, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from peep.clock import Clock
    from peep.config.document import Node

COUNT_S = 15.0  # between counts
MAX_EXPECTED = 256
MAX_COUNT = 1_000_000  # more processes than any kernel runs
MAX_LINE_LENGTH = 4096  # of a command line that a pattern sees; some are megabytes
_TIERS = {"missing": Tier.ALERT, "too-many": Tier.NOTABLE, "": Tier.ROUTINE}


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """How many there should be of those with this name and this in their command."""

    label: str
    name: str = ""
    command: str = ""
    least: int = 1
    most: int = MAX_COUNT


def check_expected(node: Node) -> tuple[Expected, ...]:
    """Read a list of names, or `{name, command, label, min, max}`."""
    nodes = node.nodes()
    if len(nodes) > MAX_EXPECTED:
        node.problem(f"more than {MAX_EXPECTED} processes")
    return tuple(_expected(at) for at in nodes[:MAX_EXPECTED])


def _expected(node: Node) -> Expected:
    if not node.is_mapping:
        name = node.text()
        return Expected(label=name, name=name)
    keys = node.section("name", "command", "label", "min", "max")
    name, command = keys["name"].text(""), keys["command"].text("")
    if not name and not command:
        node.problem("which process? Give a `name`, or a pattern for its `command`")
    if command and (problem := _pattern_problem(command)):
        keys["command"].problem(problem)
    most = keys["max"].integer(MAX_COUNT, low=0, high=MAX_COUNT)
    least = keys["min"].integer(min(1, most), low=0, high=MAX_COUNT)
    if least > most:
        keys["min"].problem(f"must not be above `max`, which is {most}")
    label = keys["label"].text(name or command, max_length=128)
    return Expected(label=label, name=name, command=command, least=least, most=most)


def _pattern_problem(pattern: str) -> str | None:
    try:
        re2.compile(pattern, _options())
    except re2.error as problem:
        return f"{shown(pattern)} is no pattern: {_reason(problem)}"
    return None


def _reason(problem: re2.error) -> str:
    said = problem.args[0]
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False  # they would go to standard error
    return options


class Census:
    """Counts, and tells what is missing, back, or too many."""

    def __init__(self, expected: Iterable[Expected], clock: Clock) -> None:
        self._expected = tuple(expected)
        self._patterns = [
            re2.compile(one.command, _options()) if one.command else None
            for one in self._expected
        ]
        self._told = ["" for _ in self._expected]
        self._suspected = ["" for _ in self._expected]
        self._clock = clock
        self._count: Iterator[None] | None = None
        self._counts: list[int] = []
        self._due_at = float("-inf")

    def step(self, budget_s: float) -> Iterable[Event]:
        """Count on for so long; return what a count that is complete by that tells."""
        if not self._expected:
            return ()
        began = self._clock.now()
        if self._count is None:
            if began < self._due_at:
                return ()
            self._count = self._counting()
        for _ in self._count:
            if self._clock.now() - began >= budget_s:
                return ()
        self._count = None
        events = list(self._judged())
        self._due_at = began + (0.0 if any(self._suspected) else COUNT_S)
        return events

    def _counting(self) -> Iterator[None]:
        """Look at one process after the other."""
        self._counts = [0] * len(self._expected)
        wants_command = any(self._patterns)
        for pid in psutil.pids():
            try:
                process = psutil.Process(pid)
                name = process.name()
                command = " ".join(process.cmdline()) if wants_command else ""
            except (psutil.Error, OSError):  # it ended meanwhile, or is hidden
                pass
            else:
                self._add(name, command[:MAX_LINE_LENGTH])
            yield

    def _add(self, name: str, command: str) -> None:
        # What is not UTF-8 comes as lone surrogates, which RE2 does not take.
        clean = command.encode("utf-8", "replace").decode()
        for index, (one, pattern) in enumerate(
            zip(self._expected, self._patterns, strict=True)
        ):
            if one.name in ("", name) and (pattern is None or pattern.search(clean)):
                self._counts[index] += 1

    def _judged(self) -> Iterator[Event]:
        for index, (one, count) in enumerate(
            zip(self._expected, self._counts, strict=True)
        ):
            wrong = _wrong(one, count)
            is_new = bool(wrong) and wrong not in (
                self._told[index],
                self._suspected[index],
            )
            self._suspected[index] = wrong if is_new else ""
            if not is_new and wrong != self._told[index]:
                self._told[index] = wrong
                yield _event(one, count, wrong)


def _wrong(one: Expected, count: int) -> str:
    if count < one.least:
        return "missing"
    return "too-many" if count > one.most else ""


def _event(one: Expected, count: int, wrong: str) -> Event:
    said = f"{one.label}: {count} running, at least {one.least}"
    if one.most < MAX_COUNT:
        said += f" and at most {one.most}"
    return Event(
        name=f"system.process-{wrong or 'back'}",
        tier=_TIERS[wrong],
        family="system",
        instance=one.label,
        text=f"{said} wanted",
    )
