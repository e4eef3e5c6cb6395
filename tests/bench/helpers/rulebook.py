"""Rules and lines from a seed: what many daemons say, and who listens to it.

A rule has a group `instance` or `text` where a line says whom it is about, plain or
behind alternatives, as the shipped packs have them. Every second one is anchored by
time and host, as all of those are; the others begin with the program's name, as most
people write them. Half of the lines are taken, each rule's as often as any other's; the
rest are of the same programs: some begin as what is taken does and end otherwise,
others have nothing to do with it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from peep.rules import Rule
from peep.signals import Tier

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_WORDS = """
sshd sudo CRON systemd kernel postfix/smtpd postfix/qmgr dovecot named dhcpd nginx \
haproxy kubelet dockerd mysqld postgres openvpn ntpd smartd rsyslogd
accepted refused opened closed failed expired renewed dropped queued started stopped \
restored mounted checked verified rotated loaded denied granted delayed
session connection lease transfer request certificate volume worker channel zone \
message backup probe login upload snapshot tunnel route job device
again late early at last in time for good as planned too often
uid tty pid rtt size seq id len ttl prio loss unit node zone load cpu
"""
PROGRAMS, VERBS, THINGS, STATES, MORE = map(str.split, _WORDS.strip().splitlines())
FAMILIES = ("access", "refusal", "traffic", "error")
ANCHOR = r"^(?:\w{3} +\d+ \S+|\d\S+) \S+ "
_PAM_FAILURE = (
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser="
)
_NO_METHOD = (
    "no matching key exchange method found. Their offer: diffie-hellman-group1-sha1"
)
LINE_BYTES = 128
SECRET_EVERY = 200  # lines; logs are cleaner than that, as a rule


class Kind:
    """A way to end a rule, and the lines that it takes."""

    def __init__(
        self, pattern: str, tail: Callable[[random.Random], str], share: int
    ) -> None:
        self.pattern = pattern
        self.tail = tail
        self.share = share


def _user(rng: random.Random) -> str:
    return f"{rng.choice(('anna', 'ben', 'cleo', 'dan', 'eva'))}{rng.randrange(100)}"


def _address(rng: random.Random) -> str:
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


def _port(rng: random.Random) -> int:
    return rng.randrange(1024, 65536)


KINDS = (
    Kind(
        r" for (?P<instance>\S+) from \S+ port \d+",
        lambda r: f" for {_user(r)} from {_address(r)} port {_port(r)}",
        5,
    ),
    Kind(
        r" from (?P<instance>[0-9A-Fa-f.:]+)",
        lambda r: f" from {_address(r)} after {r.randrange(9999)} ms",
        3,
    ),
    Kind(
        r"(?: of user (?P<instance>\S+)| of the system):",
        lambda r: f" of {r.choice(('user ' + _user(r), 'the system'))}: {_port(r)}",
        4,
    ),
    Kind(
        r" (?:to|from) (?:host )?[^\s\[]*\[(?P<instance>[0-9A-Fa-f.:]+)\]",
        lambda r: f" to host m{r.randrange(99)}.example.net[{_address(r)}]:25",
        4,
    ),
    Kind(
        r"(?:: (?P<text>.*)| without a word)$",
        lambda r: f": status={r.randrange(600)} by {_user(r)}",
        2,
    ),
    Kind(
        r" by (?P<instance>[^ ,]+), reason: (?P<text>.+)$",
        lambda r: f" by {_user(r)}, reason: code {r.randrange(600)}",
        1,
    ),
    Kind(
        r" \d+ times",
        lambda r: f" {r.randrange(2, 99)} times since {_port(r)}",
        2,
    ),
)


def made(count: int, rng: random.Random) -> tuple[list[Rule], list[Kind]]:
    """Return so many rules, and of what kind each is."""
    words = [*itertools.product(PROGRAMS, THINGS, VERBS)]
    rng.shuffle(words)
    kinds = [kind for kind in KINDS for _ in range(kind.share)]
    rules, of_kind = [], []
    for number, (program, thing, verb) in enumerate(words[:count]):
        kind = kinds[number // 2 % len(kinds)]
        anchor = ANCHOR if number % 2 else ""
        rules.append(
            Rule(
                name=f"rule-{number}",
                match=rf"{anchor}{program}\[\d+\]: {thing} {verb}{kind.pattern}",
                event=f"{program.lower().replace('/', '-')}.{thing}-{verb}",
                family=FAMILIES[number % len(FAMILIES)],
                tier=Tier.NOTABLE if number % 10 == 0 else Tier.ROUTINE,
            )
        )
        of_kind.append(kind)
    return rules, of_kind


def lines(
    rules: list[Rule], kinds: list[Kind], count: int, rng: random.Random
) -> list[str]:
    """Return so many lines; every second is taken, by each rule in turn."""
    begins = [_begin(rule.match) for rule in rules]
    taken = [*range(len(rules))]
    found = []
    for number in range(count):
        which = taken[number // 2 % len(taken)]
        begin = begins[which]
        if number % 2 == 0:
            said = begin + kinds[which].tail(rng)
        elif rng.random() < 0.25:
            said = begin + f" {rng.choice(STATES)} ({_address(rng)})"
        else:
            program = rng.choice(PROGRAMS)
            said = rf"{program}\[\d+\]: {rng.choice(STATES)} {_user(rng)}"
        if number % SECRET_EVERY == SECRET_EVERY - 2:
            said += f" token={rng.randbytes(8).hex()}"
        said = said.replace(r"\[\d+\]", f"[{_port(rng)}]")
        second = number // 50
        time = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
        line = f"Mar  3 {time} web{rng.randrange(9)} {said}"
        while len(line) < LINE_BYTES - 5:  # and so they are 128 on average
            line += f" {rng.choice(MORE)}={rng.randrange(10 ** rng.randrange(1, 9))}"
        found.append(line)
    rng.shuffle(found)
    return found


def _begin(pattern: str) -> str:
    """Return what the lines of a rule begin with: all before its kind's pattern."""
    program, _, rest = pattern.removeprefix(ANCHOR).partition(": ")
    thing, verb, *_ = rest.replace("(", " ").replace(":", " ").split(" ")
    return f"{program}: {thing} {verb}"


def sshd_lines(count: int, rng: random.Random) -> list[str]:
    """Return so many lines of sshd: people who come and go, and those who guess."""
    found: list[str] = []
    while len(found) < count:
        second = len(found) // 5
        time = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
        begin = f"Mar  3 {time} web1 sshd[{_port(rng)}]: "
        user, address, port = _user(rng), _address(rng), _port(rng)
        found += [begin + line for line in _visit(rng, user, address, port)]
    return found[:count]


def _visit(rng: random.Random, user: str, address: str, port: int) -> list[str]:
    at = f"{address} port {port}"
    match rng.randrange(4):
        case 0:
            return [
                f"Accepted publickey for {user} from {at} ssh2: RSA SHA256:Zm9vYmFy",
                f"pam_unix(sshd:session): session opened for user {user} by (uid=0)",
                f"Received disconnect from {at}:11: disconnected by user",
                f"Disconnected from user {user} {at}",
                f"pam_unix(sshd:session): session closed for user {user}",
            ]
        case 1:
            return [
                f"Invalid user {user} from {at}",
                "pam_unix(sshd:auth): check pass; user unknown",
                f"Failed password for invalid user {user} from {at} ssh2",
                f"Connection closed by invalid user {user} {at} [preauth]",
            ]
        case 2:
            return [
                f"{_PAM_FAILURE} rhost={address}  user={user}",
                f"Failed password for {user} from {at} ssh2",
                f"Connection closed by authenticating user {user} {at} [preauth]",
            ]
        case _:
            return [
                f"Connection from {at} on 192.0.2.1 port 22",
                f"Unable to negotiate with {at}: {_NO_METHOD} [preauth]",
            ]
