"""Ten logs of a host where nothing is the matter: forty kinds of lines, in turn.

They stand in idle_lines.txt. Many mean something to our rules, few to fail2ban,
some nothing to anybody.
"""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

EACH_S = 20.0  # between the lines of one log: three a minute, and thirty in all
SAMPLES = Path(__file__).with_name("idle_lines.txt")


class IdleLogs:
    """Writes a line to each log in turn, evenly."""

    def __init__(self, directory: Path, now: float) -> None:
        directory.mkdir()
        self._lines = defaultdict[Path, list[str]](list)
        for sample in SAMPLES.read_text().splitlines():
            name, _, line = sample.partition(": ")
            self._lines[directory / name].append(line)
        self.paths = list(self._lines)
        for path in self.paths:
            path.touch()
        self.written = 0
        self._next = now

    def write(self, now: float) -> None:
        """Write what is due."""
        while self._next <= now:
            self._next += EACH_S / len(self.paths)
            turn, which = divmod(self.written, len(self.paths))
            self.written += 1
            path = self.paths[which]
            lines = self._lines[path]
            utc = time.gmtime()
            line = lines[turn % len(lines)].format(
                now=time.strftime("%b %e %H:%M:%S", utc),
                web=time.strftime("%d/%b/%Y:%H:%M:%S +0000", utc),
                error=time.strftime("%Y/%m/%d %H:%M:%S", utc),
                at=time.strftime("%Y-%m-%d %H:%M:%S", utc),
                n=1000 + self.written,  # a process, a session, a request
                byte=1 + turn % 250,  # of an address
            )
            with path.open("a") as log:
                log.write(f"{line}\n")
