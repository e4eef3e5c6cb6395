"""A sliding window over sequence numbers: each is taken once.

An integer holds the last WINDOW numbers as bits. What is older than the window is
refused too, since nobody can say whether it came before (RFC 4303, 3.4.3).
"""

WINDOW = 1024  # datagrams that may overtake one another within a session
_MASK = (1 << WINDOW) - 1


class Window:
    """Remembers which sequence numbers came."""

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0

    def take(self, sequence: int) -> bool:
        """Say whether this number is new, and remember it."""
        ahead = sequence - self._highest
        if ahead > 0:
            self._seen = ((self._seen << ahead) | 1) & _MASK if ahead < WINDOW else 1
            self._highest = sequence
            return True
        if ahead <= -WINDOW:
            return False
        bit = 1 << -ahead
        if self._seen & bit:
            return False
        self._seen |= bit
        return True
