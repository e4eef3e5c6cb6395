"""The keys of this host: a directory of key files that nobody else can read.

Every `*.key` in the directory is one key (peep/protocol/keys.py says how it looks). A
class may have several; they are told newest first by the time of the file, so a key is
changed without a gap: write the new one everywhere, then take the old one away.

A file is refused if others may read or write it, or if somebody other than root and
this user owns it and so could have put it there. What is judged is the file that was
opened, wherever a symbolic link led.
"""

import os
import re
import shlex
import stat
from pathlib import Path
from typing import NamedTuple

from peep.config.problems import Problems, safe
from peep.errors import ConfigError
from peep.protocol.keys import (
    MAX_KEY_FILE_BYTES,
    ClassKey,
    format_key_file,
    parse_key_file,
)

MAX_KEYS = 256  # four for each of the 64 classes that a packet names
_SUFFIX = ".key"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# A leading dot hides a file, a leading dash makes it an option.
_UNSAFE_IN_NAME = re.compile(r"^[.-]+|[^A-Za-z0-9._-]")


class _Kept(NamedTuple):
    path: Path
    changed_ns: int
    key: ClassKey


def load_keyring(
    directory: Path, uid: int, *, guarded: bool = False
) -> tuple[ClassKey, ...]:
    """Return the keys in a directory, newest first; none if there is no directory.

    `uid` is the user whose files are trusted, beside root's. `guarded`: a service
    manager lets nobody else into the directory, whatever its files' modes say (systemd
    may give a file by an access list, which looks like mode 0440). ConfigError names
    every file that is refused and the command that mends it.
    """
    problems = Problems()
    kept: list[_Kept] = []
    for path in _key_files(directory):
        try:
            kept.append(_load(path, uid, guarded))
        except ConfigError as refused:
            for problem in refused.problems:
                problems.add(str(path), 0, "", problem)
        except OSError as problem:
            problems.add(str(path), 0, "", f"cannot be read: {problem.strerror}")
    kept.sort(key=lambda one: (-one.changed_ns, one.path))
    ring = _one_of_each(kept, problems)
    problems.raise_if_any()
    return ring


def write_key(directory: Path, key: ClassKey) -> Path:
    """Write a new key file, mode 0600, and return its path.

    The directory is made, mode 0700, if it is missing. ConfigError if the file is there
    already, or cannot be written.
    """
    stem = _UNSAFE_IN_NAME.sub("_", key.class_name)
    path = directory / f"{stem}-{key.key_id:08x}{_SUFFIX}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise _refused(directory, f"cannot be made: {problem.strerror}") from problem
    try:
        handle = os.open(path, flags, 0o600)
    except FileExistsError as problem:
        raise _refused(path, "this key is here already") from problem
    except OSError as problem:
        raise _refused(path, f"cannot be written: {problem.strerror}") from problem
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(format_key_file(key))
            file.flush()
            os.fsync(handle)
    except OSError as problem:
        path.unlink()  # half a key would be refused at every start
        raise _refused(path, f"cannot be written: {problem.strerror}") from problem
    return path


def _key_files(directory: Path) -> list[Path]:
    found: list[Path] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if not entry.name.endswith(_SUFFIX):
                    continue
                if len(found) == MAX_KEYS:
                    raise _refused(directory, f"more than {MAX_KEYS} key files")
                found.append(directory / entry.name)
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise _refused(directory, f"cannot be read: {problem.strerror}") from problem
    return sorted(found)


def _load(path: Path, uid: int, guarded: bool) -> _Kept:  # noqa: FBT001 - as given
    # Without O_NONBLOCK a named pipe would hold up the start for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(["is not a file"])
        if not guarded:
            _check_private(path, status, uid)
        data = os.read(handle, MAX_KEY_FILE_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_KEY_FILE_BYTES:
        raise ConfigError([f"a key file has at most {MAX_KEY_FILE_BYTES} bytes"])
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(["is not UTF-8 text"]) from None
    return _Kept(path, status.st_mtime_ns, parse_key_file(text))


def _check_private(path: Path, status: os.stat_result, uid: int) -> None:
    name = shlex.quote(safe(str(path)))
    if status.st_uid not in (0, uid):
        mend = f"if it is yours: chown {uid} {name} && chmod 600 {name}"
        raise ConfigError([f"belongs to user {status.st_uid}, who may read it; {mend}"])
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError([f"others can use it (mode {mode:04o}): chmod 600 {name}"])


def _one_of_each(kept: list[_Kept], problems: Problems) -> tuple[ClassKey, ...]:
    """Return the keys, each once; a key id that means two of them is a problem."""
    known: dict[int, _Kept] = {}
    for one in kept:
        first = known.setdefault(one.key.key_id, one)
        mine, theirs = one.key, first.key
        if (mine.class_name, mine.secret) != (theirs.class_name, theirs.secret):
            message = (
                f"has the key id of {safe(str(first.path))}, which is of class "
                f"{theirs.class_name}; a key serves one class: make a new one"
            )
            problems.add(str(one.path), 0, "", message)
    return tuple(one.key for one in known.values())


def _refused(path: Path, problem: str) -> ConfigError:
    return ConfigError([f"{safe(str(path))}: {problem}"])
