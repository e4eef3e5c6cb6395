"""What can be looked at on the network, as an operator writes it.

`gw` or `icmp://gw`, `tcp://db1:5432`, `https://shop/health`, and for a name server
`dns://192.0.2.53/example.org`, also with `?type=AAAA`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from peep.agent.sources import dns_query
from peep.agent.sources.probes import Target
from peep.config.problems import hint, shown
from peep.signals import MAX_NAME_LENGTH, name_problem

if TYPE_CHECKING:
    from peep.config.document import Node

STATE = "ping.latency"  # and a target's name


class _Scheme(NamedTuple):
    port: int
    low_ms: float  # a latency that is nothing
    high_ms: float  # one that is as much as can be heard


_SCHEMES = {
    "icmp": _Scheme(0, 1, 200),
    "tcp": _Scheme(0, 1, 300),
    "http": _Scheme(80, 20, 2000),
    "https": _Scheme(443, 20, 2000),
    "dns": _Scheme(53, 1, 500),
}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9a-fA-F:.]{2,45}(%\w{1,15})?")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


def check_target(node: Node) -> Target | None:
    """Read a text, or `{target, name, low_ms, high_ms, status, verify, ca}`."""
    if not node.is_mapping:
        text = node.text()
        return _parsed(node, text) if text else None
    keys = node.section("target", "name", "low_ms", "high_ms", "status", "verify", "ca")
    text = keys["target"].text()
    parsed = _parsed(keys["target"], text) if text else None
    if parsed is None:
        return None
    name = keys["name"].text(parsed.name)
    wrong = name_problem(f"{STATE}.{name}")
    if wrong:
        keys["name"].problem(f"{shown(name)} is {wrong}")
    low_ms = keys["low_ms"].number(parsed.low_ms, low=0.0, high=60_000.0)
    high_ms = keys["high_ms"].number(parsed.high_ms, low=0.0, high=60_000.0)
    if low_ms >= high_ms:
        keys["high_ms"].problem("must be above `low_ms`")
    ca = keys["ca"].text("")
    if ca and not ca.startswith("/"):
        keys["ca"].problem("needs an absolute path")
    return msgspec.structs.replace(
        parsed,
        name=name,
        low_ms=low_ms,
        high_ms=high_ms,
        status=tuple(at.integer(low=100, high=599) for at in keys["status"].nodes()),
        verify=keys["verify"].flag(default=True),
        ca=ca,
    )


def _parsed(node: Node, text: str) -> Target | None:
    """Return the target that a text names; else there is a problem at the node."""
    try:
        url = urlsplit(text if "://" in text else f"icmp://{text}")
        port = url.port
    except ValueError as problem:
        node.problem(f"{shown(text)}: {problem}")
        return None
    if url.scheme not in _SCHEMES:
        node.problem(f"unknown kind {shown(url.scheme)}{hint(url.scheme, _SCHEMES)}")
        return None
    usual = _SCHEMES[url.scheme]
    wrong = _wrong(url, port)
    if wrong:
        node.problem(f"{shown(text)}: {wrong}")
        return None
    # The zone of a link-local address, escaped as in all URLs.
    host = (url.hostname or "").replace("%25", "%")
    named = port not in (None, usual.port)
    asked = url.path.removeprefix("/") if url.scheme == "dns" else ""
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    words = f"{asked or host} {port if named else ''}".lower()
    return Target(
        name=_NOT_IN_NAMES.sub("-", words).strip("-")[
            : MAX_NAME_LENGTH - len(STATE) - 1
        ],
        scheme=url.scheme,
        host=host,
        port=port or usual.port,
        path=path if url.scheme.startswith("http") else "/",
        asked=asked,
        record=url.query.removeprefix("type=") or "A",
        low_ms=usual.low_ms,
        high_ms=usual.high_ms,
    )


def _wrong(url: SplitResult, port: int | None) -> str:  # noqa: PLR0911 - a list
    """Say why there can be no such target, or nothing."""
    is_web = url.scheme.startswith("http")
    record = url.query.removeprefix("type=") or "A"
    if not _HOST.fullmatch(url.hostname or ""):
        return "names no host"
    if url.username is not None:
        return "a password would be seen by all; there is no place for one"
    if url.scheme == "tcp" and not port:
        return "needs a port, as in tcp://db1:5432"
    if is_web and not (url.path + url.query).isascii():
        return "other characters than ASCII are written as %XX"
    if url.scheme == "dns" and not dns_query.is_name(url.path.removeprefix("/")):
        return "needs a name to ask for, as in dns://192.0.2.53/example.org"
    if url.scheme == "dns" and record not in dns_query.TYPES:
        return f"unknown type {shown(record)}{hint(record, dns_query.TYPES)}"
    return ""
