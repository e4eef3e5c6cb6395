r"""Taking a rule's groups out of a line that the rule is known to match.

RE2 can always do it, for 1.6 µs and more; next to that the whole matching of 200 rules
is cheap. Many patterns have a literal, as ` for ` in ` for (?P<instance>\S+) port \d+`,
behind which there is but one way to go, up to the end of their groups. To go it takes
a third of that time. That is exact where

- the literal must be there, and stands in the line once: so whichever way the pattern
  matches, what follows it begins there;
- from there on each choice is decided by the bytes that come: what may be found one
  way (another turn of a repetition, an optional part, one of several alternatives) is
  *apart* from what may be found the other way, for no text begins as both of them do;
- but for the last repeated class, if so many bytes follow it, and nothing else: `\S+:`.
  How far that goes Python's `re` finds as RE2 does, and in linear time.

Everywhere else there is no way back, and `re` is told so. Where a line has the literal
twice, RE2 decides. So it does always where a pattern is not of this form.

Whether two sequences are apart is found by walking through both with the same bytes:
what is left of a sequence behind a byte are its partial derivatives (V. Antimirov,
"Partial derivatives of regular expressions and finite automaton constructions", 1996).
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from itertools import combinations

import msgspec

from peep.rules.patterns import GROUPS, Span, compiled_re2, spans_of
from peep.rules.syntax import ALL_BYTES, Part, Parts, parse

NOWHERE: Span = (-1, -1)

# Where text and instance are; NOWHERE where they took nothing.
Extractor = Callable[[bytes], tuple[Span, Span]]

_MIN_LITERAL_BYTES = 3  # a shorter one is likely to occur twice
_ENDS = ("$", "\\z")
_END = frozenset({len(ALL_BYTES)})  # stands for the end of a line, among first bytes
_MAX_PAIRS = 200  # looked at; most are told apart by fewer than ten


def extractor(pattern: str) -> Extractor | None:
    """Return what finds the groups of an RE2 pattern; None where there are none."""
    compiled = compiled_re2(pattern)
    numbers = {name.decode(): at for name, at in compiled.groupindex.items()}
    if not numbers:
        return None
    search = spans_of(compiled)
    text_at, instance_at = (numbers.get(name) for name in GROUPS)

    def by_search(line: bytes) -> tuple[Span, Span]:
        found = search(line, 0, len(line))
        return (
            NOWHERE if text_at is None else found[text_at],
            NOWHERE if instance_at is None else found[instance_at],
        )

    way = _way(parse(pattern) or ())
    if way is None:
        return by_search
    literal, walk = way
    length = len(literal)
    text_no, instance_no = (walk.groupindex.get(name) for name in GROUPS)
    match = walk.match

    def by_walk(line: bytes) -> tuple[Span, Span]:
        begin = line.find(literal)
        if begin < 0 or line.find(literal, begin + 1) >= 0:
            return by_search(line)
        found = match(line, begin + length)
        assert found is not None, "the line matches, and there is no other way"
        return (
            NOWHERE if text_no is None else found.span(text_no),
            NOWHERE if instance_no is None else found.span(instance_no),
        )

    return by_walk


def _way(parts: Parts) -> tuple[bytes, re.Pattern[bytes]] | None:
    """Return a literal, and what goes on behind it to the end of all groups."""
    named = [at for at, part in enumerate(parts) if _has_name(part)]
    if not named:
        return None
    first, last = named[0], named[-1] + 1
    if _is_fixed(parts[last:]):
        last = len(parts)
    end = first
    while end > 0:
        begin = end
        while begin > 0 and parts[begin - 1].literal() is not None:
            begin -= 1
        literal = bytes(part.literal() or 0 for part in parts[begin:end])
        if len(literal) >= _MIN_LITERAL_BYTES:
            with contextlib.suppress(_UnsureError):
                return literal, re.compile(_written(parts[end:last], parts[last:]))
        end = begin - 1
    return None


def _has_name(part: Part) -> bool:
    inner = part.inner or ()
    return bool(part.name) or any(_has_name(p) for parts in inner for p in parts)


class _UnsureError(Exception):
    pass


def _written(parts: Parts, after: Parts) -> bytes:
    """Return what takes these parts, for `re`; `after` is the rest of the pattern.

    _UnsureError if there may be more than one way to go.
    """
    return b"".join(
        _part_written(part, (*parts[at + 1 :], *after)) for at, part in enumerate(parts)
    )


def _part_written(part: Part, after: Parts) -> bytes:
    if part.sign:  # others than the end decide nothing, and hold, as the line matches
        return rb"\Z" if part.sign in _ENDS else b""
    is_last = part.of is not None and _is_fixed(after)
    if not part.plain and not is_last:
        _check_apart((msgspec.structs.replace(part, least=1, most=1),), after)
    if part.of is not None:
        if not part.of:
            raise _UnsureError
        of = b"".join(b"\\x%02x" % byte for byte in sorted(part.of))
        if part.plain:
            return b"[%b]" % of
        most = b"" if part.most == math.inf else b"%d" % part.most
        way_back = (b"?" if part.lazy else b"") if is_last else b"+"
        return b"[%b]{%d,%b}%b" % (of, part.least, most, way_back)
    if part.most > 1:
        raise _UnsureError
    alternatives = part.inner or ()
    for one, other in combinations(alternatives, 2):
        _check_apart(one, other)
    name = b"P<%b>" % part.name.encode() if part.name else b":"
    inner = b"|".join(_written(parts, after) for parts in alternatives)
    return b"(?%b%b)%b" % (name, inner, b"" if part.least else b"?")


def _is_fixed(parts: Parts) -> bool:
    """Say whether these take so many bytes, and have no choice."""
    return all(part.of is not None and part.plain for part in parts)


def _check_apart(one: Parts, other: Parts) -> None:
    """_UnsureError if a text may begin with all of one, and as the other does."""
    seen: set[tuple[Parts, Parts]] = set()
    pairs = [(one, other)]
    while pairs:
        pair = pairs.pop()
        if pair in seen:
            continue
        if len(seen) == _MAX_PAIRS:
            raise _UnsureError
        seen.add(pair)
        for first, left in _steps(pair[0]):
            for second, remaining in _steps(pair[1]):
                if not first or not second:
                    raise _UnsureError
                if first & second:
                    pairs.append((left, remaining))


def _steps(parts: Parts) -> Iterator[tuple[frozenset[int], Parts]]:
    """Yield what may come first, and what is left then; no byte: it may be over."""
    for at, part in enumerate(parts):
        if part.sign in _ENDS:
            yield _END, ()
            return
        if part.sign:  # it allows less, never more
            continue
        rest = parts[at + 1 :]
        if part.of is not None:
            fewer = max(0, part.least - 1)
            again = msgspec.structs.replace(part, least=fewer, most=part.most - 1)
            yield part.of, (again, *rest) if again.most else rest
        elif part.most > 1:
            raise _UnsureError
        for alternative in part.inner or ():
            yield from _steps((*alternative, *rest))
        if part.least:
            return
    yield frozenset(), ()
