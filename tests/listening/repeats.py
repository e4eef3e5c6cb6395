"""Does a bed repeat itself? Which five seconds of hours of sound come again.

Theory
------
Two places are alike where the waveforms of five seconds correlate by more than 0.9.
To compare all places of eight hours with all others would take years, so each frame
gets a *code* of 32 bits: of each two neighbouring bands, whether the difference of
their levels has risen or fallen since a moment ago (an audio fingerprint). Frames are
long and overlap much, so that the code of a place hardly depends on where a frame
begins. A repeated segment has hundreds of codes, of which many are the same bit for
bit; of others few are, by chance. Places with the same code are candidates; those in
whose five seconds most bits agree are compared for what they are, sample by sample.

Found is what comes again as it was: a loop, a generator that begins anew. Not found is
what comes again at another speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from listening.table import Line, at_most
from scipy import signal

from peep.sound.engine import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Low = NDArray[np.int16]  # mono, at RATE_HZ

SEGMENT_S = 5.0
SHRINK = 4
RATE_HZ = SAMPLE_RATE_HZ // SHRINK  # all that matters lies below 6 kHz
HOP = 192  # 16 ms
FRAME = 1536
SINCE = 4  # frames
EDGES_HZ = np.geomspace(200, 5000, 34)
AROUND = int(SEGMENT_S * RATE_HZ / HOP) // 2  # frames, either way
COMPARED = 64  # distances, by samples: many more than ever agree by chance
AT_ONCE = 4096


def line(sound: NDArray[np.float32]) -> Line:
    """Return whether any five seconds of a sound, shape (n, 2), come again."""
    shrunk = Shrinking()
    return judged(shrunk.feed(sound))


def judged(low: Low) -> Line:
    """Return whether any five seconds of what was shrunk come again."""
    likest, one, two = most_alike(low)
    hours = len(low) / RATE_HZ / 3600
    span = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
    note = f"at {one:.1f} s and {two:.1f} s" if likest > 0.5 else ""
    return at_most(
        f"five seconds of {span} of the bed that come again, r", likest, 0.9, note
    )


class Shrinking:
    """Makes a stream small enough to be kept for hours: mono, 12 kHz, 16 bits."""

    def __init__(self) -> None:
        self._sections = signal.cheby2(8, 60, 5600, fs=SAMPLE_RATE_HZ, output="sos")
        self._memory = np.zeros((len(self._sections), 2))

    def feed(self, sound: NDArray[np.float32]) -> Low:
        """Return the next frames, shape (n, 2), shrunk; n is a multiple of SHRINK."""
        mono = sound.mean(axis=1, dtype=float)
        low, self._memory = signal.sosfilt(self._sections, mono, zi=self._memory)
        # Quiet beds would have few steps of 16 bits left.
        return np.clip(4 * 32767 * low[::SHRINK], -32767, 32767).astype(np.int16)


def most_alike(low: Low) -> tuple[float, float, float]:
    """Return the highest correlation of two segments, and where they are in seconds."""
    code = codes(low)
    best = (0.0, 0.0, 0.0)
    for one, two in candidates(code):
        r = _correlation(low, one * HOP, two * HOP)
        best = max(best, (r, one * HOP / RATE_HZ, two * HOP / RATE_HZ))
    return best


def codes(low: Low) -> NDArray[np.uint32]:
    """Return the code of each frame."""
    count = (len(low) - FRAME) // HOP + 1
    edges = np.searchsorted(np.fft.rfftfreq(FRAME, 1 / RATE_HZ), EDGES_HZ)
    window = np.hanning(FRAME)
    slopes = np.empty((count, 32), np.float32)
    for start in range(0, count, AT_ONCE):
        stop = min(count, start + AT_ONCE)
        piece = np.asarray(low[start * HOP : (stop - 1) * HOP + FRAME], np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(piece, FRAME)[::HOP]
        power = np.abs(np.fft.rfft(frames * window)) ** 2
        bands = np.add.reduceat(power, edges, axis=1)[:, :-1]
        slopes[start:stop] = np.diff(np.log(bands + 1.0), axis=1)
    bits = slopes[SINCE:] > slopes[:-SINCE]
    return np.packbits(bits, axis=1).view(np.uint32).ravel()


def candidates(code: NDArray[np.uint32]) -> list[tuple[int, int]]:
    """Return the pairs of frames whose five seconds agree in most bits."""
    order = np.argsort(code, kind="stable")
    one, two = order[:-1], order[1:]
    # Silence, which is always alike, has none.
    apart = (code[one] == code[two]) & (two - one > 2 * AROUND) & (code[one] > 0)
    inside = (one >= AROUND) & (two < len(code) - AROUND)
    one, two = one[apart & inside], two[apart & inside]
    around = np.arange(-AROUND, AROUND)
    wrong = np.empty(len(one))
    for start in range(0, len(one), AT_ONCE):
        here = slice(start, start + AT_ONCE)
        differ = code[one[here, None] + around] ^ code[two[here, None] + around]
        wrong[here] = np.bitwise_count(differ).mean(axis=1)
    # What repeats is found many times at one distance: once is enough.
    order = np.argsort(wrong, kind="stable")
    _, first = np.unique((two - one)[order], return_index=True)
    best = order[np.sort(first)][:COMPARED]
    return [(int(one[n]), int(two[n])) for n in best]


def _correlation(low: Low, one: int, two: int) -> float:
    """Return how like the five seconds around two frames are, at the best shift."""
    half = int(SEGMENT_S / 2 * RATE_HZ)
    first = np.asarray(low[max(0, one - half) : one + half], float)
    # A frame's code says where it begins to a hop or two.
    other = np.asarray(low[max(0, two - half - 2 * HOP) : two + half + 2 * HOP], float)
    if len(other) < len(first):
        return 0.0
    across = signal.correlate(other, first, "valid", "fft")
    so_far = np.concatenate(([0.0], np.cumsum(other**2)))
    power = so_far[len(first) :] - so_far[: -len(first)]
    scale = np.sqrt(np.maximum(power, 1.0) * max(1.0, float(np.sum(first**2))))
    return float(np.max(across / scale))
