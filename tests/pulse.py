"""Private PulseAudio daemons with a sink that plays nowhere, and what it is given."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time

import numpy as np

NULL_SINK = (
    "module-null-sink sink_name=peep rate=48000 channels=2 format=float32le"
    " norewinds=1"  # else every new stream stalls for 1.6 s
)
PATIENCE_S = 10.0


def missing():
    """Say what keeps a daemon from being started, if anything does."""
    there = shutil.which("pulseaudio") and shutil.which("parec")
    return None if there else "pulseaudio is not installed"


class Pulse:
    """Daemons in a directory of their own; `env` lets programs find them."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="pulse-")
        self.env = {"XDG_RUNTIME_DIR": self.directory, "HOME": self.directory}
        self._daemons = []

    def start(self):
        """Start a daemon, wait until it answers, and return its process."""
        env = {k: v for k, v in os.environ.items() if k != "PULSE_SERVER"} | self.env
        daemon = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--disable-shm=yes",
                "-L",
                "module-native-protocol-unix",
                "-L",
                NULL_SINK,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
        )
        self._daemons.append(daemon)
        deadline = time.monotonic() + PATIENCE_S
        while subprocess.run(
            ["pactl", "info"], capture_output=True, check=False, env=env
        ).returncode:
            assert time.monotonic() < deadline, "pulseaudio does not answer"
        # All the sound goes through a thread of it that has no priority: what is tested
        # is not how it fares while other tests keep the processors busy.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(daemon.pid, os.SCHED_FIFO, os.sched_param(5))
        return daemon

    def asked(self, what):
        """Return what `pactl list` says of sinks, sink-inputs and so on."""
        env = {k: v for k, v in os.environ.items() if k != "PULSE_SERVER"} | self.env
        words = ["pactl", "list", what]
        return subprocess.run(
            words, capture_output=True, text=True, check=True, env=env
        ).stdout

    def record(self, take=None):
        """Return a recorder of what the sink is given; if `take` is, it gets that."""
        env = {k: v for k, v in os.environ.items() if k != "PULSE_SERVER"} | self.env
        return Recorder(env, take)

    def close(self):
        for daemon in self._daemons:
            daemon.kill()
            daemon.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Recorder:
    """Records until `stop`; `began` is when its first sample was given to it."""

    def __init__(self, env, take=None):
        self._process = subprocess.Popen(
            [
                "parec",
                "-d",
                "peep.monitor",
                "--format=float32le",
                "--rate=48000",
                "--channels=2",
                "--raw",
                "--latency-msec=10",
            ],
            stdout=subprocess.PIPE,
            env=env,
        )
        self._parts = []
        self._take = take or self._keep
        self.arrivals = []  # (time.monotonic(), frames so far)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while part := os.read(self._process.stdout.fileno(), 65_536):
            self._take(part)

    def _keep(self, part):
        before = self.arrivals[-1][1] if self.arrivals else 0
        self.arrivals.append((time.monotonic(), before + len(part) // 8))
        self._parts.append(part)

    @property
    def frames(self):
        return self.arrivals[-1][1] if self.arrivals else 0

    @property
    def began(self):
        """When, by the quickest arrival, the first frame was recorded."""
        return min(at - frames / 48_000 for at, frames in list(self.arrivals))

    def stop(self):
        """End it; return what was recorded, shape (n, 2)."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        self._process.stdout.close()
        data = b"".join(self._parts)
        return np.frombuffer(data[: len(data) // 8 * 8], np.float32).reshape(-1, 2)
