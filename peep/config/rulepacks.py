r"""Rule packs: YAML lists of rules, shipped by name or anybody's by path.

    - name: ssh-login              # unique over all packs; for people and tests
      match: 'Accepted \w+ for'    # see peep/rules.py
      event: ssh.login
      family: access
      tier: notable                # routine (default), notable, alert
      pan: 0.0
      gain_db: 0.0
      hosts: ['web*']              # omitted: all
      logs: ['!*error.log']        # omitted: the pack's, or all
      groups: [sshd]               # omitted: the name of the pack
      rate: 10/min                 # more is folded; omitted: 5/s, alerts never
      engine: re2                  # or re, for what RE2 does not know
      samples:
        take: ['... Accepted password for ...']
        refuse: ['... Failed password for ...']

A pack may be a mapping instead: `prefix`, which is put before every pattern, `logs`,
which holds for rules that have none of their own, and `rules`, the list. Packs are
laid end to end in the order given, and the first rule that matches wins.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from peep import paths
from peep.config.document import Node, load
from peep.config.problems import Problems, hint, shown
from peep.rules import Rate, Rule, pattern_problem
from peep.rules.patterns import Engine
from peep.rules.rule import NOT
from peep.signals import GAIN_RANGE_DB, Tier, name_problem

ALL = "all"  # instead of a pack's name
MAX_RULES = 2000  # over all packs; as far as matching was measured, twice over
_ENGINES: Final[dict[str, Engine]] = {"re2": "re2", "re": "re"}
_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)")
_PERIODS_S = {"s": 1.0, "min": 60.0, "h": 3600.0}
_TIERS = {tier.name.lower(): tier for tier in Tier}
_KEYS = (
    "name",
    "match",
    "event",
    "family",
    "tier",
    "pan",
    "gain_db",
    "hosts",
    "logs",
    "groups",
    "rate",
    "engine",
    "samples",
)


def shipped_packs() -> tuple[str, ...]:
    """Return the names of the packs that come with Peep, in alphabetical order."""
    found = (paths.data_dir("configs") / "rules").glob("*.yaml")
    return tuple(sorted(path.stem for path in found))


def load_rules(names_or_paths: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules of packs, in order: shipped ones by name, any by path.

    `all` stands for the shipped ones that are not named.

    Raises ConfigError with all that is wrong with any of them.
    """
    problems = Problems()
    rules: dict[str, Rule] = {}
    for name in _every(names_or_paths):
        path = _found(name)
        if path is None:
            message = f"no rule pack of that name{hint(name, shipped_packs())}"
            problems.add(shown(name), 0, "", message)
            continue
        for node, common in _rules_of(load(path, problems)):
            rule = _rule(node, path.stem, common)
            if rule.name in rules and rule.name:
                node.problem(f"there is a rule {shown(rule.name)} already")
            if len(rules) == MAX_RULES:
                node.problem(f"more than {MAX_RULES} rules")
                break
            rules[rule.name] = rule
    problems.raise_if_any()
    return tuple(rules.values())


def _every(names_or_paths: Iterable[str]) -> Iterable[str]:
    names = tuple(names_or_paths)
    for name in names:
        if name == ALL:
            yield from (pack for pack in shipped_packs() if pack not in names)
        else:
            yield name


def _found(name: str) -> Path | None:
    if name in shipped_packs():
        return paths.data_dir("configs") / "rules" / f"{name}.yaml"
    # A bare word that is no pack is a misspelt pack.
    return Path(name) if name.endswith((".yaml", ".yml")) or "/" in name else None


class _Common(NamedTuple):
    """What a pack says of all its rules."""

    prefix: str = ""
    logs: tuple[str, ...] = ()


def _rules_of(pack: Node) -> list[tuple[Node, _Common]]:
    """Return the rules of either form, each with what it has of its pack."""
    if not pack.is_mapping:
        return [(node, _Common()) for node in pack.nodes()]
    keys = pack.section("prefix", "logs", "rules")
    common = _Common(_pattern(keys["prefix"], "", ""), _logs(keys["logs"], ()))
    return [(node, common) for node in keys["rules"].nodes()]


def _logs(node: Node, default: tuple[str, ...]) -> tuple[str, ...]:
    """Read patterns of logs, of which some must be left."""
    patterns = node.texts(default)
    if {NOT, f"{NOT}*"} & set(patterns):
        node.problem(f"{NOT} stands before a pattern, and not before all logs")
    return patterns


def _pattern(
    node: Node, prefix: str, default: str | None = None, engine: Engine = "re2"
) -> str:
    """Return a pattern behind its prefix; where it is refused, nothing."""
    pattern = node.text(default)
    if prefix and pattern:
        pattern = f"{prefix}(?:{pattern})"
    problem = pattern_problem(pattern, engine) if pattern else None
    if problem:
        node.problem(problem)
        return ""
    return pattern


def _rule(node: Node, pack: str, common: _Common) -> Rule:
    keys = node.section(*_KEYS, required=True)
    engine = _ENGINES[keys["engine"].choice(_ENGINES, "re2")]
    samples = keys["samples"].section("take", "refuse")
    return Rule(
        name=_named(keys["name"]),
        match=_pattern(keys["match"], common.prefix, engine=engine),
        event=_named(keys["event"]),
        family=_named(keys["family"], ""),
        tier=_TIERS[keys["tier"].choice(_TIERS, "routine")],
        pan=keys["pan"].number(0.0, low=-1, high=1),
        gain_db=keys["gain_db"].number(
            0.0, low=GAIN_RANGE_DB[0], high=GAIN_RANGE_DB[1]
        ),
        hosts=keys["hosts"].texts(()),
        logs=_logs(keys["logs"], common.logs),
        groups=keys["groups"].texts((pack,)),
        rate=_rate(keys["rate"]),
        engine=engine,
        takes=samples["take"].texts((), control=True),
        refuses=samples["refuse"].texts((), control=True),
    )


def _rate(node: Node) -> Rate | None:
    """Read `COUNT/PERIOD`, as in 10/min; None where it is omitted."""
    if not node.given:
        return None
    written = node.text()
    found = _RATE.fullmatch(written)
    if found is None:
        if written:
            node.problem(f"{shown(written)} is no rate such as 5/s, 10/min or 100/h")
        return None
    return Rate(int(found[1]), _PERIODS_S[found[2]])


def _named(node: Node, default: str | None = None) -> str:
    name = node.text(default)
    problem = name_problem(name) if name else None
    if problem:
        node.problem(f"{shown(name)} is {problem}")
    return name
