"""Layers of air: wind, leaves, and the hum of a hive.

Gusts are a slow random walk and a quicker one (0.6 Hz), smoothed as heavy air is; they
drive level and pitch together, which is what the ear takes for wind.
"""

import pyo

from peep.sound.pyo_engine import grains
from peep.sound.pyo_engine.layer import Layer
from peep.sound.pyo_engine.layers_parts import air, apart, mixed, scattered


def wind(layer: Layer) -> pyo.PyoObject:
    """Wind: a wandering, gusting speed drives bands of air, edges that sing, leaves."""
    gusts = _gusts(layer)
    mean = layer.control((0.14, 0.27, 0.42, 0.59, 0.78))
    swing = layer.control((0.08, 0.13, 0.18, 0.22, 0.25))
    # A gust crosses from left to right.
    passing = _speed(layer, gusts, (0.05, 0.45), mean, swing)
    noise = air(layer)
    power = layer.keep(pyo.Pow(passing, 1.4))
    centre_hz = layer.keep(pyo.Sig(passing, mul=680.0, add=220.0))
    body = layer.keep(pyo.Biquad(noise, freq=centre_hz, q=1.1, type=2, mul=power))
    # Far off it blows evenly: what does not gust tells the value.
    depth = layer.control((0.035, 0.065, 0.1, 0.14, 0.185))
    deep = layer.keep(pyo.Biquad(noise, freq=240, q=0.6, type=0, mul=depth))
    rush = layer.keep(pyo.Pow(passing, 2.6, mul=0.2))
    high = layer.keep(pyo.Biquad(noise, freq=2300, q=0.5, type=2, mul=rush))

    # Two edges that sing only when it blows, the right one later.
    edge = _speed(layer, gusts, (0.1, 1.0), mean, swing)
    pitch_hz = layer.keep(pyo.Sig(edge, mul=[560.0, 640.0], add=[310.0, 350.0]))
    sings = layer.keep(pyo.Pow(edge, 3.0, mul=0.9))
    whistles = layer.keep(pyo.Biquad(noise, freq=pitch_hz, q=18, type=2, mul=sings))

    # Leaves answer two seconds after the gust; the harder it blows the more of them.
    later = _speed(layer, gusts, (2.0,), mean, swing)
    rustling = scattered(
        layer,
        grains.rustles(layer.rng),
        density=layer.keep(pyo.Pow(later, 2.0, mul=420.0)),
        pitches=(0.75, 1.25),
        level=layer.control((0.013, 0.023, 0.033, 0.046, 0.056)),
    )
    return mixed(
        layer, [body, deep, high, whistles, apart(layer, [rustling])], lowest_hz=60
    )


def leaves(layer: Layer) -> pyo.PyoObject:
    """Leaves: single ones that tick, and in gusts the hush of a whole tree."""
    gusts = _gusts(layer)
    mean = layer.control((0.16, 0.28, 0.42, 0.58, 0.76))
    swing = layer.control((0.06, 0.09, 0.11, 0.125, 0.135))
    passing = _speed(layer, gusts, (0.05, 0.65), mean, swing)
    noise = air(layer)
    # The crown answers late and evenly, its edges at once.
    hush = layer.keep(pyo.Pow(passing, 2.4, mul=0.4))
    crown = layer.keep(pyo.Biquad(noise, freq=1500, q=0.6, type=2, mul=hush))
    rush = layer.keep(pyo.Pow(passing, 3.4, mul=0.5))
    edges = layer.keep(pyo.Biquad(noise, freq=3600, q=0.7, type=2, mul=rush))
    # The wood behind is many crowns, whose gusts make an even hush.
    wood = layer.control((0.012, 0.035, 0.075, 0.14, 0.24))
    behind = layer.keep(pyo.Biquad(noise, freq=2600, q=0.6, type=2, mul=wood))
    here = _speed(layer, gusts, (0.3,), mean, swing)
    few = layer.keep(pyo.Pow(here, 1.7, mul=480.0))
    near = scattered(
        layer,
        grains.rustles(layer.rng),
        density=few,
        pitches=(0.55, 1.2),
        level=layer.control((0.12, 0.15, 0.18, 0.2, 0.21)),
    )
    return mixed(layer, [behind, crown, edges, apart(layer, [near])], lowest_hz=300)


def hum(layer: Layer) -> pyo.PyoObject:
    """Hum: a hive, or a room of quiet machines; it works harder, and beats faster.

    Three strings a side, of one pitch but for a hertz or so in which each wanders for
    itself: that is the beating. No pitch of the mains (50, 60 Hz and their octaves).
    """
    root_hz = layer.control((131.0, 136.0, 142.0, 149.0, 157.0))
    astray_hz = layer.control((0.25, 0.45, 0.8, 1.4, 2.4))
    paces_hz = [0.31, 0.43, 0.37, 0.29, 0.47, 0.41]
    wander = layer.keep(
        pyo.Randi(min=-1.0, max=1.0, freq=paces_hz, mul=astray_hz, add=root_hz)
    )
    wave = pyo.HarmTable([0.5, 1.0, 0.75, 0.5, 0.4, 0.3, 0.2, 0.16, 0.12, 0.1], 4096)
    strings = layer.keep(pyo.Osc(wave, freq=wander, mul=0.1))
    sides = layer.keep(pyo.Mix(strings, voices=2))
    opens_hz = layer.control((250.0, 350.0, 520.0, 800.0, 1250.0))
    body = layer.keep(pyo.Biquad(sides, freq=opens_hz, q=0.6, type=0))

    # Wings: air that flutters about the harmonics, and more of it the harder they work.
    noise = air(layer)
    flutter = layer.keep(pyo.Randi(min=0.2, max=1.0, freq=[9.0, 11.0]))
    busy = layer.control((0.5, 0.8, 1.25, 1.9, 2.9))
    wings = layer.keep(pyo.Sig(flutter, mul=busy))
    second_hz = layer.keep(pyo.Sig(root_hz, mul=[3.0, 3.02]))
    low = layer.keep(pyo.Biquad(noise, freq=second_hz, q=7, type=2, mul=wings))
    fifth_hz = layer.keep(pyo.Sig(root_hz, mul=[6.02, 5.98]))
    high = layer.keep(pyo.Biquad(noise, freq=fifth_hz, q=5, type=2, mul=wings))
    return mixed(layer, [body, low, high], lowest_hz=110)


def _gusts(layer: Layer) -> pyo.PyoObject:
    """Return gusts that wander, some -1…1, whatever the value."""
    # Little wander: what is slower than ten seconds must come from the value alone.
    walk = layer.keep(pyo.Randi(min=-0.2, max=0.2, freq=0.23))
    gusts = layer.keep(pyo.Randi(min=-0.6, max=1.0, freq=0.6, add=walk))
    return layer.keep(pyo.Tone(gusts, freq=0.8))


def _speed(
    layer: Layer,
    gusts: pyo.PyoObject,
    delays_s: tuple[float, ...],
    mean: pyo.PyoObject,
    swing: pyo.PyoObject,
) -> pyo.PyoObject:
    """Return how fast it blows where gusts come so late, some 0…1.

    Gusts are late, the value is not: else the layer's gain, which is higher where it
    blows less, would be there before the air has calmed down, and swell.
    """
    late = layer.keep(
        pyo.Delay(gusts, delay=list(delays_s), maxdelay=max(delays_s) + 0.1)
    )
    wish = layer.keep(pyo.Sig(late, mul=swing, add=mean))
    return layer.keep(pyo.Clip(wish, min=0.03, max=1.3))
