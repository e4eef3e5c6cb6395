"""What a running agent takes up of a configuration that was edited: SIGHUP.

Everything new is made beside the old, in a thread, and only then takes its place; what
is refused changes nothing. Sources, and how servers are found, are taken up by a start.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from peep.agent.weight import settle
from peep.errors import ConfigError, PeepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.agent.guarded import Guardian
    from peep.rules import RuleSet


class Renewed(NamedTuple):
    """What a configuration asks for now, as far as a running agent can change.

    `classes` None are those of the command line; `restart` names the keys that were
    changed and need one.
    """

    rules: RuleSet
    guard: Guardian | None
    classes: tuple[str, ...] | None
    cpu_max: float
    memory_max_bytes: int
    restart: tuple[str, ...]


async def renew(
    load: Callable[[], Renewed],
    take_up: Callable[[Renewed], None],
    say: Callable[[str], None],
) -> None:
    """Load, and take it up; what is refused is said in one line, with its place."""
    try:
        renewed = await asyncio.to_thread(load)
    except ConfigError as refused:
        first, *others = refused.problems
        more = f" (and {len(others)} more: peep config check)" if others else ""
        say(f"{first}{more}: nothing is changed")
    except (PeepError, OSError) as refused:
        say(f"{refused}: nothing is changed")
    else:
        take_up(renewed)
        say(f"rules read again: {len(renewed.rules.rules)} rules")
        if renewed.restart:
            say(
                f"changed, and taken up by a restart only: {', '.join(renewed.restart)}"
            )
        # There were two sets of rules, and all that it took to make one.
        await asyncio.to_thread(settle)
