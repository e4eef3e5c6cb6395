"""Whether it is the hosts that are silent, or the server that is deaf.

It is *deaf* when all its hosts, two at least, fell silent within a window and none of
them said goodbye since the first did: then it is more likely cut off itself than that
all of them died. One host is no proof of anything.
"""


class Ears:
    """Told which hosts are heard, fall silent and leave, in the order of time."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._heard: set[str] = set()
        self._falls: dict[str, float] = {}  # when hosts fell silent; the first first
        self._left_at = float("-inf")
        self.deaf = False

    def heard(self, name: str) -> bool:
        """Take a host's word; say whether it ends deafness."""
        self._heard.add(name)
        self._falls.pop(name, None)
        was_deaf, self.deaf = self.deaf, False
        return was_deaf

    def left(self, name: str, now: float) -> None:
        """Take a host's goodbye."""
        self._heard.discard(name)
        self._falls.pop(name, None)
        self._left_at = now

    def fell_silent(self, name: str, now: float) -> tuple[str, ...]:
        """Take a host's silence; if that is deafness, return who is not heard."""
        self._heard.discard(name)
        self._falls[name] = now
        while (at := next(iter(self._falls.values()))) + self._window_s < now:
            del self._falls[next(iter(self._falls))]
        if self._heard or len(self._falls) == 1 or self._left_at >= at:
            return ()
        self.deaf = True
        return tuple(self._falls)
