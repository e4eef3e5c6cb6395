"""From a session's datagram to the signals in it: what a server does most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peep.errors import RemoteProtocolError
from peep.protocol.batch import unpack
from peep.protocol.events import Dropped
from peep.protocol.wire import HEADER_BYTES, read
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.protocol.addresses import Address
    from peep.protocol.events import ServerEvent
    from peep.protocol.packets import Packet, PacketType, SealedSignals, Signals
    from peep.protocol.sessions import Sender, Session


def opened(
    session: Session, kind: PacketType, sequence: int, data: bytes, address: Address
) -> Packet:
    """Return what a datagram of a session says; RemoteProtocolError if it is not true.

    Each is taken once.
    """
    if session.peer.address != address:
        raise RemoteProtocolError(Reason.WRONG_ADDRESS)
    content, transport = data[HEADER_BYTES:], session.transport
    if transport is None:
        body = read(kind, content)
    else:
        content = transport.open(sequence, data[:HEADER_BYTES], content)
        body = read(kind, content, sealed=True)
    # Only now: a forgery must not move the window.
    if not session.window.take(sequence):
        raise RemoteProtocolError(Reason.REPLAYED)
    session.datagrams += 1
    return body


def admitted(
    sender: Sender, body: Signals | SealedSignals, sequence: int, now: float
) -> Sequence[ServerEvent]:
    """Return what of these signals is heard, and how many were too many."""
    found = unpack(body, sender.peer, sender.class_name, sender.way)
    throttled = 0
    if not sender.pay(len(found), now):
        count = len(found)
        found = [one for one in found if sender.spend(one.signal)]
        throttled = count - len(found)
    sender.signals += len(found)
    if body.states or body.heartbeats:
        found = [one for one in found if sender.newest(one.signal, sequence)]
    if throttled:
        return [*found, Dropped(Reason.THROTTLED, sender.peer.address, throttled)]
    return found
