"""Lines cut out of bytes, made printable, and their times."""

import datetime as dt

import pytest

from peep.loglines import (
    CUT_MARK,
    MAX_LINE_BYTES,
    MAX_LINES,
    LineSplitter,
    LogLine,
    Timestamps,
    printable,
    some_lines,
    split_lines,
)


def unix(*moment: int) -> float:
    return dt.datetime(*moment, tzinfo=dt.UTC).timestamp()


def test_lines_know_their_source_offset_and_time():
    splitter = LineSplitter("a.log", 100)
    assert splitter.feed(b"one\ntwo\r\n\nlast", 5.0) == [
        LogLine("a.log", 100, b"one", 5.0),
        LogLine("a.log", 104, b"two", 5.0),
        LogLine("a.log", 109, b"", 5.0),
    ]
    assert splitter.offset == 114


@pytest.mark.parametrize(
    "rest", [b"", b"\n", b"\nrest", b"rest\n", b"\n" * MAX_LINES + b"rest"]
)
def test_a_block_of_many_lines_is_taken_some_lines_at_a_time(rest):
    some = b"\n" * MAX_LINES
    assert some_lines(some + rest) == some
    assert some_lines(b"a\nb" + some + rest, 2) == b"a\nb" + some
    assert some_lines(some[1:] + b"half") == some[1:] + b"half"


def test_a_partial_last_line_waits_for_its_rest():
    splitter = LineSplitter("a.log")
    assert splitter.feed(b"on") == []
    assert splitter.feed(b"") == []
    assert splitter.feed(b"e\ntw") == [LogLine("a.log", 0, b"one")]
    assert splitter.finish() == [LogLine("a.log", 4, b"tw")]
    assert splitter.finish() == []
    assert splitter.feed(b"new\n") == [LogLine("a.log", 6, b"new")]


def test_the_end_of_a_line_may_come_in_two_blocks():
    splitter = LineSplitter("a.log")
    assert splitter.feed(b"one\r") == []
    assert splitter.feed(b"\ntwo\n") == [
        LogLine("a.log", 0, b"one"),
        LogLine("a.log", 5, b"two"),
    ]


def test_nul_and_invalid_utf_8_are_bytes_like_others():
    assert [line.text for line in split_lines(b"\x00\xff\n\xc3")] == [
        b"\x00\xff",
        b"\xc3",
    ]


def test_a_line_that_is_too_long_is_cut_and_marked():
    (line,) = split_lines(b"x" * (MAX_LINE_BYTES + 1) + b"\n")
    assert line.text == b"x" * MAX_LINE_BYTES + CUT_MARK


def test_a_line_of_the_greatest_length_is_whole():
    (line,) = split_lines(b"x" * MAX_LINE_BYTES + b"\n")
    assert line.text == b"x" * MAX_LINE_BYTES


def test_a_line_that_never_ends_is_told_of_once_and_its_rest_goes_by():
    splitter = LineSplitter("a.log", max_bytes=4)
    assert splitter.feed(b"abcdef") == [LogLine("a.log", 0, b"abcd" + CUT_MARK)]
    assert splitter.feed(b"ghijkl") == []
    assert splitter.feed(b"mn\nok\n") == [LogLine("a.log", 15, b"ok")]
    assert splitter.feed(b"abcdef") == [LogLine("a.log", 18, b"abcd" + CUT_MARK)]
    assert splitter.finish() == []
    assert splitter.feed(b"z\n") == [LogLine("a.log", 24, b"z")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"plain ~", "plain ~"),
        ("héé".encode(), "héé"),
        (b"a\tb", "a b"),
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        (b"\xff\xc3", "\\xff\\xc3"),
        ("\u202eevil\u2028\x9b".encode(), "\\u202eevil\\u2028\\x9b"),
        (b"a\nb\r", "a\\nb\\r"),
    ],
)
def test_what_is_shown_is_harmless_to_a_terminal(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "when"),
    [
        (b"Dec 10 06:55:46 h sshd[1]: x", unix(2023, 12, 10, 6, 55, 46)),
        (b"Feb  3 06:05:04 h x", unix(2024, 2, 3, 6, 5, 4)),
        (b"<34>Feb  3 06:05:04 h x", unix(2024, 2, 3, 6, 5, 4)),
        (b"2024-01-02T03:04:05Z h x", unix(2024, 1, 2, 3, 4, 5)),
        (b"2024-01-02T03:04:05.250+01:00 h x", unix(2024, 1, 2, 2, 4, 5) + 0.25),
        (b"2024-01-02T03:04:05-0530 h", unix(2024, 1, 2, 8, 34, 5)),
        (b"2024-01-02T03:04:05+01 h", unix(2024, 1, 2, 2, 4, 5)),
        (b"2024-01-02 03:04:05,500 INFO", unix(2024, 1, 2, 3, 4, 5) + 0.5),
        (b"2024-01-02 03:04:05.500 UTC [7] LOG", unix(2024, 1, 2, 3, 4, 5) + 0.5),
        (b"2024-01-02 03:04:05 +0100 x", unix(2024, 1, 2, 2, 4, 5)),
        (b"[2024-01-02 03:04:05] x", unix(2024, 1, 2, 3, 4, 5)),
        (b"<34>1 2003-10-11T22:14:15.003Z h", unix(2003, 10, 11, 22, 14, 15) + 0.003),
        (b"2024/01/02 03:04:05 [error] 7#7", unix(2024, 1, 2, 3, 4, 5)),
        (b"[Sun Dec 04 04:47:44 2005] [notice] x", unix(2005, 12, 4, 4, 47, 44)),
        (b"[Sun Dec 04 04:47:44.5 2005] [x] y", unix(2005, 12, 4, 4, 47, 44) + 0.5),
        (
            b'127.0.0.1 - bob [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200',
            unix(2000, 10, 10, 20, 55, 36),
        ),
        (b"1700000000 x", 1700000000.0),
        (b"1700000000.500 x", 1700000000.5),
        (b"2016-12-31T23:59:60Z leap", unix(2017, 1, 1)),
    ],
)
def test_the_dialects_of_time_are_read(text, when):
    assert Timestamps(unix(2024, 3, 1)).read(text) == pytest.approx(when, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no time",
        b"[   12.345678] kernel: up",
        b"2024-02-30 03:04:05 x",
        b"2024-13-01 03:04:05 x",
        b"2024-01-02 25:04:05 x",
        b"2024-01/02 03:04:05 x",
        b"2024-01-02T03:04:05+99:99 x",
        b"0024-01-02 03:04:05 x",
        b"Foo 10 06:55:46 x",
        b"Feb 30 06:55:46 x",
        b"Dec 10 06:55:466 x",
        b"12345 x",
        b"x" * 600 + b"[10/Oct/2000:13:55:36 -0700]",
    ],
)
def test_what_is_no_time_is_unknown(text):
    assert Timestamps(unix(2024, 3, 1)).read(text) == 0.0


def test_december_is_followed_by_january_of_the_next_year():
    times = Timestamps(unix(2024, 6, 1))
    assert times.read(b"Dec 31 23:59:59 h") == unix(2023, 12, 31, 23, 59, 59)
    assert times.read(b"Jan  1 00:00:00 h") == unix(2024, 1, 1)


def test_a_line_that_is_a_little_late_jumps_no_year():
    times = Timestamps(unix(2024, 6, 1))
    assert times.read(b"Jan  1 00:00:01 h") == unix(2024, 1, 1, 0, 0, 1)
    assert times.read(b"Dec 31 23:59:59 h") == unix(2023, 12, 31, 23, 59, 59)


def test_the_first_line_is_not_after_the_hint_but_for_a_day():
    assert Timestamps(unix(2024, 6, 1)).read(b"Jun  1 12:00:00 h") > unix(2024, 6, 1)
    assert Timestamps(unix(2024, 6, 1)).read(b"Jun  4 12:00:00 h") == unix(
        2023, 6, 4, 12
    )


def test_the_29th_of_february_is_in_a_leap_year_or_unknown():
    assert Timestamps(unix(2025, 1, 1)).read(b"Feb 29 00:00:00") == unix(2024, 2, 29)
    assert Timestamps(unix(2022, 6, 1)).read(b"Feb 29 00:00:00") == 0.0


def test_the_readers_zone_holds_where_none_is_written():
    zone = dt.timezone(dt.timedelta(hours=2))
    times = Timestamps(unix(2024, 3, 1), zone)
    assert times.read(b"2024-01-02 03:04:05 x") == unix(2024, 1, 2, 1, 4, 5)
    assert times.read(b"2024-01-02 03:04:05Z x") == unix(2024, 1, 2, 3, 4, 5)
    assert times.read(b"Jan  2 03:04:05 x") == unix(2024, 1, 2, 1, 4, 5)


def test_lines_of_one_second_differ_by_their_fractions():
    times = Timestamps()
    first, second = (times.read(b"2024-01-02 03:04:05.%d x" % n) for n in (1, 2))
    assert second - first == pytest.approx(0.1, abs=1e-6)
