"""`peep rules test LOG`."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from peep.cli import common
from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.themes import load_theme
from peep.errors import PeepError
from peep.loglines import LineSplitter, LogLine, printable
from peep.rules import RuleSet
from peep.theme import Theme

READ_BYTES = 256 * 1024

_EXAMPLES = """\
  peep rules test /var/log/auth.log             each line, its rule and its sound
  peep rules test app.log --rules my-rules.yaml --unmatched
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "rules test",
        "Say of each line which rule takes it, and how it sounds.",
        _EXAMPLES,
    )
    made.add_argument("log", type=Path, metavar="LOG")
    common.add_config(made)
    made.add_argument("--rules", type=common.words, metavar="A,B", help="rule packs")
    made.add_argument("--theme", metavar="NAME", help="a shipped theme or a directory")
    made.add_argument(
        "--unmatched", action="store_true", help="show only lines that no rule takes"
    )
    made.add_argument("--json", action="store_true", help="one JSON object a line")
    return made


def run(argv: Sequence[str]) -> int:
    """Show line by line, then the counts."""
    args = parser().parse_args(common.after("test", argv))
    wanted = common.settings(args.config)
    rules = RuleSet(load_rules(args.rules or wanted.agent.rules or shipped_packs()))
    theme, _ = load_theme(args.theme or wanted.server.theme)
    counts: Counter[str] = Counter()
    lines = matched = 0
    for line in _lines(args.log):
        lines += 1
        match = rules.match(line.text)
        if match is not None:
            matched += 1
            counts[match.rule.name] += 1
        if match is None or not args.unmatched:
            print(_shown(line, rules, theme, as_json=args.json))
    for name, count in counts.most_common():
        common.say(f"{count:>8}  {name}")
    share = 100 * matched / lines if lines else 0.0
    common.say(f"{matched} of {lines} lines matched ({share:.1f} %)")
    return 0


def _lines(path: Path) -> Iterator[LogLine]:
    splitter = LineSplitter(str(path))
    try:
        with path.open("rb") as file:
            blocks = iter(lambda: file.read(READ_BYTES), b"")
            for lines in (*map(splitter.feed, blocks), splitter.finish()):
                yield from lines
    except OSError as problem:
        raise PeepError(f"cannot read {path}: {problem.strerror}") from None


def _shown(line: LogLine, rules: RuleSet, theme: Theme, *, as_json: bool) -> str:
    match, event = rules.match(line.text), rules.event(line)
    voicing = None if event is None else theme.for_event(event)
    sound = None if voicing is None else voicing.sound
    if as_json:
        return json.dumps(
            {
                "rule": None if match is None else match.rule.name,
                "event": None if event is None else event.name,
                "tier": None if event is None else event.tier.name.lower(),
                "sound": sound,
                "instance": None if event is None else event.instance,
                "line": printable(line.text),
            }
        )
    if event is None:
        return f"{'-':<28} {'-':<8} {'-':<12} {printable(line.text)}"
    return (
        f"{event.name:<28} {event.tier.name.lower():<8} {sound or '(silent)':<12} "
        f"{printable(line.text)}"
    )
