"""What passes between Peep and its sound process, and how.

A SOCK_SEQPACKET pair keeps messages whole and tells each side at once when the other
is gone. Peep sends one Setup, then lists of commands; closing its half for writing
asks the sound process to end. The sound process answers the Setup with Ready or
Refused, then sends a Status about ten times a second, and a last one at its end.

Setup and Ready may be larger than a socket takes at once: they go in parts, each with
a first byte that says whether more follow. All others are one packet each.
"""

import socket
from typing import Final

import msgspec

from peep.mixer.commands import Command
from peep.sound.engine import Meters
from peep.theme import SoundBank, Theme

# A packet must fit the smallest send buffer of a Unix socket with room to spare.
MAX_PACKET_BYTES: Final = 32_768
# A command is at most some 150 bytes: a name of 64, and numbers.
COMMANDS_PER_PACKET: Final = 64
_MAX_PARTS = 512  # 16 MiB: far beyond any theme
_MORE, _LAST = b"\x01", b"\x00"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """All that the sound process needs to begin."""

    theme: Theme
    directory: str
    output: str
    seed: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The sound process sounds: what it made, and a line for the operator."""

    bank: SoundBank
    note: str | None


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The sound process cannot begin, or cannot go on, and why."""

    message: str


class Status(msgspec.Struct, frozen=True, tag=True):
    """How the sound process is doing."""

    meters: Meters
    failure: str | None
    ignored: int


decode_commands = msgspec.msgpack.Decoder(list[Command]).decode
decode_status = msgspec.msgpack.Decoder(Status).decode
_answers: msgspec.msgpack.Decoder[Ready | Refused] = msgspec.msgpack.Decoder(
    Ready | Refused
)
_setups = msgspec.msgpack.Decoder(Setup)
_encode = msgspec.msgpack.Encoder().encode


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_long(end: socket.socket, message: Setup | Ready | Refused) -> None:
    """Send a message of any length; blocks as the socket's timeout allows."""
    data = _encode(message)
    size = MAX_PACKET_BYTES - 1
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    for part in parts[:-1]:
        end.send(_MORE + part)
    end.send(_LAST + parts[-1])


def receive_setup(end: socket.socket) -> Setup:
    """Receive a Setup. Raises EOFError, msgspec.DecodeError or OSError."""
    return _setups.decode(_receive_long(end))


def receive_answer(end: socket.socket) -> Ready | Refused:
    """Receive the answer to one. Raises EOFError, msgspec.DecodeError or OSError."""
    return _answers.decode(_receive_long(end))


def _receive_long(end: socket.socket) -> bytes:
    parts = []
    for _ in range(_MAX_PARTS):
        packet = end.recv(MAX_PACKET_BYTES)
        if not packet:
            break
        parts.append(packet[1:])
        if packet[:1] == _LAST:
            return b"".join(parts)
    raise EOFError


def post(end: socket.socket, message: Status | list[Command]) -> bool:
    """Send one packet without waiting; False if there was no room, or no one."""
    data = _encode(message)
    assert len(data) <= MAX_PACKET_BYTES
    try:
        end.send(data, socket.MSG_DONTWAIT)
    except OSError:
        return False
    return True


def poll(end: socket.socket) -> bytes | None:
    """Receive one packet without waiting: None if there is none, b"" at the end."""
    try:
        return end.recv(MAX_PACKET_BYTES, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
