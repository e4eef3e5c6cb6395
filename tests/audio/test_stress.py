"""Whatever signals and operators do, the sound has no step; and a step would be found.

tests/stress.py says what is measured, and renders minutes of it (`make stress`).
"""

import numpy as np
import pytest
import stress

from peep.mixer import buses as mixer_buses
from peep.sound import buses, master
from peep.sound.pyo_engine import layer, voices

pytestmark = [pytest.mark.audio, pytest.mark.slow, pytest.mark.timeout(90)]


def ratio(scene, seconds):
    worst, sound, tally = stress.render(stress.SCENES[scene](), seconds, 1, renew_s=4.0)
    assert np.abs(sound).max() > 0.03  # else there was nothing to find
    return worst.ratio, tally


@pytest.mark.parametrize(
    ("scene", "seconds", "told"),
    [
        ("tones", 9, {"Play", "Stop", "Fade", "Beat", "cut off"}),
        ("wetland", 5, {"Play", "Level", "Fade", "Beat"}),
        ("layer:hum", 5, {"Level"}),
    ],
)
def test_no_command_makes_a_step_in_the_sound(scene, seconds, told):
    found, tally = ratio(scene, seconds)
    assert found <= stress.ALLOWED
    assert told | {"hand-over"} <= {what for what, count in tally.items() if count}


def test_a_voice_that_is_cut_off_without_a_fade_would_be_found(monkeypatch):
    stop = voices.Voice.stop
    monkeypatch.setattr(voices.Voice, "stop", lambda *args: stop(*args) and None)
    assert ratio("tones", 3)[0] > 5 * stress.ALLOWED


def test_a_bus_that_jumps_to_its_gain_would_be_found(monkeypatch):
    monkeypatch.setattr(buses, "_SHORTEST_S", 1e-6)
    monkeypatch.setattr(mixer_buses, "MASTER_S", 1e-6)
    monkeypatch.setattr(mixer_buses, "DUCK_S", 1e-6)
    assert ratio("tones", 9)[0] > 5 * stress.ALLOWED


def test_a_layer_that_jumps_to_its_level_would_be_found(monkeypatch):
    ramp = layer.Layer._ramp
    monkeypatch.setattr(
        layer.Layer, "_ramp", staticmethod(lambda sig, to, _: ramp(sig, to, 0.0))
    )
    assert ratio("layer:hum", 3)[0] > stress.ALLOWED


def test_one_sample_that_is_off_by_a_hundredth_would_be_found(monkeypatch):
    block = master.Master.block

    def flawed(self):
        made = block(self)
        if self.frames == 400 * len(made):
            made[100] += 0.01
        return made

    monkeypatch.setattr(master.Master, "block", flawed)
    worst, _, _ = stress.render(stress.tones(), 3.0, 1)
    assert worst.ratio > stress.ALLOWED
    assert worst.at_s == pytest.approx(399 * stress.BLOCK_S)
