"""`peep dev torture tail`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from peep.cli import common
from peep.errors import PeepError
from peep.lab.torture import Result, cases, torture

MAX_SECONDS = 3600.0

_EXAMPLES = """\
  peep dev torture tail                        every case, five seconds each
  peep dev torture tail --dir /var/log         on the file system of the logs
  peep dev torture tail --case kill-9 --case rotate-fast --seconds 60 --json
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "dev torture tail",
        "Rotate, truncate, delete and compress a log while it is followed, kill the "
        "follower, and count the lines that it lost or repeated. The floor is what was "
        "written between a copy and its truncation: it is in no file, and not lost by "
        "us. Exit code 1 if a line was lost or repeated.",
        _EXAMPLES,
    )
    made.add_argument(
        "--seconds",
        type=_seconds,
        default=5.0,
        metavar="N",
        help="of writing, each case (default: 5)",
    )
    made.add_argument(
        "--dir",
        type=Path,
        metavar="DIR",
        help="where to make a temporary directory (default: where programs do)",
    )
    made.add_argument(
        "--case",
        action="append",
        choices=cases(),
        metavar="NAME",
        help="only this one; more than once for more: " + ", ".join(cases()),
    )
    made.add_argument("--json", action="store_true", help="print the account as JSON")
    return made


def run(argv: Sequence[str]) -> int:
    """Torture, and print what came of it; 1 if anything was lost or repeated."""
    args = parser().parse_args(common.after("tail", argv))
    if args.dir is not None and not args.dir.is_dir():
        raise PeepError(f"{args.dir}: no such directory")
    results: list[Result] = []
    names = args.case or cases()
    for number, name in enumerate(names, 1):
        if sys.stderr.isatty():
            said = f"torture {number} of {len(names)}: {name}"
            print(said, file=sys.stderr, flush=True)
        for result in torture([name], seconds=args.seconds, directory=args.dir):
            results.append(result)
            if not args.json:
                _show(result, first=number == 1)
    if args.json:
        print(json.dumps(msgspec.to_builtins(results), indent=2))
    return int(any(result.lost or result.repeated for result in results))


def _show(result: Result, *, first: bool) -> None:
    row = "{:<24}{:>10}{:>8}{:>10}{:>8}"
    if first:
        print(row.format(*Result.__struct_fields__))
    print(row.format(*msgspec.structs.astuple(result)), flush=True)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time (above 0, to {MAX_SECONDS:g} seconds)"
        )
    return value
