"""What the tests of sound share: a sound server of one's own."""

import pytest
from pulse import Pulse, missing


@pytest.fixture
def pulse(monkeypatch):
    """Return private PulseAudio daemons, not started yet, that this process finds."""
    if missing():
        pytest.skip(missing())
    made = Pulse()
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PULSE_SERVER", raising=False)
    yield made
    made.close()
