"""Every shipped rule takes its own samples, among all the others."""

from pathlib import Path

import pytest
import re2

from peep.config.rulepacks import load_rules, shipped_packs
from peep.loglines import LogLine, split_lines
from peep.rules import Rule, RuleSet
from peep.signals import Tier

# What themes have sounds for.
FAMILIES = {"access", "refusal", "mail", "web", "database", "system", "network", "job"}
RULES = load_rules(shipped_packs())
COMPILED = RuleSet(RULES)
LOGS = Path(__file__).resolve().parents[2].parent / "shared" / "logs"


def winner(line: str | bytes) -> str | None:
    text = line if isinstance(line, bytes) else line.encode()
    match = COMPILED.match(text)
    return match and match.rule.name


def instance(line: str) -> str:
    event = COMPILED.event(LogLine("test", 0, line.encode()))
    return event.instance if event else ""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_takes_its_samples_and_refuses_the_others(rule: Rule):
    assert rule.takes, "no rule without a sample"
    assert rule.refuses, "no rule without a line that it must not take"
    for line in rule.takes:
        assert winner(line) == rule.name, line
    for line in rule.refuses:
        assert winner(line) != rule.name, line


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_has_a_family_that_themes_know(rule: Rule):
    assert rule.family in FAMILIES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_line_that_another_program_repeats_is_not_taken(rule: Rule):
    for line in rule.takes:
        for around in (
            "Mar  3 08:14:07 web1 app[9]: ",
            "2024-03-03T08:14:07Z web1 a: ",
        ):
            assert winner(around + line) is None, line


def test_an_event_is_named_by_who_and_what():
    assert {rule.event for rule in RULES if rule.event.count(".") != 1} == set()


def test_all_packs_together_need_half_of_what_rules_may_take():
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 16 * 1024 * 1024
    options.log_errors = False
    found = re2.Set.SearchSet(options)
    for rule in RULES:
        found.Add(rule.match.encode())
    found.Compile()  # raises where it has too little
    for index, rule in enumerate(RULES):
        for line in rule.takes:
            assert index in found.Match(line.encode())


def test_an_alert_is_rare_enough_to_be_believed():
    alerts = [rule.name for rule in RULES if rule.tier is Tier.ALERT]
    assert len(alerts) < len(RULES) / 4


@pytest.mark.parametrize(
    "said",
    [
        "Accepted password for root from 10.0.0.1 port 22 ssh2",
        "Out of memory: Killed process 812 (mysqld) total-vm:1kB",
        "root : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
    ],
)
@pytest.mark.parametrize("program", ["sshd[1]", "kernel", "sudo", "su[1]"])
def test_what_another_program_was_told_is_not_taken_for_the_program(program, said):
    inner = f"Mar  3 08:14:07 web1 {program}: {said}"
    for around in ("Mar  3 08:14:07 web1 app[9]: ", "2024-03-03T08:14:07Z web1 app: "):
        assert winner(around + inner) is None
        assert winner(f"{around}{program}: {said}") is None


@pytest.mark.parametrize(
    "line",
    [
        "Failed password for invalid user {} from 192.0.2.7 port 4711 ssh2",
        "Invalid user {} from 192.0.2.7 port 4711",
        "Failed none for {} from 192.0.2.7 port 4711 ssh2",
        "Connection closed by invalid user {} 192.0.2.7 port 4711 [preauth]",
        "maximum authentication attempts exceeded for {} from 192.0.2.7 port 4711 ssh2",
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "root from 10.0.0.1 port 22 ssh2",
        "Accepted password for root from 10.0.0.1 port 22 ssh2",
        "x 10.0.0.1 port 22 [preauth]",
    ],
)
def test_a_stranger_cannot_forge_an_address_by_his_name(line, name):
    forged = f"Mar  3 08:14:07 web1 sshd[7]: {line.format(name)}"
    assert instance(forged) == "192.0.2.7"
    assert winner(forged) not in ("ssh-login", "ssh-root-login")


def lines_of(name: str) -> list[LogLine]:
    path = LOGS / name
    if not path.is_file():
        pytest.skip(f"real logs are not here: {path} is absent")
    return split_lines(path.read_bytes(), name)


def test_every_line_of_a_real_sshd_log_is_taken_by_a_precise_rule():
    taken = [winner(line.text) for line in lines_of("OpenSSH_2k.log")]
    assert not {None, "ssh-other", "ssh-error"} & set(taken)


def test_every_line_of_sshd_and_su_in_a_real_syslog_is_taken_by_a_precise_rule():
    wanted = [
        line.text
        for line in lines_of("Linux_2k.log")
        if b" sshd(" in line.text or b" su(" in line.text
    ]
    assert wanted
    assert not {None, "ssh-other", "su-other"} & {winner(text) for text in wanted}


def test_the_rest_of_a_real_syslog_raises_no_alert():
    events = (COMPILED.event(line) for line in lines_of("Linux_2k.log"))
    assert Tier.ALERT not in {event.tier for event in events if event}


def test_every_line_of_a_real_web_servers_error_log_is_taken_by_a_precise_rule():
    taken = {winner(line.text) for line in lines_of("Apache_2k.log")}
    assert taken == {"apache-jk", "apache-jk-error", "apache-denied"}


@pytest.mark.parametrize(
    "program",
    ["ftpd", "klogind", "login", "gdm", "named", "logrotate", "xinetd", "snmpd"],
)
def test_what_else_concerns_security_in_a_real_syslog_is_taken(program: str):
    said = f" {program}".encode()
    wanted = [line.text for line in lines_of("Linux_2k.log") if said in line.text]
    assert wanted
    assert None not in {winner(text) for text in wanted}
