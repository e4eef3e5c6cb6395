"""Every refused peer is named once, with the reason; after that it is only counted."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.protocol.addresses import Address

MAX_NAMED = 256  # a network full of strangers must not fill the log, nor the memory

# What an operator can do something about. Whatever is not here (another class, a
# damaged datagram) is no refusal of somebody, and is counted alone.
_WHY = {
    Reason.REFUSED: "`network: allow:` does not allow its address, class or key",
    Reason.NOT_ADMITTED: "it sends without a lease, from outside `dumb_networks` or "
    "while class public is not held",
    Reason.UNKNOWN_KEY: "it uses a key that is not held here (see peep key list)",
    Reason.KEY_NEEDED: "it speaks openly for a class that has a key here (peep join)",
    Reason.BAD_SEAL: "what it sends is not sealed with the key that it names",
    Reason.UNKNOWN_VERSION: "it speaks another version of the protocol",
    Reason.FOREVER: "it asks for a lease without end",
    Reason.THROTTLED: "it sends more signals than one sender may",
    Reason.TABLE_FULL: "there is no room for more like it",
    Reason.NOT_NEAR: "it announces itself from a network that is none of ours; if it "
    "is yours, name it with --locator",
}


class Refusals:
    """Says each pair of host and reason once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._named: OrderedDict[tuple[str, Reason], None] = OrderedDict()

    def name(self, reason: Reason, address: Address) -> None:
        """Name a refused peer, unless that was done or is nobody's business."""
        why = _WHY.get(reason)
        key = (address[0], reason)
        if why is None or key in self._named:
            return
        self._named[key] = None
        if len(self._named) > MAX_NAMED:
            self._named.popitem(last=False)
        self._say(f"refused {address[0]} ({reason}): {why}")
