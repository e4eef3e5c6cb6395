"""What came of a demo, judged and shown."""

import asyncio

import pytest
from msgspec.structs import replace

from peep.cli.demo import _show
from peep.clock import ManualClock
from peep.lab.demo import SHORT, Demo, Teller, minutes
from peep.lab.demo_account import (
    Account,
    AgentAccount,
    AlertAccount,
    SceneAccount,
    account,
)
from peep.lab.demo_script import Plan
from peep.server.app import Summary

SOUND = Summary(
    signals=9,
    cues=9,
    suppressions={},
    dropped={},
    seconds=31.0,
    integrated_lufs=-30.0,
    true_peak_dbtp=-9.0,
    failure=None,
)
GOOD = Account(
    agents=3,
    minutes=0.5,
    seed=4,
    interrupted=False,
    scenes=(SceneAccount("calm", 0.0, 9.0, 9, 9, 1),),
    alerts=(AlertAccount(65.2, "db1", "kernel.oom", "bell", 70.0),),
    missing=(),
    lost=(AgentAccount(24.0, "mail1"),),
    back=(AgentAccount(28.0, "mail1"),),
    died=(),
    sound=SOUND,
)
UNHEARD = AlertAccount(65.2, "db1", "kernel.oom", "", unheard="muted")


@pytest.mark.parametrize(
    "change",
    [
        {"alerts": (UNHEARD,)},
        {"missing": ("kernel.oom from web1",)},
        {"died": ("web1",)},
        {"sound": replace(SOUND, failure="the disk is full")},
    ],
)
def test_a_demo_is_good_unless_something_was_not_heard_died_or_failed(change):
    assert GOOD.good
    assert not replace(GOOD, **change).good


def test_of_what_was_stopped_nobody_can_ask_that_all_was_heard():
    stopped = replace(GOOD, interrupted=True, missing=("kernel.oom from web1",))
    assert stopped.good
    assert not replace(stopped, died=("web1",)).good


def test_each_alert_is_shown_with_its_sound_or_why_it_has_none(capsys):
    _show(replace(GOOD, alerts=(*GOOD.alerts, UNHEARD), missing=("x from web1",)))
    shown = capsys.readouterr().out
    assert shown.startswith("that was all; again: peep demo --seed 4\n")
    for line in (
        " 1:05  kernel.oom from db1: bell",
        " 1:05  kernel.oom from db1: NOT HEARD (muted)",
        " 0:24  agent of mail1 lost",
        " 0:28  agent of mail1 back",
        "never came: x from web1",
    ):
        assert line in shown.splitlines()


def test_without_a_journal_nothing_came(tmp_path):
    came = account(
        *(Plan(), (), tmp_path / "none", 0.0, SOUND), died=(), interrupted=True
    )
    assert came.alerts == came.lost == came.back == ()
    assert {scene.signals for scene in came.scenes} == {0}


def test_lines_stand_behind_the_clock_and_are_cut_where_they_are_long():
    clock, said = ManualClock(), []
    teller = Teller(clock, said.append)
    teller.announce("soon")
    teller.begin()
    clock.advance(65.0)
    teller.announce("now")
    teller.heard("x" * 200)
    assert said[:2] == ["       soon", " 1:05  now"]
    assert said[2] == f" 1:05    {'x' * (SHORT - 1)}…"
    assert [minutes(s) for s in (-1.0, 0.0, 59.9, 600.0)] == [
        *("0:00", "0:00", "0:59", "10:00")
    ]


class Ended:
    """A server that ends at once, as where its engine fails, before it is ready."""

    def __init__(self):
        self.ready = asyncio.Event()

    async def run(self, _stop):
        return replace(SOUND, failure="no sound")


class Nobody:
    died = ()

    async def close(self):
        pass


def test_a_server_that_ends_early_ends_the_demo(tmp_path):
    class Home:
        journal = tmp_path / "none"

    clock = ManualClock()
    demo = Demo(Plan(), Ended(), Home(), Nobody(), None, clock, Teller(clock, print))
    came = asyncio.run(demo.run(asyncio.Event()))
    assert came.interrupted
    assert not came.good
