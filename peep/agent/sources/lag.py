"""How far a follower may fall behind, and what it does then.

It falls behind rather than skip: a busy hour is read in the quiet one that follows. But
where more is unread of one log, older generations included, than it may, it would be
reading yesterday while the house burns. Then all but the last KEPT_BYTES is passed over
and counted; what is told goes on at the begin of a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.agent.sources.held import Held

KEPT_BYTES = 1024 * 1024  # some ten thousand lines: what happened just now


def bound(files: Sequence[Held], lag_max_bytes: int) -> None:
    """Have files (oldest first) pass over what is too much; 0 bytes is no bound."""
    if not lag_max_bytes or any(held.is_passing for held in files):
        return
    unread = [held.unread() for held in files]
    if sum(unread) <= lag_max_bytes:
        return
    kept = min(KEPT_BYTES, lag_max_bytes)
    for held, size in zip(reversed(files), reversed(unread), strict=True):
        if size > kept:
            held.pass_over(kept)
        kept = max(0, kept - size)
