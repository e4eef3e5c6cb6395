"""`peep mute` and its kin on a real server, heard as a listener hears it."""

import json
import os
import signal

import numpy as np
import psutil
import pytest
from homes import Home
from listeners import Engine, Server, serving
from lives import wait_until

from peep.sound.engine import SAMPLE_RATE_HZ

pytestmark = [
    pytest.mark.audio,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(120),
]
SILENCE = 10 ** (-80 / 20)


@pytest.fixture(scope="module")
def server():
    with serving() as made:
        yield made


def rms(pcm):
    return float(np.sqrt(np.square(pcm / 32_767).mean()))


class Ear:
    """Listens on, and tells how loud the last stretch was."""

    def __init__(self, server):
        self.engine = Engine(server)
        wait_until(lambda: len(self.engine.packets) > 10, 10)

    def last(self, seconds):
        count = round(seconds * 50)
        parts = [packet[8:] for _, packet in self.engine.packets[-count:]]
        return np.frombuffer(b"".join(parts), "<i2").astype(float)

    def hears(self):
        return rms(self.last(0.5)) > 10 * SILENCE

    def silent(self):
        return rms(self.last(0.5)) <= SILENCE


def ok(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mute_silences_what_sounds_and_unmute_brings_it_back(server):
    server.emit("system.load", "--state", "0.9", "--for", "60")
    ear = Ear(server)
    wait_until(ear.hears, 10)
    assert ok(server.home.peep("mute")) == "mute all\n"
    wait_until(ear.silent, 5)
    assert ok(server.home.peep("unmute")) == "nothing is muted\n"
    wait_until(ear.hears, 5)
    ear.engine.stop()


def test_what_is_muted_is_not_cued_and_is_in_the_journal(server):
    home = server.home
    ok(home.peep("snooze", "name:disk", "10m"))
    server.emit("disk.failing", "--tier", "alert", "--family", "system")
    wait_until(lambda: "disk.failing" in ok(home.peep("history")), 10)
    (line,) = [x for x in ok(home.peep("history")).splitlines() if "disk.f" in x]
    assert "(snoozed)" in line
    notes = ok(home.peep("history", "--notes"))
    assert any(
        "snooze" in x and "name:disk for 10 min" in x for x in notes.splitlines()
    )
    assert ok(home.peep("unmute", "name:disk")) == "nothing is muted\n"


def test_what_is_in_force_is_listed_and_can_be_ended_at_once(server):
    home = server.home
    ok(home.peep("gain", "tier:routine", "-6"))
    ok(home.peep("solo", "class:db"))
    ok(home.peep("mute", "host:web1", "--for", "2h"))
    (said,) = json.loads(ok(home.peep("controls", "--json")))
    assert [one["what"] for one in said["controls"]] == ["gain", "solo", "mute"]
    assert 7000 < said["controls"][2]["left_s"] <= 7200
    assert ok(home.peep("unsolo")).startswith("gain tier:routine -6 dB; mute")
    assert ok(home.peep("controls", "clear")) == "nothing is muted\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mute", "web1"), "write all, class:NAME"),
        (("mute", "tier:loud"), "a tier is routine, notable, alert"),
        (("mute", "--for", "soon"), "write 30s, 15m, 2h or 1d"),
        (("snooze", "all", "0s"), "write 30s"),
        (("snooze", "all", "30"), "write 30s, 15m, 2h or 1d"),
        (("gain", "all", "40"), "no gain from -60 to 12 dB"),
        (("gain", "all", "loud"), "no gain"),
        (("solo",), "SCOPE"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_mend(server, words, said):
    done = server.home.peep(*words)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_is_about_nobody_is_done_and_doubted(server):
    for scope, doubt in (
        ("host:web2", "no host web2 is known here: a slip?"),
        (f"class:{server.class_name}x", f"no class {server.class_name}x is served"),
        (f"class:{server.class_name}", ""),
    ):
        done = server.home.peep("solo", scope)
        assert ok(done) == f"solo {scope}\n"
        assert doubt in done.stderr if doubt else not done.stderr
        assert not server.home.peep("unsolo").stderr


def test_a_mute_outlives_a_restart():
    home = Home()
    first = Server(home)
    ok(home.peep("mute"))
    first.life.end(signal.SIGTERM)
    second = Server(home)
    wait_until(lambda: second.life.has_said("still in force: mute all"), 10)
    second.emit("system.load", "--state", "0.9", "--for", "30")
    ear = Ear(second)
    wait_until(lambda: len(ear.engine.packets) > 150, 10)
    assert rms(ear.last(2.0)) <= SILENCE
    ok(home.peep("unmute"))
    wait_until(ear.hears, 5)
    ear.engine.stop()
    second.life.end(signal.SIGTERM)
    home.close()


def sound_process(server):
    (child,) = psutil.Process(server.life.process.pid).children()
    return child


def test_a_sound_process_that_is_killed_ten_times_is_back_with_all_that_sounded():
    with serving() as server:
        home = server.home
        server.emit("system.load", "--state", "0.9", "--for", "120")
        ear = Ear(server)
        wait_until(ear.hears, 10)
        for times in range(1, 11):
            old = sound_process(server).pid
            os.kill(old, signal.SIGKILL)
            said = "the sound is back after"
            wait_until(
                lambda times=times, said=said: (
                    sum(said in line for _, line in server.life.said) >= times
                ),
                10,
            )
            seen = len(ear.engine.packets)
            wait_until(lambda seen=seen: len(ear.engine.packets) > seen + 25, 10)
            wait_until(ear.hears, 5)
            assert sound_process(server).pid != old
        notes = ok(home.peep("history", "--notes"))
        gaps = [x for x in notes.splitlines() if "sound-back" in x]
        assert len(gaps) == 10
        assert all("the sound process died (signal 9)" in gap for gap in gaps)
        heard, _ = ear.engine.stop()  # which asserts that audio time has no gap
        assert len(heard) > 5 * SAMPLE_RATE_HZ


def test_devices_says_what_to_do_without_a_sound_card(server):
    home = server.home
    home.env |= {"PULSE_SERVER": f"unix:{home.directory}/none"}
    home.env |= {"ALSA_CONFIG_PATH": "/dev/null"}
    done = home.peep("devices")
    assert done.returncode == 1
    assert "no sound card here; hear it in a browser" in done.stderr
    assert home.peep("devices", "--json").stdout == "[]\n"
