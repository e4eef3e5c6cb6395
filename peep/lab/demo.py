"""`peep demo`: a server and agents that live through a calm, a fault and a storm.

Everything is real but the hosts: the agents follow logs that are written here, find the
server by broadcast on loopback, hold leases and are killed. The clock of the course
begins when all of them were heard.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from peep.errors import PeepError
from peep.lab.demo_account import account, noted
from peep.lab.demo_script import Back, Kill, Line, Say, course, opening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peep.clock import Clock
    from peep.lab.demo_account import Account
    from peep.lab.demo_agents import Agents, Home
    from peep.lab.demo_script import Plan, Step
    from peep.server.app import ServerApp, Summary
    from peep.theme import Theme

JOIN_S = 30.0  # a dozen agents on a busy machine; usually one second for each
LOSS_S = 10.0  # beyond its time
RETURN_S = 10.0  # for who was killed, at the end
LOOK_S = 0.2  # between looks into the journal
LAST_WORDS_S = 1.0  # what was written last is read, heard, and rings out
SHORT = 100  # columns of a server's line


class Teller:
    """Says lines behind the clock of the demo."""

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say
        self._began: float | None = None

    def begin(self) -> None:
        """Let the clock begin."""
        self._began = self._clock.now()

    def announce(self, line: str) -> None:
        """Say what is to come."""
        self._say(f"{self._time():>5}  {line}")

    def heard(self, line: str) -> None:
        """Say what the server says, unless it is too long."""
        short = line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"
        self._say(f"{self._time():>5}    {short}")

    def _time(self) -> str:
        return "" if self._began is None else minutes(self._clock.now() - self._began)


def minutes(seconds: float) -> str:
    """Return a time of the demo as people read it: 1:05."""
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


class Demo:
    """Runs a plan on a server that is yet to start."""

    def __init__(  # noqa: PLR0917 - all that it moves
        self,
        plan: Plan,
        server: ServerApp,
        home: Home,
        agents: Agents,
        theme: Theme,
        clock: Clock,
        teller: Teller,
    ) -> None:
        self._plan = plan
        self._server = server
        self._home = home
        self._agents = agents
        self._theme = theme
        self._clock = clock
        self._teller = teller
        self._course: Sequence[Step] = ()
        self._began_wall = 0.0

    async def run(self, stop: asyncio.Event) -> Account:
        """Play until the end, or until `stop`; PeepError if it cannot begin."""
        ending = asyncio.Event()
        serving = asyncio.create_task(self._server.run(ending))
        playing = asyncio.create_task(self._play())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                {serving, playing, stopping}, return_when=asyncio.FIRST_COMPLETED
            )
            interrupted = not playing.done()
        finally:
            stopping.cancel()
            playing.cancel()
            with suppress(asyncio.CancelledError):
                # What went wrong there is told only once all is ended.
                await asyncio.wait({playing})
            await self._agents.close()
            ending.set()
            await asyncio.wait({serving})
        summary = serving.result()
        if not playing.cancelled():
            playing.result()
        return await asyncio.to_thread(self._account, summary, interrupted)

    def _account(self, summary: Summary, interrupted: bool) -> Account:  # noqa: FBT001
        return account(
            self._plan,
            self._course,
            self._home.journal,
            self._began_wall,
            summary,
            died=self._agents.died,
            interrupted=interrupted,
        )

    # ---- the course ------------------------------------------------------------------

    async def _play(self) -> None:
        await self._server.ready.wait()
        hosts = self._plan.hosts
        self._teller.announce(
            f"{len(hosts)} agents start, and look for the server: {', '.join(hosts)}"
        )
        for host in hosts:
            self._home.furnish(host)
        for line in opening(self._plan):
            self._home.write(line.host, line.file, line.line)
        for host in hosts:
            await self._agents.start(host)
        if not await self._until("joined", set(hosts), JOIN_S):
            raise PeepError(f"not all agents were heard within {JOIN_S:.0f} s")
        self._teller.begin()
        began, self._began_wall = self._clock.now(), self._clock.wall()
        start = dt.datetime.fromtimestamp(self._began_wall).astimezone()
        self._course = course(self._plan, start, self._theme)
        async with asyncio.TaskGroup() as returning:
            for step in self._course:
                await asyncio.sleep(began + step.at_s - self._clock.now())
                self._do(step, returning)
            await asyncio.sleep(began + self._plan.seconds - self._clock.now())
        await self._until("back", {self._plan.killed}, RETURN_S)
        await asyncio.sleep(LAST_WORDS_S)

    def _do(self, step: Step, returning: asyncio.TaskGroup) -> None:
        match step:
            case Line():
                self._home.write(step.host, step.file, step.line)
            case Say():
                self._teller.announce(step.line)
            case Kill():
                self._agents.kill(step.host)
            case Back():
                returning.create_task(self._bring_back(step.host))

    async def _bring_back(self, host: str) -> None:
        # Earlier, and its loss would not have been told: no marimba.
        await self._until("lost", {host}, LOSS_S)
        await self._agents.start(host)

    async def _until(self, what: str, hosts: set[str], patience_s: float) -> bool:
        """Wait until the journal notes something of all hosts; say whether it does."""
        until = self._clock.now() + patience_s
        while self._clock.now() < until:
            found = await asyncio.to_thread(noted, self._home.journal, what)
            if hosts <= {note.host for note in found}:
                return True
            await asyncio.sleep(LOOK_S)
        return False
