"""What an idle agent costs its host: memory, and its share of a core.

Two agents, `peep agent` as it is installed, run side by side for ten minutes with the
system source and ten logs, leased to one real `peep server` on loopback: one in an open
class, one in a sealed class that it joined by token. The host is idle: each log gets
three lines a minute, most of which rules take (helpers/idle_logs.py). The rules are
those that an agent takes that looks around on a host with such logs, and the programs
that write them. Beside them run others that watch hosts, on the same logs, where they
are installed (helpers/guests.py).

    python tests/bench/footprint.py [--minutes N] [--alone]

Sampled every five seconds once all have settled, children counted (helpers/watched.py).
MB is 10^6 bytes, of memory the median over the samples. What is private here is what is
one's own: both agents, the server and this bench run the same libraries. The last lines
are `RATIO name <allowed / measured> 1`: above 1 is within the target. There is no
result if an agent lost its lease, or read not every line.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from helpers import guests
from helpers.idle_logs import EACH_S, IdleLogs
from helpers.processes import ending, free_port, server
from helpers.watched import HEAD, Watched

from peep.agent.packs import choose
from peep.clock import SystemClock
from peep.config.rulepacks import shipped_packs

MINUTES = 10.0
SAMPLE_S = 5.0
SETTLE_S = 15.0  # starting is over, and what was loaded for it was let go
JOIN_LIMIT_S = 60.0
OPEN_MB, SEALED_MB, PRIVATE_MB = 30.0, 42.0, 25.0
CPU_PERCENT = 0.5  # of one core
OPEN, SEALED = "open", "sealed"
# What writes the logs; the packs that every host needs are taken besides.
PROGRAMS = (
    "dhclient",
    "dovecot",
    "named",
    "nginx",
    "postfix",
    "postgres",
    "sshd",
    "ufw",
)
PEEP = Path(sys.executable).with_name("peep")
CLOCK = SystemClock()
HEARD = re.compile(r"^heard by .*, (open|sealed)", re.MULTILINE)
LOST = re.compile(r"^(no word from|.* is gone$|cannot follow).*", re.MULTILINE)
READ = re.compile(r"^(\d+) lines read, (\d+) matched, (\d+) signals", re.MULTILINE)


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Host:
    """Directories of one process, as if it had a host of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "peep"
        self.config.mkdir(parents=True)
        names = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
        self.environ = {**os.environ, **dict.fromkeys(names, str(directory))}

    def peep(self, *words: str, given: str = "") -> str:
        """Run a command of Peep to its end; return what it printed."""
        done = subprocess.run(
            [PEEP, *words],
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"peep {words[0]} failed: {done.stderr}")
        return done.stdout

    def agent(
        self, class_name: str, logs: list[Path], packs: list[str]
    ) -> subprocess.Popen[str]:
        """Start an agent that follows logs and the system."""
        tails = "".join(f"    - tail: {path}\n" for path in logs)
        (self.config / "peep.yaml").write_text(
            f"agent:\n  classes: [{class_name}]\n  rules: [{', '.join(packs)}]\n"
            f"  sources:\n    - system\n{tails}"
        )
        with (self.directory / "log").open("w") as log:
            return subprocess.Popen(
                [PEEP, "agent", "--interfaces", "lo"],
                env=self.environ,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )

    def said(self) -> str:
        """Return what the process has said."""
        return (self.directory / "log").read_text()


def packs_for(logs: list[Path], root: Path) -> list[str]:
    """Return the rule packs that an agent takes on the host that has these logs."""
    programs = root / "usr" / "sbin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).touch()
    return [
        choice.pack for choice in choose(shipped_packs(), logs, (), root) if choice.why
    ]


def joined(agents: dict[str, Host], processes: dict[str, subprocess.Popen]) -> None:
    """Wait until each agent has its lease, of its kind."""
    deadline = CLOCK.now() + JOIN_LIMIT_S
    for kind, host in agents.items():
        while not (found := HEARD.search(host.said())):
            if processes[kind].poll() is not None or CLOCK.now() > deadline:
                sys.exit(f"the {kind} agent found no server: {host.said()}")
            time.sleep(0.1)
        if found[1] != kind:
            sys.exit(f"the {kind} agent is {found[1]}")


def watch(watched: list[Watched], logs: IdleLogs, minutes: float) -> None:
    """Keep the logs going, let all settle, and sample."""
    begin = CLOCK.now() + SETTLE_S
    end = begin + 60 * minutes
    due = begin
    while (now := CLOCK.now()) < end:
        logs.write(now)
        if now >= due:
            due += SAMPLE_S
            for one in watched:
                one.look(now)
        time.sleep(0.2)


def check(agents: dict[str, Host], written: int) -> None:
    """End unless the agents did their work."""
    for kind, host in agents.items():
        said = host.said()
        if lost := LOST.search(said):
            sys.exit(f"the {kind} agent was disturbed: {lost[0]}")
        read = READ.search(said)
        if read is None or int(read[1]) != written:
            sys.exit(f"the {kind} agent read not all of {written} lines: {said}")
        say(f"the {kind} agent: {read[0]}; {written} were written")


def measure(directory: Path, minutes: float, *, alone: bool) -> dict[str, Watched]:
    """Run it all; return what was seen, by name."""
    classes = {kind: f"{kind}-{secrets.token_hex(6)}" for kind in (OPEN, SEALED)}
    served, port = Host(directory / "server"), free_port()
    agents = {kind: Host(directory / kind) for kind in classes}
    served.peep("key", "new", classes[SEALED])
    locator = f"peep://127.0.0.1:{port}"
    token = served.peep("key", "token", classes[SEALED], "--locator", locator)
    agents[SEALED].peep("join", given=token)
    logs = IdleLogs(directory / "logs", CLOCK.now() + 5.0)
    packs = packs_for(logs.paths, directory / "root")
    say(f"rule packs: {', '.join(packs)}")
    limit_s = 60 * minutes + JOIN_LIMIT_S + SETTLE_S + 60
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            ending(server(port, ",".join(classes.values()), served.directory, limit_s))
        )
        running = {
            kind: stack.enter_context(
                ending(host.agent(classes[kind], logs.paths, packs))
            )
            for kind, host in agents.items()
        }
        watched = {
            kind: Watched(f"peep agent, {kind}", p.pid) for kind, p in running.items()
        }
        joined(agents, running)
        for name in () if alone else guests.GUESTS:
            guest = guests.start(name, directory, logs.paths)
            if isinstance(guest, str):
                say(guest)
                continue
            stack.enter_context(ending(guest))
            watched[name] = Watched(name, guest.pid)
        say(
            f"{len(logs.paths)} logs, a line each every {EACH_S:.0f} s; {minutes:g} "
            f"minutes; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        watch(list(watched.values()), logs, minutes)
    check(agents, logs.written)
    return watched


def main() -> None:
    """Measure, and end with the ratios."""
    parser = argparse.ArgumentParser(description="what an idle agent costs its host")
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N")
    parser.add_argument("--alone", action="store_true", help="nothing to compare with")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as name:
        seen = measure(Path(name), options.minutes, alone=options.alone)
    say(HEAD)
    for one in seen.values():
        say(one.told())
    both = [seen[OPEN], seen[SEALED]]
    private_mb = max(one.private_mb for one in both)
    percent = max(one.cpu_percent for one in both)
    say(f"RATIO footprint-rss {OPEN_MB / seen[OPEN].resident_mb:.2f} 1")
    say(f"RATIO footprint-rss-sealed {SEALED_MB / seen[SEALED].resident_mb:.2f} 1")
    say(f"RATIO footprint-private {PRIVATE_MB / private_mb:.2f} 1")
    say(f"RATIO footprint-cpu {CPU_PERCENT / max(1e-3, percent):.2f} 1")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
