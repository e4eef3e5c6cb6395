"""A short store between a network that stumbles and a card that does not wait.

It begins to give when it holds 60 ms, and gives silence again when it runs out. More
than 200 ms behind is the past: it goes on with what sounds now. Neither makes a step:
what ends, ends in a fade of 3 ms, and what begins fades in.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from peep.sound.engine import BLOCK_FRAMES, CHANNELS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

WANTED_FRAMES: Final = SAMPLE_RATE_HZ * 60 // 1000
MOST_FRAMES: Final = SAMPLE_RATE_HZ * 200 // 1000
_FADE: Final = np.linspace(0, 1, 128, dtype=np.float32)[:, np.newaxis]
_HEADER_BYTES: Final = 8


class Jitter:
    """Packets in (tap.py says what they are), blocks of shape (256, 2) out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: deque[NDArray[np.float32]] = deque()
        self._held = 0
        self._playing = False

    def put(self, packet: bytes) -> None:
        """Take a packet in. Raises ValueError for what is none."""
        pcm = np.frombuffer(packet, "<i2", offset=_HEADER_BYTES)
        part = pcm.reshape(-1, CHANNELS).astype(np.float32) / np.float32(32_768)
        with self._lock:
            self._parts.append(part)
            self._held += len(part)
            if self._held > MOST_FRAMES:
                self._skip()

    def block(self) -> NDArray[np.float32]:
        """Return the next block; silence while there is none."""
        with self._lock:
            begins = not self._playing and self._held >= WANTED_FRAMES
            self._playing = self._playing or begins
            made = np.zeros((BLOCK_FRAMES, CHANNELS), np.float32)
            if not self._playing:
                return made
            filled = self._take(made)
            if begins:
                made[: len(_FADE)] *= _FADE
            if filled < BLOCK_FRAMES:
                self._playing = False
                end = made[max(0, filled - len(_FADE)) : filled]
                end *= _FADE[::-1][len(_FADE) - len(end) :]
            return made

    def _take(self, into: NDArray[np.float32]) -> int:
        filled = 0
        while self._parts and filled < len(into):
            part = self._parts.popleft()
            count = min(len(part), len(into) - filled)
            into[filled : filled + count] = part[:count]
            filled += count
            if count < len(part):
                self._parts.appendleft(part[count:])
        self._held -= filled
        return filled

    def _skip(self) -> None:
        """Go on with what came last, where the ear is led over."""
        parts = np.concatenate(self._parts)
        old, new = parts[: len(_FADE)], parts[-WANTED_FRAMES:].copy()
        new[: len(_FADE)] *= _FADE
        new[: len(_FADE)] += old * _FADE[::-1]
        self._parts = deque([new])
        self._held = len(new)
