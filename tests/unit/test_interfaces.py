"""Which links are used, and every way to tell those who are on them."""

import ipaddress
import socket

import pytest

from peep.errors import PeepError
from peep.net import interfaces
from peep.net.interfaces import GROUP_V4, GROUPS_V6, Link, casts, links, within


def link(cidr, interface="eth0", **more):
    at = ipaddress.ip_interface(cidr)
    more.setdefault("multicast", not at.ip.is_loopback)
    if at.version == 4 and not at.ip.is_loopback:
        more.setdefault("broadcast", str(at.network.broadcast_address))
    return Link(
        interface=interface, index=2, address=str(at.ip), network=at.network, **more
    )


LAN = link("10.1.2.3/24")
LAN6 = link("fe80::1/64")
LOOP = link("127.0.0.1/8", "lo", broadcast="127.255.255.255")
LOOP6 = link("::1/128", "lo")


def hosts(reach, default=None):
    return [(way.link.interface, way.host) for way in casts(reach, default)]


def test_a_link_is_told_by_its_broadcast_and_by_multicast():
    assert hosts([LAN]) == [("eth0", "10.1.2.255"), ("eth0", GROUP_V4)]


def test_the_limited_broadcast_goes_where_the_default_route_does():
    reach = [LAN, link("10.9.0.1/24", "eth1", multicast=False)]
    assert hosts(reach, "eth1") == [
        ("eth0", "10.1.2.255"),
        ("eth0", GROUP_V4),
        ("eth1", "10.9.0.255"),
        ("eth1", "255.255.255.255"),
    ]


def test_ipv6_is_told_by_both_groups_once_an_interface():
    reach = [LAN6, link("fd00::1/64")]
    assert hosts(reach) == [("eth0", group) for group in GROUPS_V6]


def test_loopback_does_without_multicast():
    assert hosts([LOOP, LOOP6]) == [("lo", "127.255.255.255"), ("lo", "::1")]


def test_a_link_without_broadcast_and_multicast_tells_nobody():
    assert hosts([link("10.8.0.1/32", "wg0", broadcast=None, multicast=False)]) == []


def test_only_the_links_in_the_places_named_are_told():
    reach = [LAN, LAN6, LOOP, link("10.9.0.1/16", "eth1")]
    assert within(reach, ()) == reach
    assert within(reach, ["lo"]) == [LOOP]
    assert within(reach, ["eth0"]) == [LAN, LAN6]
    assert within(reach, ["10.0.0.0/8", "::1"]) == [LAN, reach[3]]
    assert within(reach, ["10.1.0.0/16", "lo"]) == [LAN, LOOP]
    assert within(reach, ["fe80::/10"]) == [LAN6]


def test_a_link_wider_than_the_network_named_is_not_told():
    assert within([LAN], ["10.1.2.0/25"]) == []


def fit(*cidrs):
    found = interfaces._fit([link(cidr) for cidr in cidrs])
    return [one.address for one in found]


def test_private_addresses_are_fit_and_public_ones_are_not():
    assert fit("10.0.0.1/8", "172.16.0.1/12", "8.8.8.8/24") == [
        "10.0.0.1",
        "172.16.0.1",
    ]
    assert fit("fd00::1/64", "2a00::1/64") == ["fd00::1"]
    assert fit("169.254.0.1/16") == []


def test_link_local_ipv6_follows_its_interface():
    assert fit("fe80::1/64") == ["fe80::1"]
    assert fit("192.168.1.1/24", "2a00::1/64", "fe80::1/64") == [
        "192.168.1.1",
        "fe80::1",
    ]
    assert fit("8.8.8.8/24", "2a00::1/64", "fe80::1/64") == []


def test_loopback_has_its_links():
    found = links(["lo", "lo"])
    assert found[0].interface == "lo"
    assert found[0].address == "127.0.0.1"
    assert found[0].broadcast == "127.255.255.255"
    assert found[0].loopback
    assert not found[0].multicast
    assert found[0].index == socket.if_nametoindex("lo")
    assert len(found) == len(set(found))


def test_an_interface_that_is_not_there_is_named():
    with pytest.raises(PeepError, match=r"no interface 'eth99' .*lo"):
        links(["eth99"])


def test_an_interface_that_vanishes_meanwhile_has_no_links():
    assert interfaces._links("eth99", [], multicast=True) == []


def test_the_default_routes_interface_is_the_one_of_least_metric(tmp_path, monkeypatch):
    routes = tmp_path / "route"
    monkeypatch.setattr(interfaces, "_ROUTES", routes)
    assert interfaces.default_interface() is None
    routes.write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
        "wlan0 00000000 0101A8C0 0003 0 0 600 00000000 0 0 0\n"
        "eth1 00000000 0100A8C0 0003 0 0 100 00000000 0 0 0\n"
    )
    assert interfaces.default_interface() == "eth1"
    routes.write_text("Iface\n")
    assert interfaces.default_interface() is None
