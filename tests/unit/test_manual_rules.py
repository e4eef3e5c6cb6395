"""peep-rules(5) is well-formed, and knows every key and every kind of secret."""

import shutil
import subprocess
from pathlib import Path

import pytest

from peep.config import rulepacks
from peep.config.redacting import RedactSettings
from peep.rules.secrets import KINDS

PAGE = Path(__file__).resolve().parents[2] / "man" / "peep-rules.5"


def test_mandoc_finds_nothing_to_complain_about():
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    command = ["mandoc", "-T", "lint", "-W", "warning", PAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("word", [*rulepacks._KEYS, *KINDS])
def test_every_key_and_kind_has_its_paragraph(word):
    assert f"\n.It Li {word}\n" in PAGE.read_text()


@pytest.mark.parametrize("key", RedactSettings.__struct_fields__)
def test_every_key_of_redaction_is_explained(key):
    assert f"Li {key}" in PAGE.read_text()
