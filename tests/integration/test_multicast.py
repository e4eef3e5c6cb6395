"""Endpoints on interfaces of their own: broadcast, multicast, both families.

Each piece of code runs in a network namespace with two interfaces, on which what is
sent to everyone comes back to the host, and leaves nothing behind.
"""

import errno
import json
import shutil
import socket
import subprocess
import sys
import textwrap

import pytest

from peep.errors import PeepError
from peep.net import sockets
from peep.net.endpoint import Endpoint, Own, peer_of
from peep.net.sockets import agent_endpoint, plain_endpoint, server_endpoint

pytestmark = pytest.mark.network

SETUP = """
set -e
ip link set lo up
sysctl -qw net.ipv6.conf.default.accept_dad=0
for n in 0 1; do
  ip link add port$n type veth peer name far$n
  sysctl -qw net.ipv6.conf.far$n.disable_ipv6=1
  ip link set far$n up
  ip link set port$n up
  ip addr add 10.7$n.0.1/24 brd + dev port$n
done
ip route add default via 10.70.0.9
ip route add 10.99.0.0/16 via 10.71.0.9
exec "$@"
"""
PRELUDE = """
import json, select, subprocess
from peep.net.endpoint import peer_of
from peep.net.sockets import agent_endpoint, server_endpoint
from peep.protocol.addresses import Broadcast

def heard(endpoint):
    found = set()
    while ready := select.select(endpoint.readers, [], [], 0.3)[0]:
        for sock in ready:
            data, sender = sock.recvfrom(2048)
            host, _, device = peer_of(sender)[0].partition("%")
            found.add((data.decode(), "fe80" if device else host, device))
    return sorted(found)

"""


def inside(code, setup=SETUP):
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    possible = subprocess.run(
        ["unshare", "-rn", "true"], capture_output=True, check=False
    )
    if possible.returncode:
        pytest.skip("this kernel does not let us have namespaces")
    words = ["sh", "-c", setup, "sh", sys.executable]
    code = PRELUDE + textwrap.dedent(code)
    done = subprocess.run(
        ["unshare", "-rn", *words, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_everyone_is_told_on_every_link_in_both_families():
    assert inside(
        """
        server, _ = server_endpoint(None)
        agent, _ = agent_endpoint()
        failed = agent.broadcast(b"hi", Broadcast(2001))
        print(json.dumps([failed, heard(server)]))
        server.close(); agent.close()
        """
    ) == [
        0,
        [
            ["hi", "10.70.0.1", ""],
            ["hi", "10.71.0.1", ""],
            ["hi", "127.0.0.1", ""],
            ["hi", "::1", ""],
            ["hi", "fe80", "port0"],
            ["hi", "fe80", "port1"],
        ],
    ]


def test_agents_share_the_port_on_which_announcements_come():
    found = inside(
        """
        server, _ = server_endpoint(None)
        agents = [agent_endpoint()[0] for _ in range(2)]
        server.broadcast(b"here", Broadcast(2000, ("port0",)))
        print(json.dumps([heard(agent) for agent in agents]))
        for one in (server, *agents): one.close()
        """
    )
    both = [["here", "10.70.0.1", ""], ["here", "fe80", "port0"]]
    assert found == [both, both]


def test_only_the_places_meant_are_told():
    assert inside(
        """
        server, _ = server_endpoint(None)
        agent, _ = agent_endpoint()
        agent.broadcast(b"a", Broadcast(2001, ("port1",)))
        agent.broadcast(b"b", Broadcast(2001, ("10.70.0.0/16",)))
        print(json.dumps(heard(server)))
        server.close(); agent.close()
        """
    ) == [["a", "10.71.0.1", ""], ["a", "fe80", "port1"], ["b", "10.70.0.1", ""]]


def test_named_interfaces_have_sockets_of_their_own_and_hear_no_other():
    assert inside(
        """
        server, _ = server_endpoint(None, ["port1"])
        agent, _ = agent_endpoint(["port0", "port1", "port0"])
        agent.broadcast(b"hi", Broadcast(2001))
        ports = {s.getsockname()[1] for s in agent.readers} - {2000}
        names = [str(n) for n in agent.networks()]
        found = [heard(server), len(agent.readers), ports == {agent.port}, names]
        print(json.dumps(found))
        server.close(); agent.close()
        """
    ) == [
        [["hi", "10.71.0.1", ""], ["hi", "fe80", "port1"]],
        8,
        True,
        ["10.70.0.0/24", "fe80::/64", "10.71.0.0/24", "fe80::/10"],
    ]


def test_a_peer_is_reached_by_the_named_interface_that_leads_there():
    assert inside(
        """
        agent, _ = agent_endpoint(["port0", "port1"])
        inet, inet6 = 2, 10
        own = {sock: device for _, device, sock in agent._own}
        found = [
            own[agent._socket_for(inet, host)]
            for host in ("10.70.0.5", "10.71.0.5", "10.99.1.1", "8.8.8.8")
        ]
        found.append(own[agent._socket_for(inet6, "fe80::5", "port1")])
        found.append(agent.send(b"x", ("10.71.0.5", 9)))
        found.append(agent.send(b"x", ("fe80::5%port1", 9)))
        found.append(agent.send(b"x", ("fe80::5%eth99", 9)))
        print(json.dumps(found))
        agent.close()
        """
    ) == ["port0", "port1", "port1", "port0", "port1", True, True, False]


def test_a_link_local_peer_is_answered_where_it_asked():
    assert inside(
        """
        server, _ = server_endpoint(None)
        agent, _ = agent_endpoint()
        agent.broadcast(b"hi", Broadcast(2001, ("fe80::/10", "port0")))
        asked = {}
        while select.select(server.readers, [], [], 0.3)[0]:
            for sock in select.select(server.readers, [], [], 0)[0]:
                peer = peer_of(sock.recvfrom(99)[1])
                asked[peer[0].partition("%")[2]] = peer
        sent = [server.send(b"yes " + d.encode(), p) for d, p in asked.items() if d]
        print(json.dumps([sent, heard(agent)]))
        server.close(); agent.close()
        """
    ) == [
        [True, True],
        [["yes port0", "fe80", "port0"], ["yes port1", "fe80", "port1"]],
    ]


def test_an_interface_that_comes_later_is_told_and_heard():
    found = inside(
        """
        server, _ = server_endpoint(None)
        agent, _ = agent_endpoint()
        subprocess.run(
            "ip link add late type veth peer name far2;"
            "sysctl -qw net.ipv6.conf.far2.disable_ipv6=1;"
            "ip link set far2 up; ip link set late up;"
            "ip addr add 10.72.0.1/24 brd + dev late; ip link del port1",
            shell=True, check=True,
        )
        server.broadcast(b"here", Broadcast(2000))
        agent.broadcast(b"hi", Broadcast(2001, ("late",)))
        print(json.dumps(heard(server)))
        server.close(); agent.close()
        """
    )
    assert found == [["hi", "10.72.0.1", ""], ["hi", "fe80", "late"]]


def test_a_named_interface_that_is_away_is_waited_for():
    assert (
        inside(
            """
        agent, _ = agent_endpoint(["port1"])
        subprocess.run("ip link set port1 down", shell=True, check=True)
        print(json.dumps(agent.broadcast(b"hi", Broadcast(2001))))
        agent.close()
        """
        )
        == 0
    )


def test_a_link_on_which_nothing_can_be_sent_is_counted():
    assert inside(
        """
        agent, _ = agent_endpoint()
        nft = "nft add table inet t; nft add chain inet t o"
        nft += " '{ type filter hook output priority 0; }';"
        nft += "nft add rule inet t o oifname port1 reject with icmpx admin-prohibited"
        subprocess.run(nft, shell=True, check=True)
        sizes = (2, 999)
        found = [agent.broadcast(bytes(size), Broadcast(2001)) for size in sizes]
        print(json.dumps(found))
        agent.close()
        """
    ) == [1, 3]


def test_a_host_without_ipv4_addresses_speaks_ipv6():
    setup = SETUP.replace(
        "exec", "ip -4 addr flush dev port0; ip -4 addr flush lo\nexec"
    )
    setup = setup.replace("exec", "ip link del port1\nexec", 1)
    assert inside(
        """
        server, _ = server_endpoint(None)
        agent, _ = agent_endpoint()
        agent.broadcast(b"hi", Broadcast(2001))
        print(json.dumps(heard(server)))
        server.close(); agent.close()
        """,
        setup,
    ) == [["hi", "::1", ""], ["hi", "fe80", "port0"]]


def test_a_host_without_ipv6_addresses_speaks_ipv4():
    setup = SETUP.replace(
        "set -e", "set -e; sysctl -qw net.ipv6.conf.all.disable_ipv6=1"
    )
    setup = setup.replace("exec", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1\nexec")
    assert inside(
        """
        server, _ = server_endpoint(None)
        agent, _ = agent_endpoint()
        failed = agent.broadcast(b"hi", Broadcast(2001, ("port0", "lo")))
        print(json.dumps([failed, heard(server)]))
        server.close(); agent.close()
        """,
        setup,
    ) == [0, [["hi", "10.70.0.1", ""], ["hi", "127.0.0.1", ""]]]


@pytest.fixture
def endpoints():
    """A list whose endpoints are closed in the end."""
    made = []
    yield made
    for endpoint in made:
        endpoint.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_kernel_with_one_family_is_served_by_the_other(
    family, monkeypatch, endpoints
):
    real = sockets._socket

    def only(wanted, *words, **more):
        if wanted == family:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        return real(wanted, *words, **more)

    monkeypatch.setattr(sockets, "_socket", only)
    endpoint, _ = agent_endpoint(["lo"])
    endpoints.append(endpoint)
    assert family not in {sock.family for sock in endpoint.readers}
    here = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
    assert not endpoint.send(b"x", (here[family], endpoint.port))


def test_both_families_share_one_port(endpoints):
    endpoint, _ = agent_endpoint(["lo"])
    endpoints.append(endpoint)
    ports = {sock.family: sock.getsockname()[1] for sock in endpoint.readers[:2]}
    assert ports == dict.fromkeys((socket.AF_INET, socket.AF_INET6), endpoint.port)


def test_multicast_goes_as_far_as_it_is_told(endpoints):
    for hops, meant in ((1, 1), (3, 3), (0, 1), (999, 32)):
        endpoint, _ = agent_endpoint(["lo"], hops=hops)
        endpoints.append(endpoint)
        four, six = endpoint.readers[:2]
        assert four.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == meant
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS) == meant


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_port_that_was_asked_for_and_is_busy_is_an_error(family):
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("", 0))
        port = other.getsockname()[1]
        with pytest.raises(PeepError, match=f"UDP port {port} is busy"):
            server_endpoint(port, ["lo"])


def test_a_port_below_1024_needs_a_right_that_users_lack(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(sockets, "_own", refuse)
    with pytest.raises(PeepError, match="cannot bind UDP port 80: Permission denied"):
        server_endpoint(80, ["lo"])
    with pytest.raises(PeepError, match="cannot open a UDP socket: Permission denied"):
        agent_endpoint(["lo"])


def test_a_server_that_finds_2001_busy_takes_another_port_and_says_so(endpoints):
    first, _ = server_endpoint(None, ["lo"])
    endpoints.append(first)
    second, note = server_endpoint(None, ["lo"])
    endpoints.append(second)
    assert note == f"port 2001 is busy, so port {second.port} is used"
    assert 2000 in {sock.getsockname()[1] for sock in second.readers}


def test_a_shared_port_that_is_taken_for_good_is_a_note(endpoints):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.bind(("", 2000))
        except OSError:
            pytest.skip("an agent runs on this host")
        agent, note = agent_endpoint(["lo"])
        endpoints.append(agent)
        assert "UDP port 2000 is busy: servers that start later" in note
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        server, note = server_endpoint(port, ["lo"])
        endpoints.append(server)
        assert "UDP port 2000 is busy: agents that start later" in note


def test_what_comes_faster_than_it_is_read_is_counted(endpoints):
    endpoint, _ = agent_endpoint(["lo"])
    endpoints.append(endpoint)
    assert endpoint.overrun() == 0
    size = endpoint.readers[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    for _ in range(size // 1000 + 100):
        endpoint.send(bytes(1000), ("127.0.0.1", endpoint.port))
    assert endpoint.overrun() > 0


def test_a_dumb_client_takes_the_address_that_there_is_a_route_to(endpoints):
    for host in ("localhost", "127.0.0.1", "::1"):
        endpoint, (found, port) = plain_endpoint(host, 4242)
        endpoints.append(endpoint)
        assert found in ("127.0.0.1", "::1")
        assert port == 4242
        assert endpoint.send(b"x", (found, 4242))


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example"])
def test_a_dumb_client_of_no_host_is_told(host):
    with pytest.raises(PeepError, match="cannot find server"):
        plain_endpoint(host, 2001)


def test_a_scope_that_has_gone_is_left_out():
    assert peer_of(("fe80::1", 7, 0, 0x7FFFFFFF)) == ("fe80::1", 7)
    assert peer_of(("fd00::1", 7, 0, 0)) == ("fd00::1", 7)


def test_an_endpoint_of_one_family_says_what_it_cannot_reach(endpoints):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    endpoint = Endpoint([Own(socket.AF_INET, "", sock)])
    endpoints.append(endpoint)
    assert not endpoint.send(b"x", ("::1", 9))
    assert not endpoint.send(b"x", ("not a host", 9))
