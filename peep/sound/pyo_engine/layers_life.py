"""Layers of animals: a few near ones that keep a rhythm, and a chorus behind them.

A single cricket is known by its evenness, a chorus by having none: so near animals
call each at a pace of its own, far ones at random. Value adds animals and quickens
them, until single calls are lost in the shimmer of all.
"""

import pyo

from peep.sound.pyo_engine import grains
from peep.sound.pyo_engine.layer import Curve, Layer
from peep.sound.pyo_engine.layers_parts import air, apart, calling, mixed, scattered


def crickets(layer: Layer) -> pyo.PyoObject:
    """Crickets: warmth quickens them, and more of them sing (tree crickets, 3 kHz)."""
    warmth = layer.control((0.93, 0.96, 1.0, 1.04, 1.08))
    singers: tuple[tuple[float, float, float, Curve], ...] = (
        (2750.0, 1.0, 0.1, (0.5, 0.5, 0.5, 0.45, 0.4)),
        (3080.0, 0.87, 0.92, (0.1, 0.35, 0.42, 0.42, 0.4)),
        (2560.0, 1.13, 0.72, (0.0, 0.05, 0.25, 0.35, 0.36)),
    )
    parts = []
    for number, (pitch_hz, haste, place, nearness) in enumerate(singers):
        chirps = grains.chirps(
            layer.rng, 4, {"pitch_hz": pitch_hz, "pulse_hz": 34.0, "pulses": 5.0}
        )
        pace = layer.control(_times((0.85, 1.15, 1.55, 2.05, 2.7), haste))
        human = layer.keep(pyo.Randi(min=0.94, max=1.06, freq=0.9, mul=pace))
        near = layer.control(nearness)
        turns = layer.keep(pyo.Randi(min=0.8, max=1.0, freq=0.11 + 0.03 * number))
        parts.append(
            calling(
                layer,
                chirps,
                rate=human,
                pitch=warmth,
                place=place,
                level=layer.keep(pyo.Sig(turns, mul=near)),
            )
        )
    far = scattered(
        layer,
        grains.chirps(layer.rng, 40, {}),
        density=layer.control((2.5, 5.0, 9.5, 18.0, 34.0)),
        pitches=(0.97, 1.05),
        level=layer.control((0.06, 0.085, 0.11, 0.14, 0.16)),
    )
    night = layer.keep(pyo.Biquad(air(layer), freq=1800, q=0.5, type=2, mul=0.004))
    return mixed(layer, [apart(layer, [*parts, far]), night], lowest_hz=300)


def frogs(layer: Layer) -> pyo.PyoObject:
    """Frogs: one croaks now and then; then they answer, and then all croak at once."""
    zeal = layer.control((0.97, 0.98, 1.0, 1.02, 1.04))
    singers: tuple[tuple[float, float, float, Curve], ...] = (
        (640.0, 1.0, 0.1, (0.45, 0.48, 0.5, 0.5, 0.45)),
        (830.0, 0.8, 0.9, (0.15, 0.45, 0.5, 0.5, 0.45)),
        (560.0, 0.66, 0.75, (0.0, 0.1, 0.35, 0.42, 0.42)),
    )
    parts = []
    for number, (pitch_hz, haste, place, nearness) in enumerate(singers):
        croaks = grains.croaks(layer.rng, 4, {"pitch_hz": pitch_hz})
        pace = layer.control(_times((0.5, 0.62, 0.85, 1.15, 1.6), haste))
        bouts = layer.keep(
            pyo.Randi(min=0.75, max=1.25, freq=0.13 + 0.04 * number, mul=pace)
        )
        parts.append(
            calling(
                layer,
                croaks,
                rate=bouts,
                pitch=zeal,
                place=place,
                level=layer.control(nearness),
            )
        )
    # The far bank falls quieter and swells again; not too far: the value must be heard.
    many = layer.control((3.0, 7.0, 14.0, 27.0, 48.0))
    chorus = layer.keep(pyo.Randi(min=0.75, max=1.2, freq=0.3, mul=many))
    far = scattered(
        layer,
        grains.croaks(layer.rng, 40, {}),
        density=chorus,
        pitches=(0.94, 1.06),
        level=layer.control((0.1, 0.12, 0.14, 0.155, 0.165)),
    )
    # Those still farther are a murmur, by which the value is told between two croaks.
    murmur = layer.control((0.004, 0.007, 0.012, 0.02, 0.032))
    night = layer.keep(pyo.Biquad(air(layer), freq=900, q=0.5, type=2, mul=murmur))
    return mixed(layer, [apart(layer, [*parts, far]), night], lowest_hz=200)


def _times(curve: Curve, factor: float) -> Curve:
    a, b, c, d, e = (factor * value for value in curve)
    return a, b, c, d, e
