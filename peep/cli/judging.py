"""The rules an agent judges by, as options and configuration ask; and asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peep.agent.guarded import Guardian
from peep.agent.renewal import Renewed
from peep.cli import common
from peep.cli.choosing import chosen
from peep.clock import SystemClock
from peep.config.rulepacks import load_rules
from peep.rules import RuleSet, select

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from peep.config.settings import AgentSettings, Settings
    from peep.rules import Rule

# What is taken up by a start only, and the option that makes the key count for nothing.
_AT_START = {
    "host": "host",
    "interfaces": "interfaces",
    "server": "server",
    "locators": "locator",
    "srv": "srv",
    "sources": "source",
    "spool": None,
    "lag_max": "lag_max",
}


def guard_of(rules: Sequence[Rule]) -> Guardian | None:
    """Return what rules with `engine: re` need; its child ends with this process."""
    if all(rule.engine != "re" for rule in rules):
        return None
    return Guardian(rules, SystemClock(), common.say)


def judging(
    args: argparse.Namespace, wanted: AgentSettings, packs: Iterable[str], host: str
) -> tuple[RuleSet, Guardian | None]:
    """Return compiled rules, and what they ask; ConfigError if that cannot be."""
    rules = select(
        load_rules(packs), args.groups or wanted.groups, args.exclude or wanted.exclude
    )
    guard = guard_of(rules)
    redactor = wanted.redact.redactor() if wanted.redact else None
    return RuleSet(rules, redactor=redactor, guard=guard, host=host), guard


def ceilings(args: argparse.Namespace, wanted: AgentSettings) -> tuple[float, int]:
    """Return those of processor time, percent of a core, and of memory, bytes."""
    cpu_max = wanted.cpu_max if args.cpu_max is None else args.cpu_max
    return cpu_max, wanted.memory_max * common.MIB


def renewal(
    args: argparse.Namespace, before: Settings, host: str, *, is_guest: bool
) -> Callable[[], Renewed]:
    """Return what reads configuration and rules again, for SIGHUP."""

    def load() -> Renewed:
        settings = common.settings(args.config)
        wanted = settings.agent
        rules, guard = judging(args, wanted, chosen(args, wanted).packs, host)
        cpu_max, memory_max_bytes = ceilings(args, wanted) if is_guest else (0.0, 0)
        return Renewed(
            rules=rules,
            guard=guard,
            classes=None if args.classes else wanted.classes,
            cpu_max=cpu_max,
            memory_max_bytes=memory_max_bytes,
            restart=tuple(_at_start(args, before, settings)),
        )

    return load


def _at_start(
    args: argparse.Namespace, before: Settings, after: Settings
) -> Iterable[str]:
    """Yield the keys that were changed since the start and are not taken up."""
    for key, option in _AT_START.items():
        said = option is not None and getattr(args, option) is not None
        if not said and getattr(before.agent, key) != getattr(after.agent, key):
            yield f"agent.{key}"
    if before.network != after.network:
        yield "network"
