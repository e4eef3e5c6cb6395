"""A whole agent on one core: what comes into a file goes out as sealed datagrams.

    python following.py CORE PORT RULES LOG LINES

A process of its own. RULES is a file of rules as JSON, or the name of a pack. It says
in a line that a server has granted it a lease; then, when so many lines of LOG were
read and what they stand for was sent, how many lines that was a second of its CPU time,
both as JSON. Its parts are those of `peep agent`, without a ceiling on CPU time; only
storms are not folded, so that every match is sent. Automata are made as lines come, so
the first lines do not count.
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
from helpers.filled import HOST
from helpers.speakers import CLASS, KEY

from peep.agent.app import AgentApp, AgentPlan
from peep.agent.folding import Folding
from peep.agent.sources.tail import TailSpec
from peep.clock import SystemClock
from peep.config.rulepacks import load_rules
from peep.net.backends import Wanted
from peep.net.locators import Locator
from peep.protocol.agent import AgentConfig
from peep.protocol.packets import ID_BYTES
from peep.rules import Redactor, Rule, RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.protocol.batch import Born
    from peep.signals import Event

LOOK_S = 0.05  # between looks whether all is done
WARM = 0.2  # of the lines


def unfolded(
    _self: Folding, _winners: Iterable[int], events: Iterable[Event], _now: float
) -> list[Event]:
    """Let every event pass."""
    return [*events]


class App(AgentApp):
    """An agent that says when it has done its work."""

    async def measured(self, lines: int) -> None:
        """Say when a server is there, and what so many lines took."""
        await self.uplink.joined.wait()
        send_all, self.said = self._machine.send_all, 0

        def counted(batch: list[Born], now: float) -> None:
            self.said += len(batch)
            send_all(batch, now)

        self._machine.send_all = counted
        tell({})
        while self.matching.lines < lines * WARM:  # noqa: ASYNC110 - nobody's news
            await asyncio.sleep(LOOK_S)
        before, used_s = self.matching.lines, time.process_time()
        while not self._is_done(lines):  # noqa: ASYNC110 - as above
            await asyncio.sleep(LOOK_S)
        rate = (self.matching.lines - before) / (time.process_time() - used_s)
        tell({"rate": rate, "matched": self.matching.matched})

    def _is_done(self, lines: int) -> bool:
        links = self._machine._links.values()
        if self.matching.lines < lines or self.said < self.matching.matched:
            return False
        return not any(link.queue for link in links)


def rules(written: str) -> tuple[Rule, ...]:
    """Return the rules of a file, or of a pack."""
    path = Path(written)
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=tuple[Rule, ...])
    return load_rules([written])


async def follow(port: int, written: str, log: str, lines: int) -> None:
    """Run until that many lines are done."""
    Folding.fold = unfolded
    plan = AgentPlan(
        config=AgentConfig(
            agent_id=os.urandom(ID_BYTES), host="bench", classes=(CLASS,), keys=(KEY,)
        ),
        interfaces=("lo",),
        sources=(TailSpec(log, from_start=True),),
        wanted=Wanted(locators=(Locator(HOST, port),)),
    )
    app = App(
        plan,
        RuleSet(rules(written), redactor=Redactor()),
        clock=SystemClock(),
        rng=random.Random(1),
        say=lambda _: None,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await app.measured(lines)
    stop.set()
    await running


def tell(what: object) -> None:
    """Write a line."""
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(follow(int(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5])))
