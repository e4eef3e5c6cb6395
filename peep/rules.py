r"""Rules: a line of a log becomes an event; the first rule that matches wins.

The cost of a line hardly grows with the number of rules: one RE2 set finds every rule
that matches in one pass, the first in the list wins, and RE2 again takes the groups of
that one. RE2 runs in time linear in the line, so no line can hang an agent.

A pattern is searched for anywhere in the line, as bytes (Latin-1 to RE2), so that what
is not UTF-8 matches too: `.` is any byte, `\d \w \s \b` know ASCII only, `$` is the end
of the line and the newline is gone. Look-around, back-references, possessive and atomic
groups are not in RE2 and are refused. The named groups `text` and `instance` fill an
event's text and instance; there are no others. Without `text` it is the whole line.
"""

from collections.abc import Iterable, Sequence

import msgspec
import re2

from peep.errors import ConfigError
from peep.loglines import LogLine, printable
from peep.signals import MAX_TEXT_LENGTH, Event, Tier

MAX_INSTANCE_LENGTH = 128  # a host name of 253 is cut; what people read is not
ALL_GROUPS = "all"

# RE2's budget for its automata. Too little makes it forget and begin again (slow), and
# an agent's whole memory is bounded; 200 rules stay far below.
_MAX_MEM_BYTES = 32 * 1024 * 1024
_GROUPS = ("text", "instance")
# A set that ran out of memory before it began says "nothing matches", and says so
# nowhere; this pattern tells the difference.
_CANARY = b"\x00\x01peep\x01\x00"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for in a line, and the event that it stands for.

    `groups` only serve to select rules; `takes` and `refuses` are sample lines.
    """

    name: str
    match: str
    event: str
    family: str = ""
    tier: Tier = Tier.ROUTINE
    pan: float = 0.0
    gain_db: float = 0.0
    groups: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()


class Match(msgspec.Struct, frozen=True, gc=False):
    """The rule that won a line, and what its groups took; None where they did not."""

    rule: Rule
    text: bytes | None
    instance: bytes | None


class RuleSet:
    """Compiled rules. Raises ConfigError naming each rule that RE2 refuses."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        problems = [
            f"rule {rule.name}: {problem}"
            for rule in self.rules
            if (problem := pattern_problem(rule.match))
        ]
        if problems:
            raise ConfigError(problems)
        self._extractors = tuple(_Extractor(rule.match) for rule in self.rules)
        self._set = _compiled_set(rule.match for rule in self.rules)

    def match(self, text: bytes) -> Match | None:
        """Return the first rule in the list that matches, with its groups."""
        # Unsorted, and the canary stands last.
        found = self._set.Match(text)
        index = min(found) if found else len(self.rules)
        if index == len(self.rules):
            return None
        return Match(self.rules[index], *self._extractors[index].groups(text))

    def event(self, line: LogLine) -> Event | None:
        """Return the event that a line stands for, if any rule takes it."""
        match = self.match(line.text)
        if match is None:
            return None
        rule, text, instance = match.rule, match.text, match.instance
        return Event(
            name=rule.event,
            tier=rule.tier,
            family=rule.family,
            pan=rule.pan,
            gain_db=rule.gain_db,
            instance=_cut(instance, MAX_INSTANCE_LENGTH) if instance else "",
            text=_cut(line.text if text is None else text, MAX_TEXT_LENGTH),
            when=line.when,
        )


class _Extractor:
    """Takes the named groups of one pattern out of a line that it matches."""

    def __init__(self, pattern: str) -> None:
        compiled = _compiled(pattern)
        names = {name.decode(): index for name, index in compiled.groupindex.items()}
        self._text, self._instance = (names.get(name) for name in _GROUPS)
        # The public wrapper builds a match object, 4.8 µs; the bare spans take 1.6.
        self._spans = compiled._regexp.Match  # noqa: SLF001 - see above

    def groups(self, text: bytes) -> tuple[bytes | None, bytes | None]:
        """Return what the groups text and instance took."""
        if self._text is None and self._instance is None:
            return None, None
        spans = self._spans(_ANYWHERE, text, 0, len(text))
        return _taken(text, spans, self._text), _taken(text, spans, self._instance)


def select(
    rules: Iterable[Rule],
    groups: Sequence[str] = (ALL_GROUPS,),
    exclude: Sequence[str] = (),
) -> tuple[Rule, ...]:
    """Return the rules that are in one of `groups` and in none of `exclude`.

    Every rule is in the group "all". Raises ConfigError for a group that is empty.
    """
    rules = tuple(rules)
    known = {ALL_GROUPS}.union(*(rule.groups for rule in rules))
    unknown = sorted({*groups, *exclude} - known)
    if unknown:
        choice = ", ".join(sorted(known))
        raise ConfigError([f"no rule is in group '{g}' ({choice})" for g in unknown])
    return tuple(
        rule
        for rule in rules
        if {ALL_GROUPS, *rule.groups} & set(groups)
        and not {ALL_GROUPS, *rule.groups} & set(exclude)
    )


def pattern_problem(pattern: str) -> str | None:
    """Say why a pattern cannot be used, or None."""
    if not pattern.isascii():
        written = "".join(_escaped(c) for c in pattern if not c.isascii())
        return f"patterns are ASCII; other characters are bytes, here {written}"
    try:
        compiled = _compiled(pattern)
    except re2.error as error:
        return _reason(error)
    if compiled.search(b"") is not None:
        return "matches an empty line, and so every line"
    for group in compiled.groupindex:
        if group.decode() not in _GROUPS:
            return f"the group '{group.decode()}' is neither text nor instance"
    return None


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MAX_MEM_BYTES
    options.log_errors = False  # they would go to standard error
    return options


_ANYWHERE = re2._Anchor.UNANCHORED  # noqa: SLF001 - the bare matcher wants it


def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern.encode("ascii"), _options())


def _compiled_set(patterns: Iterable[str]) -> re2.Set:
    found = re2.Set.SearchSet(_options())
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
        raise ConfigError([f"the rules together need more than {room} MiB to match"])
    return found


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


def _taken(
    text: bytes, spans: list[tuple[int, int]], group: int | None
) -> bytes | None:
    if group is None or spans[group][0] < 0:
        return None
    return text[slice(*spans[group])]


def _cut(text: bytes, max_length: int) -> str:
    # A character takes four bytes at most; more of a long line need not be decoded.
    shown = printable(text[: 4 * max_length])
    return shown if len(shown) <= max_length else shown[: max_length - 1] + "…"
