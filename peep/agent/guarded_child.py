"""The process that runs `engine: re`: `python -m peep.agent.guarded_child FD LIMIT_S`.

Started by guarded.py only, which says there why. It reads frames from standard input
(a length, and msgpack): first the patterns, then batches of lines; to each batch it
answers with one frame. It ends by itself when its input does, and by SIGVTALRM when a
pattern takes too long for a line; FD is the page where it writes what it is at.
"""

import mmap
import re
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

LENGTH = struct.Struct("<I")
PLACE = struct.Struct("<ii")  # line and rule, or IDLE
IDLE = (-1, -1)
GROUPS = ("text", "instance")

Span = tuple[int, int]


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Lines; the (line, rule) pairs to pass over; and the rules that rest."""

    texts: list[bytes]
    skipped: list[tuple[int, int]] = []
    resting: list[int] = []


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """The rule that takes a line, and where text and instance are; (-1, -1) nowhere."""

    rule: int
    text: Span
    instance: Span


def read_frame(stream: BinaryIO) -> bytes:
    """Return the next frame, b"" at the end."""
    head = stream.read(LENGTH.size)
    return stream.read(*LENGTH.unpack(head)) if len(head) == LENGTH.size else b""


def frame(value: object) -> bytes:
    """Return a value as a frame."""
    packed = msgspec.msgpack.encode(value)
    return LENGTH.pack(len(packed)) + packed


def answers(
    rules: list[tuple[int, re.Pattern[bytes]]],
    batch: Batch,
    at: Callable[[int, int], None],
) -> Iterator[Taken | None]:
    """Yield for each line what takes it first; tells `at` before each try."""
    skipped, resting = set(batch.skipped), set(batch.resting)
    for line, text in enumerate(batch.texts):
        taken = None
        for rule, pattern in rules:
            if rule in resting or (line, rule) in skipped:
                continue
            at(line, rule)
            found = pattern.search(text)
            if found is not None:
                spans = [
                    found.span(name) if name in pattern.groupindex else (-1, -1)
                    for name in GROUPS
                ]
                taken = Taken(rule, *spans)
                break
        yield taken


def main(fd: int, limit_s: float, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the input ends."""
    # Whoever interrupts or ends the agent does not mean this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with mmap.mmap(fd, PLACE.size) as page:

        def at(line: int, rule: int) -> None:
            PLACE.pack_into(page, 0, line, rule)
            signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)

        written = msgspec.msgpack.decode(read_frame(source), type=list[tuple[int, str]])
        rules = [(rule, re.compile(text.encode("ascii"))) for rule, text in written]
        while read := read_frame(source):
            batch = msgspec.msgpack.decode(read, type=Batch)
            answer = list(answers(rules, batch, at))
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            PLACE.pack_into(page, 0, *IDLE)
            sink.write(frame(answer))
            sink.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)
