"""Layers of water: a brook, rain, the sea on a beach."""

import pyo

from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.pyo_engine import grains
from peep.sound.pyo_engine.layer import Layer
from peep.sound.pyo_engine.layers_parts import (
    air,
    apart,
    churned,
    mixed,
    scattered,
    table,
)


def stream(layer: Layer) -> pyo.PyoObject:
    """Build a brook: bubbles over a bed of rushing water, fuller as it swells."""
    water = air(layer)
    bed = layer.control((0.03, 0.05, 0.09, 0.16, 0.28))
    bright = layer.control((0.015, 0.035, 0.08, 0.17, 0.34))
    # Each band of the bed churns at a pace of its own, differently left and right.
    low = churned(layer, water, (480, 0.9), (2.3, 2.9), bed)
    middle = churned(layer, water, (1150, 1.0), (4.3, 3.7), bed)
    top = churned(layer, water, (2900, 0.7), (6.1, 7.3), bright)
    bubbling = scattered(
        layer,
        grains.bubbles(layer.rng),
        density=layer.control((45.0, 80.0, 150.0, 320.0, 700.0)),
        pitches=(0.8, 1.2),
        level=0.09,
    )
    return mixed(layer, [low, middle, top, apart(layer, [bubbling])], lowest_hz=250)


def rain(layer: Layer) -> pyo.PyoObject:
    """Rain: from drops that can be counted to a downpour that roars."""
    noise = air(layer)
    # What falls far off is a hiss; a downpour also roars on the ground.
    hiss = layer.control((0.02, 0.07, 0.17, 0.33, 0.6))
    far = churned(layer, noise, (4600, 0.4), (1.7, 2.1), hiss)
    roar = layer.control((0.001, 0.006, 0.025, 0.075, 0.19))
    ground = churned(layer, noise, (800, 0.6), (1.1, 1.3), roar)
    falling = scattered(
        layer,
        grains.drops(layer.rng),
        density=layer.control((22.0, 80.0, 260.0, 720.0, 1900.0)),
        pitches=(0.8, 1.3),
        level=layer.control((0.34, 0.26, 0.19, 0.14, 0.1)),
    )
    # A few that fall near, into the puddle by the door.
    plopping = scattered(
        layer,
        grains.bubbles(layer.rng),
        density=layer.control((1.5, 4.0, 9.0, 18.0, 34.0)),
        pitches=(0.55, 0.9),
        level=0.06,
    )
    return mixed(layer, [far, ground, apart(layer, [falling, plopping])], lowest_hz=250)


def surf(layer: Layer) -> pyo.PyoObject:
    """Surf: waves that rise, break and run out; closer and heavier as it grows.

    A wave is a curve, thrown as grains are but read some hundred times slower. Its
    roar, its crash and the foam it leaves are noises whose level and pitch follow it.
    """
    shapes = grains.waves(layer.rng)
    lengths_s = (8.5, 8.2, 7.8, 7.4, 7.0)
    a, b, c, d, e = (shapes.frames / (long_s * SAMPLE_RATE_HZ) for long_s in lengths_s)
    pick = layer.keep(pyo.Randh(min=0, max=shapes.number - 0.001, freq=61))
    hurry = layer.control((1 / 8.0, 1 / 7.0, 1 / 6.0, 1 / 4.8, 1 / 3.6))
    come = layer.keep(pyo.Randi(min=0.75, max=1.25, freq=0.3, mul=hurry))
    swell = layer.keep(
        pyo.Particle(
            table(shapes),
            pyo.LinTable([(0, 1.0), (1023, 1.0)], size=1024),
            dens=come,
            pitch=layer.control((a, b, c, d, e)),
            pos=layer.keep(pyo.Floor(pick, mul=shapes.frames)),
            dur=layer.control(lengths_s),
            dev=0.02,
            pan=layer.keep(pyo.Randh(min=0.25, max=0.75, freq=53)),
            chnls=2,
        )
    )
    # It runs along the beach, from left to right.
    wave = layer.keep(pyo.Delay(swell, delay=[0.02, 0.55], maxdelay=0.6))
    noise = air(layer)
    distance = layer.control((0.05, 0.09, 0.15, 0.25, 0.4))
    rumble = layer.keep(pyo.Sig(wave, mul=0.5, add=distance))
    roar = layer.keep(pyo.Biquad(noise, freq=260, q=0.7, type=2, mul=rumble))
    force = layer.control((2000.0, 2700.0, 3600.0, 4700.0, 6000.0))
    opens_hz = layer.keep(pyo.Sig(wave, mul=force, add=300.0))
    topple = layer.keep(
        pyo.Pow(wave, 1.3, mul=layer.control((0.35, 0.5, 0.7, 1.0, 1.3)))
    )
    tumbling = layer.keep(pyo.Randi(min=0.6, max=1.0, freq=[7.0, 8.3], mul=topple))
    crash = layer.keep(pyo.Biquad(noise, freq=opens_hz, q=0.6, type=0, mul=tumbling))
    # Foam hisses on where the wave was, and its bubbles burst.
    run = layer.keep(pyo.Tone(wave, freq=0.22))
    hiss = layer.keep(pyo.Sig(run, mul=layer.control((0.5, 0.65, 0.9, 1.2, 1.6))))
    foam = layer.keep(pyo.Biquad(noise, freq=3400, q=0.6, type=2, mul=hiss))
    fizz = scattered(
        layer,
        grains.drops(layer.rng),
        density=layer.keep(pyo.Sig(run[0], mul=1500.0, add=20.0)),
        pitches=(0.9, 1.7),
        level=layer.control((0.03, 0.035, 0.045, 0.06, 0.08)),
    )
    return mixed(layer, [roar, crash, foam, apart(layer, [fizz])], lowest_hz=110)
