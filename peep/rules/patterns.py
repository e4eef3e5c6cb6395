r"""Patterns as RE2 takes them: bytes in Latin-1, so that what is not UTF-8 matches too.

RE2 runs in time linear in the line, so no line can hang an agent. It knows no
look-around, no back-references, no possessive and no atomic groups; a rule that needs
one of them says `engine: re`, and its pattern is Python's.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import re2

from peep.errors import ConfigError

Engine = Literal["re2", "re"]
Span = tuple[int, int]
# Text, the first byte and the one behind the last → the spans of all groups, the
# whole match first; (-1, -1) is a group that took no part.
Spans = Callable[[bytes, int, int], list[Span]]

GROUPS = ("text", "instance")
NOTHING = r"[^\x00-\xff]"  # no byte, and so no line

# RE2's budget for its automata. Too little makes it forget and begin again (slow), and
# an agent's whole memory is bounded; 200 rules stay far below.
_MAX_MEM_BYTES = 32 * 1024 * 1024
# A set that ran out of memory before it began says "nothing matches", and says so
# nowhere; this pattern tells the difference.
_CANARY = b"\x00\x01peep\x01\x00"
_ANYWHERE = re2._Anchor.UNANCHORED  # noqa: SLF001 - the bare matcher wants it


def pattern_problem(pattern: str, engine: Engine = "re2") -> str | None:
    """Say why a pattern cannot be used, or None."""
    if not pattern.isascii():
        written = "".join(_escaped(c) for c in pattern if not c.isascii())
        return f"patterns are ASCII; other characters are bytes, here {written}"
    try:
        if engine == "re2":
            compiled = compiled_re2(pattern)
            empty = compiled.search(b"") is not None
            names = [group.decode() for group in compiled.groupindex]
        else:
            plain = compiled_re(pattern)
            empty = plain.search(b"") is not None
            names = list(plain.groupindex)
    except re2.error as error:
        return _reason(error)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    if empty:
        return "matches an empty line, and so every line"
    for name in names:
        if name not in GROUPS:
            return f"the group '{name}' is neither text nor instance"
    return None


def compiled_re2(pattern: str) -> re2._Regexp:
    """Compile for RE2; raises re2.error, and says nothing on standard error."""
    # The public way keeps the last 128 for good; most are only looked at here.
    return re2._Regexp(pattern.encode("ascii"), _options())  # noqa: SLF001 - see above


def compiled_re(pattern: str) -> re.Pattern[bytes]:
    """Compile for Python's `re`; raises re.error."""
    return re.compile(pattern.encode("ascii"))


def searcher(pattern: str) -> Spans:
    """Return what finds a pattern anywhere in a part of a text, and its groups.

    Where nothing is found, all spans are (-1, -1).
    """
    return spans_of(compiled_re2(pattern))


def spans_of(compiled: re2._Regexp) -> Spans:
    """Return what finds a compiled pattern, as `searcher` does."""
    # The public wrapper builds a match object, 4.8 µs; the bare spans take 1.6.
    return partial(compiled._regexp.Match, _ANYWHERE)  # noqa: SLF001 - see above


def compiled_set(patterns: Iterable[str]) -> Callable[[bytes], list[int]]:
    """Return what says which of these patterns are found in a text, in any order.

    A number above all patterns' may be among them. Raises ConfigError where the
    patterns need too much memory together.
    """
    options = _options()
    options.never_capture = True  # a set says no spans, and is a little quicker so
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern.encode("ascii"))
    canary = found.Add(b"^" + _CANARY + b"$")
    try:
        found.Compile()
        sings = canary in (found.Match(_CANARY) or ())
    except re2.error:
        sings = False
    if not sings:
        room = _MAX_MEM_BYTES // 1024**2
        raise ConfigError([f"the patterns together need more than {room} MiB to match"])
    # The public wrapper takes 0.2 µs a line to say None for an empty list.
    return found._set.Match  # type: ignore[no-any-return]  # noqa: SLF001 - see above


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MAX_MEM_BYTES
    options.log_errors = False  # they would go to standard error
    return options


def _reason(error: re2.error) -> str:
    """Put RE2's words for the usual mistakes into ours."""
    reason = error.args[0]
    said = reason.decode("latin-1") if isinstance(reason, bytes) else str(reason)
    for sign, meaning in _REFUSALS:
        if sign in said:
            return f"{meaning} ({said})"
    return said


_REFUSALS = (
    ("(?=", "look-ahead is not supported"),
    ("(?!", "look-ahead is not supported"),
    ("(?<", "look-behind is not supported"),
    ("(?>", "atomic groups are not supported"),
    ("invalid escape sequence", "back-references and \\Z are not supported"),
    ("bad repetition operator", "possessive repetition is not supported"),
    ("invalid repetition size", "a thing repeats more than 1000 times"),
)


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "replace"))
