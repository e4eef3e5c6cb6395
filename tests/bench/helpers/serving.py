"""A whole server on one core, its engine a fake: signals end at the mixer's commands.

    python serving.py CORE [JOURNAL]

A process of its own. It says its port in a line; for every line on standard input it
says how it stands, as JSON; at the end of the input it stops and says its summary.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from helpers.filled import queued_bytes
from helpers.processes import free_port
from helpers.speakers import CLASS, KEY

from peep.clock import SystemClock
from peep.config.themes import load_theme
from peep.protocol.door import ServerConfig
from peep.server.app import ServerApp, ServerPlan
from peep.sound.fake import RecordingEngine
from peep.sound.samples import make_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.mixer.commands import Command
    from peep.server.works import Works
    from peep.theme import SoundBank

LEASE_S = 300  # no agent needs a word before the bench is over


class NullEngine(RecordingEngine):
    """Takes commands and forgets them."""

    def send(self, commands: Sequence[Command]) -> None:
        """Forget commands."""


class App(ServerApp):
    """A server that can be asked."""

    works: Works

    def _make_works(self, bank: SoundBank) -> Works:
        self.works = super()._make_works(bank)
        return self.works

    def standing(self) -> dict[str, float]:
        """Return what it has counted, and what it used."""
        journal = self.works.journal
        return {
            "signals": self.works.pipeline.tally.signals,
            "rows": 0 if journal is None else journal.rows,
            "lost": 0 if journal is None else journal.lost,
            "dropped": self._endpoint.overrun(),
            "queued_bytes": sum(map(queued_bytes, self._endpoint.readers)),
            "cpu_s": time.process_time(),
        }


async def serve(journal: Path | None) -> None:
    """Run until standard input ends."""
    theme, directory = load_theme("wetland")
    plan = ServerPlan(
        config=ServerConfig(
            server_id=os.urandom(8),
            secret=os.urandom(32),
            classes=(CLASS,),
            keys=(KEY,),
            lease_s=LEASE_S,
        ),
        port=free_port(),
        interfaces=("lo",),
        journal=journal,
    )
    app = App(
        plan,
        theme,
        NullEngine(make_samples(theme, directory).bank),
        clock=SystemClock(),
        rng=random.Random(1),
        say=lambda _: None,
    )
    stop = asyncio.Event()

    def on_input() -> None:
        asked = os.read(0, 4096)
        for _ in range(asked.count(b"\n")):
            tell(app.standing())
        if not asked:
            asyncio.get_running_loop().remove_reader(0)
            stop.set()

    running = asyncio.create_task(app.run(stop))
    ready = asyncio.create_task(app.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    tell({"port": app.port})
    asyncio.get_running_loop().add_reader(0, on_input)
    tell(await running)


def tell(what: object) -> None:
    """Write a line."""
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(serve(Path(sys.argv[2]) if len(sys.argv) > 2 else None))
