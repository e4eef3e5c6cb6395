"""A ceiling on memory: what can be given back is, and else the agent ends in order.

It is judged by looking, not by setrlimit(2): a limit on what may be allocated counts
address space, of which threads and RE2 reserve much and use little, and who meets it is
whoever allocates next, often C++ or SQLite, with no word to say. Whoever looks can give
something back, and end as after SIGTERM: what must not be lost is kept, and the service
manager starts the agent again. Between two looks that one's own limit stands behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_S = 5.0  # between looks; each reads one line that the kernel has ready
MIB = 1024 * 1024
_STATM = Path("/proc/self/statm")  # proc(5): pages, the second number is resident


def resident_bytes(statm: Path = _STATM) -> int:
    """Return how much of the machine's memory this process has; 0 if none can say."""
    try:
        return int(statm.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def trim() -> None:
    """Collect what nobody holds any more, and give free pages back."""
    gc.collect()
    # glibc's malloc keeps what was freed; other libraries have no such function.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Trim, and take what is left to stay: modules, configuration, rules.

    Else each full collection would look through all of it again, and the loop would
    stand still for 25 ms.
    """
    gc.unfreeze()
    trim()
    gc.freeze()


class Weight:
    """Looks at the memory in use; `shed` gives up what can be done without.

    `exceeded` is set when that was not enough.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        shed: Callable[[], None],
        resident: Callable[[], int] = resident_bytes,
    ) -> None:
        self._say = say
        self._shed = shed
        self._resident = resident
        self._max_bytes = 0
        self._told = False
        self.exceeded = asyncio.Event()

    def limit(self, max_bytes: int) -> None:
        """Set the ceiling from now on; 0 is none."""
        self._max_bytes = max_bytes

    def look(self) -> None:
        """Compare with the ceiling, and do what is to be done."""
        before = self._resident()
        if not 0 < self._max_bytes < before:
            return
        self._shed()
        after = self._resident()
        is_too_much = after > self._max_bytes
        if is_too_much or not self._told:
            self._told = True
            self._say(
                f"{before // MIB} MiB of memory are in use, more than "
                f"{self._max_bytes // MIB} (agent.memory_max); "
                + (
                    "this agent ends, so as to be started again"
                    if is_too_much
                    else f"what was not needed is given back, now {after // MIB}"
                )
            )
        if is_too_much:
            self.exceeded.set()

    async def watch(self) -> None:
        """Look from time to time, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
