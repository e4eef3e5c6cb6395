"""The sound as an endless Ogg Vorbis file, encoded once for all who play it.

Such a file begins with pages that say how to decode the rest (their granule position
is 0); whoever comes later is given those first, and then what is encoded from now on,
page by page. Players take that for a file that has lost its beginning.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import soundfile

from peep.sound.engine import CHANNELS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from peep.sound.ring import Pcm

_HEAD: Final = struct.Struct("<4sBBqIIIB")  # up to the number of segments
_LONGEST_HEADER: Final = 65_536


class _Sink:
    """A file that is only ever appended to, as libsndfile wants one."""

    def __init__(self) -> None:
        self.fresh = bytearray()
        self._size = 0

    def write(self, data: bytes) -> int:
        self.fresh += data
        self._size += len(data)
        return len(data)

    def seek(self, _offset: int, _whence: int = 0) -> int:
        return self._size

    def tell(self) -> int:
        return self._size

    def read(self, _size: int = -1) -> bytes:
        return b""

    def flush(self) -> None:
        pass


class OggStream:
    """Encodes samples; `header` is what every player needs first."""

    def __init__(self) -> None:
        self.header = b""
        self._sink = _Sink()
        self._unread = bytearray()
        self._file = soundfile.SoundFile(
            self._sink,
            "w",
            SAMPLE_RATE_HZ,
            CHANNELS,
            format="OGG",
            subtype="VORBIS",
            compression_level=0.5,
        )

    def encode(self, pcm: Pcm) -> bytes:
        """Take samples, shape (n, 2); return the pages that are ready, possibly none.

        Header pages are kept, not returned.
        """
        self._file.write(pcm)
        self._unread += self._sink.fresh
        self._sink.fresh.clear()
        ready = b""
        while (size := _page_bytes(self._unread)) is not None:
            page = bytes(self._unread[:size])
            del self._unread[:size]
            is_header = _HEAD.unpack_from(page)[3] == 0
            if is_header and len(self.header) < _LONGEST_HEADER:
                self.header += page
            else:
                ready += page
        return ready

    def close(self) -> None:
        """Stop encoding."""
        self._file.close()


def _page_bytes(data: bytearray) -> int | None:
    """Return how long the page at the beginning is, None if it is not whole yet."""
    if len(data) < _HEAD.size:
        return None
    segments = _HEAD.unpack_from(data)[7]
    if len(data) < _HEAD.size + segments:
        return None
    body = sum(data[_HEAD.size : _HEAD.size + segments])
    size = _HEAD.size + segments + body
    return size if len(data) >= size else None
