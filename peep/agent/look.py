"""What there is to follow on this host, when nobody has said.

Readable log files in /var/log and one level below, by the names that logs have; not
what is binary, compressed or rotated away. What cannot be read for want of rights is
told, and what would mend it.

Where systemd runs and nothing writes its journal into syslog or messages, the journal
is followed instead; and then not what syslog daemons write besides: it is in there. Nor
is a log followed whose lines another has as well (doubles.py).
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from peep.agent.doubles import doubles
from peep.agent.sources.system import SystemSpec
from peep.agent.sources.tail import TailSpec
from peep.config.problems import safe

MAX_FILES = 64  # more than a host has by its distribution; a log farm is configured
MAX_NAMED = 3  # of what cannot be read
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


class Seen(msgspec.Struct, frozen=True):
    """What was found: specs of sources; logs, and those of the system among them.

    `unreadable` are logs, directories and journals that we may not read; `doubled` are
    logs that are not followed, each with the one that has their lines.
    """

    sources: tuple[object, ...]
    logs: tuple[Path, ...]
    system_logs: tuple[Path, ...]
    journal: bool
    unreadable: tuple[Path, ...] = ()
    doubled: tuple[tuple[Path, Path], ...] = ()


def look_around(var_log: Path = Path("/var/log"), run: Path = Path("/run")) -> Seen:
    """Find the logs or the journal here, and the system itself."""
    unreadable: list[Path] = []
    logs = list(_logs(var_log, unreadable))
    sources: list[object] = []
    journal = False
    if not any(path.name in _ALL_OF_SYSLOG for path in logs):
        journal = _journal(var_log, run, unreadable)
    if journal:
        # Loaded only where it is used.
        from peep.agent.sources.journald import JournaldSpec  # noqa: PLC0415

        sources.append(JournaldSpec())
        logs = [path for path in logs if path.name not in _PARTS_OF_SYSLOG]
        unreadable = [
            path
            for path in unreadable
            if path.name not in _PARTS_OF_SYSLOG | _ALL_OF_SYSLOG
        ]
    system = _ALL_OF_SYSLOG | _PARTS_OF_SYSLOG
    doubled = doubles(path for path in logs if path.name in system)
    logs = [path for path in logs if path not in doubled][:MAX_FILES]
    return Seen(
        (*sources, *(TailSpec(str(path)) for path in logs), SystemSpec()),
        tuple(logs),
        tuple(path for path in logs if path.name in system),
        journal,
        tuple(unreadable),
        tuple(doubled.items()),
    )


def complaint(unreadable: Iterable[Path]) -> str | None:
    """Say in one line what could not be read, and what would mend it."""
    paths = tuple(unreadable)
    if not paths:
        return None
    named = ", ".join(safe(str(path)) for path in paths[:MAX_NAMED])
    if len(paths) > MAX_NAMED:
        named += f" and {len(paths) - MAX_NAMED} more"
    groups = sorted({group for path in paths if (group := _group(path))})
    if not groups:
        return f"not readable: {named}: only root may"
    user = _user()
    joined = ",".join(groups)
    return (
        f"not readable: {named}: join the group{'s' * (len(groups) > 1)} "
        f"{' and '.join(groups)} (usermod -aG {joined} {user}), or start as root "
        "with --user"
    )


def doubled_note(doubled: Iterable[tuple[Path, Path]]) -> str | None:
    """Say in one line which logs are not followed, for others have their lines."""
    said = [f"{safe(part.name)} (in {safe(whole.name)})" for part, whole in doubled]
    return f"not followed twice: {', '.join(said)}" if said else None


def _group(path: Path) -> str | None:
    """Return the group that may read a path, if that is not root's."""
    try:
        status = path.stat()
        name = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return None
    return name if status.st_gid and status.st_mode & stat.S_IRGRP else None


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"#{os.geteuid()}"


def _installed(program: str) -> bool:
    # shutil knows, too, and brings half a megabyte.
    return any(os.access(f"{place}/{program}", os.X_OK) for place in os.get_exec_path())


def _journal(var_log: Path, run: Path, unreadable: list[Path]) -> bool:
    """Say whether there is a journal that we may read."""
    if not _is_dir(run / "systemd" / "system") or not _installed("journalctl"):
        return False
    journals = (var_log / "journal", run / "log" / "journal")
    files = [path for place in journals for path in place.glob("*/system.journal")]
    if any(os.access(path, os.R_OK, effective_ids=True) for path in files):
        return True
    unreadable += files[:1]
    return False


def _logs(directory: Path, unreadable: list[Path], depth: int = 1) -> Iterator[Path]:
    try:
        entries = sorted(directory.iterdir())
    except PermissionError:
        unreadable.append(directory)
        return
    except OSError:
        return
    for path in entries:
        if _is_dir(path):
            if depth and path.name not in _DULL_DIRECTORIES and not path.is_symlink():
                yield from _logs(path, unreadable, depth - 1)
        elif (path.suffix == ".log" or path.name in _NAMES) and path.name not in _DULL:
            try:
                if _is_text(path):
                    yield path
            except PermissionError:
                unreadable.append(path)


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # in a directory that may be listed, but not entered
        return False


def _is_text(path: Path) -> bool:
    """Say whether it is a file of text; PermissionError if we may not know."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return b"\0" not in file.read(_SAMPLE_BYTES)
    except PermissionError:
        raise
    except OSError:
        return False
