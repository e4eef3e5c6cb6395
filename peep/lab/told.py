"""The follower that torture torments: a process of its own, so that it can be killed.

`python -m peep.lab.told LOG STORE` follows as an agent with `cpu_max: 0` does: what it
was told of goes into the store together with the marks, in one transaction, before the
next lines are asked for. After each batch it prints the numbers of the lines that were
told; with the first one those of its former lives, too.
"""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

from peep.agent.sources.origins import new_origin
from peep.agent.sources.tail import TailSource, TailSpec
from peep.clock import SystemClock
from peep.journal.store import Spooled, Store
from peep.signals import Event

MAX_ALERTS = 1_000_000  # one a batch; whoever counts must have all of them
MAX_BYTES = 1 << 30
_LINE = re.compile(rb"(\d{9}) -* end")


def written(number: int) -> bytes:
    """Return a line of torture; they differ in length."""
    return b"%09d %s end\n" % (number, b"-" * (number * 7919 % 90))


def number_of(text: bytes) -> int | None:
    """Return which line that is; None for a fragment."""
    match = _LINE.fullmatch(text)
    return None if match is None else int(match[1])


def open_store(path: Path, say: Callable[[str], None]) -> Store:
    """Open a store that drops nothing."""
    return Store(path, say=say, max_alerts=MAX_ALERTS, max_bytes=MAX_BYTES)


def told(store: Store) -> list[int]:
    """Return the numbers of all lines that were told, as often as they were."""
    return [
        int(number)
        for spooled in store.alerts()
        for number in spooled.event.text.split()
    ]


async def follow(path: str, store: Store) -> None:
    """Follow until killed."""
    clock = SystemClock()
    source = TailSource(TailSpec(path, from_start=True), clock, store.marks())
    text = " ".join(map(str, told(store)))
    async for batch in source.batches():
        numbers = [number_of(line.text) for line in batch.lines]
        news = " ".join(str(number) for number in numbers if number is not None)
        event = Event(name="torture.told", text=news, origin=new_origin(), serial=1)
        spooled = [Spooled(event, clock.wall())] if news else []
        store.commit(spooled, batch.marks, batch.done)
        sys.stdout.write(f"{text} {news}\n")
        sys.stdout.flush()
        text = ""


def complain(what: str) -> None:
    """End: a store that cannot be trusted proves nothing."""
    sys.exit(f"torture: {what}")


if __name__ == "__main__":
    log, place = sys.argv[1:]
    asyncio.run(follow(log, open_store(Path(place), complain)))
