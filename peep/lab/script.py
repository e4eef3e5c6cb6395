"""What is simulated, and what befalls the hosts in it.

All of it is drawn from the seed before time begins, and so stays the same when the
machines change; then the network draws from the same generator.
"""

from __future__ import annotations

import random
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peep.lab.world import World

HOUR_S = 3600.0
_BOOT_S = 5.0  # agents start within
_QUIET_S = 120.0  # before the first trouble

# How often on average a host has each trouble (a partition: the network), and for how
# long. Half of the crashes are shorter than a lease, so that both ways back are walked.
_AGENT_CRASH_EVERY_S = 6 * HOUR_S
_SERVER_CRASH_EVERY_S = 8 * HOUR_S
_SLEEP_EVERY_S = 12 * HOUR_S
_PARTITION_EVERY_S = 2 * HOUR_S
_FULL_EVERY_S = 4 * HOUR_S
_SHORT_CRASH_S = (1.0, 25.0)
_LONG_CRASH_S = (60.0, 600.0)
_SLEEP_S = (5.0, 1800.0)
_PARTITION_S = (10.0, 600.0)
_PARTITION_SHARE = (0.05, 0.25)  # of the agents
_FULL_S = (5.0, 300.0)  # a server's disk

EVENT_EVERY_S = 900.0
STATE_EVERY_S = 600.0

# Alerts: most are spread evenly, some come hundreds at once. In some of those bursts an
# end dies or a disk is full, for that is when much is under way.
_BURST_SHARE = 0.4
_BURST_ALERTS = (50, 250)
_BURST_S = 1.0
_BURST_TROUBLES_PER_H = 4.0  # at most, on average
_POLL_S = 0.1  # lines that an agent finds together


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate. Shares are 0…1; `alerts` is how many there are in all."""

    agents: int = 100
    servers: int = 1
    hours: float = 24.0
    lease_s: int = 30
    loss: float = 0.1
    dup: float = 0.05
    reorder: float = 0.05
    alerts: int = 1000
    seed: int = 7


class Script:
    """Draws what happens when, and has the network call the world then."""

    def __init__(self, plan: Plan, chance: Callable[[], float], world: World) -> None:
        self._plan = plan
        self._chance = chance
        self._world = world

    def write(self) -> None:
        """Draw the whole day."""
        call_at = self._world.network.call_at
        for number in range(self._plan.servers):
            call_at(0.0, partial(self._world.start_server, number))
            for when in self._times(_SERVER_CRASH_EVERY_S):
                call_at(
                    when, partial(self._world.crash_server, number, self._crash_s())
                )
        for number in range(self._plan.agents):
            call_at(_BOOT_S * self._chance(), partial(self._world.start_agent, number))
            for when in self._times(_AGENT_CRASH_EVERY_S):
                call_at(when, partial(self._world.crash_agent, number, self._crash_s()))
            for when in self._times(_SLEEP_EVERY_S):
                length_s = self._between(_SLEEP_S)
                # With CLOCK_BOOTTIME a host counts its sleep; what its hypervisor
                # stopped does not.
                uncounted_s = length_s if self._chance() < 0.5 else 0.0  # noqa: PLR2004 - half
                call_at(when, partial(self._world.sleep, number, length_s, uncounted_s))
            # Every other agent has a state and repeats it; the rest are all but mute.
            for state in (False, True)[: 1 + number % 2]:
                chance = other_dice(self._chance).random
                self._world.signal_later(number, chance, state=state)
        for when in self._times(_PARTITION_EVERY_S):
            share = self._between(_PARTITION_SHARE)
            group = [n for n in range(self._plan.agents) if self._chance() < share]
            call_at(when, partial(self._world.cut, group, self._between(_PARTITION_S)))
        for number in range(self._plan.servers):
            for when in self._times(_FULL_EVERY_S):
                call_at(when, partial(self._world.fill, number, self._between(_FULL_S)))
        self._write_alerts()

    def _write_alerts(self) -> None:
        plan, end = self._plan, self._plan.hours * HOUR_S
        lines: list[list[float]] = [[] for _ in range(plan.agents)]
        in_bursts = int(plan.alerts * _BURST_SHARE)
        for _ in range(plan.alerts - in_bursts):
            lines[int(self._chance() * plan.agents)].append(self._chance() * end)
        bursts = in_bursts / (sum(_BURST_ALERTS) / 2)
        share = _BURST_TROUBLES_PER_H * plan.hours / max(bursts, 1.0)
        while in_bursts:
            number, when = int(self._chance() * plan.agents), self._chance() * end
            count = min(in_bursts, int(self._between(_BURST_ALERTS)))
            in_bursts -= count
            polls = int(_BURST_S / _POLL_S)
            lines[number] += [
                when + _POLL_S * int(polls * self._chance()) for _ in range(count)
            ]
            kind, at = int(3 * self._chance()), when + _BURST_S * self._chance()
            length_s, server = self._crash_s(), int(self._chance() * plan.servers)
            troubles = (
                partial(self._world.crash_agent, number, length_s),
                partial(self._world.crash_server, server, length_s),
                partial(self._world.fill, server, self._between(_FULL_S)),
            )
            if self._chance() < share:
                self._world.network.call_at(at, troubles[kind])
        for number, whens in enumerate(lines):
            counted = [(at, len(list(same))) for at, same in groupby(sorted(whens))]
            self._world.write_later(number, iter(counted))

    def _times(self, every_s: float) -> Iterator[float]:
        # Even gaps from none to twice the mean: a logarithm may differ in its last
        # bit from one C library to the next.
        when = _QUIET_S + 2 * every_s * self._chance()
        while when < self._plan.hours * HOUR_S:
            yield when
            when += 2 * every_s * self._chance()

    def _between(self, bounds: tuple[float, float]) -> float:
        return bounds[0] + (bounds[1] - bounds[0]) * self._chance()

    def _crash_s(self) -> float:
        short = self._chance() < 0.5  # noqa: PLR2004 - half
        return self._between(_SHORT_CRASH_S if short else _LONG_CRASH_S)


def new_dice(seed: int) -> random.Random:
    """Return dice that always fall alike for one seed."""
    # Not for secrets: the same seed must give the same day.
    return random.Random(seed)  # noqa: S311


def other_dice(chance: Callable[[], float]) -> random.Random:
    """Return dice of one's own, seeded from other ones."""
    return new_dice(int(chance() * 2**53))
