"""The engine that makes no sound."""

import pytest

from peep.errors import EngineError
from peep.mixer.commands import Beat, Play
from peep.sound.engine import Engine, Meters
from peep.sound.fake import RecordingEngine
from peep.theme import SoundBank, Variant

BANK = SoundBank({"frog": (Variant(0.4, -21.0),)})


def test_it_records_all_that_is_sent_in_order():
    engine: Engine = RecordingEngine(BANK)
    assert engine.start() is BANK
    engine.send([Play(1, "frog", 0, -6.0, 0.0), Play(2, "frog", 0, -6.0, 0.5)])
    engine.send([Beat(0, "frog", 1.0, 0.0, 0.0)])
    assert engine.commands == [
        Play(1, "frog", 0, -6.0, 0.0),
        Play(2, "frog", 0, -6.0, 0.5),
        Beat(0, "frog", 1.0, 0.0, 0.0),
    ]
    assert engine.meters() == engine.stop() == Meters()


def test_it_is_as_strict_about_its_state_as_a_real_engine():
    engine = RecordingEngine(BANK)
    with pytest.raises(EngineError, match="not running"):
        engine.send([])
    engine.start()
    with pytest.raises(EngineError, match="twice"):
        engine.start()
    engine.stop()
    with pytest.raises(EngineError, match="not running"):
        engine.send([])


def test_it_fails_only_when_told_to():
    engine = RecordingEngine(BANK)
    assert engine.failure() is None
    engine.fail("the sound card is gone")
    assert engine.failure() == "the sound card is gone"
