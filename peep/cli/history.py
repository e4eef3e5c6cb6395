"""`peep history`: what came in, and what became of it."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from peep import paths
from peep.cli import common
from peep.clock import SystemClock
from peep.journal.filters import KEYS, parse_query
from peep.journal.history import Entry, find
from peep.loglines import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000_000  # held in memory, a kilobyte each

_EXAMPLES = f"""\
  peep history                                    the last {DEFAULT_LIMIT} signals
  peep history 'name=ssh.* host=web1 since=1h'    logins there within the hour
  peep history tier=alert since=2d --notes        alerts, and who came and went
  peep history outcome=suppressed since=14:00 until=14:05
  peep history 'text="out of memory"' since=2026-01-31 --json

filters: {", ".join(KEYS)}
A * stands for anything in names, hosts, classes, families and instances. The same key
again means either; different keys must all hold.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "history",
        "Show what came in and what became of it, from the server's journal.",
        _EXAMPLES,
    )
    made.add_argument(
        "filters", nargs="*", metavar="KEY=VALUE", help="show only what matches"
    )
    made.add_argument(
        "--notes",
        action="store_true",
        help="agents that came and went, and gaps, as well (kind=note: only these)",
    )
    made.add_argument(
        "--limit",
        type=_limit,
        default=DEFAULT_LIMIT,
        metavar="N",
        help=f"the newest N (default: {DEFAULT_LIMIT})",
    )
    made.add_argument("--json", action="store_true", help="one JSON list")
    made.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help=f"(default: {paths.state_dir() / 'journal.db'})",
    )
    return made


def run(argv: Sequence[str]) -> int:
    """Show what matches, the newest last."""
    args = parser().parse_intermixed_args(argv)
    query = parse_query(args.filters, SystemClock().wall(), with_notes=args.notes)
    journal = args.journal or paths.state_dir() / "journal.db"
    found = find(journal, query, args.limit)
    if args.json:
        print(json.dumps(msgspec.to_builtins(found.entries)))
    else:
        for entry in found.entries:
            print(shown(entry))
    if found.more:
        common.say(f"the newest {args.limit} of more; see the others with --limit N")
    if not found.entries:
        common.say(f"nothing in {journal} matches")
    return 0


def shown(entry: Entry, zone: dt.tzinfo | None = None) -> str:
    """Return one line that is safe to print, in local time by default."""
    when = dt.datetime.fromtimestamp(entry.received, zone)
    said = [f"{when:%Y-%m-%d %H:%M:%S}", f"{entry.host or '-':<12}"]
    said.append(f"{_what(entry):<28} {_became(entry):<16}")
    marks = []
    if entry.again:
        marks.append("again")
    if entry.late:
        marks.append(f"{entry.age_s:.0f} s late" if entry.age_s >= 1 else "late")
    if entry.group:
        marks.append(f"group {entry.group}")
    if marks:
        said.append(f"[{', '.join(marks)}]")
    if entry.instance and entry.instance not in entry.text:
        said.append(f"({entry.instance})")
    said.append(entry.text)
    line = " ".join(said).rstrip()
    return printable(line.encode("utf-8", "surrogateescape"))


def _what(entry: Entry) -> str:
    match entry.kind:
        case "event":
            count = f" x{entry.count}" if entry.count > 1 else ""
            return (
                entry.name
                + count
                + {"alert": " !", "notable": " *"}.get(entry.tier, "")
            )
        case "state":
            return f"{entry.name} = {entry.value:.3g}"
        case "heartbeat":
            return f"{entry.name} at {entry.value:.3g} Hz"
        case _:
            return entry.name


def _became(entry: Entry) -> str:
    if entry.kind == "note":
        return "note"
    if entry.outcome == "cue":
        return entry.sound
    return f"({entry.outcome or 'not known'})"


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_LIMIT}")
    return int(text)
