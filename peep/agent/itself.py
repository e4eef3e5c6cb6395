"""Lines that Peep wrote itself are not followed: whoever listens to himself, howls.

A server says each alert in a line of its log. Were that line an alert again, there
would be no end. Two kinds of lines are Peep's, wherever they are read:

- those in syslog's form whose program is peep (or peep-agent, peep-server): what the
  journal and syslog daemons make of standard error, on this host and on others;
- those that tell an event as a server does (`alert NAME from HOST: …`; by NAME alone
  where that has a dot), for its output may be led anywhere. An event that goes round
  comes by here under a name that our own rules gave it.

Both are told by how a line begins, or its message: further on anybody may have written
it, in the name of a user or a file, so as not to be heard.

What an agent writes itself is also known by the file (sources/own.py), and entries of
the journal by what the kernel vouches for (sources/journal_entry.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import re2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peep.loglines import LogLine

# Signs that are looked for in all lines at once: what has none of them is not ours.
_TAG, _FROM = b" peep", b" from "
_NAME = rb"[a-z0-9][a-z0-9_.-]{0,63}"
# One by one: RE2 leaps from one byte to its next, where a pattern begins with it.
_TELLING = (rb"alert %b from " % _NAME, rb"\.%b from " % _NAME)

_STAMP = rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,+Z-]+)"
_OWN_TAG = re.compile(
    rb"(?:<\d{1,3}>)?%b [!-~]{1,255} peep(?:-agent|-server)?(?:\[\d{1,10}\])?: "
    % _STAMP
)
# Behind nothing, or what wraps lines up: syslog under another name, supervisors' times
# (also TAI64N), Docker's JSON, and the name that compose puts before each line.
_TOLD = re.compile(
    rb"(?:(?:<\d{1,3}>)?%b [!-~]{1,255} [^\s:]{1,128}: "
    rb'|(?:@?[\dT:.,+Z/a-f_-]{8,40} ){1,3}|\{"log":"|[\w.-]{1,128} +\| )?'
    rb"(alert )?(%b) from [!-~]{1,255}(?:,| and|(?<=:)) " % (_STAMP, _NAME)
)


class Itself:
    """Knows Peep's own lines; `names` are those of the events that rules make."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.encode("ascii") for name in names)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        self._telling = [re2.compile(p, options).search for p in _TELLING]

    def without(self, lines: Sequence[LogLine]) -> Sequence[LogLine]:
        """Return the lines that are not Peep's."""
        texts = b"\n".join([line.text for line in lines])
        telling = _FROM in texts and any(search(texts) for search in self._telling)
        if _TAG not in texts and not telling:
            return lines
        return [line for line in lines if not self._is_own(line.text)]

    def _is_own(self, text: bytes) -> bool:
        if _TAG in text and _OWN_TAG.match(text):
            return True
        told = _TOLD.match(text)
        return (
            told is not None
            and told[2] in self._names
            and (told[1] is not None or b"." in told[2])
        )
