"""An agent's id: kept over restarts, never shared by two that run."""

import subprocess
import sys
from pathlib import Path

import pytest

from peep.agent.identity import MAX_SLOTS, Identity
from peep.protocol.packets import ID_BYTES


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state" / "peep"


def test_an_agent_that_comes_back_has_its_id_again(state):
    first = Identity(state)
    assert len(first.agent_id) == ID_BYTES
    first.release()
    first.release()
    again = Identity(state)
    assert again.agent_id == first.agent_id
    again.release()


def test_an_agent_that_was_killed_comes_back_with_its_id(state):
    program = (
        "import os, pathlib, signal, sys\n"
        "from peep.agent.identity import Identity\n"
        "print(Identity(pathlib.Path(sys.argv[1])).agent_id.hex(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, state],
        check=False,
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert killed.returncode == -9
    identity = Identity(state)
    assert identity.agent_id.hex() == killed.stdout.strip()
    identity.release()


def test_agents_side_by_side_have_different_ids_and_keep_them(state):
    together = [Identity(state) for _ in range(3)]
    ids = [identity.agent_id for identity in together]
    assert len(set(ids)) == 3
    for identity in together:
        identity.release()
    again = [Identity(state) for _ in range(3)]
    assert [identity.agent_id for identity in again] == ids
    for identity in again:
        identity.release()


def test_nobody_else_may_read_what_is_kept(state):
    Identity(state).release()
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "agent-0.id").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", [b"", b"short", b"x" * (ID_BYTES + 1)])
def test_a_damaged_id_is_replaced_by_a_whole_one(state, kept):
    state.mkdir(parents=True)
    (state / "agent-0.id").write_bytes(kept)
    identity = Identity(state)
    identity.release()
    assert (state / "agent-0.id").read_bytes() == identity.agent_id
    assert len(identity.agent_id) == ID_BYTES


def test_where_nothing_can_be_kept_an_id_is_made_for_this_run(tmp_path):
    (tmp_path / "file").touch()
    first, second = (Identity(tmp_path / "file" / "peep") for _ in range(2))
    assert len(first.agent_id) == len(second.agent_id) == ID_BYTES
    assert first.agent_id != second.agent_id


def test_slots_are_bounded_and_an_agent_beyond_them_works_all_the_same(state):
    together = [Identity(state) for _ in range(MAX_SLOTS + 1)]
    assert len({identity.agent_id for identity in together}) == MAX_SLOTS + 1
    assert len(list(state.iterdir())) == MAX_SLOTS
    for identity in together:
        identity.release()


def test_a_disk_that_takes_nothing_leaves_no_descriptor_behind(state):
    state.mkdir(parents=True)
    (state / "agent-0.id").symlink_to("/dev/full")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    identity = Identity(state)
    assert len(identity.agent_id) == ID_BYTES
    assert len(list(descriptors.iterdir())) == before
