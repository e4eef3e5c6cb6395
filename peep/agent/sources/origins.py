"""Numbers that stand for a file or a stream, for good."""

import secrets

from peep.signals import MAX_ID


def new_origin() -> int:
    """Return a number that nobody else draws, 1…MAX_ID; 0 would be none."""
    return 1 + secrets.randbelow(MAX_ID)
