"""What is wrong with rules, though each of them can be used.

Rules are judged by their samples, which stand for the lines of the world: a rule that
gets none of its own samples will get no lines. What can be told from a pattern alone is
told, too.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from peep.rules.patterns import NOTHING, compiled_set
from peep.rules.provenance import Limits
from peep.rules.rule import Rule
from peep.rules.ruleset import RuleSet
from peep.rules.syntax import Parts, parse
from peep.signals import Tier

# Of so many other rules it could take every sample: it is there for what is left.
MIN_FALLBACK_RULES = 3

_NEWLINE = frozenset(b"\n")
# Escapes and classes, which hold no repeats; and what may be repeated without bound.
_INERT = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_ANCHORED = re.compile(r"(?:\((?:\?[a-zA-Z]*[:)])?)*(?:\^|\\A)")
_UNBOUNDED = re.compile(r"[*+]|\{\d*,\}")

Level = Literal["error", "warning", "note"]


class Finding(msgspec.Struct, frozen=True):
    """What is to be said of one rule. An error is a rule that does not do its work."""

    level: Level
    rule: str
    message: str


def lint(rules: RuleSet) -> list[Finding]:
    """Return all findings, in the order of the rules."""
    matching = compiled_set(
        NOTHING if rule.engine == "re" else rule.match for rule in rules.rules
    )
    fallbacks = _fallbacks(rules.rules, matching)
    earlier: dict[tuple[str, str], Rule] = {}
    found: list[Finding] = []
    for rule in rules.rules:
        same = earlier.setdefault((rule.match, rule.engine), rule)
        if same is not rule and _is_as_wide(same, rule):
            message = f"has the same pattern as {same.name}, which comes first"
            found.append(Finding("error", rule.name, message))
        else:
            found += _about_samples(rules, rule)
        found += _about_pattern(rule)
        if others := fallbacks.get(rule.name):
            message = f"is a fallback: it could take the lines of {others} other rules"
            found.append(Finding("note", rule.name, message))
    return found


def _about_samples(rules: RuleSet, rule: Rule) -> Iterator[Finding]:
    limits = Limits(
        rules.rules,
        {at for at, other in enumerate(rules.rules) if not _is_as_wide(other, rule)},
    )

    def winner(sample: str) -> str | None:
        match = rules.match(_line(sample), limits)
        return None if match is None else match.rule.name

    winners = Counter(map(winner, rule.takes))
    own = winners.pop(rule.name, 0)
    if not rule.takes:
        yield Finding("warning", rule.name, "has no sample of a line that it takes")
    elif not own and None not in winners:
        by = ", ".join(str(name) for name in winners)
        yield Finding("error", rule.name, f"is shadowed: {by} takes all its samples")
    else:
        for sample in rule.takes:
            taker = winner(sample)
            if taker != rule.name:
                message = f"does not take its sample {sample!r}: {taker or 'none'} does"
                yield Finding("error", rule.name, message)
    for sample in rule.refuses:
        if winner(sample) == rule.name:
            message = f"takes what it is to refuse: {sample!r}"
            yield Finding("error", rule.name, message)


def _about_pattern(rule: Rule) -> Iterator[Finding]:
    parts = parse(rule.match) if rule.engine == "re2" else None
    why = dead(parts) if parts is not None else None
    if why:
        yield Finding("error", rule.name, f"can never match: {why}")
    if rule.tier is Tier.ALERT and not _ANCHORED.match(rule.match):
        message = "can be forged: an alert that is found anywhere in a line, without ^"
        yield Finding("warning", rule.name, message)
    if rule.engine == "re":
        message = "is slow: engine re asks another process about every line"
        yield Finding("warning", rule.name, message)
        if repeats_in_repeats(rule.match):
            message = "may take for ever: a repeat within a repeat, under engine re"
            yield Finding("warning", rule.name, message)


def _is_as_wide(one: Rule, other: Rule) -> bool:
    """Say whether a rule is for all the hosts and logs that another is for."""
    return one.hosts in ((), other.hosts) and one.logs in ((), other.logs)


def _line(sample: str) -> bytes:
    return sample.encode("utf-8", "surrogateescape")


def _fallbacks(
    rules: Sequence[Rule], matching: Callable[[bytes], list[int] | None]
) -> dict[str, int]:
    """Return of how many other rules a rule could take every sample."""
    covered: defaultdict[int, int] = defaultdict(int)
    for at, rule in enumerate(rules):
        both = [set(matching(_line(sample)) or ()) for sample in rule.takes]
        for other in set.intersection(*both) if both else ():
            covered[other] += other != at
    return {
        rule.name: covered[at]
        for at, rule in enumerate(rules)
        if covered[at] >= MIN_FALLBACK_RULES
    }


def dead(parts: Parts) -> str | None:
    """Say why a pattern can match no line at all, or None."""
    taken = ended = False
    for part in parts:
        if part.sign in ("$", "\\z"):
            ended = True
        elif part.sign in ("^", "\\A") and taken:
            return "something comes before ^"
        if not part.least:
            continue
        if part.of is not None and not part.of - _NEWLINE:
            return "it wants a newline, and lines have none"
        if part.inner is not None:
            reasons = [dead(alternative) for alternative in part.inner]
            if all(reasons):
                return reasons[0]
        if _takes(part.of, part.inner):
            if ended:
                return "something comes after $"
            taken = True
    return None


def _takes(of: frozenset[int] | None, inner: tuple[Parts, ...] | None) -> bool:
    """Say whether a part takes at least one byte, in whichever way it matches."""
    if inner is None:
        return of is not None
    return all(
        any(part.least and _takes(part.of, part.inner) for part in alternative)
        for alternative in inner
    )


def repeats_in_repeats(pattern: str) -> bool:
    """Say whether something unbounded is repeated without bound: (a+)+ and the like."""
    depths, at = [False], 0
    while at < len(pattern):
        inert = _INERT.match(pattern, at)
        inner = False
        if inert is not None:
            at = inert.end()
        else:
            sign, at = pattern[at], at + 1
            if sign == "(":
                depths.append(False)
                continue
            if sign == ")" and len(depths) > 1:
                inner = depths.pop()
        if _UNBOUNDED.match(pattern, at):
            if inner:
                return True
            inner = True
        depths[-1] = depths[-1] or inner
    return False
