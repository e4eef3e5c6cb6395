"""What `peep agent --check` finds: what would work, what would not, and what mends it.

Nothing here changes anything: files are opened to be read, no lock is taken, no mark is
written, and a running agent is not spoken to. Whether a port is free is tried by
binding it for a moment.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from peep.agent.look import complaint
from peep.agent.sources import open_source
from peep.agent.sources.command import CommandSpec
from peep.agent.sources.contents import Plain, open_contents
from peep.agent.sources.held import end_of_lines, proves
from peep.agent.sources.journald import JournaldSpec
from peep.agent.sources.name import shown
from peep.agent.sources.patterns import expand, is_pattern
from peep.agent.sources.syslog import SyslogSpec
from peep.agent.sources.tail import TailSpec
from peep.config.problems import safe
from peep.errors import PeepError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peep.clock import Clock
    from peep.loglines import Mark

MAX_LISTED = 50  # files of one pattern; the rest is counted
_JOURNALS = (Path("/var/log/journal"), Path("/run/log/journal"))
_UNITS = ("B", "KiB", "MiB", "GiB")
_STEP = 1024

Level = Literal["ok", "note", "bad"]


class Finding(NamedTuple):
    """One thing that was looked at; `bad` would not work, and has a `mend`."""

    topic: str
    level: Level
    what: str
    says: str
    mend: str = ""


def source(
    spec: object, clock: Clock, marks: Sequence[Mark], lag_max_bytes: int
) -> Iterator[Finding]:
    """Look at what a source would follow."""
    if isinstance(spec, TailSpec):
        yield from _tail(spec, marks, lag_max_bytes)
    elif isinstance(spec, JournaldSpec):
        yield _journald(spec, marks)
    elif isinstance(spec, SyslogSpec):
        yield from _syslog(spec)
    elif isinstance(spec, CommandSpec):
        yield _command(spec)
    else:
        yield _other(spec, clock)


def state(directory: Path) -> Finding:
    """Say whether alerts and marks can be kept."""
    what = str(directory)
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(
        place, os.W_OK | os.X_OK, effective_ids=True
    ):
        mend = f"make {directory} writable, or set XDG_STATE_HOME to a place of yours"
        says = "not writable: alerts, and how far logs were read, are in memory only"
        return Finding("state", "bad", what, says, mend)
    made = "" if place == directory else ", made at the start"
    return Finding("state", "ok", what, f"writable{made}")


def size(count: float) -> str:
    """Return a number of bytes for people."""
    unit = 0
    while count >= _STEP and unit < len(_UNITS) - 1:
        count /= _STEP
        unit += 1
    return f"{count:.1f} {_UNITS[unit]}" if unit else f"{count:.0f} B"


def _tail(
    spec: TailSpec, marks: Sequence[Mark], lag_max_bytes: int
) -> Iterator[Finding]:
    if not is_pattern(spec.path):
        yield _file(spec.path, marks, lag_max_bytes, from_start=spec.from_start)
        return
    paths = sorted(expand(spec.path))
    was_here = any(mark.path == shown(spec.path) for mark in marks)
    says = f"{len(paths)} files now, and those that come later"
    yield Finding("source", "ok" if paths else "note", safe(spec.path), says)
    from_start = spec.from_start or was_here
    for path in paths[:MAX_LISTED]:
        yield _file(path, marks, lag_max_bytes, from_start=from_start)
    if len(paths) > MAX_LISTED:
        more = len(paths) - MAX_LISTED
        yield Finding("source", "ok", safe(spec.path), f"and {more} files more")


def _file(
    path: str, marks: Sequence[Mark], lag_max_bytes: int, *, from_start: bool
) -> Finding:
    what = shown(path)
    try:
        contents = open_contents(path)
    except FileNotFoundError:
        if Path(path).parent.is_dir():
            return Finding("source", "note", what, "not there yet: followed when it is")
        mend = f"check the path: there is no directory {Path(what).parent}"
        return Finding("source", "bad", what, "not there", mend)
    except PermissionError:
        mend = complaint([Path(path)]) or ""
        return Finding("source", "bad", what, "not readable", mend)
    except (OSError, SourceError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "not a regular file"
        return Finding("source", "bad", what, why or "", "name a log file")
    try:
        return _opened(contents, what, marks, lag_max_bytes, from_start=from_start)
    finally:
        contents.close()


def _opened(
    contents: Plain,
    what: str,
    marks: Sequence[Mark],
    lag_max_bytes: int,
    *,
    from_start: bool,
) -> Finding:
    length = contents.size()
    ours = [mark for mark in marks if mark.path == what]
    known = next((mark for mark in ours if proves(mark, contents)), None)
    if known is not None:
        at, begins = known.offset, f"goes on at {size(known.offset)}"
    elif ours:
        at, begins = 0, "goes on in an older one, if it is found, and then from here"
    elif from_start:
        at, begins = 0, "from its beginning"
    else:
        at, begins = end_of_lines(contents, contents.size()), "from its end"
    says = f"readable, {size(length)}, {begins}"
    unread = max(0, length - at)
    if unread:
        says += f", {size(unread)} unread"
    if ours and lag_max_bytes and unread > lag_max_bytes:
        mend = f"0 as agent.lag_max reads it all: now it is {size(lag_max_bytes)}"
        return Finding("source", "note", what, f"{says}: skipped but the last", mend)
    return Finding("source", "ok", what, says)


def _journald(spec: JournaldSpec, marks: Sequence[Mark]) -> Finding:
    what = "journald"
    if shutil.which(spec.program) is None:
        mend = f"install systemd's {spec.program}, or follow log files"
        return Finding("source", "bad", what, f"there is no {spec.program}", mend)
    places = (Path(spec.directory),) if spec.directory else _JOURNALS
    files = [file for place in places for file in place.glob("**/*.journal")]
    if not any(os.access(file, os.R_OK, effective_ids=True) for file in files):
        mend = complaint(files[:1]) or "is systemd-journald at work here?"
        says = "not readable" if files else "there is no journal"
        return Finding("source", "bad", what, says, mend)
    resumes = any(mark.path.startswith("journald:") for mark in marks)
    begins = "goes on where it stopped" if resumes else "from its end"
    if spec.from_start and not resumes:
        begins = "from its beginning"
    return Finding("source", "ok", what, f"readable, {begins}")


def _syslog(spec: SyslogSpec) -> Iterator[Finding]:
    family = socket.AF_INET6 if ":" in spec.host else socket.AF_INET
    kinds = [
        (name, kind)
        for name, kind, wanted in (
            ("UDP", socket.SOCK_DGRAM, spec.udp),
            ("TCP", socket.SOCK_STREAM, spec.tcp),
        )
        if wanted
    ]
    for name, kind in kinds:
        what = f"syslog {spec.host}:{spec.port} {name}"
        try:
            with socket.socket(family, kind) as sock:
                if kind is socket.SOCK_STREAM:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((spec.host, spec.port))
        except PermissionError:
            mend = "take a port from 1024 on, or give it CAP_NET_BIND_SERVICE"
            yield Finding("source", "bad", what, "not allowed", mend)
        except OSError as problem:
            mend = "another syslog daemon, or an agent that runs already, has the port"
            yield Finding("source", "bad", what, problem.strerror or "", mend)
        else:
            yield Finding("source", "ok", what, "free")


def _command(spec: CommandSpec) -> Finding:
    what = f"command {safe(spec.name)}"
    if shutil.which(spec.run[0]) is None:
        mend = "give its full path, and let this user run it"
        says = f"cannot run {safe(spec.run[0])}"
        return Finding("source", "bad", what, says, mend)
    return Finding("source", "ok", what, f"every {spec.interval_s:g} s")


def _other(spec: object, clock: Clock) -> Finding:
    kind = type(spec).__name__.removesuffix("Spec").lower()
    try:
        return Finding("source", "ok", kind, open_source(spec, clock).describe())
    except PeepError as problem:
        return Finding("source", "bad", kind, str(problem), "mend its options")


def classes(names: Iterable[str], keys: Iterable[tuple[str, int]]) -> Iterator[Finding]:
    """Say of each class whether it is sealed; `keys` are classes and key ids."""
    held = list(keys)
    for name in names:
        ids = [f"{key_id:08x}" for of, key_id in held if of == name]
        says = (
            f"sealed with the key {', '.join(ids)}"
            if ids
            else "open: no line, user or address is sent in it"
        )
        yield Finding("class", "ok", name, says)
