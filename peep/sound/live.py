"""The live engine: a process of its own that sounds, and a socket to it.

Nothing here waits, but for `start` (until the sounds are made) and `stop` (a second at
most). If the process dies or its output fails, `failure()` says so; to sound again,
make another engine: supervised.py does. What outlives a sound process (the ring, and
the samples that were made) is in a `Lasting`.
"""

import contextlib
import importlib.util
import itertools
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from peep.clock import Clock, SystemClock
from peep.errors import EngineError
from peep.mixer.commands import Command, Play
from peep.sound import link
from peep.sound.engine import Gap, Meters
from peep.sound.hurry import hurry
from peep.sound.kept import has_kept, make_keeper
from peep.sound.outputs import parse_output
from peep.sound.ring import Ring, make_ring
from peep.theme import SoundBank, Theme

START_TIMEOUT_S = 20.0  # a large theme takes a few seconds on a small machine
STOP_TIMEOUT_S = 1.0
REFUSAL_TIMEOUT_S = 0.3  # for a process that said why, and goes by itself
SILENT_S = 2.0  # the process reports ten times a second
MAX_OUTBOX = 1024  # commands; a second of the worst storm


class Lasting:
    """What one sound process leaves to the next: the ring, and the samples."""

    def __init__(self) -> None:
        self.ring = make_ring()
        self.keeper = make_keeper()

        self._held = True

    def close(self) -> None:
        """Let go of both; may be called twice."""
        if self._held:
            self._held = False
            self.ring.close()
            os.close(self.keeper)


class LiveEngine:
    """Implements Engine. `note` is a line for the operator, from `start` on.

    `frames` is the audio time as last reported; `dropped` counts commands for which
    there was no room, `ignored` those that named nothing known.
    """

    def __init__(
        self,
        theme: Theme,
        directory: Path,
        output: str,
        seed: int,
        *,
        clock: Clock | None = None,
        lasting: Lasting | None = None,
    ) -> None:
        """Play a theme, whose files lie in a directory, on an output (outputs.py)."""
        parse_output(output)
        self._owns = lasting is None
        self._lasting = lasting or Lasting()
        self.ring: Ring | None = self._lasting.ring
        self.note: str | None = None
        self.dropped = 0
        self.ignored = 0
        self._setup = link.Setup(
            theme=theme, directory=str(directory), output=output, seed=seed
        )
        self._clock = clock or SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket, self._theirs = link.pair()
        self._outbox: deque[Command] = deque()
        self._meters = Meters()
        self._failure: str | None = None
        self._heard_at = 0.0
        self._ended = False

    def start(self) -> SoundBank:
        """Start the process, wait until it sounds. Raises EngineError, one line."""
        if self._process is not None or self._ended:
            raise EngineError("the sound engine was started twice")
        for package in ("pyo", "soundfile", "miniaudio"):
            if importlib.util.find_spec(package) is None:
                self._close()
                msg = f"sound needs {package}: pip install 'peep-auralizer[server]'"
                raise EngineError(msg)
        try:
            self._process = self._spawn()
            answer = self._handshake()
        except EngineError:
            self._end(self._clock.now() + REFUSAL_TIMEOUT_S)
            raise
        self._socket.setblocking(False)
        self.note = answer.note
        self._heard_at = self._clock.now()
        return answer.bank

    @property
    def frames(self) -> int:
        """Audio time: frames made, as last reported."""
        return self.meters().frames

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands for the next block; what finds no room is kept, then dropped.

        Raises EngineError unless started.
        """
        if self._process is None:
            raise EngineError("the sound engine is not running")
        self._outbox.extend(commands)
        self._flush()
        if len(self._outbox) > MAX_OUTBOX:
            self._make_room()

    def meters(self) -> Meters:
        """Return the latest reading, a tenth of a second old at most."""
        self._drain()
        return self._meters

    def failure(self) -> str | None:
        """Say in one line what is wrong with the sound, if anything is."""
        self._drain()
        if self._failure is None and self._process is not None:
            silent_s = self._clock.now() - self._heard_at
            if silent_s > SILENT_S:
                return f"the sound process has not answered for {silent_s:.0f} s"
        return self._failure

    def fileno(self) -> int:
        """Return the socket, readable when there is news for `meters`."""
        return self._socket.fileno()

    def ended(self) -> bool:
        """Say whether the process is gone by itself."""
        self._drain()
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """End the process at once, and let go of it."""
        if self._process is not None:
            self._process.kill()
        self._end(self._clock.now() + STOP_TIMEOUT_S)

    def look(self) -> Gap | None:
        """Return nothing: it is never made anew."""
        return None

    def stop(self) -> Meters:
        """Let the process finish, for a second at most; then kill it."""
        if self._process is None:
            self._close()
            return self._meters
        deadline = self._clock.now() + STOP_TIMEOUT_S
        self._flush()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while (left_s := deadline - self._clock.now()) > 0:
                self._socket.settimeout(left_s)
                packet = self._socket.recv(link.MAX_PACKET_BYTES)
                if not packet:
                    break
                self._hear(packet)
        if not self._end(deadline) and self._failure is None:
            self._failure = (
                "the sound process had to be killed: a file it wrote is incomplete"
            )
        return self._meters

    def _spawn(self) -> subprocess.Popen[bytes]:
        given = (self._theirs.fileno(), self._lasting.ring.fd, self._lasting.keeper)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "peep.sound.child", *map(str, given)],
                pass_fds=given,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        except OSError as error:
            msg = f"the sound process cannot be started: {error.strerror}"
            raise EngineError(msg) from error
        finally:
            self._theirs.close()
        if has_kept(self._lasting.keeper):
            # It takes over, and there is silence until it is ready, in half a second
            # of CPU. A first one makes the sounds, for longer than others should wait.
            hurry(process.pid)
        return process

    def _handshake(self) -> link.Ready:
        self._socket.settimeout(START_TIMEOUT_S)
        try:
            link.send_long(self._socket, self._setup)
            answer = link.receive_answer(self._socket)
        except TimeoutError as error:
            msg = f"the sound process was not ready within {START_TIMEOUT_S:g} s"
            raise EngineError(msg) from error
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise EngineError("the sound process died as it started") from error
        if isinstance(answer, link.Refused):
            raise EngineError(answer.message)
        return answer

    def _flush(self) -> None:
        while self._outbox:
            batch = list(itertools.islice(self._outbox, link.COMMANDS_PER_PACKET))
            if not link.post(self._socket, batch):
                return
            for _ in batch:
                self._outbox.popleft()

    def _make_room(self) -> None:
        """Drop the oldest one-shots: they are late; what is muted must stay muted."""
        plays = [one for one in self._outbox if isinstance(one, Play)]
        over = len(self._outbox) - MAX_OUTBOX
        late = set(map(id, plays[:over]))
        kept = [one for one in self._outbox if id(one) not in late]
        self.dropped += len(self._outbox) - min(len(kept), MAX_OUTBOX)
        self._outbox = deque(kept[-MAX_OUTBOX:])

    def _drain(self) -> None:
        """Hear all that the process has said since."""
        if self._process is None:
            return
        while packet := link.poll(self._socket):
            self._hear(packet)
        if packet == b"" and self._failure is None:
            # It may have closed the socket a moment before it is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
            self._failure = f"the sound process died{_how(self._process.returncode)}"
        self._flush()

    def _hear(self, packet: bytes) -> None:
        try:
            status = link.decode_status(packet)
        except msgspec.DecodeError:
            return  # stopped as it started: a part of the answer that `start` awaits
        self._heard_at = self._clock.now()
        self._meters = status.meters
        self._failure = status.failure
        self.ignored = status.ignored

    def _end(self, deadline: float) -> bool:
        """Wait for the process to end; False if it had to be killed."""
        process, self._process = self._process, None
        self._close()
        if process is None:
            return True
        try:
            process.wait(max(deadline - self._clock.now(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        return True

    def _close(self) -> None:
        if self._owns and not self._ended:
            self._lasting.close()
        self._ended = True
        self._socket.close()
        self._theirs.close()


def _environment() -> dict[str, str]:
    """Return the environment of the sound process."""
    return {
        **os.environ,
        # It must find the same Peep, wherever this process found it.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        # Threads for matrices this small only get in the way of the sound.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _how(returncode: int | None) -> str:
    if returncode is None:
        return ""
    return f" (signal {-returncode})" if returncode < 0 else f" (exit {returncode})"
