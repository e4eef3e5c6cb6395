"""What recipes of layers are made of: air, churning bands, scattered grains, callers.

Noise is what costs most in pyo, so a layer makes it once; one ear hears it a fifth of
a second after the other, which no ear can tell from noise of its own, and the sum of
both ears loses nothing.

Grains panned between two ears are the same in both: so most are thrown to the sides,
and an echo of each comes from across (`apart`), which keeps a layer wide.
"""

import numpy as np
import pyo

from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.pyo_engine.grains import Grains
from peep.sound.pyo_engine.layer import Layer

# Of a grain's length. More of it, and pyo drops grains in bursts (at 1, two of three).
_DEVIATION = 0.3

# Beyond the edges, to be clipped: that is how most grains come to lie at the sides.
_THROWN = (-0.4, 1.4)
# Not quite to the edges, where a grain in one ear alone would stand out.
_PLACES = (0.02, 0.98)
# Grains are heard once more from the other side, as off a bank or trees some 3 m away.
_ECHO = 0.65
_ECHOES_S = (0.017, 0.021)


def air(layer: Layer) -> pyo.PyoObject:
    """Return pink noise, left and right."""
    source = layer.keep(pyo.PinkNoise(1.0))
    return layer.keep(pyo.Delay(source, delay=[0.001, 0.19], maxdelay=0.2))


def churned(
    layer: Layer,
    noise: pyo.PyoObject,
    band: tuple[float, float],
    paces_hz: tuple[float, float],
    level: pyo.PyoObject,
) -> pyo.PyoObject:
    """Return a band (centre in Hz, q) of noise whose level churns at random."""
    churn = layer.keep(pyo.Randi(min=0.35, max=1.0, freq=list(paces_hz)))
    gain = layer.keep(pyo.Tone(churn, freq=6, mul=level))
    return layer.keep(pyo.Biquad(noise, freq=band[0], q=band[1], type=2, mul=gain))


def scattered(
    layer: Layer,
    grains: Grains,
    *,
    density: pyo.PyoObject,
    pitches: tuple[float, float],
    level: float | pyo.PyoObject,
) -> pyo.PyoObject:
    """Throw grains about, at random in time, pitch and place; density in 1/s."""
    # pyo would throw them evenly: a third as many changes of pace as there are grains
    # make their number in any time vary as that of drops does (Poisson).
    most = layer.keep(pyo.Sig(density, mul=2.0))
    turns = layer.keep(pyo.Sig(density, mul=1 / 3))
    pace = layer.keep(pyo.Randh(min=0, max=most, freq=turns))
    # Throwing the dice for every sample would cost more than all the grains; three
    # rates without a common measure keep any two grains from being alike.
    pick = layer.keep(pyo.Randh(min=0, max=grains.number - 0.001, freq=5003))
    first = layer.keep(pyo.Floor(pick, mul=grains.frames))
    pitch = layer.keep(pyo.Randh(min=pitches[0], max=pitches[1], freq=4001))
    thrown = layer.keep(pyo.Randh(min=_THROWN[0], max=_THROWN[1], freq=4507))
    place = layer.keep(pyo.Clip(thrown, min=_PLACES[0], max=_PLACES[1]))
    return layer.keep(
        pyo.Particle(
            table(grains),
            _whole(),
            dens=pace,
            pitch=pitch,
            pos=first,
            # The highest ends before it would read into its neighbour.
            dur=grains.frames / max(pitches[1], 1.0) / SAMPLE_RATE_HZ,
            dev=_DEVIATION,
            pan=place,
            chnls=2,
            mul=level,
        )
    )


def calling(
    layer: Layer,
    grains: Grains,
    *,
    rate: pyo.PyoObject,
    pitch: pyo.PyoObject,
    place: float,
    level: pyo.PyoObject,
) -> pyo.PyoObject:
    """Let one animal call from its place (0 left … 1 right), at its own pace in Hz."""
    pick = layer.keep(pyo.Randh(min=0, max=grains.number - 0.001, freq=61))
    first = layer.keep(pyo.Floor(pick, mul=grains.frames))
    return layer.keep(
        pyo.Particle(
            table(grains),
            _whole(),
            dens=rate,
            pitch=pitch,
            pos=first,
            dur=grains.frames / SAMPLE_RATE_HZ / 1.15,
            dev=0.03,
            pan=place,
            chnls=2,
            mul=level,
        )
    )


def apart(layer: Layer, parts: list[pyo.PyoObject]) -> pyo.PyoObject:
    """Return the sum of panned parts with echoes that set the two ears apart."""
    near = layer.keep(pyo.Mix(parts, voices=2))
    crossed = [near[1], near[0]]
    echoes = layer.keep(
        pyo.Delay(crossed, delay=list(_ECHOES_S), maxdelay=0.03, mul=_ECHO)
    )
    return layer.keep(pyo.Mix([near, echoes], voices=2))


def mixed(layer: Layer, parts: list[pyo.PyoObject], lowest_hz: float) -> pyo.PyoObject:
    """Return the sum of stereo parts, without what lies below a frequency."""
    mix = layer.keep(pyo.Mix(parts, voices=2))
    return layer.keep(pyo.ButHP(mix, freq=lowest_hz))


def table(grains: Grains) -> pyo.DataTable:
    """Return what pyo reads grains from."""
    # pyo leaves out a grain that would read beyond the end, be it by one sample.
    padded = np.append(grains.array, np.zeros(grains.frames))
    return pyo.DataTable(len(padded), init=padded.tolist())


def _whole() -> pyo.LinTable:
    # A grain begins and ends by itself; its envelope only makes sure.
    return pyo.LinTable([(0, 1.0), (960, 1.0), (1023, 0.0)], size=1024)
