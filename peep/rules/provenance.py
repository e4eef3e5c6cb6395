"""Which rules may take a line, by where it comes from: its log, and its host.

A client of a web server writes what he likes into its log, with some servers whole
lines, that look like another program's from the first byte. So rules may say of which
`logs` they take lines.

Lines that come over the network, or stand in a log of many hosts, bear their sender's
name. A rule for some `hosts` takes lines that bear such a name wherever they are read,
and all that are read on such a host.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from peep.rules.rule import Rule

MAX_LOGS = 4096  # as many as are remembered; an agent may follow more by patterns

# Time, host, program. An application's own line may look the same, with another word
# in place of the host; so a name that is borne can add rules, and take none away.
_SENDER = re.compile(
    rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,+Z-]+)"
    rb" ([\w.:-]{1,255}) [\w./()-]{1,128}(?:\[\d+\])?: "
)


class Limits:
    """What is to be asked of lines of one log.

    Rules are named by their places in the list of all; the `doubtful` may not take all
    lines.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        barred: AbstractSet[int] = frozenset(),
        elsewhere: AbstractSet[int] = frozenset(),
        host: str | None = None,
    ) -> None:
        """`barred` take nothing, those `elsewhere` what bears their hosts' names."""
        self._rules = rules
        self._barred = barred
        self._host = host
        self.doubtful = barred | elsewhere

    def may(self, rule: int, text: bytes) -> bool:
        """Say whether a doubtful rule may take a line."""
        if rule in self._barred:
            return False
        bears = sender(text)
        return self._rules[rule].applies_on(bears) if bears else self._host is None

    def first(self, matching: Iterable[int], text: bytes) -> int:
        """Return the first of these rules that may take a line; how many there are."""
        for rule in sorted(matching):
            if rule not in self.doubtful or self.may(rule, text):
                return rule
        return len(self._rules)

    def kept_from(
        self, rules: Iterable[int], texts: Sequence[bytes]
    ) -> list[tuple[int, int]]:
        """Return (text, rule) where one of these rules may not take the text."""
        doubtful = [rule for rule in rules if rule in self.doubtful]
        return [
            (at, rule)
            for rule in doubtful
            for at, text in enumerate(texts)
            if not self.may(rule, text)
        ]


class Provenance:
    """The limits of logs, of which many lines come from few."""

    def __init__(self, rules: Sequence[Rule], host: str | None) -> None:
        """`host` is where lines are read that bear no name; None is anywhere."""
        self._rules = rules
        self._host = host
        self._elsewhere = {
            at
            for at, rule in enumerate(rules)
            if rule.hosts and (host is None or not rule.applies_on(host))
        }
        self._patterns = {rule.logs: rule for rule in rules}
        # Of each log, by name; and the few that there are, by what takes nothing of it.
        self._limits: dict[str, Limits] = {}
        self._made: dict[frozenset[tuple[str, ...]], Limits] = {}

    def of(self, log: str) -> Limits:
        """Return the limits of a log; "" is one that is not known."""
        found = self._limits.get(log)
        if found is None:
            if len(self._limits) == MAX_LOGS:
                self._limits.clear()
                self._made.clear()
            found = self._limits[log] = self._of_kind(
                frozenset(p for p, r in self._patterns.items() if not r.takes_of(log))
            )
        return found

    def _of_kind(self, barring: frozenset[tuple[str, ...]]) -> Limits:
        found = self._made.get(barring)
        if found is None:
            barred = {at for at, r in enumerate(self._rules) if r.logs in barring}
            found = Limits(self._rules, barred, self._elsewhere, self._host)
            self._made[barring] = found
        return found


def sender(text: bytes) -> str:
    """Return the host that a line bears in syslog's form, or nothing."""
    found = _SENDER.match(text)
    return found[1].decode("ascii") if found else ""
