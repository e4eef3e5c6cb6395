"""Keys in files and tokens: every slip is told, and no key is ever shown."""

import base64
import subprocess
import sys

import msgspec
import pytest

from peep.errors import ConfigError
from peep.protocol import keys
from peep.protocol.keys import (
    ClassKey,
    format_key_file,
    key_id,
    make_token,
    parse_key_file,
    parse_token,
)

SECRET = bytes(range(100, 132))
TEXT = base64.b64encode(SECRET).decode()
KEY = ClassKey("web.example.org", SECRET, "made on ada, May 2031")
LOCATOR = "peep://ada.example.org:2001"
FROZEN = (
    "peep1:k6pwZWVwOi8vYWRho3dlYsQgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAStS1r"
)


def problem(call, *arguments):
    with pytest.raises(ConfigError) as refused:
        call(*arguments)
    (line,) = refused.value.problems
    assert "\n" not in line
    assert TEXT[:8] not in line
    assert refused.value.__cause__ is None
    return line


def token_of(*fields):
    body = msgspec.msgpack.encode(fields)
    data = body + keys._check(body)
    return "peep1:" + base64.urlsafe_b64encode(data).decode()


def test_a_key_file_is_one_line_class_key_comment():
    assert format_key_file(KEY) == f"web.example.org {TEXT} made on ada, May 2031\n"
    assert parse_key_file(format_key_file(KEY)) == KEY
    assert parse_key_file(f"web.example.org {TEXT}") == ClassKey(
        "web.example.org", SECRET
    )
    assert parse_key_file(f"  web\t{TEXT}   two words \r\n\n").comment == "two words"


def test_a_comment_may_be_as_long_as_allowed_in_any_script():
    key = ClassKey("c" * 64, SECRET, "𝄞" * keys.MAX_COMMENT_LENGTH)
    text = format_key_file(key)
    assert len(text.encode()) <= keys.MAX_KEY_FILE_BYTES
    assert parse_key_file(text).comment == key.comment


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "one line, not 0"),
        (" \n\n", "one line, not 0"),
        (f"web {TEXT}\nmail {TEXT}\n", "one line, not 2"),
        (TEXT, "holds a class, its key in base64"),
        (f"{TEXT} web", "second word is not a key"),
        (f"web {TEXT[:-1]}", "second word is not a key"),
        (f"web {TEXT[:-2]}==", "second word is not a key"),
        (f"web {TEXT[:-2]}9=", "second word is not a key"),
        (f"web {TEXT[:-5]}!!!! {TEXT}", "second word is not a key"),
        (f"web é{TEXT[1:]}", "second word is not a key"),
        (f"web {base64.b64encode(bytes(33)).decode()}", "second word is not a key"),
        (f"web\x07 {TEXT}", "64 printable ASCII characters"),
        (f"{'w' * 65} {TEXT}", "64 printable ASCII characters"),
        (f"web {TEXT} bell \x07", "without control characters"),
        (f"web {TEXT} {'c' * 201}", "at most 200 characters"),
        (f"web {TEXT} {'c' * 1024}", "at most 1024 bytes"),
    ],
)
def test_a_key_file_that_is_none_is_told_in_one_line_without_the_key(text, told):
    assert told in problem(parse_key_file, text)


def test_a_key_is_never_in_a_repr_or_a_message():
    for text in (repr(KEY), str(KEY), f"{KEY!s} {[KEY]}"):
        assert TEXT not in text
        assert repr(SECRET)[2:-1] not in text
        assert SECRET.hex() not in text
        assert f"{KEY.key_id:08x}" in text


@pytest.mark.parametrize(
    ("class_name", "secret", "comment"),
    [
        ("", SECRET, ""),
        ("two words", SECRET, ""),
        ("web\n", SECRET, ""),
        ("wéb", SECRET, ""),
        ("web", SECRET[:-1], ""),
        ("web", SECRET + b"!", ""),
        ("web", SECRET, "two\nlines"),
        ("web", SECRET, " space before"),
        ("web", SECRET, "\udcff"),
    ],
)
def test_what_cannot_be_written_to_a_file_cannot_be_a_key(class_name, secret, comment):
    problem(ClassKey, class_name, secret, comment)


def test_a_key_id_is_a_hash_of_the_key_alone():
    # Frozen: an id that changed would part every agent from its server.
    assert key_id(bytes(32)) == 0x0CA43980
    assert key_id(SECRET) == KEY.key_id == ClassKey("mail", SECRET).key_id
    assert key_id(SECRET) != key_id(bytes(32))
    assert int.from_bytes(SECRET[:4]) != key_id(SECRET)


def test_a_key_id_that_would_be_zero_is_one(monkeypatch):
    class Hashed:
        def digest(self):
            return bytes(32)

    monkeypatch.setattr(keys.hashlib, "blake2s", lambda *_, **__: Hashed())
    assert key_id(SECRET) == 1


def test_a_token_carries_locator_class_and_key_but_no_comment():
    token = make_token(LOCATOR, KEY)
    assert token == token.strip()
    assert len(token.split()) == 1
    assert parse_token(token) == (LOCATOR, ClassKey("web.example.org", SECRET))


def test_a_token_is_frozen_so_that_one_made_today_is_read_tomorrow():
    assert make_token("peep://ada", ClassKey("web", bytes(32))) == FROZEN
    assert parse_token(FROZEN) == ("peep://ada", ClassKey("web", bytes(32)))


def test_a_token_broken_by_a_mail_is_whole_again():
    token = make_token(LOCATOR, KEY)
    assert parse_token(f"  {token[:40]}\r\n {token[40:]}\n") == parse_token(token)


def test_the_longest_token_fits_the_bound():
    locator = "peep://" + "h" * (keys.MAX_LOCATOR_LENGTH - 7)
    token = make_token(locator, ClassKey("c" * 64, SECRET))
    assert len(token) <= keys.MAX_TOKEN_LENGTH
    assert parse_token(token)[0] == locator


def test_a_token_cut_short_anywhere_is_told():
    token = make_token(LOCATOR, KEY)
    for length in range(len(token)):
        told = problem(parse_token, token[:length])
        assert ("cut short or mistyped" in told) is (length >= 6)


@pytest.mark.parametrize("other", "A_x=\x00é")
def test_a_token_with_any_one_character_mistyped_is_told(other):
    token = make_token(LOCATOR, KEY)
    for at in range(len(token)):
        if token[at] != other:
            problem(parse_token, token[:at] + other + token[at + 1 :])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a token"),
        (TEXT, "not a token"),
        ("peep2:AAAA", "not a token"),
        ("peep1:", "cut short"),
        (make_token(LOCATOR, KEY) * 9, "too long"),
        ("peep1:" + "A" * 10**6, "too long"),
        (token_of(), "does not hold"),
        (token_of(LOCATOR, "web"), "does not hold"),
        (token_of(LOCATOR, "web", 7), "does not hold"),
        (token_of(LOCATOR, 7, SECRET), "does not hold"),
        (token_of(LOCATOR, msgspec.Raw(b"\xa1\xff"), SECRET), "does not hold"),
        (token_of(LOCATOR, "web", SECRET[1:]), "a key has 32 bytes, not 31"),
        (token_of(LOCATOR, "web\n", SECRET), "printable ASCII"),
        (token_of("http://ada", "web", SECRET), "a locator is"),
        (token_of("peep://ada\n", "web", SECRET), "a locator is"),
        (token_of("peep://", "web", SECRET), "a locator is"),
    ],
)
def test_a_word_that_is_no_token_is_told_in_one_line_without_the_key(text, told):
    assert told in problem(parse_token, text)


@pytest.mark.parametrize("locator", ["ada", "peep://a b", "peep://" + "h" * 262])
def test_no_token_is_made_with_what_is_no_locator(locator):
    assert "a locator is" in problem(make_token, locator, KEY)


def test_what_a_later_version_adds_to_a_token_is_passed_over():
    token = token_of(LOCATOR, "web", SECRET, "more")
    assert parse_token(token) == (LOCATOR, ClassKey("web", SECRET))


def test_keys_are_read_without_loading_any_cryptography():
    program = (
        "import sys, peep.protocol.keys, peep.config.keyring\n"
        "assert 'cryptography' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=15)
