"""The key of a class, and the two forms in which people carry one.

A *key file* is one line: the class, the key in base64, a comment of any words.

    web.example.org kPVj…XQ0= made on ada, May 2031

A *token* is one word that enrols a host: where a server is, the class, the key.

    peep1:<base64url of body and checksum>

The body is a msgpack array of the three, as in packets.py; the checksum tells a slip in
copying from a true token. It is no signature: whoever has a token has the key.

The *key id* stands in a datagram's header and says which key seals it. It is a hash, so
it tells nothing of the key, and 32 bits, so two keys may share one by chance: a ring of
keys refuses the second (peep/config/keyring.py).

No error and no repr in this module shows a key, nor anything else from a text that was
refused: a key may stand in the wrong place there. Every problem is one line for people,
a ConfigError.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta

from peep.errors import ConfigError

SECRET_BYTES = 32  # 256 bits, drawn by a machine: nothing to guess
MAX_COMMENT_LENGTH = 200  # characters; room for who, where and when
# "peep://", a DNS name, the brackets of an IPv6 address, a port.
MAX_LOCATOR_LENGTH = len("peep://") + 253 + len("[]:65535")
MAX_KEY_FILE_BYTES = 1024  # class, key and a comment of 4-byte characters take 911
MAX_TOKEN_LENGTH = 512  # the longest locator and class take 510

_TOKEN_PREFIX = "peep1:"  # noqa: S105 - no password
_CHECK_BYTES = 4  # one slip in four thousand million goes unseen
# "Personalization" keeps the uses of one hash apart (RFC 7693, 2.8; 8 bytes).
_PERSON_KEY_ID = b"peep-kid"
_PERSON_CHECK = b"peep-tok"

# The class names of packets.py, whole: a line break at the end is none.
_CLASS_NAME = re.compile(r"[!-~]{1,64}")
_LOCATOR = re.compile(r"peep://[!-~]+")


@dataclass(frozen=True, slots=True, repr=False)
class ClassKey:
    """A class and one of its keys; ConfigError if it cannot be one."""

    class_name: str
    secret: bytes
    comment: str = ""
    key_id: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not _CLASS_NAME.fullmatch(self.class_name):
            raise _error("a class has 1 to 64 printable ASCII characters, no spaces")
        if len(self.secret) != SECRET_BYTES:
            raise _error(f"a key has {SECRET_BYTES} bytes, not {len(self.secret)}")
        if len(self.comment) > MAX_COMMENT_LENGTH:
            raise _error(f"a comment has at most {MAX_COMMENT_LENGTH} characters")
        # Surrogates are not printable either, so a comment can always be written.
        if not self.comment.isprintable() or self.comment != self.comment.strip():
            raise _error("a comment is one line without control characters")
        object.__setattr__(self, "key_id", key_id(self.secret))

    def __repr__(self) -> str:
        return f"ClassKey({self.class_name!r}, key id {self.key_id:08x})"


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """What a token holds; ClassKey and `_check_locator` say more about it."""

    locator: Annotated[str, Meta(max_length=MAX_LOCATOR_LENGTH)]
    class_name: str
    secret: bytes


_TOKEN = msgspec.msgpack.Decoder(_Token)


def key_id(secret: bytes) -> int:
    """Return the 32 bits that name a key in a header; never 0, which means open."""
    digest = hashlib.blake2s(secret, person=_PERSON_KEY_ID).digest()
    return int.from_bytes(digest[:4]) or 1


def parse_key_file(text: str) -> ClassKey:
    """Return the key of a key file; ConfigError with one line if it is not one."""
    if len(text) > MAX_KEY_FILE_BYTES:
        raise _error(f"a key file has at most {MAX_KEY_FILE_BYTES} bytes")
    lines = text.strip().splitlines()
    if len(lines) != 1:
        raise _error(f"a key file has one line, not {len(lines)}")
    class_name, *rest = lines[0].split(maxsplit=2)
    if not rest:
        raise _error("a key file holds a class, its key in base64, and a comment")
    secret = _unbase64(rest[0], b"+/")
    if secret is None or len(secret) != SECRET_BYTES:
        raise _error(f"the second word is not a key: {SECRET_BYTES} bytes in base64")
    return ClassKey(class_name, secret, "".join(rest[1:]))


def format_key_file(key: ClassKey) -> str:
    """Return the text of a key file, with its line end."""
    secret = base64.b64encode(key.secret).decode()
    return f"{key.class_name} {secret} {key.comment}".rstrip() + "\n"


def make_token(locator: str, key: ClassKey) -> str:
    """Return the word that enrols a host; ConfigError for what is no locator.

    The comment stays behind.
    """
    _check_locator(locator)
    body = msgspec.msgpack.encode(_Token(locator, key.class_name, key.secret))
    return _TOKEN_PREFIX + base64.urlsafe_b64encode(body + _check(body)).decode()


def parse_token(text: str) -> tuple[str, ClassKey]:
    """Return locator and key; ConfigError with one line if it is not a token.

    White space is passed over: a mail may have broken the word in two.
    """
    word = "".join(text[: 2 * MAX_TOKEN_LENGTH].split())
    if not word.startswith(_TOKEN_PREFIX):
        raise _error(f"this is not a token: it begins with {_TOKEN_PREFIX}")
    if len(word) > MAX_TOKEN_LENGTH:
        raise _error("this token is too long: was something else pasted with it?")
    data = _unbase64(word.removeprefix(_TOKEN_PREFIX), b"-_")
    if data is None or _check(data[:-_CHECK_BYTES]) != data[-_CHECK_BYTES:]:
        raise _error("this token was cut short or mistyped")
    try:
        token = _TOKEN.decode(data[:-_CHECK_BYTES])
    # A msgspec decoder lets UnicodeDecodeError through (see wire.py).
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _error("this token does not hold a locator, a class and a key") from None
    _check_locator(token.locator)
    return token.locator, ClassKey(token.class_name, token.secret)


def _check(body: bytes) -> bytes:
    hashed = hashlib.blake2s(body, digest_size=_CHECK_BYTES, person=_PERSON_CHECK)
    return hashed.digest()


def _check_locator(locator: str) -> None:
    if len(locator) > MAX_LOCATOR_LENGTH or not _LOCATOR.fullmatch(locator):
        raise _error("a locator is peep://HOST or peep://HOST:PORT")


def _unbase64(text: str, alternatives: bytes) -> bytes | None:
    """Return the bytes, or None unless this is how they are written, to the letter.

    The module takes other alphabets and loose bits at the end, where a slip may hide.
    """
    try:
        data = base64.b64decode(text, altchars=alternatives, validate=True)
    except ValueError:
        return None
    again = base64.b64encode(data, altchars=alternatives).decode()
    return data if again == text else None


def _error(problem: str) -> ConfigError:
    return ConfigError([problem])
