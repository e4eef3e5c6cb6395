"""Who may come in: a token where strangers could knock, and no other site's pages.

On the loopback address everybody is let in who calls it by a loopback name: a page of
another site that had its name point here (DNS rebinding) does not. Everywhere else the
token is asked for: once in the address (`?token=…`), then in a cookie; a player or a
script may send `Authorization: Bearer` instead.

A browser says where a WebSocket or a form comes from (Origin): it must be this site.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

COOKIE: Final = "peep-token"
_PORT = re.compile(r":[0-9]{1,5}$")


def is_loopback(host: str) -> bool:
    """Say whether a name or address, as in a URL, is this machine for sure."""
    name = host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Gate:
    """Judges requests by their headers, whose names are in lower case."""

    def __init__(self, token: str | None) -> None:
        """Ask for a token; without one, for a loopback name."""
        self._token = token

    def admits(
        self, headers: Mapping[str, str], cookie: str | None, query: str | None
    ) -> bool:
        """Say whether a request may come in; `query` is its token parameter."""
        host = headers.get("host", "")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return False
        if self._token is None:
            return is_loopback(_PORT.sub("", host))
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = (cookie, query, bearer if scheme.lower() == "bearer" else None)
        return any(self._is_token(one) for one in given if one is not None)

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        # Comparing must not tell how much was right.
        return hmac.compare_digest(given.encode(), self._token.encode())
