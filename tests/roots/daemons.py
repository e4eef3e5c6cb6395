"""Real daemons in a room, set up so that they log much and wait little."""

from room import until

# As Debian has it, but for the kernel's lines: they would be those of this machine.
NO_KERNEL = ("system();", 'unix-dgram("/dev/log");')
SSHD = """
PermitRootLogin yes
MaxAuthTries 3
UseDNS no
"""
# From 9.8 on whoever fails is not let in for a while; one host is all we have.
NO_PENALTIES = "PerSourcePenalties no\n"
NGINX = """
limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m;
server {
    listen 127.0.0.1:80;
    client_max_body_size 1k;
    location / { return 200 "fine"; }
    location /moved { return 301 /; }
    location /none { root /var/empty; }
    location /admin { deny all; root /var/empty; }
    location /app { proxy_pass http://127.0.0.1:9; }
    location /broken { return 500; }
    location /slow { limit_req zone=slow; root /var/empty; }
    location /secret { auth_basic x; auth_basic_user_file /etc/nginx/users; }
}
"""
POSTGRESQL = """
log_connections = on
log_lock_waits = on
deadlock_timeout = 100ms
max_connections = 10
fsync = off
"""
POSTFIX = (
    "inet_interfaces=loopback-only",
    "inet_protocols=ipv4",
    "myhostname=room.example",
    "mydestination=localhost",
    "mynetworks=127.0.0.2/32",
    "relayhost=[127.0.0.1]:9",  # where nobody is
    "message_size_limit=20000",
    "smtpd_soft_error_limit=2",
    "smtpd_hard_error_limit=3",
    "smtpd_error_sleep_time=0",
)


def syslog(room, daemon, config=None):
    """Start the room's syslog daemon, as Debian has it or as said."""
    if daemon == "rsyslog":
        path, words = room.path("etc/rsyslog.conf"), ("rsyslogd", "-n")
    else:
        path, words = room.path("etc/syslog-ng/syslog-ng.conf"), ("syslog-ng", "-F")
        version = path.read_text().splitlines()[0]
        config = f"{version}\n{config}" if config else path.read_text()
        config = config.replace(*NO_KERNEL)
    if config:
        path.write_text(config)
    log = room.path("dev/log")
    log.unlink(missing_ok=True)
    started = room.start(*words)
    until(log.exists, "the syslog daemon listens")
    return started


def sshd(room):
    """Start sshd."""
    version = room.run("ssh", "-V")
    newer = tuple(map(int, version.split("_")[1].split("p")[0].split("."))) >= (9, 8)
    path = room.path("etc/ssh/sshd_config.d/room.conf")
    path.write_text(SSHD + (NO_PENALTIES if newer else ""))
    for word in ("right", "wrong"):
        program = room.path(f"usr/local/bin/say-{word}")
        program.write_text(f"#!/bin/sh\necho {word}\n")
        program.chmod(0o755)
    # Else a refusal takes two seconds.
    pam = room.path("etc/pam.d/common-auth")
    pam.write_text(pam.read_text().replace("pam_unix.so", "pam_unix.so nodelay", 1))
    started = room.start("/usr/sbin/sshd", "-D")
    room.wait_for_port(22)
    return started


def ssh(room, user, password="wrong", tries=1):
    """Log in, or try to."""
    options = (
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "PreferredAuthentications=password",
        f"NumberOfPasswordPrompts={tries}",
    )
    ask = {
        "SSH_ASKPASS": f"/usr/local/bin/say-{password}",
        "SSH_ASKPASS_REQUIRE": "force",
    }
    words = [word for option in options for word in ("-o", option)]
    code = 0 if password == "right" else 255
    room.run("ssh", *words, "-l", user, "127.0.0.1", "true", env=ask, code=code)


def nginx(room):
    """Start nginx."""
    room.path("etc/nginx/sites-enabled/default").unlink()
    room.path("etc/nginx/conf.d/room.conf").write_text(NGINX)
    room.path("etc/nginx/users").write_text("alice:{PLAIN}right\n")
    started = room.start("nginx", "-g", "daemon off;")
    room.wait_for_port(80)
    return started


class PostgreSQL:
    """A cluster with a database shop of alice's."""

    def __init__(self, room):
        self._room = room
        (versions,) = room.path("etc/postgresql").iterdir()
        self._words = ("pg_ctlcluster", versions.name, "main")
        config = versions / "main" / "postgresql.conf"
        config.write_text(config.read_text() + POSTGRESQL)
        self.log = f"/var/log/postgresql/postgresql-{versions.name}-main.log"
        room.run(*self._words, "start")
        self.sql("create role alice login password 'right'")
        self.sql("create database shop owner alice")

    def sql(self, text, user="postgres", code=0):
        """Speak as the superuser, or as somebody else by a socket; return values."""
        words = ("psql", "-X", "-A", "-t", "-q", "-c", text, "postgres")
        return self._room.run(*words, user=user, code=code)

    def client(self, text, user="alice", password="right", database="shop"):
        """Start a client that comes by TCP; it does not knock for TLS first."""
        where = f"host=127.0.0.1 sslmode=disable user={user} dbname={database}"
        words = ("psql", "-X", "-w", "-c", text, where)
        env = {"PGPASSWORD": password}
        return self._room.start(*words, user="postgres", env=env)

    def shop(self, text, code=0, **who):
        """Be a client, to the end."""
        return self.client(text, **who).finish(code=code)

    def stop(self):
        """Shut it down in order."""
        self._room.run(*self._words, "stop")


def postfix(room):
    """Start postfix; what it sends elsewhere finds nobody."""
    room.run("postconf", "-e", *POSTFIX)
    room.run("newaliases")
    room.run("postfix", "start")
    room.wait_for_port(25)
