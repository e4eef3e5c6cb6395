"""A program of the user's, run from time to time.

What it writes is lines for the rules, or (`means: status`) it speaks by its exit code,
as monitoring plug-ins do: 0 is fine, 1 a warning, 2 critical, and all else unknown. A
change of that is an event, with the first line of the output as its text.

No shell stands between, unless it is asked for: the words of `run` are the program's
arguments, as they are. Its environment is little more than PATH. When it takes too
long, or writes too much, it is killed with all that it started.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources.children import Child
from peep.agent.sources.origins import new_origin
from peep.config.problems import shown
from peep.errors import SourceError
from peep.loglines import Batch, LineSplitter, printable, some_lines
from peep.signals import MAX_TEXT_LENGTH, Event, Tier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from peep.clock import Clock
    from peep.config.document import Node

MAX_OUTPUT_BYTES = 1024 * 1024  # of a run; a log belongs in a file
MAX_ARGUMENTS = 256
MAX_VARIABLES = 64
_SHELL = "/bin/sh"
_MEANS = ("lines", "status")
_STATUS = {
    0: ("command.ok", Tier.ROUTINE),
    1: ("command.warning", Tier.NOTABLE),
    2: ("command.critical", Tier.ALERT),
}
_UNKNOWN = ("command.unknown", Tier.NOTABLE)
_CRITICAL = 2  # what does not end counts as
_OK = 0


class CommandSpec(msgspec.Struct, frozen=True):
    """What to run, how often, and how its answer is to be taken.

    `run` are a program and its arguments; `name` stands for it.
    """

    run: tuple[str, ...]
    name: str
    means: str = "lines"
    interval_s: float = 60.0
    timeout_s: float = 30.0
    environment: tuple[tuple[str, str], ...] = ()


def check(options: Node) -> CommandSpec:
    """Read `command: [PROGRAM, ARGUMENT, …]`, or `{kind: command, run: […], …}`."""
    keys = options.section(
        "run",
        "name",
        "means",
        "interval_s",
        "timeout_s",
        "environment",
        "shell",
        short="run",
    )
    run = keys["run"].texts(control=True)
    if len(run) > MAX_ARGUMENTS:
        keys["run"].problem(f"more than {MAX_ARGUMENTS} words")
    if any("\0" in word for word in run):
        keys["run"].problem("holds a NUL, which no argument may")
    name = keys["name"].text((run or ("",))[0].rpartition("/")[2][:64], max_length=64)
    if keys["shell"].flag(default=False):
        if len(run) > 1:
            keys["run"].problem("a shell takes one text, not a list of words")
        run = (_SHELL, "-c", *run)
    return CommandSpec(
        run,
        name,
        keys["means"].choice(_MEANS, "lines"),
        keys["interval_s"].number(60.0, low=1.0, high=86_400.0),
        keys["timeout_s"].number(30.0, low=0.1, high=3600.0),
        _environment(keys["environment"]),
    )


def _environment(node: Node) -> tuple[tuple[str, str], ...]:
    found = node.items()
    if len(found) > MAX_VARIABLES:
        node.problem(f"more than {MAX_VARIABLES} variables")
    for name, at in found:
        if "=" in name:
            at.problem(f"{shown(name)} is no name of a variable")
    return tuple((name, at.text()) for name, at in found[:MAX_VARIABLES])


def open_command(spec: CommandSpec, clock: Clock) -> CommandLines | CommandStatus:
    """Return the source for what the answer means."""
    return (CommandStatus if spec.means == "status" else CommandLines)(spec, clock)


class _Run:
    """One run after the other of a program."""

    def __init__(self, spec: CommandSpec, clock: Clock) -> None:
        self.interval_s = spec.interval_s
        self._spec = spec
        self._clock = clock
        self._what = f"command {spec.name}"

    def describe(self) -> str:
        """Return what an operator reads."""
        return f"{self._what}, every {self.interval_s:g} s"

    async def _run(self, output: bytearray) -> tuple[int, str]:
        """Gather output; return the exit code, and what it complained of.

        Raises TimeoutError, and SourceError if it cannot be run or writes too much.
        """
        spec = self._spec
        async with (
            Child(self._what, spec.run, dict(spec.environment)) as child,
            asyncio.timeout(spec.timeout_s),
        ):
            async for block in child.blocks():
                output += block
                if len(output) > MAX_OUTPUT_BYTES:
                    del output[MAX_OUTPUT_BYTES:]
                    mib = MAX_OUTPUT_BYTES // 1024**2
                    raise SourceError(f"{self._what}: more than {mib} MiB of output")
            return await child.ended(), child.complaint()


class CommandLines(_Run):
    """The stream of what a program writes."""

    def __init__(self, spec: CommandSpec, clock: Clock) -> None:
        super().__init__(spec, clock)
        self._origin = new_origin()
        self._offset = 0  # over all runs
        self._ends = False

    def so_far(self) -> AsyncIterator[Batch]:
        """Yield the lines of one run; SourceError if it fails."""
        self._ends = True
        return self.batches()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield the lines of each run at its end, for ever; SourceError if one fails.

        What a run wrote until it failed is told first.
        """
        while True:
            output, failed = bytearray(), ""
            try:
                code, complaint = await self._run(output)
                if code:
                    failed = f"{self._what}: " + (complaint or f"exit code {code}")
            except TimeoutError:
                failed = f"{self._what}: no end after {self._spec.timeout_s:g} s"
            except SourceError as problem:
                failed = str(problem)
            for batch in self._batches(bytes(output)):
                yield batch
                await asyncio.sleep(0)
            if failed:
                raise SourceError(failed)
            if self._ends:
                return
            await asyncio.sleep(self.interval_s)

    def _batches(self, output: bytes) -> Iterator[Batch]:
        name = self._what
        splitter = LineSplitter(name, self._offset, origin=self._origin)
        when = self._clock.wall()
        is_last = False
        while not is_last:
            part = some_lines(output)
            output = output[len(part) :]
            is_last = not output
            lines = splitter.feed(part, when)
            if is_last:
                lines += splitter.finish(when)
            self._offset = splitter.offset
            yield Batch(name, tuple(line for line in lines if line.text))


class CommandStatus(_Run):
    """Probed: tells when the exit code has changed; at first, if it is not fine."""

    def __init__(self, spec: CommandSpec, clock: Clock) -> None:
        super().__init__(spec, clock)
        self._told = _STATUS[_OK]

    async def probe(self, _now: float) -> Iterable[Event]:
        """Run it, and return what that means, if it is new."""
        output = bytearray()
        try:
            code, complaint = await self._run(output)
        except TimeoutError:
            code, complaint = _CRITICAL, f"no end after {self._spec.timeout_s:g} s"
            output.clear()
        status = _STATUS.get(code, _UNKNOWN)
        if status == self._told:
            return ()
        self._told = status
        first = next((line for line in bytes(output).split(b"\n") if line.strip()), b"")
        said = printable(first.strip()) or complaint or f"exit code {code}"
        name, tier = status
        return (
            Event(
                name=name,
                tier=tier,
                family="system",
                instance=self._spec.name,
                text=said[:MAX_TEXT_LENGTH],
            ),
        )
