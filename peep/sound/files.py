"""Writing sound to a file, and saying in one line why it could not be.

The format comes from the file's name. FLAC and WAV hold 24 bits and are the same
bytes for the same sound; OGG is Vorbis, whose stream has a random serial number.
"""

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from peep.errors import EngineError
from peep.sound.engine import CHANNELS, SAMPLE_RATE_HZ

_FORMATS = {
    ".flac": ("FLAC", "PCM_24"),
    ".wav": ("WAV", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
}
# A WAV file counts its bytes in 32 bits; 4 h of 24-bit stereo, less a header.
_WAV_FRAMES = (2**32 - 65_536) // (3 * CHANNELS)


class SoundWriter:
    """A sound file being written. A file is whole only after `close` returned."""

    def __init__(self, path: Path) -> None:
        """Create the file. Raises EngineError if its name or place will not do."""
        self._path = path
        chosen = _FORMATS.get(path.suffix.lower())
        if chosen is None:
            known = ", ".join(_FORMATS)
            msg = f"cannot write {path}: the name must end in one of {known}"
            raise EngineError(msg)
        self._frames_left = _WAV_FRAMES if chosen[0] == "WAV" else None
        try:
            self._sink = _Sink(path)
        except OSError as error:
            raise EngineError(f"cannot write {path}: {error.strerror}") from error
        self._file: soundfile.SoundFile | None = soundfile.SoundFile(
            self._sink,
            "w",
            SAMPLE_RATE_HZ,
            CHANNELS,
            format=chosen[0],
            subtype=chosen[1],
        )

    def write(self, block: NDArray[np.float32]) -> None:
        """Append frames, shape (n, 2). Raises EngineError, and is then closed."""
        if self._file is None:
            raise EngineError(f"{self._path} is closed")
        if self._frames_left is not None:
            self._frames_left -= len(block)
            if self._frames_left < 0:
                self.close()
                msg = f"{self._path} is full: a WAV file holds 4 hours; use .flac"
                raise EngineError(msg)
        self._file.write(block)
        if self._sink.error is not None:
            self.close()

    def close(self) -> None:
        """Finish the file. Raises EngineError if that fails; may be called twice."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        self._sink.close()
        if self._sink.error is not None:
            reason = self._sink.error.strerror
            raise EngineError(f"{self._path} is incomplete and of no use: {reason}")


class _Sink(io.RawIOBase):
    """A file that remembers its first error instead of raising it.

    libsndfile calls it from C, where an exception would be printed and lost.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._raw = path.open("wb", buffering=0)

    def write(self, data: bytes) -> int:  # type: ignore[override]  # libsndfile gives bytes
        rest = memoryview(data)
        while rest and self.error is None:
            try:
                rest = rest[self._raw.write(rest) :]
            except OSError as error:
                self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        self._raw.close()
        super().close()
