"""The section `network:` of peep.yaml: how to look for one another, and with whom.

It holds for the server and for the agent of this host alike.
"""

import ipaddress
from collections.abc import Mapping

import msgspec

from peep.config.document import Node
from peep.config.problems import shown
from peep.protocol.classes import class_problem
from peep.protocol.policy import Network, Policy
from peep.protocol.profiles import PROFILES

MAX_TTL = 255  # as IP has it
MIN_MTU_BYTES = 128  # less than any link has
MAX_MTU_BYTES = 1500
DISCOVERY_MTU_BYTES = 512  # all that discovery sends fits, headers counted


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to look, and whom to deal with.

    `profile` is peep or classic. `subnets` says of a class on which interfaces or
    networks its name may be told. `policy` is what `allow:` says. Multicast reaches
    `multicast_ttl` hops; nothing above `mtu_bytes`, headers counted, is told to many.
    """

    profile: str = "peep"
    subnets: Mapping[str, tuple[str, ...]] = {}
    policy: Policy = Policy()
    multicast_ttl: int = 1
    mtu_bytes: int = DISCOVERY_MTU_BYTES
    mdns: bool = False


def network_settings(node: Node) -> NetworkSettings:
    """Read the section; problems go where the node's go."""
    keys = node.section(
        "profile", "subnets", "allow", "multicast_ttl", "mtu_bytes", "mdns"
    )
    return NetworkSettings(
        profile=keys["profile"].choice(PROFILES, "peep"),
        subnets=dict(_subnets(name, at) for name, at in keys["subnets"].items()),
        policy=_policy(keys["allow"]),
        multicast_ttl=keys["multicast_ttl"].integer(1, low=1, high=MAX_TTL),
        mtu_bytes=keys["mtu_bytes"].integer(
            DISCOVERY_MTU_BYTES, low=MIN_MTU_BYTES, high=MAX_MTU_BYTES
        ),
        mdns=keys["mdns"].flag(default=False),
    )


def networks(node: Node, default: tuple[str, ...]) -> tuple[Network, ...]:
    """Read a list of networks such as 10.0.0.0/8."""
    found: list[Network] = []
    for text in node.texts(default, empty=True):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            node.problem(f"{shown(text)} is no network: {error}")
    return tuple(found)


def class_names(node: Node, default: tuple[str, ...]) -> tuple[str, ...]:
    """Read a list of class names."""
    names = node.texts(default)
    for name in names:
        problem = class_problem(name)
        if problem:
            node.problem(f"{shown(name)} {problem}")
    return names


def _subnets(name: str, node: Node) -> tuple[str, tuple[str, ...]]:
    problem = class_problem(name)
    if problem:
        node.problem(f"{shown(name)} {problem}")
    return name, node.texts(())


def _policy(node: Node) -> Policy:
    keys = node.section("networks", "classes", "keys")
    return Policy(
        networks=networks(keys["networks"], ()),
        classes=class_names(keys["classes"], ()),
        keys=tuple(_key_ids(keys["keys"])),
    )


def _key_ids(node: Node) -> list[int]:
    ids = []
    for text in node.texts(()):
        try:
            ids.append(int(text, 16))
        except ValueError:
            node.problem(f"{shown(text)} is no key id: eight hexadecimal digits")
    return ids
