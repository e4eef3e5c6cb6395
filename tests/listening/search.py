"""Finding known sounds in a mix: the search by which an ear explains what it hears.

Theory
------
Every band at every moment is a *cell* with a level in dB. A *model* says what the cells
should be: the bed, and the powers of all sounds found so far, added. What a cell is off
the model *costs*: nothing up to INDIFFERENT_DB, which beds are off by themselves, and
no more than MOST_DB further: what is quite wrong is not more wrong for being louder.

A form of a sound, laid at a moment with a gain, changes the model. Its *evidence* is
how much less all cells cost then, in dB; a cell that should be loud and is not, speaks
against. Its *fit* is that evidence, divided by what it would be if the mix were exactly
as the form says: 1 at best. No cell speaks for a form by more than that, either.

The search is a matching pursuit: of all candidates the one with the most evidence
times fit is taken into the model, then those that overlap it are judged again, until
none is left that has LEAST_FIT and LEAST_EVIDENCE. So two sounds at once are found one
after the other, and what one explains speaks for no other.

Candidates are where the contrast of the mix (dB above the bed) is most like that of a
form: peaks of their correlation, by FFT, one for each sound within NEAR_S.

Not handled: sounds that go on for longer than a few seconds, and what lies between the
bands.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from listening import spectra
from listening.spectra import BANDS, HOP_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listening.repertoire import Form, Repertoire
    from listening.spectra import Floats

INDIFFERENT_DB = 3.0
MOST_DB = 20.0
CONTRAST_DB = 30.0  # more above the bed is not more like a form
TYPICAL_GAIN_DB = -6.0  # of a sound in the mix, for the contrasts of its forms
LEAST_LIKENESS = 15.0  # dB of contrast, in the manner of the form
NEAR_S = 0.08  # of two candidates of one sound that are nearer, the better one
APART_S = 0.12  # two of one sound that are nearer are one
LEAST_FIT = 0.3
LEAST_EVIDENCE = 40.0  # dB over all cells: less is seen in any bed
# From a few softer calls of a crowd while an alert ducks them to a louder cue of many.
GAINS_DB = (-32.0, 10.0)
TRIED_DB = np.array([-4.0, 0.0, 3.0], np.float32)  # around the gain that is guessed
BED_DB = 1.8  # a bed's middle lies above its low quantile


class Found(NamedTuple):
    """A sound that was found: when, which, and how sure."""

    at_s: float
    sound: str
    fit: float
    evidence: float


class Judged(NamedTuple):
    """What speaks for a form at a moment, and its gain."""

    fit: float
    evidence: float
    gain_db: float


def search(repertoire: Repertoire, power: Floats) -> list[Found]:
    """Return all sounds found in powers of shape (frames, BANDS), in order."""
    return _Search(power).run(repertoire)


class _Search:
    def __init__(self, power: Floats) -> None:
        self._power = power
        self._seen_db = 10 * np.log10(power)
        self._model = spectra.bed(power) * np.float32(10 ** (BED_DB / 10))
        self._cost = _cost(self._seen_db - 10 * np.log10(self._model))
        self._turn = 0
        self._changed = np.zeros(len(power), np.int64)  # in which turn, by frame

    def run(self, repertoire: Repertoire) -> list[Found]:
        forms: list[Form] = []
        heap: list[tuple[float, int, int, int, Judged]] = []

        def consider(form: int, at: int) -> None:
            it = self._judge(forms[form], at)
            if it.fit >= LEAST_FIT and it.evidence >= LEAST_EVIDENCE:
                heapq.heappush(heap, (-it.fit * it.evidence, form, at, self._turn, it))

        for form, at in self._candidates(repertoire):
            forms.append(form)
            consider(len(forms) - 1, at)
        found: list[Found] = []
        taken: dict[str, list[int]] = {}
        apart = round(APART_S / HOP_S)
        while heap:
            _, number, at, turn, it = heapq.heappop(heap)
            form = forms[number]
            same = taken.setdefault(form.sound, [])
            if any(abs(at - other) <= apart for other in same):
                continue
            if self._changed[at : at + len(form.power)].max() > turn:
                consider(number, at)
                continue
            self._take(form, at, it.gain_db)
            same.append(at)
            found.append(Found(at * HOP_S, form.sound, it.fit, it.evidence))
        return sorted(found)

    def _take(self, form: Form, at: int, gain_db: float) -> None:
        self._turn += 1
        end = min(at + len(form.power), len(self._power))
        model, seen_db = self._model[at:end], self._seen_db[at:end]
        model += form.power[: end - at] * np.float32(10 ** (gain_db / 10))
        self._cost[at:end] = _cost(seen_db - 10 * np.log10(model))
        self._changed[at:end] = self._turn

    def _judge(self, form: Form, at: int) -> Judged:
        end = min(at + len(form.power), len(self._power))
        count = end - at
        model, seen, seen_db = self._model[at:end], self._power[at:end], self._seen_db
        salient = form.salient[:count]
        rest = np.maximum(seen - model, 0.05 * seen)[salient]
        # What hides a sound makes cells louder, so the lower half tells its gain.
        over_db = 10 * np.log10(rest) - form.level_db[:count][salient]
        guess = float(np.quantile(over_db, 0.4)) if len(over_db) else GAINS_DB[0]
        gains_db = np.clip(guess + TRIED_DB, *GAINS_DB)
        gains = (10 ** (gains_db / 10)).astype(np.float32)[:, np.newaxis, np.newaxis]
        new_db = 10 * np.log10(model + form.power[:count] * gains)
        could = _cost(new_db - 10 * np.log10(model))
        for_it = np.minimum(
            self._cost[at:end] - _cost(seen_db[at:end] - new_db), could
        ).sum(axis=(1, 2))
        best = int(for_it.argmax())
        evidence = float(for_it[best])
        fit = evidence / max(float(could[best].sum()), LEAST_EVIDENCE)
        return Judged(fit, evidence, float(gains_db[best]))

    def _candidates(self, repertoire: Repertoire) -> Iterator[tuple[Form, int]]:
        """Yield the forms that may be in the mix, and at which frames."""
        above_db = self._seen_db - 10 * np.log10(self._model)
        contrast = np.clip(above_db, 0.0, CONTRAST_DB)
        floor_db = 10 * np.log10(np.median(self._model, axis=0))
        near = round(NEAR_S / HOP_S)
        for forms in repertoire.values():
            shapes = [
                np.clip(form.level_db + TYPICAL_GAIN_DB - floor_db, 0.0, CONTRAST_DB)
                for form in forms
            ]
            alike = _correlation(contrast, shapes)
            best = alike.max(axis=1)
            around = np.pad(best, near, constant_values=-np.inf)
            windows = np.lib.stride_tricks.sliding_window_view(around, 2 * near + 1)
            peaks = (best == windows.max(axis=1)) & (best > LEAST_LIKENESS)
            for at in np.flatnonzero(peaks):
                yield forms[int(alike[at].argmax())], int(at)


def _cost(difference_db: Floats) -> Floats:
    return np.clip(np.abs(difference_db) - INDIFFERENT_DB, 0.0, MOST_DB)


def _correlation(contrast: Floats, shapes: list[Floats]) -> Floats:
    """Return how much of each shape is in a contrast from each frame on.

    Shapes, (frames, BANDS), are taken about their means and at unit power, so that what
    is everywhere is like none of them. The result is (frames, shapes).
    """
    length = max(len(shape) for shape in shapes)
    size = 1 << (2 * length).bit_length()
    laid = np.zeros((len(shapes), size, BANDS), np.float32)
    for number, shape in enumerate(shapes):
        centred = shape - shape.mean()
        norm = float(np.sqrt(np.sum(centred**2)))
        laid[number, : len(shape)] = centred / norm if norm else 0.0
    wanted = np.conj(np.fft.rfft(laid, axis=1)).transpose(1, 2, 0)
    step = size - length
    padded = np.pad(contrast, ((0, size), (0, 0)))
    alike = np.zeros((len(contrast), len(shapes)), np.float32)
    for start in range(0, len(contrast), step):
        block = np.fft.rfft(padded[start : start + size], axis=0)
        product = np.matmul(block[:, np.newaxis], wanted)[:, 0]
        part = np.fft.irfft(product, size, axis=0)[:step][: len(contrast) - start]
        alike[start : start + len(part)] = part
    return alike
