"""`peep devices`: the sound cards that a server could play on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from peep.cli import common

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EXAMPLES = """\
  peep devices
  peep server --output device:USB          the first whose name has USB in it
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "devices", "List the sound cards that a server could play on.", _EXAMPLES
    )
    made.add_argument("--json", action="store_true", help="one JSON list")
    return made


def run(argv: Sequence[str]) -> int:
    """Look; exit code 1 if there is none."""
    args = parser().parse_args(argv)
    # Loaded only here: it looks for sound servers.
    from peep.sound.device import card_names  # noqa: PLC0415

    names = card_names()
    if args.json:
        print(json.dumps([{"name": name} for name in names]))
    else:
        for name in names:
            print(name)
    if not names:
        common.say(
            "peep: no sound card here; hear it in a browser (the address that the "
            "server prints), or write a file (--output file:night.flac)"
        )
    return int(not names)
