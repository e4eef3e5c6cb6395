"""Whatever happens to a log, each of its lines is told once, in its file's order."""

import contextlib
import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from peep import loglines
from peep.agent.sources.follow import MAX_OUTGOING, OUTGOING_S, Follower

PIECES = st.lists(st.integers(0, 90), min_size=1, max_size=4)


class RotatedLog(RuleBasedStateMachine):
    """A log that is written, renamed, deleted, moved, truncated and looked at.

    A line says of which file it is and which line there; the model only counts. Left
    out is what a follower cannot know: a file that came and went between two looks,
    and words written into a file after it was let go. What cannot be done is not done.
    """

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.log = Path(self.directory.name) / "app.log"
        self.max_lines, loglines.MAX_LINES = loglines.MAX_LINES, 3
        self.follower = Follower(str(self.log), from_start=True)
        self.now = 0.0
        self.counts = []  # of each file, how many lines it has
        self.told = []
        self.writers = {}
        self.here = None  # the file that has the name
        self.seen = False  # whether somebody has looked at it
        self.renamed = []  # files without the name, oldest first; held yet

    def teardown(self):
        self.look()
        assert self.follower.close(0.0) == []
        loglines.MAX_LINES = self.max_lines
        for writer in self.writers.values():
            writer.close()
        self.directory.cleanup()
        for number, count in enumerate(self.counts):
            ours = [line for of, line in self.told if of == number]
            assert ours == list(range(count))

    @rule()
    def create(self):
        if self.here is None:
            self.here = len(self.counts)
            self.counts.append(0)
            self.writers[self.here] = self.log.open("ab", buffering=0)
            self.seen = False

    @rule(pieces=PIECES, cut=st.integers(0, 40), which=st.integers(0, MAX_OUTGOING))
    def write(self, pieces, cut, which):
        """Write lines to any file that has a writer, the last in two parts."""
        self.create()
        number = sorted(self.writers, reverse=True)[which % len(self.writers)]
        out = b""
        for piece in pieces:
            out += f"{number} {self.counts[number]} {'x' * piece}\n".encode()
            self.counts[number] += 1
        self.writers[number].write(out[: len(out) - cut])
        if cut:
            self.look()
            self.writers[number].write(out[len(out) - cut :])

    @rule(delete=st.booleans(), create=st.booleans())
    def take_away(self, delete, create):
        if self.here is None or not self.seen:
            return
        if delete:
            self.log.unlink()
        else:
            self.log.rename(f"{self.log}.{self.here}")
        self.renamed.append(self.here)
        self.here = None
        self.leave_all_but(MAX_OUTGOING)
        if create:
            self.create()

    @rule(times=st.integers(1, MAX_OUTGOING + 2))
    def take_away_often(self, times):
        for _ in range(times):
            self.look()
            self.take_away(delete=False, create=True)

    @rule(look=st.booleans(), pieces=PIECES)
    def move_away_and_back(self, look, pieces):
        self.look()
        if self.here is None:
            return
        self.leave_all_but(MAX_OUTGOING - 1)
        away = Path(f"{self.log}.away")
        self.log.rename(away)
        if look:
            self.look()
        self.write(pieces, cut=0, which=0)  # into this file: it is the newest
        away.rename(self.log)

    @rule()
    def truncate(self):
        self.look()
        if self.here is not None:
            os.truncate(self.log, 0)

    @rule()
    def look(self):
        while batch := self.follower.read(self.now, 0.0):
            for line in batch.lines:
                of, number, _ = line.text.split(b" ")
                self.told.append((int(of), int(number)))
        self.seen = True

    @rule()
    def time_passes(self):
        """Every writer has reopened its log by now."""
        self.look()
        self.leave_all_but(0)
        self.now += OUTGOING_S
        self.look()
        assert len(self.held()) == (self.here is not None) + len(self.writers)

    def leave_all_but(self, count):
        """The writers of all other renamed files reopen their log."""
        while len(self.renamed) > count:
            number = self.renamed.pop(0)
            self.writers.pop(number).close()

    def held(self):
        found = []
        for entry in os.scandir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(str(Path(entry.path).readlink()))
        return [name for name in found if name.startswith(str(self.log))]

    @invariant()
    def few_files_are_held(self):
        assert len(self.held()) - len(self.writers) <= MAX_OUTGOING + 1


RotatedLog.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None
)
TestAnyOrder = RotatedLog.TestCase
