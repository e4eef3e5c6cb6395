"""`peep agent --check`: looks at everything, changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from peep import paths
from peep.agent import check, privileges
from peep.agent.check import Finding, Level, size
from peep.cli import common
from peep.cli.asking import meant
from peep.cli.choosing import chosen
from peep.cli.judging import ceilings, judging
from peep.clock import SystemClock
from peep.errors import PeepError
from peep.journal.store import read_marks
from peep.net.discovery import Discovery, DiscoveryListener, Server
from peep.net.hail import hail
from peep.protocol.classes import NONE
from peep.protocol.packets import SERVER_PORT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from peep.cli.choosing import Chosen
    from peep.config.settings import AgentSettings, Settings
    from peep.protocol.keys import ClassKey

WAIT_S = 3.0  # for servers; whoever answers has mostly done so after one
LINGER_S = 0.3  # after all classes were found: there may be more servers
_MARKS = {"ok": "ok", "note": "note", "bad": "BAD"}
_WHAT_WIDTH = 40


def run_check(args: argparse.Namespace) -> int:
    """Print what would work and what would not; exit code 1 if something would not."""
    settings = common.settings(args.config)
    keys = common.load_keys()
    state = check.state(paths.state_dir())
    if args.user:
        places = paths.config_dir(), paths.state_dir(), paths.runtime_dir()
        privileges.drop(args.user, ())
        names = "CONFIGURATION_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"
        os.environ.update(zip(names, map(str, places), strict=True))
    findings = [*_all(args, settings, keys, state)]
    bad = [found for found in findings if found.level == "bad"]
    if args.json:
        rows = [found._asdict() for found in findings]
        print(json.dumps({"ok": not bad, "findings": rows}, indent=2))
    else:
        for found in findings:
            _show(found)
        print(f"{len(bad)} of this would not work" if bad else "all well")
    return 1 if bad else 0


def _show(found: Finding) -> None:
    row = f"{_MARKS[found.level]:<5}{found.topic:<10}{found.what:<{_WHAT_WIDTH}} "
    print((row + found.says).rstrip())
    if found.mend:
        print(f"{'':<15}-> {found.mend}")


def _all(
    args: argparse.Namespace,
    settings: Settings,
    keys: Sequence[ClassKey],
    state: Finding,
) -> Iterator[Finding]:
    wanted = settings.agent
    names = common.class_names(args.classes or wanted.classes)
    # First what may refuse the configuration: that has an exit code of its own.
    found = chosen(args, wanted)
    host = common.named_host(args.host) or wanted.host or common.host_name()
    rules, guard = judging(args, wanted, found.packs, host)
    if guard is not None:
        guard.close()
    path = args.config or paths.config_dir() / "peep.yaml"
    there = path.exists()
    yield Finding("config", "ok", str(path), "read" if there else "not there: defaults")
    yield Finding("host", "ok", host, "is what servers call it")
    yield from _running()
    yield from check.classes(names, [(key.class_name, key.key_id) for key in keys])
    yield from _packs(found, Counter(group for r in rules.rules for group in r.groups))
    yield Finding("rules", "ok", f"{len(rules.rules)} rules", "compile")
    yield _redaction(wanted)
    yield from _sources(args, wanted, found)
    yield from _ceilings(args, wanted)
    yield state
    yield from _servers(args, settings, names)


def _running() -> Iterator[Finding]:
    try:
        agents = meant("agent")
    except PeepError as problem:
        yield Finding("running", "note", "control", str(problem))
        return
    for one in agents:
        if not Path(f"/proc/{one.pid}").exists():  # what it left behind
            continue
        says = "runs already: another would be a second one, with marks of its own"
        yield Finding("running", "note", f"agent {one.pid}", says)


def _packs(found: Chosen, counts: Counter[str]) -> Iterator[Finding]:
    if not found.choices:
        yield Finding("packs", "ok", ", ".join(found.packs), "as was said")
    left = [choice.pack for choice in found.choices if not choice.why]
    for pack, why in found.choices:
        if why:
            yield Finding("pack", "ok", pack, f"{counts[pack]} rules: {why}")
    if left:
        says = f"{', '.join(left)}: nothing here tells of them; --rules all takes them"
        yield Finding("packs", "note", "not taken", says)


def _redaction(wanted: AgentSettings) -> Finding:
    redact = wanted.redact
    if redact is None:
        says = "off: passwords and tokens go to servers of sealed classes"
        return Finding("redaction", "note", "agent.redact", says)
    says = "secrets are cut out of lines"
    if redact.patterns:
        says += f", with {len(redact.patterns)} patterns of your own"
    if redact.keep:
        says += f"; left are: {', '.join(redact.keep)}"
    return Finding("redaction", "ok", "agent.redact", says)


def _sources(
    args: argparse.Namespace, wanted: AgentSettings, found: Chosen
) -> Iterator[Finding]:
    try:
        marks = read_marks(paths.state_dir() / "agent-0.db")
    except PeepError as problem:
        marks = []
        if paths.state_dir().joinpath("agent-0.db").exists():
            yield Finding("marks", "note", "agent-0.db", str(problem))
    for note in found.notes:
        yield Finding("source", "note", "not followed", note)
    for spec in found.sources:
        yield from check.source(
            spec, SystemClock(), marks, common.lag_max_bytes(args, wanted)
        )


def _ceilings(args: argparse.Namespace, wanted: AgentSettings) -> Iterator[Finding]:
    cpu_max, memory_max_bytes = ceilings(args, wanted)
    lag_bytes = common.lag_max_bytes(args, wanted)
    spool = wanted.spool
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for what, says in (
        ("cpu_max", f"{cpu_max:g} % of one core" if cpu_max else "none"),
        ("memory_max", size(memory_max_bytes) if memory_max_bytes else "none"),
        ("lag_max", f"{size(lag_bytes)} of one log" if lag_bytes else "none"),
        ("spool", f"{spool.max_alerts} alerts, {spool.max_mib} MiB"),
        ("open files", "no limit" if most == resource.RLIM_INFINITY else f"{most}"),
    ):
        yield Finding("ceiling", "ok", what, says)


def _servers(
    args: argparse.Namespace, settings: Settings, names: Sequence[str]
) -> Iterator[Finding]:
    wanted = settings.agent
    server = (args.server, args.port or SERVER_PORT) if args.server else wanted.server
    if server is not None:
        yield _dumb(*server)
        return
    names = [name for name in names if name != NONE]
    if not names:
        yield Finding("server", "note", NONE, "this class speaks to nobody")
        return
    mend = "start peep server there; peep discover looks for longer, and elsewhere"
    try:
        found = asyncio.run(_discovered(args, settings, names))
    except PeepError as problem:
        yield Finding("server", "bad", "discovery", str(problem), "mend the network")
        return
    for one in found:
        says = f"answers, serves {', '.join(one.classes)}"
        yield Finding("server", "ok", f"{one.address[0]} port {one.address[1]}", says)
    missing = [n for n in names if not any(n in one.classes for one in found)]
    level: Level = "note" if found else "bad"
    for name in missing:
        yield Finding("server", level, f"class {name}", "nobody answers", mend)


def _dumb(host: str, port: int) -> Finding:
    what = f"{host} port {port}"
    try:
        served = hail(host, port, ("public",), WAIT_S)
    except PeepError as problem:
        why = str(problem).removeprefix(f"{what}: ")
        return Finding(
            "server",
            "bad",
            what,
            why,
            "is peep server up there, and this its name and port?",
        )
    if served:
        return Finding("server", "ok", what, "answers, serves public")
    says = "no answer: a dumb client learns nothing of what it sends"
    return Finding("server", "note", what, says, "look there whether it comes: -v")


async def _discovered(
    args: argparse.Namespace, settings: Settings, names: Sequence[str]
) -> tuple[Server, ...]:
    wanted = settings.agent
    enough = _Enough(names)
    async with Discovery(
        names,
        interfaces=args.interfaces or wanted.interfaces,
        locators=args.locator or wanted.locators,
        domains=args.srv or wanted.srv,
        mdns=args.mdns or settings.network.mdns,
        listeners=[enough],
    ) as discovery:
        try:
            await asyncio.wait_for(enough.found.wait(), WAIT_S)
            await asyncio.sleep(LINGER_S)
        except TimeoutError:
            pass
        return discovery.servers


class _Enough(DiscoveryListener):
    """Knows when every class was found."""

    def __init__(self, names: Sequence[str]) -> None:
        self._missing = set(names)
        self.found = asyncio.Event()

    def discovered(self, server: Server) -> None:
        """Strike the server's classes off."""
        self._missing.difference_update(server.classes)
        if not self._missing:
            self.found.set()

    changed = discovered
