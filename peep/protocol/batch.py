"""Many signals in a datagram: names that repeat are sent once.

An open session's events have no field for text and instance, so they cannot leave the
host by mistake; a sealed session's have.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import msgspec

from peep.errors import RemoteProtocolError
from peep.protocol.packets import (
    MAX_AGE_MS,
    MAX_DATAGRAM_BYTES,
    MAX_INSTANCE_BYTES,
    MAX_SIGNALS,
    MAX_WIRE_TEXT_BYTES,
    SealedEvent,
    SealedSignals,
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
_SEALED_BYTES = 5  # the headers of text and instance
# The five array headers, repeat_s, and a seal.
_BODY_BYTES = 20 + 16
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


def pack(
    batch: Iterable[Born], now: float, repeat_s: int, *, sealed: bool = False
) -> Iterator[Signals | SealedSignals]:
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
        own = _SIGNAL_BYTES
        if sealed and isinstance(signal, Event):
            own += _SEALED_BYTES + _length(signal.instance) + _length(signal.text)
        more = own + sum(_NAME_OVERHEAD_BYTES + len(name) for name in new)
        if taken and (size + more > _ROOM or len(taken) == MAX_SIGNALS):
            yield _packet(taken, now, repeat_s, sealed=sealed)
            taken, names, size = [], set(), 0
            more = own + sum(_NAME_OVERHEAD_BYTES + len(name) for name in wanted)
            new = wanted
        taken.append(born)
        names |= new
        size += more
    if taken:
        yield _packet(taken, now, repeat_s, sealed=sealed)


def unpack(packet: Signals | SealedSignals, host: str, now: float) -> list[Born]:
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


def _packet(
    batch: Sequence[Born], now: float, repeat_s: int, *, sealed: bool
) -> Signals | SealedSignals:
    index = _Names()
    events: list[WireEvent] = []
    states: list[WireState] = []
    heartbeats: list[WireHeartbeat] = []
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
                fields = (name, signal.tier, family, count, pan, gain, age_ms)
                if sealed:
                    instance = _cut(signal.instance, MAX_INSTANCE_BYTES)
                    text = _cut(signal.text, MAX_WIRE_TEXT_BYTES)
                    events.append(SealedEvent(*fields, instance, text))
                else:
                    events.append(WireEvent(*fields))
            case State():
                value = round(clamp_unit(signal.value) * 10_000)
                states.append(WireState(name, value, pan, gain))
            case Heartbeat():
                rate = round(min(MAX_RATE_HZ, max(0.0, signal.rate_hz)) * 1000)
                heartbeats.append(WireHeartbeat(name, rate, pan, gain))
    names = list(index.index)
    if sealed:
        sealed_events = cast("list[SealedEvent]", events)
        return SealedSignals(names, sealed_events, states, heartbeats, repeat_s)
    return Signals(names, events, states, heartbeats, repeat_s)


def _length(text: str) -> int:
    return min(MAX_WIRE_TEXT_BYTES, len(text) if text.isascii() else 4 * len(text))


def _cut(text: str, max_bytes: int) -> str:
    """Return as much of a text as fits, never half a character."""
    if len(text) * 4 <= max_bytes:
        return text
    data = text.encode("utf-8", "replace")
    return (
        text if len(data) <= max_bytes else data[:max_bytes].decode("utf-8", "ignore")
    )


def _values(packet: Signals | SealedSignals, host: str, now: float) -> Iterator[Born]:
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
            instance=event.instance if isinstance(event, SealedEvent) else "",
            text=event.text if isinstance(event, SealedEvent) else "",
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
