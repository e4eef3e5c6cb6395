"""What `peep agent --check` finds, piece by piece, without changing anything."""

import os
import socket
from pathlib import Path

import pytest

from peep.agent import check
from peep.agent.sources.command import CommandSpec
from peep.agent.sources.follow import Follower
from peep.agent.sources.journald import JournaldSpec
from peep.agent.sources.patterns import mark_of
from peep.agent.sources.plugins import Plugged, Plugin
from peep.agent.sources.stdin import StdinSpec
from peep.agent.sources.syslog import SyslogSpec
from peep.agent.sources.system import SystemSpec
from peep.agent.sources.tail import TailSpec
from peep.clock import ManualClock, SystemClock

MIB = 1024 * 1024


def looked(spec, marks=(), lag_max_bytes=64 * MIB):
    return list(check.source(spec, ManualClock(), marks, lag_max_bytes))


def one(spec, *args):
    (found,) = looked(spec, *args)
    assert found.topic == "source"
    assert bool(found.mend) or found.level != "bad", "what is bad can be mended"
    return found


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"a line\n" * 1000)
    return path


def marks_of(path):
    """The marks of a follower that has read all."""
    follower = Follower(str(path), from_start=True)
    kept = {}
    while batch := follower.read(0.0, 0.0):
        kept |= {mark.origin: mark for mark in batch.marks}
    follower.close(0.0)
    return tuple(kept.values())


def test_a_new_log_is_followed_from_its_end(log):
    found = one(TailSpec(str(log)))
    assert (found.level, found.what) == ("ok", str(log))
    assert found.says == "readable, 6.8 KiB, from its end"


def test_or_from_its_beginning_if_that_was_said(log):
    found = one(TailSpec(str(log), from_start=True))
    assert found.says == "readable, 6.8 KiB, from its beginning, 6.8 KiB unread"


def test_a_log_that_was_read_goes_on_where_it_was_left(log):
    marks = marks_of(log)
    assert one(TailSpec(str(log)), marks).says.endswith("goes on at 6.8 KiB")
    with log.open("ab") as file:
        file.write(b"x" * 2048)
    assert one(TailSpec(str(log)), marks).says.endswith("2.0 KiB unread")


def test_a_log_that_is_not_the_one_that_was_read_says_so(log):
    marks = marks_of(log)
    log.write_bytes(b"other\n")
    assert "older one" in one(TailSpec(str(log)), marks).says


def test_more_than_may_be_unread_is_told(log):
    marks = marks_of(log)
    with log.open("ab") as file:
        file.write(b"x" * 2048)
    found = one(TailSpec(str(log)), marks, 1024)
    assert found.level == "note"
    assert "skipped" in found.says
    assert "lag_max" in found.mend
    assert one(TailSpec(str(log)), marks, 0).level == "ok"
    new = TailSpec(str(log), from_start=True)
    assert one(new, (), 1024).level == "ok", "that is read whole"


def test_a_log_that_is_not_there_yet_is_no_trouble_but_a_missing_directory_is(tmp_path):
    assert one(TailSpec(str(tmp_path / "a.log"))).level == "note"
    assert one(TailSpec(str(tmp_path / "no" / "a.log"))).level == "bad"


def test_what_is_no_file_is_no_log(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert one(TailSpec(str(tmp_path / "pipe"))).says == "not a regular file"
    (tmp_path / "loop").symlink_to("loop")
    assert one(TailSpec(str(tmp_path / "loop"))).level == "bad"


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes nobody here")
def test_what_may_not_be_read_says_what_would_help(log):
    log.chmod(0o640)
    os.chown(log, -1, 4)
    for parent in list(log.parents)[:3]:
        parent.chmod(0o755)
    os.seteuid(65_534)
    try:
        found = one(TailSpec(str(log)))
    finally:
        os.seteuid(0)
    assert (found.level, found.says) == ("bad", "not readable")
    assert "join the group" in found.mend


def test_a_pattern_names_what_it_takes_now(log):
    (log.parent / "b.log").touch()
    first, *files = looked(TailSpec(f"{log.parent}/*.log"))
    assert first.says.startswith("2 files now")
    assert [found.what for found in files] == [str(log), str(log.parent / "b.log")]
    assert files[0].says.endswith("from its end")


def test_files_that_came_to_a_pattern_meanwhile_are_read_whole(log):
    pattern = f"{log.parent}/*.log"
    _, found = looked(TailSpec(pattern), (mark_of(pattern),))
    assert "from its beginning" in found.says


def test_a_pattern_that_takes_nothing_is_noted(tmp_path):
    assert one(TailSpec(f"{tmp_path}/*.log")).level == "note"


def test_of_very_many_files_only_some_are_named(tmp_path):
    for number in range(check.MAX_LISTED + 5):
        (tmp_path / f"{number:03}.log").touch()
    found = looked(TailSpec(f"{tmp_path}/*.log"))
    assert len(found) == check.MAX_LISTED + 2
    assert found[-1].says == "and 5 files more"


# ---- other kinds -----------------------------------------------------------------


@pytest.fixture
def journalctl(tmp_path):
    program = tmp_path / "journalctl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


def test_the_journal_needs_its_program(tmp_path):
    found = one(JournaldSpec(program=str(tmp_path / "journalctl")))
    assert found.level == "bad"
    assert "there is no" in found.says


def test_the_journal_needs_files(tmp_path, journalctl):
    spec = JournaldSpec(program=journalctl, directory=str(tmp_path))
    assert one(spec).says == "there is no journal"


def test_a_journal_is_followed_from_its_end_or_where_it_stopped(tmp_path, journalctl):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "system.journal").touch()
    spec = JournaldSpec(program=journalctl, directory=str(tmp_path))
    assert one(spec).says == "readable, from its end"
    start = JournaldSpec(program=journalctl, directory=str(tmp_path), from_start=True)
    assert one(start).says == "readable, from its beginning"
    mark = mark_of("journald:…")
    assert one(start, (mark,)).says == "readable, goes on where it stopped"


def test_a_journal_of_others_is_not_readable(tmp_path, journalctl):
    if os.geteuid() != 0:
        pytest.skip("root becomes nobody here")
    journal = tmp_path / "system.journal"
    journal.touch()
    journal.chmod(0)
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    os.seteuid(65_534)
    try:
        found = one(JournaldSpec(program=journalctl, directory=str(tmp_path)))
    finally:
        os.seteuid(0)
    assert found.says == "not readable"


def test_a_port_that_is_free_or_taken(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        udp, tcp = looked(SyslogSpec(host="127.0.0.1", port=port))
        assert (udp.level, tcp.level) == ("bad", "ok")
        assert udp.mend
    spec = SyslogSpec(host="::1", port=port, tcp=False)
    assert one(spec).what == f"syslog ::1:{port} UDP"


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes nobody here")
def test_a_low_port_is_for_root():
    start = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if int(start.read_text()) <= 99:
        pytest.skip("every port is for everybody here")
    os.seteuid(65_534)
    try:
        found = one(SyslogSpec(host="127.0.0.1", port=99, tcp=False))
    finally:
        os.seteuid(0)
    assert found.says == "not allowed"


def test_a_command_must_be_there():
    assert one(CommandSpec(("/bin/true",), "true")).says == "every 60 s"
    assert one(CommandSpec(("/bin/nosuch", "x"), "no")).level == "bad"


def test_all_others_say_what_they_look_at():
    assert one(SystemSpec()).says == "the system, every 2 s"
    assert one(StdinSpec()).level == "ok"


def test_a_plug_in_that_cannot_be_opened_is_bad():
    (found,) = check.source(Plugged(Plugin("gone"), None), SystemClock(), (), 0)
    assert found.level == "bad"
    assert "gone" in found.says


# ---- the rest --------------------------------------------------------------------


def test_a_state_directory_is_made_where_it_can_be(tmp_path):
    assert check.state(tmp_path).says == "writable"
    assert check.state(tmp_path / "a" / "b").says == "writable, made at the start"
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_cannot_be_is_bad(tmp_path):
    (tmp_path / "file").touch()
    found = check.state(tmp_path / "file" / "peep")
    assert found.level == "bad"
    assert "XDG_STATE_HOME" in found.mend


def test_a_class_is_open_or_sealed():
    web, public = check.classes(["web", "public"], [("web", 0xABC), ("web", 0xDEF)])
    assert web.says == "sealed with the key 00000abc, 00000def"
    assert public.says.startswith("open")


def test_sizes_are_for_people():
    said = [check.size(count) for count in (0, 1023, 1024, 1536, 5 << 30, 5 << 42)]
    assert said == ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB", "20480.0 GiB"]
