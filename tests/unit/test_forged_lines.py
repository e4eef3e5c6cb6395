"""Whoever may write into some log cannot ring the bells of another program.

What is forged is every line that rings as an alert: the samples of the shipped rules.
"""

import json

import pytest

from peep.agent.sources import journal_entry
from peep.agent.sources.syslog_format import Framer, parse
from peep.config.rulepacks import load_rules, shipped_packs
from peep.loglines import MAX_LINE_BYTES, LineSplitter, LogLine
from peep.rules import RuleSet
from peep.signals import Tier

RULES = load_rules(shipped_packs())
COMPILED = RuleSet(RULES)
ALERTS = [rule for rule in RULES if rule.tier is Tier.ALERT]
FORGED = [sample.encode() for rule in ALERTS for sample in rule.takes]
WEB_LOGS = (
    "/var/log/nginx/error.log",
    "/var/log/nginx/shop",
    "/var/log/nginx/access.log",
    "/var/log/apache2/other_vhosts_access.log",
    "/var/log/httpd/ssl_error_log",
    "/srv/shop/logs/error.log",
)
MYSQL_MAY = "/srv/shop/logs/error.log"  # its own may be called so, too
NGINX = (
    b'2024/03/03 08:14:07 [error] 8#8: *17 open() "/srv/%b" failed (2: No such file or '
    b'directory), client: 192.0.2.7, server: _, request: "GET /%b HTTP/1.1"'
)
ACCESS = b'192.0.2.7 - - [03/Mar/2024:08:14:07 +0100] "GET /%b HTTP/1.1" 404 1 "-" "%b"'
# What some readers take for the end of a line, or what hides the beginning of one.
TRICKS = (
    b"\r",
    b"\r\r",
    b"\x00",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x85",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\x1b[2K\x1b[1G",
    b"\x1b[1A\x1b[2K\r",
    b"\x08" * 80,
    b"%0a",
    b"\\n",
    b"#012",
)


def alerts(lines: list[LogLine]) -> list[str]:
    return [e.name for e in COMPILED.events(lines) if e.tier is Tier.ALERT]


def written(log: str, data: bytes) -> list[LogLine]:
    """Return the lines of a log, as tail reads them."""
    splitter = LineSplitter(log)
    return splitter.feed(data) + splitter.finish()


def test_there_is_something_to_forge_and_in_its_own_log_it_rings():
    assert len(FORGED) > 30
    assert {rule.name.partition("-")[0] for rule in ALERTS} > {"ssh", "sudo"}
    for forged in FORGED:
        assert alerts(written("/var/log/syslog", forged)), forged


@pytest.mark.parametrize("log", WEB_LOGS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b" \n"], ids=repr)
def test_whole_lines_that_a_client_puts_into_a_web_servers_log_ring_nothing(log, end):
    for rule in ALERTS:
        if log == MYSQL_MAY and rule.name.startswith("mysql"):
            continue
        for forged in (sample.encode() for sample in rule.takes):
            for form in (NGINX, ACCESS):
                data = form % (b"x" + end + forged + end, forged)
                assert alerts(written(log, data)) == [], data


@pytest.mark.parametrize("trick", TRICKS, ids=repr)
@pytest.mark.parametrize("log", ["/var/log/syslog", "journald", "/srv/app.log"])
def test_a_program_that_repeats_what_it_was_told_rings_nothing(log, trick):
    for forged in FORGED:
        for head in (
            b"Mar  3 08:14:07 web1 app[9]: ",
            b"2024-03-03T08:14:07Z web1 app: user ",
            b"Mar  3 08:14:07 web1 sshd-proxy[9]: ",
            b'192.0.2.7 - - [03/Mar/2024:08:14:07 +0100] "GET /',
        ):
            data = head + b"x" + trick + forged + b"\n"
            assert alerts(written(log, data)) == [], data


@pytest.mark.parametrize("trick", [*TRICKS, b"\n", b"\r\n", b"\n<34>"], ids=repr)
def test_a_message_of_another_program_rings_nothing_by_syslog(trick):
    for forged in FORGED:
        said = b"x" + trick + forged
        for head in (
            b"<13>Mar  3 08:14:07 web1 app[9]: ",
            b"<13>1 2024-03-03T08:14:07Z web1 app 9 - - ",
            b"<13>app: ",
        ):
            found = parse(head + said, b"192.0.2.7", 1709450047.0)
            line = LogLine("syslog", 0, found.text, found.when)
            assert b"\n" not in line.text
            assert alerts([line]) == [], line.text


@pytest.mark.parametrize("trick", [*TRICKS, b"\n", b"\r\n"], ids=repr)
def test_a_message_with_a_count_rings_nothing_by_syslog_over_tcp(trick):
    for forged in FORGED:
        message = b"<13>Mar  3 08:14:07 web1 app[9]: x" + trick + forged
        framer = Framer(MAX_LINE_BYTES)
        messages = framer.feed(b"%d %b" % (len(message), message))
        lines = [parse(m, b"192.0.2.7", 1709450047.0) for m in messages]
        assert len(lines) == 1
        assert alerts([LogLine("syslog", 0, lines[0].text)]) == []


@pytest.mark.parametrize("trick", [*TRICKS, b"\n", b"\r\n"], ids=repr)
def test_a_message_of_another_program_rings_nothing_by_the_journal(trick):
    for forged in FORGED:
        said = list(b"x" + trick + forged)  # as journalctl writes what is not plain
        entry = {
            "__CURSOR": "s=1;i=1;b=1;m=1;t=1;x=1",
            "__REALTIME_TIMESTAMP": "1709450047000000",
            "_HOSTNAME": "web1",
            "SYSLOG_IDENTIFIER": "app",
            "_PID": "9",
            "MESSAGE": said,
        }
        told = journal_entry.parse(json.dumps(entry).encode(), 1)
        assert told is not None
        assert b"\n" not in told.text
        assert alerts([LogLine("journald", 0, told.text)]) == [], told.text


def test_every_alert_is_anchored_to_the_beginning_of_a_line():
    assert [rule.name for rule in ALERTS if not rule.match.startswith("^")] == []
