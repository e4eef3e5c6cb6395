"""One reader of the ring, and one encoder, for all who listen.

Every 20 ms what is new becomes packets, once, however many listen. A packet is the
number of its first frame (8 bytes, little-endian) and 960 frames of 16-bit stereo.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from peep.console.fan import Fan
from peep.console.ogg import OggStream
from peep.sound.engine import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from peep.sound.ring import Pcm, Ring

PACKET_FRAMES: Final = 960
PACKET_S: Final = PACKET_FRAMES / SAMPLE_RATE_HZ
QUEUE_PACKETS: Final = 25  # half a second: more would be the past
QUEUE_PAGES: Final = 16  # of some 0.2 s: players keep seconds themselves
MAX_LISTENERS: Final = 64  # 192 kB/s each


class Packet:
    """A piece of sound: the number of its first frame, and the samples."""

    def __init__(self, begin: int, pcm: Pcm) -> None:
        self.pcm = pcm
        self.samples = pcm.astype("<i2").tobytes()
        self.numbered = begin.to_bytes(8, "little") + self.samples


class Tap:
    """Reads the ring from `run` on, while anybody listens."""

    def __init__(self, ring: Ring) -> None:
        self.packets: Fan[Packet] = Fan(QUEUE_PACKETS)
        self.pages: Fan[bytes] = Fan(QUEUE_PAGES)
        self.page_header = b""
        self._ring = ring

    def full(self) -> bool:
        """Say whether more listeners would be too many."""
        return len(self.packets) + len(self.pages) >= MAX_LISTENERS

    async def run(self) -> None:
        """Read and encode, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_on())
            group.create_task(self._encode_on())

    async def _read_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.packets.anybody()
            at, due = self._ring.frames, loop.time()
            while len(self.packets):
                at = self.read(at)
                due = max(due + PACKET_S, loop.time())
                await asyncio.sleep(due - loop.time())

    def read(self, at: int) -> int:
        """Give out whole packets from a frame on; return where to go on."""
        while self._ring.frames - at >= PACKET_FRAMES:
            begin, pcm = self._ring.read(at, PACKET_FRAMES)
            if len(pcm) < PACKET_FRAMES:
                break
            self.packets.offer(Packet(begin, pcm))
            at = begin + PACKET_FRAMES
        return at

    async def _encode_on(self) -> None:
        while True:
            await self.pages.anybody()
            stream, listener = OggStream(), self.packets.join()
            try:
                async for packet in listener:
                    pages = stream.encode(packet.pcm)
                    self.page_header = stream.header
                    if pages:
                        self.pages.offer(pages)
                    if not len(self.pages):
                        break
            finally:
                self.packets.leave(listener)
                stream.close()
                self.page_header = b""
