"""The listener: the table of measures for themes, target beside value.

    python tests/listen.py [--theme T]... [--only PART]... [--out DIR] [--long]

Without --theme it listens to every shipped theme; a theme may be a path, too. Parts:
sounds (each by itself, and told apart), mixes (minutes of calm and of storm), ear (what
a listener finds in a mix), states (how well they are told), page (a page with every
sound and its picture, in DIR); without --only, all. --long measures instead what takes
hours of sound: the bed, for parts that come again, and a day, for false alerts. Exits 1
where a line fails.

Themes and parts are measured by processes of their own, for an engine is one a process;
as many at a time as there are cores.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from listening.table import Line, printed, yes

from peep.config.themes import shipped_themes
from peep.errors import PeepError

PARTS = ("ear", "mixes", "states", "sounds")  # what takes longest comes first
LONG = ("hours", "ear")
PAGE = "page"
OUT = Path("build/listen")


def measured(theme: str, part: str, *, long: bool) -> tuple[list[Line], str]:
    """Return a part's lines about a theme, and how long they took."""
    began = time.perf_counter()
    report = importlib.import_module(f"listening.{part}").report
    try:
        lines = report(theme, long=True) if long and part == "ear" else report(theme)
    except PeepError as error:
        lines = [yes("can be heard", met=False, note=str(error))]
    seconds = time.perf_counter() - began
    return lines, f"{seconds:.0f} s, {time.process_time():.0f} s of a core"


def pictured(theme: str, out: Path) -> str:
    """Return a theme's part of the page."""
    return importlib.import_module("listening.page").pictured(theme, out)


def main() -> int:
    """Print the table; return 1 where a line fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--theme", action="append")
    parser.add_argument("--only", action="append", choices=(*PARTS, PAGE))
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    themes = args.theme or list(shipped_themes())
    wanted = LONG if args.long else args.only or (*PARTS, PAGE)
    # Small products only: threads would wait for each other on a busy machine.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    tables: dict[str, list[Line]] = {}
    with ProcessPoolExecutor(
        args.jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        parts = [part for part in wanted if part != PAGE]
        jobs = {
            pool.submit(measured, theme, part, long=args.long): f"{theme}: {part}"
            for part in parts
            for theme in themes
        }
        pages = [
            pool.submit(pictured, theme, args.out) for theme in themes if PAGE in wanted
        ]
        for job in as_completed(jobs):
            lines, took = job.result()
            tables[jobs[job]] = lines
            say(printed(f"{jobs[job]} ({took})", lines))
        fragments = [page.result() for page in pages]
    failed = [
        f"{title}: {line.measure}"
        for title, lines in sorted(tables.items())
        for line in lines
        if not line.met
    ]
    if fragments:
        written = importlib.import_module("listening.page").written
        say(f"the sounds: {written(args.out, dict(sorted(tables.items())), fragments)}")
    count = sum(map(len, tables.values()))
    say("\n".join([f"{count} lines, {len(failed)} failed", *failed]))
    return int(bool(failed))


def say(text: str) -> None:
    """Print, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
