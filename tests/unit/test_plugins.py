"""Kinds of sources that are installed beside Peep, found and held to their word."""

import sys

import pytest

from peep.agent.sources import CHECKS, KINDS, from_text, open_source, plugins
from peep.clock import ManualClock
from peep.config.document import parse
from peep.errors import ConfigError, SourceError

GOOD = """
class Silent:
    interval_s = 1.0
    def __init__(self, spec, clock, marks):
        self.spec, self.clock, self.marks = spec, clock, marks
    def describe(self):
        return "silence"
    def poll(self, now):
        return ()
def check(options):
    return options.section("much", short="much")["much"].integer(1)
open_source = Silent
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put a package with some entry points, and a module, on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(entry_points: str, module: str = "", name: str = "odd_source") -> None:
        metadata = tmp_path / f"{name}-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(entry_points)
        (tmp_path / f"{name}.py").write_text(module)
        plugins._found.cache_clear()
        plugins._loaded.cache_clear()

    yield install
    plugins._found.cache_clear()
    plugins._loaded.cache_clear()


def test_what_is_installed_is_a_kind_like_any_other(installed):
    installed("[peep.sources]\nsilence = odd_source\n", GOOD)
    assert "silence" in KINDS
    assert "silence" in list(CHECKS)
    assert len(CHECKS) == len(KINDS) == len(list(KINDS))
    spec = from_text("silence:3")
    clock = ManualClock()
    source = open_source(spec, clock, ["marks"])
    assert (source.spec, source.clock, source.marks) == (3, clock, ["marks"])
    assert source.describe() == "silence"


def test_its_options_are_checked_like_any_other(installed):
    installed("[peep.sources]\nsilence = odd_source\n", GOOD)
    with pytest.raises(ConfigError) as refused:
        from_text("silence:loud")
    assert "expected a whole decimal number" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("[console_scripts]\na = b\n", []),
        ("[console_scripts]\na = b\n[peep.sources]\nx = y\n[other]\nz = q\n", ["x"]),
        (
            "[peep.sources]\n# no = no\nx=y:z\n  two  = w\nBad = w\nb c = d\nx = y\n",
            ["x"],
        ),
        ("[peep.sources.more]\nx = y\n", []),
        ("[peep.sources]\r\nx = y\r\ny-2 = y\r\n", ["x", "y-2"]),
        ("[peep.sources]\n\xff\nx = y\n", ["x"]),
    ],
)
def test_only_entries_of_the_group_are_kinds(installed, text, names):
    installed(text)
    assert list(plugins.found()) == names


def test_what_is_built_in_cannot_be_replaced(installed):
    installed("[peep.sources]\ntail = odd_source\n", GOOD)
    assert KINDS["tail"].check(parse("{}", "x").kind([])[1]) != 1
    assert list(KINDS).count("tail") == 1


def test_a_place_that_is_no_directory_offers_nothing(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path / "none.zip")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "empty-1.dist-info").mkdir()
    plugins._found.cache_clear()
    assert list(plugins.found()) == []


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("import none_such", "ModuleNotFoundError: No module named 'none_such'"),
        ("", "AttributeError: module 'odd_source' has no attribute 'check'"),
        ("def check(options): 1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines \\x1b[m')", r"ValueError: two lines \x1b[m"),
    ],
)
def test_a_plugin_that_fails_is_a_problem_of_its_place(installed, module, why):
    installed("[peep.sources]\nsilence = odd_source\n", module)
    with pytest.raises(ConfigError) as refused:
        from_text("silence")
    assert refused.value.problems == [f"--source silence: plug-in silence: {why}"]


def test_a_plugin_that_cannot_open_is_a_source_that_cannot(installed):
    installed("[peep.sources]\nsilence = odd_source\n", "def check(options): pass")
    spec = from_text("silence")
    with pytest.raises(SourceError, match=r"^plug-in silence: AttributeError"):
        open_source(spec, ManualClock())


@pytest.fixture(autouse=True)
def _forget_the_module():
    yield
    sys.modules.pop("odd_source", None)
