"""Who this agent is: an id that outlives it.

Ids stand in the state directory, one a slot. A running agent holds its slot's lock, so
an agent that was killed takes the same id when it comes back, and its store with it;
two that run side by side have two. Where nothing can be kept, an id is made for this
run.
"""

import fcntl
import os
from pathlib import Path

from peep.protocol.packets import ID_BYTES

MAX_SLOTS = 64  # agents of one user on one host


class Identity:
    """An agent's id, held until `release`."""

    def __init__(self, state_dir: Path) -> None:
        self._fd: int | None = None
        self.slot = 0
        self.store: Path | None = None  # where its alerts and marks are kept
        self.agent_id = os.urandom(ID_BYTES)
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take(state_dir)
        except OSError:
            self.release()

    def release(self) -> None:
        """Let another agent have the slot."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _take(self, state_dir: Path) -> None:
        for slot in range(MAX_SLOTS):
            path = state_dir / f"agent-{slot}.id"
            self._fd = fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                continue
            kept = os.pread(fd, ID_BYTES + 1, 0)
            if len(kept) == ID_BYTES:
                self.agent_id = kept
            else:
                os.ftruncate(fd, 0)
                os.pwrite(fd, self.agent_id, 0)
            self.slot = slot
            self.store = path.with_suffix(".db")
            return
