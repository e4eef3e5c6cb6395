"""Reading recordings that somebody else made: WAV, FLAC or OGG, within bounds.

Theory
------
*What a header says is not believed.* It may promise hours, a gigahertz or a thousand
channels, and a few hundred bytes of FLAC hold hours of silence. So the first bytes say
whether it is one of three formats at all, before a decoder that knows forty sees it;
rate and channels are held to bounds; and it is read piece by piece until it ends or is
too long. No more than half a minute of stereo at the highest rate is ever in memory.

Not handled: more than two channels, other formats.
"""

import math
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import soundfile

from peep.errors import EngineError
from peep.sound.engine import SAMPLE_RATE_HZ

Floats = npt.NDArray[np.float64]

MAX_FILE_S = 30.0  # a one-shot; longer is a mistake, or memory for nothing
MAX_FILE_BYTES = 64 * 2**20  # half a minute of the widest that is usual: 46 MB
RATES_HZ = (8_000, 192_000)  # what recorders and editors write
SUFFIXES = (".wav", ".flac", ".ogg", ".oga")

_MAX_CHANNELS = 2
_PIECE_FRAMES = 65_536
_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS")
_MEND = "save it again as WAV, FLAC or OGG"


class RecordingError(EngineError):
    """A file that cannot be used: what is wrong, and the mend; without its name."""


class Recording(msgspec.Struct, frozen=True):
    """A recording as it lies in its file: shape (n, 1 or 2), full scale is 1."""

    channels: Floats
    rate_hz: int


def read_recording(path: Path) -> Recording:
    """Read a file. Raises RecordingError, one line."""
    if not path.is_file():
        raise RecordingError("no such file; put it there")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecordingError(f"larger than {MAX_FILE_BYTES >> 20} MiB; shorten it")
        with path.open("rb") as file:
            magic = file.read(4)
        if magic and magic not in _MAGIC:
            raise RecordingError(f"cannot be read (of another format); {_MEND}")
        if not magic:
            raise RecordingError("is empty; replace it")
        with soundfile.SoundFile(path) as sound:
            recording = _read(sound)
    # A TypeError is what soundfile makes of a name that ends in .raw.
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise RecordingError(f"cannot be read ({_why(error, path)}); {_MEND}") from None
    if not len(recording.channels):
        raise RecordingError("is empty; replace it")
    if not np.isfinite(recording.channels).all():
        raise RecordingError(f"holds samples that are not numbers; {_MEND}")
    return recording


def mono(recording: Recording) -> Floats:
    """Return a recording as mono at 48 kHz, without DC."""
    mixed = recording.channels.mean(axis=1)
    return resampled(mixed - mixed.mean(), recording.rate_hz)


def resampled(samples: Floats, rate_hz: int) -> Floats:
    """Change a sound's rate to 48 kHz through its spectrum, exact within the band."""
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    divisor = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    # Only whole numbers of these give a whole number of samples at both rates.
    unit = rate_hz // divisor
    units = math.ceil(1.02 * len(samples) / unit) + 1
    spectrum = np.fft.rfft(samples, units * unit)
    size = units * (SAMPLE_RATE_HZ // divisor)
    scaled = np.fft.irfft(spectrum[: size // 2 + 1], size) * (size / (units * unit))
    return np.asarray(
        scaled[: math.ceil(len(samples) * SAMPLE_RATE_HZ / rate_hz)], np.float64
    )


def _read(file: soundfile.SoundFile) -> Recording:
    low, high = RATES_HZ
    if not low <= file.samplerate <= high:
        raise RecordingError(
            f"has {file.samplerate:,} samples a second, must be {low:,} … {high:,}"
        )
    if file.channels > _MAX_CHANNELS:
        raise RecordingError(f"has {file.channels} channels; mix it to mono or stereo")
    left = int(MAX_FILE_S * file.samplerate)
    pieces = []
    while len(piece := file.read(_PIECE_FRAMES, dtype="float64", always_2d=True)):
        left -= len(piece)
        if left < 0:
            raise RecordingError(f"longer than {MAX_FILE_S:g} s; shorten it")
        pieces.append(piece)
    none = np.zeros((0, file.channels))
    return Recording(np.concatenate([none, *pieces]), file.samplerate)


def _why(error: Exception, path: Path) -> str:
    """Return a library's reason without the path, which whoever asks knows."""
    if isinstance(error, OSError):
        return error.strerror or "not there"
    said = str(getattr(error, "error_string", "")) or str(error)
    return said.replace(str(path), path.name).removesuffix(".")
