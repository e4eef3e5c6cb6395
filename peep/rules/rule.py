"""One rule, and which of many are used."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import msgspec

from peep.errors import ConfigError
from peep.rules.patterns import Engine
from peep.signals import Tier

ALL_GROUPS = "all"
NOT = "!"  # before a pattern of logs that a rule takes nothing from


class Rate(msgspec.Struct, frozen=True):
    """So many events in so many seconds; what is more is folded."""

    count: int
    period_s: float


# A bird that sings five times a second is a chatter already; what is more is told by
# its count. Of alerts each one counts.
DEFAULT_RATE = Rate(5, 1.0)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for in a line, and the event that it stands for.

    `groups` only serve to select rules; `hosts` are patterns (* and ?) of those that it
    is for, none for all; and so are `logs`. `takes` and `refuses` are sample lines.
    """

    name: str
    match: str
    event: str
    family: str = ""
    tier: Tier = Tier.ROUTINE
    pan: float = 0.0
    gain_db: float = 0.0
    hosts: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    rate: Rate | None = None
    engine: Engine = "re2"
    takes: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()

    def most(self) -> Rate | None:
        """Return the rate above which its events are folded; None is never."""
        if self.rate is None and self.tier is not Tier.ALERT:
            return DEFAULT_RATE
        return self.rate

    def applies_on(self, host: str) -> bool:
        """Say whether a host's full or short name is one of its hosts."""
        full = host.lower().removesuffix(".")
        names = (full, full.partition(".")[0])
        return not self.hosts or any(
            fnmatchcase(name, pattern.lower())
            for pattern in self.hosts
            for name in names
        )

    def takes_of(self, log: str) -> bool:
        """Say whether it takes lines of a log: a path, or a source such as journald.

        A pattern with a slash is of the whole path, another of its last part. "" is a
        log that is not known, and any rule takes its lines.
        """
        if not log or not self.logs:
            return True
        wanted = [pattern for pattern in self.logs if not pattern.startswith(NOT)]
        name = log.rpartition("/")[2]

        def among(patterns: Iterable[str]) -> bool:
            return any(fnmatchcase(log if "/" in p else name, p) for p in patterns)

        unwanted = (p.removeprefix(NOT) for p in self.logs if p.startswith(NOT))
        return (not wanted or among(wanted)) and not among(unwanted)


def select(
    rules: Iterable[Rule],
    groups: Sequence[str] = (ALL_GROUPS,),
    exclude: Sequence[str] = (),
) -> tuple[Rule, ...]:
    """Return the rules that are in one of `groups`, and in none of `exclude`.

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
