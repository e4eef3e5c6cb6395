"""The errors Peep raises on purpose.

`Local...` is our own caller's fault and names the mend; `Remote...` is a peer's
fault and carries the reason it was dropped for, so that it can be counted.
"""

from peep.reasons import Reason


class PeepError(Exception):
    """Something an operator can mend; the message is one clear line."""


class ConfigError(PeepError):
    """A file that was refused: every problem at once, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LocalProtocolError(PeepError):
    """This side asked for something the protocol does not allow."""


class RemoteProtocolError(PeepError):
    """A datagram that was refused, and why."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


class SourceError(PeepError):
    """An agent's source that cannot be read."""


class EngineError(PeepError):
    """The sound engine cannot start or cannot go on."""
