"""A flood: agents with sealed sessions that offer a server so many signals a second.

    python flood.py PORT CLASS SECRET SIGNALS_PER_S SECONDS

A process of its own. It joins by the class, whose key's secret is given in hex, says
"ready", and floods once its input has a line; in the end it says how many signals it
sent.
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.filled import HOST, offer
from helpers.speakers import speaker

from peep.clock import SystemClock
from peep.protocol.keys import ClassKey

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEAKERS = 20
EACH = 12  # signals a datagram, as many as a busy agent packs
ANSWER_S = 0.05
CLOCK = SystemClock()


def tell(line: object) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Join, wait, flood."""
    port, rate, seconds = int(sys.argv[1]), float(sys.argv[4]), float(sys.argv[5])
    key = ClassKey(sys.argv[2], bytes.fromhex(sys.argv[3]))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    sock.connect((HOST, port))
    sock.settimeout(ANSWER_S)

    def exchange(data: bytes) -> Iterator[bytes]:
        sock.send(data)
        with contextlib.suppress(TimeoutError):
            while True:
                yield sock.recv(2048)

    rng = random.Random()
    server = (HOST, port)
    agents = [
        speaker(rng, exchange, server, sealed=True, now=CLOCK.now(), key=key)
        for _ in range(SPEAKERS)
    ]
    now = CLOCK.now()
    # Ahead of time, so that it does not hold a core while others are measured.
    datagrams = [
        agents[n % SPEAKERS].datagram(EACH, now)
        for n in range(int(rate * seconds / EACH))
    ]
    tell("ready")
    sys.stdin.readline()
    offer(sock, datagrams, rate / EACH)
    tell(len(datagrams) * EACH)
    sock.close()


if __name__ == "__main__":
    main()
