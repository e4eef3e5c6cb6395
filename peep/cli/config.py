"""`peep config check`."""

import argparse
import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from peep import paths
from peep.agent.sources import CHECKS
from peep.cli import common
from peep.cli.judging import guard_of
from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.settings import AgentSettings, ServerSettings, load_settings
from peep.config.themes import load_theme
from peep.errors import ConfigError, EngineError
from peep.rules import RuleSet, select

_EXAMPLES = """\
  peep config check                    the configuration that would be used
  peep config check ./peep.yaml
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "config check",
        "Say all that is wrong with a configuration, its rules and its theme, at once.",
        _EXAMPLES,
    )
    made.add_argument("file", nargs="?", type=Path, metavar="FILE")
    return made


def run(argv: Sequence[str]) -> int:
    """Check; exit code 2 if anything is wrong."""
    args = parser().parse_args(common.after("check", argv))
    path = args.file or paths.config_dir() / "peep.yaml"
    if args.file is None and not path.exists():
        common.say(f"there is no {path}: without one, defaults are used")
        return 0
    settings = load_settings(path, CHECKS)
    problems: list[str] = []
    try:
        _check_rules(settings.agent)
    except ConfigError as refused:
        problems += refused.problems
    try:
        _check_theme(settings.server)
    except ConfigError as refused:
        problems += refused.problems
    if problems:
        raise ConfigError(problems)
    common.say(f"{path}: ok")
    return 0


def _check_rules(wanted: AgentSettings) -> None:
    """Load the rules, and hold each pack to its own samples."""
    names = wanted.rules or shipped_packs()
    select(load_rules(names), wanted.groups, wanted.exclude)
    problems = []
    for name in names:
        rules = load_rules([name])
        pack = RuleSet(rules, guard=guard_of(rules))
        for rule in pack.rules:
            problems += [
                f"rule {rule.name} does not take {sample!r}"
                for sample in rule.takes
                if _winner(pack, sample) != rule.name
            ]
            problems += [
                f"rule {rule.name} takes {sample!r}"
                for sample in rule.refuses
                if _winner(pack, sample) == rule.name
            ]
    if problems:
        raise ConfigError(problems)


def _winner(pack: RuleSet, line: str) -> str | None:
    match = pack.match(line.encode())
    return None if match is None else match.rule.name


def _check_theme(wanted: ServerSettings) -> None:
    """Load the theme, and where the sound parts are installed, make its sounds."""
    theme, directory = load_theme(wanted.theme)
    if importlib.util.find_spec("numpy") is None:
        return
    samples = importlib.import_module("peep.sound.samples")
    try:
        samples.make_samples(theme, directory)
    except EngineError as problem:
        raise ConfigError([f"theme {theme.name}: {problem}"]) from None
