"""What the machines tell those who run them."""

import msgspec

from peep.protocol.addresses import Address
from peep.protocol.packets import ExceptionCode
from peep.reasons import Reason
from peep.signals import Signal, SignalId


class Peer(msgspec.Struct, frozen=True):
    """An agent, as far as it is known."""

    agent_id: bytes
    host: str
    address: Address


class Dropped(msgspec.Struct, frozen=True):
    """A datagram was refused, or so many of its signals."""

    reason: Reason
    address: Address
    count: int = 1


class Joined(msgspec.Struct, frozen=True):
    """A server granted a lease, or is back within it.

    `sealed` is the class whose key seals the session; "" is an open one.
    """

    address: Address
    lease_s: float
    sealed: str = ""


class Lapsed(msgspec.Struct, frozen=True):
    """No word by the end of the lease: sending stops, looking begins."""

    address: Address


class Gone(msgspec.Struct, frozen=True):
    """The server said BYE, never answered, or stayed silent too long."""

    address: Address


class Refused(msgspec.Struct, frozen=True):
    """The server says why nothing comes of what it was sent."""

    address: Address
    code: ExceptionCode


class Confirmed(msgspec.Struct, frozen=True):
    """These alerts are on record wherever they had to be: they may be forgotten."""

    ids: tuple[SignalId, ...]


AgentEvent = Joined | Lapsed | Gone | Refused | Dropped | Confirmed


class AgentJoined(msgspec.Struct, frozen=True):
    """An agent has a lease; `back` if its host was lost before."""

    peer: Peer
    classes: tuple[str, ...]
    back: bool
    sealed: bool = False


class AgentLate(msgspec.Struct, frozen=True):
    """Nothing was heard for a whole lease."""

    peer: Peer


class AgentReturned(msgspec.Struct, frozen=True):
    """A late agent spoke again in time."""

    peer: Peer


class AgentLost(msgspec.Struct, frozen=True):
    """Nothing was heard for a lease and a half: the agent is gone."""

    peer: Peer


class AgentLeft(msgspec.Struct, frozen=True):
    """The agent said BYE, or a dumb sender fell silent: no alarm."""

    peer: Peer
    dumb: bool = False


class Way(msgspec.Struct, frozen=True, gc=False):
    """The session, or the dumb sender, that a signal came by: its receipt goes there.

    `identity` (8 bytes) is who says it: another one for the same agent id in open words
    and under each class's key, so that nobody can spoil the ids of who holds a key.
    """

    identity: bytes
    agent_id: bytes
    session: bytes
    address: Address


NO_WAY = Way(b"", b"", b"", ("", 0))


class SignalReceived(msgspec.Struct, frozen=True, gc=False):
    """A signal was admitted.

    `again`: the agent said it in an earlier session, where it may have been heard.
    """

    peer: Peer
    class_name: str
    signal: Signal
    age_s: float
    again: bool = False
    way: Way = NO_WAY


ServerEvent = (
    AgentJoined
    | AgentLate
    | AgentReturned
    | AgentLost
    | AgentLeft
    | SignalReceived
    | Dropped
)


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a server knows of one sender now. `stage` is live, late or dumb.

    `missed` counts datagrams that were sent, by their numbers, and did not come.
    """

    peer: Peer
    classes: tuple[str, ...]
    stage: str
    sealed: bool
    lease_s: float
    lease_left_s: float
    datagrams: int
    missed: int
    signals: int
