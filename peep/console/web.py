"""The console's pages and streams, as a Starlette application.

    /              the page                    /now        WebSocket: JSON, what sounds
    /static/…      its files                   /listen     WebSocket: packets (tap.py)
    /stream.wav    the sound, for players      /stream.ogg the same in fewer bytes
    /healthz       "ok", or 503 and why not

What came over the network is only ever sent as JSON, and the page shows it as text.
"""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import (
    FileResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from peep.console.gate import COOKIE, Gate
from peep.console.guard import Guard
from peep.console.tap import Tap
from peep.sound.engine import CHANNELS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from peep.console.fan import Listener
    from peep.console.port import Port
    from peep.console.tap import Packet

STATIC: Final = Path(__file__).parent / "static"
NOW_S: Final = 0.25  # between looks at what sounds
STALE_S: Final = 1.0  # a last block older than this is no sound
_FULL: Final = "More listen already than this server has room for.\n"
_TRY_LATER: Final = 1013  # of WebSocket's registry of closing codes
_NO_CUES: Final = 2**62  # after a number that none has
_json = msgspec.json.Encoder().encode


class Console:
    """The application, and what it shares among those who listen."""

    def __init__(self, port: Port, token: str | None) -> None:
        """Show a server; ask strangers for the token if there is one."""
        self._port = port
        self._tap = Tap(port.ring)
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/stream.wav", self._wav),
                Route("/stream.ogg", self._ogg),
                Route("/healthz", self._health),
                WebSocketRoute("/now", self._now),
                WebSocketRoute("/listen", self._listen),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[Middleware(Guard, gate=Gate(token))],
        )

    async def run(self) -> None:
        """Feed those who listen, for ever."""
        await self._tap.run()

    # -- pages ----------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        token = request.query_params.get("token")
        if token is None:
            return FileResponse(STATIC / "index.html")
        # Out of the address bar, where it would be seen and remembered.
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return answer

    async def _health(self, _request: Request) -> Response:
        now = self._port.now(_NO_CUES)
        if now.failure is not None:
            return PlainTextResponse(f"{now.failure}\n", 503)
        if now.age_s > STALE_S:
            return PlainTextResponse(f"no sound for {now.age_s:.0f} s\n", 503)
        return PlainTextResponse("ok\n")

    async def _now(self, socket: WebSocket) -> None:
        await socket.accept()
        await _while_open(socket, self._tell_now(socket))

    async def _tell_now(self, socket: WebSocket) -> None:
        after = 0
        while True:
            now = self._port.now(after)
            after = max((cue.number for cue in now.cues), default=after)
            await socket.send_text(_json(now).decode())
            await asyncio.sleep(NOW_S)

    # -- sound ----------------------------------------------------------------------

    async def _listen(self, socket: WebSocket) -> None:
        await socket.accept()
        if self._tap.full():
            await socket.close(_TRY_LATER)
            return
        listener = self._tap.packets.join()
        try:
            await _while_open(socket, _send(socket, listener))
        finally:
            self._tap.packets.leave(listener)

    async def _wav(self, _request: Request) -> Response:
        return self._stream("audio/wav", self._wav_parts())

    async def _ogg(self, _request: Request) -> Response:
        return self._stream("audio/ogg", self._ogg_parts())

    def _stream(self, kind: str, parts: AsyncGenerator[bytes, None]) -> Response:
        if self._tap.full():
            return PlainTextResponse(_FULL, 503)
        return StreamingResponse(parts, media_type=kind)

    async def _wav_parts(self) -> AsyncGenerator[bytes, None]:
        listener = self._tap.packets.join()
        try:
            yield wav_header()
            async for packet in listener:
                yield packet.samples
        finally:
            self._tap.packets.leave(listener)

    async def _ogg_parts(self) -> AsyncGenerator[bytes, None]:
        listener = self._tap.pages.join()
        begun = False
        try:
            async for pages in listener:
                # There is a header once there is a page.
                yield pages if begun else self._tap.page_header + pages
                begun = True
        finally:
            self._tap.pages.leave(listener)


def wav_header() -> bytes:
    """Return the header of a WAV file without an end: players read on for ever."""
    endless = 0xFFFF_FFFF
    frame_bytes = 2 * CHANNELS
    return b"RIFF%sWAVEfmt %sdata%s" % (
        struct.pack("<I", endless),
        struct.pack(
            "<IHHIIHH",
            16,  # bytes of this part
            1,  # PCM
            CHANNELS,
            SAMPLE_RATE_HZ,
            SAMPLE_RATE_HZ * frame_bytes,
            frame_bytes,
            16,
        ),
        struct.pack("<I", endless),
    )


async def _send(socket: WebSocket, listener: Listener[Packet]) -> None:
    async for packet in listener:
        await socket.send_bytes(packet.numbered)


async def _while_open(socket: WebSocket, sending: Coroutine[None, None, None]) -> None:
    """Send until the other side closes, or reads no more."""
    tasks = {asyncio.create_task(sending), asyncio.create_task(_closed(socket))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _closed(socket: WebSocket) -> None:
    # Nothing that is said matters, but that it ends.
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
