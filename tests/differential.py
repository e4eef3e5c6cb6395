"""The matching engine against a plain loop over `re`, on lines that were made ugly.

    python tests/differential.py [LINES]        default: a million

The rules are all that are shipped. The lines are their own samples, mutated: bytes that
are not UTF-8, NULs, parts left out, twice or of other lines. Which rule takes a line,
and what its groups take, must be the same. (Python's `\\s` has the vertical tab, RE2's
has not: it is left out.)
"""

from __future__ import annotations

import random
import re
import sys
from typing import TYPE_CHECKING

from peep.config.rulepacks import load_rules, shipped_packs
from peep.rules import RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peep.rules import Rule

UGLY = [b"\x00", b"\xff", b"\xc3\xa9", b"\xc3", b" ", b'"', b"\x1b[2J", b"\\", b"]"]
PIECE = 24  # bytes that are moved at a time, at most


class Differential:
    """Takes lines in two ways."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = RuleSet(rules)
        self._plain = [re.compile(rule.match.encode()) for rule in rules]
        self._samples = [
            line.encode() for rule in rules for line in (*rule.takes, *rule.refuses)
        ]

    def lines(self, count: int, rng: random.Random) -> Iterator[bytes]:
        """Yield mutated samples."""
        for _ in range(count):
            line = bytearray(rng.choice(self._samples))
            for _ in range(rng.randint(0, 4)):
                at = rng.randrange(len(line) + 1)
                match rng.randrange(4):
                    case 0:
                        line[at:at] = rng.choice(UGLY)
                    case 1:
                        del line[at : at + rng.randint(1, PIECE)]
                    case 2:
                        other = rng.choice(self._samples)
                        begin = rng.randrange(len(other))
                        line[at:at] = other[begin : begin + rng.randint(1, PIECE)]
                    case _:
                        line[at:at] = line[max(0, at - rng.randint(1, PIECE)) : at]
            yield bytes(line).replace(b"\n", b"").replace(b"\x0b", b"")

    def difference(self, line: bytes) -> str | None:
        """Say how the two ways differ on a line, or None."""
        match = self.rules.match(line)
        ours = match and (match.rule.name, match.text, match.instance)
        theirs = None
        for rule, pattern in zip(self.rules.rules, self._plain, strict=True):
            found = pattern.search(line)
            if found:
                groups = found.groupdict()
                theirs = (rule.name, groups.get("text"), groups.get("instance"))
                break
        return None if ours == theirs else f"{line!r}: {ours} is not {theirs}"


def main() -> int:
    """Compare so many lines; exit code 1 at the first difference."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    both = Differential(load_rules(shipped_packs()))
    for number, line in enumerate(both.lines(count, random.Random(6)), 1):
        difference = both.difference(line)
        if difference:
            print(difference)  # noqa: T201 - it is a command
            return 1
        if number % 100_000 == 0:
            print(f"{number} lines, no difference", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
