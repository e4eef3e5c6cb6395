"""Every refused peer is named once, with the reason."""

from peep.net.refusals import MAX_NAMED, Refusals
from peep.reasons import Reason


def test_a_refused_peer_is_named_once_for_each_reason():
    said = []
    refusals = Refusals(said.append)
    for _ in range(3):
        refusals.name(Reason.UNKNOWN_KEY, ("10.0.0.1", 5))
        refusals.name(Reason.UNKNOWN_KEY, ("10.0.0.1", 6))
        refusals.name(Reason.BAD_SEAL, ("10.0.0.1", 5))
    assert len(said) == 2
    assert said[0].startswith("refused 10.0.0.1 (unknown-key): ")


def test_what_is_no_refusal_is_not_said():
    said = []
    Refusals(said.append).name(Reason.NO_SHARED_CLASS, ("10.0.0.1", 5))
    assert said == []


def test_the_names_that_are_remembered_are_bounded():
    said = []
    refusals = Refusals(said.append)
    for number in range(MAX_NAMED + 1):
        refusals.name(Reason.REFUSED, (f"10.0.{number // 256}.{number % 256}", 5))
    refusals.name(Reason.REFUSED, ("10.0.0.0", 5))
    assert len(said) == MAX_NAMED + 2
