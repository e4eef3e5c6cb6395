"""A day of agents and servers in virtual time, and what was lost of it.

world.py says who they are, script.py what befalls them. The day is followed by a calm
stretch in which nothing is lost and everything runs: what is not delivered by its end
never will be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.lab.pairs import FalseExpiry, percentile
from peep.lab.script import HOUR_S, Plan
from peep.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

# An agent that is not joined so long after it could be has been forgotten: by then a
# server has announced itself, even if some announcements were lost.
_PATIENCE_S = 600.0
_CALM_S = 660.0  # more than that: then also every alert has had its turn
_STEPS = 200  # a run is cut into so many, for progress


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Times are None where there was nothing to measure."""

    agents: int
    servers: int
    hours: float
    lease_s: int
    loss: float
    dup: float
    reorder: float
    alerts: int
    seed: int
    false_expiries_per_agent_day: float
    false_lost: int
    false_lapsed: int
    false_late_per_agent_day: float
    false_expiries: tuple[FalseExpiry, ...]  # the first few
    crashes: int  # of agents with a lease, that lasted until they were missed
    crashes_missed: int
    late_s_p50: float | None
    late_s_p99: float | None
    late_s_max: float | None
    lost_s_p50: float | None
    lost_s_p99: float | None
    lost_s_max: float | None
    rejoins: int
    rejoin_s_p50: float | None
    rejoin_s_p99: float | None
    rejoin_s_max: float | None
    still_apart: int  # pairs that should have joined long ago
    alerts_sent: int  # written into the logs of all agents
    alerts_lost: int  # on record nowhere
    alerts_dropped: int  # likewise, for want of room in a spool
    alerts_doubled: int  # recorded again, on the same server
    alerts_sounded_again: int  # likewise heard
    alerts_sounded_again_unmarked: int  # of these, not said to be repeats
    alerts_forgotten_early: int  # let go of by an agent before they were on record
    states_judged: int  # changes while a pair was joined
    states_late: float | None  # share of these that took four repeat intervals or more
    states_apart: int  # pairs that differed two intervals after loss had ended
    stuck_timers: int  # machines that were due however often they were asked
    datagrams_per_agent_hour: float
    trace_hash: str


def simulate(plan: Plan, progress: Callable[[float], None] | None = None) -> Result:
    """Let the day pass; `progress` is told the share that has."""
    end = plan.hours * HOUR_S
    world = World(plan)
    for step in range(1, _STEPS + 1):
        world.network.run(end * step / _STEPS)
        if progress is not None:
            progress(step / _STEPS)
    apart = world.pairs.still_apart(end, _PATIENCE_S)
    world.calm_down()
    world.network.run(end + _CALM_S)
    return _result(plan, world, apart)


def _result(plan: Plan, world: World, apart: int) -> Result:
    """Sum up; `apart` is how many pairs were, when the calm began."""
    pairs, alerts, states, network = (
        world.pairs,
        world.alerts,
        world.states,
        world.network,
    )
    days = plan.agents * plan.hours / 24
    agent_hours = plan.agents * network.now / HOUR_S
    states_apart = states.finish(network.now - _CALM_S, network.now)
    return Result(
        **msgspec.structs.asdict(plan),
        false_expiries_per_agent_day=round(
            (pairs.false_lost + pairs.false_lapsed) / days, 4
        ),
        false_lost=pairs.false_lost,
        false_lapsed=pairs.false_lapsed,
        false_late_per_agent_day=round(pairs.false_late / days, 4),
        false_expiries=tuple(pairs.examples),
        crashes=len(pairs.lost_s) + pairs.crashes_missed,
        crashes_missed=pairs.crashes_missed,
        late_s_p50=percentile(pairs.late_s, 50),
        late_s_p99=percentile(pairs.late_s, 99),
        late_s_max=percentile(pairs.late_s, 100),
        lost_s_p50=percentile(pairs.lost_s, 50),
        lost_s_p99=percentile(pairs.lost_s, 99),
        lost_s_max=percentile(pairs.lost_s, 100),
        rejoins=len(pairs.rejoin_s),
        rejoin_s_p50=percentile(pairs.rejoin_s, 50),
        rejoin_s_p99=percentile(pairs.rejoin_s, 99),
        rejoin_s_max=percentile(pairs.rejoin_s, 100),
        still_apart=max(apart, pairs.still_apart(network.now, _PATIENCE_S)),
        alerts_sent=alerts.count(),
        alerts_lost=alerts.lost(),
        alerts_dropped=alerts.dropped_count(),
        alerts_doubled=alerts.doubled,
        alerts_sounded_again=alerts.sounded_again,
        alerts_sounded_again_unmarked=alerts.unmarked,
        alerts_forgotten_early=alerts.forgotten_early,
        states_judged=states.judged,
        states_late=round(states.late / states.judged, 4) if states.judged else None,
        states_apart=states_apart,
        stuck_timers=network.stuck,
        datagrams_per_agent_hour=round(network.sent / agent_hours, 1),
        trace_hash=network.trace.hexdigest(),
    )
