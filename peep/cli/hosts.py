"""`peep hosts`: which hosts running servers hear, and which they miss."""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from peep.cli import asking, common
from peep.config.problems import safe
from peep.errors import ConfigError
from peep.net.control import ForgetHost, ListHosts
from peep.server.hosts import HostLine

_EXAMPLES = """\
  peep hosts                    those that are missing or late come first
  peep hosts forget web3        it was taken out of service: miss it no longer

A host that is present cannot be forgotten: it would be back at once. Which hosts must
be there, and which come and go, says peep.yaml (`expect`, `ephemeral`).
"""

_HEAD = (
    *("HOST", "STATE", "CLASSES", "ADDRESS", "SESSION", "LEASE", "DATAGRAMS"),
    *("MISSED", "HEARD"),
)
_RIGHT = {"LEASE", "DATAGRAMS", "MISSED", "HEARD"}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_UNITS_FROM = 2  # of a unit; below, 90 s tells more than 1 min


class _Hosts(msgspec.Struct, frozen=True):
    hosts: tuple[HostLine, ...]
    deaf: bool = False


class _Forgotten(msgspec.Struct, frozen=True):
    expected: bool


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "hosts",
        "List the hosts that running servers hear, and those that they miss.",
        _EXAMPLES,
    )
    made.add_argument(
        "verb",
        nargs="?",
        choices=["list", "forget"],
        default="list",
        help="(default: list)",
    )
    made.add_argument("name", nargs="?", metavar="NAME", help="a host to forget")
    asking.add_of(made, "every server of yours")
    made.add_argument("--json", action="store_true", help="one JSON list")
    return made


def run(argv: Sequence[str]) -> int:
    """Ask the servers; exit code 1 if none runs, or none knows of that host."""
    args = parser().parse_intermixed_args(argv)
    if args.verb == "forget":
        if not args.name:
            raise ConfigError(["which host? peep hosts forget NAME"])
        return _forget(args.of or "server", args.name, as_json=args.json)
    if args.name:
        raise ConfigError(["list takes no name; to forget one: peep hosts forget"])
    return _list(args.of or "server", as_json=args.json)


def _list(of: str, *, as_json: bool) -> int:
    said = asking.ask_each(of, ListHosts(), _Hosts)
    if as_json:
        print(json.dumps([_plain(one) for one in said]))
    else:
        for one in said:
            if one.answer is None:
                common.say(f"peep: {one.who}: {one.problem}")
                continue
            if len(said) > 1:
                print(f"{one.who}:")
            _show(one.answer)
    return int(any(one.answer is None for one in said))


def _forget(of: str, name: str, *, as_json: bool) -> int:
    said = asking.ask_each(of, ForgetHost(name), _Forgotten)
    if as_json:
        print(json.dumps([_plain(one) for one in said]))
    for one in said if not as_json else ():
        if one.answer is None:
            common.say(f"peep: {one.who}: {one.problem}")
        else:
            print(f"{one.who}: forgot {safe(name)}")
            if one.answer.expected:
                common.say(
                    "peep: it is expected: take it out of `expect` in peep.yaml, or "
                    "it is missed again after the next start"
                )
    # Of several servers, it need not be known to all.
    return int(all(one.answer is None for one in said))


def _plain(said: asking.Said[_Hosts] | asking.Said[_Forgotten]) -> dict[str, object]:
    plain: dict[str, object] = {"kind": said.kind, "pid": said.pid}
    if said.answer is None:
        return {**plain, "problem": said.problem}
    return {**plain, **msgspec.to_builtins(said.answer)}


def _show(answer: _Hosts) -> None:
    if answer.deaf:
        print("All hosts fell silent at once: this server may be cut off itself.")
    if not answer.hosts:
        print("no hosts yet")
        return
    rows = [_HEAD, *map(_cells, answer.hosts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(_padded(row, widths)).rstrip())
    counts = Counter(line.state for line in answer.hosts)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    print(f"{len(answer.hosts)} in all: {told}")


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    for name, cell, width in zip(_HEAD, row, widths, strict=True):
        yield cell.rjust(width) if name in _RIGHT else cell.ljust(width)


def _cells(line: HostLine) -> list[str]:
    session = {None: "-", True: "sealed", False: "open"}[line.sealed]
    # Names came over the network: a terminal must not obey them.
    return [
        safe(line.host),
        line.state,
        safe(",".join(line.classes)) or "-",
        line.address or "-",
        session,
        "-" if line.lease_left_s is None else f"{max(0.0, line.lease_left_s):.0f} s",
        _count(line.datagrams),
        _count(line.missed),
        "never" if line.heard_s_ago is None else f"{_span(line.heard_s_ago)} ago",
    ]


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _span(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= _UNITS_FROM * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
