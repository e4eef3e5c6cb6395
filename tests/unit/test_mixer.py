"""What the mixer does with each signal."""

import itertools
import random

import pytest

from peep.mixer.commands import BEATS, PULSE_VOICE, VOICES, Beat, Level, Play
from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Cue, Suppression
from peep.mixer.voices import (
    ALERT_VOICES,
    BACKLOG_AGE_S,
    BACKLOG_EVENTS,
    YOUNG_S,
)
from peep.reasons import Reason
from peep.signals import Event, Heartbeat, State, Tier
from peep.theme import (
    LayerSpec,
    PulseSpec,
    SoundBank,
    SoundSpec,
    Theme,
    Variant,
    Voicing,
)

BANK = SoundBank(
    {
        "frog": tuple(Variant(0.5, -20.0) for _ in range(3)),
        "bell": (Variant(2.0, -16.0),),
        "tick": (Variant(0.1, -30.0),),
    }
)
THEME = Theme(
    name="test",
    sounds={name: SoundSpec(name=name) for name in BANK.variants},
    layers={name: LayerSpec(name=name, recipe=name) for name in ("wind", "stream")},
    events={"ssh": Voicing(sound="frog", gain_db=-3.0, pan=-0.5)},
    alerts={"default": Voicing(sound="bell")},
    families={"access": Voicing(sound="frog")},
    states={"load": Voicing(sound="wind", fade_s=2.0)},
    heartbeats={"default": Voicing(sound="tick")},
)
ALERT = Event(name="fire", tier=Tier.ALERT)
COMMON = VOICES - ALERT_VOICES


def mixer(theme=THEME, seed=1):
    return Mixer(theme, BANK, random.Random(seed))


def outcomes(machine):
    out = []
    while (outcome := machine.next_event()) is not None:
        out.append(outcome)
    return out


def kinds(count, tier=Tier.ROUTINE):
    """Return as many events, each of a kind of its own: none is folded."""
    return [Event(name=f"ssh.k{tier}-{n}", tier=tier) for n in range(count)]


def fill(machine, tier=Tier.NOTABLE, now=0.0):
    """Let all voices but the alerts' sound."""
    return [machine.feed(event, now)[0] for event in kinds(COMMON, tier)]


def test_an_event_with_a_name_in_the_theme_sounds_as_the_theme_says():
    machine = mixer()
    (play,) = machine.feed(Event(name="ssh.login", pan=0.2, gain_db=-1.0), 0.0)
    assert (play.sound, play.gain_db, play.pan) == ("frog", -4.0, -0.3)
    (cue,) = outcomes(machine)
    assert isinstance(cue, Cue)
    assert cue.place == play.voice


def test_an_unknown_event_of_a_known_family_sounds():
    (play,) = mixer().feed(Event(name="never.heard-of", family="access"), 0.0)
    assert play.sound == "frog"


def test_an_alert_sounds_from_another_world_whatever_its_family():
    machine = mixer()
    event = Event(name="x.y", tier=Tier.ALERT, family="access")
    assert machine.feed(event, 0.0)[0].sound == "bell"


def test_what_the_theme_does_not_know_is_suppressed_as_unmapped():
    machine = mixer()
    for signal in (Event(name="x", family="odd"), State(name="odd", value=1.0)):
        assert machine.feed(signal, 0.0) == []
    assert [o.reason for o in outcomes(machine)] == [Reason.UNMAPPED] * 2
    silent = Mixer(Theme(name="none"), BANK, random.Random(1))
    assert silent.feed(Heartbeat(name="x", rate_hz=1.0), 0.0) == []
    assert outcomes(silent)[0].reason is Reason.UNMAPPED
    assert silent.next_timer() is None


def test_the_same_variant_never_sounds_twice_in_a_row():
    machine = mixer()
    heard = [
        machine.feed(Event(name="ssh"), float(now))[0].variant for now in range(200)
    ]
    assert all(a != b for a, b in itertools.pairwise(heard))
    assert set(heard) == {0, 1, 2}


def test_a_count_makes_it_louder_but_not_endlessly():
    machine = mixer()
    gains = [
        machine.feed(Event(name="ssh", count=n), float(n))[0].gain_db
        for n in (1, 10, 100, 10_000_000)
    ]
    assert gains == [-3.0, 0.0, 3.0, 3.0]


def test_voices_are_taken_in_turn_and_a_few_are_kept_for_alerts():
    machine = mixer()
    routine = [play.voice for play in fill(machine, Tier.ROUTINE)]
    assert sorted(routine) == list(range(COMMON))
    assert machine.feed(ALERT, 0.0)[0].voice >= COMMON


def test_with_all_voices_busy_the_oldest_of_the_least_important_is_cut_off():
    machine = mixer()
    first = machine.feed(Event(name="ssh"), 0.0)[0].voice
    for event in kinds(COMMON - 1):
        machine.feed(event, 0.1)
    assert machine.feed(Event(name="ssh.new"), 0.2)[0].voice == first


def test_what_began_a_moment_ago_is_not_cut_off_by_its_equal_but_by_more():
    machine = mixer()
    fill(machine, Tier.ROUTINE)
    assert machine.feed(Event(name="ssh.new"), YOUNG_S - 0.01) == []
    assert machine.feed(Event(name="ssh.new", tier=Tier.NOTABLE), YOUNG_S - 0.01)
    assert machine.next_timer() == YOUNG_S
    (play,) = machine.handle_timer(YOUNG_S)
    assert play.sound == "frog"


def test_priority_orders_within_a_tier_and_not_beyond_it():
    machine = mixer()
    dear = machine.feed(Event(name="ssh", priority=200), 0.0)[0].voice
    cheap = [machine.feed(event, 0.1)[0].voice for event in kinds(COMMON - 1)]
    assert machine.feed(Event(name="ssh.a", priority=9), 0.15)[0].voice == cheap[0]
    for event in kinds(COMMON - 1, Tier.NOTABLE):
        machine.feed(event, 0.3)
    assert machine.feed(Event(name="ssh.b", priority=255), 0.3)[0].voice == dear
    assert machine.feed(Event(name="ssh.c", priority=255), 0.35) == []


def test_a_cue_that_is_cut_off_was_heard():
    machine = mixer()
    fill(machine, Tier.ROUTINE)
    machine.feed(Event(name="ssh.new"), 0.2)
    assert all(isinstance(outcome, Cue) for outcome in outcomes(machine))


def test_alerts_are_cut_off_by_nothing_but_alerts():
    long = SoundBank(BANK.variants | {"bell": (Variant(600.0, -16.0),)})
    machine = Mixer(THEME, long, random.Random(1))
    voices = [machine.feed(ALERT, float(now))[0].voice for now in range(VOICES)]
    outcomes(machine)
    assert sorted(voices) == list(range(VOICES))
    assert machine.feed(Event(name="ssh", tier=Tier.NOTABLE, priority=9), 40.0) == []
    assert outcomes(machine) == [], "it waits"
    assert machine.feed(ALERT, 40.1)[0].voice == voices[0], "the oldest"


def test_what_waits_sounds_when_a_voice_falls_idle():
    machine = mixer()
    fill(machine)
    machine.feed(Event(name="ssh"), 0.01)
    outcomes(machine)
    assert machine.next_timer() == 0.5
    (play,) = machine.handle_timer(0.5)
    assert play.sound == "frog"
    assert isinstance(outcomes(machine)[0], Cue)
    assert machine.next_timer() is None


def test_what_waits_too_long_is_no_news():
    long = SoundBank(BANK.variants | {"frog": (Variant(60.0, -16.0),)})
    machine = Mixer(THEME, long, random.Random(1))
    fill(machine)
    machine.feed(Event(name="ssh"), 1.0)
    outcomes(machine)
    assert machine.next_timer() == 1.0 + BACKLOG_AGE_S
    assert machine.handle_timer(1.0 + BACKLOG_AGE_S) == []
    assert [o.reason for o in outcomes(machine)] == [Reason.BACKLOG_AGE]


def test_a_full_backlog_sends_away_the_least_urgent():
    machine = mixer()
    fill(machine)
    for event in kinds(BACKLOG_EVENTS):
        machine.feed(event, 0.0)
    outcomes(machine)
    urgent = Event(name="ssh", tier=Tier.NOTABLE)
    machine.feed(urgent, 0.01)
    (gone,) = outcomes(machine)
    assert (gone.signal.name, gone.reason) == (
        f"ssh.k0-{BACKLOG_EVENTS - 1}",
        Reason.BACKLOG_FULL,
    )
    machine.feed(Event(name="ssh.late"), 0.02)
    assert outcomes(machine)[0].signal.name == "ssh.late", "of those the newest"
    assert machine.handle_timer(0.5)
    assert outcomes(machine)[0].signal is urgent, "most urgent first"


def test_what_still_waits_at_the_end_is_accounted_for():
    machine = mixer()
    fill(machine)
    machine.feed(Event(name="ssh"), 0.01)
    machine.feed(Event(name="ssh"), 0.01)
    outcomes(machine)
    machine.drain()
    assert [o.reason for o in outcomes(machine)] == [Reason.BACKLOG_AGE] * 2


def test_an_old_routine_event_is_stale_and_an_old_alert_is_heard():
    machine = mixer()
    assert machine.feed(Event(name="ssh"), 0.0, age_s=BACKLOG_AGE_S + 1) == []
    assert [o.reason for o in outcomes(machine)] == [Reason.STALE]
    assert machine.feed(ALERT, 0.0, age_s=86_400.0)


def test_a_layer_follows_its_state():
    machine = mixer()
    (level,) = machine.feed(State(name="load", value=0.4), 0.0, "a")
    assert level == Level("wind", 0.4, 0.0, 0.0, 2.0)
    assert machine.feed(State(name="load", value=0.4), 1.0, "a") == []
    assert [type(o) for o in outcomes(machine)] == [Cue, Suppression]


def test_a_layer_follows_the_worst_of_all_hosts():
    machine = mixer()
    machine.feed(State(name="load", value=0.4), 0.0, "a")
    (level,) = machine.feed(State(name="load", value=0.9), 0.0, "b")
    assert level.value == 0.9
    assert machine.feed(State(name="load", value=0.5), 0.0, "a") == []
    assert outcomes(machine)[-1].reason is Reason.MASKED
    (level,) = machine.forget("b")
    assert level.value == 0.5
    (level,) = machine.forget("a")
    assert level.value is None
    assert machine.forget("a") == []


def test_states_held_at_once_are_bounded(monkeypatch):
    monkeypatch.setattr("peep.mixer.layers.MAX_HELD", 2)
    machine = mixer()
    for origin in "abc":
        machine.feed(State(name="load", value=0.1), 0.0, origin)
    assert outcomes(machine)[-1].reason is Reason.TABLE_FULL
    machine.forget("a")
    machine.feed(State(name="load", value=0.7), 0.0, "c")
    assert isinstance(outcomes(machine)[-1], Cue)


def test_what_a_leader_says_again_is_unchanged_and_what_others_say_is_masked():
    machine = mixer()
    for value, origin in ((0.9, "a"), (0.5, "b"), (0.9, "a"), (0.5, "b"), (0.6, "b")):
        machine.feed(State(name="load", value=value), 0.0, origin)
    masked, unchanged = Reason.MASKED, Reason.UNCHANGED
    said = [outcome.reason for outcome in outcomes(machine)[1:]]
    assert said == [masked, unchanged, masked, masked]


def test_a_leader_that_moves_or_yields_is_followed():
    machine = mixer()
    machine.feed(State(name="load", value=0.9), 0.0, "a")
    machine.feed(State(name="load", value=0.5, pan=0.2), 0.0, "b")
    (moved,) = machine.feed(State(name="load", value=0.9, pan=-0.4), 0.0, "a")
    assert (moved.value, moved.pan) == (0.9, -0.4)
    (louder,) = machine.feed(State(name="load", value=0.9, gain_db=1.0), 0.0, "a")
    assert louder.gain_db == 1.0
    (yielded,) = machine.feed(State(name="load", value=0.1), 0.0, "a")
    assert (yielded.value, yielded.pan) == (0.5, 0.2)
    assert isinstance(outcomes(machine)[-1], Cue)
    machine.feed(State(name="load", value=0.3), 0.0, "a")
    (unread,) = machine.feed(State(name="load", value=float("nan")), 0.0, "b")
    assert unread.value == 0.3


def test_a_flood_of_names_is_looked_up_anew_and_sounds_the_same(monkeypatch):
    monkeypatch.setattr("peep.mixer.casting.MAX_KINDS", 2)
    monkeypatch.setattr("peep.mixer.crowds.MAX_KINDS", 2)
    monkeypatch.setattr("peep.mixer.place.MAX_PLACES", 2)
    monkeypatch.setattr("peep.mixer.layers.MAX_NAMES", 2)
    machine = mixer()
    for now in range(9):
        event = Event(name=f"ssh.n{now % 3}", host=f"h{now % 3}")
        (play,) = machine.feed(event, float(now))
        assert play.sound == "frog"
        (level,) = machine.feed(State(name=f"load.n{now % 3}", value=now / 9), 0.0)
        assert level.layer == "wind"
    (silent,) = machine.forget("")
    assert silent.value is None


def test_a_number_comes_back_in_every_outcome():
    machine = mixer()
    signals = [
        Event(name="odd"),
        State(name="load", value=0.5),
        State(name="load", value=0.5),
        Heartbeat(name="h", rate_hz=1.0),
        Heartbeat(name="h", rate_hz=1.0),
        *kinds(COMMON + BACKLOG_EVENTS + 1, Tier.NOTABLE),
        *[ALERT] * VOICES,
        *[Event(name="ssh.k1-0", tier=Tier.NOTABLE)] * 9,
    ]
    for number, signal in enumerate(signals, 1):
        machine.feed(signal, 0.0, "a", number=number)
    machine.feed(signals[5], 0.0, "a", 9.0, number=len(signals) + 1)
    while (due := machine.next_timer()) is not None:
        machine.handle_timer(due)
    told = outcomes(machine)
    numbers = [o.number for o in told]
    numbers += [o.number for cue in told for o in getattr(cue, "carried", ())]
    assert sorted(numbers) == list(range(1, len(signals) + 2))
    assert {o.number: o.signal for o in told}[1].name == "odd"


def test_a_heartbeat_beats_changes_and_stops():
    machine = mixer()
    (beat,) = machine.feed(Heartbeat(name="h", rate_hz=2.0), 0.0, "a")
    assert beat == Beat(0, "tick", 2.0, 0.0, 0.0)
    assert machine.feed(Heartbeat(name="h", rate_hz=2.0), 1.0, "a") == []
    assert machine.feed(Heartbeat(name="h", rate_hz=3.0), 1.0, "a")[0].rate_hz == 3.0
    assert machine.feed(Heartbeat(name="h", rate_hz=0.0), 1.0, "a")[0].rate_hz == 0.0
    assert machine.feed(Heartbeat(name="h", rate_hz=0.0), 1.0, "a") == []


def test_beats_are_bounded_and_freed_when_their_origin_goes():
    machine = mixer()
    for number in range(BEATS + 1):
        machine.feed(Heartbeat(name=f"h{number}", rate_hz=1.0), 0.0, "a")
    assert outcomes(machine)[-1].reason is Reason.TABLE_FULL
    assert [b.rate_hz for b in machine.forget("a")] == [0.0] * BEATS
    assert machine.feed(Heartbeat(name="h", rate_hz=1.0), 0.0, "b")


def test_peeps_own_pulse_goes_on_and_is_no_signal():
    theme = Theme(
        name="p",
        sounds=THEME.sounds,
        pulse=PulseSpec(sound="tick", every_s=10.0, gain_db=-2.0),
    )
    machine = mixer(theme)
    now, heard = 0.0, []
    while now < 100:
        heard += machine.handle_timer(now)
        now = machine.next_timer()
    assert 9 <= len(heard) <= 11
    assert heard[0] == Play(PULSE_VOICE, "tick", 0, -2.0, 0.0)
    assert outcomes(machine) == []


@pytest.mark.parametrize("value", [-1.0, 2.0, float("nan"), float("inf")])
def test_a_level_stays_within_its_bounds(value):
    (level,) = mixer().feed(State(name="load", value=value, pan=7.0), 0.0)
    assert 0 <= level.value <= 1
    assert level.pan == 1.0


def test_each_of_a_crowd_is_lowered_and_an_alert_among_them_is_not():
    machine = mixer()
    gains = [machine.feed(event, 0.0)[0].gain_db for event in kinds(12)]
    assert gains[0] == -3.0
    assert gains == sorted(gains, reverse=True)
    power = sum(10 ** (gain / 10) for gain in [gains[-1]] * 12)
    assert power < 2 * 10 ** (gains[0] / 10), "all of them are hardly louder than one"
    assert machine.feed(ALERT, 0.0)[0].gain_db == 0.0
