"""When an agent and a server belong together.

A class matches itself. A server (or a policy) may name a suffix wildcard on label
boundaries: `*.example.org` takes `a.b.example.org`, neither `example.org` nor
`badexample.org`.
"""

import re
from collections.abc import Iterable

MAX_LENGTH = 64
PATTERN = r"^[!-~]+\Z"  # printable ASCII without a space
NONE = "none"  # the class of those who speak to nobody: it matches nothing
_NAME = re.compile(PATTERN)


def class_problem(name: str) -> str | None:
    """Say what is wrong with a class's name, or None."""
    if len(name) <= MAX_LENGTH and _NAME.fullmatch(name):
        return None
    return f"is not 1 to {MAX_LENGTH} ASCII characters without spaces"


def matches(pattern: str, class_name: str) -> bool:
    """Say whether a server's pattern takes an agent's class."""
    if pattern.startswith("*."):
        return class_name.endswith(pattern[1:]) and len(class_name) > len(pattern) - 1
    return pattern == class_name != NONE


def shared(patterns: Iterable[str], class_names: Iterable[str]) -> list[str]:
    """Return the agent's classes that the server takes, in the agent's order."""
    patterns = tuple(patterns)
    return [name for name in class_names if any(matches(p, name) for p in patterns)]
