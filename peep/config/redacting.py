"""What an agent cuts out of lines before they leave the host: `agent.redact`."""

import msgspec

from peep.config.document import Node
from peep.rules.redaction import Redactor, redaction_problem
from peep.rules.secrets import KINDS

MAX_PATTERNS = 100  # each costs a little of every line


class RedactSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Patterns of the operator's own, and the shipped kinds of secrets to leave."""

    patterns: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def redactor(self) -> Redactor:
        """Return what does it; ConfigError where it cannot be done."""
        return Redactor(self.patterns, self.keep)


def redact_settings(node: Node) -> RedactSettings | None:
    """Read `redact`, a mapping or `off`, which is None."""
    if node.given and not node.is_mapping and not node.is_list:
        return RedactSettings() if node.flag(default=True) else None
    keys = node.section(*RedactSettings.__struct_fields__)
    nodes = keys["patterns"].nodes()
    if len(nodes) > MAX_PATTERNS:
        keys["patterns"].problem(f"more than {MAX_PATTERNS} patterns")
    return RedactSettings(
        patterns=tuple(p for at in nodes[:MAX_PATTERNS] if (p := _pattern(at))),
        keep=tuple(at.choice(KINDS) for at in keys["keep"].nodes()),
    )


def _pattern(node: Node) -> str:
    """Return a pattern; where it is refused, nothing."""
    pattern = node.text()
    problem = redaction_problem(pattern) if pattern else None
    if problem:
        node.problem(problem)
    return "" if problem else pattern
