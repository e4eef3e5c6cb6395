"""Which hosts must be there, and which come and go.

An *expected* host must be there at all times, and is named in full. *Ephemeral* ones
come and go, and are named by patterns, in which * stands for any text or none: their
loss is no alarm. Where both are said of a host, it is expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Expectations:
    """What the operator said of hosts."""

    def __init__(self, expect: Iterable[str], ephemeral: Iterable[str]) -> None:
        self.names = dict.fromkeys(expect)
        self._ephemeral = tuple(ephemeral)

    def alarming(self, name: str) -> bool:
        """Say whether it is an alarm that this host is gone."""
        if name in self.names:
            return True
        return not any(matches(pattern, name) for pattern in self._ephemeral)

    def drop(self, name: str) -> bool:
        """Expect a host no longer; say whether it was expected."""
        return name in self.names and self.names.pop(name) is None


def matches(pattern: str, name: str) -> bool:
    """Say whether a name is one of those that a pattern means; in linear time."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    if not name.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(name) - at >= len(rest[-1]) and name.endswith(rest[-1])
