"""`peep rules test|list|lint|bench`."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence

import msgspec

from peep.agent.guarded import Guardian
from peep.cli import common
from peep.cli.reading import batches_of, lines_of
from peep.clock import SystemClock
from peep.config.problems import safe
from peep.config.redacting import RedactSettings
from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.themes import load_theme
from peep.errors import ConfigError, PeepError
from peep.loglines import LogLine, printable
from peep.rules import Rule, RuleSet, portions
from peep.rules.lint import lint
from peep.signals import Event
from peep.theme import Theme

_VERBS = "say `test`, `list`, `lint` or `bench`, or --help"
_BENCH_BYTES = 64 * 1024 * 1024  # of a log are enough to measure, and fit anywhere
_BENCH_S = 2.0

_EXAMPLES = """\
  peep rules test /var/log/auth.log             each line, its rule and its sound
  peep rules test app.log --rules my-rules.yaml --unmatched
  peep rules list --groups                      what --groups and --exclude know
  peep rules lint my-rules.yaml                 rules that do not do their work
  peep rules bench /var/log/syslog              lines a second
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "rules", "Try, list, check and measure the rules.", _EXAMPLES
    )
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    test = verbs.add_parser(
        "test", help="say of each line which rule takes it, and how it sounds"
    )
    test.add_argument("log", metavar="LOG", help="a file, or - for standard input")
    test.add_argument("--theme", metavar="NAME", help="a theme's name, or a directory")
    test.add_argument(
        "--unmatched", action="store_true", help="show only lines that no rule takes"
    )
    listing = verbs.add_parser("list", help="list the rules in their order")
    listing.add_argument(
        "--groups", dest="by_group", action="store_true", help="list the groups"
    )
    linting = verbs.add_parser("lint", help="name rules that do not do their work")
    linting.add_argument("packs", nargs="*", metavar="FILE", help="default: all in use")
    bench = verbs.add_parser("bench", help="measure how many lines a second are taken")
    bench.add_argument("log", metavar="LOG", help="a file, or - for standard input")
    for verb in (test, listing, linting, bench):
        common.add_config(verb)
        verb.add_argument("--json", action="store_true", help="print JSON")
    for verb in (test, listing, bench):
        verb.add_argument(
            "--rules", type=common.words, metavar="A,B", help="rule packs"
        )
    return made


def run(argv: Sequence[str]) -> int:
    """Do what the verb says; `lint` fails if anything is an error."""
    if not argv:
        raise ConfigError([_VERBS])
    args = parser().parse_args(argv)
    settings = common.settings(args.config)
    named = args.packs if args.verb == "lint" else args.rules
    rules = load_rules(named or settings.agent.rules or shipped_packs())
    if args.verb == "list":
        return _list(args, rules)
    redactor = (settings.agent.redact or RedactSettings()).redactor()
    with Guardian(rules, SystemClock(), common.say) as guard:
        if args.verb == "bench":
            return _bench(args, RuleSet(rules, redactor=redactor, guard=guard))
        compiled = RuleSet(rules, guard=guard)
        if args.verb == "lint":
            return _lint(compiled, as_json=args.json)
        theme, _ = load_theme(args.theme or settings.server.theme)
        return _test(args, compiled, theme)


def _test(args: argparse.Namespace, rules: RuleSet, theme: Theme) -> int:
    """Show line by line, then the counts."""
    counts: Counter[str] = Counter()
    lines = 0
    for line in lines_of(args.log):
        lines += 1
        winners, events = rules.take([line])
        rule = rules.rules[winners[0]] if winners else None
        if rule is not None:
            counts[rule.name] += 1
        if rule is None or not args.unmatched:
            show = _as_json if args.json else _as_text
            print(show(line, rule, events[0] if events else None, theme))
    for name, count in counts.most_common():
        common.say(f"{count:>8}  {name}")
    common.say(_share(counts.total(), lines))
    return 0


def _share(matched: int, lines: int) -> str:
    share = 100 * matched / lines if lines else 0.0
    return f"{matched} of {lines} lines matched ({share:.1f} %)"


def _sound(event: Event, theme: Theme) -> str | None:
    voicing = theme.for_event(event)
    return None if voicing is None else voicing.sound


def _as_json(
    line: LogLine, rule: Rule | None, event: Event | None, theme: Theme
) -> str:
    return json.dumps(
        {
            "rule": None if rule is None else rule.name,
            "event": None if event is None else event.name,
            "tier": None if event is None else event.tier.name.lower(),
            "sound": None if event is None else _sound(event, theme),
            "instance": None if event is None else event.instance,
            "line": printable(line.text),
        }
    )


def _as_text(line: LogLine, _: Rule | None, event: Event | None, theme: Theme) -> str:
    name, tier, sound = "-", "-", "-"
    if event is not None:
        name, tier = event.name, event.tier.name.lower()
        sound = _sound(event, theme) or "(silent)"
    return f"{name:<28} {tier:<8} {sound:<12} {printable(line.text)}"


def _list(args: argparse.Namespace, rules: Sequence[Rule]) -> int:
    """Print the rules in their order, or the groups."""
    if args.by_group:
        groups = Counter(group for rule in rules for group in rule.groups)
        if args.json:
            print(json.dumps(groups, indent=2))
        for group, count in sorted(groups.items()):
            if not args.json:
                print(f"{group:<20} {count:>4} rules")
        return 0
    for rule in rules:
        if args.json:
            print(json.dumps(msgspec.to_builtins(rule)))
        else:
            most = rule.most()
            rate = "" if most is None else f"{most.count}/{most.period_s:.0f}s"
            print(
                f"{rule.name:<28} {rule.event:<28} {rule.tier.name.lower():<8} "
                f"{rule.family or '-':<9} {rate:<8} {','.join(rule.groups)}"
                + (f" on {','.join(rule.hosts)}" if rule.hosts else "")
            )
    return 0


def _lint(rules: RuleSet, *, as_json: bool) -> int:
    """Print what is wrong; exit code 1 if anything is an error."""
    findings = lint(rules)
    for found in findings:
        if as_json:
            print(json.dumps(msgspec.to_builtins(found)))
        else:
            print(f"{found.level}: rule {found.rule} {safe(found.message)}")
    levels = Counter(found.level for found in findings)
    common.say(
        f"{len(rules.rules)} rules: {levels['error']} errors, "
        f"{levels['warning']} warnings, {levels['note']} notes"
    )
    return 1 if levels["error"] else 0


def _bench(args: argparse.Namespace, rules: RuleSet) -> int:
    """Take a log's lines again and again for a while."""
    lines: list[LogLine] = []
    size_bytes = 0
    for read in batches_of(args.log):
        lines += read
        size_bytes += sum(len(line.text) for line in read)
        if size_bytes > _BENCH_BYTES:
            break
    if not lines:
        raise PeepError(f"{args.log} has no lines")
    clock = SystemClock()
    began, rounds, matched = clock.now(), 0, 0
    while (took_s := clock.now() - began) < _BENCH_S or not rounds:
        rounds += 1
        matched = sum(len(rules.events(portion)) for portion in portions(lines))
    rate = rounds * len(lines) / took_s
    if args.json:
        measured = {"rules": len(rules.rules), "lines": len(lines), "matched": matched}
        print(json.dumps({**measured, "lines_per_s": round(rate)}))
        return 0
    print(f"{rate:,.0f} lines a second with {len(rules.rules)} rules")
    print(_share(matched, len(lines)))
    return 0
