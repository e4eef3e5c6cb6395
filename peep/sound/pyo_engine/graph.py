"""The graph: every voice, beat and layer, built once and then only set and triggered.

After boot no pyo object is made and no pyo arithmetic done, for both leak. Commands
act at the beginning of the next block of 256 frames; beats are timed by counting
frames. What sounds is a function of the theme, the samples, the seed and the commands
with their blocks, bit for bit on one machine.

What comes out is a stereo pair for each bus; buses.py makes one of them.
"""

import math
import random
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyo
from numpy.typing import NDArray

from peep.errors import EngineError
from peep.mixer.commands import BEATS, VOICES, Beat, Bus, Level, Play, Stop
from peep.signals import GAIN_RANGE_DB
from peep.sound.engine import BLOCK_FRAMES
from peep.sound.pyo_engine.beats import Rhythm
from peep.sound.pyo_engine.layer import Layer
from peep.sound.pyo_engine.layers import RECIPES
from peep.sound.pyo_engine.server import WIDTH, boot
from peep.sound.pyo_engine.tails import Tails
from peep.sound.pyo_engine.voices import Gains, Recording, Take, Voice
from peep.theme import Theme

_RATES = (0.5, 2.0)  # an octave either way: beyond, a sound is no longer itself


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
        self._server, self._view = boot(_positive(seed))
        self._still = np.zeros((BLOCK_FRAMES, WIDTH), np.float32)
        self._tails = Tails()
        self._recordings: dict[str, dict[int, Recording]] = {}
        for (sound, variant), array in samples.arrays.items():
            self._recordings.setdefault(sound, {})[variant] = _recording(array)
        nothing = _recording(np.zeros(BLOCK_FRAMES, np.float32))
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

    def apply(self, command: Play | Level | Beat | Stop) -> bool:
        """Take a command, from the next block on; False if it makes no sense.

        Gains, pans and rates beyond their range are brought back into it.
        """
        match command:
            case Play():
                return self._play(command)
            case Level():
                return self._level(command)
            case Beat():
                return self._beat(command)
            case Stop():
                return self._stop(command)

    def block(self) -> NDArray[np.float32]:
        """Make the next block: shape (256, WIDTH), good until the next call."""
        for rhythm, voice in self._beats:
            stroke = rhythm.due(self.frame)
            if stroke is not None:
                self._tails.add(voice.play(stroke, self.frame))
                self._sounding[id(voice)] = voice
        idle = [key for key, v in self._sounding.items() if not v.tick(self.frame)]
        for key in idle:
            del self._sounding[key]
        awake = [layer.tick(self.frame) for layer in self._layers.values()]
        self.frame += BLOCK_FRAMES
        if self._sounding or any(awake):
            self._server.process()
            block = self._view
        else:
            self._still[:] = 0.0
            block = self._still
        self._tails.mix(block)
        return block

    def _play(self, command: Play) -> bool:
        recording = self._recordings.get(command.sound, {}).get(command.variant)
        gains = _gains(command.gain_db, command.pan)
        if recording is None or gains is None or not 0 <= command.voice <= VOICES:
            return False
        if command.bus is Bus.MASTER or not math.isfinite(command.rate):
            return False
        rate = min(max(command.rate, _RATES[0]), _RATES[1])
        voice = self._voices[command.voice]
        take = Take(recording, gains, command.bus, rate)
        self._tails.add(voice.play(take, self.frame))
        self._sounding[id(voice)] = voice
        return True

    def _stop(self, command: Stop) -> bool:
        if not 0 <= command.voice <= VOICES:
            return False
        self._tails.add(self._voices[command.voice].stop(self.frame))
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
        recordings = self._recordings.get(command.sound)
        if not 0 <= command.beat < BEATS:
            return False
        rhythm, voice = self._beats[command.beat]
        if command.rate_hz == 0:
            rhythm.stop()
            self._tails.add(voice.stop(self.frame))  # a mute must silence it, too
            return True
        if recordings is None or gains is None or not 0 < command.rate_hz < math.inf:
            return False
        rhythm.set(list(recordings.values()), gains, command.rate_hz, self.frame)
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


def _recording(array: NDArray[np.float32]) -> Recording:
    # A copying reader would begin again before the end of the last block.
    table = pyo.DataTable(-(-len(array) // BLOCK_FRAMES) * BLOCK_FRAMES)
    # By no name: a view that outlives its table ends the process. A list takes longer.
    np.asarray(table.getBuffer())[: len(array)] = array
    return Recording(table, array)
