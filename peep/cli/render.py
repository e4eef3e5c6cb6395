"""`peep render`."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from peep.cli import common
from peep.cli.judging import guard_of
from peep.clock import SystemClock
from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.themes import load_theme
from peep.errors import PeepError
from peep.rules import RuleSet
from peep.server.render import Rendered, render
from peep.sound.offline import OfflineEngine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EXAMPLES = """\
  peep render /var/log/auth.log --out today.flac
  peep render access.log error.log --speed 60 --out hour-in-a-minute.flac
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "render",
        "Turn logs into a sound file, from their own timestamps, without a network.",
        _EXAMPLES,
    )
    common.add_config(made)
    made.add_argument("logs", nargs="+", type=Path, metavar="LOG")
    made.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=".flac, .wav or .ogg"
    )
    made.add_argument(
        "--speed",
        type=common.positive,
        default=1.0,
        metavar="N",
        help="so many times faster than it happened (default: 1)",
    )
    made.add_argument("--theme", metavar="NAME", help="a theme's name, or a directory")
    made.add_argument("--rules", type=common.words, metavar="A,B", help="rule packs")
    made.add_argument("--seed", type=int, default=1, metavar="N", help="default: 1")
    made.add_argument("--json", action="store_true", help="print the account as JSON")
    return made


def run(argv: Sequence[str]) -> int:
    """Render, and say what became of every line."""
    args = parser().parse_args(argv)
    wanted = common.settings(args.config)
    for log in args.logs:
        try:
            with log.open("rb"):
                pass
        except OSError as problem:
            raise PeepError(f"cannot read {log}: {problem.strerror}") from None
        if args.out.exists() and args.out.samefile(log):
            raise PeepError(f"--out {args.out} is the log itself")
    chosen = load_rules(args.rules or wanted.agent.rules or shipped_packs())
    rules = RuleSet(chosen, guard=guard_of(chosen))
    theme, directory = load_theme(args.theme or wanted.server.theme)
    clock = SystemClock()
    started = clock.now()
    engine = OfflineEngine(theme, directory, args.out, args.seed)
    # Not for secrets: the same seed must give the same sound.
    rng = random.Random(args.seed)  # noqa: S311
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _stopped(args.out))
    rendered = render(
        args.logs,
        rules,
        theme,
        engine,
        rng=rng,
        speed=args.speed,
        progress=_Progress(),
    )
    took_s = clock.now() - started
    common.say(
        f"{rendered.seconds:.0f} s of sound in {took_s:.1f} s: "
        f"{rendered.seconds / took_s:.0f} times real time, in {args.out}"
    )
    if args.json:
        print(json.dumps(msgspec.to_builtins(rendered), indent=2))
    else:
        _show(rendered)
    return 0


def _stopped(out: Path) -> None:
    """End at once, leaving no half file.

    A KeyboardInterrupt could come inside a destructor, where Python drops it.
    """
    out.unlink(missing_ok=True)
    common.say(f"stopped: {out} was not finished, and is removed")
    os._exit(130)


class _Progress:
    """How much there is to do; on a terminal also a percentage, rewritten in place."""

    def __init__(self) -> None:
        self._shown = -1

    def __call__(self, share: float, total_s: float) -> None:
        percent = int(share * 100)
        if self._shown < 0:
            common.say(f"rendering {total_s:.0f} s of sound")
        if percent != self._shown:
            self._shown = percent
            if sys.stderr.isatty():
                end = "\n" if share >= 1 else ""
                print(f"\r{percent} %", end=end, file=sys.stderr, flush=True)


def _show(rendered: Rendered) -> None:
    left_out = ", ".join(f"{n} {why}" for why, n in rendered.suppressions.items())
    print(
        f"{rendered.lines} lines: {rendered.cues} cues, "
        f"{sum(rendered.suppressions.values())} suppressed"
        + (f" ({left_out})" if left_out else "")
        + f", {rendered.unmatched} unmatched"
        + (f", {rendered.undated} without a time" if rendered.undated else "")
    )
    for name, count in list(rendered.events.items())[:20]:
        print(f"  {count:>6}  {name}")
    if rendered.integrated_lufs is not None:
        print(
            f"Loudness: {rendered.integrated_lufs} LUFS integrated, "
            f"true peak {rendered.true_peak_dbtp} dBTP"
        )
