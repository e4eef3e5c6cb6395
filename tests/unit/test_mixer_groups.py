"""Alerts with one cause sound as one group that names them all."""

import random

import pytest
from test_mixer import ALERT, BANK, mixer, outcomes

from peep.mixer.commands import VOICES, Play
from peep.mixer.groups import (
    ALL_BURST,
    FLOOD_QUIET_S,
    GATHER_S,
    GROUP_S,
    HOST_BURST,
    HOST_RATE_HZ,
    MAX_GROUP,
)
from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Cue
from peep.mixer.voices import BACKLOG_AGE_S
from peep.reasons import Reason
from peep.signals import Event, Tier
from peep.theme import Theme

OLD_S = BACKLOG_AGE_S + 1


def lost(host, name="peep.agent-lost", **more):
    return Event(name=name, tier=Tier.ALERT, host=host, **more)


def fire(host, number):
    return Event(name=f"fire.n{number}", tier=Tier.ALERT, host=host)


def signals_of(cue):
    return [carried.signal for carried in cue.carried]


def plays(commands):
    return [command for command in commands if isinstance(command, Play)]


def named(cues):
    return [
        signal.host
        for cue in cues
        for signal in (cue.signal, *(carried.signal for carried in cue.carried))
    ]


def test_the_first_lost_agent_sounds_at_once_and_opens_a_group():
    machine = mixer()
    assert machine.feed(lost("a"), 0.0, number=5)
    (cue,) = outcomes(machine)
    assert (cue.number, cue.carried, cue.late) == (5, (), False)
    assert cue.group > 0


def test_three_hundred_lost_agents_are_one_group_that_names_all_in_time():
    machine = mixer()
    heard = []
    for index in range(300):
        now = index * 0.01
        while (due := machine.next_timer()) is not None and due <= now:
            heard += plays(machine.handle_timer(due))
        heard += plays(machine.feed(lost(f"h{index}"), now, number=index + 1))
    end = machine.next_timer()
    assert end - 299 * 0.01 <= 3.0
    heard += plays(machine.handle_timer(end))
    cues = outcomes(machine)
    assert named(cues) == [f"h{index}" for index in range(300)]
    assert len({cue.group for cue in cues}) == 1
    assert len(cues) == len(heard) == 3, "at once, and one each two seconds"
    numbers = [n for c in cues for n in (c.number, *(o.number for o in c.carried))]
    assert numbers == list(range(1, 301))
    machine.handle_timer(machine.next_timer())
    assert machine.next_timer() is None


def test_a_cue_of_many_is_as_loud_as_their_count():
    machine = mixer()
    one = machine.feed(lost("a"), 0.0)[0]
    machine.feed(lost("b", count=4), 0.1)
    machine.feed(lost("c", count=6), 0.2)
    (many,) = machine.handle_timer(GATHER_S)
    assert many.gain_db == one.gain_db + 3.0


def test_lost_and_missing_agents_are_one_group():
    machine = mixer()
    machine.feed(lost("a"), 0.0)
    assert machine.feed(lost("b", "peep.agent-missing"), 0.5) == []
    machine.handle_timer(GATHER_S)
    first, second = outcomes(machine)
    assert first.group == second.group


def test_a_straggler_sounds_at_once_in_the_same_group():
    machine = mixer()
    machine.feed(lost("a"), 0.0)
    assert machine.feed(lost("b"), GROUP_S - 1)
    assert machine.feed(lost("c"), 2 * GROUP_S - 2), "counted from the last"
    assert {cue.group for cue in outcomes(machine)} == {1}


def test_after_the_quiet_of_a_lease_a_new_group_begins():
    machine = mixer()
    machine.feed(lost("a"), 0.0)
    machine.feed(lost("b"), 0.1)
    machine.handle_timer(GATHER_S)
    assert machine.feed(lost("c"), 0.1 + GROUP_S)
    groups = [cue.group for cue in outcomes(machine)]
    assert groups == [1, 1, 2]


def test_what_was_gathered_when_no_timer_came_is_still_told_in_its_group():
    machine = mixer()
    machine.feed(lost("a"), 0.0)
    machine.feed(lost("b"), 0.1)
    machine.feed(lost("c"), 100.0)
    cues = outcomes(machine)
    assert named(cues) == ["a", "b", "c"]
    assert [cue.group for cue in cues] == [1, 1]


def test_old_alerts_are_one_group_that_says_it_is_late():
    machine = mixer()
    assert machine.feed(ALERT, 0.0, age_s=OLD_S)
    for _ in range(5):
        assert machine.feed(ALERT, 0.1, age_s=OLD_S) == []
    assert len(machine.handle_timer(GATHER_S)) == 1
    cues = outcomes(machine)
    assert [len(cue.carried) for cue in cues] == [0, 4]
    assert all(cue.late and cue.group == 1 for cue in cues)


def test_causes_do_not_mix_and_numbers_grow():
    machine = mixer()
    for _ in range(2):
        machine.feed(lost("a"), 0.0)
        machine.feed(lost("b"), 0.0, age_s=OLD_S)
    assert len(machine.handle_timer(GATHER_S)) == 2
    groups = [(cue.group, cue.late) for cue in outcomes(machine)]
    assert groups == [(1, False), (2, True), (1, False), (2, True)]


@pytest.mark.parametrize("tier", [Tier.ROUTINE, Tier.NOTABLE])
def test_what_is_no_alert_joins_no_group(tier):
    machine = mixer()
    machine.feed(Event(name="peep.agent-lost", tier=tier, family="access"), 0.0)
    assert outcomes(machine)[0].group == 0


def test_a_young_alert_of_another_name_joins_no_group():
    machine = mixer()
    machine.feed(ALERT, 0.0, age_s=BACKLOG_AGE_S)
    assert outcomes(machine)[0].group == 0


def test_a_group_that_is_full_is_told_at_once():
    machine = mixer()
    machine.feed(lost("first"), 0.0)
    for _ in range(MAX_GROUP - 1):
        assert machine.feed(lost("more"), 0.0) == []
    assert machine.feed(lost("last"), 0.0)
    opening, full = outcomes(machine)
    assert len(full.carried) == MAX_GROUP - 1
    assert opening.group == full.group


def test_a_group_finds_a_voice_whatever_sounds():
    machine = mixer()
    machine.feed(lost("a"), 0.0)
    for _ in range(VOICES):
        machine.feed(ALERT, 0.1)
    machine.feed(lost("b"), 0.1)
    outcomes(machine)
    assert machine.handle_timer(GATHER_S - 0.01) == []
    (play,) = machine.handle_timer(GATHER_S)
    assert 0 <= play.voice < VOICES
    assert isinstance(outcomes(machine)[0], Cue)


def test_what_was_gathered_at_the_end_is_accounted_for():
    machine = mixer()
    for number, host in enumerate("abc", 1):
        machine.feed(lost(host), 0.0, number=number)
    outcomes(machine)
    machine.drain()
    rest = outcomes(machine)
    assert [(o.number, o.reason) for o in rest] == [
        (2, Reason.BACKLOG_AGE),
        (3, Reason.BACKLOG_AGE),
    ]
    machine.handle_timer(machine.next_timer())
    assert machine.next_timer() is None


def test_a_few_alerts_of_a_host_ring_alone_and_its_flood_is_one_group():
    machine = mixer()
    heard = [machine.feed(fire("web1", number), 0.0) for number in range(40)]
    assert [bool(commands) for commands in heard[: HOST_BURST + 2]] == (
        [True] * (HOST_BURST + 1) + [False]
    ), "as many as ring alone, and the first of the group"
    machine.handle_timer(GATHER_S)
    cues = outcomes(machine)
    assert [cue.group for cue in cues] == [0] * HOST_BURST + [1, 1]
    names = [signal.name for cue in cues for signal in (cue.signal, *signals_of(cue))]
    assert names == [f"fire.n{number}" for number in range(40)], "all are named"


def test_two_alerts_a_second_ring_alone_for_ever():
    machine = mixer()
    for number in range(200):
        assert machine.feed(fire("web1", number), number / HOST_RATE_HZ)
    assert {cue.group for cue in outcomes(machine)} == {0}


def test_a_host_that_was_quiet_after_its_flood_rings_alone_again():
    machine = mixer()
    for number in range(HOST_BURST + 2):
        machine.feed(fire("web1", number), 0.0)
    machine.handle_timer(GATHER_S)
    machine.feed(fire("web1", 90), FLOOD_QUIET_S - 0.1)
    machine.feed(fire("web1", 91), 2 * FLOOD_QUIET_S)
    assert [cue.group for cue in outcomes(machine)][-3:] == [1, 1, 0]


def test_a_flood_of_one_host_does_not_take_anothers_alert_along():
    machine = mixer()
    for number in range(100):
        machine.feed(fire("web1", number), 0.0)
    outcomes(machine)
    assert machine.feed(fire("db1", 1), 0.1)
    assert [cue.group for cue in outcomes(machine)] == [0]


def test_a_flood_of_many_hosts_is_one_group_too():
    machine = mixer()
    for number in range(1000):
        machine.feed(fire(f"h{number}", number), number / 1000)
    machine.handle_timer(3.0)
    cues = outcomes(machine)
    assert len(cues) <= ALL_BURST + 4 + 2
    assert len(named(cues)) == 1000
    assert {cue.group for cue in cues} == {0, 1}


def test_floods_with_a_group_of_their_own_are_bounded_and_so_are_hosts(monkeypatch):
    monkeypatch.setattr("peep.mixer.groups.MAX_FLOODS", 1)
    monkeypatch.setattr("peep.mixer.groups.MAX_HOSTS", 2)
    monkeypatch.setattr("peep.mixer.groups.ALL_BURST", 10_000)
    machine = mixer()
    for number in range(30):
        for host in "abc":
            machine.feed(fire(host, number), 0.0)
    machine.handle_timer(GATHER_S)
    cues = outcomes(machine)
    assert sorted(named(cues)) == ["a"] * 30 + ["b"] * 30 + ["c"] * 30
    assert max(cue.group for cue in cues) == 2, "one host's, and that of many"


def test_a_host_is_forgotten_when_its_alerts_are_over(monkeypatch):
    monkeypatch.setattr("peep.mixer.groups.MAX_HOSTS", 1)
    machine = mixer()
    machine.feed(fire("a", 1), 0.0)
    for number in range(HOST_BURST + 1):
        machine.feed(fire("b", number), 10.0)
    assert outcomes(machine)[-1].group == 1, "b is counted in the place of a"


def test_an_alert_without_a_sound_is_said_to_be_unmapped_and_not_gathered():
    machine = Mixer(Theme(name="none"), BANK, random.Random(1))
    machine.feed(lost("a"), 0.0)
    machine.feed(lost("b"), 0.0)
    assert [o.reason for o in outcomes(machine)] == [Reason.UNMAPPED] * 2
