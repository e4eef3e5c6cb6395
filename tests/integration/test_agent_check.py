"""`peep agent --check`, with a server on loopback and without one."""

import asyncio
import contextlib
import json
import os
import random
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from peep.agent.identity import Identity
from peep.cli import agent, agent_check
from peep.clock import SystemClock
from peep.errors import ConfigError, PeepError
from peep.journal.store import Store
from peep.net.hail import hail
from peep.net.sockets import server_endpoint
from peep.net.udp import UdpDriver
from peep.protocol.door import ServerConfig
from peep.protocol.server import ServerProtocol

pytestmark = pytest.mark.network


@contextlib.contextmanager
def served(*classes):
    """A server on loopback, at a free port, until the end."""
    config = ServerConfig(server_id=b"checking", secret=b"s" * 32, classes=classes)
    machine = ServerProtocol(config, random.Random(1))
    endpoint, _ = server_endpoint(None, ("lo",))
    driver = UdpDriver(machine, endpoint, SystemClock(), lambda *_: None)
    driver.start()
    try:
        yield endpoint.port
    finally:
        driver.close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The directories of a user, who waits for servers no longer than he must."""
    monkeypatch.setattr(agent_check, "WAIT_S", 1.0)
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"a line\n")
    return path


def config(home, text):
    path = home / "config_home" / "peep" / "peep.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def check(capsys, *words, classes=("test.check",)):
    """Check with a server of these classes; return the code and what was found."""

    async def body():
        with served(*classes):
            asked = ["--check", "--json", "--interfaces=lo", *map(str, words)]
            return await asyncio.to_thread(agent.run, asked)

    code = asyncio.run(body())
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] == (code == 0)
    return code, printed["findings"]


def of(findings, topic):
    return [found for found in findings if found["topic"] == topic]


def snapshot(directory):
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*")}


def test_all_is_well_and_nothing_was_changed(capsys, home, log):
    before = snapshot(home)
    words = ("--classes=test.check", f"--source=tail:{log}", "--rules=sshd")
    code, findings = check(capsys, *words)
    assert code == 0
    assert [found["level"] for found in of(findings, "source")] == ["ok"]
    (server,) = of(findings, "server")
    assert server["says"] == "answers, serves test.check"
    assert snapshot(home) == before


@pytest.mark.slow
def test_a_class_that_nobody_serves_is_noted_and_if_it_is_the_only_one_bad(capsys, log):
    source = f"--source=tail:{log}"
    code, findings = check(capsys, "--classes=test.check,test.nobody", source)
    assert code == 0
    assert [found["level"] for found in of(findings, "server")] == ["ok", "note"]
    code, findings = check(capsys, "--classes=test.nobody", source)
    assert code == 1
    assert [found["level"] for found in of(findings, "server")] == ["bad"]


def test_a_source_that_would_not_work_makes_it_fail(capsys, home):
    source = f"--source=tail:{home}/no/a.log"
    code, findings = check(capsys, "--classes=test.check", source)
    assert code == 1
    (found,) = of(findings, "source")
    assert found["mend"]


def test_without_a_word_the_choice_is_explained(capsys):
    code, findings = check(capsys, "--classes=test.check")
    assert code == 0
    taken = {found["what"]: found["says"] for found in of(findings, "pack")}
    assert taken["kernel"].endswith("every host has it")
    assert taken["kernel"].split()[0].isdecimal()
    assert of(findings, "source")


def test_configuration_is_shown_as_it_would_be_used(capsys, home, log):
    config(
        home,
        "agent:\n"
        "  classes: [test.check]\n"
        f"  sources: [{{tail: {log}}}]\n"
        "  redact: {patterns: ['x+'], keep: [user]}\n"
        "  lag_max: 0\n"
        "  cpu_max: 0\n"
        "  rules: [all]\n",
    )
    code, findings = check(capsys)
    assert code == 0
    assert of(findings, "config")[0]["says"] == "read"
    assert (
        "1 patterns of your own; left are: user" in of(findings, "redaction")[0]["says"]
    )
    ceilings = {found["what"]: found["says"] for found in of(findings, "ceiling")}
    assert (ceilings["cpu_max"], ceilings["lag_max"]) == ("none", "none")
    assert of(findings, "packs")[0]["what"] == "all"


def test_without_redaction_it_says_what_that_means(capsys, home, log):
    config(home, f"agent: {{redact: off, sources: [{{tail: {log}}}]}}\n")
    _, findings = check(capsys, "--classes=test.check")
    assert of(findings, "redaction")[0]["level"] == "note"


def test_a_running_agent_keeps_its_lock_and_its_marks(capsys, home, log):
    state = home / "state_home" / "peep"
    identity = Identity(state)
    store = Store(identity.store, say=print)
    before = identity.store.stat().st_mtime_ns
    words = ("--classes=test.check", f"--source=tail:{log}")
    code, findings = check(capsys, *words)
    assert code == 0
    assert of(findings, "marks") == []
    assert identity.store.stat().st_mtime_ns == before
    assert not (state / "agent-1.id").exists()
    store.close()
    identity.release()


def test_a_store_that_makes_no_sense_is_noted(capsys, home, log):
    state = home / "state_home" / "peep"
    state.mkdir(parents=True)
    (state / "agent-0.db").write_bytes(b"x" * 4096)
    _, findings = check(capsys, "--classes=test.check", f"--source=tail:{log}")
    assert [found["level"] for found in of(findings, "marks")] == ["note"]


def test_an_agent_that_runs_is_named_and_one_that_was_killed_is_not(capsys, home, log):
    place = home / "runtime_dir" / "peep"
    place.mkdir(parents=True, mode=0o700)
    pids = os.getpid(), 4_194_305  # the second is more than Linux ever gives
    for pid in pids:
        (place / f"agent-{pid}.sock").touch()
    _, findings = check(capsys, "--classes=test.check", f"--source=tail:{log}")
    assert [found["what"] for found in of(findings, "running")] == [
        f"agent {os.getpid()}"
    ]


def test_control_sockets_in_an_unsafe_place_are_noted(capsys, home, log):
    place = home / "runtime_dir" / "peep"
    place.mkdir(parents=True)
    place.chmod(0o777)
    code, findings = check(capsys, "--classes=test.check", f"--source=tail:{log}")
    assert code == 0
    assert [found["level"] for found in of(findings, "running")] == ["note"]


def python_is_for_all():
    """Whether another user could load what this Python needs."""
    places = Path(os.__file__).parents
    return all(place.stat().st_mode & stat.S_IXOTH for place in places)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.skipif(not python_is_for_all(), reason="this Python is root's alone")
def test_root_checks_as_the_user_that_the_agent_would_be(home, log):
    log.chmod(0o600)
    for directory in (home, *home.parents[:2]):
        directory.chmod(0o755)
    words = ("agent", "--check", "--json", "--user=nobody", "--interfaces=lo")
    sources = (f"--source=tail:{log}", "--source=system", "--classes=test.nobody")
    done = subprocess.run(
        [sys.executable, "-m", "peep", *words, *sources],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert done.returncode == 1, done.stderr
    findings = json.loads(done.stdout)["findings"]
    first, second = of(findings, "source")
    assert first["says"] == "not readable"
    assert second["level"] == "ok"
    assert of(findings, "state")[0]["level"] == "ok", "root makes it at the start"
    assert not (home / "state_home").exists()


def test_slow_rules_are_compiled_and_let_go(capsys, home, log):
    rules = home / "mine.yaml"
    rules.write_text("[{name: a, match: '(?<=b)a', event: e, engine: re}]")
    words = ("--classes=test.check", f"--source=tail:{log}", f"--rules={rules}")
    code, findings = check(capsys, *words)
    assert code == 0
    assert of(findings, "rules")[0]["what"] == "1 rules"


def test_class_none_speaks_to_nobody(capsys, log):
    code, findings = check(capsys, "--classes=none", f"--source=tail:{log}")
    assert code == 0
    assert of(findings, "server")[0]["what"] == "none"


def test_an_interface_that_is_not_there_is_bad(capsys, log):
    words = ("--check", "--json", "--interfaces=nope0", f"--source=tail:{log}")
    assert agent.run(words) == 1
    assert "nope0" in capsys.readouterr().out


@pytest.mark.slow
def test_the_report_is_for_people(capsys, home):
    words = ("--check", "--interfaces=lo", f"--source=tail:{home}/no/a.log")
    assert agent.run([*words, "--classes=test.nobody"]) == 1
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.startswith("BAD")]
    assert len(rows) == 2
    assert out.count("\n               -> ") == 2
    assert out.endswith("2 of this would not work\n")


def test_usage_and_configuration_have_a_code_of_their_own(home):
    with pytest.raises(ConfigError, match="goes with --check"):
        agent.run(["--json"])
    config(home, "agent: {rules: [nosuch]}\n")
    with pytest.raises(ConfigError, match="nosuch"):
        agent.run(["--check"])


# ---- dumb clients ------------------------------------------------------------------


def dumb(capsys, port, *classes):
    words = ("--check", "--json", "-noautodiscovery", "-server", "127.0.0.1")

    async def body():
        with served(*classes) as found:
            asked = [*words, "-port", str(port or found), "--source=system"]
            return await asyncio.to_thread(agent.run, asked)

    code = asyncio.run(body())
    (server,) = of(json.loads(capsys.readouterr().out)["findings"], "server")
    return code, server


def test_a_dumb_client_asks_its_server(capsys):
    code, server = dumb(capsys, None, "public")
    assert (code, server["says"]) == (0, "answers, serves public")


def test_a_dumb_client_hears_that_nobody_listens(capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    code, server = dumb(capsys, port, "public")
    assert (code, server["says"]) == (1, "nobody listens there")


@pytest.mark.slow
def test_who_does_not_answer_may_still_listen(capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        code, server = dumb(capsys, silent.getsockname()[1], "public")
    assert (code, server["level"]) == (0, "note")


def test_nonsense_for_an_answer_is_none():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as odd:
        odd.bind(("127.0.0.1", 0))

        def answer():
            for _ in range(3):
                _, who = odd.recvfrom(2000)
                odd.sendto(os.urandom(40), who)

        async def body():
            port = odd.getsockname()[1]
            answering = asyncio.to_thread(answer)
            asking = asyncio.to_thread(hail, "127.0.0.1", port, ("public",), 3.0)
            return (await asyncio.gather(answering, asking))[1]

        assert asyncio.run(body()) is None


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70])
def test_a_name_that_leads_nowhere_is_said(host):
    with pytest.raises(PeepError, match=host):
        hail(host, 2001, ("public",), 1.0)
