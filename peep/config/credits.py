"""CREDITS.md: which licence each recording of a theme is under.

The line that names a file, by its name or else by that of its sound, also names the
licence. Peep cuts recordings and mixes them with others, and a theme is passed on: so
none may forbid changes or some uses, or ask that all around it be shared alike.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from peep.config.composing import RefusedError, read
from peep.config.problems import Problems, shown

CREDITS = "CREDITS.md"
FREE = "CC0, public domain, CC-BY, MIT, BSD, Apache-2.0, ISC or own recording"

_FREE = re.compile(
    r"\b(cc0|public[\s-]domain|cc[\s-]?by|creative\scommons\sattribution"
    r"|mit|bsd|apache|isc|own\s(recording|work))\b",
    re.IGNORECASE,
)
_REFUSED = tuple(
    (re.compile(pattern, re.IGNORECASE), why)
    for pattern, why in (
        (r"\b(a|l)?gpl|general\spublic\slicen[cs]e", "the GPL"),
        (r"\bsa\b|share[\s-]?alike", "share-alike"),
        (r"\bnc\b|non[\s-]?commercial|sampling\s?\+", "non-commercial"),
        (r"\bnd\b|no[\s-]?deriv", "no derivatives"),
    )
)


def check_credits(
    directory: Path,
    files: Iterable[tuple[str, str, tuple[str, int]]],
    problems: Problems,
) -> None:
    """Hold a theme's CREDITS.md to its files: (sound, file, (theme.yaml, line)) each.

    What is wrong is written down. A theme without files needs no CREDITS.md.
    """
    wanted = list(files)
    if not wanted:
        return
    path = directory / CREDITS
    try:
        lines = read(path).splitlines()
    except RefusedError as error:
        problems.add(str(path), error.line, "", f"{error}: name each file's licence")
        return
    for sound, file, (where, line) in wanted:
        at = _lines_of(file, lines) or _lines_of(sound, lines)
        if not at:
            message = f"{CREDITS} does not name {shown(file)}, and its licence"
            problems.add(where, line, f"sounds.{sound}", message)
        # A file may be called after anything: its name says nothing of its licence.
        said = {number: lines[number].replace(file, "") for number in at}
        for number, text in said.items():
            for pattern, why in _REFUSED:
                if pattern.search(text):
                    message = f"{shown(file)} is under {why}: take one under {FREE}"
                    problems.add(str(path), number + 1, "", message)
        known = any(
            pattern.search(text)
            for text in said.values()
            for pattern in (_FREE, *(refused for refused, _ in _REFUSED))
        )
        if at and not known:
            message = f"{shown(file)} has no licence that Peep knows: {FREE}"
            problems.add(str(path), at[0] + 1, "", message)


def _lines_of(name: str, lines: list[str]) -> list[int]:
    """Return the numbers of the lines, from 0, that have a name whole."""
    whole = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w/-]|\.\w)")
    return [number for number, line in enumerate(lines) if whole.search(line)]
