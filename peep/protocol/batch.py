"""Many signals in a datagram: names that repeat are sent once.

An open session's events have no field for text and instance, so they cannot leave the
host by mistake; a sealed session's have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
from msgspec.structs import replace

from peep.errors import RemoteProtocolError
from peep.protocol.events import NO_WAY, SignalReceived
from peep.protocol.packets import (
    MAX_AGE_MS,
    MAX_DATAGRAM_BYTES,
    MAX_INSTANCE_BYTES,
    MAX_SIGNALS,
    MAX_WIRE_TEXT_BYTES,
    Ids,
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
    SignalId,
    State,
    clamp_unit,
    name_problem,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peep.protocol.events import Peer, Way

# What a signal takes at most as msgpack, its name apart: array, two indices of 3,
# tier 1, count 5, pan 2, gain 3, age 5.
_SIGNAL_BYTES = 24
_NAME_OVERHEAD_BYTES = 2
_SEALED_BYTES = 5  # the headers of text and instance
_SERIAL_BYTES = 9 + 3  # and a number in `again`
_IDS_BYTES = 1 + 9 + 3  # before the serials of one origin
# The seven array headers, repeat_s, and a seal.
_BODY_BYTES = 26 + 16
_ROOM = MAX_DATAGRAM_BYTES - HEADER_BYTES - _BODY_BYTES
_NO_ID = (0, 0)
_LOW_DB, _HIGH_DB = GAIN_RANGE_DB
# Looking at a name costs more than all else of a signal, and the same come ever again.
_GOOD: set[str] = set()
_MAX_GOOD = 4096  # the attacker is an agent that invents names


class Born(msgspec.Struct, frozen=True, gc=False):
    """A signal and the moment it was born, on its holder's own clock.

    Only ages travel, so two hosts need not agree on the time. `again`: it was said in
    an earlier session.
    """

    signal: Signal
    born: float
    again: bool = False


def pack(
    batch: Iterable[Born], now: float, repeat_s: int, *, sealed: bool = False
) -> Iterator[Signals | SealedSignals]:
    """Yield as few packets as carry all these signals, in order."""
    taken: list[Born] = []
    names: set[str] = set()
    size = 0
    origin = -1
    for born in batch:
        signal = born.signal
        own = _SIGNAL_BYTES
        if signal.name not in names:
            own += _NAME_OVERHEAD_BYTES + len(signal.name)
        if isinstance(signal, Event):
            own += _SERIAL_BYTES + (_IDS_BYTES if signal.origin != origin else 0)
            if signal.family not in names and signal.family != signal.name:
                own += _NAME_OVERHEAD_BYTES + len(signal.family)
            if sealed:
                own += _SEALED_BYTES + _length(signal.instance) + _length(signal.text)
        if taken and (size + own > _ROOM or len(taken) == MAX_SIGNALS):
            yield _packet(taken, now, repeat_s, sealed=sealed)
            taken, size = [], 0
            names.clear()
            # All that it said before must be said again there.
            own += 2 * _NAME_OVERHEAD_BYTES + len(signal.name) + _IDS_BYTES
            own += len(signal.family) if isinstance(signal, Event) else 0
        taken.append(born)
        names.add(signal.name)
        if isinstance(signal, Event):
            names.add(signal.family)
            origin = signal.origin
        size += own
    if taken:
        yield _packet(taken, now, repeat_s, sealed=sealed)


def unpack(
    packet: Signals | SealedSignals, peer: Peer, class_name: str, way: Way = NO_WAY
) -> list[SignalReceived]:
    """Return the signals as what was received of a peer: events, states, heartbeats.

    RemoteProtocolError if an index or a name is not one.
    """
    names, host = packet.names, peer.host
    if not _GOOD.issuperset(names):
        _check(names)
    ids: list[SignalId] = []
    for run in packet.ids:
        origin = run.origin
        ids += [(origin, serial) for serial in run.serials]
    if len(ids) < len(packet.events):
        ids += [_NO_ID] * (len(packet.events) - len(ids))
    # An open session's events have no text, and nothing looks for it.
    sealed = type(packet) is SealedSignals
    events: list[SealedEvent] = packet.events  # type: ignore[assignment]
    instance = text = ""
    found: list[SignalReceived] = []
    try:
        # strict= would take as long as all else of an event.
        for event, (origin, serial) in zip(events, ids):  # noqa: B905
            if sealed:
                instance, text = event.instance, event.text
            signal = Event(
                name=names[event.name] or _named(""),
                tier=event.tier,
                family=names[event.family],
                count=event.count,
                pan=event.pan / 100,
                gain_db=event.gain / 10,
                host=host,
                instance=instance,
                text=text,
                origin=origin,
                serial=serial if origin else 0,
            )
            age_s = event.age_ms / 1000
            found.append(SignalReceived(peer, class_name, signal, age_s, False, way))
        if packet.states or packet.heartbeats:
            soft = _soft(packet, host)
            found += [
                SignalReceived(peer, class_name, k, 0.0, False, way) for k in soft
            ]
    except IndexError:
        raise RemoteProtocolError(Reason.MALFORMED, "index without name") from None
    return _with_repeats(found, packet) if packet.again else found


def _with_repeats(
    found: list[SignalReceived], packet: Signals | SealedSignals
) -> list[SignalReceived]:
    """Mark the events that were said in an earlier session; they come first."""
    for number in packet.again:
        if number < len(packet.events):
            found[number] = replace(found[number], again=True)
    return found


def _soft(packet: Signals | SealedSignals, host: str) -> Iterator[State | Heartbeat]:
    names = packet.names
    for state in packet.states:
        yield State(
            name=_named(names[state.name]),
            value=state.value / 10_000,
            pan=state.pan / 100,
            gain_db=state.gain / 10,
            host=host,
        )
    for heartbeat in packet.heartbeats:
        yield Heartbeat(
            name=_named(names[heartbeat.name]),
            rate_hz=heartbeat.rate / 1000,
            pan=heartbeat.pan / 100,
            gain_db=heartbeat.gain / 10,
            host=host,
        )


def _check(names: Iterable[str]) -> None:
    for name in names:
        if name and name_problem(name):  # a family may have none
            raise RemoteProtocolError(Reason.MALFORMED, "bad name")
        if len(_GOOD) >= _MAX_GOOD:
            _GOOD.clear()
        _GOOD.add(name)


def ids_of(ids: Sequence[Ids]) -> list[SignalId]:
    """Return ids one by one; origin 0 is none and stands for nothing."""
    return [(run.origin, serial) for run in ids for serial in run.serials]


def runs_of(ids: Iterable[SignalId]) -> list[Ids]:
    """Return ids as they travel: those with one origin after another together."""
    runs: list[Ids] = []
    for origin, serial in ids:
        if not runs or runs[-1].origin != origin:
            runs.append(Ids(origin, []))
        runs[-1].serials.append(serial)
    return runs


def _named(name: str) -> str:
    if not name:
        raise RemoteProtocolError(Reason.MALFORMED, "signal without name")
    return name


def _packet(
    batch: Sequence[Born], now: float, repeat_s: int, *, sealed: bool
) -> Signals | SealedSignals:
    index: dict[str, int] = {}
    events: list[WireEvent] = []
    states: list[WireState] = []
    heartbeats: list[WireHeartbeat] = []
    ids: list[SignalId] = []
    again: list[int] = []
    for born in batch:
        signal = born.signal
        name = index.setdefault(signal.name, len(index))
        pan = round(max(-1.0, min(1.0, signal.pan)) * 100)
        gain = round(max(_LOW_DB, min(_HIGH_DB, signal.gain_db)) * 10)
        if isinstance(signal, Event):
            if born.again:
                again.append(len(events))
            ids.append((signal.origin, signal.serial))
            family = index.setdefault(signal.family, len(index))
            count = max(1, min(MAX_COUNT, signal.count))
            age_ms = max(0, min(MAX_AGE_MS, int((now - born.born) * 1000)))
            fields = (name, signal.tier, family, count, pan, gain, age_ms)
            if sealed:
                instance = _cut(signal.instance, MAX_INSTANCE_BYTES)
                text = _cut(signal.text, MAX_WIRE_TEXT_BYTES)
                events.append(SealedEvent(*fields, instance, text))
            else:
                events.append(WireEvent(*fields))
        elif isinstance(signal, State):
            value = round(clamp_unit(signal.value) * 10_000)
            states.append(WireState(name, value, pan, gain))
        else:
            rate = round(min(MAX_RATE_HZ, max(0.0, signal.rate_hz)) * 1000)
            heartbeats.append(WireHeartbeat(name, rate, pan, gain))
    while ids and not ids[-1][0]:  # what is missing at the end is none
        ids.pop()
    rest = (states, heartbeats, repeat_s, runs_of(ids), again)
    if sealed:
        return SealedSignals(list(index), cast("list[SealedEvent]", events), *rest)
    return Signals(list(index), events, *rest)


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
