"""Processes that are killed, and what they leave behind."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time


class Life:
    """One process of Python, and when it said what (Unix seconds)."""

    def __init__(self, env, words):
        self.process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.said = []
        self.undisturbed_until = self.ended = float("inf")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.said.append((time.time(), line.rstrip("\n")))

    def has_said(self, text):
        return any(text in line for _, line in self.said)

    def when(self, text):
        """Return when it first said this."""
        return next(at for at, line in self.said if text in line)

    def end(self, number):
        if self.ended == float("inf"):
            self.ended = time.time()
            self.undisturbed_until = min(self.undisturbed_until, self.ended)
            self.process.send_signal(number)
            self.process.wait(30)
            self._reader.join()
            self.process.stderr.close()


def wait_until(holds, seconds):
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        pause.wait(0.05)


def reading(database):
    return contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True))
