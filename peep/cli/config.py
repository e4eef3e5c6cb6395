"""`peep config check`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from peep import paths
from peep.agent.sources import CHECKS
from peep.cli import common
from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.settings import load_settings
from peep.config.themes import load_theme
from peep.errors import ConfigError, PeepError

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
        raise PeepError(f"there is no {path}: without one, defaults are used")
    settings = load_settings(path, CHECKS)
    problems: list[str] = []
    for check in (
        lambda: load_rules(settings.agent.rules or shipped_packs()),
        lambda: load_theme(settings.server.theme),
    ):
        try:
            check()
        except ConfigError as refused:
            problems += refused.problems
    if problems:
        raise ConfigError(problems)
    common.say(f"{path}: ok")
    return 0
