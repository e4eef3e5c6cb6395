"""The demo's hosts: a directory for each, and a real `peep agent` in each.

Everything is below one temporary directory, so nothing of the user's is touched: logs,
states, control sockets, and the key of a class that nobody else has.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from typing import TYPE_CHECKING

from peep.config.keyring import write_key
from peep.lab import demo_levels
from peep.lab.demo_lines import KINDS, LEVELS, PACKS

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from peep.protocol.keys import ClassKey

END_S = 3.0  # for an agent to say good-bye
KEPT_WORDS = 5  # lines of an agent's last words
# Of a service manager that started us: it is no business of the agents.
_OTHERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY")


class Home:
    """The directories of a demo: of its server, and of each host."""

    def __init__(self, top: Path, key: ClassKey) -> None:
        self.class_name = key.class_name
        self._top = top
        write_key(top / "config" / "keys", key)
        plugin = top / "plugins" / "peep_demo-1.dist-info"
        plugin.mkdir(parents=True)
        about = "Metadata-Version: 2.1\nName: peep-demo\nVersion: 1\n"
        (plugin / "METADATA").write_text(about)
        (plugin / "entry_points.txt").write_text(demo_levels.ENTRY_POINTS)

    @property
    def journal(self) -> Path:
        """Where the server's journal is."""
        return self._top / "server" / "journal.db"

    def places(self, who: str) -> dict[str, str]:
        """Return the variables that name the directories of `server` or a host."""
        return {
            "CONFIGURATION_DIRECTORY": str(self._top / "config"),
            "STATE_DIRECTORY": str(self._top / who),
            "RUNTIME_DIRECTORY": str(self._top / "run"),
        }

    def environment(self, host: str, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a host's agent."""
        kept = {name: text for name, text in base.items() if name not in _OTHERS}
        known = [str(self._top / "plugins")]
        if found := base.get("PYTHONPATH"):
            known.append(found)
        return {**kept, **self.places(host), "PYTHONPATH": os.pathsep.join(known)}

    def configuration(self, host: str) -> Path:
        """Return where a host's peep.yaml is."""
        return self._top / host / "peep.yaml"

    def furnish(self, host: str) -> None:
        """Make a host's empty logs, and its configuration."""
        logs = self._top / host / "log"
        logs.mkdir(parents=True)
        names = sorted({kind.file for kind in KINDS.values()})
        for name in (*names, LEVELS):
            (logs / name).touch(mode=0o600)
        sources: list[dict[str, object]] = [
            # From the start: what is written while the agent starts is not missed.
            {"kind": "tail", "path": str(logs / name), "from_start": True}
            for name in names
        ]
        sources.append({"kind": demo_levels.KIND, "path": str(logs / LEVELS)})
        wanted = {"agent": {"sources": sources, "rules": PACKS}}
        self.configuration(host).write_text(json.dumps(wanted))  # which is YAML, too

    def write(self, host: str, file: str, line: str) -> None:
        """Append a line to a host's log, as a program does it."""
        with (self._top / host / "log" / file).open("a") as log:
            log.write(f"{line}\n")


class Agents:
    """The agents' processes. What dies unasked is told to `say`, and kept in `died`."""

    def __init__(self, home: Home, say: Callable[[str], None]) -> None:
        self._home = home
        self._say = say
        self._running: dict[str, Process] = {}
        self._listening: set[asyncio.Task[None]] = set()
        self.died: list[str] = []

    async def start(self, host: str) -> None:
        """Start the agent of a furnished host, for the first time or again."""
        process = await asyncio.create_subprocess_exec(
            *self._words(host),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=self._home.environment(host, os.environ),
            start_new_session=True,  # Ctrl-C is ours: we end them, in order
        )
        self._running[host] = process
        listening = asyncio.create_task(self._attend(host, process))
        self._listening.add(listening)
        listening.add_done_callback(self._listening.discard)

    def _words(self, host: str) -> Sequence[str]:
        return (
            *(sys.executable, "-m", "peep", "agent", "--host", host),
            *("--config", str(self._home.configuration(host))),
            *("--interfaces", "lo"),
            *("--classes", self._home.class_name),
        )

    def kill(self, host: str) -> None:
        """End a host's agent as a power cut would."""
        process = self._running.pop(host, None)
        if process is not None:
            _signal(process.kill)

    async def close(self) -> None:
        """End them all, those that do not hear by force, and wait for it."""
        running, self._running = self._running, {}
        for process in running.values():
            _signal(process.terminate)
        waits = [asyncio.create_task(process.wait()) for process in running.values()]
        if waits:
            await asyncio.wait(waits, timeout=END_S)
        for process in running.values():
            _signal(process.kill)
        await asyncio.gather(*waits, *self._listening)

    async def _attend(self, host: str, process: Process) -> None:
        """Keep an agent's last words; say so if it dies unasked."""
        assert process.stderr is not None, "it was asked for"
        words: deque[str] = deque(maxlen=KEPT_WORDS)
        with contextlib.suppress(ValueError):  # a line beyond all bounds
            async for line in process.stderr:
                words.append(line.decode("utf-8", "replace").strip())
        code = await process.wait()
        if self._running.get(host) is process:
            del self._running[host]
            self.died.append(host)
            last = f": {words[-1]}" if words else ""
            self._say(f"the agent of {host} died by itself (exit code {code}){last}")


def _signal(send: Callable[[], None]) -> None:
    with contextlib.suppress(ProcessLookupError):
        send()
