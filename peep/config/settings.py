"""peep.yaml: what one host's server and agent are asked to be.

Every key is optional, and what is omitted has the value that the structs below name.
Sources check their own options: the caller hands in a checker for each kind (see
`Node.kind` for the ways to write one), and what it returns is kept as it is.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path

import msgspec

from peep.config.console import ConsoleSettings, read_console
from peep.config.document import Node, load
from peep.config.network import (
    NetworkSettings,
    class_names,
    network_settings,
    networks,
)
from peep.config.problems import hint, shown
from peep.config.quiet import QuietSpan
from peep.config.redacting import RedactSettings, redact_settings
from peep.config.rulepacks import ALL, shipped_packs
from peep.config.storage import (
    JournalSettings,
    SpoolSettings,
    journal_settings,
    spool_settings,
)
from peep.config.themes import theme_names
from peep.mixer.room import ROOMS
from peep.protocol.policy import Network

DEFAULT_PORT = 2001
LEASE_RANGE_S = (10, 300)  # below, beats are traffic; above, the dead sound alive
MAX_LAG_MIB = 100_000  # of one log; who has more, wants no bound
LEAST_MEMORY_MIB = 64  # below, an agent with all rules would end again and again
MAX_MEMORY_MIB = 64 * 1024
MAX_QUIET_SPANS = 16  # of a day
MAX_SOURCES = 4096  # thousands of files are followed by globs; this is by hand
MAX_HOSTS = 4096  # that are expected, or patterns of ephemeral ones; a quarter of all
# Loopback and the networks that are private by RFC 1918 and RFC 4193, and link-local.
PRIVATE_NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
_MAX_HOST_LENGTH = 253  # as DNS has it
_OUTPUTS = ("auto", "device", "stream", "null")
_NAMED_OUTPUTS = ("device:", "file:")

Checker = Callable[[Node], object]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is asked to be.

    Without `port` it takes 2001, or a free one where that is busy; without `lease_s`,
    what the profile has. `output` is auto, device, device:NAME, stream, null or
    file:PATH. Without `interfaces`, loopback and those with private addresses are
    served. Classic (dumb) clients are heard from `dumb_networks` only. Hosts in
    `expect` must be there; those that an `ephemeral` pattern (* is any text) means come
    and go. `journal` None keeps none.
    In `quiet` spans of the day the bed and what is routine rest.
    """

    port: int | None = None
    interfaces: tuple[str, ...] = ()
    classes: tuple[str, ...] = ("public",)
    theme: str = "wetland"
    output: str = "auto"
    lease_s: int | None = None
    dumb_networks: tuple[Network, ...] = tuple(map(ip_network, PRIVATE_NETWORKS))
    expect: tuple[str, ...] = ()
    ephemeral: tuple[str, ...] = ()
    journal: JournalSettings | None = JournalSettings()
    room: str = "room"
    quiet: tuple[QuietSpan, ...] = ()
    console: ConsoleSettings = ConsoleSettings()


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is asked to be.

    Without `host` it has the host's own name; without `server` (host, port) it finds
    servers itself, also at its `locators` (peep://HOST:PORT) and where the domains in
    `srv` say; without `sources` it looks for logs itself; without `rules` it has
    the shipped packs that apply, or all, where there are `sources`. Rule files are
    relative to the directory of the configuration.
    `redact` None cuts no secrets out of lines. Of a log of which more than `lag_max`
    MiB are unread, all but the last is skipped; 0 skips nothing. `cpu_max` is in
    percent of one core, `memory_max` in MiB; 0 is no ceiling.
    """

    host: str = ""
    classes: tuple[str, ...] = ("public",)
    interfaces: tuple[str, ...] = ()
    server: tuple[str, int] | None = None
    locators: tuple[str, ...] = ()
    srv: tuple[str, ...] = ()
    sources: tuple[object, ...] = ()
    rules: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("all",)
    exclude: tuple[str, ...] = ()
    spool: SpoolSettings = SpoolSettings()
    redact: RedactSettings | None = RedactSettings()
    lag_max: int = 64
    cpu_max: float = 10.0
    memory_max: int = 192


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of peep.yaml."""

    server: ServerSettings = ServerSettings()
    agent: AgentSettings = AgentSettings()
    network: NetworkSettings = NetworkSettings()


def load_settings(path: Path, source_kinds: Mapping[str, Checker]) -> Settings:
    """Read peep.yaml; raises ConfigError with all that is wrong with it."""
    top = load(path)
    keys = top.section("server", "agent", "network")
    settings = Settings(
        network=network_settings(keys["network"]),
        server=_server(keys["server"], path.parent),
        agent=_agent(keys["agent"], path.parent, source_kinds),
    )
    top.problems.raise_if_any()
    return settings


def _server(node: Node, directory: Path) -> ServerSettings:
    keys = node.section(*ServerSettings.__struct_fields__)
    return ServerSettings(
        port=_port(keys["port"]) if keys["port"].given else None,
        interfaces=keys["interfaces"].texts(()),
        classes=class_names(keys["classes"], ("public",)),
        theme=_theme(keys["theme"], directory),
        output=_output(keys["output"]),
        lease_s=_lease(keys["lease_s"]),
        dumb_networks=networks(keys["dumb_networks"], PRIVATE_NETWORKS),
        expect=_hosts(keys["expect"], patterns=False),
        ephemeral=_hosts(keys["ephemeral"], patterns=True),
        journal=journal_settings(keys["journal"], directory),
        room=_room(keys["room"]),
        quiet=_quiet(keys["quiet"]),
        console=_console(keys["console"]),
    )


def _room(node: Node) -> str:
    name = node.text("room")
    if name not in ROOMS:
        node.problem(f"unknown {shown(name)}{hint(name, tuple(ROOMS))}")
    return name if name in ROOMS else "room"


def _quiet(node: Node) -> tuple[QuietSpan, ...]:
    spans = []
    for text in node.texts(())[:MAX_QUIET_SPANS]:
        span = QuietSpan.parse(text)
        if span is None:
            node.problem(f'{shown(text)}: write "22:00-07:00"')
        else:
            spans.append(span)
    return tuple(spans)


def _console(node: Node) -> ConsoleSettings:
    # A bare `off` is a flag to YAML.
    if node.is_flag:
        return ConsoleSettings() if node.flag(default=True) else ConsoleSettings(None)
    text = node.text("127.0.0.1")
    found = read_console(text)
    if found is None:
        node.problem(f"{shown(text)}: write HOST, HOST:PORT or off")
    return found or ConsoleSettings()


def _lease(node: Node) -> int | None:
    low, high = LEASE_RANGE_S
    return node.integer(low, low=low, high=high) if node.given else None


def _agent(
    node: Node, directory: Path, source_kinds: Mapping[str, Checker]
) -> AgentSettings:
    keys = node.section(*AgentSettings.__struct_fields__)
    return AgentSettings(
        host=_word(keys["host"]),
        classes=class_names(keys["classes"], ("public",)),
        interfaces=keys["interfaces"].texts(()),
        server=_address(keys["server"]),
        locators=keys["locators"].texts(()),
        srv=keys["srv"].texts(()),
        sources=tuple(_sources(keys["sources"], source_kinds)),
        rules=tuple(_rule_pack(node, directory) for node in keys["rules"].nodes()),
        groups=keys["groups"].texts(("all",)),
        exclude=keys["exclude"].texts(()),
        spool=spool_settings(keys["spool"]),
        redact=redact_settings(keys["redact"]),
        lag_max=keys["lag_max"].integer(64, low=0, high=MAX_LAG_MIB),
        cpu_max=keys["cpu_max"].number(10.0, low=0, high=100),
        memory_max=_memory(keys["memory_max"]),
    )


def _memory(node: Node) -> int:
    size_mib = node.integer(192, low=0, high=MAX_MEMORY_MIB)
    if 0 < size_mib < LEAST_MEMORY_MIB:
        node.problem(f"needs at least {LEAST_MEMORY_MIB}, or 0 for no ceiling")
    return size_mib


def _sources(node: Node, source_kinds: Mapping[str, Checker]) -> Iterable[object]:
    nodes = node.nodes()
    if len(nodes) > MAX_SOURCES:
        node.problem(f"more than {MAX_SOURCES} sources")
    for at in nodes[:MAX_SOURCES]:
        kind, options = at.kind(source_kinds)
        if kind:
            yield source_kinds[kind](options)


def _word(node: Node) -> str:
    """Return a host name or address, or nothing."""
    name = node.text("", max_length=_MAX_HOST_LENGTH)
    if name and not _is_word(name):
        node.problem(f"{shown(name)} is no host name: ASCII without spaces, please")
    return name


def _hosts(node: Node, *, patterns: bool) -> tuple[str, ...]:
    """Return names of hosts, each once; * stands for any text where `patterns`."""
    names = tuple(dict.fromkeys(node.texts((), max_length=_MAX_HOST_LENGTH)))
    if len(names) > MAX_HOSTS:
        node.problem(f"more than {MAX_HOSTS} hosts")
    for name in names[:MAX_HOSTS]:
        if not _is_word(name):
            node.problem(f"{shown(name)} is no host name: ASCII without spaces, please")
        elif "*" in name and not patterns:
            node.problem(f"{shown(name)} is a pattern: name each host")
    return names[:MAX_HOSTS]


def _is_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _port(node: Node) -> int:
    return node.integer(DEFAULT_PORT, low=1, high=65535)


def _address(node: Node) -> tuple[str, int] | None:
    keys = node.section("host", "port")
    if not node.is_mapping:
        return None
    if not keys["host"].given:
        keys["host"].problem("missing (which server?)")
    return _word(keys["host"]), _port(keys["port"])


def _output(node: Node) -> str:
    output = node.text("auto")
    if output in _OUTPUTS or any(
        output.startswith(prefix) and len(output) > len(prefix)
        for prefix in _NAMED_OUTPUTS
    ):
        return output
    known = (*_OUTPUTS, "device:NAME", "file:PATH")
    node.problem(f"unknown {shown(output)}{hint(output, known)}")
    return "auto"


def _rule_pack(node: Node, directory: Path) -> str:
    """Return a shipped pack's name as it is, a file's path made absolute."""
    name = node.text()
    if "/" in name or name.endswith((".yaml", ".yml")):
        return str(directory / name)
    if name and name != ALL and name not in shipped_packs():
        node.problem(f"no rule pack {shown(name)}{hint(name, shipped_packs())}")
    return name


def _theme(node: Node, directory: Path) -> str:
    """Return the name of a theme that is here as it is, a path made absolute."""
    name = node.text("wetland")
    if name in theme_names():
        return name
    if "/" not in name and not (directory / name).is_dir():
        node.problem(f"no theme {shown(name)}{hint(name, theme_names())}")
    return str(directory / name)
