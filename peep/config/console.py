"""Where the console listens: `server.console`, and --console."""

import ipaddress
import re

import msgspec

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_MAX_PORT = 65_535


class ConsoleSettings(msgspec.Struct, frozen=True):
    """A host and a port; port None is 2080 or a free one, `address` None no console."""

    address: tuple[str, int | None] | None = ("127.0.0.1", None)


def read_console(text: str) -> ConsoleSettings | None:
    """Read HOST, HOST:PORT, [V6]:PORT or off; None if it is none of these."""
    if text == "off":
        return ConsoleSettings(None)
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not _is_host(host) or (text != host and not port and not text.endswith("]")):
        return None
    if not port:
        return ConsoleSettings((host, None))
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= _MAX_PORT):
        return None
    return ConsoleSettings((host, int(port)))


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_NAME.fullmatch(text))
    return True
