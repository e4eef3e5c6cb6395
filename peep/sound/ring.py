"""The last of what sounded, for whoever wants to hear it: a ring in shared memory.

One writes (the sound process, block by block), any number read; nobody waits. The ring
is an anonymous file that both map, so it goes with the last of them. It outlives the
sound process: the next one goes on where the last stopped, and listeners notice a gap,
not an end.

A page of numbers comes first: what this is, and how many frames were ever written.
That count is stored after the samples it counts, and a reader looks at it again when
it has copied: what was overtaken meanwhile is not given out.
"""

import mmap
import os
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from peep.sound.engine import CHANNELS, SAMPLE_RATE_HZ

# "Play the last 30 seconds again", with room to spare; 8 MiB as 16-bit samples.
RING_FRAMES: Final = 2**21
_HEADER_BYTES: Final = mmap.PAGESIZE
_MAGIC: Final = 0x31_474E_4952_5045_45  # "EEPRING1", as it lies in memory
_FULL_SCALE: Final = 32_767.0
_FRAME_BYTES: Final = CHANNELS * 2
# What a writer may overwrite while a reader copies: a tenth of a second.
_MARGIN_FRAMES: Final = SAMPLE_RATE_HZ // 10

Pcm = NDArray[np.int16]


class Ring:
    """Stereo sound of 16 bits at 48 kHz. `fd` is what another process attaches by."""

    def __init__(self, fd: int) -> None:
        """Attach to a ring that was made. Raises ValueError if it is none."""
        self.fd = fd
        size_bytes = os.fstat(fd).st_size
        if size_bytes != _HEADER_BYTES + RING_FRAMES * _FRAME_BYTES:
            raise ValueError("not a ring: wrong size")
        memory = mmap.mmap(fd, size_bytes)
        self._header = np.frombuffer(memory, np.uint64, count=2)
        pcm = np.frombuffer(memory, np.int16, offset=_HEADER_BYTES)
        self._pcm = pcm.reshape(RING_FRAMES, CHANNELS)
        if int(self._header[0]) != _MAGIC:
            raise ValueError("not a ring")

    @property
    def frames(self) -> int:
        """How many frames were ever written."""
        return int(self._header[1])

    def write(self, block: NDArray[np.float32]) -> None:
        """Add a block, shape (n, 2), n a divisor of the ring's length."""
        at = self.frames % RING_FRAMES
        np.multiply(
            np.clip(block, -1.0, 1.0),
            _FULL_SCALE,
            out=self._pcm[at : at + len(block)],
            casting="unsafe",
        )
        self._header[1] += np.uint64(len(block))

    def read(self, begin: int, most: int) -> tuple[int, Pcm]:
        """Return frames from `begin` on, and where they really begin.

        That is later than asked where the ring holds no more, and the copy is empty
        where there is nothing yet. Shape (n, 2), n at most `most`.
        """
        oldest = max(0, self.frames - RING_FRAMES + _MARGIN_FRAMES)
        begin = max(begin, oldest)
        count = max(0, min(most, self.frames - begin))
        at = begin % RING_FRAMES
        copy = self._pcm[at : at + count].copy()
        if len(copy) < count:
            copy = np.concatenate((copy, self._pcm[: count - len(copy)]))
        overtaken = self.frames - RING_FRAMES - begin
        return (begin, copy) if overtaken <= 0 else self.read(begin + overtaken, most)

    def close(self) -> None:
        """Give up the descriptor; the memory goes with the last view of it."""
        os.close(self.fd)


def make_ring() -> Ring:
    """Return a new ring, of silence."""
    fd = os.memfd_create("peep-ring", os.MFD_CLOEXEC)
    os.ftruncate(fd, _HEADER_BYTES + RING_FRAMES * _FRAME_BYTES)
    os.pwrite(fd, struct.pack("=QQ", _MAGIC, 0), 0)
    return Ring(fd)
