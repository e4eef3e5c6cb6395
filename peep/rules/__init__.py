"""Rules: a line of a log becomes an event. Pure.

Semantics, for people: peep-rules(5). How it is done: ruleset.py.
"""

from peep.rules.patterns import pattern_problem
from peep.rules.redaction import Redactor
from peep.rules.rule import ALL_GROUPS, DEFAULT_RATE, Rate, Rule, select
from peep.rules.ruleset import (
    MAX_GUARDED_BYTES,
    MAX_INSTANCE_LENGTH,
    MAX_SEEN_BYTES,
    Guard,
    Guarded,
    Match,
    RuleSet,
    portions,
)

__all__ = [
    "ALL_GROUPS",
    "DEFAULT_RATE",
    "MAX_GUARDED_BYTES",
    "MAX_INSTANCE_LENGTH",
    "MAX_SEEN_BYTES",
    "Guard",
    "Guarded",
    "Match",
    "Rate",
    "Redactor",
    "Rule",
    "RuleSet",
    "pattern_problem",
    "portions",
    "select",
]
