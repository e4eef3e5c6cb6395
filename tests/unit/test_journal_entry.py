"""Entries of the journal as JSON become lines of a log file; some do not."""

import json
import time

import pytest

from peep.agent.sources.journal_entry import is_cursor, parse
from peep.loglines import CUT_MARK, MAX_LINE_BYTES
from peep.signals import MAX_ID

CURSOR = "s=4bac215e;i=59a;b=4bac;m=3ed6cbb87;t=660cd18145e98;x=5288bbf441ec51b5"
WHEN = 1772525647.25
USUAL = {
    "__CURSOR": CURSOR,
    "__REALTIME_TIMESTAMP": "1772525647250000",
    "MESSAGE": "Failed password",
    "SYSLOG_IDENTIFIER": "sshd",
    "_PID": "42",
    "_HOSTNAME": "web1",
}


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def told(own_pid: int = 0, **changes):
    entry = {key: value for key, value in {**USUAL, **changes}.items() if value}
    return parse(json.dumps(entry).encode(), own_pid)


def text(**changes) -> bytes:
    return told(**changes).text


def test_an_entry_becomes_a_line_as_syslog_writes_it():
    found = told()
    assert found.text == b"Mar  3 08:14:07 web1 sshd[42]: Failed password"
    assert found.when == WHEN
    assert found.cursor == CURSOR
    assert 0 <= found.serial <= MAX_ID


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"MESSAGE": [104, 195, 255, 0, 105]}, b"sshd[42]: h\xc3\xff\x00i"),
        ({"MESSAGE": ["first", "second"]}, b"sshd[42]: first"),
        ({"MESSAGE": [[97, 255], "second"]}, b"sshd[42]: a\xff"),
        ({"MESSAGE": "two\nlines\n"}, b"sshd[42]: two#012lines"),
        ({"MESSAGE": "caf\u00e9"}, "sshd[42]: café".encode()),
        ({"_PID": None}, b"sshd: Failed password"),
        ({"_PID": None, "SYSLOG_PID": "7"}, b"sshd[7]: Failed password"),
        ({"SYSLOG_PID": "1"}, b"sshd[42]: Failed password"),
        ({"_PID": "1]: x"}, b"sshd: Failed password"),
        ({"SYSLOG_IDENTIFIER": None, "_COMM": "su"}, b" su[42]: Failed password"),
        ({"SYSLOG_IDENTIFIER": None}, b" unknown[42]: Failed password"),
        ({"SYSLOG_IDENTIFIER": "a b\nc"}, b" a_b_c[42]: Failed password"),
        ({"_HOSTNAME": None}, b" localhost sshd[42]: Failed password"),
    ],
)
def test_what_programs_may_write_into_a_field_is_kept_in_its_place(changes, end):
    assert text(**changes).endswith(end)


@pytest.mark.parametrize(
    "message", [None, [], [256], [1, "x"], {"a": 1}, True, [True], [[]], [None], 7]
)
def test_an_entry_without_a_message_is_no_line_but_moves_on(message):
    found = told(MESSAGE=message)
    assert (found.text, found.cursor) == (b"", CURSOR)


@pytest.mark.parametrize(
    "changes",
    [
        {"SYSLOG_IDENTIFIER": "peep"},
        {"_SYSTEMD_UNIT": "peep-agent.service"},
        {"_SYSTEMD_UNIT": "peep@web.service"},
        {"_SYSTEMD_UNIT": "peep.service"},
        {"own_pid": 42},
    ],
)
def test_what_peep_says_itself_is_passed_over(changes):
    assert text(**changes) == b""


@pytest.mark.parametrize(
    "changes",
    [
        {"SYSLOG_IDENTIFIER": "peeper"},
        {"_SYSTEMD_UNIT": "peeping.service"},
        {"_SYSTEMD_UNIT": "not-peep.service"},
        {"own_pid": 4},
    ],
)
def test_what_only_looks_alike_is_not(changes):
    assert text(**changes) != b""


def test_an_entry_has_the_same_id_however_its_cursor_goes_on():
    serial = told().serial
    assert told(__CURSOR="s=4bac215e;i=59a;b=1;m=2;t=3;x=4").serial == serial
    assert told(__CURSOR="s=4bac215e;i=59b;b=1;m=2;t=3;x=4").serial != serial
    assert told(__CURSOR="s=4bac215f;i=59a;b=1;m=2;t=3;x=4").serial != serial
    assert told(__CURSOR="j=1;i=2").serial != told(__CURSOR="j=1;i=3").serial


@pytest.mark.parametrize("time_us", ["", "x", "-5", "9" * 20, "9" * 21, "²"])
def test_a_time_that_cannot_be_is_no_time(time_us):
    assert told(__REALTIME_TIMESTAMP=time_us).when == 0.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-- Journal begins --",
        b"[]",
        b"{}",
        b'{"__CURSOR": 7}',
        b'{"__CURSOR": "--after=x"}',
        b'{"__CURSOR": "s=1", "MESSAGE": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"__CURSOR": "s=1", "MESSAGE": "\xff"}',
        b'{"__CURSOR": "s=1", "MESSAGE": "cut',
        b'{"__CURSOR": "s=1", "MESSAGE": "\\ud800"}',
    ],
)
def test_what_is_no_entry_is_none(data):
    assert parse(data) is None


def test_a_long_message_is_cut():
    assert text(MESSAGE="x" * 2 * MAX_LINE_BYTES).endswith(b"x" + CUT_MARK)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "s=1;", "s=1 i=2", "s=G", "--x=1", "s=" + "1" * 99, CURSOR + "\n"],
)
def test_what_is_no_cursor_is_never_handed_on(cursor):
    assert is_cursor(CURSOR)
    assert not is_cursor(cursor)
