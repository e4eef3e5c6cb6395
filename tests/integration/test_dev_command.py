"""`peep dev simulate`: what it prints, and that a seed is the same day everywhere."""

import json
import os
import subprocess
import sys

import pytest

from peep.cli import dev

SMALL = ["simulate", "--agents", "8", "--hours", "2", "--seed", "5"]
PROGRAM = "import sys; from peep.cli import dev; sys.exit(dev.run(sys.argv[1:]))"
PROMISED = {
    "false_expiries_per_agent_day",
    "false_late_per_agent_day",
    "late_s_p50",
    "late_s_p99",
    "lost_s_p50",
    "lost_s_p99",
    "rejoin_s_p50",
    "rejoin_s_p99",
    "datagrams_per_agent_hour",
    "trace_hash",
    "agents",
    "servers",
    "hours",
    "lease_s",
    "loss",
    "dup",
    "reorder",
    "seed",
}


def test_json_holds_all_that_was_promised(capsys):
    words = ["--loss", "0.2", "--dup", "0", "--reorder", "0.1", "--lease", "20"]
    assert dev.run([*SMALL, *words, "--servers", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) >= PROMISED
    given = ("agents", "hours", "seed", "loss", "dup", "reorder", "lease_s", "servers")
    assert [result[name] for name in given] == [8, 2, 5, 0.2, 0, 0.1, 20, 2]


def test_without_json_there_is_a_short_table(capsys):
    assert dev.run(SMALL) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("8 agents, 1 servers, 2 h, lease 30 s, loss 0.1")
    assert "false expiries" in shown.out
    assert "(99 %)" in shown.out
    assert len(shown.out.splitlines()) < 20
    assert shown.err == "", "no progress where nobody watches"


def test_a_day_too_short_to_measure_says_so(capsys):
    assert dev.run(["simulate", "--agents", "1", "--hours", "0.01"]) == 0
    assert "nothing to measure" in capsys.readouterr().out


def program(*words, **more):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        **more,
    )


def test_progress_is_shown_on_a_terminal():
    ours, theirs = os.openpty()
    try:
        program("simulate", "--agents", "1", "--hours", "0.1", stderr=theirs)
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\rsimulating 0 %" in shown
    assert shown.endswith("\rsimulating 100 %\r\n")


def test_a_seed_is_the_same_day_whatever_the_hash_seed():
    hashes = set()
    for hash_seed in ("0", "1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = program(*SMALL, "--json", env=environment)
        hashes.add(json.loads(done.stdout)["trace_hash"])
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--agents", "0", "'0' is no number from 1 to 4096"),
        ("--agents", "many", "'many' is no number from 1 to 4096"),
        ("--servers", "99", "'99' is no number from 1 to 32"),
        ("--hours", "0", "'0' is no time (above 0, to 8784 hours)"),
        ("--hours", "nan", "'nan' is no time"),
        ("--hours", "9e9", "'9e9' is no time"),
        ("--hours", "day", "'day' is no time"),
        ("--loss", "1.1", "'1.1' is no share (0 to 1)"),
        ("--dup", "nan", "'nan' is no share (0 to 1)"),
        ("--reorder", "-1", "'-1' is no share (0 to 1)"),
        ("--lease", "9", "'9' is no lease (10 to 300 whole seconds)"),
        ("--lease", "30.5", "'30.5' is no lease"),
        ("--seed", "x", "'x' is no whole number from 0"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_one_clear_line(
    option, value, why, capsys
):
    with pytest.raises(SystemExit) as end:
        dev.run(["simulate", f"{option}={value}"])
    assert end.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert option in last
    assert why in last
