"""Directories: what a service manager named comes before all else."""

from pathlib import Path

import pytest

from peep import paths

DIRECTORIES = [
    (paths.config_dir, "CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME"),
    (paths.state_dir, "STATE_DIRECTORY", "XDG_STATE_HOME"),
    (paths.runtime_dir, "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"),
]


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize(("directory", "given", "xdg"), DIRECTORIES)
def test_what_a_service_manager_made_is_taken_first(directory, given, xdg, uid):
    environ = {given: "/srv/made", xdg: "/x", "HOME": "/h"}
    assert directory(environ, uid) == Path("/srv/made")


@pytest.mark.parametrize(("directory", "given", "_xdg"), DIRECTORIES)
def test_of_several_directories_of_a_unit_the_first_is_ours(directory, given, _xdg):
    assert directory({given: "/srv/a:/srv/b"}, 0) == Path("/srv/a")


@pytest.mark.parametrize("odd", ["", "relative", ":/srv/b"])
@pytest.mark.parametrize(("directory", "given", "xdg"), DIRECTORIES)
def test_a_name_that_is_no_absolute_path_is_passed_over(directory, given, xdg, odd):
    assert directory({given: odd, xdg: "/x"}, 1000) == Path("/x/peep")


def test_root_has_the_systems_directories():
    assert paths.config_dir({}, 0) == Path("/etc/peep")
    assert paths.state_dir({}, 0) == Path("/var/lib/peep")
    assert paths.runtime_dir({}, 0) == Path("/run/peep")


def test_credentials_are_where_a_service_manager_says_or_nowhere():
    environ = {"CREDENTIALS_DIRECTORY": "/run/credentials/peep-agent.service"}
    assert paths.credentials_dir(environ) == Path(environ["CREDENTIALS_DIRECTORY"])
    assert paths.credentials_dir({}) is None
