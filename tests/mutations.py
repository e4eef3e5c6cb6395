"""Bytes that are nearly right: how captured datagrams and honest bodies are spoilt."""

import struct

import msgspec
from msgspec.msgpack import Ext, encode

from peep.protocol import packets, wire
from peep.protocol.packets import PacketType

HEADER_BYTES = wire.HEADER_BYTES
KEPT = 48  # captured datagrams per type

# What is no msgpack, or lies about its length, or goes deeper than any recursion may.
_BROKEN = [
    b"\xc1",  # a byte that means nothing
    b"\xa1\xff",  # UTF-8 that is none, cut short, or a surrogate
    b"\xa2\xc3",
    b"\xa3\xed\xa0\x80",
    b"\xdd\xff\xff\xff\xff",  # arrays, maps, bytes and strings of four thousand million
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xdc\xff\xff",
    b"\xd9\xff",
    b"\x91" * 60,
    b"\x91" * 1100,
    b"\x81\x01" * 100,
    b"\x81" * 400,
    b"\xd6\xff\xff\xff\xff\xff",  # timestamps
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\x90",
    b"",
]
# At and beyond every bound, and of every wrong type.
NASTY = [
    *(0, 1, -1, 100, 101, -101, 255, 256, 511, 512, 10_001, 86_401),
    *(2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(0.5, 1e308, float("nan"), float("inf"), -float("inf"), True, False, None),
    *("", "a", "none", "public", "web", "*.example.org", "*.", "x" * 65, "x" * 300),
    *("ü", "a\n", "\x1b[2J", "A", "a..b", " "),
    *(b"", b"x" * 8, b"x" * 16, b"x" * 48, b"x" * 129, b"x" * 1100),
    *([], [[]], [0] * 257, ["public"] * 61, {}, {"a": "b"}, {"a": 1}, {1: [2]}),
    Ext(5, b"x"),
    *(msgspec.Raw(broken) for broken in _BROKEN),
]
FIELDS = {"kind": (1, 2), "flags": (2, 4), "key": (4, 8), "sequence": (24, 28)}
_EDGES = (0, 1, 2**31, 2**32 - 1)


def honest_body(kind, rng, *, sealed=False):
    """Return a body that its type allows, as the values of a packet."""
    make = _HONEST.get(kind)
    return () if make is None else make(rng, sealed)


def _signals(rng, sealed):
    text = ("i", "text ü") if sealed else ()
    alert = (0, rng.randrange(3), 1, rng.randrange(1, 9), 5, -20, 9, *text)
    wave = [(0, rng.randrange(10_000), 0, 0)]
    names = [f"n{rng.randrange(5000)}", "f"]
    return names, [alert] * rng.randrange(3), wave, wave, rng.randrange(99)


_TWO = ["public", "a.moles.org"]
_HONEST = {
    PacketType.SIGNALS: _signals,
    PacketType.CLASSES: lambda rng, _: (
        f"h{rng.randrange(3)}",
        _TWO[:: rng.choice((1, -1))],
        {"k": "v"},
    ),
    PacketType.RENEW: lambda rng, _: (rng.choice((0, 10, 30, 300)),),
    PacketType.ACK: lambda rng, _: (rng.randrange(50),),
    PacketType.REQUEST: lambda rng, _: (
        ["public"] * rng.choice((1, 40, 60, 61)),
        [],
        bytes(rng.choice((0, 24))),
    ),
    PacketType.ANNOUNCE: lambda rng, _: (["public", "web"], rng.choice((0, 5, 1000))),
    PacketType.OFFER: lambda rng, _: (bytes(16), [rng.choice(("web", *_TWO))]),
    PacketType.EXCEPTION: lambda rng, _: (rng.randrange(1, 5),),
}


class Mutator:
    """Spoils datagrams; `rng` decides how, and what it has seen is its material."""

    def __init__(self, rng):
        self._rng = rng
        self._kept = {kind: [] for kind in PacketType}
        self._kinds = []  # of which there is something
        self._ways = [
            *[self._flipped] * 4,
            *[self._cut, self._grown, self._spliced, self._reheaded, self._refielded]
            * 2,
            *[self._spoilt] * 8,
            self._noise_in_a_body,
            self._noise,
        ]

    def keep(self, data):
        """Remember what the wires carried: a sample of each type."""
        kind = PacketType(data[1])
        kept = self._kept[kind]
        if not kept:
            self._kinds.append(kind)
        if len(kept) < KEPT:
            kept.append(data)
        else:
            kept[self._rng.randrange(KEPT)] = data

    def captured(self):
        """Return a datagram as it was."""
        kept = self._kept[self._rng.choice(self._kinds)]
        return kept[int(self._rng.random() * len(kept))]

    def mutated(self):
        """Return a datagram that is wrong in one way, or now and then in two."""
        data = self._rng.choice(self._ways)(self.captured())
        if data and self._rng.random() < 0.1:
            data = self._flipped(data)
        return data

    def body(self, packet):
        """Return the bytes of an honest body, half the time spoilt."""
        data = encode(packet)
        return data if self._rng.random() < 0.5 else self._spoilt_body(data)

    def _flipped(self, data):
        out = bytearray(data)
        for _ in range(1 + int(self._rng.random() * 4)):
            bit = int(self._rng.random() * len(out) * 8)
            out[bit >> 3] ^= 1 << (bit & 7)
        return bytes(out)

    def _cut(self, data):
        return data[: int(self._rng.random() * len(data))]

    def _grown(self, data):
        sizes = (1, 20, 464 - len(data), 1200 - len(data), 1201 - len(data), 3000)
        return data + self._rng.randbytes(max(0, self._rng.choice(sizes)))

    def _spliced(self, data):
        other = self.captured()
        here = int(self._rng.random() * len(data))
        return data[:here] + other[int(self._rng.random() * len(other)) :]

    def _reheaded(self, data):
        """The body of one under the header of another, or under another's ids."""
        other = self.captured()
        if self._rng.random() < 0.5:
            return other[:HEADER_BYTES] + data[HEADER_BYTES:]
        start, end = self._rng.choice(((8, 16), (16, 24), (8, 24), (4, 8)))
        return data[:start] + other[start:end] + data[end:]

    def _refielded(self, data):
        name = self._rng.choice(tuple(FIELDS))
        start, end = FIELDS[name]
        if name == "kind":
            value = self._rng.choice((*PacketType, 0, 12, 255))
        else:
            value = self._rng.choice((*_EDGES, self._rng.getrandbits(32)))
        raw = struct.pack(">I", value & 0xFFFF_FFFF)
        return data[:start] + raw[4 - (end - start) :] + data[end:]

    def _spoilt(self, data):
        return data[:HEADER_BYTES] + self._spoilt_body(data[HEADER_BYTES:])

    def _noise_in_a_body(self, data):
        size = self._rng.choice((0, 1, 16, 60, 400, 1172))
        return data[:HEADER_BYTES] + self._rng.randbytes(size)

    def _noise(self, data):
        return bytes([packets.VERSION][: len(data) & 1]) + self._rng.randbytes(
            int(self._rng.random() * 600)
        )

    def _spoilt_body(self, body):
        try:
            tree = msgspec.msgpack.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._flipped(body) if body else b"\x90"  # it was under a seal
        return encode(self._bent(tree))

    def _bent(self, tree):
        """Return a tree of msgpack values with one of its nodes replaced."""
        chance = self._rng.random()
        if isinstance(tree, list) and tree and chance < 0.9:
            at = int(self._rng.random() * len(tree))
            here, after = tree[at : at + 1], tree[at + 1 :]
            if chance < 0.05:
                here = []
            elif chance < 0.1:  # a field of a later version
                after.append(self._bent(None))
            elif chance < 0.15:
                here *= self._rng.choice((2, 64, 300))
            else:
                here = [self._bent(tree[at])]
            return [*tree[:at], *here, *after]
        if isinstance(tree, dict) and tree and chance < 0.5:
            return tree | {next(iter(tree)): self._bent(None)}
        if isinstance(tree, int) and chance < 0.3:
            return tree + self._rng.choice((-1, 1)) if abs(tree) < 2**62 else 0
        return NASTY[int(self._rng.random() * len(NASTY))]
