"""Filling a socket of the loopback, at once or evenly, and a C loop that empties it."""

from __future__ import annotations

import ctypes
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOST = "127.0.0.1"
SOURCE = Path(__file__).with_name("drain.c")
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")


def compiled(directory: Path) -> Callable[[int], int]:
    """Return C's `drain(fd)`; the bench ends where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("no C compiler (cc, gcc): there is nothing to compare with")
    made = directory / "drain.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", made, SOURCE], check=True
    )
    drain = ctypes.CDLL(str(made)).drain
    drain.argtypes, drain.restype = [ctypes.c_int], ctypes.c_long
    return drain


def drops(sock: socket.socket) -> int:
    """Return how many datagrams the kernel dropped at a socket."""
    return _meminfo(sock)[-1]


def queued_bytes(sock: socket.socket) -> int:
    """Return how much memory waits in a socket to be read."""
    return _meminfo(sock)[0]


def room(sock: socket.socket, sender: socket.socket, size_bytes: int) -> int:
    """Return how many datagrams of a size fit into a socket, and leave it empty."""
    before, sent = drops(sock), 0
    while drops(sock) == before:
        sender.send(bytes(size_bytes))
        sent += 1
    while True:
        try:
            sock.recv(1)
        except BlockingIOError:
            return sent - 1


def fill(sender: socket.socket, datagrams: Sequence[bytes]) -> None:
    """Send all of them."""
    send = sender.send
    for data in datagrams:
        send(data)


def offer(sender: socket.socket, datagrams: list[bytes], rate: float) -> None:
    """Send datagrams evenly, so many a second."""
    begin, sent = time.monotonic(), 0
    while sent < len(datagrams):
        due = min(len(datagrams), int((time.monotonic() - begin) * rate) + 1)
        for data in datagrams[sent:due]:
            sender.send(data)
        sent = due
        time.sleep(0.0005)


def _meminfo(sock: socket.socket) -> tuple[int, ...]:
    raw = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    return _MEMINFO.unpack(raw)
