"""Many events of one kind are heard as few cues that carry them all, as a chorus."""

import itertools
import random

from test_mixer import ALERT, BANK, THEME, fill, kinds, mixer, outcomes

from peep.mixer.commands import Play
from peep.mixer.crowds import FOLD_S, MAX_CARRIED, MAX_WINDOW_S, SOON_S
from peep.mixer.flurries import MAX_CALLS, MAX_WAITING
from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Cue
from peep.mixer.voices import BACKLOG_EVENTS
from peep.reasons import Reason
from peep.signals import Event, Tier
from peep.theme import SoundBank, Variant


def storm(machine, events, rate_hz, seconds, start=0.0):
    """Feed events in turn at a rate; return (when, command) of all that is played."""
    heard = []
    for index in range(int(rate_hz * seconds)):
        now = start + index / rate_hz
        heard += timers(machine, now)
        event = events[index % len(events)]
        heard += [(now, c) for c in machine.feed(event, now, number=index + 1)]
    return [(at, c) for at, c in heard if isinstance(c, Play)]


def timers(machine, until):
    heard = []
    while (due := machine.next_timer()) is not None and due <= until:
        heard += [(due, command) for command in machine.handle_timer(due)]
    return heard


def numbers(told):
    own = [outcome.number for outcome in told]
    return own + [one.number for cue in told for one in getattr(cue, "carried", ())]


def test_a_lone_event_sounds_at_once_and_so_does_one_of_another_kind():
    machine = mixer()
    assert machine.feed(Event(name="ssh"), 0.0)
    assert machine.feed(Event(name="ssh.other"), 0.01)
    assert machine.feed(Event(name="ssh"), FOLD_S)


def test_followers_are_one_cue_that_carries_them_all():
    machine = mixer()
    machine.feed(Event(name="ssh"), 0.0, number=1)
    for number in (2, 3, 4):
        assert machine.feed(Event(name="ssh"), 0.1, number=number) == []
    assert machine.next_timer() == FOLD_S
    (play,) = machine.handle_timer(FOLD_S)
    first, folded = outcomes(machine)
    assert (first.number, first.carried) == (1, ())
    assert (folded.number, folded.place) == (2, play.voice)
    assert [one.number for one in folded.carried] == [3, 4]


def test_the_same_name_from_two_zones_is_two_kinds():
    machine = mixer()
    assert machine.feed(Event(name="ssh", host="a"), 0.0)
    assert machine.feed(Event(name="ssh", host="b"), 0.0)
    assert machine.feed(Event(name="ssh", host="a"), 0.1) == []


def test_a_storm_of_one_kind_is_hardly_more_than_one_cue_a_second():
    machine = mixer()
    storm(machine, [Event(name="ssh")], 100, 20.0)
    timers(machine, 40.0)
    told = outcomes(machine)
    assert all(isinstance(outcome, Cue) for outcome in told)
    assert sorted(numbers(told)) == list(range(1, 2001))
    assert 15 <= len(told) <= 30


def test_a_chorus_thickens_with_the_rate_and_stays_a_chorus():
    played = [
        len(storm(mixer(), [Event(name="ssh")], rate_hz, 30.0)) / 30
        for rate_hz in (0.5, 5, 50, 500)
    ]
    assert 0.4 <= played[0] <= 0.6
    assert played == sorted(played)
    assert played[1] > 1.5
    assert 3 <= played[3] <= 1.5 * (1 + MAX_CALLS)


def test_a_chorus_is_uneven_and_varies_in_level_and_place():
    heard = storm(mixer(), [Event(name="ssh")], 50, 20.0)
    pauses = [later - at for (at, _), (later, _) in itertools.pairwise(heard)]
    assert max(pauses) > 3 * sorted(pauses)[len(pauses) // 2]
    assert len({round(play.gain_db, 1) for _, play in heard}) > 10
    assert len({round(play.pan, 1) for _, play in heard}) >= 3


def test_what_an_agent_folded_counts_as_many():
    machine = mixer()
    heard = [machine.feed(Event(name="ssh", count=400), 0.0)[0]]
    heard += [c for _, c in timers(machine, 2.0)]
    assert len(heard) == 5, "a flurry"
    assert all(play.sound == "frog" for play in heard)
    assert all(play.gain_db < heard[0].gain_db for play in heard[1:])
    assert len(outcomes(machine)) == 1, "one cue"


def test_a_rare_kind_passes_at_once_in_a_storm_of_many():
    machine = mixer()
    storm(machine, kinds(20), 400, 10.0)
    assert machine.feed(Event(name="ssh.rare"), 10.0)
    assert machine.feed(ALERT, 10.0)


def test_many_crowds_make_room_for_each_other_and_none_waits_long():
    machine = mixer()
    storm(machine, kinds(40), 800, 20.0)
    timers(machine, 40.0)
    told = outcomes(machine)
    assert sorted(numbers(told)) == list(range(1, 16_001))
    assert len(told) / 20 <= 40


def test_no_follower_waits_longer_than_the_longest_window():
    machine = mixer()
    waits = []
    came = {}
    for index in range(6000):
        now = index / 300
        for at, _ in timers(machine, now):
            waits += [at - came[number] for number in numbers(outcomes(machine))]
        came[index + 1] = now
        machine.feed(kinds(30)[index % 30], now, number=index + 1)
    assert max(waits) <= MAX_WINDOW_S * 1.2 + 0.01


def test_what_a_full_cue_cannot_carry_is_too_much():
    machine = mixer()
    for number in range(2 * MAX_CARRIED + 1):
        machine.feed(Event(name="ssh"), 0.0, number=number)
    assert [o.reason for o in outcomes(machine)[1:]] == (
        [Reason.BACKLOG_FULL] * MAX_CARRIED
    )
    machine.handle_timer(FOLD_S)
    assert len(outcomes(machine)[0].carried) == MAX_CARRIED - 1


def test_a_cue_that_fills_up_fast_does_not_wait_for_its_window():
    machine = mixer()
    machine.feed(Event(name="ssh"), 0.0)
    for _ in range(MAX_CARRIED - 1):
        assert machine.feed(Event(name="ssh"), SOON_S) == []
    assert machine.feed(Event(name="ssh"), SOON_S)
    assert len(outcomes(machine)[-1].carried) == MAX_CARRIED - 1
    assert machine.feed(Event(name="ssh"), SOON_S + 0.1) == []
    machine.handle_timer(FOLD_S)
    assert outcomes(machine) == [], "a new window was opened"


def test_what_is_gathered_is_bounded(monkeypatch):
    monkeypatch.setattr("peep.mixer.crowds.MAX_GATHERED", 3)
    machine = mixer()
    for event in kinds(5) * 2:
        machine.feed(event, 0.0)
    assert [o.reason for o in outcomes(machine)[5:]] == [Reason.BACKLOG_FULL] * 2


def test_kinds_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr("peep.mixer.crowds.MAX_KINDS", 2)
    machine = mixer()
    one, two, three = kinds(3)
    for event in (one, one, two, two):
        machine.feed(event, 0.0)
    assert machine.feed(three, 0.0), "others are gathered: it is not remembered"
    assert machine.feed(three, 0.0)
    machine.handle_timer(FOLD_S)
    for event in (three, three):
        machine.feed(event, 2.0)
    assert machine.next_timer() == 2.0 + FOLD_S, "it is now, and was folded"


def test_folded_events_that_find_no_voice_wait_and_are_told_together():
    machine = mixer()
    long = SoundBank(BANK.variants | {"frog": (Variant(30.0, -20.0),)})
    machine = Mixer(THEME, long, random.Random(1))
    machine.feed(Event(name="ssh"), 0.0)
    for _ in range(3):
        machine.feed(Event(name="ssh"), 0.1)
    fill(machine, Tier.NOTABLE, 0.2)
    outcomes(machine)
    assert machine.handle_timer(FOLD_S) == []
    assert machine.handle_timer(FOLD_S + 5.0) == []
    assert [o.reason for o in outcomes(machine)] == [Reason.BACKLOG_AGE] * 3


def test_a_flurry_leaves_the_voices_to_what_is_news():
    machine = mixer()
    for event in kinds(BACKLOG_EVENTS):
        count = Event(name=event.name, count=1000)
        machine.feed(count, 0.0)
    assert len(machine._events._flurries._waiting) <= MAX_WAITING
    fill(machine, Tier.NOTABLE, 0.06)
    assert [c for at, c in timers(machine, 0.4) if at < 0.4] == []
