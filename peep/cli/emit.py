"""`peep emit`."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

from peep.cli import common
from peep.clock import SystemClock
from peep.errors import ConfigError, PeepError
from peep.net.sockets import agent_endpoint, plain_endpoint
from peep.net.udp import UdpDriver
from peep.protocol.discovery import DiscoveryProtocol, Found, SeekConfig
from peep.protocol.dumb import DumbProtocol
from peep.protocol.events import Refused
from peep.protocol.outbox import is_alert
from peep.protocol.packets import ID_BYTES, SERVER_PORT
from peep.protocol.sessions import STALE_REPEATS
from peep.signals import (
    MAX_RATE_HZ,
    Event,
    Heartbeat,
    Signal,
    State,
    Tier,
    name_problem,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from peep.protocol.addresses import Address
    from peep.protocol.events import Confirmed

FIND_S = 2.0  # patience for the first server
GATHER_S = 0.3  # and, once there is one, for others
RECEIPT_S = 2.0  # a commit and a few repeats, on a bad network
HINT_S = 0.3  # a refusal comes at once or not at all

_EXAMPLES = """\
  peep emit ssh.login --family access           an event
  peep emit backup.failed --tier alert          one that nobody should miss
  peep emit queue --state 0.7 --for 300         a level, for five minutes
  peep emit build --heartbeat 0.5               a beat every two seconds
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "emit", "Send one event, state or heartbeat to every server found.", _EXAMPLES
    )
    made.add_argument("name", metavar="NAME", help="such as backup.failed")
    kind = made.add_mutually_exclusive_group()
    kind.add_argument("--state", type=float, metavar="V", help="a level, 0 to 1")
    kind.add_argument(
        "--heartbeat", type=float, metavar="HZ", help="a rhythm; 0 stops it"
    )
    made.add_argument(
        "--tier", choices=[tier.name.lower() for tier in Tier], default="routine"
    )
    made.add_argument("--family", default="", metavar="NAME", help="such as access")
    made.add_argument("--count", type=int, default=1, metavar="N")
    made.add_argument("--pan", type=float, default=0.0, metavar="P", help="-1 to 1")
    made.add_argument(
        "--for",
        dest="hold_s",
        type=common.positive,
        default=60.0,
        metavar="S",
        help="how long a state or heartbeat holds (default: 60)",
    )
    common.add_network(made)
    made.add_argument(
        "-server", "--server", metavar="HOST", help="send there, without looking"
    )
    made.add_argument("-port", "--port", type=common.port, default=SERVER_PORT)
    return made


def signal_of(args: argparse.Namespace) -> Signal:
    """Return the signal that the options describe; ConfigError names all mistakes."""
    problems = []
    wrong = name_problem(args.name)
    if wrong:
        problems.append(f"NAME {args.name!r}: {wrong}")
    wrong = args.family and name_problem(args.family)
    if wrong:
        problems.append(f"--family {args.family!r}: {wrong}")
    if args.state is not None and not 0 <= args.state <= 1:
        problems.append(f"--state {args.state:g}: a level is between 0 and 1")
    if args.heartbeat is not None and not 0 <= args.heartbeat <= MAX_RATE_HZ:
        problems.append(
            f"--heartbeat {args.heartbeat:g}: a rate is between 0 and {MAX_RATE_HZ:g}"
        )
    if not -1 <= args.pan <= 1:
        problems.append(f"--pan {args.pan:g}: left is -1, right is 1")
    if args.count < 1:
        problems.append(f"--count {args.count}: at least 1")
    if problems:
        raise ConfigError(problems)
    if args.state is not None:
        return State(name=args.name, value=args.state, pan=args.pan)
    if args.heartbeat is not None:
        return Heartbeat(name=args.name, rate_hz=args.heartbeat, pan=args.pan)
    return Event(
        name=args.name,
        tier=Tier[args.tier.upper()],
        family=args.family,
        count=args.count,
        pan=args.pan,
    )


async def find(
    interfaces: Sequence[str], classes: Sequence[str], stop: asyncio.Event
) -> list[Address]:
    """Return the addresses of the servers that answer."""
    found: list[Address] = []
    first = asyncio.Event()

    def tell(event: Found, _now: float) -> None:
        found.append(event.address)
        first.set()

    rng = random.Random()  # noqa: S311 - jitter
    config = SeekConfig(agent_id=os.urandom(ID_BYTES), classes=tuple(classes))
    machine = DiscoveryProtocol(config, rng.random)
    endpoint, _ = agent_endpoint(interfaces)
    driver: UdpDriver[Found] = UdpDriver(machine, endpoint, SystemClock(), tell)
    driver.start()
    await _either(first, stop, FIND_S)
    if first.is_set():
        await _either(stop, stop, GATHER_S)
    driver.close()
    return found


async def send(
    signal: Signal, to: tuple[str, int], hold_s: float, stop: asyncio.Event
) -> tuple[bool, str]:
    """Send to one server; return whether it heard, as far as is known, and a word."""
    answered = asyncio.Event()
    answers: list[Refused | Confirmed] = []
    endpoint, address = plain_endpoint(*to)
    repeat_s = max(1, round(hold_s / STALE_REPEATS))
    rng = random.Random()  # noqa: S311 - jitter, and an id that lives for a moment
    machine = DumbProtocol(os.urandom(ID_BYTES), address, rng, repeat_s)

    def tell(event: Refused | Confirmed, _now: float) -> None:
        answers.append(event)
        answered.set()

    driver: UdpDriver[Refused | Confirmed] = UdpDriver(
        machine, endpoint, SystemClock(), tell
    )
    driver.start()
    machine.send(signal, SystemClock().now())
    driver.kick()
    await _either(answered, stop, RECEIPT_S if is_alert(signal) else HINT_S)
    driver.close()
    if any(isinstance(answer, Refused) for answer in answers):
        return False, (
            "refuses: it takes signals without a lease only from its `dumb_networks`, "
            "and into class public while that is served and has no key"
        )
    if answers:
        return True, ", and on record there"
    if is_alert(signal):
        return False, "did not confirm it: is a server there?"
    return True, ""


async def _either(one: asyncio.Event, other: asyncio.Event, timeout_s: float) -> None:
    waits = {asyncio.create_task(event.wait()) for event in (one, other)}
    await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def run(argv: Sequence[str]) -> int:
    """Find servers, send, say who heard."""
    args = parser().parse_args(argv)
    signal = signal_of(args)
    classes = common.class_names(args.classes or ("public",))
    interfaces = args.interfaces or ()

    async def work(stop: asyncio.Event) -> int:
        if args.server:
            targets = [(args.server, args.port)]
        else:
            targets = await find(interfaces, classes, stop)
        if not targets:
            raise PeepError(
                f"no server of class {', '.join(classes)} answered within "
                f"{FIND_S:g} s; name one with -server HOST"
            )
        heard = 0
        for host, port in targets:
            took, word = await send(signal, (host, port), args.hold_s, stop)
            heard += took
            at = f"{host} port {port}"
            common.say(f"sent to {at}{word}" if took else f"{at} {word}")
        return 0 if heard else 1

    return common.run_until_stopped(work)
