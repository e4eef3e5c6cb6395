"""What `pip install` of a built wheel gives: data inside, and no audio in an agent."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOUND_PARTS = ("pyo", "numpy", "miniaudio", "soundfile")
WITHOUT_SOUND = f"""
import sys
for name in {SOUND_PARTS!r}:
    sys.modules[name] = None  # as if it were not installed
from peep.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel and unpack it as pip would, dependencies apart."""
    made = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", made],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    (wheel,) = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(made / "site")
    return made / "site"


def run(installed, *words, code=WITHOUT_SOUND):
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(installed), "HOME": str(installed)},
        cwd=installed,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        input="nothing\n",
    )


@pytest.mark.timeout(60)
def test_a_wheel_carries_sounds_configuration_and_manual(installed):
    data = installed / "peep" / "data"
    assert (data / "sounds" / "wetland" / "theme.yaml").is_file()
    assert (data / "configs" / "rules" / "sshd.yaml").is_file()
    assert (data / "configs" / "peep.yaml").is_file()
    assert (data / "man" / "peep.1").is_file()


def test_an_installed_wheel_finds_its_data(installed):
    code = """
from peep import paths
from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.themes import load_theme
assert "data" in str(paths.data_dir("sounds")), paths.data_dir("sounds")
assert load_rules(shipped_packs())
assert load_theme("wetland")
"""
    done = run(installed, code=code)
    assert done.returncode == 0, done.stderr


@pytest.mark.network
def test_an_agent_runs_without_any_part_of_the_sound(installed):
    words = ("agent", "--interfaces=lo", "--classes=wheel-test", "--source", "-")
    done = run(installed, *words)
    assert done.returncode == 0, done.stderr
    assert "1 lines read, 0 matched" in done.stderr


@pytest.mark.parametrize(
    "words", [("server",), ("here",), ("render", "x.log", "--out", "x.flac")]
)
def test_what_makes_sound_says_what_to_install(installed, words):
    done = run(installed, *words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'peep-auralizer[server]'" in done.stderr


def test_the_core_loads_no_asyncio():
    code = (
        "import sys, peep.signals, peep.protocol.agent, peep.protocol.server, "
        "peep.mixer.mixer, peep.rules\n"
        "assert 'asyncio' not in sys.modules and 'socket' not in sys.modules"
    )
    # Coverage, where it measures this, loads a socket of its own.
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20, env=env)
