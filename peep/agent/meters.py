"""What an agent counts, for `peep metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from peep.metrics import Metrics

if TYPE_CHECKING:
    from peep.agent.matching import Matching
    from peep.agent.pace import Turns
    from peep.agent.skips import Skips
    from peep.protocol.agent import AgentProtocol
    from peep.protocol.dumb import DumbProtocol


class Counted(Protocol):
    """What an agent itself counts: signals that were born, and how lines waited."""

    signals: int
    turns: Turns


def agent_metrics(
    agent: Counted,
    matching: Matching,
    skips: Skips,
    machine: AgentProtocol | DumbProtocol,
) -> Metrics:
    """Return the counters of an agent and of its protocol."""
    made = Metrics()
    made.counter("peep_lines_total", "Lines that were read.", lambda: matching.lines)
    made.counter(
        "peep_matched_total", "Lines that a rule took.", lambda: matching.matched
    )
    made.counter(
        "peep_lines_skipped_total",
        "Lines, at least, that were skipped because too much was unread.",
        lambda: skips.lines,
    )
    made.counter(
        "peep_bytes_skipped_total",
        "Bytes that were skipped because too much was unread.",
        lambda: skips.size_bytes,
    )
    made.counter(
        "peep_folded_total",
        "Lines whose event became part of another one's count.",
        lambda: matching.folded,
    )
    made.counter(
        "peep_own_lines_total",
        "Lines that Peep wrote itself, and that were passed over.",
        lambda: matching.own,
    )
    made.counter(
        "peep_rested_seconds_total",
        "Seconds for which lines waited so as to stay below cpu_max.",
        lambda: agent.turns.rested_s,
    )
    made.counter(
        "peep_signals_total", "Signals that were born here.", lambda: agent.signals
    )
    made.gauge(
        "peep_alerts_unconfirmed",
        "Alerts that no server has confirmed yet.",
        machine.unconfirmed,
    )
    made.counter(
        "peep_events_dropped_total",
        "Events that were dropped while no server was there.",
        lambda: machine.overflowed,
    )
    return made
