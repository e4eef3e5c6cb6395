"""What programs write into their logs: the words of the demo.

Each kind is a line of one program in that program's own form, the log it stands in, and
what the shipped rules are to make of it (tests hold them to that). `{…}` is filled in
anew each time. Addresses and names are those set aside for documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.signals import Tier

if TYPE_CHECKING:
    import datetime as dt
    from random import Random

# The packs that take them, in the order in which agents have them.
PACKS = ("sshd", "cron", "kernel", "system", "nginx", "web", "postfix", "postgresql")
LEVELS = "levels"  # not a log: what the source `demo-levels` reads

_ROUTINE, _NOTABLE, _ALERT = Tier.ROUTINE, Tier.NOTABLE, Tier.ALERT
_NAMES = ("admin", "test", "oracle", "ubuntu", "git", "pi", "guest", "support")
_PEOPLE = ("alice", "bob", "carol", "dave", "erin")
_PAGES = ("/", "/shop", "/shop/7", "/cart", "/about", "/news", "/img/reed.jpg")
_PROBES = ("/.env", "/wp-login.php", "/.git/config", "/phpmyadmin/")


class Kind(msgspec.Struct, frozen=True):
    """A kind of line: where it stands, how it looks, and what it means."""

    file: str
    form: str
    event: str
    tier: Tier = _ROUTINE
    family: str = "system"


def _access(request: str, status: str, event: str, tier: Tier = _ROUTINE) -> Kind:
    return Kind(
        "access.log",
        f'{{client}} - - [{{clf}}] "{request} HTTP/1.1" {status} {{size}} "-" '
        '"Mozilla/5.0"',
        event,
        tier,
        "web",
    )


def _nginx(text: str, event: str) -> Kind:
    form = (
        f"[error] 812#812: *{{number}} {text}, client: {{client}}, server: "
        'example.org, request: "GET {page} HTTP/1.1", upstream: '
        '"http://127.0.0.1:8080{page}", host: "example.org"'
    )
    return Kind("error.log", form, event, _NOTABLE, "web")


def _kernel(text: str, event: str, tier: Tier = _ROUTINE) -> Kind:
    return Kind("kern.log", f"kernel: [{{uptime}}] {text}", event, tier)


KINDS = {
    # ---- web: nginx ----------------------------------------------------------------
    "request": _access("GET {page}", "200", "web.request"),
    "order": _access("POST /cart", "201", "web.write"),
    "not-found": _access("GET /favicon.ico", "404", "web.not-found"),
    "gateway-timeout": _access("GET {page}", "504", "web.server-error", _NOTABLE),
    "upstream-timeout": _nginx(
        "upstream timed out (110: Connection timed out) while reading response header "
        "from upstream",
        "nginx.upstream-timeout",
    ),
    "probe": msgspec.structs.replace(
        _access("GET {probe}", "404", "web.probe"), family="refusal"
    ),
    # ---- sshd ----------------------------------------------------------------------
    "login": Kind(
        "auth.log",
        "sshd[{pid}]: Accepted publickey for {person} from 192.0.2.{low} port {port} "
        "ssh2: ED25519 SHA256:mS8lTnZyVx0eJ7kQ3WbR5dHf2uGpC9aYoXi4sKtLv1E",
        "ssh.login",
        family="access",
    ),
    "guess": Kind(
        "auth.log",
        "sshd[{pid}]: Failed password for invalid user {name} from {attacker} port "
        "{port} ssh2",
        "ssh.login-failed",
        family="refusal",
    ),
    "guess-root": Kind(
        "auth.log",
        "sshd[{pid}]: Failed password for root from {attacker} port {port} ssh2",
        "ssh.login-failed",
        _NOTABLE,
        "refusal",
    ),
    # ---- mail: postfix -------------------------------------------------------------
    "mail-received": Kind(
        "mail.log",
        "postfix/smtpd[{pid}]: {queue}: client=mx.example.net[192.0.2.{low}]",
        "postfix.received",
        family="mail",
    ),
    "mail-sent": Kind(
        "mail.log",
        "postfix/smtp[{pid}]: {queue}: to=<{person}@example.com>, "
        "relay=mx.example.com[192.0.2.{low}]:25, delay=1.2, delays=0.1/0.02/0.5/0.6, "
        "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {queue})",
        "postfix.sent",
        family="mail",
    ),
    "mail-rejected": Kind(
        "mail.log",
        "postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from unknown[{attacker}]: 554 "
        "5.7.1 <{person}@example.com>: Relay access denied; from=<x@example.net> "
        "to=<{person}@example.com> proto=ESMTP helo=<x>",
        "postfix.rejected",
        family="refusal",
    ),
    # ---- database: postgresql ------------------------------------------------------
    "checkpoint": Kind(
        "postgresql.log",
        "LOG:  checkpoint starting: time",
        "postgresql.checkpoint",
        family="database",
    ),
    "slow": Kind(
        "postgresql.log",
        "shop@shop LOG:  duration: {slow_ms}.123 ms  statement: SELECT * FROM orders",
        "postgresql.slow",
        family="database",
    ),
    "cancelled": Kind(
        "postgresql.log",
        "shop@shop ERROR:  canceling statement due to statement timeout",
        "postgresql.error",
        family="database",
    ),
    "too-many-clients": Kind(
        "postgresql.log",
        "shop@shop FATAL:  sorry, too many clients already",
        "postgresql.too-many-connections",
        _NOTABLE,
        "database",
    ),
    # ---- cron ----------------------------------------------------------------------
    "job": Kind(
        "syslog",
        "CRON[{pid}]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
        "cron.job-started",
        family="job",
    ),
    # ---- the machine: kernel -------------------------------------------------------
    "disk-command-failed": _kernel(
        "ata1.00: failed command: READ FPDMA QUEUED",
        "kernel.filesystem-warning",
        _NOTABLE,
    ),
    "disk-error": _kernel(
        "blk_update_request: I/O error, dev sda, sector {number} op 0x0:(READ) flags "
        "0x0 phys_seg 1 prio class 0",
        "kernel.io-error",
        _ALERT,
    ),
    "array-degraded": _kernel(
        "md/raid1:md0: Disk failure on sda1, disabling device.",
        "kernel.raid-failing",
        _ALERT,
    ),
    "array-recovered": _kernel("md: md0: recovery done.", "kernel.raid"),
    "out-of-memory": _kernel(
        "Out of memory: Killed process {pid} (php-fpm) total-vm:4194304kB, "
        "anon-rss:3145728kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:7000kB "
        "oom_score_adj:0",
        "kernel.oom",
        _ALERT,
    ),
    "table-full": msgspec.structs.replace(
        _kernel(
            "nf_conntrack: nf_conntrack: table full, dropping packet",
            "kernel.net-pressure",
            _NOTABLE,
        ),
        family="network",
    ),
}


def written(kind: Kind, host: str, when: dt.datetime, rng: Random) -> str:
    """Return a line of this kind; `when` is aware of its zone."""
    text = kind.form.format(**_chosen(when, rng))
    match kind.file:
        case "access.log":
            return text
        case "error.log":
            return f"{when:%Y/%m/%d %H:%M:%S} {text}"
        case "postgresql.log":
            thousandths = when.microsecond // 1000
            zone = when.tzname() or "UTC"
            pid = rng.randrange(800, 9000)
            return f"{when:%Y-%m-%d %H:%M:%S}.{thousandths:03d} {zone} [{pid}] {text}"
    return f"{when:%b} {when.day:2d} {when:%H:%M:%S} {host} {text}"


def _chosen(when: dt.datetime, rng: Random) -> dict[str, str]:
    """Return what may stand in a form. Always as many draws, so that seeds repeat."""
    return {
        "clf": f"{when:%d/%b/%Y:%H:%M:%S %z}",
        "client": f"192.0.2.{rng.randrange(1, 255)}",
        "attacker": f"203.0.113.{rng.randrange(1, 255)}",
        "low": str(rng.randrange(1, 255)),
        "name": rng.choice(_NAMES),
        "number": str(rng.randrange(1000, 999_999)),
        "page": rng.choice(_PAGES),
        "person": rng.choice(_PEOPLE),
        "pid": str(rng.randrange(800, 32_000)),
        "port": str(rng.randrange(32_768, 60_999)),
        "probe": rng.choice(_PROBES),
        "queue": f"{rng.randrange(16**10):010X}",
        "size": str(rng.randrange(100, 20_000)),
        "slow_ms": str(rng.randrange(1000, 9000)),
        "uptime": f"{when.timestamp() % 1e5:12.6f}",
    }
