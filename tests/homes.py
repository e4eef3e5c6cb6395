"""A user's directories, and real processes in them."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# For servers of whose sound nothing is asked but that it is there: soon made.
FEW = f"--theme={Path(__file__).with_name('few')}"


class Home:
    """The directories of a user, and what runs in them."""

    def __init__(self):
        # Not tmp_path, whose name may be too long for a socket.
        self.directory = directory = Path(tempfile.mkdtemp(prefix="peep-"))
        self.config = directory / "config" / "peep"
        self.run = directory / "peep"
        self.env = {
            **os.environ,
            "HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory / "config"),
            "XDG_STATE_HOME": str(directory / "state"),
            "XDG_RUNTIME_DIR": str(directory),
        }
        self.running = []

    def start(self, program, *words):
        """Run a text of Python that says when it is ready, and ends with its input."""
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.env,
        )
        self.running.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    def peep(self, *words):
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "peep", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            env=self.env,
        )

    def close(self):
        for process in self.running:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        shutil.rmtree(self.directory)


def one_line(done, code):
    """Return the only line of a command that failed."""
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    return done.stderr.strip()
