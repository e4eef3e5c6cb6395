"""`peep agent`."""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING

import msgspec

from peep import paths
from peep.agent import privileges
from peep.agent.app import AgentApp, AgentPlan
from peep.agent.identity import Identity
from peep.agent.weight import settle
from peep.cli import common
from peep.cli.choosing import chosen, rules_note
from peep.cli.judging import ceilings, judging, renewal
from peep.clock import SystemClock
from peep.errors import ConfigError, PeepError
from peep.journal.store import Store
from peep.net.backends import Wanted
from peep.net.locators import parse_locator
from peep.net.notify import SILENT, Notifier
from peep.protocol.agent import AgentConfig
from peep.protocol.packets import SERVER_PORT
from peep.protocol.profiles import PROFILES

if TYPE_CHECKING:
    import argparse
    import asyncio
    from collections.abc import Sequence

    from peep.config.settings import Settings
    from peep.protocol.keys import ClassKey

NICE = 10  # as the shipped unit has it

_EXAMPLES = """\
  peep agent                                        look around, find servers, go
  peep agent --source tail:/var/log/auth.log --source system
  tail -f app.log | peep agent --source -           lines from standard input
  peep agent --once                                 what is new since the last time
  peep agent --check                                would it work? what would it do?
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
        help="rule packs by name or file, or all (default: those that apply to what "
        "this host has; all, where sources are named)",
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
        "--lag-max",
        type=common.mebibytes,
        metavar="MIB",
        help="skip to near the end of a log of which more is unread; 0 never skips "
        "(default: 64)",
    )
    made.add_argument(
        "--cpu-max",
        type=common.percent,
        metavar="PERCENT",
        help="take no more of one processor core; 0 is no ceiling (default: 10)",
    )
    made.add_argument(
        "--once",
        action="store_true",
        help="read what is there, send it, wait for receipts, and end: for cron",
    )
    made.add_argument(
        "--check",
        action="store_true",
        help="say what would be followed, by which rules, and whether a server "
        "answers; change nothing",
    )
    made.add_argument("--json", action="store_true", help="print the check as JSON")
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
    *,
    is_guest: bool = True,
) -> tuple[AgentApp, Identity]:
    """Return the agent that options and configuration ask for, and its identity.

    One that is no guest on its host has no ceilings: it shares its process.
    """
    wanted, network = settings.agent, settings.network
    if args.dumb and not args.server and wanted.server is None:
        raise ConfigError(["-noautodiscovery needs -server HOST"])
    if args.server and not args.dumb:
        raise ConfigError(["-server HOST is for dumb clients: add -noautodiscovery"])
    server = wanted.server
    if args.server:
        server = (args.server, args.port or SERVER_PORT)
    found = chosen(args, wanted)
    host = common.named_host(args.host) or wanted.host or common.host_name()
    rules, guard = judging(args, wanted, found.packs, host)
    identity = Identity(paths.state_dir())
    if args.once and identity.slot:
        identity.release()
        raise PeepError("another agent of this user is at work: nothing was read")
    cpu_max, memory_max_bytes = ceilings(args, wanted) if is_guest else (0.0, 0)
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
        sources=_from_start(found.sources) if args.once else found.sources,
        wanted=Wanted(
            locators=tuple(
                parse_locator(text) for text in args.locator or wanted.locators
            ),
            domains=tuple(args.srv or wanted.srv),
            mdns=args.mdns or network.mdns,
            interfaces=tuple(interfaces),
        ),
        control=common.control_path("agent"),
        # Once is not a race: what came since the last time is read.
        lag_max_bytes=0 if args.once else common.lag_max_bytes(args, wanted),
        cpu_max=cpu_max,
        memory_max_bytes=memory_max_bytes,
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
        rules,
        clock=SystemClock(),
        rng=rng,
        say=common.say,
        guard=guard,
        load=renewal(args, settings, host, is_guest=is_guest),
        notifier=notifier,
        store=store,
    )
    # Only now: where it cannot start at all, one line says why.
    for note in found.notes:
        common.say(note)
    if found.choices:
        common.say(rules_note(found, len(rules.rules)))
    return app, identity


def _from_start(specs: Sequence[object]) -> tuple[object, ...]:
    """Have logs that are new read from their beginning: once, there is no later."""
    # Loaded only where it is used.
    from peep.agent.sources.tail import TailSpec  # noqa: PLC0415

    return tuple(
        msgspec.structs.replace(spec, from_start=True)
        if isinstance(spec, TailSpec)
        else spec
        for spec in specs
    )


def _give_way() -> None:
    """Let everybody else on this host have the processor first."""
    with contextlib.suppress(OSError):  # where it is forbidden, a unit has done it
        if os.getpriority(os.PRIO_PROCESS, 0) < NICE:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)


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
    if args.check:
        # Loaded only where it is used.
        from peep.cli.agent_check import run_check  # noqa: PLC0415

        return run_check(args)
    if args.json:
        raise ConfigError(["--json goes with --check"])
    settings = common.settings(args.config)
    interfaces = args.interfaces or settings.agent.interfaces
    keys = common.load_keys()
    if args.user:
        _become(args.user)
    app, identity = make(args, settings, interfaces, keys, Notifier(os.environ))
    if ceilings(args, settings.agent)[0]:
        _give_way()
    settle()  # and give back what it took to read configuration and rules

    async def work(stop: asyncio.Event) -> bool:
        for what in app.following():
            common.say(f"{'reading' if args.once else 'following'} {what}")
        return await (app.run_once(stop) if args.once else app.run(stop))

    try:
        worked = common.run_until_stopped(work)
    finally:
        identity.release()
    counted = app.matching
    said = f"{counted.lines} lines read, {counted.matched} matched, {app.signals} "
    if args.once:
        said += f"signals sent, {app.confirmed} alerts confirmed"
    else:
        said += "signals"
    common.say(said)
    heard = not app.signals or app.heard()
    if not heard:
        common.say("no server heard any of it")
    if app.too_heavy:
        return 1
    return 0 if worked or (heard and not args.once) else 1
