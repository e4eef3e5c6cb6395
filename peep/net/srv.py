"""DNS SRV as a source of servers: `_peep._udp.<domain>` (RFC 2782).

The look-up is dnspython's: pure Python without dependencies of its own, it knows
resolv.conf, several resolvers, truncated answers and hostile bytes. It is an extra, and
loaded only where a domain is asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from peep.errors import PeepError
from peep.net.locators import MAX_ADDRESSES, Locator, resolve

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

    from peep.protocol.addresses import Address

SERVICE = "_peep._udp"
LOOK_UP_S = 10.0  # over all resolvers and repetitions
_MAX_DOMAIN_LENGTH = 253 - len(SERVICE) - 1
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def domain_problem(domain: str) -> str | None:
    """Say what is wrong with a domain's name, or None."""
    labels = domain.removesuffix(".").split(".")
    if len(domain) > _MAX_DOMAIN_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        return "is no domain name, such as example.org"
    return None


def resolver() -> Resolver:
    """Return a resolver as /etc/resolv.conf says; PeepError if dnspython is missing."""
    try:
        import dns.asyncresolver  # noqa: PLC0415 - an extra
        import dns.resolver  # noqa: PLC0415
    except ModuleNotFoundError:
        raise PeepError(
            "servers by DNS SRV need dnspython: pip install 'peep-auralizer[srv]'"
        ) from None
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        raise PeepError("/etc/resolv.conf names no resolver") from None


async def locators_of(domain: str, asking: Resolver) -> list[Locator]:
    """Return whom the domain names, the most preferred first; PeepError if nobody."""
    import dns.exception  # noqa: PLC0415 - an extra
    import dns.resolver  # noqa: PLC0415

    name = f"{SERVICE}.{domain.removesuffix('.')}."
    try:
        answer = await asking.resolve(name, "SRV", lifetime=LOOK_UP_S, search=False)
    except dns.resolver.NXDOMAIN:
        raise PeepError(f"{name} does not exist") from None
    except dns.resolver.NoAnswer:
        raise PeepError(f"{name} names no servers") from None
    except (dns.exception.DNSException, OSError) as problem:
        why = type(problem).__name__
        raise PeepError(f"{name} cannot be looked up ({why})") from None
    rows = sorted(
        (row.priority, -row.weight, row.target.to_text(omit_final_dot=True), row.port)
        for row in answer
    )
    # "." says that there is decidedly no such service.
    found = [Locator(host, port) for _, _, host, port in rows if host and port]
    found = [locator for locator in found if locator.host != "."]
    if not found:
        raise PeepError(f"{name} names no servers")
    return found[:MAX_ADDRESSES]


async def addresses_of(domain: str, asking: Resolver) -> list[Address]:
    """Return the addresses of all whom the domain names; PeepError if there are none.

    A target that has no address is passed over, unless there is no other.
    """
    found: list[Address] = []
    trouble: PeepError | None = None
    for locator in await locators_of(domain, asking):
        try:
            found += await resolve(locator.host, locator.port)
        except PeepError as problem:
            trouble = problem
    if trouble is not None and not found:
        raise trouble
    return found
