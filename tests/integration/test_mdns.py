"""DNS-SD on loopback alone: servers register, agents find those of their classes."""

import asyncio
import contextlib
import os
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peep.clock import SystemClock
from peep.errors import PeepError
from peep.net import mdns
from peep.net.backends import Wanted, backends
from peep.protocol.classes import PATTERN, shared

pytestmark = pytest.mark.network
LO = ("lo",)

names = st.from_regex(PATTERN, fullmatch=True).map(lambda text: text[:64])


def said(properties):
    return {key.encode(): value.encode() for key, value in properties.items()}


@given(st.lists(names, max_size=64, unique=True))
@example([f"{n:064}" for n in range(64)])
@example([f"{n:063}" for n in range(13)])
@example([f"{n:02}" for n in range(70)])
def test_classes_fit_the_record_and_are_found_in_it(classes):
    text = mdns.text_of(classes)
    sizes = [len(key) + 1 + len(value) for key, value in text.items()]
    assert max(sizes, default=0) <= mdns.MAX_STRING_BYTES
    assert sum(sizes) + len(sizes) <= mdns.MAX_TXT_BYTES
    for name in classes:
        assert mdns.may_match(said(text), [name])


@given(st.lists(names, max_size=8, unique=True), names)
def test_a_class_that_is_not_told_does_not_match(classes, other):
    text = mdns.text_of(classes)
    assert mdns.may_match(said(text), [other]) == bool(shared(classes, [other]))


@given(st.dictionaries(st.binary(max_size=6), st.none() | st.binary(max_size=255)))
def test_any_record_is_judged(properties):
    assert mdns.may_match(properties, ["public"]) in (True, False)
    assert mdns.may_match({**properties, b"more": b"1"}, ["public"])


def test_classes_that_are_not_told_are_hinted_at():
    assert mdns.text_of(["public"], more=True) == {"c0": "public", "more": "1"}


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(PeepError, match=r"pip install 'peep-auralizer\[mdns\]'"):
        backends(
            Wanted(mdns=True), ["public"], clock=None, chance=lambda: 0.5, say=print
        )


def test_as_many_classes_as_fit_are_told_each_once():
    classes = [f"class-{n:02}" for n in range(60)]
    text = mdns.text_of(classes)
    assert " ".join(text.values()).split() == classes
    assert len(text) > 1


def test_without_a_word_in_the_record_nothing_matches():
    assert mdns.text_of([]) == {}
    assert not mdns.may_match({}, ["public"])


def test_an_interface_that_is_not_there_is_named():
    with pytest.raises(PeepError, match="no interface"):
        mdns._where(["eth99"])


def test_a_host_without_multicast_and_loopback_is_told(monkeypatch):
    monkeypatch.setattr(mdns, "links", lambda _: [])
    with pytest.raises(PeepError, match="none here does multicast"):
        mdns._where(())


class Told:
    """What a browser proposed."""

    def __init__(self):
        self.ports = asyncio.Queue()

    def __call__(self, address):
        self.ports.put_nowait(address)

    async def next(self):
        return await asyncio.wait_for(self.ports.get(), 10)


def advert(port, *classes, more=False):
    return mdns.Advert(
        "a host.example", os.urandom(8), port, classes, interfaces=LO, more=more
    )


@contextlib.asynccontextmanager
async def running(*coroutines):
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                raise outcome


def browser(*classes):
    (made,) = backends(
        Wanted(mdns=True, interfaces=LO),
        classes,
        clock=SystemClock(),
        chance=lambda: 0.5,
        say=print,
    )
    return made


def test_a_registered_server_of_a_shared_class_is_proposed_and_no_other():
    async def body():
        told = Told()
        with_class, other, wild = (
            advert(1001, "web.example.org"),
            advert(1002, "db"),
            advert(1003, "*.example.org"),
        )
        looking = browser("web.example.org")
        async with running(
            with_class.run(), other.run(), wild.run(), looking.run(told)
        ):
            first = {await told.next(), await told.next()}
            assert first == {("127.0.0.1", 1001), ("127.0.0.1", 1003)}
            looking.set_classes(["db"])
            assert await told.next() == ("127.0.0.1", 1002)

    asyncio.run(body())


def test_a_server_that_takes_a_class_later_is_proposed_then():
    async def body():
        told = Told()
        server = advert(1004, "db")
        async with running(server.run(), browser("web").run(told)):
            other = advert(1005, "web")
            async with running(other.run()):
                assert await told.next() == ("127.0.0.1", 1005)
            server.set_classes(["db", "web"])
            assert await told.next() == ("127.0.0.1", 1004)

    asyncio.run(body())


def test_a_lost_lease_proposes_a_registered_server_again():
    async def body():
        told = Told()
        looking = browser("web")
        async with running(advert(1006, "web").run(), looking.run(told)):
            address = await told.next()
            looking.leased(address)
            looking.lost(address)
            assert await told.next() == address

    asyncio.run(body())


def test_a_storm_of_registered_servers_is_bounded(monkeypatch):
    monkeypatch.setattr(mdns, "MAX_SERVERS", 3)
    looking = browser("web")

    async def body():
        for number in range(9):
            looking._follow(None, f"{number}.{mdns.TYPE}", print)
        assert len(looking._finders) == 3
        for name in list(looking._finders):
            looking._forget(name)
        looking._forget("never seen")

    asyncio.run(body())


@pytest.mark.parametrize(
    ("text", "scoped"),
    [("10.0.0.1", "10.0.0.1"), ("fe80::1%1", "fe80::1%lo"), ("fe80::1%x", "fe80::1%x")],
)
def test_a_scope_is_told_by_its_name(text, scoped):
    assert mdns._scoped(text) == scoped
