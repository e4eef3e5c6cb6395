"""What a service manager is told: sd_notify(3), without its library.

systemd names a socket in $NOTIFY_SOCKET; news are a datagram of `NAME=value` lines to
it. It also says in $WATCHDOG_USEC how often it wants a sign of life, and ends a process
that gives none. Where neither is set nothing is done, so that callers need not ask.

A manager that does not listen is no reason to stop: what cannot be told is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE_S = 0.02  # as long as anything may hold the loop
STALE_S = 1.0  # work that has not gone on for so long gives no sign of life
MAX_STATUS = 256  # characters: a line in `systemctl status`

_PERIOD = re.compile(r"0*[1-9][0-9]{0,17}")  # microseconds, in 64 bits


class Notifier:
    """Tells a service manager how it goes; with an empty environment, nobody.

    `watchdog_s` is how often a sign of life is due, or None if nobody waits for one.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = None if self._address is None else _watchdog_s(environ)

    def ready(self, status: str) -> None:
        """Say that all is open and at work."""
        self._tell("READY=1", _status(status))

    def status(self, status: str) -> None:
        """Say in one line how it goes."""
        self._tell(_status(status))

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Give a sign of life."""
        self._tell("WATCHDOG=1")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the configuration is read again, and then that this is done."""
        # The manager's own clock, which stands while the machine sleeps.
        now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now_ns // 1000}")
        try:
            yield
        finally:
            self._tell("READY=1")

    async def keep_alive(self) -> None:
        """Give signs of life for as long as the loop comes round, until cancelled."""
        while self.watchdog_s is not None:
            self.alive()
            await asyncio.sleep(self.watchdog_s / 2)

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            ) as sock,
        ):
            sock.settimeout(PATIENCE_S)
            sock.sendto("\n".join(lines).encode(errors="replace"), self._address)


class Progress:
    """Gives signs of life while a count grows, twice as often as they are due.

    It must be looked at more often than once in STALE_S.
    """

    def __init__(self, notifier: Notifier, now: float) -> None:
        """Begin at `now`, seconds of a clock that never steps."""
        self._notifier = notifier
        self._count = 0
        self._grew_at = self._due_at = now

    def look(self, count: int, now: float) -> None:
        """Take the count as it is now; give a sign if it grew lately and one is due."""
        if count != self._count:
            self._count, self._grew_at = count, now
        period_s = self._notifier.watchdog_s
        if period_s is None or now < self._due_at or now - self._grew_at >= STALE_S:
            return
        self._notifier.alive()
        self._due_at = now + period_s / 2


def _address(named: str) -> bytes | None:
    """Return where a Unix socket is: a path, or `@` and a name without a file."""
    if named.startswith("@"):
        return b"\0" + os.fsencode(named[1:])
    # Anything else, such as vsock:, is for virtual machines.
    return os.fsencode(named) if named.startswith("/") else None


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    period_us = environ.get("WATCHDOG_USEC", "")
    # A child inherits the variables, and is not the one that is meant.
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not _PERIOD.fullmatch(period_us):
        return None
    return int(period_us) / 1_000_000


def _status(status: str) -> str:
    """Return a line that cannot be read as two."""
    return f"STATUS={' '.join(status.split())[:MAX_STATUS]}"


SILENT = Notifier({})
