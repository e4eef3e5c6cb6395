"""A bad network between agents and one server, all on the loopback.

It stands at an address of its own; each agent that speaks to it gets a socket of its
own towards the server, so that the server sees as many addresses as there are agents.
What is said to everyone is passed on as well: the server's announcements to every
agent, the agents' questions to the server.

On every way datagrams are lost, doubled and held back for a while (so that others
overtake them), as seeded dice say.
"""

import contextlib
import heapq
import random
import selectors
import socket
import threading
import time
from collections import Counter

from peep.errors import RemoteProtocolError
from peep.protocol import wire
from peep.protocol.packets import ANNOUNCE_PORT

HOST = "127.0.0.2"  # agents that believe only this one find nobody past the relay
NETWORK = f"{HOST}/32"
LOOPBACK = "127.0.0.1"
DOUBLED = 0.05
HELD = 0.1
HELD_S = 0.05  # at most
BUFFER_BYTES = 4 << 20


class Relay:
    """Runs in a thread of its own from entering to leaving."""

    def __init__(self, server_port, seed, loss):
        self.seed = seed
        self.loss = loss
        self.passed = Counter()  # datagrams, lost ones too, by type; see `anew`
        self.lost = self.doubled = self.held = 0
        self._server = (LOOPBACK, server_port)
        self._dice = random.Random(seed)
        self._news = threading.Condition()
        self._later = []
        self._pushed = 0
        self._backs = {}  # sockets towards the server, by the agent's address
        self._selector = selectors.DefaultSelector()
        self._front = self._open((HOST, 0))
        self._ear = self._open(("", ANNOUNCE_PORT), shared=True)
        self._wake, self._bell = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="relay")
        self.locator = f"peep://{HOST}:{self._front.getsockname()[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._bell.send(b"!")
        self._thread.join()
        self._selector.close()
        for sock in (self._front, self._ear, self._wake, self._bell):
            sock.close()
        for back in self._backs.values():
            back.close()

    def anew(self):
        """Count what passes from now on; a new agent does that, too."""
        with self._news:
            self.passed.clear()

    def wait_for(self, kind, seconds):
        """Wait until a datagram of this type has passed; say whether one has."""
        with self._news:
            return self._news.wait_for(lambda: self.passed[kind], seconds)

    def _open(self, address, *, shared=False):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        self._selector.register(sock, selectors.EVENT_READ)
        return sock

    def _run(self):
        while True:
            pause_s = None
            if self._later:
                pause_s = max(0.0, self._later[0][0] - time.monotonic())
            for key, _ in self._selector.select(pause_s):
                if key.fileobj is self._wake:
                    return
                self._drain(key.fileobj, key.data)
            while self._later and self._later[0][0] <= time.monotonic():
                _, _, sock, data, to = heapq.heappop(self._later)
                _send(sock, data, to)

    def _drain(self, sock, agent):
        # Read empty, or an error of an earlier datagram: nobody is at the port.
        with contextlib.suppress(OSError):
            while True:
                data, source = sock.recvfrom(2048)
                if sock is self._ear:
                    self._overhear(data, source)
                elif sock is self._front:
                    self._pass(self._back(source), data, self._server)
                else:
                    self._pass(self._front, data, agent)

    def _overhear(self, data, source):
        if source == self._server:
            for agent in self._backs:
                self._pass(self._front, data, agent)
        elif source in self._backs:
            self._pass(self._backs[source], data, self._server)

    def _back(self, agent):
        if agent not in self._backs:
            self.anew()
            self._backs[agent] = back = self._open((LOOPBACK, 0))
            self._selector.modify(back, selectors.EVENT_READ, agent)
        return self._backs[agent]

    def _pass(self, sock, data, to):
        with self._news:
            self.passed[_type(data)] += 1
            self._news.notify_all()
        if self._dice.random() < self.loss:
            self.lost += 1
            return
        copies = 1
        if self._dice.random() < DOUBLED:
            self.doubled += 1
            copies = 2
        for _ in range(copies):
            if self._dice.random() < HELD:
                self.held += 1
                self._pushed += 1
                at = time.monotonic() + HELD_S * self._dice.random()
                heapq.heappush(self._later, (at, self._pushed, sock, data, to))
            else:
                _send(sock, data, to)


def _type(data):
    try:
        return wire.parse(data).kind
    except RemoteProtocolError:
        return None


def _send(sock, data, to):
    with contextlib.suppress(OSError):  # nobody is at the port
        sock.sendto(data, to)
