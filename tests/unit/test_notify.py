"""What a service manager is told, and how often."""

import asyncio
import os
import secrets
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.clock import ManualClock
from peep.net.class_control import ClassControl
from peep.net.notify import MAX_STATUS, SILENT, STALE_S, Notifier, Progress
from peep.net.steering import Steering


class Manager:
    """A service manager's end: what it was told, one datagram an item."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def told(self):
        found = []
        while True:
            try:
                found.append(self.socket.recv(65_536).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A manager, and the environment that it gives."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "n"
    manager = Manager(os.path.relpath(path))  # tmp_path may be too long for a socket
    # Relative names are not systemd's; this one leads to the same socket.
    yield manager, {"NOTIFY_SOCKET": f"/proc/self/cwd/{path.name}"}
    manager.socket.close()


def test_a_manager_hears_of_each_step(named):
    manager, environ = named
    notifier = Notifier(environ)
    notifier.ready("listening on UDP port 2001")
    notifier.status("heard by noc")
    notifier.alive()
    notifier.stopping()
    assert manager.told() == [
        "READY=1\nSTATUS=listening on UDP port 2001",
        "STATUS=heard by noc",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_an_abstract_socket_is_told_too():
    name = f"peep-{secrets.token_hex(8)}"
    manager = Manager(f"\0{name}")
    Notifier({"NOTIFY_SOCKET": f"@{name}"}).alive()
    assert manager.told() == ["WATCHDOG=1"]
    manager.socket.close()


def test_a_reload_has_a_time_of_the_managers_clock_and_an_end(named):
    manager, environ = named
    before = time.monotonic_ns() // 1000
    with Notifier(environ).reloading():
        (begun,) = manager.told()
    state, _, stamp = begun.partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(stamp) <= time.monotonic_ns() // 1000
    assert manager.told() == ["READY=1"]


def test_a_reload_that_fails_has_an_end_too(named):
    manager, environ = named
    with pytest.raises(ZeroDivisionError), Notifier(environ).reloading():
        raise ZeroDivisionError
    assert manager.told()[-1] == "READY=1"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "1000000"},
    ],
)
def test_without_a_socket_that_we_know_nobody_is_told(environ):
    notifier = Notifier(environ)
    assert notifier.watchdog_s is None
    notifier.ready("x")
    notifier.stopping()


def test_a_manager_that_does_not_listen_stops_nobody(named):
    manager, environ = named
    notifier = Notifier(environ)
    notifier.ready("once")
    manager.socket.close()
    notifier.alive()
    Notifier({"NOTIFY_SOCKET": "/" + 200 * "x"}).alive()


def test_a_manager_that_reads_nothing_holds_nobody_up(named):
    manager, environ = named
    notifier = Notifier(environ)
    for _ in range(30):  # the kernel keeps ten datagrams by default
        notifier.alive()
    assert 1 <= len(manager.told()) <= 30


@given(st.text())
def test_a_status_is_one_line_of_bounded_length(text):
    address = f"\0peep-{os.getpid()}-status"
    manager = Manager(address)
    Notifier({"NOTIFY_SOCKET": f"@{address[1:]}"}).status(text)
    (told,) = manager.told()
    manager.socket.close()
    assert told.startswith("STATUS=")
    assert "\n" not in told
    assert len(told) <= len("STATUS=") + MAX_STATUS


def period(usec, **more):
    return Notifier({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": usec, **more}).watchdog_s


def test_the_watchdogs_period_is_in_microseconds():
    assert period("30000000") == 30.0
    assert period("030000000") == 30.0


def test_a_watchdog_that_waits_for_another_process_is_not_ours():
    assert period("1000000", WATCHDOG_PID=str(os.getpid())) == 1.0
    assert period("1000000", WATCHDOG_PID=str(os.getppid())) is None


@pytest.mark.parametrize("usec", ["", "0", "-1", "1.5", "x", "\u0661", "9" * 5000])
def test_a_period_that_makes_no_sense_is_none(usec):
    assert period(usec) is None


@given(st.text(alphabet="0123456789 +-._٣x", max_size=30))
def test_a_period_is_a_positive_number_or_none(usec):
    found = period(usec)
    assert found is None or (found > 0 and usec.isdecimal())


def test_signs_of_life_come_for_as_long_as_the_loop_comes_round(named):
    manager, environ = named
    notifier = Notifier({**environ, "WATCHDOG_USEC": "1000"})

    async def body():
        heart = asyncio.create_task(notifier.keep_alive())
        told = []
        while len(told) < 3:
            await asyncio.sleep(0)
            told += manager.told()
        heart.cancel()
        return told

    assert set(asyncio.run(body())) == {"WATCHDOG=1"}


def test_where_nobody_waits_for_signs_of_life_the_task_ends():
    asyncio.run(asyncio.wait_for(SILENT.keep_alive(), 5))


def progress(named, period_s=10):
    manager, environ = named
    usec = str(int(period_s * 1_000_000))
    return manager, Progress(Notifier({**environ, "WATCHDOG_USEC": usec}), 100.0)


def test_work_that_goes_on_gives_a_sign_of_life_twice_a_period(named):
    manager, heart = progress(named)
    signs = []
    for tenth in range(1, 301):
        heart.look(tenth, 100 + tenth / 10)
        signs += [tenth / 10] * len(manager.told())
    assert signs == pytest.approx([0.1, 5.1, 10.1, 15.1, 20.1, 25.1], abs=0.11)


def test_work_that_stands_still_for_a_second_gives_none(named):
    manager, heart = progress(named)
    heart.look(1, 100.1)
    assert manager.told() == ["WATCHDOG=1"]
    for tenth in range(2, 200):
        heart.look(1, 100 + tenth / 10)
    assert manager.told() == []
    heart.look(2, 121.0)
    assert manager.told() == ["WATCHDOG=1"], "it goes on: late, but at once"


def test_work_that_stood_still_for_less_than_a_second_is_forgiven(named):
    manager, heart = progress(named, 0.2)
    heart.look(1, 100.0)
    assert manager.told() == ["WATCHDOG=1"]
    heart.look(1, 100.0 + STALE_S * 0.9)
    assert manager.told() == ["WATCHDOG=1"]
    heart.look(1, 100.0 + STALE_S)
    assert manager.told() == []


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1)), max_size=50))
def test_no_sign_of_life_comes_later_than_a_second_after_the_last_progress(steps):
    address = f"\0peep-{os.getpid()}-progress"
    manager = Manager(address)
    environ = {"NOTIFY_SOCKET": f"@{address[1:]}", "WATCHDOG_USEC": "2000000"}
    now, count, grew_at = 100.0, 0, 100.0
    heart = Progress(Notifier(environ), now)
    for pause_s, growth in steps:
        now += pause_s
        count += growth
        grew_at = now if growth else grew_at
        heart.look(count, now)
        if now - grew_at >= STALE_S:
            assert manager.told() == []
        manager.told()
    manager.socket.close()


def test_without_a_watchdog_progress_is_nobodys_business(named):
    manager, environ = named
    Progress(Notifier(environ), 0.0).look(1, 0.1)
    assert manager.told() == []


class Holder:
    """Something that holds classes."""

    classes = ("web",)

    def set_classes(self, names, _now):
        self.classes = names


def test_a_hang_up_is_told_to_the_manager_as_a_reload(named):
    manager, environ = named
    holder = Holder()
    control = ClassControl(
        holder,
        clock=ManualClock(),
        kick=lambda: None,
        say=lambda _: None,
        patterns=False,
    )
    read = []

    def reread():
        read.append(manager.told())
        return ("db",)

    steering = Steering(
        control, None, reread, lambda _: None, notifier=Notifier(environ)
    )
    steering._had_terminal = False
    steering._hang_up()
    assert holder.classes == ("db",)
    assert read[0][0].startswith("RELOADING=1\n")
    assert manager.told() == ["READY=1"]
