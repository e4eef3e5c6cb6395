"""`peep classes`: see and change the classes of what runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from peep import paths
from peep.cli import common
from peep.errors import ConfigError, PeepError
from peep.net.class_control import listed
from peep.net.control import (
    AddClasses,
    GoneError,
    ListClasses,
    RemoveClasses,
    Request,
    Running,
    ask,
    running,
)
from peep.protocol.classes import class_problem

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EXAMPLES = """\
  peep classes                         of every agent and server of yours that runs
  peep classes add web db              speak with those, too, from now on
  peep classes remove web --of server
  peep classes add none --of 4711      process 4711 speaks to nobody

What is changed here holds until the process ends; peep.yaml says what it starts with.
"""


class _Answer(msgspec.Struct, frozen=True):
    classes: tuple[str, ...]
    changed: bool


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one process said; where `classes` is None, `problem` says why."""

    kind: str
    pid: int
    classes: tuple[str, ...] | None = None
    changed: bool = False
    problem: str | None = None


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "classes",
        "List, add or remove the classes of running agents and servers.",
        _EXAMPLES,
    )
    made.add_argument(
        "verb",
        nargs="?",
        choices=["list", "add", "remove"],
        default="list",
        help="(default: list)",
    )
    made.add_argument("names", nargs="*", metavar="NAME", help="classes")
    made.add_argument(
        "--of",
        metavar="WHICH",
        help="agent, server, or the id of a process (default: all of yours)",
    )
    made.add_argument("--json", action="store_true", help="one JSON list")
    return made


def run(argv: Sequence[str]) -> int:
    """Ask everybody who is meant; exit code 1 if one refuses, or none runs."""
    args = parser().parse_intermixed_args(argv)
    request = _request(args.verb, tuple(args.names))
    results = ask_all(meant(args.of), request)
    if not results:
        raise PeepError(_nobody(args.of))
    failed = any(result.problem is not None for result in results)
    if args.verb == "remove" and not failed:
        # Nothing to do is no success here: it is a slip of the pen.
        failed = not any(result.changed for result in results)
    if args.json:
        print(json.dumps(msgspec.to_builtins(results)))
        return int(failed)
    for result in results:
        who = f"{result.kind} {result.pid}"
        if result.classes is None:
            common.say(f"peep: {who}: {result.problem}")
        else:
            print(f"{who}: {_said(args.verb, result, result.classes)}")
    return int(failed)


def _request(verb: str, names: tuple[str, ...]) -> Request:
    if verb == "list":
        if names:
            raise ConfigError(["list takes no classes; to add some: peep classes add"])
        return ListClasses()
    if not names:
        raise ConfigError([f"which classes? peep classes {verb} NAME"])
    bad = [f"class {name!r} {why}" for name in names if (why := class_problem(name))]
    if bad:
        raise ConfigError(bad)
    return AddClasses(names) if verb == "add" else RemoveClasses(names)


def meant(of: str | None) -> list[Running]:
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


def ask_all(processes: Sequence[Running], request: Request) -> list[Result]:
    """Ask each, and return what those said that still run."""
    results: list[Result] = []
    for kind, pid, path in processes:
        try:
            answer = msgspec.convert(ask(path, request), _Answer)
        except GoneError:
            continue
        except msgspec.ValidationError:
            problem = "the answer makes no sense: is it another version of Peep?"
            results.append(Result(kind, pid, problem=problem))
        except PeepError as problem:
            results.append(Result(kind, pid, problem=str(problem)))
        else:
            results.append(Result(kind, pid, answer.classes, answer.changed))
    return results


def _said(verb: str, result: Result, classes: tuple[str, ...]) -> str:
    if verb == "list":
        return listed(classes)
    return f"{'now' if result.changed else 'as before:'} {listed(classes)}"


def _nobody(of: str | None) -> str:
    if of is None:
        return "no agent or server of yours runs"
    return f"no {of} of yours runs" if of.isalpha() else f"no process {of} of yours"
