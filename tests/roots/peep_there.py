"""Peep in a room: agents within, from a wheel; the server outside, on its network.

The server brings a soundscape's libraries along, an agent must do without; so the rooms
have none. What they say is sealed, else texts and instances would not be sent.
"""

import collections
import functools
import json
import os
import shutil
import subprocess
import sys
import uuid

from debian import REPOSITORY
from room import until

from peep.config.rulepacks import load_rules, shipped_packs
from peep.loglines import LogLine
from peep.rules import RuleSet

PEEP = "/opt/peep/bin/peep"
CLASS = "roots"
ALL = 1_000_000


def install(room, wheel, libraries):
    """Install Peep in the room as pip does on a host, without any index."""
    shutil.copytree(libraries, room.path("wheels"))
    shutil.copy(wheel, room.path("wheels"))
    room.run("python3", "-m", "venv", "/opt/peep")
    pip = ("/opt/peep/bin/pip", "install", "--quiet", "--no-index")
    room.run(*pip, "--find-links", "/wheels", f"/wheels/{wheel.name}")


class Peep:
    """A server, and what it heard from each agent."""

    def __init__(self, room, homes):
        self._room = room
        self._env = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        for kind in ("CONFIG", "STATE", "RUNTIME"):
            home = homes / kind.lower()
            home.mkdir(mode=0o700)
            self._env[f"XDG_{kind}_{'DIR' if kind == 'RUNTIME' else 'HOME'}"] = str(
                home
            )
        self._here("key", "new", CLASS)
        token = self._here("key", "token", CLASS, "--locator", "peep://127.0.0.1")
        room.run(PEEP, "join", feed=token)
        words = ("server", "--classes", CLASS, "--interfaces", "lo", "--output", "null")
        self._server = room.start_outside(
            sys.executable, "-m", "peep", *words, env=self._env
        )
        self._server.wait_for("listening")

    def agent(self, *words):
        """Start an agent that the server hears already."""
        host = f"agent-{uuid.uuid4().hex[:8]}"
        state = {"XDG_STATE_HOME": f"/var/tmp/{host}"}
        speak = ("--classes", CLASS, "--interfaces", "lo", "--host", host)
        agent = self._room.start(PEEP, "agent", *speak, *words, env=state)
        agent.wait_for("heard by")
        agent.host = host
        return agent

    def events(self, agent, name="*"):
        """Return the events of an agent that are on record so far."""
        wanted = ("kind=event", f"host={agent.host}", f"name={name}")
        words = ("history", *wanted, "--json", "--limit", str(ALL))
        return json.loads(self._here(*words))

    def counts(self, agent, name="*"):
        """Return how often each event happened, folded ones as well."""
        found = collections.Counter()
        for event in self.events(agent, name):
            found[event["name"]] += event["count"]
        return found

    def close(self):
        """End the server, and return what it said."""
        return self._server.stop()

    def _here(self, *words):
        done = subprocess.run(
            [sys.executable, "-m", "peep", *words],
            env=os.environ | self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout


@functools.cache
def _rules(packs):
    return RuleSet(load_rules(packs or shipped_packs()))


def meant(lines, source, packs=()):
    """Return how often each event is among lines, by all shipped packs or by these."""
    batch = [LogLine(source, at, line) for at, line in enumerate(lines)]
    found = collections.Counter()
    for event in _rules(tuple(packs)).events(batch):
        found[event.name] += event.count
    return found


def until_heard(peep, agent, expected, within_s=60):
    """Return what an agent told as soon as it is what `expected` returns."""

    def as_expected():
        heard = peep.counts(agent)
        return heard if heard == expected() else None

    def difference():
        heard, wanted = peep.counts(agent), expected()
        missing, surplus = dict(wanted - heard), dict(heard - wanted)
        return f"missing {missing}, too many {surplus}; the agent said {agent.lines}"

    return until(as_expected, difference, within_s)
