r"""What a pattern is made of, as far as it must be understood.

A pattern is read into a sequence of `Part`s: literal bytes, sets of bytes, assertions
(`^ $ \b`), groups. This is for two purposes: to find a group by the literals around
it (extraction.py), and to name patterns that cannot match or are slow (lint.py). It is
never wrong but may give up: what is not known here (flags, look-around, Perl's and
POSIX's classes, `\x…`, `\Q`) makes the whole pattern unknown, which is None.
"""

import re
from functools import lru_cache

import msgspec

from peep.rules.patterns import searcher

ALL_BYTES = bytes(range(256))
_SET = re.compile(rb"\[\^?\]?(?:[^\]\[\\]|\\[^\w]|\\[dDsSwWnt])*\]")
_REPEAT = re.compile(rb"(?:[*+?]|\{(\d+)(,?)(\d*)\})(\?)?")
_GROUP = re.compile(rb"\((?:\?:|\?P<(\w+)>)?")


class Part(msgspec.Struct, frozen=True):
    """One part of a sequence, with how often it may stand there.

    `of` are the bytes that a part of one byte may be, `inner` the alternatives of a
    group; an assertion has neither, and `sign` says which it is.
    """

    of: frozenset[int] | None = None
    inner: tuple[tuple["Part", ...], ...] | None = None
    name: str = ""
    sign: str = ""
    least: int = 1
    most: float = 1
    lazy: bool = False

    @property
    def plain(self) -> bool:
        """Say whether it stands there exactly once."""
        return self.least == 1 and self.most == 1

    def literal(self) -> int | None:
        """Return the one byte that it must be, if there is only one."""
        if self.of is None or len(self.of) != 1 or not self.plain:
            return None
        return next(iter(self.of))


Parts = tuple[Part, ...]


def parse(pattern: str) -> Parts | None:
    """Return the parts of a pattern in order; None if it is not understood.

    Groups that only hold parts together are dissolved, so a pattern with a prefix
    reads like one that was written at length.
    """
    reader = _Reader(pattern.encode("ascii"))
    try:
        alternatives = reader.alternatives()
        if reader.at != len(reader.text):
            return None
    except _UnknownError:
        return None
    if len(alternatives) != 1:
        return (Part(inner=alternatives),)
    return alternatives[0]


def bytes_within(parts: Parts) -> frozenset[int]:
    """Return every byte that may occur in what these parts take."""
    found: frozenset[int] = frozenset()
    for part in parts:
        if part.of is not None:
            found |= part.of
        for alternative in part.inner or ():
            found |= bytes_within(alternative)
    return found


class _UnknownError(Exception):
    pass


class _Reader:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0

    def alternatives(self) -> tuple[Parts, ...]:
        found = [self._sequence()]
        while self._peek() == b"|":
            self.at += 1
            found.append(self._sequence())
        return tuple(found)

    def _sequence(self) -> Parts:
        parts: list[Part] = []
        while self._peek() not in (b"", b"|", b")"):
            part = self._repeated(self._one())
            if part.inner and len(part.inner) == 1 and part.plain and not part.name:
                parts += part.inner[0]
            else:
                parts.append(part)
        return tuple(parts)

    def _peek(self) -> bytes:
        return self.text[self.at : self.at + 1]

    def _one(self) -> Part:
        sign = self._peek()
        if sign == b"(":
            return self._group()
        if sign == b"[":
            return self._class()
        self.at += 1
        if sign == b"\\":
            return self._escape()
        if sign in b"^$":
            return Part(sign=sign.decode())
        if sign == b".":
            return Part(of=_members(b"."))
        if sign in b"*+?{":
            raise _UnknownError
        return Part(of=frozenset(sign))

    def _escape(self) -> Part:
        sign = self._peek()
        self.at += 1
        if sign in (b"b", b"B", b"A", b"z"):
            return Part(sign="\\" + sign.decode())
        if sign and sign in b"dDsSwW":
            return Part(of=_members(b"\\" + sign))
        if not sign or sign.isalnum():
            raise _UnknownError
        return Part(of=frozenset(sign))

    def _class(self) -> Part:
        found = _SET.match(self.text, self.at)
        if found is None:
            raise _UnknownError
        self.at = found.end()
        return Part(of=_members(found[0]))

    def _group(self) -> Part:
        opening = _GROUP.match(self.text, self.at)
        assert opening is not None, "it begins with a parenthesis"
        self.at = opening.end()
        if self._peek() == b"?":
            raise _UnknownError  # flags, look-around and the like
        inner = self.alternatives()
        if self._peek() != b")":
            raise _UnknownError
        self.at += 1
        return Part(inner=inner, name=(opening[1] or b"").decode())

    def _repeated(self, part: Part) -> Part:
        found = _REPEAT.match(self.text, self.at)
        if found is None:
            return part
        self.at = found.end()
        if _REPEAT.match(self.text, self.at):
            raise _UnknownError  # possessive, or nonsense
        low, comma, high, lazy = found.groups()
        sign = found[0][:1]
        if sign == b"{":
            least, most = int(low), float(high or ("inf" if comma else low))
        else:
            least, most = int(sign == b"+"), 1.0 if sign == b"?" else float("inf")
        return msgspec.structs.replace(part, least=least, most=most, lazy=bool(lazy))


@lru_cache(maxsize=256)  # a pack has a dozen of classes, and uses them over and over
def _members(written: bytes) -> frozenset[int]:
    """Return the bytes of a class: RE2 itself is asked, once for each byte."""
    find = searcher(written.decode("ascii"))
    return frozenset(
        byte for byte in range(256) if find(bytes([byte]), 0, 1)[0][0] == 0
    )
