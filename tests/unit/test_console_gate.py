"""Who is let in to the console, and where it listens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.config.console import ConsoleSettings, read_console
from peep.config.quiet import QuietSpan
from peep.console.gate import Gate, is_loopback
from peep.console.tokens import token_in

TOKEN = "s3cret"  # the test's own


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:2080", "127.0.0.1:2080", "127.9.9.9", "[::1]:2080"]
)
def test_on_loopback_whoever_calls_it_by_a_loopback_name_is_let_in(host):
    assert Gate(None).admits({"host": host}, None, None)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:2080", "localhost.evil.example", "", "10.1.1.1"],
)
def test_a_name_that_was_made_to_point_here_is_not_let_in(host):
    assert not Gate(None).admits({"host": host}, None, None)


def test_with_a_token_it_is_asked_for_in_any_of_its_three_places():
    gate = Gate(TOKEN)
    headers = {"host": "noc.example:2080"}
    assert gate.admits(headers, TOKEN, None)
    assert gate.admits(headers, None, TOKEN)
    assert gate.admits({**headers, "authorization": f"Bearer {TOKEN}"}, None, None)
    assert gate.admits({**headers, "authorization": f"bearer {TOKEN}"}, "old", None)


@pytest.mark.parametrize("given_", [None, "", "s3cre", "s3crett", "s3cret "])
def test_without_it_nobody_is_let_in_not_even_from_here(given_):
    gate = Gate(TOKEN)
    headers = {"host": "127.0.0.1:2080"}
    assert not gate.admits(headers, given_, given_)
    assert not gate.admits({**headers, "authorization": f"Bearer {given_}"}, None, None)
    basic = {**headers, "authorization": f"Basic {TOKEN}"}
    assert not gate.admits(basic, None, None)


@pytest.mark.parametrize("token", [None, TOKEN])
def test_another_sites_page_is_not_let_in(token):
    gate = Gate(token)
    headers = {"host": "localhost:2080"}
    same = {**headers, "origin": "http://localhost:2080"}
    other = {**headers, "origin": "http://evil.example"}
    assert gate.admits(same, TOKEN, None)
    assert not gate.admits(other, TOKEN, None)
    assert not gate.admits({**headers, "origin": "null"}, TOKEN, None)


@given(st.text(), st.text(), st.none() | st.text(), st.none() | st.text())
def test_no_headers_whatever_open_it_without_the_token(host, bearer, cookie, query):
    headers = {"host": host, "authorization": f"Bearer {bearer}"}
    assert TOKEN in (bearer, cookie, query) or not Gate(TOKEN).admits(
        headers, cookie, query
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", None),
        ("127.0.0.1", ("127.0.0.1", None)),
        ("0.0.0.0:2099", ("0.0.0.0", 2099)),
        ("::1", ("::1", None)),
        ("[::1]:2080", ("::1", 2080)),
        ("[::]", ("::", None)),
        ("noc.example.org:80", ("noc.example.org", 80)),
    ],
)
def test_a_consoles_address_is_read(text, address):
    assert read_console(text) == ConsoleSettings(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "host:",
        "host:0",
        "host:65536",
        "host:x",
        "[::1",
        "[::1]2",
        "a b",
        "h:²",
    ],
)
def test_what_is_no_address_is_refused(text):
    assert read_console(text) is None


@given(st.text())
def test_no_text_whatever_breaks_the_reading_of_an_address(text):
    found = read_console(text)
    assert found is None or found.address is None or found.address[0] in text
    assert is_loopback(text) in (True, False)


def test_a_token_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    directory = tmp_path / "state"
    token = token_in(directory)
    assert len(token) >= 32
    assert token_in(directory) == token
    assert (directory / "console.token").stat().st_mode & 0o077 == 0
    assert token_in(tmp_path) != token


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-07:00", [22 * 60, 0, 7 * 60 - 1], [7 * 60, 22 * 60 - 1, 720]),
        ("9:30-17:00", [9 * 60 + 30, 17 * 60 - 1], [9 * 60 + 29, 17 * 60, 0]),
        ("00:00-24:00", [0, 720, 1439], []),
    ],
)
def test_a_span_of_the_day_covers_its_minutes(text, inside, outside):
    span = QuietSpan.parse(text)
    assert all(span.covers(minute) for minute in inside)
    assert not any(span.covers(minute) for minute in outside)


@pytest.mark.parametrize(
    "text", ["", "22-7", "22:00", "25:00-07:00", "7:00-7:00", "1:00-24:30"]
)
def test_what_is_no_span_is_none(text):
    assert QuietSpan.parse(text) is None
