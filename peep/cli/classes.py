"""`peep classes`: see and change the classes of what runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from peep.cli import asking, common
from peep.errors import ConfigError
from peep.net.class_control import listed
from peep.net.control import AddClasses, ListClasses, RemoveClasses, Request
from peep.protocol.classes import class_problem

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from peep.net.control import Running

meant = asking.meant

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
    asking.add_of(made, "all of yours")
    made.add_argument("--json", action="store_true", help="one JSON list")
    return made


def run(argv: Sequence[str]) -> int:
    """Ask everybody who is meant; exit code 1 if one refuses, or none runs."""
    args = parser().parse_intermixed_args(argv)
    request = _request(args.verb, tuple(args.names))
    results = [_result(said) for said in asking.ask_each(args.of, request, _Answer)]
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


def ask_all(processes: Sequence[Running], request: Request) -> list[Result]:
    """Ask each, and return what those said that still run."""
    return [_result(said) for said in asking.ask_all(processes, request, _Answer)]


def _result(said: asking.Said[_Answer]) -> Result:
    if said.answer is None:
        return Result(said.kind, said.pid, problem=said.problem)
    return Result(said.kind, said.pid, said.answer.classes, said.answer.changed)


def _said(verb: str, result: Result, classes: tuple[str, ...]) -> str:
    if verb == "list":
        return listed(classes)
    return f"{'now' if result.changed else 'as before:'} {listed(classes)}"
