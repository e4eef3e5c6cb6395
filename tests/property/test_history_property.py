"""What `peep history` finds is what a plain loop over the same signals would find."""

import fnmatch
import os
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from peep.config.problems import UNSAFE
from peep.errors import ConfigError
from peep.journal.filters import KEYS, parse_query
from peep.journal.history import find
from peep.journal.rows import outcome_row, signal_row
from peep.journal.writer import Batch, Limits, Writer
from peep.mixer.outcomes import Cue, Suppression
from peep.reasons import Reason
from peep.signals import Event, State, Tier

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
NOW = 1_800_000_000.0
NAMES = ["ssh.login", "ssh.logout", "web.request", "load"]
HOSTS = ["", "web1", "web2", "db[1]"]
TEXTS = ["", "Failed password", "100% *"]

signals = st.one_of(
    st.builds(
        Event,
        name=st.sampled_from(NAMES),
        host=st.sampled_from(HOSTS),
        tier=st.sampled_from(Tier),
        text=st.sampled_from(TEXTS),
    ),
    st.builds(
        State,
        name=st.sampled_from(NAMES),
        host=st.sampled_from(HOSTS),
        value=st.just(1),
    ),
)
outcomes = st.sampled_from(["cue", "masked", "stale", ""])
histories = st.lists(st.tuples(signals, outcomes, st.integers(0, 3)), max_size=30)
filters = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["ssh.*", "*.request", "load", "*", "s?h.login"]),
        "host": st.sampled_from(["web1", "web*", "db[1]", "db[*", "none"]),
        "tier": st.sampled_from(["routine", "notable", "alert"]),
        "kind": st.sampled_from(["event", "state", "heartbeat"]),
        "text": st.sampled_from(["password", "PASSWORD", "%", "*"]),
        "outcome": st.sampled_from(["cue", "suppressed", "none", "masked"]),
        "since": st.integers(0, 60).map("{}s".format),
        "until": st.integers(0, 60).map("{}s".format),
    },
)


def globbed(pattern, value):
    return fnmatch.fnmatchcase(value, re.sub(r"[\[?]", r"[\g<0>]", pattern))


def matches(asked, signal, outcome, received):
    kind = "event" if isinstance(signal, Event) else "state"
    tests = {
        "name": lambda v: globbed(v, signal.name),
        "host": lambda v: bool(signal.host) and globbed(v, signal.host),
        "tier": lambda v: kind == "event" and signal.tier.name.lower() == v,
        "kind": lambda v: kind == v,
        "text": lambda v: kind == "event" and v in signal.text,
        "outcome": lambda v: {
            "cue": outcome == "cue",
            "suppressed": outcome in ("masked", "stale"),
            "none": outcome == "",
        }.get(v, outcome == v),
        "since": lambda v: received >= NOW - int(v[:-1]),
        "until": lambda v: received <= NOW - int(v[:-1]),
    }
    return all(tests[key](value) for key, value in asked.items())


@settings(max_examples=150, deadline=None)
@given(history=histories, asked=filters, limit=st.integers(1, 10))
def test_history_finds_what_a_loop_finds(history, asked, limit):
    batch = Batch()
    told = []
    received = NOW - 60
    for number, (signal, outcome, pause_s) in enumerate(history, 1):
        received += pause_s
        told.append((number, signal, outcome, received))
        batch.signals.append(
            signal_row(
                number, signal, b"agent-id", "public", received, age_s=0.0, again=False
            )
        )
        if outcome:
            cue = (
                Cue(signal, "frog", 1, number)
                if outcome == "cue"
                else Suppression(signal, Reason(outcome), number)
            )
            batch.outcomes.append(outcome_row(cue, received, 0.0))
    wanted = [number for number, *rest in told if matches(asked, *rest)]
    words = [f"{key}='{value}'" for key, value in asked.items()]
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path = Path(name) / "journal.db"
        writer = Writer(path, Limits(), print)
        writer.open(NOW).execute("PRAGMA synchronous=OFF")
        writer.write(batch, NOW)
        try:
            query = parse_query(words, NOW)
        except ConfigError:
            # The one mistake that these can make.
            assert int(asked["since"][:-1]) < int(asked["until"][:-1])
            writer.close()
            return
        found = find(path, query, limit)
        writer.close()
    assert [entry.number for entry in found.entries] == wanted[-limit:]
    assert found.more == (len(wanted) > limit)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.tuples(st.sampled_from(KEYS), st.text(max_size=20)).map("=".join),
        ),
        max_size=4,
    )
)
def test_any_words_are_filters_or_refused_line_by_line(words):
    refused = []
    try:
        parse_query(words, NOW, with_notes=True)
    except ConfigError as problem:
        refused = problem.problems or ["nothing is said"]
    assert not any(UNSAFE.search(line) for line in refused)
    assert "nothing is said" not in refused
