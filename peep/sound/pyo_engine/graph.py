"""The graph: every voice, beat and layer, built once and then only set and triggered.

After boot no pyo object is made and no pyo arithmetic done, for both leak. Commands
act at the beginning of the next block of 256 frames; beats are timed by counting
frames. What sounds is a function of the theme, the samples, the seed and the commands
with their blocks, bit for bit on one machine.
"""

import math
import random
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyo
from numpy.typing import NDArray

from peep.errors import EngineError
from peep.mixer.commands import BEATS, VOICES, Beat, Command, Level, Play
from peep.signals import GAIN_RANGE_DB
from peep.sound.engine import BLOCK_FRAMES, CHANNELS
from peep.sound.pyo_engine.beats import Rhythm
from peep.sound.pyo_engine.layer import Layer
from peep.sound.pyo_engine.layers import RECIPES
from peep.sound.pyo_engine.server import boot
from peep.sound.pyo_engine.voices import Gains, Voice
from peep.theme import Theme


class HasArrays(Protocol):
    """What the graph needs of the samples made of a theme."""

    @property
    def arrays(self) -> Mapping[tuple[str, int], NDArray[np.float32]]:
        """(sound, variant) → mono samples at 48 kHz."""


class Graph:
    """Makes one block after another of what it is told to sound.

    Building a graph ends every graph built before it in this process.
    """

    def __init__(self, theme: Theme, samples: HasArrays, seed: int) -> None:
        """Build everything. Raises EngineError where a layer's recipe is unknown."""
        self.frame = 0
        self.ignored = 0
        self._server, self._view = boot(_positive(seed))
        self._silence = np.zeros((BLOCK_FRAMES, CHANNELS), np.float32)
        self._tables: dict[str, dict[int, pyo.DataTable]] = {}
        for (sound, variant), array in samples.arrays.items():
            self._tables.setdefault(sound, {})[variant] = _table(array)
        nothing = _table(np.zeros(BLOCK_FRAMES, np.float32))
        self._voices = [Voice(nothing) for _ in range(VOICES + 1)]  # and the pulse
        rng = random.Random(seed)  # noqa: S311 - shades of a sound, no secrets
        self._beats = [
            (Rhythm(random.Random(rng.getrandbits(64))), Voice(nothing))  # noqa: S311
            for _ in range(BEATS)
        ]
        self._layers: dict[str, Layer] = {}
        for name, spec in theme.layers.items():
            recipe = RECIPES.get(spec.recipe)
            if recipe is None:
                known = ", ".join(sorted(RECIPES))
                msg = f"layer {name}: no recipe {spec.recipe!r}; there are {known}"
                raise EngineError(msg)
            self._layers[name] = Layer(recipe, spec.gain_db, rng.getrandbits(32))
        self._sounding: dict[int, Voice] = {}

    def apply(self, command: Command) -> None:
        """Take a command, from the next block on; one that makes no sense is counted.

        Gains and pans beyond their range are brought back into it.
        """
        if isinstance(command, Play):
            done = self._play(command)
        elif isinstance(command, Level):
            done = self._level(command)
        else:
            done = self._beat(command)
        self.ignored += not done

    def block(self) -> NDArray[np.float32]:
        """Make the next block: shape (256, 2), good until the next call."""
        for rhythm, voice in self._beats:
            stroke = rhythm.due(self.frame)
            if stroke is not None:
                voice.play(*stroke, self.frame)
                self._sounding[id(voice)] = voice
        idle = [key for key, v in self._sounding.items() if not v.tick(self.frame)]
        for key in idle:
            del self._sounding[key]
        awake = [layer.tick(self.frame) for layer in self._layers.values()]
        self.frame += BLOCK_FRAMES
        if not self._sounding and not any(awake):
            return self._silence
        self._server.process()
        return self._view

    def _play(self, command: Play) -> bool:
        table = self._tables.get(command.sound, {}).get(command.variant)
        gains = _gains(command.gain_db, command.pan)
        if table is None or gains is None or not 0 <= command.voice <= VOICES:
            return False
        voice = self._voices[command.voice]
        voice.play(table, gains, self.frame)
        self._sounding[id(voice)] = voice
        return True

    def _level(self, command: Level) -> bool:
        layer = self._layers.get(command.layer)
        gains = _gains(command.gain_db, command.pan)
        value = 0.0 if command.value is None else command.value
        if layer is None or gains is None or not math.isfinite(value + command.fade_s):
            return False
        layer.set(command.value, gains, command.fade_s, self.frame)
        return True

    def _beat(self, command: Beat) -> bool:
        gains = _gains(command.gain_db, command.pan)
        tables = self._tables.get(command.sound)
        if not 0 <= command.beat < BEATS:
            return False
        rhythm, _ = self._beats[command.beat]
        if command.rate_hz == 0:
            rhythm.stop()
            return True
        if tables is None or gains is None or not 0 < command.rate_hz < math.inf:
            return False
        rhythm.set(list(tables.values()), gains, command.rate_hz, self.frame)
        return True


def _gains(gain_db: float, pan: float) -> Gains | None:
    """Return left and right gain, equal power; None for what is not a number."""
    if not math.isfinite(gain_db + pan):
        return None
    lowest, highest = GAIN_RANGE_DB
    gain = 10 ** (min(max(gain_db, lowest), highest) / 20)
    angle = (min(max(pan, -1.0), 1.0) + 1) * math.pi / 4
    return gain * math.cos(angle), gain * math.sin(angle)


def _positive(seed: int) -> int:
    # pyo takes 0 for "seed me by the clock", and no more than 31 bits
    return seed % (2**31 - 2) + 1


def _table(array: NDArray[np.float32]) -> pyo.DataTable:
    return pyo.DataTable(len(array), init=array.tolist())
