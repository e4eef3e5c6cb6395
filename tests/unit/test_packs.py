"""Which rule packs are taken, by what a host shows."""

from pathlib import Path

import pytest

from peep.agent.packs import SAMPLE_BYTES, choose
from peep.config.rulepacks import shipped_packs

ALWAYS = {"cron", "kernel", "login", "sudo", "system", "systemd"}


def make(root, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def taken(root, logs=(), system_logs=(), **how) -> dict[str, str]:
    """The packs that are taken beyond those that always are, and why."""
    both = [*map(Path, logs), *map(Path, system_logs)]
    chosen = choose(shipped_packs(), both, list(map(Path, system_logs)), root, **how)
    assert [choice.pack for choice in chosen] == list(shipped_packs())
    found = {choice.pack: choice.why for choice in chosen if choice.why}
    assert found.keys() >= ALWAYS
    return {pack: why for pack, why in found.items() if pack not in ALWAYS}


def test_a_bare_host_has_what_every_host_has(tmp_path):
    assert taken(tmp_path) == {}


@pytest.mark.parametrize(
    ("sign", "packs"),
    [
        ("usr/sbin/sshd", {"sshd"}),
        ("etc/ssh/sshd_config", {"sshd"}),
        ("usr/lib/systemd/system/ssh.service", {"sshd"}),
        ("usr/sbin/nginx", {"nginx", "web", "web-json"}),
        ("usr/local/sbin/nginx", {"nginx", "web", "web-json"}),
        ("usr/sbin/apache2", {"apache", "web", "web-json"}),
        ("usr/sbin/httpd", {"apache", "web", "web-json"}),
        ("usr/bin/caddy", {"web", "web-json"}),
        ("usr/sbin/postfix", {"postfix"}),
        ("lib/systemd/system/postgresql@.service", {"postgresql"}),
        ("etc/systemd/system/mariadb.service", {"mysql"}),
        ("usr/bin/dockerd", {"docker"}),
        ("var/lib/kubelet", {"kubelet"}),
        ("usr/sbin/ufw", {"firewall"}),
    ],
)
def test_a_program_a_unit_or_a_configuration_tells(tmp_path, sign, packs):
    make(tmp_path, sign)
    found = taken(tmp_path)
    assert found.keys() == packs
    assert all(sign.rpartition("/")[2] in why for why in found.values())


@pytest.mark.parametrize(
    ("log", "packs"),
    [
        ("/var/log/nginx/error.log", {"nginx", "web", "web-json"}),
        ("/var/log/app-access.log", {"web", "web-json"}),
        ("/var/log/httpd/access_log.log", {"apache", "web", "web-json"}),
        ("/var/log/mysql-slow.log", {"mysql"}),
        ("/var/log/fail2ban.log", {"fail2ban"}),
        ("/var/log/accessory.log", set()),
    ],
)
def test_the_name_of_a_log_tells(tmp_path, log, packs):
    assert taken(tmp_path, logs=[log]).keys() == packs


@pytest.mark.parametrize(
    ("line", "packs"),
    [
        ("Mar  3 08:14:07 web1 sshd[812]: Accepted password for alice", {"sshd"}),
        ("Mar  3 08:14:07 web1 postfix/smtpd[812]: connect from x", {"postfix"}),
        ("Mar  3 08:14:07 web1 dnsmasq-dhcp[812]: DHCPACK", {"dhcp"}),
        ("Mar  3 08:14:07 web1 sshdoor[812]: is open", set()),
        ("Mar  3 08:14:07 web1 myapp[812]: no sshd here", set()),
    ],
)
def test_lines_of_a_program_in_a_log_of_the_system_tell(tmp_path, line, packs):
    log = tmp_path / "syslog"
    log.write_text("x" * SAMPLE_BYTES + f"\n{line}\n")
    assert taken(tmp_path, system_logs=[log]).keys() == packs


def test_a_log_that_went_away_tells_nothing(tmp_path):
    assert taken(tmp_path, system_logs=[tmp_path / "syslog"]) == {}


def test_in_a_container_the_logs_of_a_system_may_have_anything_in_them(tmp_path):
    make(tmp_path, ".dockerenv")
    everything = set(shipped_packs()) - ALWAYS
    assert taken(tmp_path, system_logs=["/var/log/syslog"]).keys() == everything
    assert taken(tmp_path, journal=True).keys() == everything
    assert taken(tmp_path, logs=["/var/log/nginx/access.log"]).keys() == {
        "nginx",
        "web",
        "web-json",
    }


def test_a_pack_that_nothing_is_known_of_is_taken(tmp_path):
    (choice,) = choose(["brand-new"], [], [], tmp_path)
    assert choice.why
