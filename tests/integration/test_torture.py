"""Every misfortune of `peep dev torture tail`, in short, with real files and kills."""

import asyncio
import json

import pytest

from peep.cli import dev, torture
from peep.errors import ConfigError, PeepError
from peep.lab import misfortunes, told
from peep.lab.torture import Result, cases
from peep.lab.torture import torture as run_cases

LINES = 600
TROUBLE = Result("rename", written=10, lost=0, repeated=1, floor=0)


@pytest.mark.parametrize("case", cases())
def test_no_line_is_lost_and_none_is_repeated(case, tmp_path):
    run = run_cases([case], seconds=15.0, lines=LINES, directory=tmp_path, seed=5)
    (result,) = run
    assert (result.case, result.lost, result.repeated) == (case, 0, 0)
    assert result.written >= LINES
    assert "copytruncate" in case or result.floor == 0
    assert list(tmp_path.iterdir()) == []


def test_without_logrotate_its_cases_are_left_out(monkeypatch):
    monkeypatch.setattr(misfortunes.shutil, "which", lambda _name: None)
    monkeypatch.setattr("peep.lab.torture.find_logrotate", misfortunes.find_logrotate)
    assert cases()
    assert not any(case.startswith("logrotate") for case in cases())


def test_a_line_is_known_by_its_number_and_a_fragment_is_none():
    assert told.number_of(told.written(4711)[:-1]) == 4711
    assert told.number_of(told.written(4711)[:-2]) is None
    assert told.number_of(b"") is None


def test_what_was_told_is_in_the_store_with_its_marks(tmp_path, capsys):
    log = tmp_path / "app.log"
    log.write_bytes(told.written(1) + told.written(2) + b"fragment\n")
    store = told.open_store(tmp_path / "store", told.complain)

    async def work():
        following = asyncio.create_task(told.follow(str(log), store))
        while len(told.told(store)) < 2:  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(work())
    assert told.told(store) == [1, 2]
    assert store.marks()[0].offset == log.stat().st_size
    assert capsys.readouterr().out.split() == ["1", "2"]
    store.close()


def test_a_store_that_cannot_be_trusted_ends_the_follower():
    with pytest.raises(SystemExit, match="torture: broken"):
        told.complain("broken")


def test_json_is_a_list_of_cases_with_what_was_promised(capsys, tmp_path):
    words = ["--seconds", "0.2", "--dir", str(tmp_path), "--json"]
    assert dev.run(["torture", "tail", *words, "--case", "rename"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert set(shown) == {"case", "written", "lost", "repeated", "floor"}
    assert shown["case"] == "rename"
    assert shown["written"] > 0


def test_without_json_there_is_a_table(capsys, monkeypatch):
    monkeypatch.setattr(torture, "torture", lambda *_args, **_more: [TROUBLE])
    words = ["--case", "rename", "--case", "delete"]
    assert dev.run(["torture", "tail", *words]) == 1
    shown = capsys.readouterr()
    head, *rows = shown.out.splitlines()
    assert head.split() == ["case", "written", "lost", "repeated", "floor"]
    assert [row.split() for row in rows] == [["rename", "10", "0", "1", "0"]] * 2
    assert shown.err == "", "no progress where nobody watches"


def test_progress_is_shown_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(torture, "torture", lambda *_args, **_more: [TROUBLE])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    dev.run(["torture", "tail", "--case", "rename", "--json"])
    assert capsys.readouterr().err == "torture 1 of 1: rename\n"


@pytest.mark.parametrize("value", ["0", "nan", "often", "1e9"])
def test_a_time_that_cannot_be_is_refused(value, capsys):
    with pytest.raises(SystemExit) as end:
        dev.run(["torture", "tail", f"--seconds={value}"])
    assert end.value.code == 2
    assert f"'{value}' is no time" in capsys.readouterr().err


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(PeepError, match="no such directory"):
        dev.run(["torture", "tail", "--dir", str(tmp_path / "missing")])


@pytest.mark.parametrize("words", [[], ["torture"], ["torture", "rename"]])
def test_what_is_to_be_tortured_must_be_said(words):
    with pytest.raises(ConfigError, match="tail"):
        dev.run(words)
