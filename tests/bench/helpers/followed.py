"""A server that lets an agent join, and then only keeps what it is sent.

What came is opened and counted when all is over: what is measured is the agent. The
socket is emptied from time to time and wakes nobody, so that sending costs what it
does where the server is another host's.
"""

from __future__ import annotations

import os
import random
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
from helpers.filled import HOST, drops
from helpers.processes import ending
from helpers.speakers import CLASS, KEY

from peep.clock import SystemClock
from peep.protocol.door import ServerConfig
from peep.protocol.events import Dropped, SignalReceived
from peep.protocol.packets import MAX_LEASE_S
from peep.protocol.server import ServerProtocol

SCRIPT = Path(__file__).with_name("following.py")
BUFFER_BYTES = 16 << 20
_SO_RCVBUFFORCE = 33
READ_BYTES = 2048
LOOK_S = 0.002
LIMIT_S = 120.0  # for one run
CLOCK = SystemClock()


class Run(NamedTuple):
    """What became of a log, and what that took."""

    rate: float  # lines a second of the agent's CPU time, the first ones apart
    wall_s: float  # for all
    datagrams: int
    sealed_bytes: int
    events: Counter[str]  # as the server heard them, by name


class Receiver:
    """A socket, and the machine behind it."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
        except PermissionError:  # who is not root has to be quick
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.sock.bind((HOST, 0))
        config = ServerConfig(
            server_id=os.urandom(8),
            secret=os.urandom(32),
            classes=(CLASS,),
            keys=(KEY,),
            lease_s=MAX_LEASE_S,
        )
        self.machine = ServerProtocol(config, random.Random(1))
        self.kept: list[tuple[bytes, tuple[str, int]]] = []
        self.came_at = 0.0
        self.refused = Counter[str]()

    def drain(self) -> None:
        """Keep what has come."""
        receive, keep = self.sock.recvfrom, self.kept.append
        before = len(self.kept)
        try:
            while True:
                keep(receive(READ_BYTES))
        except BlockingIOError:
            pass
        if len(self.kept) > before:
            self.came_at = time.monotonic()

    def answer(self, apart_s: float = 0.0) -> Counter[str]:
        """Take in what was kept and answer it; count events by name, and refusals.

        Datagrams are taken so far apart: what one agent may say in a second is limited.
        """
        now, counted = CLOCK.now(), Counter[str]()
        for number, (data, address) in enumerate(self.kept):
            self.machine.receive_datagram(data, address, now + number * apart_s)
        self.kept.clear()
        for data, to in self.machine.datagrams_to_send(now):
            if isinstance(to, tuple):
                self.sock.sendto(data, to)
        while (event := self.machine.next_event()) is not None:
            if isinstance(event, SignalReceived):
                counted[event.signal.name] += 1
            elif isinstance(event, Dropped):
                self.refused[event.reason.name] += 1
        return counted


def followed(core: int, rules: str, log: Path, lines: int) -> Run:
    """Let an agent on one core read a log; the bench ends if anything is lost."""
    receiver = Receiver()
    port = receiver.sock.getsockname()[1]
    name = log.with_suffix(".followed")
    name.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(core), str(port), rules, name, str(lines)],
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + LIMIT_S
    with ending(process), receiver.sock:
        assert process.stdout is not None, "it was asked for"
        while not _says(process):
            receiver.drain()
            receiver.answer()
            time.sleep(LOOK_S)
            _check(deadline)
        process.stdout.readline()
        # An agent that is there already meets its log: starting up does not count.
        begun = time.monotonic()
        os.link(log, name)
        while not _says(process):
            receiver.drain()
            time.sleep(LOOK_S)
            _check(deadline)
        receiver.drain()
        line = process.stdout.readline()
        if not line:
            sys.exit("the agent ended")
        told = msgspec.json.decode(line)
        took_s = receiver.came_at - begun
        lost = drops(receiver.sock)
        sizes = [len(data) for data, _ in receiver.kept]
        events = receiver.answer(apart_s=1.0)
    if lost or events.total() != told["matched"]:
        sys.exit(
            f"{told['matched']} lines matched, {events.total()} events came, "
            f"the kernel dropped {lost} datagrams, "
            f"refused: {dict(receiver.refused)}: no result"
        )
    return Run(told["rate"], took_s, len(sizes), sum(sizes), events)


def _says(process: subprocess.Popen[str]) -> bool:
    return bool(select.select([process.stdout], [], [], 0)[0])


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        sys.exit(f"the agent was not ready within {LIMIT_S:.0f} s")
