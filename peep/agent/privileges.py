"""Work as another user than root, for good.

Root is wanted to make directories and to read keys; nothing that comes later needs it.
So the agent becomes another user before it opens a file or a socket of its own, and
keeps the groups by which logs are read. Under systemd the unit does all of this.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING

from peep.errors import ConfigError, PeepError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Debian and Fedora let adm read logs, and systemd-journal the journal.
LOG_GROUPS = ("adm", "systemd-journal")


def drop(user: str, directories: Sequence[Path]) -> None:
    """Become `user`, with its own groups and those of logs, and never root again.

    The directories are made and given to it first. ConfigError if there is no such user
    or it is root; PeepError if this process is not root, or a directory is another's.
    """
    entry = _entry(user)
    if os.geteuid() != 0:
        raise PeepError(f"only root can become {user}: leave --user out")
    for directory in directories:
        _hand_over(directory, entry.pw_uid, entry.pw_gid)
    os.setgroups(_groups(entry))
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    os.umask(0o077)
    # For programs of `command` sources.
    os.environ.update(HOME=entry.pw_dir, USER=user, LOGNAME=user)


def _entry(user: str) -> pwd.struct_passwd:
    try:
        entry = pwd.getpwnam(user)
    except (KeyError, ValueError):  # ValueError: a NUL in it
        raise ConfigError([f"--user {user!r}: there is no such user"]) from None
    if entry.pw_uid == 0:
        raise ConfigError([f"--user {user}: that is root"])
    return entry


def _groups(entry: pwd.struct_passwd) -> list[int]:
    found = set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    for name in LOG_GROUPS:
        try:
            found.add(grp.getgrnam(name).gr_gid)
        except KeyError:  # another kind of system
            continue
    # What comes with root is not kept: a user who is in its group may be there by
    # mistake.
    return sorted(found - {0})


def _hand_over(directory: Path, uid: int, gid: int) -> None:
    """Make a directory, and give it and its files to a user, if it is root's yet."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == uid:
        return
    open_to_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or open_to_others:
        raise PeepError(f"{directory} is not a directory that only root can write")
    # The directory last: while it is root's, nobody else can put a link in it.
    for path in directory.iterdir():
        os.chown(path, uid, gid, follow_symlinks=False)
    directory.chmod(0o700)
    os.chown(directory, uid, gid)
