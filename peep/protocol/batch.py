"""Many signals in a datagram: names that repeat are sent once.

Only what an open class may carry is written: an event's text and instance have no
field here, so they cannot leave the host by mistake.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from peep.errors import RemoteProtocolError
from peep.protocol.packets import (
    MAX_AGE_MS,
    MAX_DATAGRAM_BYTES,
    MAX_SIGNALS,
    Signals,
    WireEvent,
    WireHeartbeat,
    WireState,
)
from peep.protocol.wire import HEADER_BYTES
from peep.reasons import Reason
from peep.signals import (
    GAIN_RANGE_DB,
    MAX_COUNT,
    MAX_RATE_HZ,
    Event,
    Heartbeat,
    Signal,
    State,
    clamp_unit,
    name_problem,
)

# What a signal takes at most as msgpack, its name apart: array, two indices of 3,
# tier 1, count 5, pan 2, gain 3, age 5.
_SIGNAL_BYTES = 24
_NAME_OVERHEAD_BYTES = 2
# The five array headers and repeat_s.
_BODY_BYTES = 20
_ROOM = MAX_DATAGRAM_BYTES - HEADER_BYTES - _BODY_BYTES


class Born(msgspec.Struct, frozen=True, gc=False):
    """A signal and the moment it was born, on its holder's own clock.

    Only ages travel, so two hosts need not agree on the time.
    """

    signal: Signal
    born: float


class _Names:
    """Indices of names, in the order in which they came."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        return self.index.setdefault(name, len(self.index))


def pack(batch: Iterable[Born], now: float, repeat_s: int) -> Iterator[Signals]:
    """Yield as few packets as carry all these signals, in order."""
    taken: list[Born] = []
    names: set[str] = set()
    size = 0
    for born in batch:
        signal = born.signal
        wanted = {signal.name}
        if isinstance(signal, Event):
            wanted.add(signal.family)
        new = wanted - names
        more = _SIGNAL_BYTES + sum(_NAME_OVERHEAD_BYTES + len(name) for name in new)
        if taken and (size + more > _ROOM or len(taken) == MAX_SIGNALS):
            yield _packet(taken, now, repeat_s)
            taken, names, size = [], set(), 0
            more = _SIGNAL_BYTES + sum(2 + len(name) for name in wanted)
            new = wanted
        taken.append(born)
        names |= new
        size += more
    if taken:
        yield _packet(taken, now, repeat_s)


def unpack(packet: Signals, host: str, now: float) -> list[Born]:
    """Return the signals, born on the receiver's clock.

    RemoteProtocolError if an index or a name is not one.
    """
    for name in packet.names:
        if name and name_problem(name):
            raise RemoteProtocolError(Reason.MALFORMED, "bad name")
    try:
        return list(_values(packet, host, now))
    except IndexError:
        raise RemoteProtocolError(Reason.MALFORMED, "index without name") from None


def _packet(batch: Sequence[Born], now: float, repeat_s: int) -> Signals:
    index = _Names()
    events, states, heartbeats = [], [], []
    for born in batch:
        signal = born.signal
        name = index(signal.name)
        pan = round(max(-1.0, min(1.0, signal.pan)) * 100)
        gain = round(max(GAIN_RANGE_DB[0], min(GAIN_RANGE_DB[1], signal.gain_db)) * 10)
        match signal:
            case Event():
                family = index(signal.family)
                count = max(1, min(MAX_COUNT, signal.count))
                age_ms = max(0, min(MAX_AGE_MS, int((now - born.born) * 1000)))
                events.append(
                    WireEvent(name, signal.tier, family, count, pan, gain, age_ms)
                )
            case State():
                value = round(clamp_unit(signal.value) * 10_000)
                states.append(WireState(name, value, pan, gain))
            case Heartbeat():
                rate = round(min(MAX_RATE_HZ, max(0.0, signal.rate_hz)) * 1000)
                heartbeats.append(WireHeartbeat(name, rate, pan, gain))
    return Signals(list(index.index), events, states, heartbeats, repeat_s)


def _values(packet: Signals, host: str, now: float) -> Iterator[Born]:
    names = packet.names

    def named(index: int) -> str:
        name = names[index]
        if not name:
            raise RemoteProtocolError(Reason.MALFORMED, "signal without name")
        return name

    for event in packet.events:
        signal = Event(
            name=named(event.name),
            tier=event.tier,
            family=names[event.family],
            count=event.count,
            pan=event.pan / 100,
            gain_db=event.gain / 10,
            host=host,
        )
        yield Born(signal, now - event.age_ms / 1000)
    for state in packet.states:
        yield Born(
            State(
                name=named(state.name),
                value=state.value / 10_000,
                pan=state.pan / 100,
                gain_db=state.gain / 10,
                host=host,
            ),
            now,
        )
    for heartbeat in packet.heartbeats:
        yield Born(
            Heartbeat(
                name=named(heartbeat.name),
                rate_hz=heartbeat.rate / 1000,
                pan=heartbeat.pan / 100,
                gain_db=heartbeat.gain / 10,
                host=host,
            ),
            now,
        )
