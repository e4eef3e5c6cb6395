"""A sliding window over sequence numbers: each is taken once.

An integer holds, as bits, those of the last WINDOW numbers that did not come: it is 0
while all is well. What is older than the window is refused too, since nobody can say
whether it came before (RFC 4303, 3.4.3).
"""

WINDOW = 1024  # datagrams that may overtake one another within a session
_MASK = (1 << WINDOW) - 1


class Window:
    """Remembers which sequence numbers came."""

    def __init__(self) -> None:
        self.highest = -1  # of those that came
        self._missing = 0  # bit n: the number that lies n below the highest

    def take(self, sequence: int) -> bool:
        """Say whether this number is new, and remember it."""
        ahead = sequence - self.highest
        if ahead > 0:
            self.highest = sequence
            if ahead >= WINDOW:
                self._missing = _MASK - 1
            elif ahead > 1 or self._missing:
                skipped = (1 << ahead) - 2
                self._missing = (self._missing << ahead) & _MASK | skipped
            return True
        if ahead <= -WINDOW:
            return False
        bit = 1 << -ahead
        if not self._missing & bit:
            return False
        self._missing ^= bit
        return True
