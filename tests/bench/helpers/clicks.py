"""What a sound card's way takes by itself: a click, asked for at a known time.

    python clicks.py WAV COUNT

A process of its own, with nothing in it but the card, opened as Peep opens it. For each
click it says when it asked for it (seconds of the monotonic clock).
"""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np
import soundfile

from peep.sound.device import open_card
from peep.sound.engine import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Generator

SETTLING_S = 2.0


class Player:
    """Plays silence, and the click once after each time that it is asked for."""

    def __init__(self, click: np.ndarray) -> None:
        self._click = np.repeat(click[:, np.newaxis], CHANNELS, axis=1)
        self._rest = self._click[:0]
        self.wanted = False

    def blocks(self) -> Generator[bytes, int, None]:
        """Return what miniaudio pulls."""
        wanted = yield b""
        while True:
            if self.wanted:
                self.wanted, self._rest = False, self._click
            out = np.zeros((wanted, CHANNELS), np.float32)
            now, self._rest = self._rest[:wanted], self._rest[wanted:]
            out[: len(now)] = now
            wanted = yield out.tobytes()


def main() -> None:
    """Click so often, at uneven times."""
    click, _ = soundfile.read(sys.argv[1], dtype="float32")
    rng = random.Random(1)
    player, pause = Player(click), threading.Event()
    card = open_card("")
    blocks = player.blocks()
    next(blocks)
    card.start(blocks)
    pause.wait(SETTLING_S)
    for _ in range(int(sys.argv[2])):
        pause.wait(rng.uniform(0.3, 0.6))
        sys.stdout.write(f"{time.monotonic()}\n")
        player.wanted = True
    pause.wait(1.0)
    card.close()


if __name__ == "__main__":
    main()
