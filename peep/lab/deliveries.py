"""What became of every alert and of every state.

An *alert* is written once, in the log of its agent. Judged are:

    lost             on record nowhere in the end, and not dropped for want of room
    doubled          recorded again on a server that had it on record
    sounded again    heard again on a server; not marked so, it is a fault
    forgotten early  let go of by its agent before every server that was leased at its
                     birth had it on record or lost its lease, or before any had

A *state* changes, and is told to every server. Judged are:

    late             a change that its server had not seen after LATE_REPEATS intervals,
                     among those during which the pair stayed joined
    apart            a pair that did not agree two intervals after both could
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from peep.journal.rows import AlertKey
    from peep.signals import SignalId

LATE_REPEATS = 4
APART_REPEATS = 2
VALUES = 10_000  # a value travels in ten-thousandths: so many changes are told apart


class AlertLedger:
    """Is told what really happened to alerts, and counts what must not happen."""

    def __init__(self, agents: int, servers: int) -> None:
        self._written: set[AlertKey] = set()
        self._dropped: set[AlertKey] = set()
        self._recorded: list[set[AlertKey]] = [set() for _ in range(servers)]
        self._sounded: list[set[AlertKey]] = [set() for _ in range(servers)]
        self._leased: list[set[int]] = [set() for _ in range(agents)]
        # Of those that each agent still keeps: who is owed them.
        self._owing: list[dict[SignalId, set[int]]] = [{} for _ in range(agents)]
        self.doubled = 0
        self.sounded_again = 0
        self.unmarked = 0  # of these, not said to be repeats
        self.forgotten_early = 0

    # -- at the agent -------------------------------------------------------------

    def written(self, agent: int, alerts: Iterable[SignalId]) -> None:
        """Note lines in an agent's log."""
        self._written.update((agent, *alert) for alert in alerts)

    def kept(self, agent: int, alerts: Iterable[SignalId]) -> None:
        """Note what a process gave to its machine, now."""
        for alert in alerts:
            self._owing[agent][alert] = set(self._leased[agent])

    def dropped(self, agent: int, alerts: Iterable[SignalId]) -> None:
        """Note what an agent had no room for."""
        for alert in alerts:
            self._dropped.add((agent, *alert))
            self._owing[agent].pop(alert, None)

    def lease(self, agent: int, server: int, *, held: bool) -> None:
        """Note that an agent has a lease of a server, or has it no more."""
        if held:
            self._leased[agent].add(server)
            return
        self._leased[agent].discard(server)
        for owing in self._owing[agent].values():
            owing.discard(server)

    def crashed(self, agent: int) -> None:
        """Note the end of an agent's process, and of all that it owed."""
        self._leased[agent].clear()
        self._owing[agent].clear()

    def confirmed(self, agent: int, alerts: Sequence[SignalId]) -> None:
        """Check what an agent lets go of."""
        for alert in alerts:
            owing = self._owing[agent].pop(alert)
            key = (agent, *alert)
            have = {n for n, record in enumerate(self._recorded) if key in record}
            self.forgotten_early += not have or not owing <= have

    # -- at a server --------------------------------------------------------------

    def sounded(self, server: int, alert: AlertKey, *, again: bool) -> None:
        """Note that an alert was heard; `again`: as a repeat."""
        if alert in self._sounded[server]:
            self.sounded_again += 1
            self.unmarked += not again
        self._sounded[server].add(alert)

    def recorded(self, server: int, alerts: Iterable[AlertKey]) -> None:
        """Note a commit."""
        record = self._recorded[server]
        for alert in alerts:
            self.doubled += alert in record
            record.add(alert)

    # -- in the end ---------------------------------------------------------------

    def count(self) -> int:
        """Return how many alerts there were."""
        return len(self._written)

    def dropped_count(self) -> int:
        """Return how many had no room and are on record nowhere."""
        return len(self._dropped.difference(*self._recorded))

    def lost(self) -> int:
        """Return how many are on record nowhere and should be."""
        return len(self._written.difference(self._dropped, *self._recorded))


class _Sight:
    """What a server knows of an agent's state, by the number of the change."""

    def __init__(self) -> None:
        self.change: int | None = None
        self.at = 0.0  # when it came to know this one
        self.unseen: list[tuple[float, int]] = []


class StateLedger:
    """Compares what servers know of states with what they are."""

    def __init__(
        self,
        agents: int,
        servers: int,
        repeat_s: float,
        joined_since: Callable[[int, int], float | None],
    ) -> None:
        """`joined_since(agent, server)` is None for a pair that is not joined."""
        self._repeat_s = repeat_s
        self._joined_since = joined_since
        self._latest = [0] * agents  # the number of the latest change; 0: none
        self._sights = [[_Sight() for _ in range(servers)] for _ in range(agents)]
        self.judged = 0
        self.late = 0

    def value(self, agent: int) -> float:
        """Return a value 0…1 that stands for the latest change."""
        return self._latest[agent] % VALUES / VALUES

    def changed(self, agent: int, now: float) -> None:
        """Note a change, before it is told."""
        self._latest[agent] += 1
        for sight in self._sights[agent]:
            sight.unseen.append((now, self._latest[agent]))

    def heard(self, agent: int, server: int, value: float, now: float) -> None:
        """Note what a server was told."""
        sight, latest = self._sights[agent][server], self._latest[agent]
        change = latest - (latest - round(value * VALUES)) % VALUES
        if change != sight.change:
            sight.change, sight.at = change, now
        while sight.unseen and sight.unseen[0][1] <= change:
            self._judge(agent, server, sight.unseen.pop(0)[0], now)

    def forgotten(self, agent: int, server: int) -> None:
        """Note that a server let go of an agent, or died."""
        self._sights[agent][server].change = None

    def finish(self, calm_at: float, now: float) -> int:
        """Judge what was never seen; return how many joined pairs are apart.

        Nothing was lost, and nothing changed, after `calm_at`.
        """
        apart = 0
        for agent, sights in enumerate(self._sights):
            for server, sight in enumerate(sights):
                for when, _ in sight.unseen:
                    self._judge(agent, server, when, now)
                since = self._joined_since(agent, server)
                if since is None or not self._latest[agent]:
                    continue
                agreed = sight.change == self._latest[agent]
                at = sight.at if agreed else now
                due = max(calm_at, since) + APART_REPEATS * self._repeat_s
                apart += at > due
        return apart

    def _judge(self, agent: int, server: int, when: float, now: float) -> None:
        since = self._joined_since(agent, server)
        if since is not None and since <= when:
            self.judged += 1
            self.late += now - when > LATE_REPEATS * self._repeat_s
