"""DNS SRV, asked of a DNS server of our own on loopback."""

import asyncio
import struct
import sys

import dns.asyncresolver
import pytest

from peep.errors import PeepError
from peep.net import srv
from peep.net.backends import Wanted, backends
from peep.net.locators import MAX_ADDRESSES, Locator

pytestmark = pytest.mark.network

NAME = b"\x05_peep\x04_udp\x07example\x00"
SRV, IN = 33, 1


def name(text):
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(priority, weight, port, target, owner=b"\xc0\x0c"):
    rdata = struct.pack(">HHH", priority, weight, port) + target
    return owner + struct.pack(">HHIH", SRV, IN, 60, len(rdata)) + rdata


def answer(query, *records, code=0, flags=0x8180, count=None):
    end = query.index(b"\0", 12) + 5
    count = len(records) if count is None else count
    head = query[:2] + struct.pack(">HHHHH", flags | code, 1, count, 0, 0)
    return head + query[12:end] + b"".join(records)


class Server(asyncio.DatagramProtocol):
    """Answers what it is told to answer, and keeps the questions."""

    def __init__(self, reply):
        self.reply = reply
        self.asked = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.asked.append(data)
        for reply in self.reply(data):
            self.transport.sendto(reply, address)


async def ask(reply, use=srv.locators_of, domain="example", kind=Server):
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: kind(reply), ("127.0.0.1", 0)
    )
    asking = dns.asyncresolver.Resolver(configure=False)
    asking.nameservers = ["127.0.0.1"]
    asking.port = transport.get_extra_info("sockname")[1]
    asking.timeout = 0.2
    try:
        return await use(domain, asking), server.asked
    finally:
        transport.close()
        await asyncio.sleep(0)


def test_a_domain_names_its_servers_the_preferred_first():
    def reply(query):
        yield answer(
            query,
            record(20, 0, 2001, name("third.example")),
            record(10, 1, 2002, name("second.example")),
            record(10, 9, 2003, name("first.example")),
        )

    found, asked = asyncio.run(ask(reply))
    assert found == [
        Locator("first.example", 2003),
        Locator("second.example", 2002),
        Locator("third.example", 2001),
    ]
    assert len(asked) == 1
    assert NAME in asked[0]


def test_a_domain_written_with_its_last_dot_is_the_same():
    def reply(query):
        yield answer(query, record(0, 0, 2001, name("a.example")))

    found, asked = asyncio.run(ask(reply, domain="example."))
    assert found == [Locator("a.example", 2001)]
    assert NAME in asked[0]


def nowhere(row):
    # A label that is a dot: no resolver is asked for a name like this.
    return record(row, 0, 2003, b"\x01.\x07example\x00")


def test_every_address_of_every_server_is_found_and_one_without_passed_over():
    def reply(query):
        yield answer(
            query,
            record(0, 0, 2001, name("127.0.0.2")),
            nowhere(1),
            record(2, 0, 2002, name("127.0.0.3")),
        )

    found, _ = asyncio.run(ask(reply, use=srv.addresses_of))
    assert found == [("127.0.0.2", 2001), ("127.0.0.3", 2002)]


def test_a_domain_whose_servers_have_no_address_says_so():
    with pytest.raises(PeepError, match="cannot find"):
        asyncio.run(ask(lambda query: [answer(query, nowhere(0))], srv.addresses_of))


@pytest.mark.parametrize(
    ("code", "records", "why"),
    [
        (3, [], "does not exist"),
        (0, [], "names no servers"),
        (0, [record(0, 0, 2001, b"\0")], "names no servers"),
        (0, [record(0, 0, 0, name("a.example"))], "names no servers"),
        (2, [], "cannot be looked up"),
    ],
    ids=["unknown", "other records", "a dot", "port 0", "server failure"],
)
def test_what_a_domain_says_against_it_is_told(code, records, why):
    with pytest.raises(PeepError, match=why) as told:
        asyncio.run(ask(lambda query: [answer(query, *records, code=code)]))
    assert "_peep._udp.example." in str(told.value)


def hostile(query):
    """Answers that are wrong, each in its way."""
    loop_of_pointers = b"\xc0" + bytes([len(answer(query)) + 12 + 6])
    yield b""
    yield query[:2]
    yield answer(query, count=9)
    yield answer(query, record(0, 0, 2001, b"\x3fshort"))
    yield answer(query, record(0, 0, 2001, loop_of_pointers))
    yield answer(query)[:-3]


def test_wrong_bytes_end_in_one_clear_line(monkeypatch):
    monkeypatch.setattr(srv, "LOOK_UP_S", 0.5)
    with pytest.raises(PeepError, match="cannot be looked up"):
        asyncio.run(ask(hostile))


def test_an_answer_with_another_id_is_not_believed(monkeypatch):
    monkeypatch.setattr(srv, "LOOK_UP_S", 0.5)

    def reply(query):
        forged = answer(query, record(0, 0, 1, name("evil.example")))
        yield bytes([forged[0] ^ 1]) + forged[1:]

    with pytest.raises(PeepError, match="cannot be looked up"):
        asyncio.run(ask(reply))


def test_no_answer_at_all_ends_as_well(monkeypatch):
    monkeypatch.setattr(srv, "LOOK_UP_S", 0.3)
    with pytest.raises(PeepError, match="cannot be looked up"):
        asyncio.run(ask(lambda _: []))


def test_a_domain_with_a_thousand_servers_is_bounded():
    def reply(query):
        many = (record(n, 0, 2001, name(f"s{n}.x")) for n in range(19))
        yield answer(query, *many)

    found, _ = asyncio.run(ask(reply))
    assert len(found) == MAX_ADDRESSES


def test_questions_have_ids_and_ports_that_cannot_be_foretold():
    seen = set()

    class Noting(Server):
        def datagram_received(self, data, address):
            seen.add((data[:2], address[1]))
            super().datagram_received(data, address)

    async def many():
        for _ in range(10):
            await ask(
                lambda query: [answer(query, record(0, 0, 1, name("a")))], kind=Noting
            )

    asyncio.run(many())
    assert len({number for number, _ in seen}) > 5
    assert len({port for _, port in seen}) > 5


@pytest.mark.parametrize(
    "domain", ["example.org", "example.org.", "a-b.c", "localhost"]
)
def test_a_domain_is_a_domain(domain):
    assert srv.domain_problem(domain) is None


@pytest.mark.parametrize("domain", ["", ".", "a..b", "-a", "a b", "a" * 64, "a." * 130])
def test_what_is_no_domain_is_refused(domain):
    assert srv.domain_problem(domain)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dns.asyncresolver", None)
    with pytest.raises(PeepError, match=r"pip install 'peep-auralizer\[srv\]'"):
        srv.resolver()


def test_a_host_without_a_resolver_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(
        dns.asyncresolver.Resolver.__init__,
        "__defaults__",
        (str(tmp_path / "resolv.conf"), True),
    )
    with pytest.raises(PeepError, match=r"resolv\.conf"):
        srv.resolver()


def test_a_domain_makes_a_backend():
    made = backends(
        Wanted(domains=("example.org",)),
        ["public"],
        clock=None,
        chance=lambda: 0.5,
        say=print,
    )
    assert len(made) == 1
