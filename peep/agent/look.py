"""What there is to follow on this host, when nobody has said.

Readable log files in /var/log and one level below, by the names that logs have; not
what is binary, compressed or rotated away, and not what cannot be read without root
when one is not.

Where systemd runs and nothing writes its journal into syslog or messages, the journal
is followed instead; and then not what syslog daemons write besides: it is in there.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from peep.agent.sources.system import SystemSpec
from peep.agent.sources.tail import TailSpec

MAX_FILES = 64  # more than a host has by its distribution; a log farm is configured
# What has no .log at its end.
_NAMES = {"syslog", "messages", "secure", "maillog", "cron", "debug"}
# Installers' logs: long, and nobody's trouble.
_DULL = {"dpkg.log", "alternatives.log", "fontconfig.log", "bootstrap.log"}
_DULL_DIRECTORIES = {"apt", "installer", "journal", "private", "sysstat", "peep"}
_SAMPLE_BYTES = 1024
# Where all that is in the journal goes, too; and where parts of it go.
_ALL_OF_SYSLOG = {"syslog", "messages"}
_PARTS_OF_SYSLOG = {"secure", "maillog", "cron", "debug"}.union(
    f"{name}.log"
    for name in ("auth", "cron", "daemon", "kern", "mail", "syslog", "user")
)


def look_around(
    var_log: Path = Path("/var/log"), run: Path = Path("/run")
) -> list[object]:
    """Return specs for the logs or the journal here, and for the system itself."""
    logs = list(_logs(var_log))
    found: list[object] = []
    if not any(path.name in _ALL_OF_SYSLOG for path in logs) and _journal(var_log, run):
        # Loaded only where it is used.
        from peep.agent.sources.journald import JournaldSpec  # noqa: PLC0415

        found.append(JournaldSpec())
        logs = [path for path in logs if path.name not in _PARTS_OF_SYSLOG]
    found += [TailSpec(str(path)) for path in logs[:MAX_FILES]]
    return [*found, SystemSpec()]


def _journal(var_log: Path, run: Path) -> bool:
    """Say whether there is a journal that we may read."""
    if not _is_dir(run / "systemd" / "system") or not shutil.which("journalctl"):
        return False
    journals = (var_log / "journal", run / "log" / "journal")
    files = (path for place in journals for path in place.glob("*/system.journal"))
    return any(os.access(path, os.R_OK) for path in files)


def _logs(directory: Path, depth: int = 1) -> Iterator[Path]:
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return
    for path in entries:
        if _is_dir(path):
            if depth and path.name not in _DULL_DIRECTORIES and not path.is_symlink():
                yield from _logs(path, depth - 1)
        elif (
            (path.suffix == ".log" or path.name in _NAMES)
            and path.name not in _DULL
            and _is_text(path)
        ):
            yield path


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # in a directory that may be listed, but not entered
        return False


def _is_text(path: Path) -> bool:
    try:
        if not path.is_file() or not os.access(path, os.R_OK):
            return False
        with path.open("rb") as file:
            return b"\0" not in file.read(_SAMPLE_BYTES)
    except OSError:
        return False
