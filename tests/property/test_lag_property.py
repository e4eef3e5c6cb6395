"""Whoever falls behind tells or counts each line: none twice, and none in silence."""

import gzip
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from peep import loglines
from peep.agent.sources import held
from peep.agent.sources.follow import Follower

LAG_MAX = 4096
KEPT = 12  # older generations


class FloodedLog(RuleBasedStateMachine):
    """A log that is written faster than it is read, and rotated meanwhile.

    Whoever follows it keeps the lines of a batch together with its marks and with the
    count of what was passed over, and may be killed between any two batches. No two
    changes come within one tick of the file system's clock.
    """

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.log = Path(self.directory.name) / "app.log"
        self.tick = 1
        self.make()
        self.count = 0
        self.half = b""
        self.generations = 0
        self.told = []
        self.skipped = 0
        self.marks = {}
        self.now = 0.0
        self.blocks = held.BLOCK_BYTES, held.PASSED_BLOCK_BYTES
        held.BLOCK_BYTES, held.PASSED_BLOCK_BYTES = 1500, 2500
        self.max_lines, loglines.MAX_LINES = loglines.MAX_LINES, 20
        self.begin()
        self.look()

    def teardown(self):
        self.append(self.half)
        self.look()
        self.follower.close(0.0)
        held.BLOCK_BYTES, held.PASSED_BLOCK_BYTES = self.blocks
        loglines.MAX_LINES = self.max_lines
        self.directory.cleanup()
        assert len(set(self.told)) == len(self.told)
        assert len(self.told) + self.skipped == self.count

    def begin(self):
        self.follower = Follower(
            str(self.log), marks=tuple(self.marks.values()), lag_max_bytes=LAG_MAX
        )

    def read(self):
        batch = self.follower.read(self.now, 0.0)
        if batch is None:
            return False
        self.told += [int(line.text.split()[0]) for line in batch.lines]
        if batch.skipped is not None:
            assert batch.skipped.all_counted
            self.skipped += batch.skipped.lines
        self.marks |= {mark.origin: mark for mark in batch.marks}
        for origin in batch.done:
            self.marks.pop(origin, None)
        return True

    def append(self, data):
        with self.log.open("ab") as file:
            file.write(data)
        self.stamp(self.log)

    def make(self):
        self.log.touch()
        self.stamp(self.log)

    def stamp(self, path):
        self.tick += 1
        os.utime(path, (self.tick, self.tick))

    def line(self):
        self.count += 1
        pad = "x" * (self.count * 37 % 120)
        return f"{self.count - 1} {pad} {self.count - 1}\n".encode()

    @rule(lines=st.integers(1, 150), cut=st.integers(0, 9))
    def write(self, lines, cut):
        self.append(self.half)
        out = b"".join(self.line() for _ in range(lines))
        self.append(out[: len(out) - cut])
        self.half = out[len(out) - cut :]

    def shift(self):
        self.append(self.half)
        self.half = b""
        self.generations += 1
        for number in range(KEPT, 0, -1):
            for packed in ("", ".gz"):
                old = Path(f"{self.log}.{number}{packed}")
                if old.exists():
                    old.rename(f"{self.log}.{number + 1}{packed}")

    @rule()
    def rename(self):
        if self.generations < KEPT:
            self.shift()
            self.log.rename(f"{self.log}.1")
            self.make()

    @rule()
    def copytruncate(self):
        if self.generations == KEPT:
            return
        self.shift()
        shutil.copyfile(self.log, f"{self.log}.1")
        self.stamp(f"{self.log}.1")
        os.truncate(self.log, 0)
        self.stamp(self.log)

    @rule(number=st.integers(1, 3))
    def pack(self, number):
        old = Path(f"{self.log}.{number}")
        if old.exists():
            status = old.stat()
            packed = Path(f"{old}.gz")
            packed.write_bytes(gzip.compress(old.read_bytes()))
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            old.unlink()

    @rule(batches=st.integers(0, 9))
    def look_a_little(self, batches):
        for _ in range(batches):
            self.read()

    @rule(batches=st.integers(0, 9))
    def kill(self, batches):
        self.look_a_little(batches)
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


FloodedLog.TestCase.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None
)
TestFlooded = FloodedLog.TestCase
