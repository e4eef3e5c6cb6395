"""The wire: what goes in comes out, and any bytes whatever are survived."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peep.errors import LocalProtocolError, RemoteProtocolError
from peep.protocol import packets, wire
from peep.protocol.batch import _GOOD as GOOD
from peep.protocol.batch import _MAX_GOOD as MAX_GOOD
from peep.protocol.batch import Born, pack, unpack
from peep.protocol.events import Peer
from peep.protocol.window import WINDOW, Window
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, State, Tier

PEER = Peer(b"a" * 8, "web1", ("10.0.0.1", 2001))
ids = st.binary(min_size=8, max_size=8)
class_names = st.lists(
    st.from_regex(r"\A[a-z.*-]{1,64}\Z"), min_size=1, max_size=4, unique=True
)
names = st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,9}(\.[a-z][a-z0-9]{0,9}){0,3}\Z")
bodies = st.one_of(
    st.builds(packets.Request, class_names, st.lists(ids, max_size=16)),
    st.builds(packets.Announce, class_names),
    st.builds(packets.Offer, st.binary(min_size=16, max_size=16), class_names),
    st.builds(
        packets.Register,
        st.binary(min_size=16, max_size=16),
        st.binary(max_size=packets.MAX_HELLO_BYTES),
    ),
    st.builds(packets.Grant, ids, st.binary(max_size=packets.MAX_HELLO_BYTES)),
    st.builds(packets.Classes, names, class_names, st.just({"a": "b"})),
    st.builds(packets.Renew),
    st.builds(packets.Ack, st.integers(0, 2**32 - 1)),
    st.builds(packets.Bye),
    st.builds(packets.ExceptionHint, st.sampled_from(packets.ExceptionCode)),
)
signals = st.one_of(
    st.builds(
        Event,
        name=names,
        tier=st.sampled_from(Tier),
        family=st.one_of(st.just(""), names),
        count=st.integers(1, 10**9),
        pan=st.integers(-100, 100).map(lambda n: n / 100),
        gain_db=st.integers(-600, 120).map(lambda n: n / 10),
        instance=st.text(max_size=5),
        text=st.text(max_size=5),
    ),
    st.builds(State, name=names, value=st.integers(0, 10_000).map(lambda n: n / 1e4)),
    st.builds(
        Heartbeat, name=names, rate_hz=st.integers(0, 20_000).map(lambda n: n / 1e3)
    ),
)


sizes = st.sampled_from([0, 1, 127, 128, 255, 256, 700])
extreme_events = st.builds(
    lambda letter, sizes, **fields: Event(
        instance=letter * sizes[0], text=letter * sizes[1], **fields
    ),
    letter=st.sampled_from(["a", "é", "€", "😀"]),
    sizes=st.tuples(sizes, sizes),
    name=st.one_of(names, st.integers(0, 999).map(lambda n: f"{'n' * 61}{n}")),
    tier=st.sampled_from(Tier),
    family=st.one_of(st.just(""), st.integers(0, 9).map(lambda n: f"{'f' * 63}{n}")),
    count=st.sampled_from([0, 1, 127, 128, 65_536, 10**9, 10**10]),
    pan=st.sampled_from([-1.0, 0.0, 1.0]),
    gain_db=st.sampled_from([-60.0, 0.0, 12.0]),
    origin=st.sampled_from([0, 1, 2**63 - 1]),
    serial=st.sampled_from([0, 2**32 - 1, 2**32, 2**63 - 1]),
)


@given(bodies, ids, ids, st.integers(0, 2**32 - 1))
def test_every_packet_comes_out_as_it_went_in(body, sender, session, sequence):
    header = wire.Header(sender, session, sequence)
    try:
        data = wire.encode(header, body)
    except LocalProtocolError:
        return  # too large, and said so
    assert wire.decode(data) == (header, body)
    assert len(data) <= wire.TABLE[packets.PacketType(data[1])][1]


@given(bodies, ids, st.binary(min_size=1, max_size=20))
def test_fields_that_a_later_version_adds_are_passed_over(body, sender, more):
    data = wire.encode(wire.Header(sender), body)
    head, payload = data[: wire.HEADER_BYTES], data[wire.HEADER_BYTES :]
    fields = wire.msgspec.msgpack.decode(payload)
    later = head + wire.msgspec.msgpack.encode([*fields, more, {"x": 1}])
    if len(later) <= wire.TABLE[packets.PacketType(data[1])][1]:
        assert wire.decode(later)[1] == body


def survives(data):
    with contextlib.suppress(RemoteProtocolError):
        body = wire.decode(data)[1]
        if isinstance(body, packets.Signals):
            unpack(body, PEER, "public")


@given(st.binary(max_size=1300))
@example(b"")
@example(bytes([3, 9]) + bytes(26) + b"\x91\x91\xa1\xff")
def test_any_bytes_give_a_packet_or_a_reason(data):
    survives(data)


@given(
    st.sampled_from(packets.PacketType),
    st.recursive(
        st.one_of(
            st.integers(-(2**63), 2**64 - 1),
            st.floats(),
            st.binary(max_size=20),
            st.text(max_size=20),
            st.none(),
            st.booleans(),
        ),
        lambda inner: st.lists(inner, max_size=6),
        max_leaves=30,
    ),
)
def test_any_body_gives_a_packet_or_a_reason(kind, body):
    head = bytes([packets.VERSION, kind]) + bytes(wire.HEADER_BYTES - 2)
    survives(head + wire.msgspec.msgpack.encode(body))


@given(st.lists(bodies, min_size=1, max_size=1), st.data())
def test_a_packet_with_flipped_bits_is_survived(body, data):
    good = bytearray(wire.encode(wire.Header(b"s" * 8), body[0]))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(good))


@given(
    st.lists(st.tuples(extreme_events, st.booleans()), max_size=60),
    st.sampled_from([0.0, 60.0, 1e7, 1e9]),
    st.booleans(),
)
def test_the_largest_events_fit_into_datagrams_and_arrive_in_order(sent, age_s, sealed):
    now, arrived = 2e9, []
    batch = [Born(event, now - age_s, again) for event, again in sent]
    for body in pack(batch, now, 86_400, sealed=sealed):
        data = wire.encode(wire.Header(b"s" * 8), body)
        assert len(data) + 16 * sealed <= packets.MAX_DATAGRAM_BYTES
        parsed = wire.parse(data)
        arrived += unpack(
            wire.read(parsed.kind, parsed.body, sealed=sealed), PEER, "public"
        )
    assert len(arrived) == len(sent)
    for got, (event, again) in zip(arrived, sent, strict=True):
        signal = got.signal
        assert (signal.name, signal.family, signal.tier, signal.count) == (
            event.name,
            event.family,
            event.tier,
            max(1, min(10**9, event.count)),
        )
        assert (signal.origin, signal.serial) == (
            event.origin,
            event.serial if event.origin else 0,
        )
        assert got.again is again
        assert event.instance.startswith(signal.instance)
        assert event.text.startswith(signal.text)
        if not sealed:
            assert signal.instance == signal.text == ""
        elif len(event.text.encode()) <= packets.MAX_WIRE_TEXT_BYTES:
            assert signal.text == event.text


@pytest.mark.parametrize("sealed", [False, True])
def test_events_whose_every_number_is_large_fit_into_datagrams(sealed):
    event = Event(
        name="e",
        family="f",
        count=10**9,
        pan=-1.0,
        gain_db=-60.0,
        origin=2**63 - 1,
        serial=2**63 - 1,
    )
    for body in pack([Born(event, -1e9, again=True)] * 200, 0.0, 60, sealed=sealed):
        data = wire.encode(wire.Header(b"s" * 8), body)
        assert len(data) + 16 * sealed <= packets.MAX_DATAGRAM_BYTES


def test_more_states_than_a_datagram_holds_go_into_several():
    states = [State(name=f"{'n' * 60}{n}", value=1.0, gain_db=-60.0) for n in range(50)]
    bodies = list(pack([Born(state, 0.0) for state in states], 0.0, 30))
    sizes = [len(wire.encode(wire.Header(b"s" * 8), body)) for body in bodies]
    assert max(sizes) <= packets.MAX_DATAGRAM_BYTES
    assert [name for body in bodies for name in body.names] == [s.name for s in states]


def test_datagrams_of_usual_events_are_well_filled():
    event = Event(
        name="ssh.login-failed",
        family="refusal",
        instance="192.0.2.7",
        text="x" * 120,
        origin=2**62,
        serial=10**6,
    )
    bodies = list(pack([Born(event, 0.0)] * 1000, 0.05, 30, sealed=True))
    sizes = [len(wire.encode(wire.Header(b"s" * 8), body)) for body in bodies]
    assert min(sizes[:-1]) > packets.MAX_DATAGRAM_BYTES - 16 - 160


@pytest.mark.parametrize("every_soft", [1, 3, 1000])
@pytest.mark.parametrize("every_again", [1, 1000])
@pytest.mark.parametrize(("kinds", "origins"), [(1, 1), (1, 999), (999, 1), (999, 999)])
def test_however_many_of_a_thing_there_are_they_fit(
    kinds, origins, every_again, every_soft
):
    for length in range(4, 44):  # so that one of them leaves no byte unused
        made = []
        for n in range(1, 100):
            name, pan, gain_db = f"n{n % kinds:0{length}}", -1.0, -60.0
            event = Event(
                name=name,
                family="",
                pan=pan,
                gain_db=gain_db,
                origin=2**62 + n % origins,
                serial=2**32 - 1,
            )
            state = State(name=name, value=1.0, pan=pan, gain_db=gain_db)
            signal = event if n % every_soft else state
            made.append(Born(signal, 0.0, again=n % every_again == 0))
        for body in pack(made, 0.1, 86_400):
            data = wire.encode(wire.Header(b"s" * 8), body)
            assert len(data) + 16 <= packets.MAX_DATAGRAM_BYTES


@given(st.lists(signals, max_size=120))
def test_signals_arrive_whole_in_order_and_without_text_or_instance(sent):
    born = [Born(signal, 90.0) for signal in sent]
    arrived = []
    for body in pack(born, 100.0, 30):
        data = wire.encode(wire.Header(b"s" * 8), body)
        assert len(data) <= packets.MAX_DATAGRAM_BYTES
        arrived += unpack(wire.decode(data)[1], PEER, "public")
    by_kind = [
        [b for b in arrived if isinstance(b.signal, kind)]
        for kind in (Event, State, Heartbeat)
    ]
    expected = [
        [s for s in sent if isinstance(s, kind)] for kind in (Event, State, Heartbeat)
    ]
    for got, wanted in zip(by_kind, expected, strict=True):
        assert [b.signal.name for b in got] == [s.name for s in wanted]
    for got, wanted in zip(by_kind[0], expected[0], strict=True):
        event = got.signal
        assert (event.text, event.instance, event.host) == ("", "", "web1")
        assert (event.tier, event.family, event.count) == (
            wanted.tier,
            wanted.family,
            wanted.count,
        )
        assert event.pan == pytest.approx(wanted.pan)
        assert event.gain_db == pytest.approx(wanted.gain_db)
        assert got.age_s == pytest.approx(10.0)
    for got, wanted in zip(by_kind[1], expected[1], strict=True):
        assert got.signal.value == pytest.approx(wanted.value)
    for got, wanted in zip(by_kind[2], expected[2], strict=True):
        assert got.signal.rate_hz == pytest.approx(wanted.rate_hz)


@pytest.mark.parametrize(
    "body",
    [
        packets.Signals([], [packets.WireEvent(0, Tier.ROUTINE, 0, 1, 0, 0, 0)]),
        packets.Signals(["", "x"], [packets.WireEvent(0, Tier.ROUTINE, 1, 1, 0, 0, 0)]),
        packets.Signals(["a b"], []),
        packets.Signals([], [], [packets.WireState(0, 0, 0, 0)]),
        packets.Signals([""], [], [packets.WireState(0, 0, 0, 0)]),
        packets.Signals([""], [], [], [packets.WireHeartbeat(0, 0, 0, 0)]),
    ],
)
def test_an_index_or_a_name_that_is_none_is_refused(body):
    with pytest.raises(RemoteProtocolError) as caught:
        unpack(body, PEER, "public")
    assert caught.value.reason is Reason.MALFORMED


def test_only_events_are_marked_as_said_before():
    event, state = packets.WireEvent(0, Tier.ALERT, 0, 1, 0, 0, 0), (0, 0, 0, 0)
    states = [packets.WireState(*state)]
    body = packets.Signals(["x"], [event, event], states, again=[1, 2, 9])
    assert [one.again for one in unpack(body, PEER, "public")] == [False, True, False]


def test_names_that_an_agent_invents_are_not_all_remembered():
    for number in range(0, 3 * MAX_GOOD, 100):
        names = [f"n{number + n}" for n in range(100)]
        unpack(packets.Signals(names), PEER, "public")
        assert len(GOOD) <= MAX_GOOD
    with pytest.raises(RemoteProtocolError):
        unpack(packets.Signals(["n1", "N1"]), PEER, "public")
    assert "N1" not in GOOD


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"\x03", Reason.MALFORMED),
        (bytes([9]) + bytes(27), Reason.UNKNOWN_VERSION),
        (bytes([3, 200]) + bytes(26), Reason.UNKNOWN_TYPE),
        (bytes([3, 10, 0, 1]) + bytes(24) + b"\x90", Reason.MALFORMED),
        (bytes([3, 10, 0, 0, 1]) + bytes(23) + b"\x90", Reason.SEALED),
        (bytes([3, 10]) + bytes(1300), Reason.TOO_LARGE),
        (bytes([3, 10]) + bytes(26), Reason.MALFORMED),
    ],
)
def test_each_refusal_has_its_reason(data, reason):
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode(data)
    assert caught.value.reason is reason


def test_a_packet_that_would_be_too_large_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        wire.encode(wire.Header(b"s" * 8), packets.Request(["x" * 64] * 20))


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=200))
def test_the_window_takes_each_number_once_and_nothing_too_old(numbers):
    window, taken, highest = Window(), set(), -1
    for number in numbers:
        fresh = number not in taken and number > highest - WINDOW
        assert window.take(number) is fresh
        if fresh:
            taken.add(number)
            highest = max(highest, number)
