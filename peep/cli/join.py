"""`peep join`: enrol this host with one token.

The token is read from a prompt without echo, or from standard input: arguments show in
`ps` and stay in the shell's history.
"""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

from peep import paths
from peep.cli import asking, common
from peep.cli.key import keys_dir
from peep.config.joined import add_joined
from peep.config.keyring import load_keyring, write_key
from peep.errors import ConfigError, PeepError
from peep.net.control import ListClasses
from peep.net.locators import parse_locator
from peep.protocol.classes import class_problem, matches
from peep.protocol.keys import MAX_TOKEN_LENGTH, parse_token

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from peep.protocol.keys import ClassKey

_EXAMPLES = """\
  peep join                                  asks for the token, shows nothing of it
  peep key token web --locator peep://noc:2001 | ssh web1 peep join
  peep join --class web1.example.org         with a token for *.example.org
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "join",
        "Take a token (see peep key token): from its next start on, this host's agent "
        "speaks in the token's class, sealed with its key, to the server it names.",
        _EXAMPLES,
    )
    made.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="this host's class, where the token is for all classes of a domain",
    )
    return made


def run(argv: Sequence[str]) -> int:
    """Read the token, keep the key, write joined.yaml."""
    args, others = parser().parse_known_args(argv)
    if others:
        # Said without repeating it: it may be a token.
        problem = (
            "there is something on the command line that is no option of join; a token "
            "does not belong there, others can read it: run `peep join` and paste it"
        )
        raise ConfigError([problem])
    settings = common.settings(None)
    text, key = parse_token(_read_token())
    locator = str(parse_locator(text))
    class_name = _own_class(key, args.class_name)
    path = _keep(keys_dir(), key)
    joined = add_joined(paths.config_dir(), class_name, locator)
    common.say(f"key {key.key_id:08x} of class {key.class_name}: {path}")
    common.say(f"class {class_name}, server {locator}: {joined}")
    if settings.agent.server is not None:
        common.say(
            "but peep.yaml makes this agent a dumb client, which has no classes and no "
            "keys: take agent.server out of it"
        )
    elif old := _running_agents():
        common.say(f"restart what runs (agent {', '.join(old)}) to use it")
    else:
        common.say("`peep agent` uses it from its next start on")
    return 0


def _running_agents() -> list[str]:
    try:
        agents = asking.ask_each("agent", ListClasses(), dict)
    except PeepError:  # this host has joined, whatever is wrong with its sockets
        return []
    return [str(agent.pid) for agent in agents]


def _read_token() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read(2 * MAX_TOKEN_LENGTH).decode("ascii", "replace")
    try:
        return getpass.getpass("token (it is not shown): ")
    except EOFError:
        return ""


def _own_class(key: ClassKey, wanted: str | None) -> str:
    """Return the class that this host's agent is to hold."""
    pattern = key.class_name
    name = wanted or pattern
    problem = class_problem(name)
    if problem:
        raise ConfigError([f"class {name!r} {problem}"])
    if name.startswith("*."):
        problem = f"this token is for all classes {pattern}: say which, with --class"
        raise ConfigError([problem])
    if not matches(pattern, name):
        raise ConfigError([f"--class {name}: this token is for class {pattern}"])
    return name


def _keep(directory: Path, key: ClassKey) -> Path | str:
    """Write the key down, unless it is here already."""
    for known in load_keyring(directory, os.getuid()):
        if known.key_id != key.key_id:
            continue
        if (known.class_name, known.secret) == (key.class_name, key.secret):
            return "was here already"
        raise ConfigError(
            [f"class {known.class_name} has this key here, and a key serves one class"]
        )
    return write_key(directory, key)
