"""What several commands share: options, settings, the loop with its signals."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from peep import paths
from peep.agent.sources import CHECKS
from peep.config.joined import load_joined, with_joined
from peep.config.keyring import load_keyring
from peep.config.problems import safe
from peep.config.settings import MAX_LAG_MIB, Settings, load_settings
from peep.errors import ConfigError
from peep.net.control import MAX_HOST_LENGTH, socket_path
from peep.protocol.classes import NONE, class_problem
from peep.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from peep.config.settings import AgentSettings
    from peep.protocol.keys import ClassKey
    from peep.server.app import Summary

T = TypeVar("T")

MIB = 1024 * 1024
HEADERS_BYTES = 48  # IPv6 and UDP
USUAL_COLUMNS = 80


class _Help(argparse.RawDescriptionHelpFormatter):
    """Asks for the terminal's width itself: for that alone argparse loads shutil.

    Which brings half a megabyte, for every option that is declared.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class _Parser(argparse.ArgumentParser):
    """Says in a line what is wrong, and which option may have been meant.

    Its verbs are parsed by the same class, so they are as strict.
    """

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(**given, formatter_class=_Help, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit with 2."""
        named, _, rest = message.partition(": ")
        if named == "unrecognized arguments":
            # Loaded only where it is used.
            import difflib  # noqa: PLC0415

            given = [w.partition("=")[0] for w in rest.split() if w.startswith("-")]
            known = _options(self)
            near = [difflib.get_close_matches(w, known, 1) for w in given]
            meant = dict.fromkeys(found[0] for found in near if found)
            if meant:
                message += f" (did you mean {', '.join(meant)}?)"
        self.exit(2, f"{safe(f'{self.prog}: {message}')}; see {self.prog} --help\n")


def _columns() -> int:
    """Return how wide the terminal is; $COLUMNS, if it says so."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(1).columns or USUAL_COLUMNS
    except OSError:  # no terminal
        return USUAL_COLUMNS


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options of a parser, and of its verbs."""
    found: list[str] = []
    for action in parser._actions:  # noqa: SLF001 - there is no other way to ask
        found += action.option_strings
        if isinstance(action.choices, Mapping):
            for verb in action.choices.values():
                found += _options(verb)
    return found


def new_parser(command: str, about: str, examples: str) -> argparse.ArgumentParser:
    """Return a parser whose help teaches by example."""
    return _Parser(
        prog=f"peep {command}",
        description=about,
        epilog=f"examples:\n{examples}",
    )


def after(verb: str, argv: Sequence[str]) -> list[str]:
    """Return what follows a command's only verb; without the verb, ask for help."""
    if argv and argv[0] == verb:
        return list(argv[1:])
    if argv and argv[0] in ("-h", "--help"):
        return ["--help"]
    raise ConfigError([f"say `{verb}`, or --help"])


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration (default: peep.yaml in "
        f"{paths.config_dir()}, if it is there)",
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add --interfaces and --classes."""
    parser.add_argument(
        "--interfaces",
        type=words,
        metavar="A,B",
        help="speak on these only (default: loopback and private networks)",
    )
    parser.add_argument(
        "--classes",
        type=words,
        metavar="A,B",
        help="find each other by these names (default: public)",
    )


def words(text: str) -> tuple[str, ...]:
    """Split an option's words at commas."""
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found:
        raise argparse.ArgumentTypeError("names nothing")
    return found


def port(text: str) -> int:
    """Read a UDP port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:  # noqa: PLR2004 - ports
        raise argparse.ArgumentTypeError(f"{text!r} is no port (1 to 65535)")
    return int(text)


def mebibytes(text: str) -> int:
    """Read a whole number of MiB, or 0."""
    if not text.isdecimal() or int(text) > MAX_LAG_MIB:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of MiB")
    return int(text)


def percent(text: str) -> float:
    """Read a share of a whole, 0 to 100."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:  # noqa: PLR2004 - percent
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 100")
    return value


def positive(text: str) -> float:
    """Read a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def settings(path: Path | None) -> Settings:
    """Load the named configuration, or the default one if it is there.

    What this host was enrolled for (`peep join`) is added to it.
    """
    directory = paths.config_dir()
    default = directory / "peep.yaml"
    found = Settings()
    if path is not None or default.exists():
        found = load_settings(path or default, CHECKS)
    return with_joined(found, load_joined(directory))


def control_path(kind: str) -> Path:
    """Return where this process can be asked."""
    return socket_path(paths.runtime_dir(), kind, os.getpid())


def load_keys() -> tuple[ClassKey, ...]:
    """Return the keys of this user, or those that a service manager handed over.

    ConfigError if one of them is not safe.
    """
    handed = paths.credentials_dir()
    if handed is not None:
        return load_keyring(handed, os.getuid(), guarded=True)
    return load_keyring(paths.config_dir() / "keys", os.getuid())


def lag_max_bytes(args: argparse.Namespace, wanted: AgentSettings) -> int:
    """Return how much of one log may be unread; what is read once is read whole."""
    if args.lag_max is not None:
        return int(args.lag_max) * MIB
    return 0 if args.once else wanted.lag_max * MIB


def class_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return class names that the wire can carry, or refuse them all at once."""
    bad = [f"--classes: {n!r} {why}" for n in names if (why := class_problem(n))]
    if NONE in names and len(names) > 1:
        bad.append(f"--classes: {NONE} stands alone: who is in it speaks to nobody")
    if bad:
        raise ConfigError(bad)
    return names


def named_host(name: str | None) -> str | None:
    """Return a host's name as given, if the wire can carry it; else ConfigError."""
    if name and not (name.isascii() and name.isprintable() and " " not in name):
        raise ConfigError([f"--host {safe(name)}: ASCII without spaces, please"])
    if name and len(name) > MAX_HOST_LENGTH:
        raise ConfigError([f"--host: at most {MAX_HOST_LENGTH} characters, please"])
    return name


def host_name() -> str:
    """Return what this host is called, as far as the wire can carry it."""
    name = socket.gethostname().encode("ascii", "ignore").decode()
    return "".join(c for c in name if c.isprintable() and c != " ")[:253] or "unnamed"


def say(line: str) -> None:
    """Tell the operator something, now, apart from a command's results.

    Names of files and what other programs said are in it: it is made safe to print.
    """
    with contextlib.suppress(OSError):  # a closed pipe, a terminal that is gone
        print(safe(line), file=sys.stderr, flush=True)


def run_until_stopped(
    work: Callable[[asyncio.Event], Coroutine[None, None, T]],
) -> T:
    """Run `work(stop)`; Ctrl-C, SIGTERM and a closed terminal set `stop`."""

    async def body() -> T:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        return await work(stop)

    return asyncio.run(body())


def show_summary(summary: Summary) -> int:
    """Print what became of everything; return the exit code."""
    left_out = ", ".join(f"{n} {why}" for why, n in summary.suppressions.items())
    print(
        f"{summary.seconds:.1f} s of sound. Signals in: {summary.signals}; "
        f"cues: {summary.cues}; "
        f"suppressed: {sum(summary.suppressions.values())}"
        + (f" ({left_out})" if left_out else "")
    )
    # Somebody else's class is not refused, it is none of our business.
    dropped = {k: n for k, n in summary.dropped.items() if k != Reason.NO_SHARED_CLASS}
    if dropped:
        refused = ", ".join(f"{n} {why}" for why, n in dropped.items())
        print(f"Datagrams refused: {refused}")
    if summary.missed:
        hosts = ", ".join(f"{n} from {host}" for host, n in _worst(summary.missed))
        print(f"Datagrams that never came: {sum(summary.missed.values())} ({hosts})")
    if summary.repeated:
        print(f"Alerts that came again and were known: {summary.repeated}")
    if summary.unrecorded:
        print(f"Signals that the journal could not take: {summary.unrecorded}")
    if summary.integrated_lufs is not None:
        print(
            f"Loudness: {summary.integrated_lufs} LUFS integrated, "
            f"true peak {summary.true_peak_dbtp} dBTP"
        )
    else:
        print("Loudness: nothing sounded")
    return 1 if summary.failure else 0


def _worst(missed: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the hosts that missed most, the worst first."""
    ranked = sorted(missed.items(), key=lambda item: (-item[1], item[0]))
    return ranked[:5]
