"""The reference: the same storm by classic's gain law, and in plain beeps.

One script, a storm with alerts now and then, is made sound three times and put before
one and the same kind of listener, who was taught and trained alike on each:

*Ours*, as it is.

*Classic*: our sounds and our bed, mixed by the law of Peep 0.5 (classic.py). It knows
no tiers beyond an order, no folding and no ducking.

*Beeps*: for each of our meanings a sine, 200 ms long, all as loud, their heights spread
evenly over the octaves. Every event beeps at once, and nothing else sounds.

None of them is louder than ours: all are brought to its loudness (BS.1770), and heard
in the same room, whose noise hides what is soft.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening import traffic
from listening.classic import LONE_GAIN, Voices, Wanted
from listening.ear import storm
from listening.hearing import room_noise
from listening.judging import ALERTS, Ear, judged, threshold
from listening.matching import Onset, total
from listening.performance import TAIL_S, Performance, perform
from listening.rendering import made, render
from listening.repertoire import learned, taught
from listening.table import Line, at_least

from peep.mixer.place import Places
from peep.mixer.room import HEADPHONES
from peep.signals import Event, Tier
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.levels import LoudnessMeter, momentary_max_lufs

if TYPE_CHECKING:
    from listening.rendering import At, Made
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MORE = 0.2  # of alerts that ours must recall
BEEP_S, BEEP_EDGE_S = 0.2, 0.01
BEEP_LUFS = -21.0
BEEPS_HZ = (300.0, 3400.0)  # wider than ISO 7731 wants danger told, to their favour
TRAIN_S, TEST_S, QUICK_S = 40.0, 100.0, 30.0
TRAINING_SEED = 701
SEED = 21


class Recalls(NamedTuple):
    """The shares of alerts that were recognised in the same storm."""

    ours: float
    classic: float
    beeps: float

    @property
    def gain(self) -> float:
        """Return how much more ours is recognised than the better reference."""
        return self.ours - max(self.classic, self.beeps)


def report(name: str, *, quick: bool = False) -> list[Line]:
    """Return how many more alerts are recognised in ours than in the references."""
    found = recalls(name, SEED, QUICK_S if quick else TEST_S)
    note = (
        f"ours {found.ours:.2f}, classic {found.classic:.2f}, beeps {found.beeps:.2f}"
    )
    return [at_least("alerts recalled beyond the references", found.gain, MORE, note)]


def recalls(name: str, seed: int, seconds: float = TEST_S) -> Recalls:
    """Return how many alerts of a storm are recognised, made sound in three ways."""
    it = made(name)
    known = traffic.alerts(traffic.meanings(it.theme))
    forms, beeping = taught(it), learned(beep_of(it).items())
    mixes = zip(
        (forms, forms, beeping),
        three_ways(it, TRAIN_S, TRAINING_SEED + seed),
        three_ways(it, seconds, seed),
        strict=True,
    )
    found = []
    for repertoire, taught_by, asked in mixes:
        told = judged(Ear(repertoire, {}), taught_by, known)
        least = {sound: threshold([score], ALERTS) for sound, score in told.items()}
        found.append(total(judged(Ear(repertoire, least), asked, known)).recall)
    return Recalls(*found)


def three_ways(it: Made, seconds: float, seed: int) -> list[Performance]:
    """Return a storm as it is heard in a room: ours, classic's, and beeps."""
    script = storm(it, seconds, seed)
    ours = perform(it, script, seconds, seed=seed)
    # What ours tells by one cue of several counts once; the references tell each.
    onsets = [
        Onset(at_s, _sound(it, signal), signal.tier is Tier.ALERT)
        for at_s, signal in script
        if isinstance(signal, Event)
    ]
    others = (classic(it, script, seconds, seed), beeps(it, script, seconds))
    return [
        ours._replace(sound=_in_room(ours.sound, seed, 0.0)),
        *(
            Performance(
                _in_room(one, seed, lufs(ours.sound) - lufs(one)), onsets, onsets
            )
            for one in others
        ),
    ]


def _in_room(sound: Floats, seed: int, gain_db: float) -> Floats:
    """Return a sound with the noise of a room beside it."""
    noise = room_noise(np.random.default_rng(seed), len(sound))
    gain = np.float32(10 ** (gain_db / 20))
    return np.column_stack((sound * gain, noise.astype(np.float32)))


def lufs(sound: Floats) -> float:
    """Return the loudness of all of a sound, shape (n, 2)."""
    meter = LoudnessMeter()
    meter.feed(sound)
    return meter.integrated_lufs


# -- the references ------------------------------------------------------------------


def classic(it: Made, script: list[At], seconds: float, seed: int) -> Floats:
    """Return a script by classic's gain law, over our bed."""
    rng = np.random.default_rng(seed)
    states = [one for one in script if not isinstance(one.signal, Event)]
    mix = render(it, states, seconds + TAIL_S, seed=seed, bed=True).bed
    places = Places(it.theme, HEADPHONES)
    voices = Voices()
    for at_s, event in script:
        if isinstance(event, Event):
            sound = _sound(it, event)
            variant = int(rng.integers(len(it.samples.bank.variants[sound])))
            array = it.samples.arrays[sound, variant]
            pan = places.pan(places.zone(event.host, "").pan)
            voices.take(at_s, Wanted(-int(event.tier), at_s, array, pan))
    for take in voices.end(seconds):
        sides = np.array([1 - take.pan, 1 + take.pan]) / 2 * math.sqrt(2)
        start = round(take.at_s * RATE_HZ)
        end = min(round(take.until_s * RATE_HZ), start + len(take.array), len(mix))
        part = take.array[: end - start, np.newaxis] * sides * take.gain / LONE_GAIN
        mix[start:end] += part.astype(np.float32)
    return mix


def beeps(it: Made, script: list[At], seconds: float) -> Floats:
    """Return a script in beeps, in the middle."""
    mono = np.zeros(round((seconds + TAIL_S) * RATE_HZ), np.float32)
    known = beep_of(it)
    for at_s, event in script:
        if isinstance(event, Event):
            start = round(at_s * RATE_HZ)
            beep = known[_sound(it, event)]
            mono[start : start + len(beep)] += beep
    return np.column_stack((mono, mono))


def beep_of(it: Made) -> dict[str, Floats]:
    """Return the beep of each meaning, as loud as any other."""
    names = list(traffic.meanings(it.theme))
    at_s = np.arange(round(BEEP_S * RATE_HZ)) / RATE_HZ
    edge = np.clip(np.minimum(at_s, BEEP_S - at_s) / BEEP_EDGE_S, 0.0, 1.0)
    made_of = {}
    for name, hz in zip(names, np.geomspace(*BEEPS_HZ, len(names)), strict=True):
        sine = (np.sin(2 * np.pi * hz * at_s) * edge).astype(np.float32)
        gain_db = BEEP_LUFS - momentary_max_lufs(sine)
        made_of[name] = sine * np.float32(10 ** (gain_db / 20))
    return made_of


def _sound(it: Made, event: Event) -> str:
    voicing = it.theme.for_event(event)
    assert voicing is not None, "a meaning has a sound"
    return voicing.sound
