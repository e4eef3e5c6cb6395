"""Logs of the system whose lines stand in another log of the system as well.

Syslog daemons write a line to several files: Debian's rsyslog all but auth's to syslog,
and mail's to mail.log besides; syslog-ng, Red Hat's and everybody's own configurations
do it otherwise. So it is not the names that tell, but the lines: a log is a *double* of
another if its last line stands in the other, or in what the other was before it was
rotated. A log without a line tells nothing, and is followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LAST_BYTES = 16 * 1024  # to find a last line in; syslog's are shorter
_SEARCHED_BYTES = 4 * 1024 * 1024  # of a log: a day's end of a busy host


def doubles(logs: Iterable[Path]) -> dict[Path, Path]:
    """Return which logs are doubles, each with the one that has its lines."""
    found: dict[Path, Path] = {}
    kept: list[Path] = []
    # A part is no larger than the whole.
    for log in sorted(logs, key=_size_bytes, reverse=True):
        line = _last_line(log)
        whole = next((one for one in kept if line and _has(one, line)), None)
        if whole is None:
            kept.append(log)
        else:
            found[log] = whole
    return found


def _has(log: Path, line: bytes) -> bool:
    # Its line end in front, so that it is a whole line there, too.
    return any(
        b"\n" + line in b"\n" + _end(one, _SEARCHED_BYTES)
        for one in (log, _before(log))
    )


def _before(log: Path) -> Path:
    """Return what a log was until it was rotated, if it is not packed yet."""
    return log.with_name(f"{log.name}.1")


def _last_line(log: Path) -> bytes:
    """Return the last whole line with its end, or nothing."""
    lines = _end(log, _LAST_BYTES).split(b"\n")
    return lines[-2] + b"\n" if len(lines) > 1 and lines[-2] else b""


def _end(log: Path, size_bytes: int) -> bytes:
    try:
        with log.open("rb") as file:
            file.seek(max(0, _size_bytes(log) - size_bytes))
            return file.read(size_bytes)
    except OSError:
        return b""


def _size_bytes(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0
