"""The sound process: `python -m peep.sound.child FD FD FD`, started by live.py only.

It is a process of its own because pyo holds the interpreter's lock for every block,
and Python that works beside it would tear gaps into the sound. It ends by itself as
soon as Peep's end of the socket is closed, so it outlives nobody.

Its descriptors are the socket, the ring that it writes what sounds into, and the file
that keeps the samples for the next sound process.
"""

import contextlib
import gc
import signal
import socket
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from peep.errors import EngineError
from peep.sound import kept, link
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.hurry import hurry
from peep.sound.master import Master
from peep.sound.outputs import open_output
from peep.sound.pyo_engine.graph import Graph
from peep.sound.ring import Ring
from peep.sound.samples import make_samples
from peep.sound.timed import Output

_STATUS_FRAMES = SAMPLE_RATE_HZ // 10
_PACKETS_PER_BLOCK = 64  # what is read before a block; the rest waits for the next
_ENDING_BLOCKS = 4  # the sound fades out over 21 ms instead of ending in a click


class Session:
    """Feeds an output: commands in, blocks out, and a status now and then."""

    def __init__(self, end: socket.socket, master: Master, ring: Ring) -> None:
        self.underruns = 0
        self.failure: str | None = None
        self._socket = end
        self._master = master
        self._ring = ring
        self._over = threading.Event()
        self._reported_at = 0
        self._ending: int | None = None

    def over(self, wait_s: float = 0.0) -> bool:
        """Say whether Peep wants no more, waiting up to a while for that."""
        return self._over.wait(wait_s) if wait_s else self._over.is_set()

    def pull(self) -> NDArray[np.float32]:
        """Take what Peep says and make the next block."""
        self._listen()
        block = self._master.block()
        if self._master.frames - self._reported_at >= _STATUS_FRAMES:
            self.report()
        if self._ending is not None:
            block = block * _fade(self._ending)
            self._ending += 1
            if self._ending >= _ENDING_BLOCKS:
                self._over.set()
        self._ring.write(block)
        return block

    def report(self) -> None:
        """Send a status, if there is room for one."""
        self._reported_at = self._master.frames
        meters = self._master.meters(self.underruns)
        link.post(self._socket, link.Status(meters, self.failure, self._master.ignored))

    def _listen(self) -> None:
        for _ in range(_PACKETS_PER_BLOCK):
            packet = link.poll(self._socket)
            if packet is None:
                return
            if not packet:
                self._ending = self._ending or 0
                return
            self._master.apply(link.decode_commands(packet))


def _fade(block: int) -> NDArray[np.float32]:
    """Return the gains of one of the last blocks, shape (256, 1)."""
    frames = np.arange(BLOCK_FRAMES) + block * BLOCK_FRAMES
    gains = np.maximum(1 - frames / (_ENDING_BLOCKS * BLOCK_FRAMES), 0)
    return gains.astype(np.float32)[:, np.newaxis]


def serve(end: socket.socket, ring: Ring, keeper: int) -> None:
    """Play for whoever holds the other end, until it is closed."""
    try:
        setup = link.receive_setup(end)
    except (EOFError, OSError, msgspec.DecodeError):
        return  # Peep is gone already; there is no one to tell
    try:
        output = open_output(setup.output)
        session = _begin(end, setup, output, ring, keeper)
    except EngineError as error:
        _tell(end, link.Refused(str(error)))
        return
    try:
        output.run(session)
    finally:
        session.report()


def _begin(
    end: socket.socket, setup: link.Setup, output: Output, ring: Ring, keeper: int
) -> Session:
    samples = kept.kept(keeper)
    if samples is None:
        samples = make_samples(setup.theme, Path(setup.directory))
        kept.keep(keeper, samples)
    # Audio time goes on where the last sound process stopped.
    master = Master(Graph(setup.theme, samples, setup.seed), frames=ring.frames)
    # All of this stays: collecting it again and again would cost late blocks.
    gc.collect()
    gc.freeze()
    hurry()
    _tell(end, link.Ready(samples.bank, output.note))
    return Session(end, master, ring)


def _tell(end: socket.socket, message: link.Ready | link.Refused) -> None:
    with contextlib.suppress(OSError):  # nobody left to tell
        link.send_long(end, message)


def main() -> None:
    """Run the sound process on the descriptors whose numbers are the arguments."""
    # Peep ends it through the socket, so that a file is always finished: neither
    # Ctrl-C nor a service manager's signal to the whole group shall come first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_fd, ring_fd, keeper = map(int, sys.argv[1:])
    with socket.socket(fileno=end_fd) as end:
        serve(end, Ring(ring_fd), keeper)


if __name__ == "__main__":
    main()
