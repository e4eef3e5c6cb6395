"""What an ear made of the themes of the last release: it must not get worse.

released.json holds, by theme and measure, the values that `make listen` printed when
the release was made; whoever makes the next one puts its values there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from listening.table import Line, at_most

if TYPE_CHECKING:
    from collections.abc import Collection

RELEASED = Path(__file__).with_name("released.json")
WORSE = 0.03


def line(theme: str, lines: Collection[Line], released: Path = RELEASED) -> Line:
    """Return by how much the worst of some measures fell since the last release.

    Of all of them more is better. A theme that was not in it cannot have got worse.
    """
    before = json.loads(released.read_text(encoding="utf-8")).get(theme, {})
    fell = [
        (before[it.measure] - it.value, it.measure)
        for it in lines
        if it.measure in before
    ]
    most, measure = max(fell, default=(0.0, "not in it"))
    return at_most("heard worse than in the last release, by", most, WORSE, measure)
