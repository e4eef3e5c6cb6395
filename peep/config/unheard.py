"""Names in a theme that no signal has, because of a slip of the pen.

Whoever writes rules of his own has names of his own, so a name that is like no other is
let pass; one that is nearly another's is taken for it.
"""

import difflib
from collections.abc import Collection, Iterator

from peep.config.meanings import PEEPS_OWN
from peep.theme import Theme

_FAMILY_NEAR = 0.7  # eight short words, far from each other
_EVENT_NEAR = 0.9  # a letter or two of a long name
_DEFAULT = "default"


def unheard(
    theme: Theme, families: Collection[str], events: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """Give table, name and message of each; families and events are what rules have."""
    names = {*events, *PEEPS_OWN, "ping.up", "ping.down"}
    for table in ("families", "alerts"):
        for name in getattr(theme, table):
            near = _near(name, {*families, _DEFAULT}, _FAMILY_NEAR)
            if near:
                yield table, name, f"no rule has this family (did you mean '{near}'?)"
    beginnings = {part for name in names for part in _beginnings(name)}
    for name in theme.events:
        near = _near(name, beginnings, _EVENT_NEAR)
        if near:
            yield "events", name, f"no event is called so (did you mean '{near}'?)"
    endings = {part for name in names for part in _endings(name)}
    for name in theme.endings:
        near = _near(name.rpartition(".")[2], endings, _EVENT_NEAR)
        if near:
            yield "endings", name, f"no event ends so (did you mean '{near}'?)"


def _near(name: str, known: Collection[str], least: float) -> str:
    """Return what a name was perhaps meant to be; "" if it is known or like nothing."""
    if name in known:
        return ""
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, least)), "")


def _beginnings(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _endings(name: str) -> Iterator[str]:
    ending = name.rpartition(".")[2]
    while ending:
        yield ending
        ending = ending.partition("-")[2]
