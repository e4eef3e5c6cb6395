"""`peep dev torture tail`: misfortunes of logs, on the user's own file system.

A trial writes numbered lines and does to the log what its case says, while a follower
in a process of its own tells of them (told.py). In the end every line that was written
must have been told once. Some were in no file any more when anybody could have looked:
those written between a copy and its truncation. They are the physical *floor*, and not
counted as lost.
"""

import contextlib
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from peep.clock import Clock, SystemClock
from peep.errors import PeepError
from peep.lab import told
from peep.lab.misfortunes import CASES, find_logrotate

PATIENCE_S = 10.0  # without a single line told; then the rest counts as lost
PAUSE_S = 0.001
MAX_WRITE = 200


class Result(msgspec.Struct, frozen=True):
    """How a case came out, in lines."""

    case: str
    written: int
    lost: int
    repeated: int
    floor: int


def cases() -> tuple[str, ...]:
    """Return the names of the cases that can be run here."""
    there = find_logrotate() is not None
    return tuple(name for name in CASES if there or not name.startswith("logrotate"))


def torture(
    names: Sequence[str],
    *,
    seconds: float,
    lines: int | None = None,
    directory: Path | None = None,
    seed: int | None = None,
) -> Iterator[Result]:
    """Run cases, each for so long or until so many lines are written."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix="peep-torture-", dir=directory) as own:
            trial = Trial(Path(own), seconds, lines, random.Random(seed))  # noqa: S311
            with contextlib.closing(trial):
                trial.start()
                CASES[name](trial)
                yield trial.result(name)


class Trial:
    """A log, who writes it, and who follows it."""

    def __init__(
        self, directory: Path, seconds: float, lines: int | None, rng: random.Random
    ) -> None:
        self.log = directory / "app.log"
        self.rng = rng
        self.clock: Clock = SystemClock()
        self.written: set[int] = set()
        self.nowhere: set[int] = set()
        self._untold: set[int] = set()
        self._store = directory / "store"
        self._seconds = seconds
        self._until: float | None = None
        self._lines = lines
        self._follower: _Follower | None = None
        self._writer = self.log.open("ab", buffering=0)

    # ---- for misfortunes -----------------------------------------------------

    def goes_on(self) -> bool:
        """Say whether there is time, and lines are to be written."""
        if self._lines is not None and len(self.written) >= self._lines:
            return False
        if self._until is None:  # only now the follower is at work
            self._until = self.clock.now() + self._seconds
        return self.clock.now() < self._until

    def some(self) -> int:
        """Return a number of lines to write."""
        return self.rng.randint(1, MAX_WRITE)

    def write(self, count: int, *, in_parts: bool = False) -> range:
        """Write lines, perhaps the last in two parts; return their numbers."""
        first = len(self.written) + 1
        numbers = range(first, first + max(0, count))
        data = b"".join(map(told.written, numbers))
        cut = self.rng.randint(1, 9) if in_parts else 0
        self._writer.write(data[: len(data) - cut])
        self._writer.write(data[len(data) - cut :] if cut else b"")
        self.written.update(numbers)
        self._untold.update(numbers)
        return numbers

    def reopen(self) -> None:
        """Go on in the file that has the name now; make it if none has."""
        self.close()
        self._writer = self.log.open("ab", buffering=0)

    def pause(self, most_s: float = PAUSE_S) -> None:
        """Leave the processor to others, for so long at most."""
        time.sleep(self.rng.uniform(0, most_s))

    def start(self) -> None:
        """Start the follower; return when it is at work."""
        self._follower = _Follower(self.log, self._store)
        self._follower.wait(self._untold, ())

    def stop(self) -> None:
        """Kill the follower, in the midst of whatever it does."""
        if self._follower is not None:
            self._follower.kill()
            self._follower = None

    def wait_until_told(self) -> None:
        """Wait for every line that can be told, as long as some are coming."""
        assert self._follower is not None, "somebody must follow"
        self._follower.wait(self._untold, self.nowhere)

    # ---- for the account -----------------------------------------------------------

    def close(self) -> None:
        """Close the log."""
        self._writer.close()

    def result(self, case: str) -> Result:
        """Wait for the last line, and count."""
        self.wait_until_told()
        self.stop()
        store = told.open_store(self._store, _complain)
        lines = told.told(store)
        store.close()
        return Result(
            case=case,
            written=len(self.written),
            lost=len(self.written - self.nowhere - set(lines)),
            repeated=len(lines) - len(set(lines)),
            floor=len(self.nowhere),
        )


class _Follower:
    """The process; it says which lines it was told of."""

    def __init__(self, log: Path, store: Path) -> None:
        command = [sys.executable, "-m", "peep.lab.told", str(log), str(store)]
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            command, stdout=subprocess.PIPE, text=True
        )
        self._news: queue.Queue[list[int] | None] = queue.Queue()
        self._is_at_work = False
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def wait(self, untold: set[int], nowhere: Collection[int]) -> None:
        """Wait until no line is untold but those; or no news has come for long."""
        while untold.difference(nowhere) or not self._is_at_work:
            try:
                news = self._news.get(timeout=PATIENCE_S)
            except queue.Empty:
                return
            if news is None:
                raise PeepError("the follower of the torture has ended")
            self._is_at_work = True
            untold.difference_update(news)

    def kill(self) -> None:
        """End it without warning."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None, "it is a pipe"
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        for line in self._process.stdout:
            self._news.put([int(number) for number in line.split()])
        self._news.put(None)


def _complain(what: str) -> None:
    raise PeepError(f"torture: {what}")
