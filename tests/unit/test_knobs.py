"""What the operator turned stays turned, and is told."""

import json
import random

import numpy as np
import pytest
from test_mixer import BANK, THEME

from peep.clock import ManualClock
from peep.config.quiet import QuietSpan
from peep.console.port import Now
from peep.errors import PeepError
from peep.mixer.commands import Bus, Fade
from peep.mixer.controls import (
    ALL,
    Clear,
    Gain,
    Mute,
    Scope,
    Snooze,
    Solo,
    Unmute,
    Unsolo,
)
from peep.server.knobs import Knobs, words
from peep.server.pipeline import Pipeline
from peep.server.view import MAX_CUES, View
from peep.signals import Event, State, Tier
from peep.sound.engine import BLOCK_FRAMES, Meters
from peep.sound.fake import RecordingEngine
from peep.sound.ring import make_ring

NOON = 1_000_000_000.0 - 1_000_000_000 % 86_400 + 43_200
WEB1, SSH = Scope("host", "web1"), Scope("name", "ssh")


class Bench:
    """A pipeline with knobs, and all that they say."""

    def __init__(self, directory, quiet=(), wall=NOON):
        self.clock = ManualClock(50.0, wall)
        self.engine = RecordingEngine(BANK)
        self.outcomes = []
        self.pipeline = Pipeline(
            THEME,
            self.engine,
            self.engine.start(),
            random.Random(1),
            self.outcomes.append,
        )
        self.said, self.notes = [], []
        self.path = directory / "controls.json"
        self.knobs = Knobs(
            self.pipeline,
            self.path,
            quiet,
            clock=self.clock,
            say=self.said.append,
            note=lambda what, about: self.notes.append((what, about)),
        )

    def again(self, directory, seconds=0.0):
        """Another process, that much later."""
        return Bench(directory, wall=self.clock.wall() + seconds)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_an_act_is_done_noted_said_and_shown(bench):
    bench.knobs.act(Mute(WEB1, 7200.0))
    bench.knobs.act(Gain(Scope("tier", "routine"), -6.0))
    assert bench.notes == [
        ("mute", "host:web1 for 2 h"),
        ("gain", "tier:routine -6 dB"),
    ]
    assert bench.said == ["mute host:web1 for 2 h", "gain tier:routine -6 dB"]
    assert bench.knobs.in_words() == (
        "mute host:web1 for 2 h",
        "gain tier:routine -6 dB",
    )


def test_a_mute_of_all_reaches_the_engine(bench):
    bench.knobs.act(Mute(ALL))
    fades = [c for c in bench.engine.commands if isinstance(c, Fade)]
    assert fades[-1].bus is Bus.MASTER
    assert fades[-1].gain_db is None
    assert fades[-1].fade_s <= 0.05


def test_what_was_asked_for_is_still_in_force_after_a_restart(bench, tmp_path):
    for act in (Mute(WEB1), Snooze(SSH, 1800.0), Solo(Scope("class", "db"))):
        bench.knobs.act(act)
    bench.knobs.act(Gain(ALL, -3.0))
    later = bench.again(tmp_path, 600.0)
    later.knobs.start()
    assert later.knobs.in_words() == (
        "mute host:web1",
        "snooze name:ssh for 20 min",
        "solo class:db",
        "gain all -3 dB",
    )
    (said,) = later.said
    assert said.startswith("still in force: mute host:web1, snooze name:ssh for 20 min")
    assert said.endswith("solo class:db, gain all -3 dB (peep unmute, peep controls)")


def test_what_ended_while_nobody_was_here_is_let_go(bench, tmp_path):
    bench.knobs.act(Snooze(SSH, 1800.0))
    later = bench.again(tmp_path, 1801.0)
    later.knobs.start()
    assert later.knobs.in_words() == ()
    assert later.said == []


def test_what_was_ended_stays_ended(bench, tmp_path):
    bench.knobs.act(Mute(WEB1))
    bench.knobs.act(Solo(WEB1))
    bench.knobs.act(Unmute(WEB1))
    bench.knobs.act(Unsolo(WEB1))
    assert bench.again(tmp_path).knobs._read() == ()
    bench.knobs.act(Mute(WEB1))
    bench.knobs.act(Clear())
    assert bench.again(tmp_path).knobs._read() == ()


def test_an_act_that_makes_no_sense_changes_nothing(bench):
    with pytest.raises(PeepError):
        bench.knobs.act(Gain(ALL, 90.0))
    assert bench.notes == []
    assert not bench.path.exists()


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"control": {"what": "mute", "scope": {}}}]', "\0"]
)
def test_a_file_that_is_broken_is_said_in_one_line(bench, text):
    bench.path.write_text(text)
    bench.knobs.start()
    (line,) = bench.said
    assert line.startswith(f"{bench.path}: ")
    assert line.endswith(": nothing is muted now")


def test_a_kept_control_that_makes_no_sense_is_passed_over_and_the_others_hold(bench):
    kept = [
        {"control": {"what": "gain", "scope": {}, "gain_db": 99.0}, "until": None},
        {"control": {"what": "mute", "scope": {"kind": "host"}}, "until": None},
        {
            "control": {"what": "solo", "scope": {"kind": "host", "value": "web1"}},
            "until": None,
        },
    ]
    bench.path.write_text(json.dumps(kept))
    bench.knobs.start()
    assert bench.knobs.in_words() == ("solo host:web1",)
    assert sum(line.endswith(": passed over") for line in bench.said) == 2


def test_only_its_owner_may_read_the_file(bench):
    bench.knobs.act(Mute(WEB1))
    assert bench.path.stat().st_mode & 0o077 == 0
    assert json.loads(bench.path.read_text())[0]["until"] is None


def test_a_file_that_cannot_be_written_is_said_and_the_act_is_done(tmp_path):
    bench = Bench(tmp_path / "missing")
    assert bench.knobs.act(Mute(WEB1))
    assert "a restart will forget this" in bench.said[-1]


def test_without_a_file_nothing_is_kept(tmp_path):
    bench = Bench(tmp_path)
    bench.knobs._path = None
    bench.knobs.start()
    bench.knobs.act(Mute(WEB1))
    assert not bench.path.exists()


def test_quiet_hours_begin_and_end_with_the_time_of_day(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    bench = Bench(tmp_path, [QuietSpan.parse("22:00-07:00")], wall=NOON)
    bench.knobs.start()
    assert bench.notes == []
    bench.clock.advance(10 * 3600.0)
    bench.knobs.handle_timer(bench.clock.now())
    assert bench.notes == [("quiet", "quiet hours")]
    assert bench.knobs.in_words() == ("quiet hours",)
    bench.pipeline.feed(Event(name="ssh.login", tier=Tier.ROUTINE), bench.clock.now())
    assert str(bench.outcomes[-1].reason) == "quiet"
    bench.clock.advance(1.0)
    bench.knobs.handle_timer(bench.clock.now())
    bench.clock.advance(9 * 3600.0)
    bench.knobs.handle_timer(bench.clock.now())
    assert bench.notes[1:] == [("loud", "quiet hours")]
    assert bench.knobs.next_timer() > bench.clock.now()


def test_without_quiet_hours_nothing_is_due(bench):
    bench.knobs.start()
    assert bench.knobs.next_timer() is None


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (Clear(), ("clear", "")),
        (Unsolo(SSH), ("unsolo", "name:ssh")),
        (Snooze(ALL, 90.0), ("snooze", "all for 1.5 min")),
        (Mute(ALL, 20.0), ("mute", "all for 20 s")),
        (Mute(ALL, 2 * 86_400.0), ("mute", "all for 2 d")),
    ],
)
def test_an_act_is_said_in_words(act, said):
    assert words(act) == said


# ---- what the console sees --------------------------------------------------------


class Heard(RecordingEngine):
    """An engine with a ring."""

    def __init__(self):
        super().__init__(BANK)
        self.ring = make_ring()

    def meters(self):
        return Meters(momentary_lufs=-31.26, true_peak_dbtp=float("-inf"))


@pytest.fixture
def view(bench):
    engine = Heard()
    made = View(
        bench.pipeline,
        engine,
        bench.knobs,
        clock=bench.clock,
        agents=lambda: 2,
        theme="test",
        output="null",
    )
    bench.pipeline._tell = made.outcome
    yield made
    engine.ring.close()


def test_what_is_heard_is_seen_once_and_as_harmless_text(bench, view):
    bench.pipeline.feed(
        Event(name="ssh.login", host="web1", text="<b>\x1b[2J", tier=Tier.ALERT), 50.0
    )
    now = view.now(0)
    assert isinstance(now, Now)
    (cue,) = now.cues
    assert (cue.name, cue.host, cue.tier) == ("ssh.login", "web1", "alert")
    assert "\x1b" not in cue.text
    assert view.now(cue.number).cues == ()
    assert now.voices == (cue.sound,)


def test_states_are_layers_and_what_is_unheard_is_not_seen(bench, view):
    bench.pipeline.feed(State(name="load", value=0.9, host="web1"), 50.0, "a")
    bench.pipeline.feed(Event(name="odd"), 50.0)
    now = view.now(0)
    assert now.cues == ()
    (layer,) = now.layers
    assert (layer.name, layer.host) == ("load", "web1")


def test_it_says_how_it_is(bench, view):
    bench.knobs.act(Mute(WEB1))
    view.ring.write(np.zeros((BLOCK_FRAMES, 2), np.float32))
    now = view.now(0)
    assert (now.agents, now.theme, now.output) == (2, "test", "null")
    assert (now.momentary_lufs, now.true_peak_dbtp) == (-31.3, None)
    assert now.held == ("mute host:web1",)
    assert now.age_s == 0.0
    bench.clock.advance(3.0)
    assert view.now(0).age_s == 3.0


def test_only_the_last_cues_are_kept(bench, view):
    for n in range(MAX_CUES + 50):
        bench.pipeline.feed(Event(name=f"ssh.n{n}", tier=Tier.ALERT), 50.0 + 3 * n)
    cues = view.now(0).cues
    assert len(cues) == MAX_CUES
    assert cues[-1].name == f"ssh.n{MAX_CUES + 49}"
