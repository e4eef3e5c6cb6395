"""The control socket: who may ask, what is answered, and what is left behind."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import agent_machine

from peep import paths
from peep.clock import ManualClock
from peep.errors import PeepError
from peep.metrics import Family, Metrics
from peep.net import control
from peep.net.class_control import ClassControl
from peep.net.control import (
    AddClasses,
    ControlServer,
    ForgetHost,
    GoneError,
    ListClasses,
    ListHosts,
    ReadMetrics,
    RemoveClasses,
    ask,
    running,
    socket_path,
)
from peep.net.steering import Steering, agent_answers

pytestmark = pytest.mark.network


@pytest.fixture
def run_dir():
    """Yield a directory whose sockets have short paths, also where tests are deep."""
    directory = Path(tempfile.mkdtemp(prefix="peep-"))
    yield directory
    shutil.rmtree(directory)


def echo(request):
    return {"asked": type(request).__name__, "names": getattr(request, "names", ())}


def names(directory):
    return [path.name for path in directory.iterdir()]


def serving(path, body, handle=echo, **more):
    """Run `body()` in a thread while a server answers; return what it returns."""

    async def both():
        server = ControlServer(path, handle, **more)
        await server.start()
        try:
            return await asyncio.to_thread(body)
        finally:
            await server.close()

    return asyncio.run(both())


@contextlib.contextmanager
def connected(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        yield sock


def say(path, data, *, end=True):
    """Send bytes and return every answer until the server closes, or has answered."""
    with connected(path) as sock:
        sock.sendall(data)
        if end:
            sock.shutdown(socket.SHUT_WR)
        return [json.loads(line) for line in sock.makefile("rb")]


def test_a_request_reaches_the_handler_and_its_answer_comes_back(run_dir):
    path = socket_path(run_dir, "agent", 7)
    answers = serving(
        path,
        lambda: [
            ask(path, request)
            for request in (
                ListClasses(),
                AddClasses(("a", "b")),
                RemoveClasses(("a",)),
                ListHosts(),
                ForgetHost("web1"),
                ReadMetrics(),
            )
        ],
    )
    assert answers == [
        {"ok": True, "asked": "ListClasses", "names": []},
        {"ok": True, "asked": "AddClasses", "names": ["a", "b"]},
        {"ok": True, "asked": "RemoveClasses", "names": ["a"]},
        {"ok": True, "asked": "ListHosts", "names": []},
        {"ok": True, "asked": "ForgetHost", "names": []},
        {"ok": True, "asked": "ReadMetrics", "names": []},
    ]


def test_several_lines_in_one_connection_are_answered_in_their_order(run_dir):
    path = run_dir / "agent-7.sock"
    lines = b'{"do":"classes"}\n{"do":"nonsense"}\n{"do":"classes"}\n'
    answers = serving(path, lambda: say(path, lines))
    assert [answer["ok"] for answer in answers] == [True, False, True]


def test_socket_and_directory_are_for_this_user_alone(run_dir):
    path = run_dir / "new" / "agent-7.sock"

    def look():
        return stat.S_IMODE(path.stat().st_mode), names(path.parent)

    assert serving(path, look) == (0o600, ["agent-7.sock"])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_server_that_ends_takes_its_socket_away(run_dir):
    path = run_dir / "agent-7.sock"
    serving(path, lambda: None)
    assert names(run_dir) == []


def test_a_server_that_never_began_can_be_closed(run_dir):
    asyncio.run(ControlServer(run_dir / "agent-7.sock", echo).close())


def test_closing_lets_go_of_clients_that_wait(run_dir):
    path = run_dir / "agent-7.sock"
    waiting = socket.socket(socket.AF_UNIX)
    with waiting:
        waiting.settimeout(5)

        def connect():
            waiting.connect(str(path))
            ask(path, ListClasses())

        serving(path, connect)
        assert waiting.recv(1) == b""


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770])
def test_a_directory_that_others_may_enter_is_refused_at_both_ends(run_dir, mode):
    run_dir.chmod(mode)
    with pytest.raises(PeepError, match="chmod 700"):
        serving(run_dir / "agent-7.sock", lambda: None)
    with pytest.raises(PeepError, match="chmod 700"):
        running(run_dir)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make it another's")
def test_root_may_ask_in_a_directory_of_another_user_but_not_listen_there(run_dir):
    path = run_dir / "agent-7.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    os.chown(run_dir, 1, 1)
    assert [one.pid for one in running(run_dir)] == [7]
    with pytest.raises(PeepError, match="not a directory of yours alone"):
        serving(path, lambda: None)
    os.chown(run_dir, 0, 0)


def test_a_link_in_place_of_the_directory_is_refused(run_dir):
    (run_dir / "real").mkdir(mode=0o700)
    (run_dir / "link").symlink_to(run_dir / "real")
    with pytest.raises(PeepError, match="not a directory of yours alone"):
        serving(run_dir / "link" / "agent-7.sock", lambda: None)


def test_a_directory_that_cannot_be_made_is_one_clear_line(run_dir):
    (run_dir / "file").write_text("")
    with pytest.raises(PeepError, match=r"cannot make .*: "):
        serving(run_dir / "file" / "run" / "agent-7.sock", lambda: None)
    with pytest.raises(PeepError, match=r"cannot read .*: Not a directory"):
        running(run_dir / "file")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_another_user_who_gets_at_the_socket_is_refused(run_dir):
    path = run_dir / "agent-7.sock"
    code = (
        "import os, pwd, socket, sys\n"
        "nobody = pwd.getpwnam('nobody')\n"
        "os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "print(s.recv(1000).decode())"
    )

    def as_nobody():
        run_dir.chmod(0o755)
        path.chmod(0o666)
        return subprocess.run(
            # Started as root: this interpreter may lie where nobody else can read.
            [sys.executable, "-I", "-c", code, path],
            stdout=subprocess.PIPE,
            check=True,
            timeout=15,
        ).stdout

    (answer,) = serving(path, lambda: as_nobody().splitlines()[:1])
    assert json.loads(answer) == {
        "ok": False,
        "problem": "this process is another user's",
    }


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_another_user_cannot_even_open_the_socket(run_dir):
    path = run_dir / "agent-7.sock"

    def as_nobody():
        run_dir.chmod(0o755)  # the directory's guard gone, the socket's own is left
        return subprocess.run(
            ["test", "-w", path], user="nobody", extra_groups=[], check=False
        ).returncode

    assert serving(path, as_nobody) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "bad request: not one line of JSON"),
        (b"hello", "bad request: not one line of JSON"),
        (b"\xff\xfe", "bad request: not one line of JSON"),
        (b'{"do":"\xff"}', "bad request: not one line of JSON"),
        (b"[" * 9000, "bad request"),
        (b'{"x":' + b"[" * 9000 + b"]" * 9000 + b"}", "a request has at most"),
        (b'{"x":' + b"[" * 8000 + b"]" * 8000 + b',"do":"classes"}', "bad request"),
        (b"{}", "unknown request; known: classes, classes.add, classes.remove"),
        (b'{"do":"reboot"}', "unknown request; known: classes"),
        (b'{"do":7}', "unknown request"),
        (b"[1]", "bad request: Expected `object`"),
        (b'{"do":"classes","more":1}', "bad request: Object contains unknown field"),
        (b'{"do":"classes.add"}', "bad request: Object missing required field `names`"),
        (b'{"do":"classes.add","names":"web"}', "bad request: Expected `array`"),
        (b'{"do":"classes.add","names":[]}', "bad request: Expected `array` of length"),
        (b'{"do":"classes.add","names":[""]}', "bad request: Expected `str` of length"),
        (b'{"do":"hosts.forget"}', "bad request: Object missing required field `name`"),
        (
            b'{"do":"hosts.forget","name":"' + b"x" * 254 + b'"}',
            "bad request: Expected `str` of length",
        ),
        (
            b'{"do":"classes.add","names":["' + b"x" * 65 + b'"]}',
            "bad request: Expected `str` of length",
        ),
    ],
)
def test_junk_is_answered_with_what_is_wrong_with_it(run_dir, line, problem):
    path = run_dir / "agent-7.sock"
    (answer,) = serving(
        path, lambda: say(path, line + b"\n", end=len(line) < control.MAX_REQUEST_BYTES)
    )
    assert answer["ok"] is False
    assert answer["problem"].startswith(problem)


def test_a_line_without_an_end_is_told_to_be_cut_short(run_dir):
    path = run_dir / "agent-7.sock"
    (answer,) = serving(path, lambda: say(path, b'{"do":"classes"}'))
    assert answer == {"ok": False, "problem": "the request was cut short"}


@given(line=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_line_whatever_is_a_request_or_a_problem(line):
    answer = ControlServer(Path("/nowhere"), echo)._answer(line)
    assert answer.endswith(b"\n")
    assert answer.count(b"\n") == 1
    assert isinstance(json.loads(answer)["ok"], bool)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    do=st.sampled_from(["classes", "classes.add", "classes.remove", "x"]),
    names=JSON | st.lists(st.text()),
)
def test_any_names_whatever_are_bounded_text_or_refused(do, names):
    line = json.dumps({"do": do, "names": names}).encode()
    answer = json.loads(ControlServer(Path("/nowhere"), echo)._answer(line))
    if answer["ok"]:
        assert 1 <= len(answer["names"]) <= control.MAX_NAMES
        assert all(1 <= len(name) <= 64 for name in answer["names"])
    else:
        assert len(answer["problem"]) <= 400
        assert answer["problem"].isprintable() or answer["problem"].isascii()


def test_a_refusal_of_the_handler_is_one_printable_line(run_dir):
    path = run_dir / "agent-7.sock"

    def refuse(_request):
        raise PeepError("no\n\x1b[2J" + "x" * 1000)

    with pytest.raises(PeepError) as refused:
        serving(path, lambda: ask(path, ListClasses()), refuse)
    assert str(refused.value).startswith("no\\n\\x1b[2Jxxx")
    assert len(str(refused.value)) < 400


def test_a_handler_that_breaks_is_told_and_the_next_request_is_answered(run_dir):
    path = run_dir / "agent-7.sock"
    answers = []

    def breaks_once(_request):
        if not answers:
            raise ZeroDivisionError("division")
        return {}

    def body():
        with pytest.raises(PeepError, match="ZeroDivisionError: division"):
            ask(path, ListClasses())
        answers.append(True)
        return ask(path, ListClasses())

    assert serving(path, body, breaks_once) == {"ok": True}


def test_clients_above_the_bound_are_sent_away(run_dir):
    path = run_dir / "agent-7.sock"

    def crowd():
        with contextlib.ExitStack() as open_until_here:
            for _ in range(control.MAX_CLIENTS):
                sock = open_until_here.enter_context(connected(path))
                sock.sendall(b'{"do":"classes"}\n')
                sock.recv(1000)
            with pytest.raises(PeepError, match="too many ask at once"):
                ask(path, ListClasses())
        return True

    assert serving(path, crowd)


def test_a_client_that_says_nothing_is_let_go(run_dir):
    path = run_dir / "agent-7.sock"
    assert serving(path, lambda: say(path, b"", end=False), patience_s=0.05) == []
    half = b'{"do":'
    assert serving(path, lambda: say(path, half, end=False), patience_s=0.05) == []


def test_a_client_that_goes_away_disturbs_nobody(run_dir):
    path = run_dir / "agent-7.sock"

    def rude():
        for _ in range(3):
            with connected(path) as sock:
                sock.sendall(b'{"do":"classes"}\n' * 100)
        return ask(path, ListClasses())["ok"]

    assert serving(path, rude) is True


def test_processes_are_found_by_the_names_of_their_sockets(run_dir):
    for name in ("server-12.sock", "agent-9.sock", "agent-10.sock"):
        (run_dir / name).touch()
    for name in ("agent-x.sock", "agent-07.sock", ".agent-7.new", "peep-1.sock", "x"):
        (run_dir / name).touch()
    found = [(one.kind, one.pid, one.path.name) for one in running(run_dir)]
    assert found == [
        ("agent", 9, "agent-9.sock"),
        ("agent", 10, "agent-10.sock"),
        ("server", 12, "server-12.sock"),
    ]
    assert running(run_dir / "missing") == []


def test_the_socket_of_a_dead_process_is_taken_away_by_who_finds_it(run_dir):
    path = run_dir / "agent-7.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(GoneError):
        ask(path, ListClasses())
    assert not path.exists()
    with pytest.raises(GoneError):
        ask(path, ListClasses())


def test_a_new_process_takes_the_place_of_a_dead_one_with_its_id(run_dir):
    path = run_dir / "agent-7.sock"
    for name in ("agent-7.sock", ".agent-7.new"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(run_dir / name))
    assert serving(path, lambda: ask(path, ListClasses())["ok"]) is True
    assert names(run_dir) == []


def test_a_process_that_does_not_answer_is_not_waited_for(run_dir):
    path = run_dir / "agent-7.sock"
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(path))
        stuck.listen(1)
        with pytest.raises(PeepError, match=r"no answer within 0.05 s"):
            ask(path, ListClasses(), patience_s=0.05)
        assert path.exists()


@pytest.mark.parametrize(
    "answer", [b"", b"\n", b"[]\n", b"\xff\n", b"[" * 5000 + b"\n", b'{"ok":tr']
)
def test_an_answer_that_makes_no_sense_is_one_line(run_dir, answer):
    path = run_dir / "agent-7.sock"
    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind(str(path))
        odd.listen(1)

        async def both():
            asking = asyncio.create_task(asyncio.to_thread(ask, path, ListClasses()))
            sock, _ = await asyncio.to_thread(odd.accept)
            with sock:
                sock.recv(1000)
                sock.sendall(answer)
            return await asking

        with pytest.raises(PeepError, match="makes no sense"):
            asyncio.run(both())


def test_an_answer_is_read_up_to_a_bound(run_dir, monkeypatch):
    path = run_dir / "agent-7.sock"
    monkeypatch.setattr(control, "MAX_ANSWER_BYTES", 100)
    with pytest.raises(PeepError, match="makes no sense"):
        serving(
            path,
            lambda: ask(path, ListClasses()),
            lambda _request: {"text": "x" * 500_000},
        )


def test_a_path_is_used_up_to_the_last_byte_that_a_socket_takes(run_dir):
    room = control.MAX_PATH_BYTES - len(os.fsencode(run_dir / "agent-7.sock")) - 1
    fits = run_dir / ("x" * room) / "agent-7.sock"
    assert serving(fits, lambda: ask(fits, ListClasses())["ok"]) is True
    too_long = run_dir / ("x" * (room + 1)) / "agent-7.sock"
    with pytest.raises(PeepError, match=r"108 bytes, 107 go .*XDG_RUNTIME_DIR"):
        serving(too_long, lambda: None)
    with pytest.raises(PeepError, match="108 bytes"):
        ask(too_long, ListClasses())


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {}, "/run/peep"),
        (0, {"XDG_RUNTIME_DIR": "/run/user/0"}, "/run/peep"),
        (0, {"XDG_RUNTIME_DIR": "/run/user/1000"}, "/run/peep"),
        (0, {"XDG_RUNTIME_DIR": "/tmp/x"}, "/tmp/x/peep"),
        (1000, {"XDG_RUNTIME_DIR": "/run/user/1000"}, "/run/user/1000/peep"),
        (1000, {"XDG_RUNTIME_DIR": "here", "HOME": "/h"}, "/h/.local/state/peep/run"),
        (1000, {"HOME": "/h"}, "/h/.local/state/peep/run"),
        (1000, {"XDG_STATE_HOME": "/s"}, "/s/peep/run"),
        (0, {"XDG_RUNTIME_DIR": "here"}, "/var/lib/peep/run"),
    ],
)
def test_the_runtime_directory_is_the_users_own(uid, environ, expected):
    assert paths.runtime_dir(environ, uid) == Path(expected)


def steered(path, request, more=None):
    """Ask a process that holds class public."""

    async def both():
        machine = agent_machine()
        control = ClassControl(
            machine, clock=ManualClock(), kick=lambda: None, say=lambda _: None
        )
        steering = Steering(control, path, None, lambda _: None, more)
        await steering.start()
        try:
            return await asyncio.to_thread(ask, path, request)
        finally:
            await steering.close()

    return asyncio.run(both())


def test_a_process_answers_about_classes_itself_and_hands_on_what_is_more(run_dir):
    path = run_dir / "server-7.sock"
    asked = []

    def more(request):
        asked.append(request)
        return {"hosts": []}

    assert steered(path, ListClasses(), more)["classes"] == ["public"]
    assert steered(path, AddClasses(("web",)), more)["classes"] == ["public", "web"]
    assert steered(path, RemoveClasses(("x",)), more)["changed"] is False
    assert asked == []
    assert steered(path, ListHosts(), more) == {"ok": True, "hosts": []}
    assert asked == [ListHosts()]


@pytest.mark.parametrize(
    ("request_", "tag"), [(ListHosts(), "hosts"), (ReadMetrics(), "metrics")]
)
def test_a_process_that_has_nothing_more_to_say_says_that(run_dir, request_, tag):
    with pytest.raises(PeepError, match=f"has no answer to {tag}$"):
        steered(run_dir / "agent-7.sock", request_)


@pytest.mark.parametrize("request_", [ListHosts(), ForgetHost("web1")])
def test_an_agent_has_metrics_and_no_hosts(run_dir, request_):
    metrics = Metrics()
    metrics.gauge("peep_lines", "Lines.", lambda: float("-inf"))
    more = agent_answers(metrics)
    path = run_dir / "agent-7.sock"
    with pytest.raises(PeepError, match="is an agent: ask a server"):
        steered(path, request_, more)
    answer = steered(path, ReadMetrics(), more)["metrics"]
    assert msgspec.convert(answer, list[Family]) == metrics.collect()
    with pytest.raises(PeepError, match="has no answer to classes"):
        more(ListClasses())
