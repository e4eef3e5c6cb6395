"""What looks at the network mean: texts become targets, answers become signals."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.sources import from_text
from peep.agent.sources.ping import (
    DAY_S,
    DEAD_BAND,
    PingSource,
    PingSpec,
    Standing,
    _Watched,
    check,
)
from peep.agent.sources.probes import Answer, Target
from peep.clock import ManualClock
from peep.config.document import parse
from peep.errors import ConfigError, SourceError
from peep.signals import Event, State, Tier, name_problem

SPEC = PingSpec((), down_after=3, up_after=2, hold_s=30.0)
DB = Target(name="db", scheme="tcp", host="db1", port=5432, low_ms=0, high_ms=100)


def spec_of(text: str) -> PingSpec:
    node = parse(text, "peep.yaml")
    _, options = node.kind(["ping"])
    spec = check(options)
    node.problems.raise_if_any()
    return spec


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "name"),
    [
        ("gw", "icmp", "gw", 0, "gw"),
        ("GW.example.org", "icmp", "gw.example.org", 0, "gw-example-org"),
        ("icmp://192.0.2.7", "icmp", "192.0.2.7", 0, "192-0-2-7"),
        ("icmp://[fe80::1%25eth0]", "icmp", "fe80::1%eth0", 0, "fe80-1-eth0"),
        ("icmp://[2001:db8::7]", "icmp", "2001:db8::7", 0, "2001-db8-7"),
        ("tcp://db1:5432", "tcp", "db1", 5432, "db1-5432"),
        ("http://shop", "http", "shop", 80, "shop"),
        ("https://shop:8443/a?b=c", "https", "shop", 8443, "shop-8443"),
        ("dns://192.0.2.53/example.org", "dns", "192.0.2.53", 53, "example-org"),
        ("a" * 200, "icmp", "a" * 200, 0, "a" * 51),
    ],
)
def test_a_text_is_a_target_with_a_name(text, scheme, host, port, name):
    (target,) = from_text(f"ping:{text}").targets
    assert (target.scheme, target.host, target.port) == (scheme, host, port)
    assert target.name == name
    assert name_problem(f"ping.latency.{name}") is None
    assert 0 <= target.low_ms < target.high_ms


def test_the_rest_of_an_address_is_what_is_asked_for():
    web, name = spec_of(
        "ping: ['https://shop/a?b=c', 'dns://192.0.2.53/example.org?type=MX']"
    ).targets
    assert web.path == "/a?b=c"
    assert (name.asked, name.record) == ("example.org", "MX")
    assert from_text("ping:http://shop").targets[0].path == "/"


def test_a_target_may_have_options():
    (target,) = spec_of(
        "{kind: ping, targets: [{target: 'https://shop', name: web.shop, low_ms: 5,"
        " high_ms: 50, status: [200, 401], verify: no, ca: /etc/ca.pem}]}"
    ).targets
    assert target == Target(
        name="web.shop",
        scheme="https",
        host="shop",
        port=443,
        status=(200, 401),
        verify=False,
        ca="/etc/ca.pem",
        low_ms=5,
        high_ms=50,
    )


def test_how_often_and_when_to_believe_it_may_be_said():
    spec = spec_of(
        "{kind: ping, targets: gw, interval_s: 60, timeout_s: 1, down_after: 1,"
        " up_after: 1, hold_s: 0, expires_days: [3, 30]}"
    )
    assert spec.expires_days == (30, 3)
    assert (spec.interval_s, spec.timeout_s, spec.hold_s) == (60, 1, 0)
    assert (spec.down_after, spec.up_after) == (1, 1)
    assert spec_of("ping: gw") == PingSpec(spec_of("ping: gw").targets)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ping", "missing"),
        ("ping: []", "no target"),
        ("ping: ['ftp://x']", "unknown kind 'ftp'"),
        ("ping: ['tcp://db1']", "needs a port"),
        ("ping: ['tcp://db1:99999']", "Port out of range"),
        ("ping: ['tcp://db1:x']", "Port could not be cast"),
        ("ping: ['icmp://[::1']", "Invalid IPv6"),
        ("ping: ['icmp://']", "names no host"),
        ("ping: ['a b']", "names no host"),
        ("ping: ['http://u:secret@shop']", "a password would be seen"),
        ("ping: ['http://shop/ü']", "are written as %XX"),
        ("ping: ['dns://192.0.2.53']", "needs a name to ask for"),
        ("ping: ['dns://192.0.2.53/a..b']", "needs a name to ask for"),
        ("ping: ['dns://192.0.2.53/a?type=X']", "unknown type 'X'"),
        ("ping: [gw, gw]", "two targets are called 'gw'"),
        ("ping: [{target: gw, name: Gate}]", "'Gate' is not lower-case words"),
        ("ping: [{target: gw, low_ms: 5, high_ms: 5}]", "must be above `low_ms`"),
        ("ping: [{target: gw, ca: x}]", "ca: needs an absolute path"),
        ("ping: [{name: gw}]", "target: missing"),
        ("ping: [{target: 'x://y'}]", "unknown kind 'x'"),
        (f"ping: {[f'h{n}' for n in range(257)]}", "more than 256 targets"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(text, why):
    with pytest.raises(ConfigError, match=why):
        spec_of(text)


@given(st.text(max_size=40))
def test_any_text_is_a_target_or_a_problem(text):
    try:
        found = from_text("ping:" + text)
    except ConfigError:
        return
    assert all(
        name_problem(f"ping.latency.{one.name}") is None for one in found.targets
    )


def believed(answers: str, spec: PingSpec = SPEC, every_s: float = 10.0) -> str:
    """What is told after each look: "." nothing, "D" down, "U" up."""
    standing = Standing(spec)
    said = ""
    for number, answer in enumerate(answers):
        changed = standing.feed(answer == "+", number * every_s)
        said += ("U" if standing.is_up else "D") if changed else "."
    return said


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("+++", "..."),
        ("---", "..D"),
        ("-----", "..D.."),
        ("--+--+---", "........D"),
        ("---+++", "..D..U"),  # held for thirty seconds
        ("-----++", "..D...U"),
        ("-----+-++", "..D.....U"),
        ("---+++---", "..D..U..D"),
    ],
)
def test_it_is_down_and_up_after_so_many_looks(answers, said):
    assert believed(answers) == said


@given(st.text("+-", max_size=100), st.floats(0.1, 100))
def test_what_flaps_is_told_no_more_often_than_it_may(answers, every_s):
    said = believed(answers, every_s=every_s)
    told = [at for at, what in enumerate(said) if what != "."]
    for before, at in itertools.pairwise(told):
        assert (at - before) * every_s >= SPEC.hold_s - 1e-6
    assert [said[at] for at in told] == [
        "D" if n % 2 == 0 else "U" for n in range(len(told))
    ]
    for at in told:
        needed = SPEC.down_after if said[at] == "D" else SPEC.up_after
        assert len(set(answers[at + 1 - needed : at + 1])) == 1


class Watching:
    def __init__(self, target: Target = DB, **more) -> None:
        self._watched = _Watched(target, PingSpec((), hold_s=0, **more))
        self._now = 0.0

    def look(self, latency_s: float | None, days: float | None = None) -> list:
        """What one look says; None is no answer."""
        self._now += 1
        expires = None if days is None else 1e9 + days * DAY_S
        answer = None if latency_s is None else Answer(latency_s, expires)
        return list(self._watched.judge(answer, "no way", self._now, 1e9))


def values(signals) -> list[float]:
    return [signal.value for signal in signals if isinstance(signal, State)]


def test_a_latency_is_a_state_that_is_told_when_it_moved():
    watching = Watching()
    (state,) = watching.look(0.05)
    assert (state.name, state.value) == ("ping.latency.db", 0.5)
    assert watching.look(0.05 + 0.1 * DEAD_BAND / 2) == []
    assert values(watching.look(0.2)) == [1.0]


def test_what_is_down_is_as_slow_as_can_be_and_what_missed_once_is_not():
    watching = Watching()
    assert values(watching.look(0.0)) == [0.0]
    assert watching.look(None) == watching.look(None) == []
    state, event = watching.look(None)
    assert state.value == 1.0
    assert (event.name, event.tier, event.family) == (
        "ping.down",
        Tier.ALERT,
        "network",
    )
    assert (event.instance, event.text) == ("db", "tcp db1: no way")
    assert watching.look(None) == []
    assert values(watching.look(0.0)) == [0.0]
    (up,) = watching.look(0.0)
    assert (up.name, up.tier, up.text) == (
        "ping.up",
        Tier.NOTABLE,
        "tcp db1: answers again",
    )


def test_a_certificate_is_told_of_once_at_each_number_of_days():
    watching = Watching(expires_days=(21, 7, 1))
    told = []
    for days in (30, 20.5, 20, 6, 6, 0.5, -3, 90, 20):
        told += [
            (days, signal.tier, signal.text)
            for signal in watching.look(0.0, days)
            if isinstance(signal, Event)
        ]
    said = "tcp db1: its certificate expires in {} days"
    assert told == [
        (20.5, Tier.NOTABLE, said.format(20.5)),
        (6, Tier.NOTABLE, said.format("6.0")),
        (0.5, Tier.ALERT, said.format(0.5)),
        (20, Tier.NOTABLE, said.format("20.0")),
    ]


def test_a_first_look_at_an_old_certificate_tells_only_the_worst():
    watching = Watching(expires_days=(21, 7, 1))
    found = [s.name for s in watching.look(0.0, 3.0) if isinstance(s, Event)]
    assert found == ["ping.certificate-expiring"]


def test_the_source_says_what_it_looks_at_and_that_echoes_are_not_allowed(monkeypatch):
    monkeypatch.setattr("peep.agent.sources.echo.allowed", lambda: None)
    source = PingSource(spec_of("ping: [gw, 'tcp://db1:5432']"), ManualClock())
    assert source.describe() == (
        "whether gw, db1-5432 answer, every 10 s"
        " (ICMP is not allowed here: by TCP instead)"
    )
    alone = PingSource(spec_of("ping: 'tcp://db1:5432'"), ManualClock())
    assert alone.describe() == "whether db1-5432 answer, every 10 s"


def test_authorities_that_are_not_there_are_told_at_once():
    spec = spec_of("ping: [{target: 'https://x', ca: /none/such.pem}]")
    with pytest.raises(
        SourceError, match=r"certificates in /none/such\.pem: No such file"
    ):
        PingSource(spec, ManualClock())
