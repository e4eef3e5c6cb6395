"""What is wrong with a theme's sounds, heard by nobody: what `peep theme check` says.

Theory
------
Recordings are judged as they lie in their files, for what the loader cannot mend; and
all sounds as they were made, for what a theme promises.

*Clipped* is a flat top: three or more samples on one level at the very top, with a
steep side on both ends, where a wave's own crest is round. (A lossy copy of a clipped
recording has no flat tops any more: not handled.)

*Seams.* A file that does not begin or end near zero was cut in the middle of a sound.
Inside, a *click* is one bend of the wave that is far sharper than everything within
1.3 ms on both of its sides; a natural onset rings on, and noise is never so lonely.

*Too alike.* A sound is a picture of 24 bands (even on the mel scale, 80 to 8,000 Hz) by
20 ms, in decibels over a floor 30 under its loudest. Two are as far apart as what
differs of them, as a share of what there is, the one moved along the other up to 60 ms
to where they fit best: 0 is the same, 1 nothing in common. Two sounds of a shipped
theme are 0.45 apart at least, most of them 0.6; a frog that calls a tenth higher than
another is 0.32 from it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from peep.errors import EngineError
from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.levels import momentary_max_lufs
from peep.sound.recordings import Recording, RecordingError, mono, read_recording
from peep.sound.samples import LEVELS_LUFS, Samples32, make_sound
from peep.theme import SoundSpec

Floats = npt.NDArray[np.float64]

# A routine sound that lasts longer lies on top of the next; an alert may ring out.
LONGEST_S = {"routine": 1.2, "notable": 2.0, "alert": 4.0, "pulse": 4.0}
LOUDNESS_LU = 1.0  # how far from its class a sound may come out
MAX_GAIN_DB = 40.0  # any more, and a recording's own noise is heard with it
MAX_DC = 0.02  # of the peak: what a bad sound card adds, not what a wave has
MAX_CUT = 0.1  # of the peak, where a file begins and ends
ALIKE = 0.4  # see *Too alike*

_FLAT = 2e-4  # of the peak: how level a flat top is
_STEPS_16_BIT = 4e-5  # or one step of 16 bits
_STEEP = 8.0  # times that: what a crest of three samples falls by on its sides
_FLAT_TOPS = 2  # one may be chance
_LONELY = 20.0  # a bend so many times its surroundings; noise comes to 6
_BEND = 0.1  # of the peak: smaller ones are not heard
_AROUND, _GAP = 64, 4  # samples: how far around a bend is looked, and from where
_END_S = 0.005

_BANDS = 24
_BAND_HZ = (80.0, 8000.0)
_WINDOW = SAMPLE_RATE_HZ // 25
_HOP = _WINDOW // 2
_FLOOR_DB = 30.0
_MOVES = range(-3, 4)  # hops


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with a sound, and how to mend it; `file` is "" for a recipe."""

    sound: str
    file: str
    message: str


def check_sounds(
    specs: Sequence[SoundSpec],
    seed: int,
    directory: Path,
    heard: Collection[str],
    done: Callable[[int], None] = lambda _: None,
) -> Iterator[Finding]:
    """Make each of a theme's sounds, and say what is wrong with them.

    Files lie in the directory; those that are not there are passed over, since whoever
    loads the theme says so. Sounds that are `heard` must differ from one another.
    `done` is told how many sounds were judged.
    """
    pictures: dict[str, list[Floats]] = {}
    for number, spec in enumerate(specs):
        pictures[spec.name] = []
        for form in _forms(spec):
            file = form.files[0] if form.files else ""
            if file and not (directory / file).is_file():
                continue
            try:
                if file:
                    recording = read_recording(directory / file)
                    for message in recording_problems(recording, spec.level):
                        yield Finding(spec.name, file, message)
                made = [array for array, _ in make_sound(form, seed, directory)]
                pictures[spec.name] += [picture(array) for array in made]
                for message in sound_problems(made, spec.level):
                    yield Finding(spec.name, file, message)
            except RecordingError as refused:
                yield Finding(spec.name, file, str(refused))
            except EngineError as refused:
                said = str(refused).removeprefix(f"sound {spec.name}: ")
                said = said.removeprefix(f"{file}: ")
                yield Finding(spec.name, file, said)
        done(number + 1)
    yield from _alike({name: pictures[name] for name in heard if name in pictures})


def recording_problems(recording: Recording, level: str) -> Iterator[str]:
    """Say what is wrong with a recording that is to have a level."""
    rate_hz = recording.rate_hz
    peak = float(np.abs(recording.channels).max())
    if not peak:
        return  # whoever makes it says that it is silent
    for samples in recording.channels.T:
        tops = flat_tops(samples)
        if tops >= _FLAT_TOPS:
            yield f"is clipped in {tops} places: record it at a lower level"
            break
    dc = float(np.abs(recording.channels.mean(axis=0)).max()) / peak
    if dc > MAX_DC:
        yield (
            f"its middle is {100 * dc:.0f} % of the peak off zero (DC): "
            "take that out with a high-pass at 20 Hz"
        )
    begins = float(np.abs(recording.channels[0]).max()) / peak
    ends = float(np.abs(recording.channels[-_frames(_END_S, rate_hz) :]).max()) / peak
    for share, verb, mend in (
        (begins, "begins", "fade it in over some 5 ms"),
        (ends, "ends", "fade it out over some 50 ms"),
    ):
        if share > MAX_CUT:
            yield f"{verb} in the middle of a sound: {mend}"
    at = click(recording.channels.mean(axis=1))
    if at is not None:
        yield f"clicks at {at / rate_hz:.3f} s: cut the click out, or around it"
    gain_db = LEVELS_LUFS.get(level, 0.0) - momentary_max_lufs(
        mono(recording).astype(np.float32)
    )
    if MAX_GAIN_DB < gain_db < np.inf:
        yield (
            f"is so soft that {gain_db:.0f} dB would be added, and its noise be heard: "
            "record it louder"
        )


def sound_problems(variants: Sequence[Samples32], level: str) -> Iterator[str]:
    """Say what is wrong with a sound's variants as they were made: of the worst."""
    longest_s = max(len(made) for made in variants) / SAMPLE_RATE_HZ
    if longest_s > LONGEST_S[level]:
        yield (
            f"lasts {longest_s:.2f} s; at level {level} at most {LONGEST_S[level]:g} "
            "s, to be over before the next: cut it, and fade it out"
        )
    below_lu = LEVELS_LUFS[level] - min(momentary_max_lufs(made) for made in variants)
    if below_lu > LOUDNESS_LU:
        yield (
            f"comes out {below_lu:.1f} LU below its level ({level}), being so short or "
            "peaky: make it longer, or compress it"
        )


def flat_tops(samples: Floats) -> int:
    """Return how many flat tops a wave has, shape (n,)."""
    found = 0
    for side in (samples, -samples):
        peak = float(side.max())
        level = max(_FLAT * peak, _STEPS_16_BIT)
        if peak < _STEEP * level:
            continue  # a few steps of 16 bits: all of it is flat
        edges = np.flatnonzero(np.diff(np.pad(side >= peak - level, 1)))
        begins, ends = edges[::2], edges[1::2]
        # What stands before and after a top; the file's ends are steep.
        around = np.pad(side, 1, constant_values=-np.inf)
        deep = peak - np.maximum(around[begins], around[ends + 1])
        found += int(np.sum((ends - begins >= 3) & (deep > _STEEP * level)))  # noqa: PLR2004 - three samples are flat
    return found


def click(samples: Floats) -> int | None:
    """Return where a wave, shape (n,), clicks worst, or None."""
    margin = _AROUND + _GAP
    padded = np.pad(samples, margin)
    bends = np.abs(np.diff(padded, 2, prepend=0.0, append=0.0))
    so_far = np.concatenate((np.zeros(1), np.cumsum(bends**2)))
    power = (so_far[_AROUND:] - so_far[:-_AROUND]) / _AROUND
    here = np.arange(margin, len(bends) - margin)
    around = np.maximum(power[here - margin], power[here + _GAP + 1])
    lonely = bends[here] - _LONELY * np.sqrt(np.maximum(around, 0.0))
    lonely[bends[here] < _BEND * np.abs(samples).max()] = 0.0
    # The file's very ends are judged by where they begin and end.
    lonely[:_GAP] = lonely[-_GAP:] = 0.0
    worst = int(np.argmax(lonely))
    return worst if lonely[worst] > 0.0 else None


def picture(made: Samples32) -> Floats:
    """Return a sound's picture, shape (hops, bands): dB over the floor (see above)."""
    hops = 1 + max(0, -(-(len(made) - _WINDOW) // _HOP))
    padded = np.pad(made, (0, _WINDOW + hops * _HOP - len(made)))
    views = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:hops]
    power = np.abs(np.fft.rfft(views * np.hanning(_WINDOW), axis=1)) ** 2 @ _TO_BANDS
    levels_db = 10.0 * np.log10(power + 1e-12)
    return np.asarray(np.maximum(levels_db - levels_db.max() + _FLOOR_DB, 0.0))


def apart(one: Floats, other: Floats) -> float:
    """Return how far two pictures are apart: 0 is the same, 1 all different."""
    nearest = 1.0
    for move in _MOVES:
        first, second = max(0, -move), max(0, move)
        hops = max(first + len(one), second + len(other))
        here, there = np.zeros((2, hops, _BANDS))
        here[first : first + len(one)] = one
        there[second : second + len(other)] = other
        share = float(np.abs(here - there).sum() / np.maximum(here, there).sum())
        nearest = min(nearest, share)
    return nearest


def _alike(pictures: Mapping[str, Sequence[Floats]]) -> Iterator[Finding]:
    for one, other in combinations(pictures, 2):
        far = min(
            (apart(a, b) for a in pictures[one] for b in pictures[other]), default=1.0
        )
        if far < ALIKE:
            yield Finding(
                other, "", f"sounds too much like {one}: change its pitch or its rhythm"
            )


def _forms(spec: SoundSpec) -> Iterator[SoundSpec]:
    """Give each file on its own, so that a bad one does not hide the next."""
    if not spec.files:
        yield spec
    for file in spec.files:
        yield replace(spec, files=(file,))


def _frames(duration_s: float, rate_hz: int) -> int:
    return max(1, round(duration_s * rate_hz))


def _bands() -> Floats:
    """Return which frequencies are in which band, shape (frequencies, bands)."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in _BAND_HZ)
    edges = 700.0 * (10.0 ** (np.linspace(low, high, _BANDS + 1) / 2595.0) - 1.0)
    frequency = np.fft.rfftfreq(_WINDOW, 1.0 / SAMPLE_RATE_HZ)
    band = np.searchsorted(edges, frequency, side="right") - 1
    return np.asarray(band[:, np.newaxis] == np.arange(_BANDS), np.float64)


_TO_BANDS = _bands()
