"""The manual page is well-formed, and says what the program does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from peep.cli.main import COMMANDS

PAGE = Path(__file__).resolve().parents[2] / "man" / "peep.1"


def test_mandoc_finds_nothing_to_complain_about():
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", PAGE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_manual(command):
    assert f".It Nm Cm {command}" in PAGE.read_text()
