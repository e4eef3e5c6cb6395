"""The documented example of a source of one's own is installed, and runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "configs/examples/peep_source_example"
PATIENCE_S = 18
USE = """
import json, sys
from peep.agent.sources import Poller, from_text, open_source
from peep.clock import ManualClock
source = open_source(from_text("waiting:" + sys.argv[1]), ManualClock())
assert isinstance(source, Poller)
print(json.dumps([source.describe(), source.interval_s,
                  [[s.name, s.value] for s in source.poll(0.0)]]))
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """Where the example is installed, as its first line says."""
    target = tmp_path_factory.mktemp("installed")
    install = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", *install, "--target", target, EXAMPLE],
        check=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
    )
    return target


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
    )


def test_the_example_counts_what_waits(path, tmp_path):
    for number in range(25):
        (tmp_path / str(number)).touch()
    done = run(path, "-c", USE, str(tmp_path))
    assert json.loads(done.stdout) == [
        f"what waits in {tmp_path}",
        5.0,
        [["waiting.files", 0.25]],
    ], done.stderr


def test_a_configuration_with_it_is_checked_like_any_other(path, tmp_path):
    config = tmp_path / "peep.yaml"
    config.write_text("agent: {sources: [{waiting: /var/spool, many: 0}]}")
    done = run(path, "-m", "peep", "config", "check", str(config))
    assert done.returncode == 2
    assert "many: 0 is not in 1" in done.stdout + done.stderr
    config.write_text("agent: {sources: [{waiting: /var/spool, many: 5}]}")
    assert run(path, "-m", "peep", "config", "check", str(config)).returncode == 0


def test_the_example_is_as_short_as_is_said():
    lines = (EXAMPLE / "peep_source_example.py").read_text().splitlines()
    assert sum(1 for line in lines if line.strip()) <= 20
