"""`peep here`: what `./run` starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from peep import paths
from peep.cli import agent, common, server
from peep.lab.here import LOOPBACK, OnlyOne, here
from peep.protocol.keys import SECRET_BYTES, ClassKey

if TYPE_CHECKING:
    import argparse
    import asyncio
    from collections.abc import Sequence

    from peep.agent.app import AgentApp
    from peep.server.app import Summary

_EXAMPLES = """\
  ./run                                    until Ctrl-C, to the sound card
  ./run --seconds 20 --out first.flac      twenty seconds, as a file
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "here",
        "Hear this machine: a server and an agent that find each other on loopback.",
        _EXAMPLES,
    )
    common.add_config(made)
    made.add_argument(
        "--seconds", type=common.positive, metavar="N", help="stop after so long"
    )
    made.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the sound to a .flac, .wav or .ogg file, instead of playing it",
    )
    server.add_sound(made)
    return made


def run(argv: Sequence[str]) -> int:
    """Run server and agent until stopped."""
    args = parser().parse_args(argv)
    if args.out is not None:
        args.output = f"file:{args.out}"
    wanted = common.settings(args.config)
    # Nothing of this run leaves the machine, wherever the host is enrolled.
    alone = msgspec.structs.replace(wanted.agent, locators=(), srv=(), server=None)
    network = msgspec.structs.replace(wanted.network, mdns=False)
    wanted = msgspec.structs.replace(wanted, agent=alone, network=network)
    only = OnlyOne(paths.state_dir())
    if server.journal_is_busy(wanted.server):
        common.say("another server of yours writes the journal: this one keeps none")
        quiet = msgspec.structs.replace(wanted.server, journal=None)
        wanted = msgspec.structs.replace(wanted, server=quiet)
    args.port = args.lease = args.mdns = None
    # A class and a key for this run alone: lines and names travel sealed, even here.
    key = ClassKey(f"here-{os.urandom(4).hex()}", os.urandom(SECRET_BYTES))
    args.classes = (key.class_name, "public")
    serving = server.make(args, wanted, LOOPBACK, (key,), remember=False)
    agent_args = agent.parser().parse_args(["--classes", key.class_name])
    agent_args.config = args.config  # what SIGHUP reads again

    def make_agent() -> AgentApp:
        return agent.make(agent_args, wanted, LOOPBACK, (key,), is_guest=False)[0]

    async def work(stop: asyncio.Event) -> Summary:
        return await here(serving, make_agent, stop, common.say)

    try:
        return common.show_summary(common.run_until_stopped(work))
    finally:
        only.release()
