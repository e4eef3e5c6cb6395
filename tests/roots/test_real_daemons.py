"""Real sshd, nginx, PostgreSQL and postfix are heard by their shipped packs.

Two things are asked of each. What was done to it is heard, by name and as often as it
was done; that is counted without the packs. And each line that it wrote became its
event once, by whatever rule; so nothing was lost or doubled on the way.
"""

import collections
import json
import sys
from pathlib import Path

import daemons
import pytest
from peep_there import meant, until_heard
from room import until

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]

VISITORS = Path(__file__).with_name("visitors.py")
ROUNDS = 150  # of 18 requests, by four at once: ten thousand
EVIL = "Accepted password for root from 10.0.0.1 port 22 ssh2"
PROBES = ("", "GET / HTTP/1.0\r\n\r\n", "SSH-1.5-x\r\n", "SSH-2.0-x\r\n" + 20 * "a")
# Lines that go on with what the one before began; nobody needs to hear them.
CONTINUES = (b"\t",)


class Watch:
    """An agent that follows logs from their beginning, and what it ought to tell."""

    def __init__(self, room, peep, logs):
        self._room, self._peep, self._logs = room, peep, logs
        sources = "".join(
            f"    - {{kind: tail, path: {log}, from_start: true}}\n" for log in logs
        )
        config = room.path("etc/peep/watch.yaml")
        config.write_text(f"agent:\n  sources:\n{sources}")
        self._agent = peep.agent("--config", "/etc/peep/watch.yaml")

    def heard(self):
        """Return how often each event was heard, as soon as each line was."""
        heard = until_heard(self._peep, self._agent, self._meant)
        self._agent.stop()
        assert self._peep.counts(self._agent) == heard, "and nothing comes later"
        return heard

    def unheard(self):
        """Return lines that no rule takes, though they begin something."""
        return [
            line
            for log in self._logs
            for line in self._lines(log)
            if not meant([line], log) and not line.startswith(CONTINUES)
        ]

    def _meant(self):
        found = (meant(self._lines(log), log) for log in self._logs)
        return sum(found, collections.Counter())

    def _lines(self, log):
        whole = self._room.path(log).read_bytes().rpartition(b"\n")[0]
        return whole.split(b"\n") if whole else []


def visit(room, *words):
    """Be a stranger on the room's network; return what he got."""
    process = room.start_outside(sys.executable, VISITORS, *words)
    said = process.finish()
    return json.loads(said) if said else None


@pytest.fixture(scope="module", autouse=True)
def syslog(room, recipe):
    running = daemons.syslog(room, recipe.syslog)
    yield
    running.stop()


def test_failing_logins_are_heard(room, peep, syslog):
    running = daemons.sshd(room)
    watch = Watch(room, peep, ["/var/log/auth.log"])
    failing = {"alice": 4, "root": 3, "mallory": 2, "x y": 1, EVIL: 1}
    for user, times in failing.items():
        for _ in range(times):
            daemons.ssh(room, user)
    daemons.ssh(room, "alice", tries=5)  # of which three are let him
    daemons.ssh(room, "alice", "right")
    visit(room, "say", "22", *PROBES)
    room.run("su", "alice", "-c", "true")
    room.run("su", "-c", "true", user="alice", feed="wrong\n", code=1)
    running.stop()

    heard = watch.heard()
    assert heard["ssh.login-failed"] == sum(failing.values()) + 3
    assert heard["ssh.login"] == heard["ssh.session-opened"] == 1
    assert heard["ssh.session-closed"] == 1
    assert heard["ssh.too-many-failures"] >= 1
    assert heard["ssh.invalid-user"] >= 4
    assert heard["ssh.probe"] >= len(PROBES) - 1
    assert heard["su.failed"] == 1
    assert heard["ssh.root-login"] == 0, "whatever a stranger calls himself"
    assert watch.unheard() == []


def test_nginx_under_load_is_heard(room, peep):
    running = daemons.nginx(room)
    logs = ["/var/log/nginx/access.log", "/var/log/nginx/error.log"]
    watch = Watch(room, peep, logs)
    got = collections.Counter(visit(room, "web", str(ROUNDS)))
    running.stop()

    heard = watch.heard()
    assert got.total() == ROUNDS * 4 * 18
    assert heard["web.request"] == got["GET / 200"]
    assert heard["web.write"] == got["POST / 200"]
    assert heard["web.redirect"] == got["GET /moved 301"]
    assert heard["web.not-found"] == got["GET /none 404"] + got["GET /slow 404"]
    assert heard["web.secret-served"] == got["GET /.env 200"]
    assert heard["web.probe"] == got["GET /none/.git/config 404"]
    assert heard["web.client-error"] == got["POST / 413"]
    assert heard["nginx.upstream-down"] == got["GET /app 502"]
    busy = got["GET /slow 503"]
    broken = got["GET /app 502"] + got["GET /broken 500"]
    assert heard["web.server-error"] == broken + busy
    denied = got["GET /admin 403"] + got["GET /secret 401"]
    assert heard["web.denied"] == denied
    assert heard["nginx.denied"] == denied + busy + got["POST / 413"]
    assert watch.unheard() == []


def test_postgresql_is_heard(room, peep):
    server = daemons.PostgreSQL(room)
    watch = Watch(room, peep, [server.log])
    server.shop("create table t (id int primary key, x int)")
    server.shop("insert into t values (1, 1), (2, 2)")
    for wrong in ("selec 1", "select * from nowhere", "select 1/0", "table t, t"):
        server.shop(wrong, code=1)
    server.shop("insert into t values (1, 1)", code=1)
    server.shop("select pg_read_file('/etc/shadow')", code=1)
    for _ in range(3):
        server.shop("select 1", password="wrong", code=2)
    server.shop("select 1", user="mallory", code=2)
    server.sql("select 1", user="www-data", code=2)
    server.shop("select 1", database="nowhere", code=2)
    server.sql("select pg_terminate_backend(pg_backend_pid())", code=2)
    server.sql("checkpoint")
    update = "update t set x = 1 where id = {}"
    crossed = f"begin; {update}; select pg_sleep(1); {update}; commit"
    both = [server.client(crossed.format(*ids)) for ids in ((1, 2), (2, 1))]
    for one in both:
        one.finish(code=None)
    many = [server.client("select pg_sleep(2)") for _ in range(12)]
    refused = sum("FATAL" in one.finish(code=None) for one in many)
    assert refused
    victim = server.client("select pg_sleep(60)")
    find = "select pid from pg_stat_activity where query like '%sleep(60)' limit 1"
    pid = until(lambda: server.sql(find), "it sleeps")
    room.run("sh", "-c", f"kill -SEGV {pid}")
    victim.finish(code=2)
    until(lambda: "ready" in server.sql("select 'ready'", code=None), "it is back")
    server.stop()

    heard = watch.heard()
    assert heard["postgresql.error"] == 5
    assert heard["postgresql.denied"] == 1
    assert heard["postgresql.login-failed"] == 3 + 1 + 1
    assert heard["postgresql.connection-ended"] >= 2  # more while it recovers
    assert heard["postgresql.too-many-connections"] == refused
    assert heard["postgresql.deadlock"] >= 2
    assert heard["postgresql.checkpoint"] >= 4
    assert heard["postgresql.panic"] == 1
    assert heard["postgresql.crash-recovery"] >= 2
    assert heard["postgresql.started"] == 2
    assert heard["postgresql.stopped"] == 1
    assert watch.unheard() == []


def test_postfix_is_heard(room, peep):
    room.path("var/log/mail.log").touch()
    daemons.postfix(room)
    watch = Watch(room, peep, ["/var/log/mail.log"])
    assert visit(room, "mail") == [250, 454, 550, 550, 552, 250]
    room.run("sendmail", "nosuch@localhost", feed="Subject: x\n\nx\n")
    log = room.path("var/log/mail.log")
    until(lambda: log.read_text().count("status=deferred") >= 2, "it tries to deliver")
    room.run("postfix", "stop")

    heard = watch.heard()
    assert heard["postfix.sent"] == 1
    assert heard["postfix.rejected"] == 4
    assert heard["postfix.bounced"] == 1
    assert heard["postfix.bounce-notice"] == 1
    assert heard["postfix.deferred"] == 2  # the letter to bob, and the bounce
    assert heard["postfix.remote-down"] == 2
    assert heard["postfix.abuse"] >= 3  # one version complains more
    assert heard["postfix.started"] == 2
    assert heard["postfix.stopped"] == 2
    assert watch.unheard() == []


# How Debian's syslog daemons share lines out among files: by facility.
FACILITIES = {
    "auth": ("sshd", "Failed password for root from 192.0.2.7 port 4711 ssh2"),
    "mail": ("postfix/smtpd", "connect from unknown[192.0.2.7]"),
    "daemon": ("systemd", "Started cron.service - Regular background program."),
    "user": ("su", "FAILED SU (to root) alice on pts/0"),
}
ONE_EACH = {
    "ssh.login-failed": 1,
    "postfix.connect": 1,
    "systemd.started": 1,
    "su.failed": 1,
}


def log_one_of_each(room):
    for facility, (program, text) in FACILITIES.items():
        words = ("--priority", f"{facility}.info", "--tag", program, "--id=77", text)
        room.run("logger", *words)


def test_an_agent_without_configuration_or_rights_finds_the_logs(room, peep):
    log_one_of_each(room)
    room.run("useradd", "--system", "watcher")
    agent = peep.agent("--user", "watcher")
    followed = {line.removeprefix("following ") for line in agent.lines}
    logs = ("auth.log", "syslog", "nginx/access.log", "nginx/error.log")
    assert {f"/var/log/{log}" for log in logs} <= followed
    log_one_of_each(room)
    until(lambda: ONE_EACH.keys() <= peep.counts(agent).keys(), "all are heard")
    agent.stop()


def test_an_agent_without_configuration_hears_each_line_once(room, peep):
    log_one_of_each(room)
    agent = peep.agent()
    log_one_of_each(room)
    until(lambda: ONE_EACH.keys() <= peep.counts(agent).keys(), "all are heard")
    agent.stop()
    heard = peep.counts(agent)
    assert {name: heard[name] for name in ONE_EACH} == ONE_EACH
