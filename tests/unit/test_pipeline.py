"""Signals in, commands to the engine, and a tally that adds up."""

import random

from test_mixer import ALERT, BANK, COMMON, THEME, kinds

from peep.mixer.commands import Level, Play
from peep.mixer.outcomes import Cue, Suppression
from peep.reasons import Reason
from peep.server.pipeline import Pipeline
from peep.signals import Event, State, Tier
from peep.sound.fake import RecordingEngine


def pipeline(tell=lambda _: None):
    engine = RecordingEngine(BANK)
    return Pipeline(THEME, engine, engine.start(), random.Random(1), tell), engine


def test_a_signal_becomes_a_command_and_is_counted():
    told = []
    line, engine = pipeline(told.append)
    line.feed(Event(name="ssh.login"), 0.0)
    line.feed(Event(name="odd"), 0.0)
    line.feed(Event(name="ssh.login"), 0.0, age_s=60.0)
    assert [type(command) for command in engine.commands] == [Play]
    assert (line.tally.signals, line.tally.cues) == (3, 1)
    assert line.tally.suppressions == {Reason.UNMAPPED: 1, Reason.STALE: 1}
    assert [isinstance(outcome, Cue) for outcome in told] == [True, False, False]


def test_what_waits_when_all_ends_is_counted_too():
    line, _ = pipeline()
    for event in kinds(COMMON, Tier.NOTABLE):
        line.feed(event, 0.0)
    line.feed(Event(name="ssh"), 0.0)
    assert line.tally.cues + line.tally.suppressions.total() == COMMON
    line.finish()
    assert line.tally.cues + line.tally.suppressions.total() == COMMON + 1


def test_a_lost_agents_states_fade():
    line, engine = pipeline()
    line.feed(State(name="load", value=0.9), 0.0, "a")
    line.forget("a")
    assert [c.value for c in engine.commands if isinstance(c, Level)] == [0.9, None]


def test_what_waited_sounds_when_its_time_comes():
    line, engine = pipeline()
    for event in kinds(COMMON, Tier.NOTABLE):
        line.feed(event, 0.0)
    line.feed(Event(name="ssh"), 0.0)
    assert len(engine.commands) == COMMON
    line.handle_timer(line.next_timer())
    assert engine.commands[-1].sound == "frog"


def test_what_a_cue_carries_is_counted_as_heard():
    told = []
    line, _ = pipeline(told.append)
    for number in range(1, 11):
        line.feed(ALERT, 0.0, "a", 60.0, number)
    line.handle_timer(line.next_timer())
    lost = Event(name="peep.agent-lost", tier=Tier.ALERT)
    line.feed(lost, 3.0)
    assert [(cue.number, len(cue.carried)) for cue in told] == [(1, 0), (2, 8), (0, 0)]
    tally = line.tally
    assert (tally.signals, tally.cues, tally.late, tally.groups) == (11, 11, 10, 2)


def test_what_is_not_to_be_mixed_is_accounted_for():
    told = []
    line, engine = pipeline(told.append)
    line.suppress(ALERT, Reason.REPEATED, 7)
    assert told == [Suppression(ALERT, Reason.REPEATED, 7)]
    assert (line.tally.signals, line.tally.suppressions.total()) == (1, 1)
    assert engine.commands == []
