"""One ICMP echo and its return (RFC 792, RFC 4443).

It needs a right: a group that the kernel lets (net.ipv4.ping_group_range) may send
echoes and nothing else, root has a socket that hears all of ICMP.
"""

import asyncio
import secrets
import socket
import struct

MAX_PACKET_BYTES = 4096

_HEAD = struct.Struct(">BBHHH")
_TOKEN_BYTES = 16
_TYPES = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}


def allowed() -> socket.SocketKind | None:
    """Return the kind of socket that may send echoes here, if any."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except OSError:
            continue
        return kind
    return None


async def echo(
    family: socket.AddressFamily, kind: socket.SocketKind, address: str
) -> None:
    """Send an echo, and wait for it to come back."""
    protocol = socket.IPPROTO_ICMP
    if family == socket.AF_INET6:
        protocol = socket.IPPROTO_ICMPV6
    token = secrets.token_bytes(_TOKEN_BYTES)
    ask, answer = _TYPES[family]
    with socket.socket(family, kind, protocol) as sock:
        sock.setblocking(False)
        sock.connect((address, 0))
        sock.send(_packet(ask, token))
        while True:
            data = await asyncio.get_running_loop().sock_recv(sock, MAX_PACKET_BYTES)
            if kind is socket.SOCK_RAW and family == socket.AF_INET:
                data = data[(data[0] & 15) * 4 :]  # past the header of IP
            # A raw socket hears everybody's.
            if data[:1] == bytes([answer]) and data[_HEAD.size :] == token:
                return


def _packet(kind: int, token: bytes) -> bytes:
    number = secrets.randbits(16)
    checksum = _checksum(_HEAD.pack(kind, 0, 0, number, 1) + token)
    return _HEAD.pack(kind, 0, checksum, number, 1) + token


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)
