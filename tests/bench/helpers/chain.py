"""Peep's chain under a load of voices: CPU seconds, for mix.py.

python chain.py voices N SECONDS SHADED
python chain.py engine VOICES LAYERS SECONDS
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from peep.config.themes import load_theme
from peep.mixer.commands import Bus, Level
from peep.mixer.place import FIVE
from peep.sound.buses import Buses
from peep.sound.limiter import Limiter
from peep.sound.master import Master
from peep.sound.pyo_engine.graph import Graph, _gains, _recording
from peep.sound.pyo_engine.layers import RECIPES
from peep.sound.pyo_engine.server import boot
from peep.sound.pyo_engine.voices import Take, Voice
from peep.sound.ring import make_ring
from peep.sound.samples import make_samples
from peep.theme import LayerSpec

if TYPE_CHECKING:
    from collections.abc import Callable

RATE_HZ, BLOCK = 48_000, 256
TABLE_S = 3.0
LEVEL = 0.001


def table() -> np.ndarray:
    """Return what every voice reads: noise, so soft that hundreds need no limiter."""
    rng = np.random.default_rng(1)
    return (LEVEL * rng.standard_normal(round(TABLE_S * RATE_HZ))).astype(np.float32)


def rates(voices: int, *, shaded: bool = False) -> list[float]:
    """Return how fast each voice reads: as of hosts in five zones, or none as made."""
    shades = [zone.rate for zone in FIVE if not shaded or zone.rate != 1.0]
    return [shades[k % len(shades)] for k in range(voices)]


def pans(voices: int) -> list[float]:
    """Return where each voice is."""
    return [-1 + 2 * k / voices for k in range(voices)]


def sounding(voices: int, *, shaded: bool = False) -> list[Voice]:
    """Return voices that have begun, and begin again whenever they end."""
    data = _recording(table())
    made = [Voice(data) for _ in range(voices)]
    of_each = zip(made, rates(voices, shaded=shaded), pans(voices), strict=True)
    for voice, rate, pan in of_each:
        voice._shades.table.setLoop(1)
        voice.play(Take(data, _gains(-12.0, pan), Bus.EVENTS, rate), 0)
    return made


def timed(block: Callable[[], object], seconds: float) -> float:
    """Return the CPU seconds of so much sound."""
    for _ in range(100):
        block()
    begin = time.process_time()
    for _ in range(round(seconds * RATE_HZ / BLOCK)):
        block()
    return time.process_time() - begin


def run_voices(voices: int, seconds: float, *, shaded: bool) -> float:
    """Voices, buses, limiter and ring."""
    server, view = boot(1)
    made = sounding(voices, shaded=shaded)
    buses, limiter, ring = Buses(), Limiter(), make_ring()

    def block() -> None:
        server.process()
        ring.write(limiter.process(buses.mix(view)))

    used = timed(block, seconds)
    assert len(made) == voices
    return used


class _Always:
    """A voice that the graph never lets go of."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def tick(self, _frame: int) -> bool:
        self._voice.tick(0)
        return True


def run_engine(voices: int, layers: int, seconds: float) -> float:
    """All that the sound process does, with live layers."""
    if len(RECIPES) < layers:
        raise SystemExit(f"there are {len(RECIPES)} recipes of layers, not {layers}")
    theme, directory = load_theme("wetland")
    names = list(RECIPES)[:layers]
    theme = msgspec.structs.replace(
        theme, layers={name: LayerSpec(name=name, recipe=name) for name in names}
    )
    graph = Graph(theme, make_samples(theme, directory), 1)

    for number, voice in enumerate(sounding(voices)):
        # More than a mixer uses at a time.
        graph._sounding[-number - 1] = _Always(voice)
    master, ring = Master(graph), make_ring()
    master.apply([Level(name, 0.6, 0.0, 0.0, 0.1) for name in names])
    return timed(lambda: ring.write(master.block()), seconds)


def main() -> None:
    """Do a job, and say what it took."""
    job, first, second, third = sys.argv[1:]
    if job == "voices":
        used = run_voices(int(first), float(second), shaded=third == "shaded")
    else:
        used = run_engine(int(first), int(second), float(third))
    sys.stdout.write(f"{used}\n")


if __name__ == "__main__":
    main()
