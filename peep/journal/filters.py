"""Filters of `peep history`: words KEY=VALUE become conditions on the journal. Pure.

A key that is given twice means either value; different keys must all hold. `*` in a
name, host, class, family or instance stands for anything; everything else is taken
as it is written. Times are durations back from now (45s, 30m, 1h, 2d), times of day
(14:00, the last time it was that), dates and dates with times (ISO 8601).
"""

from __future__ import annotations

import datetime as dt
import re
import shlex
from typing import TYPE_CHECKING

import msgspec

from peep.config.problems import hint, shown
from peep.errors import ConfigError
from peep.journal.rows import KINDS
from peep.reasons import Reason
from peep.signals import Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEYS = (
    *("name", "host", "class", "tier", "kind", "family", "instance", "text"),
    *("outcome", "since", "until"),
)
_GLOBS = ("name", "host", "class", "family", "instance")
_TIMES = ("since", "until")
_NOTES_KNOW = {"name": "what", "host": "host", "text": "detail"}
_TIERS = {tier.name.lower(): tier.value for tier in Tier}
_KINDS = {**{kind: number for number, kind in enumerate(KINDS)}, "note": -1}
_OUTCOMES = {
    # A cue has no reason either: an outcome that is not there has no time.
    "cue": "(outcomes.at IS NOT NULL AND outcomes.reason IS NULL)",
    "suppressed": "outcomes.reason IS NOT NULL",
    "none": "outcomes.at IS NULL",
}
_CHOICES = {
    "tier": list(_TIERS),
    "kind": list(_KINDS),
    "outcome": [*_OUTCOMES, *(reason.value for reason in Reason)],
}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_BACK = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd])")
_OF_DAY = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_DAY_S = 86_400


class Condition(msgspec.Struct, frozen=True):
    """A part of a WHERE clause, and what its question marks stand for."""

    sql: str
    values: tuple[object, ...] = ()


class Query(msgspec.Struct, frozen=True):
    """What is asked for; `since` and `until` are Unix seconds.

    Where `signals` or `notes` is None, none of them can match.
    """

    signals: Condition | None
    notes: Condition | None
    since: float | None = None
    until: float | None = None


def parse_query(
    words: Sequence[str],
    now: float,
    zone: dt.tzinfo | None = None,
    *,
    with_notes: bool = False,
) -> Query:
    """Read filters; each word may hold several. ConfigError names all that is wrong.

    `now` is Unix seconds; times without a zone are in `zone`, by default the local one.
    """
    problems: list[str] = []
    given: dict[str, list[str]] = {}
    for key, value in _pairs(words, problems):
        problem = _problem(key, value, now, zone)
        if problem is None and key in _TIMES and key in given:
            problem = f"{key} is given twice"
        if problem is None:
            given.setdefault(key, []).append(value)
        else:
            problems.append(problem)
    times = {key: moment(given[key][0], now, zone) for key in _TIMES if key in given}
    since, until = times.get("since"), times.get("until")
    if since is not None and until is not None and since > until:
        problems.append("since is after until: nothing lies between")
    if problems:
        raise ConfigError(problems)
    kinds = given.get("kind", [])
    return Query(
        None if kinds == ["note"] else _all(_on_signals(given)),
        _all(_on_notes(given)) if _notes_wanted(given, with_notes) else None,
        since,
        until,
    )


def moment(text: str, now: float, zone: dt.tzinfo | None = None) -> float:
    """Return the Unix seconds that a filter's time means; raises ValueError."""
    back = _BACK.fullmatch(text)
    if back:
        return now - float(back[1]) * _UNITS_S[back[2]]
    of_day = _OF_DAY.fullmatch(text)
    if of_day:
        today = dt.datetime.fromtimestamp(now, zone)
        hour, minute, second = (int(part or 0) for part in of_day.groups())
        found = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
        if found.timestamp() > now:
            found -= dt.timedelta(days=1)
        return found.timestamp()
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    try:
        return found.timestamp()
    except (OverflowError, OSError) as problem:  # the years 1 and 9999
        raise ValueError(str(problem)) from None


def _pairs(words: Iterable[str], problems: list[str]) -> Iterable[tuple[str, str]]:
    for word in words:
        try:
            parts = shlex.split(word)
        except ValueError:
            problems.append(f"{shown(word)}: a quotation mark is left open")
            continue
        for part in parts:
            key, equals, value = part.partition("=")
            if equals:
                yield key, value
            else:
                problems.append(
                    f"{shown(part)} is no filter: say KEY=VALUE, such as "
                    'name=ssh.* or text="two words"'
                )


def _problem(key: str, value: str, now: float, zone: dt.tzinfo | None) -> str | None:
    """Say what is wrong with a filter, or None."""
    if key not in KEYS:
        return f"no filter {shown(key)}{hint(key, KEYS)}"
    if not value:
        return f"{key}= wants a value"
    if "\0" in value:
        return f"{key}={shown(value)}: no log holds that"
    choices = _CHOICES.get(key)
    if choices is not None and value not in choices:
        return f"{key}={shown(value)}: no such {key}{hint(value, choices)}"
    if key in _TIMES:
        try:
            moment(value, now, zone)
        except ValueError:
            return (
                f"{key}={shown(value)} is no time, such as 1h, 30m, 2d, 14:00, "
                "2026-01-31 or 2026-01-31T14:00"
            )
    return None


def _notes_wanted(given: dict[str, list[str]], with_notes: bool) -> bool:  # noqa: FBT001
    """Say whether notes can match: they have neither tier nor class nor outcome.

    Who asks for them apart gets them beside, say, the alerts of that time.
    """
    known = {*_NOTES_KNOW, *_TIMES, "kind"}
    named = "note" in given.get("kind", []) and known.issuperset(given)
    return with_notes or named


def _on_signals(given: dict[str, list[str]]) -> Iterable[Condition]:
    for key, values in given.items():
        if key in _TIMES:
            continue
        match key:
            case "text":
                either = [Condition("instr(signals.text, ?) > 0", (v,)) for v in values]
            case "tier":
                # States and heartbeats have none.
                tiers = [_TIERS[v] for v in values]
                either = [
                    Condition("(kind = 0 AND tier = ?)", (tier,)) for tier in tiers
                ]
            case "kind":
                either = [Condition("kind = ?", (_KINDS[v],)) for v in values]
            case "outcome":
                either = [
                    Condition(_OUTCOMES[v])
                    if v in _OUTCOMES
                    else Condition("outcomes.reason = ?", (v,))
                    for v in values
                ]
            case _:
                either = [_globbed(f"signals.{key}", v) for v in values]
        yield _any(either)


def _on_notes(given: dict[str, list[str]]) -> Iterable[Condition]:
    for key, column in _NOTES_KNOW.items():
        if key == "text":
            either = [
                Condition("instr(detail, ?) > 0", (v,)) for v in given.get(key, ())
            ]
        else:
            either = [_globbed(column, v) for v in given.get(key, ())]
        if either:
            yield _any(either)


def _globbed(column: str, value: str) -> Condition:
    if "*" not in value:
        return Condition(f"{column} = ?", (value,))
    # SQLite's GLOB knows ? and [ as well; here they are themselves.
    return Condition(f"{column} GLOB ?", (re.sub(r"[\[?]", r"[\g<0>]", value),))


def _any(conditions: Sequence[Condition]) -> Condition:
    return _joined(" OR ", conditions)


def _all(conditions: Iterable[Condition]) -> Condition:
    return _joined(" AND ", list(conditions))


def _joined(word: str, conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return Condition("1")
    values = tuple(value for one in conditions for value in one.values)
    return Condition(f"({word.join(one.sql for one in conditions)})", values)
