"""How loud a sound is: ITU-R BS.1770-4 at 48 kHz, live by blocks or of a whole array.

Theory
------
*Loudness* is the power of the K-weighted signal (a shelf of +4 dB above about
1.5 kHz for the head, then a high-pass at 38 Hz), summed over the channels:
L = -0.691 + 10 log10(sum of mean squares), in LUFS. *Momentary* loudness looks at the
last 400 ms, in steps of 100 ms here. *Integrated* loudness is the mean power of those
400 ms windows, of the ones above -70 LUFS and above the mean of these less 10 LU.

*K-weighting by blocks.* The filter is recursive, so numpy cannot run it sample by
sample. As a linear system with four numbers of state s it can be run exactly, a block
of n samples x at a time: y = H x + O s and s' = A^n s + R x. H is the Toeplitz matrix
of the impulse response, row i of O is C A^i, column j of R is A^(n-1-j) B. H, O and R
for shorter blocks are corners of those for the longest, so any split gives the same.
The engine's block is one product by H, and so are many blocks at once: only the four
numbers go from block to block.

*Gating over hours.* Windows are counted in bins of 0.01 LU, each with the sum of its
powers: the mean is exact, and the gate stands at the lower edge of its bin, so the only
error is that windows less than 0.01 LU below the gate count too. Were they half of all,
that would be 3 LU, but so much would 0.01 dB in those do to the standard itself; in
a minute of very uneven sound (spread 10 dB) it is 0.03 LU. Memory is bounded (128 KiB).

*True peak* is the highest magnitude between the samples: three more points between
each two (4 times oversampled), by a windowed sinc whose fourth phase is the sample
itself. It runs eight samples behind.

Not handled: other rates, more than two channels (the surround weights).
"""

import math
from collections import deque

import msgspec
import numpy as np
import numpy.typing as npt

from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ

Samples32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

STEP_FRAMES = SAMPLE_RATE_HZ // 10  # 100 ms
WINDOW_STEPS = 4  # 400 ms

# BS.1770-4, tables 1 and 2: b0 b1 b2 a1 a2 at 48 kHz.
_SHELF = (
    1.53512485958697,
    -2.69169618940638,
    1.19839281085285,
    -1.69065929318241,
    0.73248077421585,
)
_HIGH_PASS = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)

_OFFSET_DB = -0.691  # makes 997 Hz read as on a plain meter (BS.1770-4)
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_BIN_LU = 0.01
_BINS = 8_000  # -70 … +10 LUFS; louder is counted in the last

_HALF_TAPS = 8  # passband flat to 0.1 dB up to 18 kHz
# Below this the filter's memory is noise of the arithmetic (-400 dB); left alone it
# would become denormal numbers, which are slow.
_STATE_FLOOR = 1e-20


class Loudness(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole sound measures; -inf where there is nothing."""

    integrated_lufs: float
    max_momentary_lufs: float
    true_peak_dbtp: float


class LoudnessMeter:
    """Measures a stereo stream, block by block; each reading is -inf before any."""

    def __init__(self) -> None:
        self._weighting = _KWeighting(channels=2)
        self._peak = _TruePeak(channels=2)
        self._gate = _Gate()
        self._steps: deque[float] = deque(maxlen=WINDOW_STEPS)
        self._step_power = 0.0
        self._step_frames = 0
        self._momentary_lufs = -math.inf
        self._max_momentary_lufs = -math.inf

    @property
    def momentary_lufs(self) -> float:
        """Loudness of the last whole 400 ms, renewed every 100 ms."""
        return self._momentary_lufs

    @property
    def max_momentary_lufs(self) -> float:
        """The highest momentary loudness so far."""
        return self._max_momentary_lufs

    @property
    def integrated_lufs(self) -> float:
        """Gated loudness of everything so far."""
        return self._gate.integrated_lufs()

    @property
    def true_peak_dbtp(self) -> float:
        """The highest true peak so far, in dB re full scale."""
        return _decibels(self._peak.highest**2)

    def feed(self, block: Samples32) -> None:
        """Take the next frames, shape (n, 2), any n. What is not a number is 0."""
        if not len(block):
            return
        # One NaN would stay in the filter's memory for ever.
        if not math.isfinite(float(np.abs(block).sum())):
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        self._peak.feed(block)
        weighted = self._weighting.feed(block)
        start = 0
        while start < len(weighted):
            stop = start + STEP_FRAMES - self._step_frames
            piece = weighted[start:stop].ravel()
            self._step_power += float(piece @ piece)
            self._step_frames += piece.size // 2
            start = stop
            if self._step_frames == STEP_FRAMES:
                self._end_step()

    def _end_step(self) -> None:
        self._steps.append(self._step_power / STEP_FRAMES)
        self._step_power = 0.0
        self._step_frames = 0
        if len(self._steps) == WINDOW_STEPS:
            power = sum(self._steps) / WINDOW_STEPS
            self._gate.add(power)
            self._momentary_lufs = _lufs(power)
            self._max_momentary_lufs = max(
                self._max_momentary_lufs, self._momentary_lufs
            )


def measure(samples: Samples32) -> Loudness:
    """Measure a whole sound, shape (n,) or (n, 2), as if silence stood around it.

    A mono sound counts as one channel, which is how loud it is through a pan of equal
    power, wherever it is panned.
    """
    channels = _columns(samples)
    silence = np.zeros((WINDOW_STEPS * STEP_FRAMES, channels.shape[1]), np.float32)
    stereo = np.zeros((len(channels) + 2 * len(silence), 2), np.float32)
    stereo[len(silence) : len(silence) + len(channels), : channels.shape[1]] = channels
    meter = LoudnessMeter()
    meter.feed(stereo)
    return Loudness(
        integrated_lufs=meter.integrated_lufs,
        max_momentary_lufs=momentary_max_lufs(samples),
        true_peak_dbtp=meter.true_peak_dbtp,
    )


def momentary_max_lufs(samples: Samples32) -> float:
    """Return the loudness of the loudest 400 ms of a sound, shape (n,) or (n, 2).

    The window moves sample by sample, so that the answer does not depend on where a
    step of 100 ms happens to fall; silence is padded as needed.
    """
    channels = _columns(samples)
    window = WINDOW_STEPS * STEP_FRAMES
    # Half a window for the filter's own decay.
    padded = np.pad(channels, ((0, window // 2), (0, 0)))
    weighted = _KWeighting(channels.shape[1]).feed(padded)
    power = np.einsum("ij,ij->i", weighted, weighted)
    so_far = np.concatenate((np.zeros(1), np.cumsum(power)))
    if len(power) <= window:
        return _lufs(float(so_far[-1]) / window)
    most = np.max(so_far[window:] - so_far[:-window])
    return _lufs(float(most) / window)


def true_peak_dbtp(samples: Samples32) -> float:
    """Return the true peak of a whole sound, shape (n,) or (n, 2), in dBTP."""
    channels = _columns(samples)
    peak = _TruePeak(channels.shape[1])
    peak.feed(np.pad(channels, ((0, 2 * _HALF_TAPS), (0, 0))))
    return _decibels(peak.highest**2)


class _KWeighting:
    """The K-weighting filter of a stream; its memory is four numbers a channel."""

    def __init__(self, channels: int) -> None:
        self._state: Floats = np.zeros((4, channels))

    def feed(self, frames: npt.NDArray[np.floating]) -> Floats:
        """Weight the next frames, shape (n, channels); the same shape comes back."""
        whole = len(frames) - len(frames) % BLOCK_FRAMES
        if len(frames) == BLOCK_FRAMES:
            return self._blocks(frames, BLOCK_FRAMES)
        return np.concatenate(
            (
                self._blocks(frames[:whole], BLOCK_FRAMES),
                self._blocks(frames[whole:], len(frames) - whole),
            )
        )

    def _blocks(self, frames: npt.NDArray[np.floating], length: int) -> Floats:
        """Weight a whole number of blocks of one length, at most BLOCK_FRAMES."""
        channels = frames.shape[1]
        if not frames.size:
            return np.zeros((0, channels))
        count = len(frames) // length
        # One column for each block and channel, so that each matrix is used once.
        columns = (
            frames.reshape(count, length, channels)
            .transpose(1, 0, 2)
            .reshape(length, count * channels)
            .astype(np.float64)
        )
        drive = _REACH[:, BLOCK_FRAMES - length :] @ columns
        states = np.empty((4, count * channels))
        for block in range(count):
            here = slice(block * channels, (block + 1) * channels)
            states[:, here] = self._state
            self._state = _POWERS[length] @ self._state + drive[:, here]
        if np.abs(self._state).max() < _STATE_FLOOR:
            self._state[:] = 0.0
        weighted = _RESPONSE[:length, :length] @ columns + _OBSERVE[:length] @ states
        return (
            weighted.reshape(length, count, channels)
            .transpose(1, 0, 2)
            .reshape(len(frames), channels)
        )


class _TruePeak:
    """The highest magnitude of a stream, looked at four times a sample."""

    def __init__(self, channels: int) -> None:
        self.highest = 0.0
        self._before = np.zeros((2 * _HALF_TAPS - 1, channels), np.float32)

    def feed(self, frames: Samples32) -> None:
        """Take the next frames, shape (n, channels)."""
        joined = np.concatenate((self._before, frames))
        self._before = joined[1 - 2 * _HALF_TAPS :]
        # (n, channels, taps): each frame with those before it
        windows = np.lib.stride_tricks.sliding_window_view(
            joined, 2 * _HALF_TAPS, axis=0
        )
        between = windows.reshape(-1, 2 * _HALF_TAPS) @ _BETWEEN
        for points in (frames, between):
            highest = max(float(points.max()), -float(points.min()))
            self.highest = max(self.highest, highest)


class _Gate:
    """The powers of all 400 ms windows, by loudness: see *Gating over hours*."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._powers = np.zeros(_BINS)

    def add(self, power: float) -> None:
        """Count one window."""
        loudness = _lufs(power)
        if loudness > _ABSOLUTE_GATE_LUFS:
            chosen = min(_bin(loudness), _BINS - 1)
            self._counts[chosen] += 1
            self._powers[chosen] += power

    def integrated_lufs(self) -> float:
        """Return the gated loudness, or -inf."""
        count = int(self._counts.sum())
        if not count:
            return -math.inf
        gate = _lufs(float(self._powers.sum()) / count) + _RELATIVE_GATE_LU
        first = min(max(_bin(gate), 0), _BINS - 1)
        return _lufs(
            float(self._powers[first:].sum()) / int(self._counts[first:].sum())
        )


def _bin(loudness_lufs: float) -> int:
    return math.floor((loudness_lufs - _ABSOLUTE_GATE_LUFS) / _BIN_LU)


def _lufs(power: float) -> float:
    return _OFFSET_DB + _decibels(power)


def _decibels(power: float) -> float:
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def _columns(samples: Samples32) -> Samples32:
    return samples[:, np.newaxis] if samples.ndim == 1 else samples


def _system() -> tuple[Floats, Floats, Floats, float]:
    """Return A, B, C, D of the shelf followed by the high-pass."""
    (a1, b1, c, d1), (a2, b2, _, d2) = _section(_SHELF), _section(_HIGH_PASS)
    step = np.block([[a1, np.zeros((2, 2))], [np.outer(b2, c), a2]])
    return step, np.concatenate((b1, b2 * d1)), np.concatenate((c * d2, c)), d1 * d2


def _section(coefficients: tuple[float, ...]) -> tuple[Floats, Floats, Floats, float]:
    """Return A, B, C, D of one biquad in transposed direct form II."""
    b0, b1, b2, a1, a2 = coefficients
    step = np.array([[-a1, 1.0], [-a2, 0.0]])
    return step, np.array([b1 - a1 * b0, b2 - a2 * b0]), np.array([1.0, 0.0]), b0


def _matrices() -> tuple[Floats, Floats, Floats, Floats]:
    """Return H, O, R and the powers of A, for BLOCK_FRAMES (see the theory)."""
    step, inward, outward, through = _system()
    powers = np.empty((BLOCK_FRAMES + 1, 4, 4))
    powers[0] = np.eye(4)
    for exponent in range(BLOCK_FRAMES):
        powers[exponent + 1] = step @ powers[exponent]
    observe = outward @ powers[:BLOCK_FRAMES]
    reach = (powers[BLOCK_FRAMES - 1 :: -1] @ inward).T
    impulse = np.concatenate(([through], observe[:-1] @ inward))
    row, column = np.indices((BLOCK_FRAMES, BLOCK_FRAMES))
    response = np.where(row >= column, impulse[row - column], 0.0)
    return response, observe, np.ascontiguousarray(reach), powers


def _between() -> Samples32:
    """Return the taps that give the three points between samples, (taps, 3)."""
    quarter = np.arange(1, 4) / 4.0
    offset = np.arange(2 * _HALF_TAPS)[:, np.newaxis] - (_HALF_TAPS - 1) - quarter
    window = np.i0(6.0 * np.sqrt(1.0 - (offset / _HALF_TAPS) ** 2)) / np.i0(6.0)
    taps = np.sinc(offset) * window
    return np.asarray(taps / taps.sum(axis=0), np.float32)


_RESPONSE, _OBSERVE, _REACH, _POWERS = _matrices()
_BETWEEN = _between()
