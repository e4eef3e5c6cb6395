"""Which rule packs a host needs, when nobody has said.

A pack is taken where there is a sign of what it is about: a program, a unit of
systemd, a configuration, a log of that name, or a line of it in a log of the system.
Whatever every host has is always taken, and so is a pack that nothing here knows. If
in doubt it is taken: an alert that is missed is worse than twenty rules too many. So
in a container where the system's own logs are found, all are: those logs are likely
another host's, whose programs are not here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SAMPLE_BYTES = 64 * 1024  # of a log's end: a few hundred lines
_BINARIES = (
    *("usr/sbin", "usr/bin", "sbin", "bin"),
    *("usr/local/sbin", "usr/local/bin", "snap/bin"),
)
_UNITS = (
    *("etc/systemd/system", "run/systemd/system"),
    *("usr/lib/systemd/system", "lib/systemd/system", "usr/local/lib/systemd/system"),
)
_CONTAINER = (".dockerenv", "run/.containerenv", "run/systemd/container")


class Signs(NamedTuple):
    """What tells of a pack's subject.

    `names` are programs, units, words in the path of a log, and tags in it; `units` are
    only units, `paths` files or directories.
    """

    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Choice(NamedTuple):
    """A pack, and why it is taken; "" if it is not."""

    pack: str
    why: str


_WEB = Signs(
    ("nginx", "openresty", "apache2", "httpd", "lighttpd", "caddy", "traefik"),
    paths=("etc/nginx", "etc/apache2", "etc/httpd"),
)
# A log of requests, whoever writes it.
_REQUESTS = _WEB._replace(names=(*_WEB.names, "access", "access_log"))
_ALWAYS = {"system", "kernel", "login", "sudo", "cron", "systemd"}
_SIGNS = {
    "apache": Signs(("apache2", "apache", "httpd"), paths=_WEB.paths[1:]),
    "bind": Signs(("named", "bind9", "bind"), paths=("etc/bind", "etc/named.conf")),
    "dhcp": Signs(
        (
            *("dhcpd", "dhclient", "dhcpcd", "dnsmasq", "NetworkManager", "udhcpc"),
            *("kea-dhcp4", "kea-dhcp6", "kea"),
        ),
        ("isc-dhcp-server", "kea-dhcp4-server", "kea-dhcp6-server"),
        ("etc/dhcp/dhcpd.conf", "etc/kea"),
    ),
    "docker": Signs(
        ("dockerd", "docker", "containerd", "podman"), paths=("var/lib/docker",)
    ),
    "dovecot": Signs(("dovecot",), paths=("etc/dovecot",)),
    "fail2ban": Signs(("fail2ban-server", "fail2ban"), paths=("etc/fail2ban",)),
    "firewall": Signs(
        ("ufw", "nft", "iptables", "firewalld", "ulogd", "shorewall"),
        ("nftables", "iptables", "netfilter-persistent"),
    ),
    "ftp": Signs(("vsftpd", "proftpd", "pure-ftpd", "ftpd", "in.ftpd", "wu-ftpd")),
    "haproxy": Signs(("haproxy",), paths=("etc/haproxy",)),
    "inetd": Signs(
        (
            *("inetd", "xinetd", "tcpd", "telnetd", "in.telnetd", "rlogind", "rshd"),
            *("portmap", "rpcbind", "snmpd", "stunnel", "stunnel4", "slapd", "nrpe"),
        ),
        ("openbsd-inetd",),
        ("etc/inetd.conf", "etc/xinetd.conf"),
    ),
    "kubelet": Signs(
        ("kubelet", "k3s", "rke2", "kubeadm", "microk8s"),
        paths=("etc/kubernetes", "var/lib/kubelet"),
    ),
    "mysql": Signs(
        ("mysqld", "mariadbd", "mysql", "mariadb"), paths=("etc/mysql", "var/lib/mysql")
    ),
    "nginx": Signs(("nginx", "openresty"), paths=_WEB.paths[:1]),
    "postfix": Signs(("postfix",), paths=("etc/postfix",)),
    "postgresql": Signs(
        ("postgres", "postgresql", "pgbouncer"),
        paths=("etc/postgresql", "usr/lib/postgresql", "var/lib/pgsql"),
    ),
    "sshd": Signs(("sshd",), ("ssh",), ("etc/ssh/sshd_config",)),
    "web": _REQUESTS,
    "web-json": _REQUESTS,
}


def choose(
    packs: Iterable[str],
    logs: Sequence[Path],
    system_logs: Sequence[Path],
    root: Path = Path("/"),
    *,
    journal: bool = False,
) -> list[Choice]:
    """Return each pack with why it is taken.

    `logs` are those that are followed, `system_logs` those of them in which anybody may
    write; `journal` says that the journal is followed.
    """
    elsewhere = bool(system_logs) or journal
    is_container = any((root / name).exists() for name in _CONTAINER)
    host = _Host(root, logs, system_logs)
    chosen = []
    for pack in packs:
        signs = _SIGNS.get(pack)
        if pack in _ALWAYS:
            why = "every host has it"
        elif signs is None:
            why = "there is no telling whether it applies"
        else:
            why = host.sign(signs)
            if not why and elsewhere and is_container:
                why = "in a container, logs may be those of another host"
        chosen.append(Choice(pack, why))
    return chosen


class _Host:
    """What there is, looked up once."""

    def __init__(
        self, root: Path, logs: Sequence[Path], system_logs: Sequence[Path]
    ) -> None:
        self._root = root
        self._programs = _names(root, _BINARIES)
        self._units = {_stem(name): f"unit {name}" for name in _names(root, _UNITS)}
        self._words: dict[str, str] = {}
        for path in logs:
            # /var/log/nginx/error.log, /var/log/mysql-slow.log, other_vhosts_access.log
            for word in re.findall(r"[a-z0-9]+", "/".join(path.parts[-2:])):
                self._words.setdefault(word, f"log {path}")
            for part in (path.stem, path.name, path.parent.name):
                self._words.setdefault(part, f"log {path}")
        self._tags: dict[str, str] = {}
        for path in system_logs:
            for tag in _tags(path):
                self._tags.setdefault(tag, f"lines of {tag} in {path}")

    def sign(self, signs: Signs) -> str:
        """Return the first sign that there is, in words; else ""."""
        for name in signs.names:
            if name in self._programs:
                return f"program {self._programs[name]}"
        for name in (*signs.names, *signs.units):
            if name in self._units:
                return self._units[name]
        for path in signs.paths:
            if (self._root / path).exists():
                return f"there is {self._root / path}"
        for name in signs.names:
            found = self._words.get(name) or self._tags.get(name)
            if found:
                return found
        return ""


_KNOWN = {name for signs in _SIGNS.values() for name in (*signs.names, *signs.units)}


def _stem(name: str) -> str:
    """Return a unit's name without what all services have."""
    return name.removesuffix(".service").removesuffix("@")


def _names(root: Path, directories: Iterable[str]) -> dict[str, Path]:
    """Return the names in directories that are signs, and the first path of each."""
    found: dict[str, Path] = {}
    for directory in directories:
        try:
            names = os.listdir(root / directory)  # noqa: PTH208 - thousands
        except OSError:
            continue
        for name in names:
            if _stem(name) in _KNOWN:
                found.setdefault(name, root / directory / name)
    return found


# Longer names first: the shorter one may be how the longer one begins.
_TAGS = sorted(map(re.escape, _KNOWN), key=len, reverse=True)
_TAG = re.compile(
    rf"[ /]({'|'.join(_TAGS)})(?:[/-][\w./-]{{1,32}})?(?:\[\d{{1,10}}\])?: ".encode()
)


def _tags(path: Path) -> set[str]:
    """Return what programs have written into the end of a log."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - SAMPLE_BYTES))
            sample = file.read(SAMPLE_BYTES)
    except OSError:
        return set()
    return {tag.decode() for tag in _TAG.findall(sample)}
