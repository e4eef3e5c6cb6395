"""Samples made once and kept, so that the next sound process need not make them.

Making a theme's sounds takes a second; a sound process that takes over from one that
died has no second to lose. The first writes what it made into an anonymous file that
Peep holds; those that follow read it. Nobody else can: it has no name.

The file is a length (8 bytes), the table as MessagePack, and the samples as they are.
"""

import os
import struct

import msgspec
import numpy as np

from peep.sound.samples import Samples
from peep.theme import SoundBank

_LENGTH = struct.Struct("=Q")


class _Table(msgspec.Struct, frozen=True):
    """What is in the file: sound, variant and number of samples, in order."""

    bank: SoundBank
    entries: tuple[tuple[str, int, int], ...]


def make_keeper() -> int:
    """Return the descriptor of an empty file to keep samples in."""
    return os.memfd_create("peep-samples", os.MFD_CLOEXEC)


def keep(fd: int, samples: Samples) -> None:
    """Write what was made."""
    entries = tuple((*key, len(array)) for key, array in samples.arrays.items())
    table = msgspec.msgpack.encode(_Table(samples.bank, entries))
    with open(fd, "wb", closefd=False) as file:
        # The length comes last: a file without one was not finished.
        file.write(_LENGTH.pack(0) + table)
        file.writelines(
            array.astype(np.float32).tobytes() for array in samples.arrays.values()
        )
    os.pwrite(fd, _LENGTH.pack(len(table)), 0)


def has_kept(fd: int) -> bool:
    """Say whether `kept` will return something."""
    return any(os.pread(fd, _LENGTH.size, 0))


def kept(fd: int) -> Samples | None:
    """Return what was kept, or None if nothing was yet."""
    size_bytes = os.fstat(fd).st_size
    data = memoryview(os.pread(fd, size_bytes, 0))
    length = _LENGTH.unpack(data[: _LENGTH.size])[0] if data else 0
    if not length:
        return None
    begin = _LENGTH.size + length
    table = msgspec.msgpack.decode(data[_LENGTH.size : begin], type=_Table)
    floats = np.frombuffer(data[begin:], np.float32)
    arrays, at = {}, 0
    for sound, variant, count in table.entries:
        arrays[sound, variant] = floats[at : at + count]
        at += count
    return Samples(arrays, table.bank)
