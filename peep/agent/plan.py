"""What an agent is to do, in one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.net.backends import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from peep.protocol.agent import AgentConfig


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is to do. `server` makes it a dumb client.

    Of a log of which more than `lag_max_bytes` is unread, all but the last is skipped.
    `cpu_max` is in percent of one core. 0 is no bound, of each.
    """

    config: AgentConfig
    interfaces: tuple[str, ...] = ()
    hops: int = 1
    server: tuple[str, int] | None = None
    sources: tuple[object, ...] = ()
    wanted: Wanted = Wanted()
    control: Path | None = None
    lag_max_bytes: int = 0
    cpu_max: float = 0.0
    memory_max_bytes: int = 0
