"""What an agent finds to follow when nobody has said."""

import contextlib
import grp
import gzip
import os
import shutil
from pathlib import Path

import pytest

from peep.agent.look import MAX_FILES, complaint, look_around
from peep.agent.sources.journald import JournaldSpec
from peep.agent.sources.system import SystemSpec
from peep.agent.sources.tail import TailSpec


def found(directory, run=Path("/nonexistent")) -> list[str]:
    """The paths below a directory that would be followed."""
    specs = look_around(directory, run).sources
    assert specs[-1] == SystemSpec(), "the system is always looked at"
    assert all(isinstance(spec, TailSpec) for spec in specs[:-1])
    assert not any(spec.from_start for spec in specs[:-1])
    return [str(spec.path).removeprefix(f"{directory}/") for spec in specs[:-1]]


def fill(directory, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"Nov 21 13:00:00 host program: a line for {name}\n")


def test_logs_here_and_one_level_below_are_found_in_order(tmp_path):
    fill(tmp_path, "syslog", "auth.log", "nginx/access.log", "nginx/error.log")
    assert found(tmp_path) == [
        "auth.log",
        "nginx/access.log",
        "nginx/error.log",
        "syslog",
    ]


def test_an_empty_log_is_a_log(tmp_path):
    (tmp_path / "new.log").touch()
    assert found(tmp_path) == ["new.log"]


@pytest.mark.parametrize(
    "name",
    [
        "auth.log.1",
        "auth.log.2.gz",
        "syslog.1",
        "README",
        "dpkg.log",
        "apt/history.log",
        "journal/x.log",
        "peep/agent.log",
    ],
)
def test_what_is_rotated_dull_or_our_own_is_left_out(tmp_path, name):
    fill(tmp_path, name)
    assert found(tmp_path) == []


def test_two_levels_below_nothing_is_looked_for(tmp_path):
    (tmp_path / "a").mkdir()
    fill(tmp_path, "a/b/deep.log")
    assert found(tmp_path) == []


def test_what_is_binary_is_left_out(tmp_path):
    (tmp_path / "binary.log").write_bytes(b"ELF\0\1\2")
    (tmp_path / "packed.log").write_bytes(gzip.compress(b"line\n" * 100, mtime=0))
    assert found(tmp_path) == []


def test_links_to_logs_are_followed_and_links_to_directories_are_not(tmp_path):
    var_log = tmp_path / "log"
    fill(tmp_path, "elsewhere/real.log")
    var_log.mkdir()
    (var_log / "link.log").symlink_to(tmp_path / "elsewhere" / "real.log")
    (var_log / "loop").symlink_to(tmp_path / "elsewhere")
    (var_log / "broken.log").symlink_to(tmp_path / "nowhere")
    assert found(var_log) == ["link.log"]


def test_what_is_no_file_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "directory.log").mkdir()
    assert found(tmp_path) == []


def test_a_host_without_logs_still_has_its_system(tmp_path):
    assert found(tmp_path / "nowhere") == []


def test_only_so_many_files_are_followed_unasked(tmp_path):
    fill(tmp_path, *(f"{number:03}.log" for number in range(MAX_FILES + 5)))
    assert found(tmp_path) == [f"{number:03}.log" for number in range(MAX_FILES)]


@contextlib.contextmanager
def as_nobody():
    """Without root's rights, which know no permissions."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_left_out(tmp_path):
    fill(tmp_path, "open.log", "secret.log", "closed/a.log", "listed/b.log")
    (tmp_path / "secret.log").chmod(0)
    (tmp_path / "closed").chmod(0)
    (tmp_path / "listed").chmod(0o444)
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    with as_nobody():
        names = found(tmp_path)
    for name in ("closed", "listed"):
        (tmp_path / name).chmod(0o755)
    assert names == ["open.log"]


def test_what_may_not_be_read_is_named_but_not_what_nobody_would_follow(tmp_path):
    fill(tmp_path, "open.log", "secret.log", "closed/a.log", "dpkg.log", "notes")
    for name in ("secret.log", "dpkg.log", "notes", "closed"):
        (tmp_path / name).chmod(0)
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    with as_nobody():
        seen = look_around(tmp_path, Path("/nonexistent"))
    (tmp_path / "closed").chmod(0o755)
    assert [path.name for path in seen.unreadable] == ["closed", "secret.log"]


def test_nothing_is_said_where_all_can_be_read():
    assert complaint([]) is None


def test_the_group_that_may_read_is_named(tmp_path):
    group = next(g for g in grp.getgrall() if g.gr_gid)
    fill(tmp_path, "a.log", "b.log", "c.log", "d.log", "e.log")
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        path.chmod(0o640)
        os.chown(path, -1, group.gr_gid)
    said = complaint(paths)
    assert "a.log" in said
    assert "d.log" not in said
    assert "and 2 more" in said
    assert f"usermod -aG {group.gr_name} " in said


def test_what_only_root_may_read_needs_root(tmp_path):
    fill(tmp_path, "a.log")
    (tmp_path / "a.log").chmod(0o600)
    assert complaint([tmp_path / "a.log"]).endswith(": only root may")
    assert complaint([tmp_path / "gone.log"]).endswith(": only root may")


def test_who_has_no_name_is_told_by_number(tmp_path, monkeypatch):
    group = next(g for g in grp.getgrall() if g.gr_gid)
    fill(tmp_path, "a.log")
    (tmp_path / "a.log").chmod(0o640)
    os.chown(tmp_path / "a.log", -1, group.gr_gid)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    assert "#4000000" in complaint([tmp_path / "a.log"])


def test_this_host_can_be_looked_at():
    assert look_around().sources[-1] == SystemSpec()


def test_the_logs_of_the_system_are_told_from_those_of_programs(tmp_path):
    fill(tmp_path, "auth.log", "nginx/access.log")
    seen = look_around(tmp_path, Path("/nonexistent"))
    assert [path.name for path in seen.logs] == ["auth.log", "access.log"]
    assert [path.name for path in seen.system_logs] == ["auth.log"]
    assert not seen.journal


@pytest.fixture
def booted(tmp_path, monkeypatch):
    """A host that systemd has booted, with a journal in /var/log/journal."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    journal = tmp_path / "log/journal/0123/system.journal"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"LPKSHHRH")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "journalctl").write_text("#!/bin/sh\n")
    (programs / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return tmp_path


def looked(host) -> list[object]:
    return list(look_around(host / "log", host / "run").sources)


def test_where_the_journal_is_all_there_is_it_is_followed(booted):
    fill(booted / "log", "nginx/access.log")
    assert looked(booted) == [
        JournaldSpec(),
        TailSpec(str(booted / "log/nginx/access.log")),
        SystemSpec(),
    ]


def test_what_is_in_the_journal_is_not_followed_twice(booted):
    fill(booted / "log", "auth.log", "kern.log", "secure", "app.log")
    assert looked(booted)[:-1] == [
        JournaldSpec(),
        TailSpec(str(booted / "log/app.log")),
    ]


@pytest.mark.parametrize("name", ["syslog", "messages"])
def test_where_the_journal_is_written_to_a_log_that_is_followed(booted, name):
    fill(booted / "log", name, "auth.log")
    assert [spec.path.rpartition("/")[2] for spec in looked(booted)[:-1]] == sorted(
        [name, "auth.log"]
    )


def test_a_journal_that_is_kept_in_memory_is_one(booted):
    (booted / "run/log").mkdir()
    shutil.move(booted / "log/journal", booted / "run/log/journal")
    assert looked(booted) == [JournaldSpec(), SystemSpec()]


@pytest.mark.parametrize(
    "missing",
    ["run/systemd/system", "bin/journalctl", "log/journal/0123/system.journal"],
)
def test_without_systemd_or_its_journal_there_is_none(booted, missing):
    path = booted / missing
    path.rmdir() if path.is_dir() else path.unlink()
    assert looked(booted) == [SystemSpec()]


def test_a_journal_that_may_not_be_read_is_named(booted):
    journal = booted / "log/journal/0123/system.journal"
    journal.chmod(0)
    booted.chmod(0o755)
    for parent in list(booted.parents)[:2]:
        parent.chmod(0o755)
    with as_nobody():
        seen = look_around(booted / "log", booted / "run")
    assert seen.unreadable == (journal,)


def test_what_is_in_the_journal_need_not_be_read_besides(booted):
    fill(booted / "log", "auth.log", "app.log")
    for name in ("auth.log", "app.log"):
        (booted / "log" / name).chmod(0)
    for path in (booted, *list(booted.parents)[:2]):
        path.chmod(0o755)
    with as_nobody():
        seen = look_around(booted / "log", booted / "run")
    assert seen.journal
    assert [path.name for path in seen.unreadable] == ["app.log"]
