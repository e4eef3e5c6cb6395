"""What the commands share that ask running agents and servers something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from peep import paths
from peep.errors import ConfigError, PeepError
from peep.net.control import GoneError, Request, Running, ask, running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

Answer = TypeVar("Answer")


class Said(msgspec.Struct, Generic[Answer], frozen=True):
    """What one process said; where `answer` is None, `problem` says why."""

    kind: str
    pid: int
    answer: Answer | None = None
    problem: str | None = None

    @property
    def who(self) -> str:
        """Return which process it is, for people."""
        return f"{self.kind} {self.pid}"


def add_of(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --of."""
    parser.add_argument(
        "--of",
        metavar="WHICH",
        help=f"agent, server, or the id of a process (default: {default})",
    )


def ask_each(
    of: str | None, request: Request, wanted: type[Answer]
) -> list[Said[Answer]]:
    """Ask each process that `--of` names, and return what those said that still run.

    PeepError if there is none.
    """
    found = ask_all(meant(of), request, wanted)
    if not found:
        raise PeepError(_nobody(of))
    return found


def ask_all(
    processes: Sequence[Running], request: Request, wanted: type[Answer]
) -> list[Said[Answer]]:
    """Ask each, and return what those said that still run."""
    found: list[Said[Answer]] = []
    for kind, pid, path in processes:
        try:
            answer = msgspec.convert(ask(path, request), wanted)
        except GoneError:
            continue
        except msgspec.ValidationError:
            problem = "the answer makes no sense: is it another version of Peep?"
            found.append(Said(kind, pid, problem=problem))
        except PeepError as refused:
            found.append(Said(kind, pid, problem=str(refused)))
        else:
            found.append(Said(kind, pid, answer))
    return found


def meant(of: str | None) -> Sequence[Running]:
    """Return the processes that `--of` names."""
    if of is not None and of not in ("agent", "server") and not of.isdecimal():
        raise ConfigError([f"--of {of!r}: say agent, server, or a process id"])
    # A process that cron started has no XDG_RUNTIME_DIR, though this one may.
    places = dict.fromkeys((paths.runtime_dir(), paths.state_dir() / "run"))
    return [
        one
        for place in places
        for one in running(place)
        if of is None or of in (one.kind, str(one.pid))
    ]


def _nobody(of: str | None) -> str:
    if of is None:
        return "no agent or server of yours runs"
    return f"no {of} of yours runs" if of.isalpha() else f"no process {of} of yours"
