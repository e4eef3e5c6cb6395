"""States that somebody writes into a file: a plug-in source, made for the demo.

{kind: demo-levels, path: FILE}; each line is a state's name and level: `system.load
0.25`. What was written last holds.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from peep.errors import SourceError
from peep.signals import State, clamp_unit, name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peep.clock import Clock
    from peep.config.document import Node
    from peep.loglines import Mark

KIND = "demo-levels"
# What makes an agent know it, beside a METADATA (importlib.metadata).
ENTRY_POINTS = f"[peep.sources]\n{KIND} = {__name__}\n"
EVERY_S = 0.5
MAX_READ_BYTES = 64 * 1024  # at a look
MAX_LINE_BYTES = 1024  # of a line without an end


class LevelsSpec(msgspec.Struct, frozen=True):
    """Which file."""

    path: str


def check(options: Node) -> LevelsSpec:
    """Read `demo-levels: FILE`."""
    return LevelsSpec(options.section("path", short="path")["path"].text())


class Levels:
    """Polled: returns the states that were written since the last look."""

    interval_s = EVERY_S

    def __init__(self, spec: LevelsSpec, _clock: Clock, _marks: Sequence[Mark]) -> None:
        self._path = Path(spec.path)
        self._offset = 0
        self._rest = b""
        self._parent = os.getppid()

    def describe(self) -> str:
        """Return what an operator reads."""
        return f"levels written to {self._path}"

    def poll(self, _now: float) -> Iterable[State]:
        """Return the last level of each state that was written; else SourceError."""
        if os.getppid() != self._parent:
            # The demo itself was killed: nobody else would end this agent.
            os.kill(os.getpid(), signal.SIGTERM)
        *lines, self._rest = (self._rest[-MAX_LINE_BYTES:] + self._read()).split(b"\n")
        found = (level(line) for line in lines)
        return list({one.name: one for one in found if one is not None}.values())

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(MAX_READ_BYTES)
        except OSError as problem:
            raise SourceError(f"{self._path}: {problem.strerror}") from None
        self._offset += len(data)
        return data


def level(line: bytes) -> State | None:
    """Return the state that a line tells, or None if it tells none."""
    name, _, said = line.decode("ascii", "replace").partition(" ")
    try:
        value = float(said)
    except ValueError:
        return None
    if name_problem(name) is not None:
        return None
    return State(name=name, value=clamp_unit(value))


open_source = Levels
