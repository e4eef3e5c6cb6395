"""`peep listen`."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

from peep.cli import common
from peep.clock import SystemClock
from peep.console.listening import Listening
from peep.sound.outputs import open_output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EXAMPLES = """\
  peep listen http://noc:2080/?token=...    the address that the server printed
  peep listen localhost
  peep listen noc --output file:shift.flac

When the sound stalls or the server is gone, an alarm sounds here within 5 s.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "listen", "Hear a server from afar; be alarmed when it is gone.", _EXAMPLES
    )
    made.add_argument("address", metavar="ADDRESS", help="http://HOST:2080/")
    made.add_argument(
        "--output",
        default="auto",
        metavar="WHERE",
        help="auto, device, device:NAME, file:PATH or null (default: auto)",
    )
    made.add_argument(
        "--seconds", type=common.positive, metavar="N", help="stop after so long"
    )
    return made


def _say(line: str) -> None:
    common.say(f"{time.strftime('%H:%M:%S')} {line}")


def _ring() -> None:
    """Ring the terminal's bell: the sound card may be missing, or the trouble."""
    if sys.stderr.isatty():
        print("\a", end="", file=sys.stderr, flush=True)


def run(argv: Sequence[str]) -> int:
    """Listen until stopped; exit code 1 if there was never any sound."""
    args = parser().parse_args(argv)
    output = open_output(args.output)
    if output.note is not None:
        common.say(output.note)
    listening = Listening(args.address, clock=SystemClock(), say=_say, ring=_ring)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: listening.stop())
    if args.seconds is not None:
        signal.signal(signal.SIGALRM, lambda *_: listening.stop())
        signal.setitimer(signal.ITIMER_REAL, args.seconds)
    output.run(listening)
    return int(not listening.heard)
