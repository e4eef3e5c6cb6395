"""What this host was enrolled for: joined.yaml, in the configuration directory.

`peep join` writes it, so that an operator's own file is never touched. It adds classes
and locators to those of the agent, in the words of peep.yaml, and says nothing else::

    agent:
      classes: [web.example.org]
      locators: ["peep://noc.example.org:2001"]

Keys are not in it: they lie beside it in `keys`, a file each.
"""

import os
from pathlib import Path

import msgspec
import yaml

from peep.config.document import load
from peep.config.problems import safe, shown
from peep.config.settings import Settings
from peep.errors import ConfigError
from peep.protocol.classes import NONE, class_problem

JOINED_FILE = "joined.yaml"
MAX_JOINED = 64  # classes that one packet names; no host needs as many locators

_HEAD = """\
# Written by `peep join`; it adds to what peep.yaml says of the agent.
# To leave a class, take its line out here, and its file out of keys/.
"""


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """What joined.yaml holds."""

    classes: tuple[str, ...] = ()
    locators: tuple[str, ...] = ()


def load_joined(directory: Path) -> Joined:
    """Read joined.yaml in a directory, if it is there; ConfigError names its faults."""
    path = directory / JOINED_FILE
    if not path.exists():
        return Joined()
    top = load(path)
    keys = top.section("agent")["agent"].section("classes", "locators")
    found: dict[str, tuple[str, ...]] = {}
    checks = {"classes": class_problem, "locators": _locator_problem}
    for key, check in checks.items():
        found[key] = keys[key].texts((), empty=True)
        for text in found[key]:
            problem = check(text)
            if problem:
                keys[key].problem(f"{shown(text)} {problem}")
        if len(found[key]) > MAX_JOINED:
            keys[key].problem(f"more than {MAX_JOINED}")
    top.problems.raise_if_any()
    return Joined(**found)


def add_joined(directory: Path, class_name: str, locator: str) -> Path:
    """Add a class and a locator to joined.yaml, at one stroke; return its path.

    ConfigError if the file is refused, full, or cannot be written.
    """
    before = load_joined(directory)
    path = directory / JOINED_FILE
    after = Joined(
        classes=tuple(dict.fromkeys((*before.classes, class_name))),
        locators=tuple(dict.fromkeys((*before.locators, locator))),
    )
    if max(len(after.classes), len(after.locators)) > MAX_JOINED:
        problem = f"{safe(str(path))}: more than {MAX_JOINED}: take an old one out"
        raise ConfigError([problem])
    text = yaml.safe_dump(
        {"agent": {"classes": [*after.classes], "locators": [*after.locators]}},
        sort_keys=False,
    )
    try:
        _replace(path, _HEAD + text)
    except OSError as problem:
        why = f"{safe(str(path))}: cannot be written: {problem.strerror}"
        raise ConfigError([why]) from None
    return path


def with_joined(settings: Settings, joined: Joined) -> Settings:
    """Return settings to which the agent's joined classes and locators are added.

    A host that holds `none`, and then joins a class, holds that class.
    """
    if not joined.classes and not joined.locators:
        return settings
    classes = dict.fromkeys((*settings.agent.classes, *joined.classes))
    if joined.classes:
        classes.pop(NONE, None)
    locators = dict.fromkeys((*settings.agent.locators, *joined.locators))
    agent = msgspec.structs.replace(
        settings.agent, classes=tuple(classes), locators=tuple(locators)
    )
    return msgspec.structs.replace(settings, agent=agent)


def _locator_problem(locator: str) -> str | None:
    # The rest of it is judged where it is used: finding servers is not for this layer.
    return None if locator.startswith("peep://") else "does not begin with peep://"


def _replace(path: Path, text: str) -> None:
    import tempfile  # noqa: PLC0415 - brings half a megabyte, and few write

    # A reader finds the old file or the new one, whatever happens in between.
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(handle, 0o644)
            file.flush()
            os.fsync(handle)
        Path(name).rename(path)
    except OSError:
        Path(name).unlink()
        raise
