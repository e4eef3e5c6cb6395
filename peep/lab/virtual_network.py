"""A network in virtual time: real protocol machines, datagrams that get lost.

A *node* is a host with one process on it; the process may be killed and started again
(a new *life*), put to sleep, or cut off. Every host has a clock of its own. Time moves
from one due thing to the next, so an idle day costs nothing but its datagrams.

Everything waits in one heap: datagrams on their way, calls, and one entry a node for
its machine's timer. A timer that was moved later leaves its entry where it is; the
entry finds nothing due when it comes up, and is put back.

What happens is written to a *trace*, of which only the hash is kept. It holds no set,
no hash() and no address in memory, and chance comes from random() alone: so the same
seed gives the same trace under every Python.
"""

from __future__ import annotations

import hashlib
import heapq
from typing import TYPE_CHECKING, Any

import msgspec

from peep.protocol.addresses import Broadcast
from peep.protocol.events import Dropped, SignalReceived

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.net.udp import Machine
    from peep.protocol.addresses import Address
    from peep.signals import Signal

LATENCY_S = 0.005  # a datagram that nothing holds up
REORDER_S = 0.5  # one that is held up takes so much longer at most, and is overtaken
_NEVER = float("inf")
_ROUNDING_S = 1e-6  # a host's clock is a sum of floats: due is due a little early
_SPINS = 100  # a machine that is still due after so many looks is stuck
_NUDGE_S = 0.001  # so much later a stuck machine is looked at again
_TRACE_LINES = 4096  # hashed at once


class Weather(msgspec.Struct, frozen=True):
    """The share of datagrams that are lost, come twice, or are held up."""

    loss: float = 0.0
    dup: float = 0.0
    reorder: float = 0.0


class Node:
    """A host, and what runs on it."""

    def __init__(self, name: str, listens: int, offset_s: float = 0.0) -> None:
        self.name = name
        self.listens = listens  # the port on which it hears broadcasts
        self.machine: Machine[Any] | None = None
        self.address: Address = ("", 0)
        self.life = 0
        self.asleep = False
        self.cut = False
        self.offset_s = offset_s  # its clock, less the network's
        self.clock_s = offset_s
        self.entry_at = _NEVER  # where its timer stands in the heap
        self.spins = 0
        self.stuck = False


class Trace:
    """A hash over lines."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Write one line."""
        self._lines.append(line)
        if len(self._lines) >= _TRACE_LINES:
            self._flush()

    def hexdigest(self) -> str:
        """Return the hash of all lines so far."""
        self._flush()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        self._digest.update("".join(self._lines).encode())
        self._lines.clear()


class VirtualNetwork:
    """Carries datagrams between nodes and moves time."""

    def __init__(
        self,
        weather: Weather,
        chance: Callable[[], float],
        tell: Callable[[Node, object], None],
    ) -> None:
        self.weather = weather
        self._chance = chance
        self._tell = tell
        self._nodes: list[Node] = []
        self._at: dict[Address, Node] = {}
        # (when, order, node, life, datagram, from whom, from where); without a
        # datagram a timer, without a node a call
        self._heap: list[tuple[float, int, Any, int, Any, Any, Any]] = []
        self._order = 0
        self.now = 0.0
        self.trace = Trace()
        self.sent = 0  # datagrams; a broadcast is one
        self.delivered = 0
        self.stuck = 0  # machines that stayed due whatever was done

    # -- hosts ------------------------------------------------------------------

    def add(self, node: Node) -> None:
        """Put a host on the network; nothing runs on it yet."""
        self._nodes.append(node)

    def start(self, node: Node, machine: Machine[Any], address: Address) -> None:
        """Start a process."""
        node.machine, node.address = machine, address
        node.entry_at = _NEVER
        node.stuck = False
        self._at[address] = node
        self._tick(node)
        machine.start(node.clock_s)
        self._pump(node, machine)

    def kill(self, node: Node) -> None:
        """End it as kill -9 does: no last words."""
        node.machine = None
        node.life += 1
        self._at.pop(node.address, None)

    def sleep(self, node: Node) -> None:
        """Suspend a host: nothing runs, and what comes is lost."""
        node.asleep = True

    def wake(self, node: Node, uncounted_s: float = 0.0) -> None:
        """Let it run again; its clock stood still for `uncounted_s`."""
        node.asleep = False
        node.offset_s -= uncounted_s
        node.entry_at = _NEVER
        if node.machine is not None:
            self._on_timer(node, node.machine)

    def send(self, node: Node, signal: Signal) -> None:
        """Give a signal to the agent that runs there."""
        self.act(node, lambda machine, now: machine.send(signal, now))

    def act(self, node: Node, call: Callable[[Any, float], None]) -> None:
        """Have something done with the machine that runs there, at its host's time."""
        machine: Any = node.machine
        self._tick(node)
        call(machine, node.clock_s)
        self._pump(node, machine)

    # -- time -------------------------------------------------------------------

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """Have something done at a time."""
        self._push(when, None, 0, call)

    def run(self, until: float) -> None:
        """Let time pass."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            when, _, node, life, datagram, source, address = heapq.heappop(heap)
            self.now = when
            if node is None:
                datagram()
                continue
            machine = node.machine
            if machine is None or node.life != life or node.asleep:
                continue
            if source is None:
                if when == node.entry_at:
                    node.entry_at = _NEVER
                    self._on_timer(node, machine)
            elif not (source.cut or node.cut):
                self.delivered += 1
                self.trace.add(
                    f"{round(when * 1e6)} {source.name} {node.name} {datagram[1]}\n"
                )
                self._tick(node)
                machine.receive_datagram(datagram, address, node.clock_s)
                self._pump(node, machine)
        self.now = until

    def _tick(self, node: Node) -> None:
        """Bring a host's clock up to now; it never goes back."""
        clock_s = self.now + node.offset_s
        node.clock_s = max(node.clock_s, clock_s)

    def _on_timer(self, node: Node, machine: Machine[Any]) -> None:
        self._tick(node)
        due = machine.next_timer()
        if due is not None and due <= node.clock_s + _ROUNDING_S:
            node.clock_s = max(node.clock_s, due)
            machine.handle_timer(node.clock_s)
        self._pump(node, machine)

    # -- what machines want -----------------------------------------------------

    def _pump(self, node: Node, machine: Machine[Any]) -> None:
        """Take from a machine what it has to send and to tell, and set its timer."""
        for data, to in machine.datagrams_to_send(node.clock_s):
            self.sent += 1
            if node.cut:
                continue
            if isinstance(to, Broadcast):
                for other in self._nodes:
                    if other.listens == to.port and other is not node:
                        self._post(node, other, data)
            elif to in self._at:
                self._post(node, self._at[to], data)
        while (event := machine.next_event()) is not None:
            self.trace.add(f"{round(self.now * 1e6)} {node.name} {_words(event)}\n")
            self._tell(node, event)
        due = machine.next_timer()
        if due is not None:
            self._set_timer(node, due - node.offset_s)

    def _set_timer(self, node: Node, at: float) -> None:
        if at > self.now:
            node.spins = 0
        else:
            node.spins += 1
            at = self.now
            if node.spins > _SPINS:
                at += _NUDGE_S
                self.stuck += not node.stuck
                node.stuck = True
        if at < node.entry_at:
            node.entry_at = at
            self._push(at, node, node.life, None)

    def _post(self, source: Node, to: Node, data: bytes) -> None:
        if to.machine is None:
            return
        chance, weather = self._chance, self.weather
        copies = 1 + (weather.dup > 0 and chance() < weather.dup)
        for _ in range(copies):
            if weather.loss and chance() < weather.loss:
                continue
            when = self.now + LATENCY_S
            if weather.reorder and chance() < weather.reorder:
                when += chance() * REORDER_S
            self._order += 1
            heapq.heappush(
                self._heap,
                (when, self._order, to, to.life, data, source, source.address),
            )

    def _push(self, when: float, node: Node | None, life: int, what: object) -> None:
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, node, life, what, None, None))


def _words(event: object) -> str:
    """Return an event as words that are the same under every Python."""
    kind = type(event).__name__
    match event:
        case SignalReceived(peer=peer, class_name=class_name, signal=signal):
            return f"{kind} {peer.agent_id.hex()} {class_name} {signal.name}"
        case Dropped(reason=reason):
            return f"{kind} {reason.value}"
    who = getattr(event, "peer", None)  # an agent's events have none
    return kind if who is None else f"{kind} {who.agent_id.hex()}"
