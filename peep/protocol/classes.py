"""When an agent and a server belong together.

A class matches itself. A server (or a policy) may name a suffix wildcard on label
boundaries: `*.example.org` takes `a.b.example.org`, neither `example.org` nor
`badexample.org`.
"""

from collections.abc import Iterable


def matches(pattern: str, class_name: str) -> bool:
    """Say whether a server's pattern takes an agent's class."""
    if pattern.startswith("*."):
        return class_name.endswith(pattern[1:]) and len(class_name) > len(pattern) - 1
    return pattern == class_name


def shared(patterns: Iterable[str], class_names: Iterable[str]) -> list[str]:
    """Return the agent's classes that the server takes, in the agent's order."""
    patterns = tuple(patterns)
    return [name for name in class_names if any(matches(p, name) for p in patterns)]
