"""Real servers that can be listened to, and a listener that keeps what it hears."""

import contextlib
import socket
import threading
import time

import numpy as np
from homes import Home
from lives import Life, wait_until
from websockets.sync.client import connect


class Server:
    """A real server, and what it says."""

    def __init__(self, home, output="null", open_class="public", more=()):
        self.home = home
        self.number = free()
        self.class_name = f"page-{self.number}"
        # Sealed, or no text would travel.
        made = home.peep("key", "new", self.class_name)
        assert made.returncode == 0, made.stderr
        words = ("server", "--interfaces", "lo", "--output", output)
        words += ("--port", self.number, "--classes", f"{open_class},{self.class_name}")
        self.console = free(socket.SOCK_STREAM)
        words += ("--console", f"127.0.0.1:{self.console}", *more)
        self.life = Life(home.env, ["-m", "peep", *words])
        wait_until(lambda: self.life.has_said("hear it in a browser"), 20)
        self.url = f"http://127.0.0.1:{self.console}/"

    def emit(self, *words):
        where = ("-server", "127.0.0.1", "-port", self.number)
        done = self.home.peep("emit", *words, *where)
        assert done.returncode == 0, done.stderr


def free(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def serving():
    home = Home()
    made = Server(home)
    try:
        yield made
    finally:
        made.life.end(15)
        home.close()


@contextlib.contextmanager
def living(home, words):
    life = Life(home.env, ["-m", "peep", *words])
    try:
        yield life
    finally:
        life.end(15)


class Engine:
    """Hears what the engine made, as another listener; when it came is kept."""

    def __init__(self, server):
        url = server.url.replace("http", "ws") + "listen"
        self._held = contextlib.ExitStack()
        self._socket = self._held.enter_context(
            connect(url, compression=None, proxy=None)
        )
        self.packets = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for packet in self._socket:
            self.packets.append((time.monotonic(), packet))

    def stop(self):
        """Return the sound, shape (n, 2), and when its first frame was made."""
        self._held.close()
        self._thread.join()
        pcm = np.frombuffer(b"".join(p[8:] for _, p in self.packets), "<i2")
        first = int.from_bytes(self.packets[0][1][:8], "little")
        numbers = [int.from_bytes(p[:8], "little") - first for _, p in self.packets]
        assert np.all(np.diff(numbers) == 960), "the engine's sound has a gap"
        came = [at for at, _ in self.packets]
        began = min(
            at - (n + 960) / 48_000 for at, n in zip(came, numbers, strict=True)
        )
        return pcm.reshape(-1, 2) / 32_768, began
