"""One room of each kind for a module's tests.

They take minutes, and packages from a mirror: only who names this directory, as does
`./test --all`, has them run.
"""

import sys
from pathlib import Path

import debian
import pytest
from peep_there import Peep, install
from room import Room

HERE = Path(__file__).parent


def pytest_ignore_collect(config):
    named = (Path(arg.partition("::")[0]).resolve() for arg in config.args)
    return None if any(path.is_relative_to(HERE) for path in named) else True


@pytest.fixture(scope="session")
def say(pytestconfig):
    """Tell what takes long, though pytest keeps output for itself."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def tell(text):
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"\n{text}\n")

    return tell


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return debian.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=debian.RECIPES, ids=lambda made: made.suite)
def recipe(request):
    why_not = debian.why_not()
    if why_not:
        pytest.skip(why_not)
    return request.param


@pytest.fixture(scope="module")
def room(recipe, request, tmp_path_factory, say):
    """A clean host with an agent's Peep in it, and alice, whose password is "right"."""
    root = debian.root(recipe, say)
    # Not built for those who only skip.
    wheel = request.getfixturevalue("wheel")
    libraries = debian.libraries(recipe, wheel, say)
    made = Room(root, tmp_path_factory.mktemp(recipe.suite))
    try:
        install(made, wheel, libraries)
        assert recipe.python in made.run("python3", "--version")
        made.run("useradd", "--create-home", "--shell", "/bin/sh", "alice")
        made.run("chpasswd", feed="alice:right\n")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def peep(room, tmp_path_factory):
    """The server that hears the room's agents."""
    made = Peep(room, tmp_path_factory.mktemp("homes"))
    yield made
    made.close()
