"""Real rsyslog and syslog-ng send to the `syslog` source what real programs said.

What the daemon wrote to a file of its own is what must have been heard, line by line.
"""

import daemons
import pytest
from peep_there import meant, until_heard
from room import until

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]

ALL_LOG = "/var/log/all.log"
RULES = "/etc/peep/numbered.yaml"
NUMBERED = r"""
rules:
  - name: numbered
    match: '^\w{3} +\d+ [\d:]{8} room numbered: n=(?P<instance>\d+) (?P<text>.*)'
    event: numbered.line
    family: job
    tier: alert
"""
# What could be taken for a frame, a header, structured data or an end.
SAID = (
    "plain",
    "12 <34>not a frame",
    "<13>Oct 11 22:14:15 elsewhere su[7]: not a header",
    '[x y="z"] not structured data',
    "- - -",
    "l'été: ¼ ☃",
    "%s %n %m {} $HOME \\n #012",
    "long " + 900 * "x",
)
# From a program that does as it likes; what comes after it must not suffer.
ODD = r"""
import socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
    log.connect("/dev/log")
    log.send(b"<13>numbered: n=0 odd\n7 <13>of\tmany lines \xff\xfe and no text\n\n")
"""
CONFIG = {
    "rsyslog": """
module(load="imuxsock")
*.* action(type="omfile" file="/var/log/all.log"
           template="RSYSLOG_TraditionalFileFormat")
*.* action(type="omfwd" target="127.0.0.1" port="5514" {how})
""",
    "syslog-ng-core": """
options {{ keep-hostname(yes); use-dns(no); }};
source here {{ unix-dgram("/dev/log"); }};
destination file {{ file("/var/log/all.log"); }};
destination peep {{ {how}; }};
log {{ source(here); destination(file); destination(peep); flags(flow-control); }};
""",
}
WAYS = {
    "rsyslog": {
        "udp-3164": 'protocol="udp" template="RSYSLOG_TraditionalForwardFormat"',
        "udp-iso": 'protocol="udp" template="RSYSLOG_ForwardFormat"',
        "udp-5424": 'protocol="udp" template="RSYSLOG_SyslogProtocol23Format"',
        "tcp-3164": 'protocol="tcp" template="RSYSLOG_TraditionalForwardFormat"',
        "tcp-5424": 'protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"',
        "tcp-5424-counted": 'protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"'
        ' TCP_Framing="octet-counted"',
    },
    "syslog-ng-core": {
        "udp-3164": 'network("127.0.0.1" port(5514) transport("udp"))',
        "udp-iso": 'network("127.0.0.1" port(5514) transport("udp") ts-format(iso))',
        "udp-5424": 'syslog("127.0.0.1" port(5514) transport("udp"))',
        "tcp-3164": 'network("127.0.0.1" port(5514) transport("tcp"))',
        "tcp-5424": 'network("127.0.0.1" port(5514) transport("tcp") '
        "flags(syslog-protocol))",
        "tcp-5424-counted": 'syslog("127.0.0.1" port(5514) transport("tcp"))',
    },
}
# By UDP no more at once than a kernel keeps of what waits to be read.
MANY = {"udp": 100, "tcp": 3000}


@pytest.fixture(scope="module")
def logins(room):
    """Let people log in, and be refused."""
    room.path(RULES).write_text(NUMBERED)
    running = daemons.sshd(room)
    yield
    running.stop()


@pytest.mark.parametrize("way", WAYS["rsyslog"])
def test_what_real_programs_log_is_heard_once(room, recipe, peep, logins, way):
    rules = (RULES, "sshd", "sudo")
    agent = peep.agent("--source", "syslog:5514", "--rules", ",".join(rules))
    until(lambda: room.listens(5514) and room.listens(5514, "udp"), "it listens")
    room.path(ALL_LOG).unlink(missing_ok=True)
    config = CONFIG[recipe.syslog].format(how=WAYS[recipe.syslog][way])
    daemon = daemons.syslog(room, recipe.syslog, config)
    room.run("python3", "-c", ODD)
    said = ["odd", *(SAID[n % len(SAID)] for n in range(MANY[way[:3]]))]
    lines = "".join(f"n={n} {text}\n" for n, text in enumerate(said) if n)
    room.run("logger", "--tag", "numbered", "--size", "4096", feed=lines)
    for user, password in (
        ("alice", "wrong"),
        ("mallory", "wrong"),
        ("alice", "right"),
    ):
        daemons.ssh(room, user, password)
    room.run("su", "alice", "-c", "true")
    room.run("su", "-c", "true", user="alice", feed="wrong\n", code=1)
    daemon.stop()

    written = room.path(ALL_LOG).read_bytes().splitlines()
    expected = meant(written, "syslog", [str(room.path(RULES)), *rules[1:]])
    assert expected["numbered.line"] == len(said), "the daemon had them all"
    assert expected["ssh.login-failed"] == 2
    assert expected["ssh.login"] == 1
    assert expected["su.failed"] == 1
    until_heard(peep, agent, lambda: expected)
    agent.stop()
    assert peep.counts(agent) == expected, "and nothing comes later"
    heard = {int(e["instance"]): e["text"] for e in peep.events(agent, "numbered.line")}
    assert heard.pop(0).startswith("odd")
    assert heard == {n: text[: len(heard[n])] for n, text in enumerate(said) if n}
    assert min(map(len, heard.values())) == min(map(len, SAID))
