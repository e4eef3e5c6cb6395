"""`peep here`: what `./run` starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from peep import paths
from peep.cli import agent, common, server
from peep.lab.here import LOOPBACK, OnlyOne, here

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
    only = OnlyOne(paths.state_dir())
    for name in ("classes", "port", "lease"):
        setattr(args, name, None)
    serving = server.make(args, wanted.server, LOOPBACK)
    agent_args = agent.parser().parse_args([])

    def make_agent() -> AgentApp:
        return agent.make(agent_args, wanted.agent, LOOPBACK)[0]

    async def work(stop: asyncio.Event) -> Summary:
        return await here(serving, make_agent, stop, common.say)

    try:
        return common.show_summary(common.run_until_stopped(work))
    finally:
        only.release()
