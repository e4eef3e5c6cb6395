"""`peep dev simulate`, and where `peep dev torture` is found."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence

import msgspec

from peep.cli import common, torture
from peep.errors import ConfigError
from peep.lab.script import Plan
from peep.lab.simulate import Result, simulate
from peep.protocol.agent import MAX_LINKS
from peep.protocol.packets import MAX_LEASE_S, MIN_LEASE_S

MAX_AGENTS = 4096  # every REQUEST reaches every agent: time grows as the square
MAX_SERVERS = MAX_LINKS  # an agent speaks to no more
MAX_HOURS = 24 * 366  # a year's troubles are drawn beforehand, in memory
MAX_ALERTS = 1_000_000  # a few minutes and half a gigabyte

_EXAMPLES = """\
  peep dev simulate                            a hundred agents, a day, 10 % loss
  peep dev simulate --agents 20 --hours 6 --loss 0.3 --json
  peep dev simulate --agents 20 --hours 6 --loss 0.3 --alerts 100000
  peep dev torture tail --help                 lines lost or repeated, on this disk
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "dev simulate",
        "Run the real protocol in virtual time, with loss, crashes, sleep and cuts, "
        "and say how well leases hold and what becomes of alerts and states. The same "
        "seed gives the same trace.",
        _EXAMPLES,
    )
    rows = (
        ("--agents", _count(MAX_AGENTS), 100, "so many (default: 100)"),
        ("--servers", _count(MAX_SERVERS), 1, "so many (default: 1)"),
        ("--hours", _hours, 24.0, "of virtual time (default: 24)"),
        ("--lease", _lease, 30, "that servers grant, in seconds (default: 30)"),
        ("--loss", _share, 0.1, "share of datagrams lost (default: 0.1)"),
        ("--dup", _share, 0.05, "that come twice (default: 0.05)"),
        ("--reorder", _share, 0.05, "that are overtaken (default: 0.05)"),
        ("--alerts", _alerts, 1000, "in all agents' logs together (default: 1000)"),
        ("--seed", _seed, 7, "default: 7"),
    )
    for name, kind, default, about in rows:
        made.add_argument(name, type=kind, default=default, metavar="N", help=about)
    made.add_argument("--json", action="store_true", help="print the account as JSON")
    return made


def run(argv: Sequence[str]) -> int:
    """Simulate, and print what came of it; or torture."""
    if argv[:1] == ["torture"]:
        return torture.run(argv[1:])
    if not argv:
        raise ConfigError(["say `simulate` or `torture tail`, or --help"])
    args = parser().parse_args(common.after("simulate", argv))
    plan = Plan(
        agents=args.agents,
        servers=args.servers,
        hours=args.hours,
        lease_s=args.lease,
        loss=args.loss,
        dup=args.dup,
        reorder=args.reorder,
        alerts=args.alerts,
        seed=args.seed,
    )
    result = simulate(plan, _Progress() if sys.stderr.isatty() else None)
    if args.json:
        print(json.dumps(msgspec.to_builtins(result), indent=2))
    else:
        _show(result)
    return 0


def _count(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {most}")
        return int(text)

    return read


def _hours(text: str) -> float:
    value = _number(text)
    if not 0 < value <= MAX_HOURS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time (above 0, to {MAX_HOURS} hours)"
        )
    return value


def _lease(text: str) -> int:
    if not text.isdecimal() or not MIN_LEASE_S <= int(text) <= MAX_LEASE_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no lease ({MIN_LEASE_S} to {MAX_LEASE_S} whole seconds)"
        )
    return int(text)


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share (0 to 1)")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0  # out of every range here


def _alerts(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_ALERTS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number from 0 to {MAX_ALERTS}"
        )
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


class _Progress:
    """A percentage on a terminal, rewritten in place."""

    def __init__(self) -> None:
        self._shown = -1

    def __call__(self, share: float) -> None:
        percent = int(share * 100)
        if percent != self._shown:
            self._shown = percent
            end = "\n" if percent >= 100 else ""  # noqa: PLR2004 - per cent
            print(f"\rsimulating {percent} %", end=end, file=sys.stderr, flush=True)


def _show(result: Result) -> None:
    def times(name: str) -> str:
        values = [getattr(result, f"{name}_s_{which}") for which in ("p50", "p99")]
        if None in values:
            return "nothing to measure"
        return f"{values[0]:.1f} s (half), {values[1]:.1f} s (99 %)"

    rows = (
        ("false expiries", f"{result.false_expiries_per_agent_day} an agent-day"),
        ("  lost, lapsed", f"{result.false_lost}, {result.false_lapsed}"),
        ("false late", f"{result.false_late_per_agent_day} an agent-day"),
        ("crash to late", times("late")),
        ("crash to lost", times("lost")),
        ("crashes missed", f"{result.crashes_missed} of {result.crashes}"),
        ("to join again", times("rejoin")),
        ("still apart", f"{result.still_apart} pairs"),
        ("alerts", f"{result.alerts_sent} sent, {result.alerts_lost} lost"),
        ("  recorded twice", str(result.alerts_doubled)),
        ("  sounded again", str(result.alerts_sounded_again)),
        ("  and unmarked", str(result.alerts_sounded_again_unmarked)),
        ("states", _states(result)),
        ("stuck timers", str(result.stuck_timers)),
        ("datagrams", f"{result.datagrams_per_agent_hour} an agent-hour"),
        ("trace", result.trace_hash),
    )
    print(
        f"{result.agents} agents, {result.servers} servers, {result.hours:g} h, "
        f"lease {result.lease_s} s, loss {result.loss:g}, dup {result.dup:g}, "
        f"reorder {result.reorder:g}, seed {result.seed}"
    )
    for name, value in rows:
        print(f"{name:<16} {value}")


def _states(result: Result) -> str:
    if result.states_late is None:
        return f"{result.states_apart} apart"
    return f"{result.states_late * 100:.1f} % late, {result.states_apart} apart"
