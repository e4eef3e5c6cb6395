r"""Compiled rules: lines of logs become events; the first rule that matches wins.

The cost of a line hardly grows with the number of rules: one RE2 set finds every rule
that matches in one pass, the first in the list wins, and only that one's groups are
taken out. What can be asked of all lines at once (is anything to be redacted? is all
of it plain text?) is asked of all at once.

A pattern is searched for anywhere in a line's first 16 KiB, as bytes: `.` is any byte,
`\d \w \s \b` know ASCII only, `$` is the end of the line and the newline is gone. The
named groups `text` and `instance` fill an event's text and instance; there are no
others. Without `text` it is the whole line. What a `Redactor` calls a secret is cut out
of both.

Rules with `engine: re` are asked of a `Guard`, which may take its time; it is given to
the rule set, for what runs them is a process, and processes are no business of rules.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from peep.errors import ConfigError
from peep.loglines import LogLine, printable
from peep.rules.extraction import NOWHERE, extractor
from peep.rules.patterns import NOTHING, Span, compiled_set, pattern_problem
from peep.rules.redaction import Redactor, cut
from peep.rules.rule import Rule
from peep.signals import MAX_TEXT_LENGTH, Event

MAX_INSTANCE_LENGTH = 128  # a host name of 253 is cut; what people read is not
# What rules see of a line: room for the longest request that web servers take (8 KiB),
# and for what they say behind it.
MAX_SEEN_BYTES = 16 * 1024
MAX_GUARDED_BYTES = 4 * 1024  # the same for `engine: re`
# What is matched at a go, in some 5 ms, as a rule.
PORTION_LINES = 1000
PORTION_BYTES = 128 * 1024
# Two hundred rules such as `a.*b.*c`, and a line made for them, cost the set 5 µs a
# byte. So much at most is matched where nothing may be held for 20 ms.
QUICK_BYTES = 2 * 1024

_PLAIN = bytes(range(0x20, 0x7F))
_NO_SPANS = (NOWHERE, NOWHERE)


class Guarded(msgspec.Struct, frozen=True, gc=False):
    """A rule that a guard found to take a line, and where the groups are."""

    rule: int
    text: Span = NOWHERE
    instance: Span = NOWHERE


# Says of each line which of the rules with `engine: re` takes it first, by its place in
# the list of all rules, if any does.
Guard = Callable[[Sequence[bytes]], Sequence[Guarded | None]]


class Match(msgspec.Struct, frozen=True, gc=False):
    """The rule that won a line, and what its groups took; None where they did not."""

    rule: Rule
    text: bytes | None
    instance: bytes | None


class RuleSet:
    """Compiled rules. Raises ConfigError naming each rule that cannot be used.

    Without a `redactor` nothing is redacted; without a `guard` no rule may need one.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        redactor: Redactor | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.rules = tuple(rules)
        guarded = {rule.name for rule in self.rules if rule.engine == "re"}
        problems = []
        for rule in self.rules:
            problem = pattern_problem(rule.match, rule.engine)
            if problem is None and rule.name in guarded and guard is None:
                problem = "engine re cannot be used here"
            if problem is not None:
                problems.append(f"rule {rule.name}: {problem}")
        if problems:
            raise ConfigError(problems)
        self._guard = guard if guarded else None
        self._redactor = redactor
        # All rules have their places in the set, also those that the guard is asked of.
        self._found = compiled_set(
            NOTHING if rule.engine == "re" else rule.match for rule in self.rules
        )
        self._extractors = tuple(
            None if rule.engine == "re" else extractor(rule.match)
            for rule in self.rules
        )

    def quick(self, lines: Sequence[LogLine]) -> bool:
        """Say whether lines can be taken at once; if not, do it in a thread.

        Matching lets other threads run, and any number of them may do it.
        """
        return self._guard is None and sum(len(x.text) for x in lines) <= QUICK_BYTES

    def match(self, text: bytes) -> Match | None:
        """Return the first rule in the list that matches, with its groups."""
        seen = text[:MAX_SEEN_BYTES]
        hits, guarded = self._hits([seen])
        if not hits:
            return None
        ((_, index),) = hits
        extract = self._extractors[index]
        spans = guarded.get(0, _NO_SPANS) if extract is None else extract(seen)
        return Match(self.rules[index], *(_part(seen, span) for span in spans))

    def event(self, line: LogLine) -> Event | None:
        """Return the event that a line stands for, if any rule takes it."""
        _, events = self.take([line])
        return events[0] if events else None

    def take(self, lines: Sequence[LogLine]) -> tuple[list[int], list[Event]]:
        """Return the events that lines stand for, and of each which rule made it.

        Lines that no rule takes are left out.
        """
        texts = [line.text[:MAX_SEEN_BYTES] for line in lines]
        hits, guarded = self._hits(texts)
        taken = [texts[at] for at, _ in hits]
        all_plain = not b" ".join(taken).translate(None, _PLAIN)
        suspects = self._redactor.suspects(taken) if self._redactor else ()
        rules, extractors = self.rules, self._extractors
        events = []
        for number, (at, index) in enumerate(hits):
            text = taken[number]
            line, rule, extract = lines[at], rules[index], extractors[index]
            if extract is not None:
                whole, instance = extract(text)
            else:
                whole, instance = guarded.get(at, _NO_SPANS) if guarded else _NO_SPANS
            if number in suspects:
                assert self._redactor is not None, "it suspects this line"
                secrets = self._redactor.secrets(text)
                about = cut(text, instance, secrets)
                if whole[0] < 0:
                    whole = (0, len(text))
                told = cut(text, whole, secrets)
            else:
                about = text[instance[0] : instance[1]] if instance[0] >= 0 else b""
                told = text if whole[0] < 0 else text[whole[0] : whole[1]]
            events.append(
                Event(
                    name=rule.event,
                    tier=rule.tier,
                    family=rule.family,
                    pan=rule.pan,
                    gain_db=rule.gain_db,
                    instance=(
                        about.decode("ascii")
                        if all_plain and len(about) <= MAX_INSTANCE_LENGTH
                        else _bounded(about, MAX_INSTANCE_LENGTH)
                    ),
                    text=(
                        told.decode("ascii")
                        if all_plain and len(told) <= MAX_TEXT_LENGTH
                        else _bounded(told, MAX_TEXT_LENGTH)
                    ),
                    when=line.when,
                    origin=line.origin,
                    serial=line.offset,
                )
            )
        return [index for _, index in hits], events

    def events(self, lines: Sequence[LogLine]) -> list[Event]:
        """Return the events that lines stand for."""
        return self.take(lines)[1]

    def _hits(
        self, texts: Sequence[bytes]
    ) -> tuple[list[tuple[int, int]], dict[int, tuple[Span, Span]]]:
        """Return (place of the text, place of its rule), and what the guard found."""
        found, end = self._found, len(self.rules)
        # Unsorted, and the canary stands last.
        hits = [
            (at, index)
            for at, text in enumerate(texts)
            if (among := found(text)) and (index := min(among)) < end
        ]
        if self._guard is None:
            return hits, {}
        winners = dict(hits)
        spans = {}
        for at, guarded in enumerate(
            self._guard([t[:MAX_GUARDED_BYTES] for t in texts])
        ):
            if guarded is not None and guarded.rule < winners.get(at, end):
                winners[at] = guarded.rule
                spans[at] = (guarded.text, guarded.instance)
        return sorted(winners.items()), spans


def portions(lines: Sequence[LogLine]) -> Iterator[Sequence[LogLine]]:
    """Cut lines into parts that are taken within a few milliseconds each."""
    begin = size_bytes = 0
    for at, line in enumerate(lines):
        size_bytes += len(line.text)
        if size_bytes > PORTION_BYTES or at - begin == PORTION_LINES:
            yield lines[begin : at + 1]
            begin, size_bytes = at + 1, 0
    if begin < len(lines):
        yield lines[begin:]


def _part(text: bytes, span: Span) -> bytes | None:
    return None if span[0] < 0 else text[span[0] : span[1]]


def _bounded(text: bytes, max_length: int) -> str:
    # A character takes four bytes at most; more of a long line need not be decoded.
    shown = printable(text[: 4 * max_length])
    return shown if len(shown) <= max_length else shown[: max_length - 1] + "…"
