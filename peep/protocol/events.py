"""What the machines tell those who run them."""

import msgspec

from peep.protocol.addresses import Address
from peep.protocol.packets import ExceptionCode
from peep.reasons import Reason
from peep.signals import Signal


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


AgentEvent = Joined | Lapsed | Gone | Refused | Dropped


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


class SignalReceived(msgspec.Struct, frozen=True):
    """A signal was admitted."""

    peer: Peer
    class_name: str
    signal: Signal
    age_s: float


ServerEvent = (
    AgentJoined
    | AgentLate
    | AgentReturned
    | AgentLost
    | AgentLeft
    | SignalReceived
    | Dropped
)
