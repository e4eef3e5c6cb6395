r"""Redaction: secrets are cut out of a line before anything of it leaves the host.

Whether a line may hold a secret is asked of many lines at once: one search for the
signs of all forms (secrets.py) in all the lines end to end. Only lines with such a
sign are looked at with the forms themselves.

However a line is made, looking at it is bounded: in its first 4 KiB, for so many
secrets of each form; what lies beyond is taken for secret, in lines that have a sign.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from peep.errors import ConfigError
from peep.rules.patterns import (
    NOTHING,
    Span,
    Spans,
    compiled_set,
    pattern_problem,
    searcher,
)
from peep.rules.secrets import FORMS, KINDS, Form

MARK = b"[redacted]"
MAX_LOOKED_AT_BYTES = 4 * 1024
MAX_SECRETS = 16  # of one form in one line
# In a text up to here, one set says which forms there are, in a microsecond. In one
# that is made for it, the set takes up to 7 µs a byte, and the forms are asked in turn.
_MANY_BYTES = 512
OWN = "own"  # the kind of what the operator's patterns take


class Secret(msgspec.Struct, frozen=True, gc=False):
    """Where a secret is in a text, and of what kind."""

    begin: int
    end: int
    kind: str


class Redactor:
    """Finds secrets. `patterns` are the operator's own, `keep` the kinds to leave.

    Raises ConfigError for a pattern that RE2 refuses, and a kind that is unknown.
    """

    def __init__(self, patterns: Iterable[str] = (), keep: Iterable[str] = ()) -> None:
        patterns, keep = tuple(patterns), tuple(keep)
        problems = [
            f"redact {pattern}: {problem}"
            for pattern in patterns
            if (problem := redaction_problem(pattern)) is not None
        ]
        known = ", ".join(KINDS)
        problems += [f"unknown kind '{k}' ({known})" for k in keep if k not in KINDS]
        if problems:
            raise ConfigError(problems)
        # Lines are asked end to end, and so must have ends for `^` and `$`.
        own = [Form(OWN, f"(?m:{pattern})") for pattern in patterns]
        forms = [form for form in FORMS if form.kind not in keep] + own
        self._kinds = [form.kind for form in forms]
        self._harmless = [form.harmless.fullmatch for form in forms]
        # Most are never needed, and each has its price in memory.
        self._find: list[Spans | None] = [None] * len(forms)
        self._patterns = [form.pattern for form in forms]
        self._which = compiled_set(form.pattern for form in forms)
        signs = dict.fromkeys(form.sign for form in forms)
        self._sign = searcher("|".join(f"(?:{sign})" for sign in signs) or NOTHING)

    def suspects(self, texts: Sequence[bytes]) -> set[int]:
        """Return which texts have a sign of a secret; in others there is none."""
        joined = b"\n".join(texts)
        end = len(joined)
        begin = self._sign(joined, 0, end)[0][0]
        if begin < 0:
            return set()
        starts = list(
            itertools.accumulate((len(text) + 1 for text in texts), initial=0)
        )
        found = set()
        while begin >= 0:
            at = bisect_right(starts, begin) - 1
            found.add(at)
            if starts[at + 1] >= end:
                break
            begin = self._sign(joined, starts[at + 1], end)[0][0]
        return found

    def secrets(self, text: bytes) -> list[Secret]:
        """Return the secrets of one text in order, apart from each other."""
        looked_at = text[:MAX_LOOKED_AT_BYTES]
        found: list[Secret] = []
        for form in self._forms(looked_at):
            found += self._of_form(form, looked_at)
        if len(text) > len(looked_at) and (found or self.suspects([text])):
            found.append(
                Secret(len(looked_at), len(text), found[-1].kind if found else OWN)
            )
        return _apart(found)

    def _forms(self, text: bytes) -> Iterable[int]:
        """Return the forms that may be in a text, in order."""
        every = range(len(self._kinds))
        if len(text) > _MANY_BYTES:
            return every
        return [form for form in sorted(self._which(text)) if form in every]

    def _finder(self, form: int) -> Spans:
        find = self._find[form]
        if find is None:
            find = self._find[form] = searcher(self._patterns[form])
        return find

    def _of_form(self, form: int, text: bytes) -> list[Secret]:
        kind, find, found = self._kinds[form], self._finder(form), list[Secret]()
        is_harmless = self._harmless[form]
        at, end = 0, len(text)
        for _ in range(MAX_SECRETS):
            whole, *groups = find(text, at, end)
            if whole[0] < 0:
                return found
            found += [
                Secret(begin, stop, kind)
                for begin, stop in groups or (whole,)
                if begin < stop and not is_harmless(text, begin, stop)
            ]
            at = max(whole[1], at + 1)
            if at >= end:
                return found
        return [*found, Secret(at, end, kind)]


def redaction_problem(pattern: str) -> str | None:
    """Say why an operator's pattern of a secret cannot be used, or None."""
    if "\\A" in pattern or "\\z" in pattern:
        return "write ^ and $ for the ends of a line"
    return pattern_problem(pattern)


def cut(text: bytes, span: Span, secrets: Iterable[Secret]) -> bytes:
    """Return a part of a text with marks in place of secrets."""
    at, end = span
    parts = []
    for secret in secrets:
        if secret.end > at and secret.begin < end:
            parts += [text[at : max(at, secret.begin)], MARK]
            at = secret.end
    return b"".join((*parts, text[max(0, at) : max(0, end)]))


def _apart(secrets: Iterable[Secret]) -> list[Secret]:
    """Put secrets in order; those that overlap or touch become one."""
    found: list[Secret] = []
    for secret in sorted(secrets, key=lambda secret: secret.begin):
        if found and secret.begin <= found[-1].end:
            last = found[-1]
            end = max(last.end, secret.end)
            found[-1] = Secret(last.begin, end, last.kind)
        else:
            found.append(secret)
    return found
