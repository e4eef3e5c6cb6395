"""Rotation that nobody saw, and restarts: each line is told once all the same."""

import gzip
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from peep import loglines
from peep.agent.sources.follow import Follower

KEPT = 30


class NeglectedLog(RuleBasedStateMachine):
    """A log that is rotated as logrotate does, and seldom looked at.

    Whoever follows it keeps the lines of a batch together with its marks, and may be
    killed between any two batches. Left out: what was written between a copy and its
    truncation, and a generation that is deleted.
    """

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.log = Path(self.directory.name) / "app.log"
        self.log.touch()
        self.count = 0
        self.half = b""
        self.told = []
        self.marks = {}
        self.now = 0.0
        self.max_lines, loglines.MAX_LINES = loglines.MAX_LINES, 7
        self.begin()
        self.look()

    def teardown(self):
        self.end_line()
        self.look()
        self.follower.close(0.0)
        loglines.MAX_LINES = self.max_lines
        self.directory.cleanup()
        assert sorted(self.told) == list(range(self.count))

    def begin(self):
        self.follower = Follower(
            str(self.log), from_start=True, marks=tuple(self.marks.values())
        )

    def read(self):
        batch = self.follower.read(self.now, 0.0)
        if batch is None:
            return False
        self.told += [int(line.text.split()[0]) for line in batch.lines]
        self.marks |= {mark.origin: mark for mark in batch.marks}
        for origin in batch.done:
            self.marks.pop(origin, None)
        return True

    def append(self, data):
        with self.log.open("ab") as file:
            file.write(data)

    def end_line(self):
        self.append(self.half)
        self.half = b""

    def line(self):
        self.count += 1
        pad = "x" * (self.count * 37 % 120)
        return f"{self.count - 1} {pad} {self.count - 1}\n".encode()

    @rule(lines=st.integers(1, 30), cut=st.integers(0, 9))
    def write(self, lines, cut):
        self.end_line()
        out = b"".join(self.line() for _ in range(lines))
        self.append(out[: len(out) - cut])
        self.half = out[len(out) - cut :]

    def shift(self):
        self.end_line()
        for number in range(KEPT, 0, -1):
            for packed in ("", ".gz"):
                old = Path(f"{self.log}.{number}{packed}")
                if old.exists():
                    old.rename(f"{self.log}.{number + 1}{packed}")

    @rule()
    def rename(self):
        if not Path(f"{self.log}.{KEPT}").exists():
            self.shift()
            self.log.rename(f"{self.log}.1")
            self.log.touch()

    @rule()
    def copytruncate(self):
        if not Path(f"{self.log}.{KEPT}").exists():
            self.shift()
            shutil.copyfile(self.log, f"{self.log}.1")
            os.truncate(self.log, 0)

    @rule(number=st.integers(1, 4))
    def pack(self, number):
        old = Path(f"{self.log}.{number}")
        if old.exists():
            status = old.stat()
            packed = Path(f"{old}.gz")
            packed.write_bytes(gzip.compress(old.read_bytes()))
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            old.unlink()

    @rule(batches=st.integers(0, 4))
    def kill(self, batches):
        for _ in range(batches):
            self.read()
        self.follower.close(0.0)
        self.begin()

    @rule()
    def look(self):
        while self.read():
            pass

    @rule()
    def time_passes(self):
        self.look()
        self.now += 1000.0
        self.look()


NeglectedLog.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None
)
TestNeglected = NeglectedLog.TestCase
