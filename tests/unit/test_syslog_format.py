"""What syslog senders write, in all its forms, as lines that rules know."""

import os
import time

import pytest

from peep.agent.sources.syslog_format import Framer, _stamp, line, parse
from peep.loglines import CUT_MARK, MAX_LINE_BYTES

# 2026-03-03 08:14:07 UTC
ARRIVED = 1772525647.0
LIMIT = 64


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    _stamp.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    _stamp.cache_clear()


def text(data: bytes) -> bytes:
    return parse(data, b"192.0.2.7", ARRIVED).text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # RFC 3164, as it stands there and as it is sent
        (b"<34>Mar  3 08:14:06 web1 su: failed", b"Mar  3 08:14:06 web1 su: failed"),
        (
            b"<38>Mar  3 08:14:06 web1 sshd[42]: Accepted password\n",
            b"Mar  3 08:14:06 web1 sshd[42]: Accepted password",
        ),
        (
            b"<38>Mar  3 08:14:06 web1.example.org postfix/smtpd[42]: connect\0",
            b"Mar  3 08:14:06 web1.example.org postfix/smtpd[42]: connect",
        ),
        (
            b"<38>Mar  3 08:14:06 web1 sshd(pam_unix)[42]: x",
            b"Mar  3 08:14:06 web1 sshd(pam_unix)[42]: x",
        ),
        # local senders leave the host out
        (b"<13>Mar  3 08:14:06 su: x", b"Mar  3 08:14:06 192.0.2.7 su: x"),
        (b"<13>su[7]: x", b"Mar  3 08:14:07 192.0.2.7 su[7]: x"),
        (b"<13>web1 su[7]: x", b"Mar  3 08:14:07 web1 su[7]: x"),
        (b"<13>2001:db8::7 su[7]: x", b"Mar  3 08:14:07 2001:db8::7 su[7]: x"),
        # no priority, nothing at all
        (b"Mar  3 08:14:06 web1 su: x", b"Mar  3 08:14:06 web1 su: x"),
        (b"hello", b"Mar  3 08:14:07 192.0.2.7 hello"),
        (b"", b"Mar  3 08:14:07 192.0.2.7 "),
        (b"<13>", b"Mar  3 08:14:07 192.0.2.7 "),
        (b"<999999>x", b"Mar  3 08:14:07 192.0.2.7 <999999>x"),
        (b"\xef\xbb\xbf<13>su: x", b"Mar  3 08:14:07 192.0.2.7 su: x"),
        # rsyslog's forwarding format, and Cisco's
        (
            b"<13>2026-03-03T08:14:06.123456+00:00 web1 su: x",
            b"Mar  3 08:14:06 web1 su: x",
        ),
        (
            b"<189>*Mar  3 2026 08:14:06.123 UTC: %SYS-5-CONFIG_I: Configured",
            b"Mar  3 08:14:06 192.0.2.7 %SYS-5-CONFIG_I: Configured",
        ),
        # RFC 5424
        (
            b"<34>1 2026-03-03T08:14:06.003Z web1 su 7 ID47 - \xef\xbb\xbffailed",
            b"Mar  3 08:14:06 web1 su[7]: failed",
        ),
        (
            b'<165>1 2026-03-03T09:14:06+01:00 web1 app - - [a@1 x="1" y="]"][b] hello',
            b'Mar  3 08:14:06 web1 app: [a@1 x="1" y="]"][b] hello',
        ),
        (
            b'<165>1 2026-03-03T09:14:06+01:00 web1 app - - [a@1 x="\\"\\]"][b] hello',
            b"Mar  3 08:14:06 web1 app: hello",
        ),
        # rsyslog's, whose message begins with the space behind a tag
        (b"<13>1 - web1 su 7 - -  failed", b"Mar  3 08:14:07 web1 su[7]: failed"),
        (b"<13>1 - web1 su 7 - -   x", b"Mar  3 08:14:07 web1 su[7]:  x"),
        (b"<165>1 - - - - - -", b"Mar  3 08:14:07 192.0.2.7 "),
        (b"<165>1 - - app - - - x", b"Mar  3 08:14:07 192.0.2.7 app: x"),
        (b'<165>1 - w a 1 - [q x="1"]', b'Mar  3 08:14:07 w a[1]: [q x="1"]'),
        (b"<165>1 - w a 1 - [broken x", b"Mar  3 08:14:07 w a[1]: [broken x"),
        # neither
        (b"<165>1 x y", b"Mar  3 08:14:07 192.0.2.7 1 x y"),
        (b"<165>1 - w a 1 - x", b"Mar  3 08:14:07 192.0.2.7 1 - w a 1 - x"),
    ],
)
def test_a_message_becomes_a_line_as_in_a_log_file(data, expected):
    assert text(data) == expected


def test_a_newline_within_a_message_begins_no_line():
    assert text(b"<13>su: a\nMar 3 root: b\n\n") == (
        b"Mar  3 08:14:07 192.0.2.7 su: a#012Mar 3 root: b"
    )


@pytest.mark.parametrize(
    ("stamp", "when"),
    [
        (b"Mar  3 08:14:06", ARRIVED - 1),
        (b"Mar  2 09:00:00", ARRIVED - 83647),
        (b"Mar  1 08:14:06", ARRIVED),  # too old to be true
        (b"Mar  3 09:14:06", ARRIVED),  # nothing comes from the future
        (b"Feb 31 08:14:06", ARRIVED),
        (b"Mar  3 08:99:06", ARRIVED),
        (b"2026-03-03T08:14:06.25Z", ARRIVED - 0.75),
        (b"2026-03-03T10:14:06+02:00", ARRIVED - 1),
        (b"1999-03-03T10:14:06+02:00", ARRIVED),
    ],
)
def test_a_time_is_believed_if_it_can_be_true(stamp, when):
    parsed = parse(b"<13>" + stamp + b" web1 su: x", b"-", ARRIVED)
    assert parsed.when == pytest.approx(when)
    assert parsed.text.endswith(b" web1 su: x")


def test_a_time_without_a_zone_is_ours(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    _stamp.cache_clear()
    parsed = parse(b"<13>Mar  3 09:14:06 web1 su: x", b"-", ARRIVED)
    assert (parsed.when, parsed.text[:15]) == (ARRIVED - 1, b"Mar  3 09:14:06")


def test_the_new_year_is_no_time_travel():
    newyear = 1767225610.0  # 2026-01-01 00:00:10
    parsed = parse(b"<13>Dec 31 23:59:59 w su: x", b"-", newyear)
    assert parsed.when == newyear - 11


def test_a_line_is_no_longer_than_any_other():
    for byte in (b"a", b"\n"):
        made = line(b"host", b"tag", b"1", byte * 2 * MAX_LINE_BYTES, ARRIVED)
        assert len(made) == MAX_LINE_BYTES + len(CUT_MARK)
        assert made.endswith(CUT_MARK)


def framed(*blocks: bytes) -> list[bytes]:
    framer = Framer(LIMIT)
    found = [message for block in blocks for message in framer.feed(block)]
    return found + framer.finish()


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"<1>a\n<2>b\n", [b"<1>a", b"<2>b"]),
        (b"<1>a\n\n\n<2>b", [b"<1>a", b"<2>b"]),
        (b"4 <1>a5 <2>bc", [b"<1>a", b"<2>bc"]),
        (b"6 <1>a\nb<2>c\n", [b"<1>a\nb", b"<2>c"]),
        (b"5 <1>a\n4 <2>b", [b"<1>a\n", b"<2>b"]),
        (b"4 <1>a\n4 <2>b", [b"<1>a", b"<2>b"]),
        (b"12 monkeys\n7", [b"12 monkeys", b"7"]),
        (b"99999999 <1>a\n", [b"99999999 <1>a"]),
        (b"9 <1>a", [b"9 <1>a"]),
        (b"", []),
        (b"x" * 200 + b"\n<1>a\n", [b"x" * LIMIT, b"<1>a"]),
        (b"x" * 200, [b"x" * LIMIT]),
        (b"200 <" + b"x" * 199 + b"4 <1>a", [b"<" + b"x" * (LIMIT - 1), b"<1>a"]),
    ],
)
def test_a_stream_is_cut_into_messages_however_it_comes(stream, messages):
    assert framed(stream) == messages
    assert framed(*(stream[at : at + 1] for at in range(len(stream)))) == messages


def test_a_stream_without_an_end_is_not_kept():
    framer = Framer(LIMIT)
    for _ in range(100):
        framer.feed(os.urandom(LIMIT).replace(b"\n", b""))
        assert len(framer._pending) <= 2 * LIMIT
