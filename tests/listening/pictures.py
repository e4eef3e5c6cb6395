"""Spectrograms as PNG files: level over pitch and time.

Pitch goes up evenly by octaves from LOW_HZ to HIGH_HZ, with a thin line at each of
LINES_HZ. Bright is loud; black is DEPTH_DB under the loudest, or less.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW_HZ, HIGH_HZ = 60.0, 16_000.0
LINES_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
HEIGHT = 240
DEPTH_DB = 80.0
WINDOW = 2048
# Black, violet, red, orange, pale yellow: each lighter than the one before.
_COLOURS = ((0, 0, 4), (80, 18, 123), (182, 54, 121), (251, 136, 97), (252, 253, 191))


def spectrogram(mono: NDArray[np.floating], pixels_s: float) -> bytes:
    """Return a sound as a PNG file, so many pixels a second wide."""
    hop = max(1, round(RATE_HZ / pixels_s))
    padded = np.pad(np.asarray(mono, float), WINDOW // 2)
    # A slow picture shows all of what is between its columns, not a glimpse of it.
    fine = max(1, min(hop, WINDOW // 4))
    frequency, _, spectra = signal.stft(
        padded, RATE_HZ, nperseg=WINDOW, noverlap=WINDOW - fine, boundary=None
    )
    power = np.abs(spectra) ** 2
    together = max(1, round(hop / fine))
    whole = power.shape[1] // together * together
    power = power[:, :whole].reshape(len(frequency), -1, together).mean(axis=2)
    rows_hz = np.geomspace(HIGH_HZ, LOW_HZ, HEIGHT)
    low = np.searchsorted(frequency, rows_hz / 1.012)
    high = np.maximum(low + 1, np.searchsorted(frequency, rows_hz * 1.012))
    levels = np.array([power[a:b].mean(axis=0) for a, b in zip(low, high, strict=True)])
    decibels = 10 * np.log10(levels + 1e-14)
    shade = 1 + (decibels - decibels.max()) / DEPTH_DB
    image = _coloured(np.clip(shade, 0.0, 1.0))
    for hz in LINES_HZ:
        image[int(np.argmin(np.abs(rows_hz - hz)))] //= 2
        image[int(np.argmin(np.abs(rows_hz - hz)))] += 40
    return png(image)


def png(image: NDArray[np.uint8]) -> bytes:
    """Return an image, shape (height, width, 3), as a PNG file."""
    height, width, _ = image.shape
    # Each row begins with the number of its filter: none.
    rows = np.concatenate(
        (np.zeros((height, 1), np.uint8), image.reshape(height, -1)), axis=1
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def _coloured(shade: NDArray[np.floating]) -> NDArray[np.uint8]:
    stops = np.linspace(0, 1, len(_COLOURS))
    parts = [np.interp(shade, stops, part) for part in np.transpose(_COLOURS)]
    return np.stack(parts, axis=-1).astype(np.uint8)
