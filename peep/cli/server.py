"""`peep server`."""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

from peep import paths
from peep.cli import common
from peep.clock import SystemClock
from peep.config.console import ConsoleSettings, read_console
from peep.config.settings import LEASE_RANGE_S
from peep.config.themes import load_theme
from peep.console.tokens import token_in
from peep.journal.database import hold
from peep.journal.writer import Limits
from peep.mixer.room import ROOMS
from peep.net.notify import SILENT, Notifier
from peep.protocol.door import ServerConfig
from peep.protocol.packets import ID_BYTES
from peep.protocol.profiles import PROFILES
from peep.server.app import ServerApp, ServerPlan
from peep.sound.live import Lasting, LiveEngine
from peep.sound.outputs import next_output
from peep.sound.supervised import Supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peep.config.settings import ServerSettings, Settings
    from peep.config.storage import JournalSettings
    from peep.protocol.keys import ClassKey

_EXAMPLES = """\
  peep server                              sound card, every private network
  peep server --output file:night.flac     no sound card needed
  peep server --interfaces lo --seconds 60 this machine only, a minute long
  peep server --classes web,db             hear only these agents
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "server", "Listen to agents and mix what they send into one sound.", _EXAMPLES
    )
    common.add_config(made)
    common.add_network(made)
    add_sound(made)
    made.add_argument(
        "-port", "--port", type=common.port, help="UDP port (default: 2001)"
    )
    made.add_argument(
        "--lease",
        type=_lease,
        metavar="S",
        help="lease in seconds, 10 to 300 (default: 30)",
    )
    made.add_argument("--mdns", action="store_true", help="be found by mDNS, too")
    made.add_argument(
        "--seconds", type=common.positive, metavar="N", help="stop after so long"
    )
    return made


def _lease(text: str) -> int:
    low, high = LEASE_RANGE_S
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number between {low} and {high}"
        )
    return int(text)


def _console(text: str) -> ConsoleSettings:
    found = read_console(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write HOST, HOST:PORT or off")
    return found


def add_sound(parser: argparse.ArgumentParser) -> None:
    """Add what `server` and `here` have in common."""
    parser.add_argument(
        "--output",
        metavar="WHERE",
        help="auto, device, device:NAME, file:PATH, stream or null (default: auto)",
    )
    parser.add_argument(
        "--theme", metavar="NAME", help="a theme's name, or a directory"
    )
    parser.add_argument(
        "--room",
        choices=sorted(ROOMS),
        help="where it is heard (default: room)",
    )
    parser.add_argument(
        "--console",
        type=_console,
        metavar="ADDRESS",
        help="where browsers may listen: HOST, HOST:PORT or off (default: 127.0.0.1)",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="print every cue, not alerts only"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="repeat the same choices of variants"
    )


def make(
    args: argparse.Namespace,
    settings: Settings,
    interfaces: Sequence[str],
    keys: tuple[ClassKey, ...],
    notifier: Notifier = SILENT,
    *,
    say: Callable[[str], None] = common.say,
    remember: bool = True,
) -> ServerApp:
    """Return the server that options and configuration ask for.

    Without `remember`, nobody who was here is missed by the next.
    """
    wanted, network = settings.server, settings.network
    # Not for secrets: which of a sound's variants plays, and jitter.
    rng = random.Random(args.seed)  # noqa: S311
    theme, directory = load_theme(args.theme or wanted.theme)
    profile = PROFILES[network.profile]
    config = ServerConfig(
        server_id=os.urandom(ID_BYTES),
        secret=os.urandom(32),
        classes=common.class_names(args.classes or wanted.classes),
        keys=keys,
        lease_s=args.lease or wanted.lease_s or profile.lease_s,
        dumb_networks=wanted.dumb_networks,
        profile=profile,
        policy=network.policy,
        subnets=network.subnets,
        mtu_bytes=network.mtu_bytes - common.HEADERS_BYTES,
    )
    journal = wanted.journal
    output = args.output or wanted.output
    console = wanted.console if args.console is None else args.console
    plan = ServerPlan(
        config=config,
        port=args.port or wanted.port,
        interfaces=tuple(interfaces),
        hops=network.multicast_ttl,
        seconds=args.seconds,
        host=common.host_name(),
        mdns=args.mdns or network.mdns,
        control=common.control_path("server"),
        verbose=args.verbose,
        journal=None if journal is None else _journal_path(journal.path),
        limits=Limits() if journal is None else _limits(journal),
        expect=wanted.expect,
        ephemeral=wanted.ephemeral,
        output=output,
        room=args.room or wanted.room,
        quiet=wanted.quiet,
        controls=None if journal is None else paths.state_dir() / "controls.json",
        console=console.address,
        token="" if console.address is None else token_in(paths.state_dir()),
        remember=remember,
    )
    if output == "stream" and console.address is None:
        say("--output stream without a console: nobody can hear it")
    clock = SystemClock()

    def engine(lasting: Lasting, restarts: int) -> LiveEngine:
        where = next_output(output, restarts)
        return LiveEngine(theme, directory, where, args.seed or 0, lasting=lasting)

    return ServerApp(
        plan,
        theme,
        Supervised(engine, clock),
        clock=clock,
        rng=rng,
        say=say,
        reread=_reread(args, wanted),
        notifier=notifier,
    )


def _journal_path(text: str) -> Path:
    return Path(text) if text else paths.state_dir() / "journal.db"


def journal_is_busy(wanted: ServerSettings) -> bool:
    """Say whether another server writes the journal that is asked for."""
    if wanted.journal is None:
        return False
    try:
        held = hold(_journal_path(wanted.journal.path))
    except OSError:
        return False  # what is wrong there is said by whoever opens it
    if held is not None:
        os.close(held)
    return held is None


def _limits(wanted: JournalSettings) -> Limits:
    return Limits(
        max_age_s=wanted.max_age_days * 86_400.0,
        max_bytes=wanted.max_mib * common.MIB,
    )


def _reread(
    args: argparse.Namespace, began: ServerSettings
) -> Callable[[], Sequence[str]]:
    """Return what SIGHUP loads: the classes; what else has changed is said."""

    def load() -> Sequence[str]:
        now = common.settings(args.config).server
        fields = (name for name in now.__struct_fields__ if name != "classes")
        changed = [f for f in fields if getattr(now, f) != getattr(began, f)]
        if changed:
            common.say(f"{', '.join(changed)}: taken up at the next start")
        return args.classes or now.classes

    return load


def run(argv: Sequence[str]) -> int:
    """Serve until stopped."""
    args = parser().parse_args(argv)
    settings = common.settings(args.config)
    interfaces = args.interfaces or settings.server.interfaces
    app = make(args, settings, interfaces, common.load_keys(), Notifier(os.environ))
    return common.show_summary(common.run_until_stopped(app.run))
