"""Layers of glass: bowed rims, shards in a draught, breath on necks of bottles.

All in the one chord of synthesis/tuned.py, so that the bed agrees with every sound over
it. A steady tone would be an organ: each note swells and fades for itself, left and
right apart, and strays by a few cents as a finger on a rim does, so that it beats with
its twin and never comes back to the same phase. Value does not make it louder alone: it
bows more and higher glasses, and quicker ones.
"""

import pyo

from peep.sound.pyo_engine import grains
from peep.sound.pyo_engine.layer import Curve, Layer
from peep.sound.pyo_engine.layers_parts import air, apart, mixed, scattered
from peep.sound.synthesis.tuned import hz

# Notes of each register, and how loud it is bowed at the five values.
_REGISTERS: tuple[tuple[tuple[int, ...], Curve], ...] = (
    ((4, 5, 6), (0.5, 0.5, 0.46, 0.4, 0.34)),
    ((8, 9, 10, 12), (0.03, 0.13, 0.25, 0.35, 0.4)),
    ((16, 18, 24), (0.0, 0.012, 0.045, 0.09, 0.15)),
)
_ASTRAY = 0.003  # of the pitch: 5 cents
_BOTTLES = (8, 10, 12, 16, 20)


def harmonica(layer: Layer) -> pyo.PyoObject:
    """Glass harmonica: rims under wet fingers, more and higher ones as it grows."""
    haste = layer.control((0.3, 0.38, 0.48, 0.62, 0.8))
    rim = pyo.HarmTable([1.0, 0.2, 0.1, 0.04], 4096)
    parts: list[pyo.PyoObject] = []
    for notes, curve in _REGISTERS:
        level = layer.control(curve)
        for number, note in enumerate(notes):
            paces = [0.9 + 0.13 * number, 1.15 - 0.11 * number]
            pace = layer.keep(pyo.Sig(haste, mul=paces))
            bowing = layer.keep(pyo.Randi(min=0.4, max=1.0, freq=pace))
            smooth = layer.keep(pyo.Tone(bowing, freq=1.2, mul=level))
            pitch_hz = hz(note)
            strays = layer.keep(
                pyo.Randi(
                    min=pitch_hz * (1 - _ASTRAY),
                    max=pitch_hz * (1 + _ASTRAY),
                    freq=[2.3 + 0.17 * number, 1.9 + 0.23 * number],
                )
            )
            parts.append(layer.keep(pyo.Osc(rim, freq=strays, mul=smooth)))
    rubbing = layer.control((0.006, 0.014, 0.027, 0.046, 0.075))
    skin = layer.keep(pyo.Biquad(air(layer), freq=1800, q=0.7, type=2, mul=rubbing))
    return mixed(layer, [*parts, skin], lowest_hz=150)


def shards(layer: Layer) -> pyo.PyoObject:
    """Shards of glass on threads in a draught: single ones, then a shower."""
    low = scattered(
        layer,
        grains.shards(layer.rng, (10, 12, 16)),
        density=layer.control((3.5, 5.5, 9.0, 15.0, 25.0)),
        pitches=(0.998, 1.002),
        level=layer.control((0.24, 0.22, 0.18, 0.14, 0.11)),
    )
    high = scattered(
        layer,
        grains.shards(layer.rng, (18, 20, 24, 32, 36)),
        density=layer.control((1.2, 4.0, 11.0, 27.0, 60.0)),
        pitches=(0.998, 1.002),
        level=layer.control((0.11, 0.13, 0.15, 0.155, 0.15)),
    )
    blowing = layer.control((0.0095, 0.011, 0.0155, 0.025, 0.04))
    draught = layer.keep(pyo.Biquad(air(layer), freq=1400, q=0.5, type=2, mul=blowing))
    return mixed(layer, [apart(layer, [low, high]), draught], lowest_hz=250)


def bottles(layer: Layer) -> pyo.PyoObject:
    """Breath across bottles: air that takes on a pitch, fuller the harder it blows."""
    noise = air(layer)
    blowing = layer.control((0.06, 0.1, 0.16, 0.25, 0.38))
    parts: list[pyo.PyoObject] = []
    for number, note in enumerate(_BOTTLES):
        breath = layer.keep(
            pyo.Randi(
                min=-0.3,
                max=1.0,
                freq=[0.31 + 0.05 * number, 0.52 - 0.05 * number],
            )
        )
        pressed = layer.keep(pyo.Clip(breath, min=0.03, max=1.0))
        spoken = layer.keep(pyo.Tone(pressed, freq=1.5, mul=1.0 / (1 + 0.2 * number)))
        parts.append(
            layer.keep(pyo.Biquad(noise, freq=hz(note), q=28, type=2, mul=spoken))
        )
    hiss = layer.keep(pyo.Biquad(noise, freq=2200, q=0.6, type=2, mul=blowing))
    return mixed(layer, [*parts, hiss], lowest_hz=250)
