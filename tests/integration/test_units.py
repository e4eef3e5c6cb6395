"""The systemd units: systemd takes them, and finds little that they expose."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from peep import paths

UNITS = paths.data_dir("configs") / "systemd"
KINDS = {"agent": (), "server": ("--user",)}
MOST = {"agent": 1.8, "server": 3.0}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def analyze(tmp_path, monkeypatch):
    """Run systemd-analyze on a unit; a stand-in takes peep's place."""
    program = tmp_path / "peep"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def run(kind, *words):
        text = (UNITS / f"peep-{kind}.service").read_text()
        assert text.count("\nExecStart=peep ") == 1
        unit = tmp_path / f"peep-{kind}.service"
        unit.write_text(text.replace("\nExecStart=peep ", f"\nExecStart={program} "))
        return subprocess.run(
            ["systemd-analyze", *KINDS[kind], *words, unit],
            capture_output=True,
            text=True,
            check=False,
            timeout=15,
        )

    return run


@needs_systemd
@pytest.mark.parametrize("kind", KINDS)
def test_systemd_has_nothing_to_complain_about(analyze, kind):
    # Not whether the manual page is installed here.
    done = analyze(kind, "verify", "--man=no")
    complaints = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if f"peep-{kind}.service" in line
    ]
    assert complaints == []


@needs_systemd
@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_exposes_no_more_than_it_must(analyze, kind):
    done = analyze(kind, "security", "--offline=true", "--no-pager")
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")
    score = re.search(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
    assert score is not None, done.stderr
    assert float(score[1]) <= MOST[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_says_when_it_is_ready_and_that_it_lives(kind):
    lines = (UNITS / f"peep-{kind}.service").read_text().splitlines()
    assert "Type=notify" in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)
    assert f"ExecStart=peep {kind}" in lines
    # What options say stays, whatever the configuration says later.
    assert "ExecReload=/bin/kill -HUP $MAINPID" in lines


def test_the_units_are_where_the_manual_says():
    manual = (paths.data_dir("man") / "peep.1").read_text()
    for kind in KINDS:
        assert Path(UNITS / f"peep-{kind}.service").is_file()
        assert f"peep-{kind}.service" in manual
