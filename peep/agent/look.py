"""What there is to follow on this host, when nobody has said.

Readable log files in /var/log and one level below, by the names that logs have; not
what is binary, compressed or rotated away, and not what cannot be read without root
when one is not.
"""

import os
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


def look_around(var_log: Path = Path("/var/log")) -> list[TailSpec | SystemSpec]:
    """Return specs for the logs that are there, and for the system itself."""
    found = [TailSpec(str(path)) for path in _logs(var_log)]
    return [*found[:MAX_FILES], SystemSpec()]


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
