"""The recipes of the layers that can be synthesised live, by name.

Their figures are what looked right in spectra and measured right in level; where a
figure follows the value it stands as five, for 0, ¼, ½, ¾ and 1. `level_db` was
measured (two minutes at each value, BS.1770) and is held by a test.
"""

from collections.abc import Mapping

import numpy as np
import pyo
from numpy.typing import NDArray

from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.pyo_engine import grains
from peep.sound.pyo_engine.layer import Layer, Recipe


def wind(layer: Layer) -> pyo.PyoObject:
    """Wind: a wandering, gusting speed drives bands of air, edges that sing, leaves."""
    mean = layer.control((0.14, 0.27, 0.42, 0.59, 0.78))
    swing = layer.control((0.08, 0.13, 0.18, 0.22, 0.25))
    walk = layer.keep(pyo.Randi(min=-0.4, max=0.4, freq=0.17))
    gusts = layer.keep(pyo.Randi(min=-0.6, max=1.0, freq=0.6, add=walk))
    wish = layer.keep(pyo.Sig(gusts, mul=swing, add=mean))
    inert = layer.keep(pyo.Tone(wish, freq=0.8))
    speed = layer.keep(pyo.Clip(inert, min=0.03, max=1.3))

    # A gust crosses from left to right.
    passing = layer.keep(pyo.Delay(speed, delay=[0.05, 0.45], maxdelay=0.5))
    air = layer.keep(pyo.PinkNoise([1.0, 1.0]))
    power = layer.keep(pyo.Pow(passing, 1.4))
    centre_hz = layer.keep(pyo.Sig(passing, mul=680.0, add=220.0))
    body = layer.keep(pyo.Biquad(air, freq=centre_hz, q=1.1, type=2, mul=power))
    depth = layer.keep(pyo.Sig(passing, mul=0.22))
    deep = layer.keep(pyo.Biquad(air, freq=240, q=0.6, type=0, mul=depth))
    rush = layer.keep(pyo.Pow(passing, 2.6, mul=0.35))
    high = layer.keep(pyo.Biquad(air, freq=2300, q=0.5, type=2, mul=rush))

    # Two edges that sing only when it blows, the right one later.
    edge = layer.keep(pyo.Delay(speed, delay=[0.1, 1.0], maxdelay=1.1))
    pitch_hz = layer.keep(pyo.Sig(edge, mul=[560.0, 640.0], add=[310.0, 350.0]))
    sings = layer.keep(pyo.Pow(edge, 3.0, mul=0.9))
    whistles = layer.keep(pyo.Biquad(air, freq=pitch_hz, q=18, type=2, mul=sings))

    # Leaves answer two seconds after the gust; the harder it blows the more of them.
    later = layer.keep(pyo.Delay(speed, delay=2.0, maxdelay=2.1))
    many = layer.keep(pyo.Pow(later, 2.0, mul=420.0))
    leaves = _scatter(
        layer,
        _table(grains.rustles(layer.rng)),
        grains.RUSTLE_FRAMES,
        density=many,
        pitches=(0.75, 1.25),
        level=layer.control((0.023, 0.041, 0.059, 0.082, 0.1)),
    )
    parts = [body, deep, high, whistles, leaves]
    return _mixed(layer, parts, lowest_hz=60)


def stream(layer: Layer) -> pyo.PyoObject:
    """Build a brook: bubbles over a bed of rushing water, fuller as it swells."""
    water = layer.keep(pyo.PinkNoise([1.0, 1.0]))
    bed = layer.control((0.03, 0.05, 0.09, 0.16, 0.28))
    bright = layer.control((0.015, 0.035, 0.08, 0.17, 0.34))
    # Each band of the bed churns at a pace of its own, differently left and right.
    low = _churned(layer, water, (480, 0.9), (2.3, 2.9), bed)
    middle = _churned(layer, water, (1150, 1.0), (4.3, 3.7), bed)
    top = _churned(layer, water, (2900, 0.7), (6.1, 7.3), bright)
    drops = _scatter(
        layer,
        _table(grains.bubbles(layer.rng)),
        grains.BUBBLE_FRAMES,
        density=layer.control((45.0, 80.0, 150.0, 320.0, 700.0)),
        pitches=(0.8, 1.2),
        level=0.108,
    )
    return _mixed(layer, [low, middle, top, drops], lowest_hz=250)


# Of a grain's length. More of it, and pyo drops grains in bursts (at 1, two of three).
_DEVIATION = 0.3

RECIPES: Mapping[str, Recipe] = {
    "wind": Recipe(wind, level_db=(-3.4, -8.6, -11.8, -14.7, -16.6)),
    "stream": Recipe(stream, level_db=(-7.6, -8.0, -9.1, -10.9, -12.9)),
}


def _churned(
    layer: Layer,
    water: pyo.PyoObject,
    band: tuple[float, float],
    paces_hz: tuple[float, float],
    level: pyo.PyoObject,
) -> pyo.PyoObject:
    """Return a band (centre in Hz, q) of noise whose level churns at random."""
    churn = layer.keep(pyo.Randi(min=0.35, max=1.0, freq=list(paces_hz)))
    gain = layer.keep(pyo.Tone(churn, freq=6, mul=level))
    return layer.keep(pyo.Biquad(water, freq=band[0], q=band[1], type=2, mul=gain))


def _scatter(
    layer: Layer,
    table: pyo.DataTable,
    frames: int,
    *,
    density: pyo.PyoObject,
    pitches: tuple[float, float],
    level: float | pyo.PyoObject,
) -> pyo.PyoObject:
    """Throw the grains of a table about, at random in time, pitch and place."""
    # Throwing the dice for every sample would cost more than all the grains; three
    # rates without a common measure keep any two grains from being alike.
    count = table.getSize() / frames
    pick = layer.keep(pyo.Randh(min=0, max=count - 0.001, freq=5003))
    first = layer.keep(pyo.Floor(pick, mul=frames))
    pitch = layer.keep(pyo.Randh(min=pitches[0], max=pitches[1], freq=4001))
    # Not quite to the edges, where a grain in one ear alone would stand out.
    place = layer.keep(pyo.Randh(min=0.02, max=0.98, freq=4507))
    # A grain ends by itself; its envelope only makes sure.
    whole = pyo.LinTable([(0, 1.0), (960, 1.0), (1023, 0.0)], size=1024)
    return layer.keep(
        pyo.Particle(
            table,
            whole,
            dens=density,
            pitch=pitch,
            pos=first,
            dur=frames / SAMPLE_RATE_HZ,
            dev=_DEVIATION,
            pan=place,
            chnls=2,
            mul=level,
        )
    )


def _table(array: NDArray[np.float32]) -> pyo.DataTable:
    return pyo.DataTable(len(array), init=array.tolist())


def _mixed(layer: Layer, parts: list[pyo.PyoObject], lowest_hz: float) -> pyo.PyoObject:
    mix = layer.keep(pyo.Mix(parts, voices=2))
    return layer.keep(pyo.ButHP(mix, freq=lowest_hz))
