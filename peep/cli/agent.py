"""`peep agent`."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from peep import paths
from peep.agent import privileges
from peep.agent.app import AgentApp, AgentPlan
from peep.agent.guarded import Guardian
from peep.agent.identity import Identity
from peep.agent.look import look_around
from peep.agent.sources import from_text
from peep.agent.sources.stdin import StdinSpec
from peep.cli import common
from peep.clock import SystemClock
from peep.config.rulepacks import load_rules, shipped_packs
from peep.errors import ConfigError
from peep.journal.store import Store
from peep.net.backends import Wanted
from peep.net.locators import parse_locator
from peep.net.notify import SILENT, Notifier
from peep.protocol.agent import AgentConfig
from peep.protocol.packets import SERVER_PORT
from peep.protocol.profiles import PROFILES
from peep.rules import RuleSet, select

if TYPE_CHECKING:
    import argparse
    import asyncio
    from collections.abc import Callable, Sequence

    from peep.config.settings import Settings
    from peep.protocol.keys import ClassKey
    from peep.rules import Rule

_EXAMPLES = """\
  peep agent                                        look around, find servers, go
  peep agent --source tail:/var/log/auth.log --source system
  tail -f app.log | peep agent --source -           lines from standard input
  peep agent -noautodiscovery -server noc -port 2001   straight to one server
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "agent",
        "Follow logs and the system; be heard by every server that shares a class.",
        _EXAMPLES,
    )
    common.add_config(made)
    common.add_network(made)
    made.add_argument(
        "--source",
        action="append",
        metavar="KIND[:VALUE]",
        help="tail:FILE, journald, syslog:PORT, system, ping:TARGET, command:PROGRAM, "
        "or - for standard input; may be given many times "
        "(default: what this host has)",
    )
    made.add_argument(
        "--rules",
        type=common.words,
        metavar="A,B",
        help="rule packs by name or file (default: all that are shipped)",
    )
    made.add_argument(
        "--groups", type=common.words, metavar="A,B", help="only rules of these groups"
    )
    made.add_argument(
        "--exclude", type=common.words, metavar="A,B", help="no rules of these groups"
    )
    made.add_argument(
        "--locator",
        action="append",
        metavar="peep://HOST",
        help="ask this server for ever, wherever it is; may be given many times",
    )
    made.add_argument(
        "--srv",
        action="append",
        metavar="DOMAIN",
        help="ask the servers that the domain's DNS names (SRV _peep._udp)",
    )
    made.add_argument(
        "--mdns", action="store_true", help="look for servers by mDNS, too"
    )
    made.add_argument("--host", metavar="NAME", help="be called so (default: hostname)")
    made.add_argument(
        "-noautodiscovery",
        "--noautodiscovery",
        "--no-autodiscovery",
        dest="dumb",
        action="store_true",
        help="be a dumb client: no discovery, no lease; needs -server",
    )
    made.add_argument(
        "-server", "--server", metavar="HOST", help="where a dumb client sends to"
    )
    made.add_argument(
        "-port", "--port", type=common.port, help=f"its port (default: {SERVER_PORT})"
    )
    made.add_argument(
        "--user",
        metavar="NAME",
        help="started by root: work as this user, who may read what the groups adm and "
        "systemd-journal may",
    )
    return made


def make(
    args: argparse.Namespace,
    settings: Settings,
    interfaces: Sequence[str],
    keys: tuple[ClassKey, ...],
    notifier: Notifier = SILENT,
) -> tuple[AgentApp, Identity]:
    """Return the agent that options and configuration ask for, and its identity."""
    wanted, network = settings.agent, settings.network
    if args.dumb and not args.server and wanted.server is None:
        raise ConfigError(["-noautodiscovery needs -server HOST"])
    if args.server and not args.dumb:
        raise ConfigError(["-server HOST is for dumb clients: add -noautodiscovery"])
    server = wanted.server
    if args.server:
        server = (args.server, args.port or SERVER_PORT)
    specs = wanted.sources
    if args.source:
        specs = tuple(from_text(text) for text in args.source)
        if sum(isinstance(spec, StdinSpec) for spec in specs) > 1:
            raise ConfigError(["--source -: standard input can be read only once"])
    elif not specs:
        specs = tuple(look_around())
    rules = load_rules(args.rules or wanted.rules or shipped_packs())
    host = args.host or wanted.host or common.host_name()
    rules = select(
        rules,
        args.groups or wanted.groups,
        args.exclude or wanted.exclude,
        host=host,
    )
    identity = Identity(paths.state_dir())
    config = AgentConfig(
        agent_id=identity.agent_id,
        host=host,
        classes=common.class_names(args.classes or wanted.classes),
        keys=keys,
        profile=PROFILES[network.profile],
        policy=network.policy,
        subnets=network.subnets,
        mtu_bytes=network.mtu_bytes - common.HEADERS_BYTES,
    )
    plan = AgentPlan(
        config=config,
        interfaces=tuple(interfaces),
        hops=network.multicast_ttl,
        server=server,
        sources=specs,
        wanted=Wanted(
            locators=tuple(
                parse_locator(text) for text in args.locator or wanted.locators
            ),
            domains=tuple(args.srv or wanted.srv),
            mdns=args.mdns or network.mdns,
            interfaces=tuple(interfaces),
        ),
        control=common.control_path("agent"),
    )
    spool = wanted.spool
    store = None
    if identity.store is None:
        common.say(
            f"cannot keep anything in {paths.state_dir()}: alerts, and how far logs "
            "were read, are in memory only"
        )
    else:
        store = Store(
            identity.store,
            say=common.say,
            max_alerts=spool.max_alerts,
            max_bytes=spool.max_mib * common.MIB,
        )
    # Not for secrets: jitter, and nonces that an open session needs no better.
    rng = random.Random()  # noqa: S311
    app = AgentApp(
        plan,
        RuleSet(
            rules,
            redactor=wanted.redact.redactor() if wanted.redact else None,
            guard=guard_of(rules),
        ),
        clock=SystemClock(),
        rng=rng,
        say=common.say,
        reread=_reread(args),
        notifier=notifier,
        store=store,
    )
    return app, identity


def guard_of(rules: Sequence[Rule]) -> Guardian | None:
    """Return what rules with `engine: re` need; its child ends with this process."""
    if all(rule.engine != "re" for rule in rules):
        return None
    return Guardian(rules, SystemClock(), common.say)


def _reread(args: argparse.Namespace) -> Callable[[], Sequence[str]] | None:
    """Return what SIGHUP loads; nothing, where the command line says the classes."""
    if args.classes:
        return None
    return lambda: common.settings(args.config).agent.classes


def _become(user: str) -> None:
    """Work as another user, in root's directories: configuration and keys are there."""
    places = {
        "CONFIGURATION_DIRECTORY": paths.config_dir(),
        "STATE_DIRECTORY": paths.state_dir(),
        "RUNTIME_DIRECTORY": paths.runtime_dir(),
    }
    privileges.drop(user, (paths.state_dir(), paths.runtime_dir()))
    os.environ.update({name: str(path) for name, path in places.items()})


def run(argv: Sequence[str]) -> int:
    """Work until stopped, or until every source has ended."""
    args = parser().parse_args(argv)
    settings = common.settings(args.config)
    interfaces = args.interfaces or settings.agent.interfaces
    keys = common.load_keys()
    if args.user:
        _become(args.user)
    app, identity = make(args, settings, interfaces, keys, Notifier(os.environ))

    async def work(stop: asyncio.Event) -> bool:
        for what in app.following():
            common.say(f"following {what}")
        return await app.run(stop)

    try:
        stopped = common.run_until_stopped(work)
    finally:
        identity.release()
    counted = app.matching
    common.say(
        f"{counted.lines} lines read, {counted.matched} matched, {app.signals} signals"
    )
    if app.signals and not app.heard():
        common.say("no server heard any of it")
        return 0 if stopped else 1
    return 0
