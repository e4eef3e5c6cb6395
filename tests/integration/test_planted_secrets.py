"""More than a thousand secrets go through real processes, and are found nowhere after.

An agent follows logs full of them, keeps what it read while no server is there, and
sends it into a sealed class when one comes. A catch-all rule makes an alert of each
line, so every text is kept, sent and recorded: redacted, and not dropped.
"""

import contextlib
import json
import signal
import socket
import threading

import pytest
from homes import FEW, Home
from lives import Life, reading, wait_until
from planted import pieces, planted
from test_commands import free_port

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.untraced,
    pytest.mark.timeout(120),
]

CLASS = "planted.example.org"
SEED = 20
FILES = 4
# As little as a leak could be: a shorter piece may be in a number by chance.
PIECE_BYTES = 12
RULES = r"""
- name: about
  match: '(?:user|for|USER|login|from) (?P<instance>\S+)'
  event: probe.about
  tier: alert
- name: line
  match: '.'
  event: probe.line
  tier: alert
"""
ROWS = "SELECT text, instance FROM signals WHERE name LIKE 'probe.%'"


class Wire:
    """What goes over the loopback, where one may look."""

    def __init__(self):
        self.seen = bytearray()
        self._done = threading.Event()
        try:
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)
            )
        except PermissionError:
            self._socket = None
            return
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._done.is_set():
            with contextlib.suppress(TimeoutError):
                self.seen += self._socket.recv(65_535)

    def close(self):
        self._done.set()
        if self._socket is not None:
            self._thread.join()
            self._socket.close()


@pytest.fixture
def home():
    made = Home()
    yield made
    made.close()


@pytest.fixture
def wire():
    made = Wire()
    yield made
    made.close()


def rows(database):
    with reading(database) as journal:
        return journal.execute(ROWS).fetchall()


def alerts_kept(database):
    with reading(database) as store:
        return store.execute("SELECT count(*) FROM alerts").fetchone()[0]


def left_of(secrets, haystack):
    """Return what of any secret stands in this."""
    wanted = {piece for secret in secrets for piece in pieces(secret, PIECE_BYTES)}
    sizes = {len(piece) for piece in wanted}
    found = set()
    for size in sizes:
        found |= wanted & {haystack[at : at + size] for at in range(len(haystack))}
    return found


def files_of(directory):
    return b"".join(
        path.read_bytes() for path in directory.rglob("*") if path.is_file()
    )


def test_of_more_than_a_thousand_secrets_none_is_kept_said_shown_or_sent(home, wire):
    lines = planted(SEED)
    secrets = {secret for line in lines for secret in line.secrets}
    assert len(secrets) > 1000
    logs = [home.directory / f"app{number}.log" for number in range(FILES)]
    for number, log in enumerate(logs):
        log.write_bytes(b"".join(x.line + b"\n" for x in lines[number::FILES]))
    assert home.peep("key", "new", CLASS).returncode == 0
    rules = home.directory / "rules.yaml"
    rules.write_text(RULES)
    sources = [{"kind": "tail", "path": str(log), "from_start": True} for log in logs]
    (home.config / "peep.yaml").write_text(
        json.dumps({"agent": {"sources": sources, "rules": [str(rules)], "cpu_max": 0}})
    )
    common = ("--interfaces=lo", f"--classes={CLASS}")
    state = home.directory / "state" / "peep"
    agent = Life(home.env, ["-m", "peep", "agent", *common])
    lives = [agent]
    try:
        store = state / "agent-0.db"
        wait_until(lambda: agent.has_said("following"), 60)
        wait_until(lambda: alerts_kept(store) == len(lines), 60)
        places = {"the store, before": files_of(state)}
        words = ("server", *common, f"--port={free_port()}", "--output=null", FEW)
        server = Life(home.env, ["-m", "peep", *words])
        lives.append(server)
        journal = state / "journal.db"
        wait_until(lambda: server.has_said("listening"), 60)
        wait_until(lambda: len(rows(journal)) == len(lines), 60)
        wait_until(lambda: not alerts_kept(store), 30)
        for command in (
            "history --limit=5000",
            "history --limit=5000 --json",
            "metrics",
        ):
            done = home.peep(*command.split())
            assert done.returncode == 0, done.stderr
            places[command] = done.stdout.encode() + done.stderr.encode()
        told = rows(journal)
        history = json.loads(places["history --limit=5000 --json"])
        places["history, decoded"] = json.dumps(history, ensure_ascii=False).encode()
    finally:
        for life in reversed(lives):
            life.end(signal.SIGTERM)
        wire.close()
    assert all("[redacted]" in text for text, _ in told), "redacted, and not dropped"
    assert len({instance for _, instance in told}) > 1
    places["stderr"] = "\n".join(x for life in lives for _, x in life.said).encode()
    places["the state, after"] = files_of(state)
    places["the wire"] = bytes(wire.seen)
    assert b"[redacted]" in places["history --limit=5000"]
    assert b"[redacted]" in places["the state, after"]
    for name, place in places.items():
        assert not left_of(secrets, place), name
