"""Discovery between real hosts: network namespaces, real processes, real packets.

Patience is far below the two minutes between announcements: what a test waits for has
come by the way under test, or not at all.
"""

import sys
from pathlib import Path

import pytest
from homes import FEW
from lab import make_lab

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(60)]

PEEP = (sys.executable, "-m", "peep")
SERVER = (*PEEP, "server", "--output", "null", FEW)
LOGIN = "Jan  1 00:00:00 h sshd[7]: Failed password for root from 10.99.0.9 port 4 ssh2"

BROADCAST = "fib daddr type broadcast"
MULTICAST_V4 = "ip daddr 224.0.0.0/4"
MULTICAST_V6 = "ip6 daddr ff00::/8 udp dport 2000-2001"
SOON_S = 5


@pytest.fixture(scope="module")
def hosts():
    """One subnet with a server and two agents, one behind a router, one IPv6 alone."""
    lab = make_lab()
    try:
        for bridge in ("br0", "br1", "br6"):
            lab.bridge(bridge)
        lab.host("s", eth0=("br0", "10.99.0.1/24 brd +"))
        lab.host("a", eth0=("br0", "10.99.0.2/24 brd +"))
        lab.host("b", eth0=("br0", "10.99.0.3/24 brd +"))
        lab.host(
            "r", eth0=("br0", "10.99.0.254/24 brd +"), eth1=("br1", "10.99.1.254/24")
        )
        lab.host("far", eth0=("br1", "10.99.1.2/24 brd +"))
        lab.host("s6", eth0=("br6",))
        lab.host("a6", eth0=("br6",))
        lab.run("sysctl -qw net.ipv4.ip_forward=1", "r")
        for host in ("s", "a", "b"):
            lab.run("ip route add default via 10.99.0.254", host)
        lab.run("ip route add default via 10.99.1.254", "far")
        for host in ("s6", "a6"):
            lab.run("ip addr flush dev lo; ip addr add ::1/128 dev lo", host)
        yield lab
    finally:
        lab.close()


@pytest.fixture
def lab(hosts, tmp_path):
    hosts.tmp_path = tmp_path
    try:
        yield hosts
    finally:
        hosts.stop_all()
        for host in ("s", "a", "b", "far"):
            hosts.run("nft flush ruleset", host)


def only(lab, *dropped):
    for host in ("s", "a", "b"):
        lab.firewall(host, *dropped)


def serve(lab, host="s", *more):
    return lab.start(host, *SERVER, *more, env=_homes(lab, host))


def follow(lab, host, *more):
    words = (*PEEP, "agent", "--source", "-", "--host", host, *more)
    return lab.start(host, *words, env=_homes(lab, host), feed=True)


def _homes(lab, host):
    keys = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
    homes = {key: str(lab.tmp_path / host / key) for key in keys}
    for home in homes.values():
        Path(home).mkdir(parents=True, mode=0o700, exist_ok=True)
    return homes


def both_are_heard(lab):
    """Two agents of a running server join, and what they say becomes sound."""
    server = serve(lab)
    server.wait_for("listening")
    agents = [follow(lab, "a"), follow(lab, "b")]
    for agent in agents:
        agent.wait_for("heard by", SOON_S)
        agent.feed(LOGIN)
    server.wait_for("joined", SOON_S)
    server.wait_for("joined", SOON_S)
    for agent in agents:
        agent.stop()
    server.wait_for("left", SOON_S)
    server.wait_for("left", SOON_S)
    said = " ".join(server.stop())
    assert "Signals in: 2; cues: " in said
    assert "cues: 0" not in said


def test_broadcast_alone_brings_two_agents_to_a_server(lab):
    only(lab, MULTICAST_V4, MULTICAST_V6)
    both_are_heard(lab)


def test_multicast_alone_does_as_well(lab):
    only(lab, BROADCAST, MULTICAST_V6)
    both_are_heard(lab)


def test_ipv6_multicast_alone_does_as_well_on_a_host_with_both(lab):
    only(lab, BROADCAST, MULTICAST_V4)
    server = serve(lab)
    server.wait_for("listening")
    follow(lab, "a").wait_for("%eth0 port 2001", SOON_S)
    server.wait_for("joined", SOON_S)


def test_a_server_that_starts_last_is_found_by_waiting_agents(lab):
    agents = [follow(lab, "a"), follow(lab, "b")]
    for agent in agents:
        agent.wait_for("following")
    server = serve(lab)
    server.wait_for("listening")
    for agent in agents:
        agent.wait_for("heard by", SOON_S)


def test_ipv6_alone_is_enough(lab):
    server = serve(lab, "s6")
    server.wait_for("listening")
    agent = follow(lab, "a6")
    agent.wait_for("heard by fe80::", SOON_S)
    agent.feed(LOGIN)
    server.wait_for("joined", SOON_S)
    agent.stop()
    server.wait_for("left", SOON_S)
    assert "Signals in: 1; cues: 1" in " ".join(server.stop())


def test_mdns_alone_proposes_the_server(lab):
    # Of Peep's own ways nothing leaves a host but what goes to one peer.
    only(
        lab,
        "udp dport 2000",
        f"{BROADCAST} udp dport 2001",
        f"{MULTICAST_V4} udp dport 2001",
        MULTICAST_V6,
    )
    server = serve(lab, "s", "--mdns")
    server.wait_for("listening")
    agent = follow(lab, "a", "--mdns")
    agent.wait_for("heard by 10.99.0.1 port 2001", 8)
    server.wait_for("joined", SOON_S)


def test_another_subnet_is_reached_by_locator_and_not_without(lab):
    server = serve(lab)
    server.wait_for("listening")
    lonely = follow(lab, "far", "--host", "lonely")
    lonely.wait_for("following")
    agent = follow(lab, "far", "--host", "friend", "--locator", "peep://10.99.0.1")
    agent.wait_for("heard by 10.99.0.1 port 2001", SOON_S)
    server.wait_for("agent friend (10.99.1.2) joined", SOON_S)
    assert not any("heard by" in line for line in lonely.stop())


def test_the_command_discovers_a_server_on_the_subnet(lab):
    serve(lab).wait_for("listening")
    words = (*PEEP, "discover", "--for", "30s", "--json", "--interfaces", "eth0")
    found = lab.start("a", *words)
    found.wait_for('"what": "discovered"', SOON_S)


def test_a_cut_link_is_told_on_both_sides_and_heals(lab):
    server = serve(lab, "s", "--lease", "10")
    server.wait_for("listening")
    agent = follow(lab, "a")
    agent.wait_for("heard by", SOON_S)
    lab.plug("a", up=False)
    agent.wait_for("no word from")
    server.wait_for("agent a is late")
    lab.plug("a", up=True)
    agent.wait_for("heard by", 10)
    server.wait_for("agent a is heard again", 10)


def test_named_interfaces_keep_to_themselves(lab):
    server = serve(lab, "s", "--interfaces", "lo")
    server.wait_for("listening")
    near = follow(lab, "s", "--interfaces", "lo")
    near.wait_for("heard by 127.0.0.1 port 2001", SOON_S)
    words = (*PEEP, "discover", "--for", "1.5s")
    far = lab.start("a", *words)
    far.wait_for("no server of class public answered")
