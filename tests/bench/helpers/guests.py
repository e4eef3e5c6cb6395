"""Other guests of a host, with a configuration of their own: to compare with.

Each is started in the foreground, watches the same logs, and changes nothing outside of
its directory.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = list[str | Path]

FAIL2BAN = Path("/etc/fail2ban")  # whose filters are used, as they were installed
COLLECTD = """\
BaseDir "{here}"
PIDFile "{here}/pid"
Interval 2
LoadPlugin cpu
LoadPlugin memory
LoadPlugin df
LoadPlugin load
LoadPlugin interface
LoadPlugin csv
LoadPlugin tail
<Plugin csv>
  DataDir "{here}/csv"
</Plugin>
<Plugin tail>
{files}
</Plugin>
"""
COLLECTD_FILE = """\
  <File "{path}">
    Instance "{path.stem}"
    <Match>
      Regex "(Failed password|error|warning)"
      DSType CounterInc
      Type counter
      Instance "bad"
    </Match>
  </File>
"""
MTAIL = r"""
counter refused by user
counter errors by program
counter requests by code

/sshd\[\d+\]: Failed password for (invalid user )?(?P<user>\S+) from \S+/ {
  refused[$user]++
}
/ (?P<program>[\w\/]+)\[\d+\]: .*(error|warning)/ {
  errors[$program]++
}
/"(GET|POST) \S+ HTTP\/[0-9.]+" (?P<code>\d{3}) / {
  requests[$code]++
}
"""
JAIL = """\
[sshd]
enabled = true
backend = auto
filter = sshd
maxretry = 5
action =
logpath = {paths}
"""
FAIL2BAN_CONF = """\
[Definition]
loglevel = INFO
logtarget = {here}/said
syslogsocket = auto
socket = {here}/socket
pidfile = {here}/pid
dbfile = {here}/database
"""


def collectd(program: Path, here: Path, logs: Sequence[Path]) -> Command:
    """CPU, memory, disks, load, interfaces and logs, every two seconds, into files."""
    files = "".join(COLLECTD_FILE.format(path=path) for path in logs)
    (here / "conf").write_text(COLLECTD.format(here=here, files=files))
    return [program, "-f", "-C", here / "conf"]


def mtail(program: Path, here: Path, logs: Sequence[Path]) -> Command:
    """Three patterns on the logs."""
    (here / "bench.mtail").write_text(MTAIL)
    command: Command = [program, "--progs", here, "--log_dir", here]
    command += ["--address", "127.0.0.1", "--port", str(free_port())]
    for path in logs:
        command += ["--logs", path]
    return command


def fail2ban(program: Path, here: Path, logs: Sequence[Path]) -> Command:
    """Its own filter for sshd on the logs; nobody is banned."""
    for name in ("filter.d", "action.d", "paths-common.conf"):
        (here / name).symlink_to(FAIL2BAN / name)
    paths = "\n          ".join(map(str, logs))
    (here / "fail2ban.conf").write_text(FAIL2BAN_CONF.format(here=here))
    (here / "jail.conf").write_text(JAIL.format(paths=paths))
    return [program, "-f", "-c", here, "-s", here / "socket", "-p", here / "pid"]


# Name → Debian's package, and what sets it up.
GUESTS: dict[str, tuple[str, Callable[[Path, Path, Sequence[Path]], Command]]] = {
    "collectd": ("collectd-core", collectd),
    "mtail": ("mtail", mtail),
    "fail2ban-server": ("fail2ban", fail2ban),
}


def start(name: str, directory: Path, logs: Sequence[Path]) -> subprocess.Popen | str:
    """Start a guest; or say why not."""
    package, set_up = GUESTS[name]
    program = shutil.which(name)
    if program is None:
        return f"{name}: not measured, it is not installed ({package})"
    here = directory / name
    here.mkdir()
    command = set_up(Path(program), here, logs)
    with (here / "log").open("w") as log:
        return subprocess.Popen(
            command, cwd=here, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
