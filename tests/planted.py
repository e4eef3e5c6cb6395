"""Lines of many programs with secrets planted in them, made by seeded dice.

The templates are tests/samples/planted.txt; here is what their marks become. A mark
«…» is a secret in the form in which it stands in the line: typed by a person (typed,
word, plain), written as some language writes it (sq, dq, sql, json, pct, xml), or made
by a machine (hex40, b64url20, uuid); §…§ is what may be told. A secret is recorded as
it stands in the line, for that is what could leak.
"""

import base64
import json
import random
import re
import string
import urllib.parse
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

SAMPLES = Path(__file__).parent / "samples"
HEADS = (
    "Nov 21 12:00:{:02} web1 ",
    "2026-11-21T12:00:{:02}.123456+01:00 web1 ",
    "2026-11-21T12:00:{:02}Z web1.example.org ",
)
_MARK = re.compile("[«§](\\w+)[»§]")
_ALNUM = string.ascii_letters + string.digits
_SIGNS = {"word": "@%+=._~!-#^", "plain": ""}
_ANY_SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
_ALPHABETS = {
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "alnum": _ALNUM,
    "alpha": string.ascii_letters,
    "UPPER": string.ascii_uppercase + "234567",
    "digits": string.digits,
    "b64": _ALNUM + "+/",
    "b64_": _ALNUM + "+/",
    "b64x": _ALNUM + "./",
    "b64url": _ALNUM + "-_",
}
_USERS = ("root", "alice", "bob", "deploy", "www-data")


class Planted(NamedTuple):
    """A line, what of it nobody may see, and the template that it was made of."""

    line: bytes
    secrets: tuple[bytes, ...]
    template: str


def templates() -> list[str]:
    """Return all templates."""
    lines = (SAMPLES / "planted.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def planted(seed: int, rounds: int = 2) -> list[Planted]:
    """Return a line of each template, as often as there are rounds."""
    rng = random.Random(seed)
    return [_planted(rng, template) for _ in range(rounds) for template in templates()]


def pieces(secret: bytes, size: int = 8) -> set[bytes]:
    """Return all parts of a secret that are so long; the secret, if it is shorter.

    A part of a number could be that of any other number.
    """
    if secret.isdigit():
        return {secret}
    return {secret[at : at + size] for at in range(max(1, len(secret) - size + 1))}


def _planted(rng: random.Random, template: str) -> Planted:
    secrets: list[bytes] = []

    def filled(mark: re.Match[str]) -> str:
        if mark[0].startswith("§"):
            return _known(rng, mark[1])
        made = _secret(rng, mark[1])
        secrets.append(made.encode())
        return made

    text = _MARK.sub(filled, template)
    head = rng.choice(HEADS).format(rng.randrange(60))
    line = text[1:] if text.startswith("|") else head + text
    return Planted(line.encode(), tuple(secrets), template)


def _known(rng: random.Random, kind: str) -> str:
    made = {
        "ip": f"203.0.113.{rng.randint(1, 254)}",
        "host": f"host{rng.randint(1, 99)}.example.net",
        "user": rng.choice(_USERS),
        "pid": str(rng.randint(300, 32000)),
        "port": str(rng.randint(1024, 65535)),
        "digits9": str(rng.randint(10**8, 10**9 - 1)),
    }
    return made[kind]


def _secret(rng: random.Random, kind: str) -> str:
    if kind in _WRITTEN:
        return _WRITTEN[kind](_typed(rng, _ANY_SIGNS + " "))
    if kind in _SIGNS:
        return _typed(rng, _SIGNS[kind])
    if kind in _MADE:
        return _MADE[kind](rng)
    found = re.fullmatch(r"(\w*[A-Za-z_])(\d+)", kind)
    assert found, kind
    return _drawn(rng, found[1], int(found[2]))


def _drawn(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(_ALPHABETS[alphabet], k=length))


def _typed(rng: random.Random, signs: str) -> str:
    """Return a password as people have them; perhaps a phrase, if spaces may be."""
    if " " in signs and rng.random() < 0.2:
        words = ["".join(rng.choices(_SYLLABLES, k=3)) for _ in range(4)]
        return " ".join(words)
    letters = _ALNUM + ("ü" if '"' in signs else "")
    # Two of three have signs within; the ends are letters mostly, but not always.
    inner = letters + (signs * 2 if rng.random() < 0.67 else "")
    made = "".join(rng.choices(inner, k=rng.randint(8, 20)))
    ends = letters + signs.replace(" ", "").replace("-", "")
    first, last = rng.choices(ends, k=2)
    return first + made + last


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_quotes(text: str, quote: str) -> str:
    return re.sub(rf"[\\{quote}]", r"\\\g<0>", text)


_WRITTEN = {
    "typed": str,
    "sq": lambda text: text.replace("'", "'\\''"),
    "dq": lambda text: re.sub(r'[\\"$`]', r"\\\g<0>", text),
    "pyq": lambda text: _in_quotes(text, "'"),
    "sql": lambda text: text.replace("\\", "\\\\").replace("'", "''"),
    "json": _in_json,
    "jsonjson": lambda text: _in_json(_in_json(text)),
    "pct": lambda text: urllib.parse.quote(text, safe=""),
    "pctpct": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe="")),
    "form": urllib.parse.quote_plus,
    "xml": lambda text: escape(text, {'"': "&quot;"}),
    "b64typed": _base64,
    "HEXtyped": lambda text: text.encode().hex().upper(),
}
_MADE = {
    "uuid": lambda rng: "-".join(_drawn(rng, "hex", n) for n in (8, 4, 4, 4, 12)),
    "pct44": lambda rng: urllib.parse.quote(_drawn(rng, "b64", 43) + "=", safe=""),
    "b64userpass": lambda rng: _base64(
        rng.choice(_USERS) + ":" + _typed(rng, _ANY_SIGNS)
    ),
}
