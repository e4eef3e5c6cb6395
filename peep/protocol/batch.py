"""Many signals in a datagram: names that repeat are sent once.

An open session's events have no field for text and instance, so they cannot leave the
host by mistake; a sealed session's have.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

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

# What signals take at most as msgpack, their names apart: an array's header, indices of
# 2, a tier of 1, a count of 5, a pan of 2, a gain of 3, an age of 5; and elsewhere a
# serial of 9, a number in `again` of 3. A state's value and a heartbeat's rate take 3.
_EVENT_BYTES = 33
_SMALL_EVENT_BYTES = _EVENT_BYTES - 4 - 4  # count and serial are
_SMALL_COUNT, _SMALL_SERIAL = 0x7F, 0xFFFF_FFFF
_SOFT_BYTES = 11
_NAME_OVERHEAD_BYTES = 2
_SEALED_BYTES = 5  # the headers of text and instance
_IDS_BYTES = 1 + 9 + 3  # before the serials of one origin
# The seven array headers, repeat_s, and a seal.
_BODY_BYTES = 26 + 16
_ROOM = MAX_DATAGRAM_BYTES - HEADER_BYTES - _BODY_BYTES
_NO_ID = (0, 0)
_NOTHING_SAID = ("", "", 0)
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
    filling = _Filling(now, repeat_s, sealed=sealed)
    for born in batch:
        if not filling.add(born):
            yield filling.packet()
            filling = _Filling(now, repeat_s, sealed=sealed)
            filling.add(born)
    if filling.names:
        yield filling.packet()


class _Filling:
    """A packet that is being filled. Agents do this with every match: it is quick."""

    __slots__ = (
        "_again",
        "_events",
        "_heartbeats",
        "_now",
        "_origin",
        "_repeat_s",
        "_runs",
        "_sealed",
        "_serials",
        "_size_bytes",
        "_states",
        "names",
    )

    def __init__(self, now: float, repeat_s: int, *, sealed: bool) -> None:
        self._now = now
        self._repeat_s = repeat_s
        self._sealed = sealed
        self.names: dict[str, int] = {}  # and their places
        self._events: list[WireEvent] = []
        self._states: list[WireState] = []
        self._heartbeats: list[WireHeartbeat] = []
        self._runs: list[Ids] = []
        self._origin = -1  # of the last run
        self._serials: list[int] = []  # there
        self._again: list[int] = []
        self._size_bytes = 0

    def add(self, born: Born) -> bool:
        """Take a signal in, if there is room; in an empty packet there always is."""
        event = born.signal
        if not isinstance(event, Event):
            return self._add_soft(event)
        names, about = self.names, _NOTHING_SAID
        is_small = event.serial <= _SMALL_SERIAL and event.count <= _SMALL_COUNT
        size = self._size_bytes + (_SMALL_EVENT_BYTES if is_small else _EVENT_BYTES)
        if event.name not in names:
            size += _NAME_OVERHEAD_BYTES + len(event.name)
        if event.family not in names:
            size += _NAME_OVERHEAD_BYTES + len(event.family)
        if event.origin != self._origin:
            size += _IDS_BYTES
        if self._sealed:
            about = _about(event)
            size += about[2]
        if size > _ROOM and self._size_bytes:
            return False
        self._size_bytes = size
        if event.origin != self._origin:
            self._origin, self._serials = event.origin, []
            self._runs.append(Ids(event.origin, self._serials))
        self._serials.append(event.serial)
        if born.again:
            self._again.append(len(self._events))
        self._put(event, int((self._now - born.born) * 1000), about)
        return True

    def _put(self, event: Event, age_ms: int, about: tuple[str, str, int]) -> None:
        names, count = self.names, event.count
        # Comparing is quicker than min() and max().
        if not 0 < count <= MAX_COUNT:
            count = max(1, min(MAX_COUNT, count))
        if not 0 <= age_ms <= MAX_AGE_MS:
            age_ms = max(0, min(MAX_AGE_MS, age_ms))
        fields = (
            names.setdefault(event.name, len(names)),
            event.tier,
            names.setdefault(event.family, len(names)),
            count,
            _hundredths(event.pan) if event.pan else 0,
            _tenths(event.gain_db) if event.gain_db else 0,
            age_ms,
        )
        self._events.append(
            SealedEvent(*fields, about[0], about[1])
            if self._sealed
            else WireEvent(*fields)
        )

    def _add_soft(self, signal: State | Heartbeat) -> bool:
        names, name = self.names, signal.name
        size = self._size_bytes + _SOFT_BYTES
        if name not in names:
            size += _NAME_OVERHEAD_BYTES + len(name)
        if size > _ROOM and self._size_bytes:
            return False
        self._size_bytes = size
        place = names.setdefault(name, len(names))
        pan, gain = _hundredths(signal.pan), _tenths(signal.gain_db)
        if isinstance(signal, State):
            value = round(clamp_unit(signal.value) * 10_000)
            self._states.append(WireState(place, value, pan, gain))
        else:
            rate = round(min(MAX_RATE_HZ, max(0.0, signal.rate_hz)) * 1000)
            self._heartbeats.append(WireHeartbeat(place, rate, pan, gain))
        return True

    def packet(self) -> Signals | SealedSignals:
        """Return what was taken in."""
        if self._origin == 0:  # what is missing at the end is none
            self._runs.pop()
        names, soft = list(self.names), (self._states, self._heartbeats)
        rest = (*soft, self._repeat_s, self._runs, self._again)
        if self._sealed:
            events = cast("list[SealedEvent]", self._events)
            return SealedSignals(names, events, *rest)
        return Signals(names, self._events, *rest)


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


def _about(event: Event) -> tuple[str, str, int]:
    """Return instance and text as far as they fit, and how many bytes they take."""
    instance, text = event.instance, event.text
    if not (instance.isascii() and len(instance) <= MAX_INSTANCE_BYTES):
        instance = _cut(instance, MAX_INSTANCE_BYTES)
    if not (text.isascii() and len(text) <= MAX_WIRE_TEXT_BYTES):
        text = _cut(text, MAX_WIRE_TEXT_BYTES)
    said = instance + text
    size_bytes = len(said) if said.isascii() else len(said.encode("utf-8", "replace"))
    return instance, text, _SEALED_BYTES + size_bytes


def _cut(text: str, max_bytes: int) -> str:
    """Return as much of a text as fits, never half a character."""
    if len(text) * 4 <= max_bytes:
        return text
    data = text.encode("utf-8", "replace")
    return (
        text if len(data) <= max_bytes else data[:max_bytes].decode("utf-8", "ignore")
    )
