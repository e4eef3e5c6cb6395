"""From a line in a log to a row of the journal, whatever dies in between.

Both ends are real processes. Between them is a relay that loses 30 % of the datagrams;
while a log is written steadily, each end is killed again and again; most times its
file cannot be written just then, which is when it matters what is done first.
"""

import contextlib
import fcntl
import itertools
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from homes import FEW, Home
from lives import Life, reading, wait_until
from relay import NETWORK, Relay
from test_commands import free_port

from peep.loglines import Mark
from peep.protocol.packets import PacketType

pytestmark = [
    pytest.mark.network,
    pytest.mark.audio,
    pytest.mark.slow,
    pytest.mark.untraced,
]

ALERTS = 10_000
ROUTINE = 0.3  # of all lines
LINES_PER_S = 400.0
SLOW_LINES_PER_S = 20.0  # while the ends were killed too seldom for so much of the log
TICK_S = 0.02
LOSS = 0.3
LEAST_KILLS = 3  # of each end; on a machine with time there are twice as many
FLOW_S = 1.5  # at most, from the first receipt on
AFTER_S = 0.1  # at most, from a receipt to a kill
# A handshake that failed is tried again in a minute: so long there is nothing to lose.
STALLED_S = 20.0
HOLD_S = 0.2  # at most; half as long at least
WINDOW_S = 0.05  # what a killed server heard and did not record
SCHEDULED_S = 0.15  # that a busy machine adds, to the journal's thread and to ours
# The last ones are repeated with pauses of ten seconds; they may come undisturbed.
STRAGGLERS = 500
CALM = 250  # a second's alerts: those that wait are no news yet
WRITE_LOCK = 120  # the byte of NAME-shm that SQLite locks to write, says its manual
RULES = """\
rules:
  - name: alert
    match: '^alert \\d+$'
    event: probe.alert
    family: failure
    tier: alert
    samples: {take: ["alert 1"], refuse: ["an alert 1"]}
  - name: routine
    match: '^routine (?P<instance>\\d+)$'
    event: probe.routine
    family: access
    samples: {take: ["routine 1"], refuse: ["routine"]}
"""
AGENT = f"""\
network: {{allow: {{networks: [{NETWORK}]}}}}
agent: {{spool: {{max_alerts: {2 * ALERTS}}}, cpu_max: 0}}
"""
HEARD = re.compile(r"alert probe\.alert from .*: (alert \d+)")
ROWS = """\
SELECT text, received, again FROM signals WHERE name LIKE 'probe.%'
"""
# An alert that was on record, and nevertheless taken for a new one.
SOUNDED_THOUGH_RECORDED = """\
SELECT count(*) FROM outcomes WHERE number NOT IN (SELECT number FROM signals)
"""
UNHEARD = """\
SELECT count(*) FROM signals LEFT JOIN outcomes USING (number)
WHERE tier = 2 AND name = 'probe.alert' AND outcomes.at IS NULL
"""
# Closing a file drops this process's locks of it: one thread at a time.
FILES = threading.Lock()


class End:
    """A server or an agent that is killed over and over, and its SQLite file."""

    def __init__(self, env, database, *words):
        self.env = env
        self.database = database
        self.words = words
        self.lives = []

    def start(self):
        self.lives.append(Life(self.env, self.words))

    def harass(self, relay, dice, done, calm):
        """Kill it while alerts are receipted, and start it again, over and over."""
        for number in itertools.count():
            if number % 4 == 0:
                wait_until(lambda: done.is_set() or calm(), 200)
            # The other end may have died meanwhile.
            for most_s in (FLOW_S, AFTER_S):
                relay.anew()
                give_up_at = time.monotonic() + STALLED_S
                while not relay.wait_for(PacketType.RECEIPT, 0.1):
                    if done.is_set():
                        return
                    if time.monotonic() > give_up_at:
                        break
                if done.wait(dice.uniform(0.0, most_s)):
                    return
            life = self.lives[-1]
            with held(self.database) if number % 4 else contextlib.nullcontext():
                life.undisturbed_until = time.time()
                if number % 4:
                    done.wait(dice.uniform(HOLD_S / 2, HOLD_S))
                life.end(signal.SIGKILL)
            self.start()


@contextlib.contextmanager
def held(database):
    """Let nobody write to a SQLite file meanwhile, as a backup or a slow disk would."""
    with FILES, Path(f"{database}-shm").open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, WRITE_LOCK)
        yield


def write_steadily(path, lines, kills):
    """Write all lines, the last when each end was killed often enough."""
    pause, then, due, done = threading.Event(), time.monotonic(), 0.0, 0
    with path.open("a") as file:
        while done < len(lines):
            pause.wait(TICK_S)
            now, count = time.monotonic(), kills()
            # On a busy machine they live longer, and are to die in the midst of it.
            in_time = (count + 1) * len(lines) > LEAST_KILLS * done
            due += (now - then) * (LINES_PER_S if in_time else SLOW_LINES_PER_S)
            due, then = min(due, len(lines) - (count < LEAST_KILLS)), now
            file.write("".join(f"{line}\n" for line in lines[done : int(due)]))
            file.flush()
            done = int(due)


def waiting(store):
    """Return how many alerts an agent keeps."""
    with FILES, reading(store) as database:
        (alerts,) = database.execute("SELECT count(*) FROM alerts").fetchone()
    return alerts


def has_read(store, log):
    """Say whether an agent has read all of a log."""
    with FILES, reading(store) as database:
        marks = database.execute("SELECT packed FROM marks").fetchall()
    offsets = [msgspec.msgpack.decode(mark, type=Mark).offset for (mark,) in marks]
    return offsets == [log.stat().st_size]


@pytest.fixture
def homes():
    """An agent's and a server's, which share a key.

    What the server writes is in memory, if it can be: the window in which it forgets
    is not to be that of a busy disk.
    """
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as state:
        agent, server = Home(), Home()
        server.env["XDG_STATE_HOME"] = state
        try:
            assert server.peep("key", "new", "chain").returncode == 0
            shutil.copytree(server.config, agent.config)
            (agent.config / "peep.yaml").write_text(AGENT)
            (agent.config / "rules.yaml").write_text(RULES)
            yield agent, server
        finally:
            agent.close()
            server.close()


def live_and_die(agent, server, relay, log, lines):
    """Write the log while both ends are killed; return when all of it has arrived."""
    done = threading.Event()
    killers = [
        threading.Thread(
            target=end.harass,
            args=(relay, random.Random(relay.seed + number), done, calm),
        )
        for number, (end, calm) in enumerate(
            (
                # What it hears late it tells in groups, and does not say each.
                (server, lambda: waiting(agent.database) < CALM),
                (agent, lambda: True),
            )
        )
    ]
    with relay, contextlib.ExitStack() as ending:
        for end in (server, agent):
            end.start()
            ending.callback(lambda end=end: end.lives[-1].end(signal.SIGTERM))
        wait_until(lambda: agent.lives[0].has_said("heard by"), 60)
        for killer in killers:
            killer.start()
            ending.callback(killer.join)
        ending.callback(done.set)
        write_steadily(log, lines, lambda: min(len(server.lives), len(agent.lives)) - 1)
        done.set()
        for killer in killers:
            killer.join()
        wait_until(lambda: has_read(agent.database, log), 60)
        wait_until(lambda: waiting(agent.database) < STRAGGLERS, 200)
        relay.loss = 0.0
        wait_until(lambda: not waiting(agent.database), 60)


@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8 on lo")
def test_each_alert_is_recorded_once_though_both_ends_are_killed_over_and_over(homes):
    at_agent, at_server = homes
    seed = int(os.environ.get("PEEP_SEED", "1"))
    kinds = ["alert"] * ALERTS + ["routine"] * int(ALERTS * ROUTINE / (1 - ROUTINE))
    random.Random(seed).shuffle(kinds)
    lines = [f"{kind} {number}" for number, kind in enumerate(kinds)]
    log = at_agent.directory / "probe.log"
    log.touch()
    port = free_port()
    relay = Relay(port, seed, LOSS)
    server = End(
        at_server.env,
        Path(at_server.env["XDG_STATE_HOME"]) / "peep" / "journal.db",
        *("-m", "peep", "server", "--interfaces=lo", f"--port={port}", "--output=null"),
        *("--classes=chain", "--lease=10", FEW),
    )
    agent = End(
        at_agent.env,
        Path(at_agent.env["XDG_STATE_HOME"]) / "peep" / "agent-0.db",
        *("-m", "peep", "agent", "--interfaces=lo", f"--locator={relay.locator}"),
        "--classes=chain",
        *(f"--rules={at_agent.config / 'rules.yaml'}", f"--source=tail:{log}"),
    )
    live_and_die(agent, server, relay, log, lines)

    # It was as bad as it is said to be.
    assert min(len(server.lives), len(agent.lives)) > LEAST_KILLS
    assert min(relay.lost, relay.doubled, relay.held) > 0
    with reading(server.database) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = {text: rest for text, *rest in database.execute(ROWS)}
        recorded = Counter(text for text, *_ in database.execute(ROWS))
        assert database.execute(SOUNDED_THOUGH_RECORDED).fetchone() == (0,)
    assert [text for text, times in recorded.items() if times > 1] == []
    assert [line for line in lines if "alert" in line and line not in recorded] == []
    assert recorded.keys() <= set(lines)
    # Routine waits in memory while there is no server, and dies with the agent.
    assert sum("routine" in text for text in recorded) > 100
    assert not any(life.has_said("dropped") for life in agent.lives)
    # What sounded in a server and was recorded by a later one has sounded again.
    unmarked, long_before = [], []
    for life in server.lives[:-1]:
        for at, line in life.said:
            heard = HEARD.fullmatch(line)
            if heard is None:
                continue
            received, again = rows[heard[1]]
            if received > life.ended and not again:
                unmarked.append(line)
            if received > life.ended and at < (
                life.undisturbed_until - WINDOW_S - SCHEDULED_S
            ):
                long_before.append((line, life.ended - at))
    assert unmarked == []
    assert long_before == []
