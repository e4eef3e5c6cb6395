"""Every state that a shipped source can tell of has a layer of its own choosing."""

import re
from pathlib import Path

import pytest

import peep.agent.sources
from peep.agent.sources.system import DEFAULTS, ON_REQUEST
from peep.agent.sources.targets import STATE
from peep.config.themes import load_theme
from peep.signals import State

SOURCES = Path(peep.agent.sources.__file__).parent
THEME, _ = load_theme("wetland")
TOLD = [f"system.{name}" for name in (*DEFAULTS, *ON_REQUEST)] + [f"{STATE}.gateway"]


@pytest.mark.parametrize("name", TOLD)
def test_a_state_that_a_shipped_source_tells_of_is_mapped_by_its_name(name):
    mapped = [known for known in THEME.states if f"{name}.".startswith(f"{known}.")]
    assert mapped, "not left to the default"
    voicing = THEME.for_state(State(name=name, value=0.5))
    assert voicing is not None
    assert voicing.sound in THEME.layers


def test_no_other_source_tells_of_states():
    tellers = [p.name for p in SOURCES.glob("*.py") if "State(" in p.read_text()]
    assert sorted(tellers) == ["ping.py", "system.py"]


def test_no_state_is_mapped_that_nobody_tells_of():
    own = [name for name in THEME.states if re.match(r"system\.|ping\.", name)]
    assert [n for n in own if not any(f"{t}.".startswith(f"{n}.") for t in TOLD)] == []
