"""A layer: a continuous sound that is synthesised live and follows a value.

A recipe (layers.py) builds its part of the graph once, out of objects it hands to
`Layer.keep`, and names for every quantity that follows the value what it is at 0, ¼,
½, ¾ and 1 (`Layer.control`). Setting a value then sets nothing but the ends of smooth
ramps. The loudness of each recipe was measured at those five values and made good by
`level_db`: 0.5 lies at about -36 LUFS, and 0 to 1 spans about 10 LU in equal steps.
Volume alone is a poor carrier of a state, so every recipe changes its texture too.

A layer that has faded to silence is stopped, and a stopped pyo object costs nothing.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pyo

from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.pyo_engine.voices import Gains

_VALUES = (0.0, 0.25, 0.5, 0.75, 1.0)
_SHORTEST_FADE_S = 0.03  # any shorter and a change of level clicks
_LONGEST_FADE_S = 600.0

Curve = tuple[float, float, float, float, float]
_Object = TypeVar("_Object", bound=pyo.PyoObject)


class Layer:
    """One layer: silent and stopped until it is given a value."""

    def __init__(self, recipe: "Recipe", gain_db: float, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._gain = 10 ** (gain_db / 20)
        self._level_db = recipe.level_db
        self._objects: list[pyo.PyoObject] = []
        self._controls: list[tuple[pyo.SigTo, Curve]] = []
        self._sides = self.keep(pyo.SigTo([0.0, 0.0], time=_SHORTEST_FADE_S))
        source = recipe.build(self)
        self._out = self.keep(pyo.Sig(source, mul=self._sides))
        self._rests_at: int | None = None
        self._rest()

    def keep(self, thing: _Object) -> _Object:
        """Hold on to an object that is to be stopped and started with the layer."""
        self._objects.append(thing)
        return thing

    def control(self, curve: Curve) -> pyo.SigTo:
        """Return a signal that follows the value along a curve."""
        control = self.keep(pyo.SigTo(curve[2], time=_SHORTEST_FADE_S))
        self._controls.append((control, curve))
        return control

    def set(self, value: float | None, gains: Gains, fade_s: float, frame: int) -> None:
        """Go to a value (0…1), or to silence, within `fade_s`."""
        fade_s = min(max(fade_s, _SHORTEST_FADE_S), _LONGEST_FADE_S)
        if value is None:
            self._fall_silent(fade_s, frame)
            return
        value = min(max(value, 0.0), 1.0)
        if not self._awake:
            self._wake()
            for control, curve in self._controls:
                self._ramp(control, float(np.interp(value, _VALUES, curve)), 0.0)
        self._rests_at = None
        for control, curve in self._controls:
            self._ramp(control, float(np.interp(value, _VALUES, curve)), fade_s)
        level_db = float(np.interp(value, _VALUES, self._level_db))
        # A stereo source in the middle keeps its level: both gains are 1 there.
        gain = self._gain * 10 ** (level_db / 20) * math.sqrt(2)
        self._ramp(self._sides, [gains[0] * gain, gains[1] * gain], fade_s)

    def _fall_silent(self, fade_s: float, frame: int) -> None:
        rests_at = frame + math.ceil(fade_s * SAMPLE_RATE_HZ) + BLOCK_FRAMES
        # A fade on its way may be hastened, never drawn out again.
        if self._awake and (self._rests_at is None or rests_at < self._rests_at):
            self._ramp(self._sides, [0.0, 0.0], fade_s)
            self._rests_at = rests_at

    def tick(self, frame: int) -> bool:
        """Rest once faded out; say whether the layer sounds."""
        if self._awake and self._rests_at is not None and frame >= self._rests_at:
            self._rest()
        return self._awake

    def _rest(self) -> None:
        for thing in self._objects:
            thing.stop()
        self._awake = False

    def _wake(self) -> None:
        for thing in self._objects[:-1]:
            thing.play()
        self._out.out()
        self._awake = True

    @staticmethod
    def _ramp(control: pyo.SigTo, to: float | list[float], time_s: float) -> None:
        control.setTime(time_s)
        control.setValue(to)


class Recipe:
    """How a layer is built, and what makes its loudness good at the five values."""

    def __init__(
        self, build: Callable[[Layer], pyo.PyoObject], level_db: Curve
    ) -> None:
        self.build = build
        self.level_db = level_db
