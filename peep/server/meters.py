"""What a server counts, by the names that metrics have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peep.metrics import Metrics
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections import Counter

    from peep.journal.journal import Journal
    from peep.net.endpoint import Endpoint
    from peep.protocol.server import ServerProtocol
    from peep.server.desk import Desk
    from peep.server.pipeline import Tally
    from peep.sound.engine import Engine


def server_metrics(
    machine: ServerProtocol,
    tally: Tally,
    desk: Desk,
    journal: Journal | None,
    *,
    endpoint: Endpoint,
    engine: Engine,
) -> Metrics:
    """Return the metrics of a running server."""
    made = Metrics()
    made.gauge("peep_agents", "Agents that hold a lease.", machine.agents)
    made.counter(
        "peep_signals_total", "Signals that were admitted.", lambda: tally.signals
    )
    made.counter("peep_cues_total", "Signals that were heard.", lambda: tally.cues)
    made.counter(
        "peep_suppressions_total",
        "Signals that were not heard.",
        lambda: _by_reason(tally.suppressions),
        ("reason",),
    )
    made.counter(
        "peep_dropped_total",
        "Datagrams, or signals in them, that were refused.",
        lambda: _by_reason(desk.dropped) | {Reason.OVERRUN.value: endpoint.overrun()},
        ("reason",),
    )
    made.counter(
        "peep_agent_missed_datagrams_total",
        "Datagrams that were sent, by their numbers, and never came.",
        machine.missed,
        ("host",),
    )
    made.counter(
        "peep_alerts_repeated_total",
        "Alerts that came again and were known.",
        lambda: desk.alerts.repeated,
    )
    made.counter(
        "peep_alerts_again_total",
        "Alerts heard that may have been heard before a restart.",
        lambda: desk.again,
    )
    made.counter(
        "peep_underruns_total",
        "Times that the sound came too late for the card.",
        lambda: engine.meters().underruns,
    )
    if journal is not None:
        made.counter(
            "peep_journal_signals_total",
            "Signals that were recorded.",
            lambda: journal.rows,
        )
        made.counter(
            "peep_journal_lost_total",
            "Signals that could not be recorded.",
            lambda: journal.lost,
        )
    return made


def _by_reason(counts: Counter[Reason]) -> dict[str, int]:
    return {reason.value: count for reason, count in counts.items()}
