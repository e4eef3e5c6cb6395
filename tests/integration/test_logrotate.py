"""The real logrotate, and a writer that is told late to reopen its log."""

import shutil
import subprocess

import pytest

from peep.agent.sources.follow import Follower

LOGROTATE = shutil.which("logrotate") or shutil.which("/usr/sbin/logrotate")
pytestmark = pytest.mark.skipif(not LOGROTATE, reason="logrotate is not installed")

WRITTEN = [f"line {number}".encode() for number in range(400)]


class Rotated:
    """A log, its follower, and logrotate with the options of a test."""

    def __init__(self, directory, *options):
        self.log = directory / "app.log"
        self.log.touch()
        # It refuses directories that others may write to, and files that they may.
        directory.chmod(0o755)
        self.conf = directory / "logrotate.conf"
        lines = ["rotate 20", *options]
        self.conf.write_text(f"{self.log} {{\n" + "\n".join(lines) + "\n}\n")
        self.conf.chmod(0o644)
        self.state = directory / "state"
        self.follower = Follower(str(self.log), from_start=True)
        self.told = []
        self.now = 0.0

    def rotate(self):
        subprocess.run(
            [LOGROTATE, "--force", "--state", self.state, self.conf],
            check=True,
            capture_output=True,
            timeout=15,
        )

    def look(self):
        self.now += 0.1
        while batch := self.follower.read(self.now, 0.0):
            self.told += [line.text for line in batch.lines]


@pytest.mark.parametrize(
    "options",
    [("create",), ("create", "compress", "delaycompress"), ("nocreate", "dateext")],
    ids=" ".join,
)
def test_every_line_comes_once_though_the_writer_reopens_late(tmp_path, options):
    rotated = Rotated(tmp_path, *options)
    writer = rotated.log.open("ab", buffering=0)
    for number, line in enumerate(WRITTEN):
        writer.write(line + b"\n")
        if number % 3 == 0:
            rotated.look()
        if number % 100 == 50 and number < 300 - 200 * ("dateext" in options):
            rotated.rotate()
        elif number % 100 == 70:  # it kept the old file for a while
            rotated.look()
            writer.close()
            writer = rotated.log.open("ab", buffering=0)
    rotated.look()
    writer.close()
    rotated.follower.close(0.0)
    assert rotated.told == WRITTEN
    assert list(tmp_path.glob("app.log[.-]*"))


def test_compression_of_the_old_file_at_once_loses_nothing_that_was_read(tmp_path):
    rotated = Rotated(tmp_path, "create", "compress")
    rotated.look()
    for half in (WRITTEN[:200], WRITTEN[200:]):
        with rotated.log.open("ab") as writer:
            writer.writelines(line + b"\n" for line in half)
        rotated.rotate()
        rotated.look()
    rotated.follower.close(0.0)
    assert rotated.told == WRITTEN
    assert list(tmp_path.glob("app.log.*.gz"))


def test_copytruncate_with_a_look_before_it_loses_and_repeats_nothing(tmp_path):
    rotated = Rotated(tmp_path, "copytruncate")
    with rotated.log.open("ab", buffering=0) as writer:
        for number, line in enumerate(WRITTEN):
            writer.write(line + b"\n")
            if number % 100 == 50:
                rotated.look()
                rotated.rotate()
    rotated.look()
    rotated.follower.close(0.0)
    assert rotated.told == WRITTEN
