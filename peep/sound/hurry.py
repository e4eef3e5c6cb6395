"""Real-time priority, where it is granted."""

import contextlib
import os

# Of SCHED_FIFO: above all that is not in a hurry, below the sound server that we feed,
# which must not wait for a block of ours (PulseAudio's own is 5, PipeWire's 88).
_PRIORITY = 4


def hurry(pid: int = 0) -> None:
    """Put a process, or this one, above all that is not in a hurry.

    Where that is not allowed, sound is as punctual as everything else.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(_PRIORITY))
