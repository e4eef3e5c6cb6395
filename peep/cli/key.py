"""`peep key`: make the keys of sealed classes, and hand them out.

A key is never an argument, never in a log, and shown only by `key token`, whose
purpose that is.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from typing import TYPE_CHECKING

from peep import paths
from peep.cli import common
from peep.clock import SystemClock
from peep.config.keyring import load_keyring, write_key
from peep.errors import ConfigError, PeepError
from peep.net.locators import parse_locator
from peep.protocol.classes import NONE, class_problem
from peep.protocol.keys import SECRET_BYTES, ClassKey, make_token

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

_EXAMPLES = """\
  peep key new web.example.org               on the server: seal this class
  peep key list
  peep key token web.example.org --locator peep://noc:2001 | ssh web1 peep join

A class with a key is sealed: it is never spoken of openly again. To change a key
without a gap, make a new one, let every host join with it, delete the old file.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "key", "Make the key of a sealed class, and tokens for other hosts.", _EXAMPLES
    )
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    new = verbs.add_parser("new", help="make a key for a class")
    new.add_argument("class_name", metavar="CLASS")
    new.add_argument(
        "--comment",
        metavar="TEXT",
        help="words that stand beside the key (default: where and when it was made)",
    )
    listing = verbs.add_parser("list", help="say which keys this host has")
    listing.add_argument("--json", action="store_true", help="one JSON list")
    token = verbs.add_parser(
        "token",
        help="print what `peep join` takes on another host",
    )
    token.add_argument("class_name", metavar="CLASS")
    token.add_argument(
        "--locator",
        required=True,
        metavar="peep://HOST[:PORT]",
        help="where that host finds the server",
    )
    return made


def keys_dir() -> Path:
    """Return where this user's keys lie."""
    return paths.config_dir() / "keys"


def run(argv: Sequence[str]) -> int:
    """Do one of the three."""
    args = parser().parse_args(argv)
    directory = keys_dir()
    if args.verb == "new":
        _new(directory, args.class_name, args.comment)
    elif args.verb == "list":
        _list(directory, as_json=args.json)
    else:
        _token(directory, args.class_name, args.locator)
    return 0


def _new(directory: Path, class_name: str, comment: str | None) -> None:
    problem = class_problem(class_name)
    if problem:
        raise ConfigError([f"class {class_name!r} {problem}"])
    if class_name == NONE:
        raise ConfigError(["class none speaks to nobody, so it needs no key"])
    if comment is None:
        day = time.strftime("%Y-%m-%d", time.gmtime(SystemClock().wall()))
        comment = f"made on {common.host_name()}, {day}"[:200]
    key = ClassKey(class_name, secrets.token_bytes(SECRET_BYTES), comment.strip())
    load_keyring(directory, os.getuid())  # what is there must be in order
    path = write_key(directory, key)
    print(path)
    common.say(f"key {key.key_id:08x} seals class {class_name} from the next start on")
    common.say("a server serves it where peep.yaml has it in server.classes")
    common.say(f"for other hosts: peep key token {class_name} --locator peep://HOST")


def _list(directory: Path, *, as_json: bool) -> None:
    keys = load_keyring(directory, os.getuid())
    if as_json:
        rows = [
            {"class": k.class_name, "key_id": f"{k.key_id:08x}", "comment": k.comment}
            for k in keys
        ]
        print(json.dumps(rows))
        return
    if not keys:
        common.say(f"no keys in {directory}: every class is open")
    for key in keys:
        print(f"{key.class_name:<28} {key.key_id:08x}  {key.comment}".rstrip())


def _token(directory: Path, class_name: str, locator: str) -> None:
    try:
        where = parse_locator(locator)
    except PeepError as problem:
        raise ConfigError([f"--locator: {problem}"]) from None
    keys = load_keyring(directory, os.getuid())
    newest = next((key for key in keys if key.class_name == class_name), None)
    if newest is None:
        raise PeepError(
            f"no key for class {class_name!r} in {directory}: "
            "peep key list says what there is, peep key new makes one"
        )
    print(make_token(str(where), newest))
    common.say(
        f"whoever has this token can speak and listen in class {class_name}: "
        "paste it into `peep join`, keep it nowhere"
    )
