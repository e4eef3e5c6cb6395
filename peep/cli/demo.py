"""`peep demo`."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from peep.cli import common, server
from peep.clock import SystemClock
from peep.config.settings import Settings
from peep.config.themes import load_theme
from peep.lab.demo import Demo, Teller, minutes
from peep.lab.demo_agents import Agents, Home
from peep.lab.demo_script import LEASE_S, MAX_AGENTS, MINUTES, Plan
from peep.lab.here import LOOPBACK
from peep.protocol.keys import SECRET_BYTES, ClassKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peep.lab.demo_account import Account

_EXAMPLES = """\
  peep demo                                two minutes, to the sound card
  peep demo --out demo.flac                the same, as a file
  peep demo --agents 12 --minutes 10       more hosts, and more time for each scene
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "demo",
        "Hear a made-up network live through a calm, a fault and a storm: a real "
        "server and real agents, on loopback, told as it goes.",
        _EXAMPLES,
    )
    made.add_argument(
        "--agents",
        type=_agents,
        default=3,
        metavar="N",
        help=f"how many hosts, 1 to {MAX_AGENTS} (default: 3)",
    )
    made.add_argument(
        "--minutes",
        type=_minutes,
        default=2.0,
        metavar="M",
        help=f"how long, {MINUTES[0]:g} to {MINUTES[1]:g} (default: 2)",
    )
    made.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the sound to a .flac, .wav or .ogg file, instead of playing it",
    )
    made.add_argument("--json", action="store_true", help="print the account as JSON")
    server.add_sound(made)
    return made


def _agents(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_AGENTS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from 1 to {MAX_AGENTS}"
        )
    return int(text)


def _minutes(text: str) -> float:
    low, high = MINUTES
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number from {low:g} to {high:g}"
        )
    return value


def run(argv: Sequence[str]) -> int:
    """Play it, and say what came of it; 1 if something was not heard that should be."""
    args = parser().parse_args(argv)
    if args.out is not None:
        args.output = f"file:{args.out}"
    seed = 1 if args.seed is None else args.seed
    plan = Plan(agents=args.agents, minutes=args.minutes, seed=seed)
    with tempfile.TemporaryDirectory(prefix="peep-demo-") as top:
        came = _played(args, plan, Path(top))
    if args.json:
        print(json.dumps(msgspec.to_builtins(came), indent=2))
    else:
        _show(came)
    return int(not came.good)


def _played(args: argparse.Namespace, plan: Plan, top: Path) -> Account:
    # A class and a key for this run alone: nobody else can join, or listen in.
    key = ClassKey(f"demo-{os.urandom(4).hex()}", os.urandom(SECRET_BYTES))
    home = Home(top, key)
    # This process is the server, and keeps what it keeps there, too.
    os.environ.update(home.places("server"))
    clock = SystemClock()
    teller = Teller(clock, common.say)
    wanted = msgspec.structs.replace(Settings().server, dumb_networks=())
    args.config = args.port = args.mdns = args.seconds = None
    args.lease, args.classes = LEASE_S, (key.class_name,)
    settings = msgspec.structs.replace(Settings(), server=wanted)
    serving = server.make(args, settings, LOOPBACK, (key,), say=teller.heard)
    theme, _ = load_theme(args.theme or wanted.theme)
    agents = Agents(home, teller.announce)
    demo = Demo(plan, serving, home, agents, theme, clock, teller)
    return common.run_until_stopped(demo.run)


def _show(came: Account) -> None:
    print("stopped before its end" if came.interrupted else "that was all", end="; ")
    print(f"again: peep demo --seed {came.seed}")
    row = "{:<8}{:>6}{:>9}{:>7}{:>8}"
    print(row.format("scene", "from", "signals", "cues", "alerts"))
    for scene in came.scenes:
        cells = (scene.signals, scene.cues, scene.alerts)
        print(row.format(scene.name, minutes(scene.from_s), *cells))
    for alert in came.alerts:
        what = f"{minutes(alert.at_s):>5}  {alert.name} from {alert.host}"
        print(f"{what}: {alert.sound or f'NOT HEARD ({alert.unheard})'}")
    for what, found in (("lost", came.lost), ("back", came.back)):
        for agent in found:
            print(f"{minutes(agent.at_s):>5}  agent of {agent.host} {what}")
    if not came.interrupted:
        for missing in came.missing:
            print(f"never came: {missing}")
    common.show_summary(came.sound)
