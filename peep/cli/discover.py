"""`peep discover`."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import TYPE_CHECKING

from peep.cli import common
from peep.errors import ConfigError, PeepError
from peep.net.discovery import Discovery, DiscoveryListener, Server
from peep.net.locators import parse_locator
from peep.net.srv import domain_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_S = 5.0  # two thirds of a burst; whoever answers has done so by then
UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd]?)")

_EXAMPLES = """\
  peep discover                                 who is there
  peep discover --classes web,db --for 15m      who comes and goes
  peep discover --interfaces lo --json          one JSON object a line
  peep discover --locator peep://noc:2001 --mdns
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "discover",
        "List servers as they appear and vanish. Exit code 1 if there was none.",
        _EXAMPLES,
    )
    common.add_network(made)
    made.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        default=DEFAULT_S,
        metavar="TIME",
        help=f"how long, such as 30s, 15m, 2h (default: {DEFAULT_S:g}s)",
    )
    made.add_argument(
        "--locator",
        action="append",
        type=locator,
        default=[],
        metavar="URL",
        help="ask there as well: peep://host[:port]; may be given many times",
    )
    made.add_argument(
        "--srv",
        action="append",
        type=domain,
        default=[],
        metavar="DOMAIN",
        help="ask whom the domain's DNS SRV records name; may be given many times",
    )
    made.add_argument("--mdns", action="store_true", help="browse mDNS as well")
    made.add_argument(
        "--json", action="store_true", help="print one JSON object a line"
    )
    return made


def duration(text: str) -> float:
    """Read 30s, 15m, 2h, 1d, or plain seconds."""
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * UNITS_S[found[2]] if found else 0.0
    if seconds <= 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time above 0, such as 30s, 15m or 2h"
        )
    return seconds


def locator(text: str) -> str:
    """Check a locator."""
    try:
        parse_locator(text)
    except PeepError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    return text


def domain(text: str) -> str:
    """Check a domain's name."""
    problem = domain_problem(text)
    if problem:
        raise argparse.ArgumentTypeError(f"{text!r} {problem}")
    return text


class Printer(DiscoveryListener):
    """Prints what is told, and remembers whether anything was."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.found = False

    def discovered(self, server: Server) -> None:
        """Print a server that is there."""
        self.found = True
        self._print("discovered", server)

    def changed(self, server: Server) -> None:
        """Print a server's new classes."""
        self._print("changed", server)

    def discarded(self, server: Server) -> None:
        """Print a server that is gone."""
        self._print("discarded", server)

    def _print(self, what: str, server: Server) -> None:
        host, port = server.address
        if self._as_json:
            row = {
                "what": what,
                "host": host,
                "port": port,
                "id": server.server_id.hex(),
                "classes": server.classes,
            }
            print(json.dumps(row), flush=True)
            return
        classes = ", ".join(server.classes)
        print(f"{what:<10} {host} port {port}, classes {classes}", flush=True)


def run(argv: Sequence[str]) -> int:
    """Look for as long as was asked."""
    args = parser().parse_args(argv)
    classes = common.class_names(args.classes or ("public",))
    if "none" in classes:
        raise ConfigError(["--classes: `none` is no discovery at all"])
    printer = Printer(as_json=args.json)
    discovery = Discovery(
        classes,
        interfaces=args.interfaces or (),
        locators=args.locator,
        domains=args.srv,
        mdns=args.mdns,
        listeners=[printer],
        say=common.say,
    )

    async def work(stop: asyncio.Event) -> int:
        async with discovery:
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping}, timeout=args.seconds)
            stopping.cancel()
        return 0 if printer.found else 1

    code = common.run_until_stopped(work)
    if code:
        common.say(f"no server of class {', '.join(classes)} answered")
    return code
