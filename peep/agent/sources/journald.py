"""The systemd journal, read by `journalctl -o json -f`, as lines of a log file.

How far was read is a cursor, the journal's own: it is kept in a mark whose path is
"journald:" and what was asked for, the cursor in place of `head`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.children import Child
from peep.agent.sources.journal_entry import FIELDS, Told, is_cursor, parse
from peep.agent.sources.origins import new_origin
from peep.agent.sources.syslog_format import line
from peep.errors import SourceError
from peep.loglines import MAX_LINE_BYTES, Batch, LineSplitter, LogLine, Mark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from peep.clock import Clock
    from peep.config.document import Node

# A message of bytes is written as numbers, "255," each; there are other fields, too.
MAX_ENTRY_BYTES = 6 * MAX_LINE_BYTES
MAX_NAMES = 64  # units and identifiers, each
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

_LONG = b"an entry of more than %d bytes was passed over" % MAX_ENTRY_BYTES


class JournaldSpec(msgspec.Struct, frozen=True):
    """What of the journal: all of it, or these units or identifiers; this urgent.

    `directory` has another journal than this host's; `program` is journalctl.
    """

    units: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    priority: str = "debug"
    from_start: bool = False
    directory: str = ""
    program: str = "journalctl"


def check(options: Node) -> JournaldSpec:
    """Read `journald`, `journald: [sshd, nginx]`, or `{kind: journald, units: …}`."""
    keys = options.section(*JournaldSpec.__struct_fields__, short="units")
    spec = JournaldSpec(
        keys["units"].texts((), max_length=256),
        keys["identifiers"].texts((), max_length=256),
        keys["priority"].choice(PRIORITIES, "debug"),
        keys["from_start"].flag(default=False),
        keys["directory"].text(""),
        keys["program"].text("journalctl"),
    )
    for key in ("units", "identifiers"):
        if len(getattr(spec, key)) > MAX_NAMES:
            keys[key].problem(f"more than {MAX_NAMES}: follow all, and choose by rules")
    if spec.directory and not spec.directory.startswith("/"):
        keys["directory"].problem("needs an absolute path")
    return spec


def owned(specs: Iterable[JournaldSpec]) -> Callable[[Mark], bool]:
    """Return what says whether a mark is of what one of these asks for."""
    names = frozenset(map(_name, specs))
    return lambda mark: mark.path in names


def _name(spec: JournaldSpec) -> str:
    """Return what the mark of these entries bears instead of a path."""
    asked = msgspec.json.encode(
        (sorted(spec.units), sorted(spec.identifiers), spec.priority, spec.directory)
    )
    return f"journald:{asked.decode()}"


class JournaldSource:
    """The stream of the journal's entries, from the last one that was kept."""

    def __init__(
        self, spec: JournaldSpec, clock: Clock, marks: Sequence[Mark] = ()
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._path = _name(spec)
        self._origin = new_origin()
        self._cursor = ""
        self._began = 0.0
        self._ends = False
        for mark in marks:
            cursor = mark.head.decode("ascii", "replace")
            if mark.path == self._path and is_cursor(cursor):
                self._origin, self._cursor = mark.origin, cursor

    def describe(self) -> str:
        """Return what an operator reads."""
        spec = self._spec
        names = [*spec.units, *(f"{name} (identifier)" for name in spec.identifiers)]
        what = f" of {', '.join(names)}" if names else ""
        urgent = f", {spec.priority} and worse" if spec.priority != "debug" else ""
        where = f" in {spec.directory}" if spec.directory else ""
        return f"the journal{what}{urgent}{where}"

    def arguments(self) -> list[str]:
        """Return the command that reads from where we are."""
        spec = self._spec
        # Fields longer than 4 KiB would be left out without --all.
        made = [spec.program, "--output=json", "--all", "--no-pager"]
        if not self._ends:
            made.append("--follow")
        made.append(f"--output-fields={FIELDS}")
        if self._cursor:
            made += [f"--after-cursor={self._cursor}", "--no-tail"]
        else:
            # The last one is for its cursor: without one, a restart might lose some.
            made.append("--no-tail" if spec.from_start else "--lines=1")
        made += [f"--unit={name}" for name in spec.units]
        made += [f"--identifier={name}" for name in spec.identifiers]
        if spec.priority != "debug":
            made.append(f"--priority={spec.priority}")
        if spec.directory:
            made.append(f"--directory={spec.directory}")
        return made

    def so_far(self) -> AsyncIterator[Batch]:
        """Yield entries up to the last one that is there, and end."""
        self._ends = True
        return self.batches()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield entries as they come; SourceError when journalctl ends."""
        self._began = self._clock.wall()
        async with Child("the journal", self.arguments(), {}) as child:
            splitter = LineSplitter("journald", max_bytes=MAX_ENTRY_BYTES)
            async for block in child.blocks():
                batch = self._batch(splitter.feed(block))
                if batch is not None:
                    yield batch
            code = await child.ended()
            if self._ends and code == 0:
                return
            said = child.complaint() or f"exit code {code}"
        if "cursor" in said.lower() and self._cursor:
            # Of a journal that is gone; its entries are not to be had any more.
            self._cursor = ""
            said += "; going on with what is new"
        raise SourceError(f"the journal: {self._spec.program}: {said}")

    def _batch(self, entries: Sequence[LogLine]) -> Batch | None:
        lines: list[LogLine] = []
        before = self._cursor
        for entry in entries:
            told = parse(entry.text, os.getpid())
            if told is not None:
                is_old = not self._cursor and told.when < self._began
                self._cursor = told.cursor
                if is_old and not self._spec.from_start:
                    continue
            elif len(entry.text) > MAX_ENTRY_BYTES:
                now = self._clock.wall()
                told = Told(
                    "", 0, now, line(b"localhost", b"journald", b"", _LONG, now)
                )
            if told is not None and told.text:
                origin = self._origin if told.serial else 0
                lines.append(
                    LogLine("journald", told.serial, told.text, told.when, origin)
                )
        if self._cursor == before and not lines:
            return None
        return Batch("journald", tuple(lines), (self._mark(),) if self._cursor else ())

    def _mark(self) -> Mark:
        return Mark(
            self._path,
            self._origin,
            device=0,
            inode=0,
            head=self._cursor.encode("ascii"),
            offset=0,
            tail=b"",
        )
