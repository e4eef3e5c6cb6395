"""Rules with `engine: re`: asked in a process of their own, which may be killed.

Python's `re` knows what RE2 does not, and can take for ever on a line that somebody
made for it. So such rules see the first 4 KiB of a line only, in a child process that
does nothing else (guarded_child.py). The child gives itself 100 ms of processor time
for each rule and line, by a timer (setitimer(2), ITIMER_VIRTUAL) whose signal nobody
handles: the kernel ends it, however deep in `re` it is, and a busy machine is not
mistaken for a slow rule. What it was at stands in a page that both share. It is started
again, and passes over what it died of.

A rule that kills its child again and again rests for a minute: else lines that were
made for it would hold everything up.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

import msgspec

from peep.agent.guarded_child import IDLE, LENGTH, PLACE, Batch, Taken, frame
from peep.clock import cpu_s
from peep.rules import Guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peep.clock import Clock
    from peep.rules import Rule

LIMIT_S = 0.1  # of processor time, for one rule and one line
# Of real time without an answer, for a portion of lines: a child that was stopped.
PATIENCE_S = 60.0
MAX_KILLS = 3  # of one rule within REST_S, before it rests
REST_S = 60.0
GOODBYE_S = 1.0  # an idle child takes a millisecond; one that is stopped is killed
_READ_BYTES = 64 * 1024


class Guardian:
    """Asks the rules with `engine: re`; a `Guard` for a RuleSet of the same rules.

    It blocks, and may be called from any thread. `killed` counts the times that the
    child had to end; `say` hears of each rule once.
    """

    def __init__(
        self, rules: Sequence[Rule], clock: Clock, say: Callable[[str], None]
    ) -> None:
        import tempfile  # noqa: PLC0415 - half a megabyte, for rules that few have

        self._names = {at: r.name for at, r in enumerate(rules) if r.engine == "re"}
        self._patterns = [(at, rules[at].match) for at in self._names]
        self._clock = clock
        self._say = say
        self._lock = threading.Lock()
        self._page = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
        self._child: subprocess.Popen[bytes] | None = None
        self._kills: dict[int, list[float]] = {at: [] for at in self._names}
        self._resting: dict[int, float] = {}  # until when
        self._told: set[str] = set()
        self._spent_s = 0.0  # by children that have ended
        self.killed = 0

    def __call__(
        self, texts: Sequence[bytes], skipped: Sequence[tuple[int, int]] = ()
    ) -> list[Guarded | None]:
        """Say of each text which rule takes it; what cannot be asked takes nothing.

        `skipped` are places of texts, and of rules that are not to take them.
        """
        with self._lock:
            return self._ask(list(texts), list(skipped))

    def spent_s(self) -> float:
        """Return the processor time that all of this took in the child."""
        child = self._child
        return self._spent_s + (0.0 if child is None else cpu_s(child.pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            if self._child is not None and self._child.stdin is not None:
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    self._child.stdin.close()
                    self._child.wait(GOODBYE_S)
            self._end()
            self._page.close()

    def _ask(
        self, texts: list[bytes], skipped: list[tuple[int, int]]
    ) -> list[Guarded | None]:
        deaths = 0  # that no line is to blame for
        while True:
            now = self._clock.now()
            self._resting = {r: t for r, t in self._resting.items() if t > now}
            if len(self._resting) == len(self._names):
                return [None] * len(texts)
            answer = self._answer(Batch(texts, skipped, list(self._resting)))
            if answer is not None:
                return [None if t is None else _guarded(t) for t in answer]
            place = self._place()
            self._end()
            if place != IDLE:
                skipped.append(place)
                self._blame(place[1], now)
            elif (deaths := deaths + 1) == MAX_KILLS:
                self._resting = dict.fromkeys(self._names, now + REST_S)
                self._tell("rules with engine re rest: their process does not live")

    def _answer(self, batch: Batch) -> list[Taken | None] | None:
        """Return the child's answer, or None if it died over it."""
        try:
            child = self._running()
            assert child.stdin is not None, "it is a pipe"
            child.stdin.write(frame(batch))
            child.stdin.flush()
            (length,) = LENGTH.unpack(self._read(child, LENGTH.size))
            read = self._read(child, length)
        except (OSError, EOFError):  # it died, or there is no room for one
            return None
        return msgspec.msgpack.decode(read, type=list[Taken | None])

    def _read(self, child: subprocess.Popen[bytes], length: int) -> bytes:
        assert child.stdout is not None, "it is a pipe"
        fd, read = child.stdout.fileno(), bytearray()
        while len(read) < length:
            ready, _, _ = select.select([fd], [], [], PATIENCE_S)
            block = os.read(fd, min(_READ_BYTES, length - len(read))) if ready else b""
            if not block:
                raise EOFError
            read += block
        return bytes(read)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            fd = self._page.fileno()
            os.pwrite(fd, PLACE.pack(*IDLE), 0)
            command = [sys.executable, "-m", "peep.agent.guarded_child"]
            self._child = subprocess.Popen(  # noqa: S603 - our own program
                [*command, str(fd), str(LIMIT_S)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[fd],
            )
            assert self._child.stdin is not None, "it is a pipe"
            self._child.stdin.write(frame(self._patterns))
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        self._spent_s += cpu_s(child.pid)
        child.kill()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None, "both are pipes"
            with contextlib.suppress(BrokenPipeError):  # what it never read
                pipe.close()
        child.wait()

    def _place(self) -> tuple[int, int]:
        line, rule = PLACE.unpack(os.pread(self._page.fileno(), PLACE.size, 0))
        return line, rule

    def _blame(self, rule: int, now: float) -> None:
        name = self._names[rule]
        self.killed += 1
        kills = [at for at in self._kills[rule] if now - at < REST_S]
        self._kills[rule] = [*kills, now]
        message = f"rule {name} took more than {LIMIT_S * 1000:.0f} ms for a line"
        if len(self._kills[rule]) >= MAX_KILLS:
            self._kills[rule].clear()
            self._resting[rule] = now + REST_S
            message += f" again and again: it rests for {REST_S:.0f} s each time"
        self._tell(message)

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._say(message)


def _guarded(taken: Taken) -> Guarded:
    return Guarded(taken.rule, taken.text, taken.instance)
