"""Root becomes another user, for good: tried in processes of their own."""

import json
import os
import pwd
import subprocess
import sys

import pytest

from peep.agent import privileges
from peep.errors import ConfigError, PeepError

USER = "nobody"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it")

_CHILD = """
import json, os, sys
from pathlib import Path
from peep.agent import privileges
privileges.drop(sys.argv[1], [Path(name) for name in sys.argv[2:]])
back = True
try:
    os.setresuid(0, 0, 0)
except PermissionError:
    back = False
(Path(sys.argv[2]) / "mine").write_text("x")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(),
    "caps": [status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")],
    "back": back, "home": os.environ["HOME"],
}))
"""


def dropped(*words):
    return subprocess.run(
        [sys.executable, "-c", _CHILD, USER, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )


@pytest.fixture
def ours(tmp_path):
    """A directory of root's that others can reach."""
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    return tmp_path


@as_root
def test_root_becomes_the_user_for_good_with_the_groups_of_logs(ours):
    done = dropped(ours / "state")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    entry = pwd.getpwnam(USER)
    assert found["uids"] == [entry.pw_uid] * 3
    assert found["gids"] == [entry.pw_gid] * 3
    assert found["caps"] == ["0" * 16] * 4
    assert found["back"] is False
    assert found["home"] == entry.pw_dir
    wanted = privileges._groups(entry)
    assert sorted(set(found["groups"])) == wanted
    assert 0 not in wanted


@as_root
def test_what_root_left_in_a_directory_is_given_over_with_it(ours):
    state = ours / "state"
    state.mkdir(mode=0o755)
    (state / "agent-0.id").write_bytes(b"12345678")
    (state / "link").symlink_to(ours / "roots")
    (ours / "roots").write_text("")
    done = dropped(state, ours / "run" / "peep")
    assert done.returncode == 0, done.stderr
    uid = pwd.getpwnam(USER).pw_uid
    assert [path.stat().st_uid for path in (state, state / "agent-0.id")] == [uid, uid]
    assert (ours / "run" / "peep").stat().st_uid == uid
    assert state.stat().st_mode & 0o777 == 0o700
    assert (ours / "roots").stat().st_uid == 0, "where a link leads is not given away"
    assert (state / "mine").stat().st_mode & 0o777 == 0o600


@as_root
def test_a_second_start_finds_the_directory_as_it_was(ours):
    assert dropped(ours / "state").returncode == 0
    assert dropped(ours / "state").returncode == 0


@as_root
@pytest.mark.parametrize("kind", ["another user's", "open to others", "a link", "file"])
def test_a_directory_that_is_not_roots_alone_is_left_alone(ours, kind):
    state = ours / "state"
    (ours / "real").mkdir()
    if kind == "a link":
        state.symlink_to(ours / "real")
    elif kind == "file":
        state.write_text("")
    else:
        state.mkdir()
        if kind == "another user's":
            os.chown(state, 1, 1)
        else:
            state.chmod(0o777)
    before = state.lstat().st_uid
    done = dropped(state)
    assert done.returncode == 1
    assert state.lstat().st_uid == before
    assert (ours / "real").stat().st_uid == 0


@pytest.mark.parametrize("name", ["root", "no-such-user-here", "a\0b", ""])
def test_a_user_that_cannot_be_become_is_a_mistake_of_the_command_line(name):
    with pytest.raises(ConfigError, match="--user"):
        privileges.drop(name, [])


def test_who_is_not_root_cannot_become_another(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PeepError, match="only root"):
        privileges.drop(USER, [])


def test_groups_that_this_system_does_not_have_are_passed_over(monkeypatch):
    monkeypatch.setattr(privileges, "LOG_GROUPS", ("no-such-group-here",))
    entry = pwd.getpwnam(USER)
    expected = set(os.getgrouplist(USER, entry.pw_gid)) - {0}
    assert privileges._groups(entry) == sorted(expected)
