"""Many signals in a datagram: names that repeat are sent once.

An open session's events have no field for text and instance, so they cannot leave the
host by mistake; a sealed session's have.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from peep.errors import RemoteProtocolError
from peep.protocol.events import NO_WAY, SignalReceived
from peep.protocol.packets import (
    MAX_AGE_MS,
    MAX_DATAGRAM_BYTES,
    MAX_INSTANCE_BYTES,
    MAX_WIRE_TEXT_BYTES,
    Ids,
    SealedEvent,
    SealedSignals,
    Signals,
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

# What signals take as msgpack, names and words apart. An event nearly always: an
# array's header, indices of 1 (a datagram has no room for more than 128 names), a
# tier, a count and an age of 1, a pan of 2, a gain of 3; and elsewhere a serial of 5.
# At most: a count and an age of 5, a serial of 9, a number in `again` of 3. A state's
# value and a heartbeat's rate take 3.
_EVENT_BYTES = 1 + 2 + 3 + 2 + 3 + 5
_OLD_BYTES = 4
_LARGE_BYTES = 4 + 4 + 3  # more, all but the age
_SMALL_COUNT, _SMALL_AGE_MS, _SMALL_SERIAL = 0x7F, 0x7F, 0xFFFF_FFFF
_SOFT_BYTES = 11 + 1
_NAME_BYTES = 2
_ABOUT_BYTES = 1 + 2  # before instance and text, where both are short
_LONG_ABOUT_BYTES = 2 + 3
_SHORT_INSTANCE_BYTES, _SHORT_TEXT_BYTES = 0x1F, 0xFF
_IDS_BYTES = 1 + 9 + 3  # before the serials of one origin
# The headers of the arrays, repeat_s, and a seal. Headers are of 1 up to 15 of a thing:
# for states and heartbeats the 2 that they may lack then are in the bytes of each one;
# for names, events, `ids` and `again` they are reserved when there are some events.
_BODY_BYTES = 7 + 5 + 16
_SOME_EVENTS, _SOME_EVENTS_BYTES = 7, 4 * 2
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
    rest = iter(batch)
    left = tuple(itertools.islice(rest, 1))
    while left:
        filling = _Filling(now, sealed=sealed)
        left = filling.fill(itertools.chain(left, rest))
        yield filling.packet(repeat_s)


class _Filling:
    """A packet that is being filled. Agents do this with every match: it is quick."""

    __slots__ = (
        "_again",
        "_events",
        "_heartbeats",
        "_names",
        "_now",
        "_runs",
        "_sealed",
        "_states",
    )

    def __init__(self, now: float, *, sealed: bool) -> None:
        self._now = now
        self._sealed = sealed
        self._names: dict[str, int] = {}  # and their places
        # Tuples: on the wire they look like structs, and are made in half of the time.
        self._events: list[Any] = []
        self._states: list[WireState] = []
        self._heartbeats: list[WireHeartbeat] = []
        self._runs: list[Ids] = []
        self._again: list[int] = []

    def fill(  # noqa: C901, PLR0912, PLR0915 - a call costs as much as a dozen lines
        self, batch: Iterable[Born]
    ) -> tuple[Born, ...]:
        """Take signals in until there is no room; return the one that found none.

        In an empty packet there always is room.
        """
        now, sealed, names, events = self._now, self._sealed, self._names, self._events
        origin, serials = -1, list[int]()  # of the last run
        born_at, age_ms = now, 0  # many come at a time
        event_bytes = _EVENT_BYTES
        instance = text = ""
        filled = 0
        for born in batch:
            event = born.signal
            if not isinstance(event, Event):
                size = filled + self._soft_bytes(event.name)
                if size > _ROOM and filled:
                    return (born,)
                self._add_soft(event)
                filled = size
                continue
            name, family = event.name, event.family
            place, kind = names.get(name), names.get(family)
            count, serial = event.count, event.serial
            if born.born != born_at:
                born_at = born.born
                age_ms = max(0, min(MAX_AGE_MS, int((now - born_at) * 1000)))
                event_bytes = _EVENT_BYTES + _OLD_BYTES * (age_ms > _SMALL_AGE_MS)
            size = filled + event_bytes
            if born.again or serial > _SMALL_SERIAL or not 0 < count <= _SMALL_COUNT:
                count = max(1, min(MAX_COUNT, count))
                size += _LARGE_BYTES
            if place is None:
                size += _NAME_BYTES + len(name)
            if kind is None:
                size += _NAME_BYTES + len(family)
            if event.origin != origin:
                size += _IDS_BYTES
            if sealed:
                instance, text = event.instance, event.text
                size += _ABOUT_BYTES + len(instance) + len(text)
                if not (
                    len(instance) <= _SHORT_INSTANCE_BYTES
                    and len(text) <= _SHORT_TEXT_BYTES
                    and instance.isascii()
                    and text.isascii()
                ):
                    size -= _ABOUT_BYTES + len(instance) + len(text)
                    instance = _cut(instance, MAX_INSTANCE_BYTES)
                    text = _cut(text, MAX_WIRE_TEXT_BYTES)
                    about = (instance + text).encode("utf-8", "replace")
                    size += _LONG_ABOUT_BYTES + len(about)
            if size > _ROOM and filled:
                return (born,)
            filled = size
            if event.origin != origin:
                origin, serials = event.origin, []
                self._runs.append(Ids(origin, serials))
            serials.append(serial)
            if born.again:
                self._again.append(len(events))
            if place is None:
                place = names[name] = len(names)
            if kind is None:  # nor perhaps a moment ago, if it has the same name
                kind = names.setdefault(family, len(names))
            pan = _hundredths(event.pan) if event.pan else 0
            gain = _tenths(event.gain_db) if event.gain_db else 0
            if len(events) == _SOME_EVENTS:
                filled += _SOME_EVENTS_BYTES
            events.append(
                (place, event.tier, kind, count, pan, gain, age_ms, instance, text)
                if sealed
                else (place, event.tier, kind, count, pan, gain, age_ms)
            )
        return ()

    def _soft_bytes(self, name: str) -> int:
        is_new = name not in self._names
        return _SOFT_BYTES + is_new * (_NAME_BYTES + len(name))

    def _add_soft(self, signal: State | Heartbeat) -> None:
        place = self._names.setdefault(signal.name, len(self._names))
        pan, gain = _hundredths(signal.pan), _tenths(signal.gain_db)
        if isinstance(signal, State):
            value = round(clamp_unit(signal.value) * 10_000)
            self._states.append(WireState(place, value, pan, gain))
        else:
            rate = round(min(MAX_RATE_HZ, max(0.0, signal.rate_hz)) * 1000)
            self._heartbeats.append(WireHeartbeat(place, rate, pan, gain))

    def packet(self, repeat_s: int) -> Signals | SealedSignals:
        """Return what was taken in."""
        if self._runs and not self._runs[-1].origin:
            self._runs.pop()  # what is missing at the end is none
        return (SealedSignals if self._sealed else Signals)(
            list(self._names),
            self._events,
            self._states,
            self._heartbeats,
            repeat_s,
            self._runs,
            self._again,
        )


@lru_cache(maxsize=256)  # rules have a few, and each event one of them
def _hundredths(pan: float) -> int:
    return round(max(-1.0, min(1.0, pan)) * 100)


@lru_cache(maxsize=256)
def _tenths(gain_db: float) -> int:
    return round(max(_LOW_DB, min(_HIGH_DB, gain_db)) * 10)


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


def _cut(text: str, max_bytes: int) -> str:
    """Return as much of a text as fits, never half a character."""
    if len(text) * 4 <= max_bytes:
        return text
    data = text.encode("utf-8", "replace")
    return (
        text if len(data) <= max_bytes else data[:max_bytes].decode("utf-8", "ignore")
    )
