"""SIGHUP, as far as a process has more to read than its classes."""

import asyncio
import os
import signal
import socket

import pytest

from peep.net import steering as module
from peep.net.notify import SILENT, Notifier
from peep.net.steering import Steering

PATIENCE_S = 10


class Loads:
    """Counts what is loaded, and lets none end before it may."""

    def __init__(self):
        self.begun = self.ended = 0
        self.news = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self):
        self.begun += 1
        self.news.set()
        await self.go.wait()
        self.ended += 1
        self.news.set()

    async def until(self, condition):
        while not condition():
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), PATIENCE_S)


@pytest.fixture(autouse=True)
def at_no_terminal(monkeypatch):
    monkeypatch.setattr(module, "_has_terminal", lambda: False)


def steered(scene, notifier=SILENT):
    async def work():
        loads = Loads()
        steering = Steering(
            None, None, None, lambda _: None, reload=loads, notifier=notifier
        )
        await steering.start()
        try:
            await scene(loads, steering)
        finally:
            await steering.close()
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    asyncio.run(work())


def hang_up():
    os.kill(os.getpid(), signal.SIGHUP)


def test_a_hang_up_loads_and_so_does_the_next():
    async def scene(loads, _):
        loads.go.set()
        for count in (1, 2):
            hang_up()
            await loads.until(lambda n=count: loads.ended == n)

    steered(scene)


def test_hang_ups_while_it_loads_are_answered_by_one_more_load():
    async def scene(loads, steering):
        hang_up()
        await loads.until(lambda: loads.begun)
        for _ in range(3):
            steering._hang_up()
        loads.go.set()
        await loads.until(lambda: loads.ended == 2)
        await steering._reloading
        assert loads.begun == 2

    steered(scene)


def test_the_end_waits_for_no_load():
    async def scene(loads, _):
        hang_up()
        await loads.until(lambda: loads.begun)

    steered(scene)


def test_the_manager_is_told_for_how_long_it_loads(tmp_path):
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)

        async def scene(loads, steering):
            steering._hang_up()
            await loads.until(lambda: loads.begun)
            assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            with pytest.raises(BlockingIOError):
                manager.recv(100)
            loads.go.set()
            await loads.until(lambda: loads.ended)
            await steering._reloading
            assert manager.recv(100) == b"READY=1"

        steered(scene, Notifier({"NOTIFY_SOCKET": address}))
