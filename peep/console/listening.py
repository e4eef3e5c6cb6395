"""Hearing a server from afar, in a terminal: what `peep listen` runs.

A thread takes packets from the server's WebSocket, tries again for ever when it is cut
off, and the sound card pulls blocks of them. When nothing has come for a while, an
alarm of its own sounds here: a dead monitor must not sound like a calm night.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from peep.console.jitter import Jitter
from peep.errors import PeepError
from peep.sound.engine import BLOCK_FRAMES, CHANNELS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from peep.clock import Clock

STALL_S: Final = 2.5  # without a packet; with the alarm's period, well within 5 s
ALARM_EVERY_S: Final = 4.0
RETRY_S: Final = 1.0
_OPEN_S: Final = 3.0  # for a server to answer
_PACKET_BYTES: Final = 16 * 1024
_DEFAULT_PORT: Final = 2080
_FORBIDDEN: Final = 403
_NOTES_HZ: Final = (880.0, 740.0, 587.0)  # falling: no theme has them


def listen_url(text: str) -> tuple[str, str | None]:
    """Return the WebSocket's address, and the token, of an address as people write it.

    Raises PeepError for what is none.
    """
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        number = parts.port
    except ValueError:
        number = 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or number == 0:
        raise PeepError(f"{text!r} is no address; write http://HOST:2080/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    scheme = "wss" if parts.scheme == "https" else "ws"
    port = "" if scheme == "wss" and number is None else f":{number or _DEFAULT_PORT}"
    token = parse_qs(parts.query).get("token", [None])[0]
    return f"{scheme}://{host}{port}/listen", token


class Listening:
    """A Feed (sound/timed.py): whoever pulls it hears the server, or the alarm.

    `heard` says whether there was ever any sound.
    """

    def __init__(
        self,
        address: str,
        *,
        clock: Clock,
        say: Callable[[str], None],
        ring: Callable[[], None],
    ) -> None:
        """Read the address; PeepError if it is none. `ring` rings a bell besides."""
        self.underruns = 0
        self.failure: str | None = None
        self._url, token = listen_url(address)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._clock = clock
        self._say = say
        self._ring = ring
        self._jitter = Jitter()
        self._over = threading.Event()
        self._heard_at = clock.now()
        self._alarm_at = float("-inf")
        self._alarm = np.zeros((0, CHANNELS), np.float32)
        self._troubled = False
        self.heard = False
        self._why = "nothing came"
        self._thread = threading.Thread(target=self._take_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hear no more."""
        self._over.set()

    def over(self, wait_s: float = 0.0) -> bool:
        """Say whether it was stopped, waiting up to a while for that."""
        return self._over.wait(wait_s) if wait_s else self._over.is_set()

    def pull(self) -> NDArray[np.float32]:
        """Return the next block, shape (256, 2)."""
        now = self._clock.now()
        silent = now - self._heard_at > STALL_S
        if silent != self._troubled:
            self._troubled = silent
            where = self._url.removesuffix("/listen").partition("://")[2]
            self._say(
                f"no sound from {where}: {self._why}"
                if silent
                else f"the sound of {where} is there"
            )
        block = self._jitter.block()
        if silent and now - self._alarm_at >= ALARM_EVERY_S:
            self._alarm_at = now
            self._alarm = alarm()
            self._ring()
        count = min(len(self._alarm), BLOCK_FRAMES)
        block[:count] += self._alarm[:count]
        self._alarm = self._alarm[count:]
        return block

    def _take_on(self) -> None:
        while not self._over.is_set():
            try:
                self._take()
                self._why = "the server closed the connection"
            except InvalidStatus as refused:
                if refused.response.status_code == _FORBIDDEN:
                    self._why = "not let in: give the address with its token"
                else:
                    self._why = f"the server said {refused.response.status_code}"
            except (TimeoutError, EOFError):
                self._why = "the server does not answer"
            except (InvalidHandshake, WebSocketException, ValueError):
                self._why = "what answers there is no Peep"
            except OSError as problem:
                self._why = problem.strerror or "the server cannot be reached"
            self._over.wait(RETRY_S)

    def _take(self) -> None:
        with connect(
            self._url,
            additional_headers=self._headers,
            open_timeout=_OPEN_S,
            close_timeout=0.1,
            compression=None,
            max_size=_PACKET_BYTES,
            proxy=None,
        ) as socket:
            while not self._over.is_set():
                packet = socket.recv(timeout=STALL_S)
                if isinstance(packet, bytes):
                    self._jitter.put(packet)
                    self._heard_at = self._clock.now()
                    self.heard = True


def alarm() -> NDArray[np.float32]:
    """Return the alarm: three falling notes, shape (n, 2), some -14 dBFS."""
    t_s = np.arange(round(0.4 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swell = np.minimum(t_s / 0.02, 1.0) * np.exp(-np.maximum(t_s - 0.16, 0) / 0.03)
    step = round(0.28 * SAMPLE_RATE_HZ)
    made = np.zeros(step * (len(_NOTES_HZ) - 1) + len(t_s))
    for n, hz in enumerate(_NOTES_HZ):
        wave = np.sin(2 * np.pi * hz * t_s) + 0.1 * np.sin(6 * np.pi * hz * t_s)
        made[n * step : n * step + len(t_s)] += 0.2 * swell * wave
    return np.repeat(made[:, np.newaxis], CHANNELS, axis=1).astype(np.float32)
