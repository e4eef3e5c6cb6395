"""Is it there, and how soon does it answer? ICMP, TCP, web servers, name servers.

A target is a text: `gw` or `icmp://gw`, `tcp://db1:5432`, `https://shop/health`,
`dns://192.0.2.53/example.org`. Its latency is a state, `ping.latency.NAME`, linear
between `low_ms` and `high_ms`, and full while it is down. It is down after `down_after`
looks in a row without an answer and up after `up_after` with one, and neither is told
sooner than `hold_s` after what was told last: what comes and goes makes no carillon.

All targets are looked at together, so many at a time; none of them holds up the others
longer than `timeout_s`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from peep.agent.sources import echo
from peep.agent.sources.probes import Answer, NoAnswerError, Prober, Target
from peep.agent.sources.targets import STATE, check_target
from peep.agent.sources.thresholds import Scale
from peep.config.problems import safe, shown
from peep.signals import MAX_TEXT_LENGTH, Event, Signal, State, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from peep.clock import Clock
    from peep.config.document import Node

MAX_TARGETS = 256
MAX_AT_ONCE = 64  # sockets that are open
MAX_DAYS = 3650
DEAD_BAND = 0.02  # as of the system's states
DAY_S = 86_400.0
EXPIRES_DAYS = (21, 7, 1)


class PingSpec(msgspec.Struct, frozen=True):
    """What to look at, how often, and when to believe it."""

    targets: tuple[Target, ...]
    interval_s: float = 10.0
    timeout_s: float = 3.0
    down_after: int = 3
    up_after: int = 2
    hold_s: float = 30.0
    expires_days: tuple[int, ...] = EXPIRES_DAYS


def check(options: Node) -> PingSpec:
    """Read `ping: [gw, "tcp://db1:5432"]`, or `{kind: ping, targets: […], …}`."""
    keys = options.section(*PingSpec.__struct_fields__, short="targets")
    node = keys["targets"]
    nodes = node.nodes() if node.is_list else (node,)
    if len(nodes) > MAX_TARGETS:
        node.problem(f"more than {MAX_TARGETS} targets")
    elif not nodes:
        node.problem("no target")
    targets = tuple(filter(None, map(check_target, nodes[:MAX_TARGETS])))
    names = [target.name for target in targets]
    for name in sorted({name for name in names if names.count(name) > 1}):
        node.problem(f"two targets are called {shown(name)}: give one another `name`")
    days = keys["expires_days"]
    return PingSpec(
        targets,
        keys["interval_s"].number(10.0, low=1.0, high=3600.0),
        keys["timeout_s"].number(3.0, low=0.1, high=60.0),
        keys["down_after"].integer(3, low=1, high=100),
        keys["up_after"].integer(2, low=1, high=100),
        keys["hold_s"].number(30.0, low=0.0, high=86_400.0),
        tuple(
            sorted(
                (at.integer(low=0, high=MAX_DAYS) for at in days.nodes()), reverse=True
            )
        )
        or EXPIRES_DAYS,
    )


class Standing:
    """Whether something is believed to be there, through what comes and goes."""

    def __init__(self, spec: PingSpec) -> None:
        self.is_up = True
        self._spec = spec
        self._last = True
        self._streak = 0
        self._told_at = float("-inf")

    def feed(self, answered: bool, now: float) -> bool:  # noqa: FBT001 - what it is
        """Return whether what is believed has changed by this."""
        self._streak = self._streak + 1 if answered == self._last else 1
        self._last = answered
        needed = self._spec.up_after if answered else self._spec.down_after
        if (
            answered == self.is_up
            or self._streak < needed
            or now - self._told_at < self._spec.hold_s
        ):
            return False
        self.is_up, self._told_at = answered, now
        return True


class _Watched:
    """One target, and what was told of it."""

    def __init__(self, target: Target, spec: PingSpec) -> None:
        self.target = target
        self._scale = Scale(target.low_ms, target.high_ms)
        self._standing = Standing(spec)
        self._days = spec.expires_days
        self._told = -1.0
        self._days_told = MAX_DAYS + 1

    def judge(
        self, answer: Answer | None, why: str, now: float, wall: float
    ) -> Iterator[Signal]:
        """Return what a look means; no answer has a reason."""
        value = 1.0
        if answer is not None:
            value = self._scale.value(answer.latency_s * 1000)
        changed = self._standing.feed(answer is not None, now)
        # One answer that was missed is no latency; that it is down, is.
        is_known = answer is not None or not self._standing.is_up
        if is_known and abs(value - self._told) >= DEAD_BAND:
            self._told = value
            yield State(name=f"{STATE}.{self.target.name}", value=value)
        if changed and answer is not None:
            yield self._event("ping.up", Tier.NOTABLE, "answers again")
        elif changed:
            yield self._event("ping.down", Tier.ALERT, why)
        if answer is not None and answer.expires is not None:
            yield from self._expiring((answer.expires - wall) / DAY_S)

    def _expiring(self, left_days: float) -> Iterator[Event]:
        """Tell once at each number of days; a new certificate begins anew."""
        reached = [days for days in self._days if left_days <= days]
        level = min(reached, default=MAX_DAYS + 1)
        if level < self._days_told:
            tier = Tier.ALERT if level == min(self._days) else Tier.NOTABLE
            said = f"its certificate expires in {left_days:.1f} days"
            yield self._event("ping.certificate-expiring", tier, said)
        self._days_told = level

    def _event(self, name: str, tier: Tier, said: str) -> Event:
        target = self.target
        return Event(
            name=name,
            tier=tier,
            family="network",
            instance=target.name,
            text=safe(f"{target.scheme} {target.host}: {said}")[:MAX_TEXT_LENGTH],
        )


class PingSource:
    """Probed: the latencies that moved, and what is down, or up again."""

    def __init__(self, spec: PingSpec, clock: Clock) -> None:
        self.interval_s = spec.interval_s
        self._spec = spec
        self._clock = clock
        self._icmp = echo.allowed()
        self._prober = Prober(spec.targets, clock, self._icmp)
        self._watched = [_Watched(target, spec) for target in spec.targets]
        self._room = asyncio.Semaphore(MAX_AT_ONCE)

    def describe(self) -> str:
        """Return what an operator reads."""
        names = ", ".join(target.name for target in self._spec.targets)
        said = f"whether {names} answer, every {self.interval_s:g} s"
        is_asked = any(target.scheme == "icmp" for target in self._spec.targets)
        if is_asked and self._icmp is None:
            said += " (ICMP is not allowed here: by TCP instead)"
        return said

    async def probe(self, _now: float) -> Iterable[Signal]:
        """Look at all targets; return what is new."""
        found = await asyncio.gather(*map(self._look, self._watched))
        return [signal for signals in found for signal in signals]

    async def _look(self, watched: _Watched) -> list[Signal]:
        answer, why = None, f"no answer in {self._spec.timeout_s:g} s"
        async with self._room:
            try:
                async with asyncio.timeout(self._spec.timeout_s):
                    answer = await self._prober.probe(watched.target)
            except NoAnswerError as problem:
                why = str(problem)
            except TimeoutError:
                pass
        now, wall = self._clock.now(), self._clock.wall()
        return list(watched.judge(answer, why, now, wall))
