"""Keys: what is written is read again, and any text whatever is survived."""

import base64

from hypothesis import example, given
from hypothesis import strategies as st

from peep.errors import ConfigError
from peep.protocol import keys
from peep.protocol.keys import (
    ClassKey,
    format_key_file,
    make_token,
    parse_key_file,
    parse_token,
)

class_names = st.from_regex(r"\A[!-~]{1,64}\Z")
secrets = st.binary(min_size=32, max_size=32)
comments = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")).map(
    lambda text: text.strip()[:200].strip()
)
class_keys = st.builds(ClassKey, class_names, secrets, comments)
locators = st.from_regex(r"\Apeep://[!-~]{1,261}\Z")


def complaints(call, text):
    """What it says of a text that it refuses, or nothing."""
    try:
        call(text)
    except ConfigError as refused:
        return refused.problems
    return []


@given(class_keys)
@example(ClassKey("#web", bytes(32), "# 'quoted' \"too\""))
def test_every_key_comes_out_of_its_file_as_it_went_in(key):
    text = format_key_file(key)
    assert text.count("\n") == 1
    assert parse_key_file(text) == key


@given(locators, class_keys)
def test_every_token_brings_over_locator_class_and_key(locator, key):
    token = make_token(locator, key)
    assert token.isascii()
    assert token.isprintable()
    assert parse_token(token) == (locator, ClassKey(key.class_name, key.secret))


@given(class_keys)
def test_no_key_is_in_its_repr(key):
    assert base64.b64encode(key.secret).decode() not in repr(key)
    assert 0 < key.key_id < 2**32


@given(st.text() | st.builds("web {}".format, st.text()))
def test_any_text_whatever_is_a_key_file_or_one_line_of_complaint(text):
    told = complaints(parse_key_file, text)
    assert len(told) == 1 or format_key_file(parse_key_file(text))


@given(
    st.text()
    | st.builds("peep1:{}".format, st.text())
    | st.binary(max_size=60).map(
        lambda body: (
            "peep1:" + base64.urlsafe_b64encode(body + keys._check(body)).decode()
        )
    )
)
def test_any_text_whatever_is_a_token_or_one_line_of_complaint(text):
    told = complaints(parse_token, text)
    assert len(told) == 1 or make_token(*parse_token(text))


@given(locators, class_keys, st.data())
def test_a_token_with_two_characters_exchanged_is_refused(locator, key, data):
    token = make_token(locator, key)
    at = data.draw(st.integers(6, len(token) - 2))
    wrong = token[:at] + token[at + 1] + token[at] + token[at + 2 :]
    if wrong == token:
        return
    told = complaints(parse_token, wrong)
    assert told == ["this token was cut short or mistyped"]
