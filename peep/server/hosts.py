"""What `peep hosts` is told: who holds a lease, and who ought to.

There is a row for each agent and dumb sender, and one for each host of the roster that
has none. Those that one should look at come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.errors import PeepError
from peep.net.control import ForgetHost, ListHosts, ReadMetrics, Request
from peep.protocol.classes import shared
from peep.server import roster as states

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peep.clock import Clock
    from peep.journal.rows import HostRow
    from peep.metrics import Metrics
    from peep.mixer.controls import Scope
    from peep.protocol.addresses import Address
    from peep.protocol.events import AgentInfo
    from peep.server.roster import Roster

MAX_SHOWN_CLASSES = 8  # of a row, so that a full roster fits into an answer
AWAITED, DUMB = "awaited", "dumb"
_ORDER = (
    *(states.MISSING, states.LATE, states.LOST, AWAITED),
    *(states.PRESENT, DUMB, states.LEFT),
)


class HostLine(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, or a host without one.

    `state` is one of the roster's, or awaited (it was here before the server started
    anew, and may yet come back), or dumb (it knows no leases). Without a lease, what
    belongs to one is None. `missed` are datagrams that never came.
    """

    host: str
    state: str
    classes: tuple[str, ...] = ()
    address: str = ""
    sealed: bool | None = None
    lease_left_s: float | None = None
    datagrams: int | None = None
    missed: int | None = None
    signals: int | None = None
    heard_s_ago: float | None = None
    expected: bool = False


def listing(
    infos: Sequence[AgentInfo], roster: Roster, wall: float
) -> list[dict[str, object]]:
    """Return a HostLine for each agent and each host without one, as plain values."""
    lines = [_of_agent(info, roster) for info in infos]
    here = {info.peer.host for info in infos if info.stage != DUMB}
    lines += [
        _of_row(row, roster, wall) for row in roster.rows() if row.name not in here
    ]
    lines.sort(key=lambda line: (_ORDER.index(line.state), line.host, line.address))
    return [msgspec.to_builtins(line) for line in lines]


def answer(
    request: Request,
    *,
    infos: Callable[[float], Sequence[AgentInfo]],
    roster: Roster,
    metrics: Metrics,
    clock: Clock,
) -> dict[str, object]:
    """Answer what a server is asked beside its classes; PeepError to refuse.

    After a host was forgotten, the roster has an event to tell.
    """
    match request:
        case ListHosts():
            hosts = listing(infos(clock.now()), roster, clock.wall())
            return {"hosts": hosts, "deaf": roster.deaf}
        case ForgetHost(name=name):
            expected = roster.expected(name)
            if not roster.forget(name):
                raise PeepError(f"no host {name} on the roster")
            return {"expected": expected}
        case ReadMetrics():
            return {"metrics": metrics.collect()}
    raise PeepError(f"has no answer to {request.__struct_config__.tag}")


def unheard(
    scope: Scope, infos: Sequence[AgentInfo], roster: Roster, patterns: Sequence[str]
) -> str:
    """Say that a control is about nobody who is known, if so: it may be a slip."""
    value = scope.value
    if scope.kind == "host":
        known = any(value == info.peer.host for info in infos)
        return "" if known or roster.row(value) else f"no host {value} is known here"
    if scope.kind == "class" and not shared(patterns, [value]):
        return f"no class {value} is served here"
    return ""


def _of_agent(info: AgentInfo, roster: Roster) -> HostLine:
    return HostLine(
        host=info.peer.host,
        state=states.PRESENT if info.stage == "live" else info.stage,
        classes=_cut(info.classes),
        address=_written(info.peer.address),
        sealed=info.sealed,
        lease_left_s=None if info.stage == DUMB else info.lease_left_s,
        datagrams=info.datagrams,
        missed=info.missed,
        signals=info.signals,
        heard_s_ago=info.lease_s - info.lease_left_s,
        expected=roster.expected(info.peer.host),
    )


def _of_row(row: HostRow, roster: Roster, wall: float) -> HostLine:
    awaited = row.state in (states.PRESENT, states.LATE)
    return HostLine(
        host=row.name,
        state=AWAITED if awaited else row.state,
        classes=_cut(row.classes),
        address=row.address,
        heard_s_ago=max(0.0, wall - row.last_seen) if row.address else None,
        expected=roster.expected(row.name),
    )


def _cut(classes: Sequence[str]) -> tuple[str, ...]:
    if len(classes) <= MAX_SHOWN_CLASSES:
        return tuple(classes)
    return (*classes[:MAX_SHOWN_CLASSES], "…")


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
