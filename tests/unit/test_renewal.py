"""A configuration is read again: all of it takes its place, or nothing does."""

import asyncio

import pytest

from peep.agent.renewal import Renewed, renew
from peep.errors import ConfigError, PeepError
from peep.rules import Rule, RuleSet


def renewed(restart=()):
    rules = RuleSet([Rule(name="r", match="x", event="e.e")])
    return Renewed(rules, None, None, 10.0, 0, restart)


def read_again(load):
    said, taken = [], []
    asyncio.run(renew(load, taken.append, said.append))
    return said, taken


def test_what_was_read_is_taken_up_and_said():
    new = renewed()
    assert read_again(lambda: new) == (["rules read again: 1 rules"], [new])


def test_what_only_a_start_takes_up_is_named():
    said, _ = read_again(lambda: renewed(("agent.sources", "network")))
    assert said == [
        "rules read again: 1 rules",
        "changed, and taken up by a restart only: agent.sources, network",
    ]


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (ConfigError(["p.yaml:3: a: b"]), "p.yaml:3: a: b: nothing is changed"),
        (
            ConfigError(["p.yaml:3: a", "p.yaml:4: b", "c"]),
            "p.yaml:3: a (and 2 more: peep config check): nothing is changed",
        ),
        (PeepError("no"), "no: nothing is changed"),
        (OSError("disk"), "disk: nothing is changed"),
    ],
)
def test_what_is_refused_changes_nothing_and_is_said_in_one_line(refusal, said):
    def load():
        raise refusal

    assert read_again(load) == ([said], [])
