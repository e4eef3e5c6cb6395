r"""Compiled rules: lines of logs become events; the first rule that matches wins.

The cost of a line hardly grows with the number of rules: one RE2 set finds every rule
that matches in one pass, the first in the list wins, and only that one's groups are
taken out. What can be asked of all lines at once (is anything to be redacted? is all
of it plain text? may a rule take lines of this log?) is asked of all at once.

A pattern is searched for anywhere in a line's first 16 KiB, as bytes: `.` is any byte,
`\d \w \s \b` know ASCII only, `$` is the end of the line and the newline is gone. The
named groups `text` and `instance` fill an event's text and instance; there are no
others. Without `text` it is the whole line. What a `Redactor` calls a secret is cut out
of both.

Rules with `engine: re` are asked of a `Guard`, which may take its time; it is given to
the rule set, for what runs them is a process, and processes are no business of rules.
"""

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from peep.errors import ConfigError
from peep.loglines import LogLine, printable
from peep.rules.extraction import NOWHERE, Extractor, extractor
from peep.rules.patterns import NOTHING, Span, compiled_set, pattern_problem
from peep.rules.provenance import Limits, Provenance
from peep.rules.redaction import Redactor, Secret, cut
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
QUICK_LINES = 64  # of more it would take as long to find out

_PLAIN = bytes(range(0x20, 0x7F))
_NO_SPANS = (NOWHERE, NOWHERE)
_ANYWHERE = Limits()


class Guarded(msgspec.Struct, frozen=True, gc=False):
    """A rule that a guard found to take a line, and where the groups are."""

    rule: int
    text: Span = NOWHERE
    instance: Span = NOWHERE


# Says of each line which of the rules with `engine: re` takes it first, by its place in
# the list of all rules, if any does. The pairs are places of lines and of rules that
# are not to take them.
Guard = Callable[[Sequence[bytes], Sequence[tuple[int, int]]], Sequence[Guarded | None]]


class Match(msgspec.Struct, frozen=True, gc=False):
    """The rule that won a line, and what its groups took; None where they did not."""

    rule: Rule
    text: bytes | None
    instance: bytes | None


class RuleSet:
    """Compiled rules. Raises ConfigError naming each rule that cannot be used.

    Without a `redactor` nothing is redacted; without a `guard` no rule may need one.
    `host` is whose lines those are that do not bear a sender's name; None is anybody's.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        redactor: Redactor | None = None,
        guard: Guard | None = None,
        host: str | None = None,
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
        self._guarded = [at for at, r in enumerate(self.rules) if r.engine == "re"]
        self._provenance = Provenance(self.rules, host)
        self._redactor = redactor
        # All rules have their places in the set, also those that the guard is asked of.
        self._found = compiled_set(
            NOTHING if rule.engine == "re" else rule.match for rule in self.rules
        )
        self._kinds = [
            (rule.event, rule.tier, rule.family, rule.pan, rule.gain_db)
            for rule in self.rules
        ]
        self._extractors = [
            None if rule.engine == "re" else self._not_yet(at)
            for at, rule in enumerate(self.rules)
        ]

    def quick(self, lines: Sequence[LogLine]) -> bool:
        """Say whether lines can be taken at once; if not, do it in a thread.

        Matching lets other threads run, and any number of them may do it.
        """
        if self._guard is not None or len(lines) > QUICK_LINES:
            return False
        return sum(len(line.text) for line in lines) <= QUICK_BYTES

    def match(self, text: bytes, limits: Limits = _ANYWHERE) -> Match | None:
        """Return the first rule in the list that matches, with its groups.

        Where the line comes from is not asked, unless there are `limits`.
        """
        seen = text[:MAX_SEEN_BYTES]
        hits, guarded = self._hits([seen], limits)
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
        """Return the events that lines of one log stand for, and the rule of each.

        Lines that no rule takes are left out.
        """
        if not lines:
            return [], []
        texts = [line.text for line in lines]
        if max(map(len, texts)) > MAX_SEEN_BYTES:
            texts = [text[:MAX_SEEN_BYTES] for text in texts]
        limits = self._provenance.of(lines[0].source)
        hits, guarded = self._hits(texts, limits)
        taken = [texts[at] for at, _ in hits]
        shown = _shown_plainly(taken)
        suspects = self._redactor.suspects(taken) if self._redactor else ()
        extractors, kinds = self._extractors, self._kinds
        events = []
        for number, (at, index) in enumerate(hits):
            line, extract = lines[at], extractors[index]
            if extract is not None:
                whole, instance = extract(taken[number])
            else:
                whole, instance = guarded.get(at, _NO_SPANS) if guarded else _NO_SPANS
            # This runs for every match, and a call costs as much as all of this.
            said = shown[number]
            if said and number not in suspects:
                begin, end = instance
                label = said[begin:end] if begin >= 0 else ""
                begin, end = whole
                if begin >= 0:
                    said = said[begin:end]
            else:
                text, show = taken[number], _as_it_is if said else printable
                secrets: Sequence[Secret] = ()
                if number in suspects:
                    assert self._redactor is not None, "it suspects this line"
                    secrets = self._redactor.secrets(text)
                about = cut(text, instance, secrets)
                told = cut(text, (0, len(text)) if whole[0] < 0 else whole, secrets)
                # A character takes four bytes at most; more need not be decoded.
                label = show(about[: 4 * MAX_INSTANCE_LENGTH])
                said = show(told[: 4 * MAX_TEXT_LENGTH])
            if len(label) > MAX_INSTANCE_LENGTH:
                label = label[: MAX_INSTANCE_LENGTH - 1] + "…"
            if len(said) > MAX_TEXT_LENGTH:
                said = said[: MAX_TEXT_LENGTH - 1] + "…"
            name, tier, family, pan, gain_db = kinds[index]
            events.append(
                Event(
                    name=name,
                    tier=tier,
                    family=family,
                    pan=pan,
                    gain_db=gain_db,
                    instance=label,
                    text=said,
                    when=line.when,
                    origin=line.origin,
                    serial=line.offset,
                )
            )
        return [index for _, index in hits], events

    def events(self, lines: Sequence[LogLine]) -> list[Event]:
        """Return the events that lines stand for."""
        return self.take(lines)[1]

    def _not_yet(self, index: int) -> Extractor:
        """Return what makes a rule's extractor when it is first needed.

        On most hosts most of the rules never win.
        """

        def extract(line: bytes) -> tuple[Span, Span]:
            made = self._extractors[index] = extractor(self.rules[index].match)
            return _NO_SPANS if made is None else made(line)

        return extract

    def _hits(
        self, texts: Sequence[bytes], limits: Limits
    ) -> tuple[list[tuple[int, int]], dict[int, tuple[Span, Span]]]:
        """Return (place of the text, place of its rule), and what the guard found."""
        found, end = self._found, len(self.rules)
        doubtful = limits.doubtful
        # Unsorted, and the canary stands last.
        hits = [
            (at, index)
            for at, text in enumerate(texts)
            if (among := found(text))
            and (index := among[0] if len(among) == 1 else min(among)) < end
            and (index not in doubtful or (index := limits.first(among, text)) < end)
        ]
        if self._guard is None:
            return hits, {}
        winners = dict(hits)
        spans = {}
        seen = [text[:MAX_GUARDED_BYTES] for text in texts]
        not_theirs = limits.kept_from(self._guarded, texts)
        for at, guarded in enumerate(self._guard(seen, not_theirs)):
            if guarded is not None and guarded.rule < winners.get(at, end):
                winners[at] = guarded.rule
                spans[at] = (guarded.text, guarded.instance)
        return sorted(winners.items()), spans


def portions(lines: Sequence[LogLine]) -> Iterator[Sequence[LogLine]]:
    """Cut lines into parts that are taken within a few milliseconds each."""
    begin = 0
    while begin < len(lines):
        some = lines[begin : begin + PORTION_LINES]
        ends = list(itertools.accumulate([len(line.text) for line in some]))
        if ends[-1] > PORTION_BYTES:
            some = some[: bisect_right(ends, PORTION_BYTES) + 1]
        yield some
        begin += len(some)


def _part(text: bytes, span: Span) -> bytes | None:
    return None if span[0] < 0 else text[span[0] : span[1]]


def _as_it_is(text: bytes) -> str:
    return text.decode("ascii")


def _shown_plainly(texts: Sequence[bytes]) -> list[str]:
    """Return each text that is plain ASCII as it is shown; "" for the others."""
    joined = b"\n".join(texts)
    if not joined.translate(None, _PLAIN + b"\n"):
        shown = joined.decode("ascii").split("\n")
        if len(shown) == len(texts):  # else one has two lines
            return shown
    return ["" if t.translate(None, _PLAIN) else t.decode("ascii") for t in texts]
